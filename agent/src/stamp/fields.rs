//! A stamp's text into numbers.

use super::syntax::{Item, MONTHS, WEEKDAYS};

/// What a stamp says. Every number is in its range, but a day may be beyond its month's end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fields {
    pub(super) date: Date,
    pub(super) nanosecond: u32,
    pub(super) place: Place,
    /// Milliseconds since 1970-01-01 UTC, where a stamp says just that.
    pub(super) epoch_ms: Option<i64>,
    year: Option<i32>,
    month: u8,
    day: u8,
    day_of_year: u16,
    hour: u8,
    hour_of_half: Option<u8>,
    afternoon: bool,
    minute: u8,
    second: u8,
}

/// What a stamp says of the date.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Date {
    Full {
        year: i32,
        month: u8,
        day: u8,
    },
    /// Day 1 is 1 January.
    OfYear {
        year: i32,
        day: u16,
    },
    Yearless {
        month: u8,
        day: u8,
    },
    #[default]
    None,
}

/// What a stamp says of the zone.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Place {
    /// Seconds east of UTC.
    Offset(i32),
    /// Where its short name stands.
    Name { start: usize, end: usize },
    #[default]
    None,
}

/// A stamp that was read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) fields: Fields,
    /// One past the last byte that was looked at; one more than the text has, if its end was.
    pub(super) seen: usize,
}

impl Fields {
    /// Seconds since midnight. The 60 of a leap second is the next minute's first.
    pub(super) fn second_of_day(&self) -> i64 {
        let hour = match self.hour_of_half {
            None => self.hour,
            Some(hour) => hour % 12 + if self.afternoon { 12 } else { 0 },
        };
        i64::from(hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second)
    }
}

/// Reads the stamp at `column`; `None` if there is none of this format.
pub(super) fn read(items: &[Item], text: &[u8], column: usize) -> Option<Reading> {
    let mut cursor = Cursor {
        text,
        at: column,
        seen: column,
    };
    let mut fields = Fields::default();
    for item in items {
        cursor.item(item, &mut fields)?;
    }
    fields.date = match (fields.year, fields.month, fields.day_of_year) {
        (Some(year), 0, day) if day > 0 => Date::OfYear { year, day },
        (Some(year), month, _) if month > 0 => Date::Full {
            year,
            month,
            day: fields.day,
        },
        (None, month, _) if month > 0 => Date::Yearless {
            month,
            day: fields.day,
        },
        _ => Date::None,
    };
    Some(Reading {
        fields,
        seen: cursor.seen,
    })
}

/// A place in a text, and how far it has been looked at.
struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
    seen: usize,
}

