//! A stamp's text into numbers.

use super::cursor::Cursor;
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
    let mut cursor = Cursor::new(text, column);
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

impl Cursor<'_> {
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
            Item::Milliseconds => fields.nanosecond = self.milliseconds()?,
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