impl Cursor<'_> {
    #[inline]
    fn peek(&mut self, ahead: usize) -> Option<u8> {
        let at = self.at + ahead;
        let byte = self.text.get(at).copied();
        let seen = at.min(self.text.len()) + 1;
        self.seen = self.seen.max(seen);
        byte
    }

    #[inline]
    fn digit(&mut self, ahead: usize) -> Option<u8> {
        self.peek(ahead)
            .filter(u8::is_ascii_digit)
            .map(|byte| byte - b'0')
    }

    /// A number of exactly so many digits.
    #[inline]
    fn exactly(&mut self, digits: usize) -> Option<i64> {
        let mut number = 0;
        for ahead in 0..digits {
            number = number * 10 + i64::from(self.digit(ahead)?);
        }
        self.at += digits;
        Some(number)
    }

    /// A number of one or two digits, with or without a blank in front, in a range.
    #[inline]
    fn short(&mut self, least: u8, most: u8) -> Option<u8> {
        if self.peek(0) == Some(b' ') {
            self.at += 1;
        }
        let mut number = self.digit(0)?;
        self.at += 1;
        if let Some(digit) = self.digit(0) {
            number = number * 10 + digit;
            self.at += 1;
        }
        (least..=most).contains(&number).then_some(number)
    }

    #[inline]
    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        let found = self.text[self.at..].starts_with(literal);
        self.at += literal.len();
        self.seen = self.seen.max(self.at);
        found.then_some(())
    }

    /// One of some names, short or in full, whatever their case; its index.
    fn name(&mut self, names: &[&str]) -> Option<usize> {
        let short = self.text.get(self.at..self.at + 3)?;
        let index = names
            .iter()
            .position(|name| name.as_bytes()[..3].eq_ignore_ascii_case(short))?;
        self.at += 3;
        let rest = &names[index].as_bytes()[3..];
        let mut same = 0;
        while same < rest.len()
            && self
                .peek(same)
                .is_some_and(|byte| byte.eq_ignore_ascii_case(&rest[same]))
        {
            same += 1;
        }
        if same == rest.len() {
            self.at += same;
        }
        self.seen = self.seen.max(self.at);
        Some(index)
    }

    /// White space; tells whether there was any.
    fn space(&mut self) -> bool {
        let from = self.at;
        while self.peek(0).is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.at > from
    }

    /// Digits behind a decimal point, as nanoseconds; those beyond are dropped.
    fn fraction(&mut self) -> Option<u32> {
        let mut nanosecond = 0;
        let mut place = 100_000_000;
        self.digit(0)?;
        while let Some(digit) = self.digit(0) {
            nanosecond += u32::from(digit) * place;
            place /= 10;
            self.at += 1;
        }
        Some(nanosecond)
    }

    /// `+0000`, `+00:00`, `+00` or `Z`, in seconds.
    fn offset(&mut self) -> Option<i32> {
        let sign = match self.peek(0)? {
            b'Z' | b'z' => {
                self.at += 1;
                return Some(0);
            }
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let two = |cursor: &mut Self, ahead| {
            let (tens, ones) = (cursor.digit(ahead)?, cursor.digit(ahead + 1)?);
            Some(i32::from(tens) * 10 + i32::from(ones))
        };
        let hours = two(self, 1)?;
        let colon = usize::from(self.peek(3) == Some(b':'));
        let minutes = two(self, 3 + colon);
        self.at += if minutes.is_some() { 5 + colon } else { 3 };
        let minutes = minutes.unwrap_or(0);
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
    }

    fn zone_name(&mut self) -> Option<Place> {
        if matches!(self.peek(0), Some(b'+' | b'-')) {
            return self.offset().map(Place::Offset);
        }
        let start = self.at;
        while self.peek(0).is_some_and(|byte| byte.is_ascii_alphabetic()) {
            self.at += 1;
        }
        let end = self.at;
        (end > start).then_some(Place::Name { start, end })
    }

    #[inline]
    fn item(&mut self, item: &Item, fields: &mut Fields) -> Option<()> {
        match item {
            Item::Literal(literal) => self.literal(literal)?,
            Item::Space => self.space().then_some(())?,
            Item::OptionalSpace => {
                self.space();
            }
            // Four digits, so each fits.
            Item::Year => fields.year = Some(self.exactly(4)? as i32),
            Item::YearOfCentury => {
                let year = self.exactly(2)? as i32;
                fields.year = Some(if year < 69 { 2000 } else { 1900 } + year);
            }
            Item::Month => fields.month = self.short(1, 12)?,
            // One of twelve.
            Item::MonthName => fields.month = self.name(MONTHS)? as u8 + 1,
            Item::Day => fields.day = self.short(1, 31)?,
            Item::DayOfYear => {
                let day = self.exactly(3)? as u16;
                fields.day_of_year = (1..=366).contains(&day).then_some(day)?;
            }
            Item::Weekday => {
                self.name(WEEKDAYS)?;
            }
            Item::Hour => fields.hour = self.short(0, 23)?,
            Item::HourOfHalf => fields.hour_of_half = Some(self.short(1, 12)?),
            Item::Half => {
                fields.afternoon = match self.peek(0)? {
                    b'A' | b'a' => false,
                    b'P' | b'p' => true,
                    _ => return None,
                };
                matches!(self.peek(1)?, b'M' | b'm').then_some(())?;
                self.at += 2;
            }
            Item::Minute => fields.minute = self.short(0, 59)?,
            Item::Second => fields.second = self.short(0, 60)?,
            Item::Fraction(None) => fields.nanosecond = self.fraction()?,
            Item::Fraction(Some(digits)) => {
                let number = self.exactly(usize::from(*digits))? as u32;
                fields.nanosecond = number * 10_u32.pow(9 - u32::from(*digits));
            }
            Item::OptionalFraction => {
                if matches!(self.peek(0), Some(b'.' | b',')) && self.digit(1).is_some() {
                    self.at += 1;
                    fields.nanosecond = self.fraction()?;
                }
            }
            Item::Offset => fields.place = Place::Offset(self.offset()?),
            Item::OptionalOffset => {
                let at = self.at;
                let blank = self.peek(0) == Some(b' ');
                self.at += usize::from(blank);
                match self.offset() {
                    // Behind a blank, two digits or a letter may be anything.
                    Some(offset) if !blank || self.at >= at + 6 => {
                        fields.place = Place::Offset(offset);
                    }
                    _ => self.at = at,
                }
            }
            Item::Separator => {
                matches!(self.peek(0)?, b'T' | b't' | b' ').then_some(())?;
                self.at += 1;
            }
            Item::ZoneName => fields.place = self.zone_name()?,
            Item::Epoch => fields.epoch_ms = Some(self.exactly(10)? * 1000),
            Item::EpochMs => fields.epoch_ms = Some(self.exactly(13)?),
        }
        Some(())
    }
}
