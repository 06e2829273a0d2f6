//! How stamps are written.

use memchr::memmem;

use super::presets;

pub(super) const MONTHS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: &[&str] = &[
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const DIRECTIVES: &str = "the directives are %Y %y %m %b %B %d %e %j %a %A %H %I %p %M %S %f %L %.f %z %?z %Z %s %Q %T %R %F %D %n %t %%";

/// How stamps are written, and where they stand.
///
/// Directives as `strptime` has them: `%Y` (4 digits), `%y` (2 digits: 1969 to 2068), `%m`, `%b` and `%B` (English names,
/// short or in full), `%d` and `%e` (a blank may stand for the zero), `%j` (3 digits), `%a` and `%A` (skipped), `%H`, `%I` with `%p`,
/// `%M`, `%S` (60 is a leap second), `%f` (a fraction of any length; `%3f` of three digits, as `%L`), `%.f` (with its point or comma, or not
/// there at all), `%z` (`+0000`, `+00:00`, `+00`, `Z`; `%?z` may be missing), `%Z` (a zone's short name), `%s` (seconds since 1970, 10 digits), `%Q`
/// (milliseconds, 13 digits), `%T` = `%H:%M:%S`, `%R` = `%H:%M`, `%F` = `%Y-%m-%d`, `%D` = `%m/%d/%y`, `%%`. White space, `%n` and `%t` stand for any white space;
/// everything else for itself.
///
/// A stamp is looked for where the last one stood, and then in the first 1,024 bytes of an event. With `^` in front, it has
/// to stand at the beginning.
#[derive(Debug, Clone)]
pub struct Format {
    /// Tried one after the other, the one that was found last first. Never empty.
    pub(super) ways: Vec<Way>,
}

/// One way to write a stamp.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) items: Vec<Item>,
    lead: Lead,
}

/// A part of a stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Literal(Vec<u8>),
    Space,
    OptionalSpace,
    Year,
    YearOfCentury,
    Month,
    MonthName,
    Day,
    DayOfYear,
    Weekday,
    Hour,
    HourOfHalf,
    Half,
    Minute,
    Second,
    /// Of so many digits, or of any number.
    Fraction(Option<u8>),
    OptionalFraction,
    Offset,
    OptionalOffset,
    ZoneName,
    Epoch,
    EpochMs,
}

/// What a stamp begins with: so it is looked for.
#[derive(Debug, Clone)]
enum Lead {
    /// It stands at the beginning.
    Start,
    Literal(Box<memmem::Finder<'static>>),
    /// The first digit of a number.
    Digit,
    /// The first letter of a word.
    Letter,
    /// There is no telling.
    Any,
}

/// A format that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}; {help}")]
pub struct FormatError {
    /// The character of the format, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Format {
    /// Understands a format.
    ///
    /// # Errors
    /// An unknown directive, or one that another needs and that is missing.
    pub fn parse(format: &str) -> Result<Self, FormatError> {
        Ok(Self {
            ways: vec![Way::parse(format)?],
        })
    }

    /// The format of a kind of log; `None` if there is none of that name.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        let preset = presets::PRESETS
            .iter()
            .find(|preset| preset.names.contains(&name))?;
        let ways: Result<Vec<Way>, FormatError> =
            preset.ways.iter().map(|way| Way::parse(way)).collect();
        // A test reads every preset.
        Some(Self { ways: ways.ok()? })
    }

    /// The names of all presets.
    pub fn presets() -> impl Iterator<Item = &'static str> {
        presets::PRESETS
            .iter()
            .flat_map(|preset| preset.names.iter().copied())
    }
}

impl Way {
    fn parse(format: &str) -> Result<Self, FormatError> {
        let (anchored, text) = match format.strip_prefix('^') {
            Some(text) => (true, text),
            None => (false, format),
        };
        let items = items(text, 1 + usize::from(anchored))?;
        complete(&items)?;
        let lead = if anchored {
            Lead::Start
        } else {
            Lead::of(&items)
        };
        Ok(Self { items, lead })
    }

    /// Whether a stamp may begin at `column`, by what it begins with.
    #[inline]
    pub(super) fn may_begin(&self, text: &[u8], column: usize) -> bool {
        let begins = |is: fn(&u8) -> bool| {
            let before = column.checked_sub(1).and_then(|before| text.get(before));
            text.get(column).is_some_and(is) && !before.is_some_and(is)
        };
        match &self.lead {
            Lead::Start => column == 0,
            Lead::Literal(finder) => text
                .get(column..)
                .is_some_and(|rest| rest.starts_with(finder.needle())),
            Lead::Digit => begins(u8::is_ascii_digit),
            Lead::Letter => begins(u8::is_ascii_alphabetic),
            Lead::Any => column < text.len(),
        }
    }

    /// The first column from `from` on, and before `most`, where a stamp may begin.
    #[inline]
    pub(super) fn next(&self, text: &[u8], from: usize, most: usize) -> Option<usize> {
        match &self.lead {
            Lead::Start => (from == 0).then_some(0),
            Lead::Literal(finder) => {
                let to = text.len().min(most + finder.needle().len());
                finder.find(text.get(from..to)?).map(|at| from + at)
            }
            _ => (from..text.len().min(most)).find(|&column| self.may_begin(text, column)),
        }
    }
}

impl Lead {
    fn of(items: &[Item]) -> Self {
        match items.first() {
            Some(Item::Literal(literal)) => {
                Self::Literal(Box::new(memmem::Finder::new(literal).into_owned()))
            }
            Some(Item::MonthName | Item::Weekday) => Self::Letter,
            Some(
                Item::Year
                | Item::YearOfCentury
                | Item::Month
                | Item::Day
                | Item::DayOfYear
                | Item::Hour
                | Item::HourOfHalf
                | Item::Minute
                | Item::Second
                | Item::Fraction(_)
                | Item::Epoch
                | Item::EpochMs,
            ) => Self::Digit,
            _ => Self::Any,
        }
    }
}

/// The items of a format whose first character is the `column`th.
fn items(format: &str, column: usize) -> Result<Vec<Item>, FormatError> {
    let mut items = Vec::new();
    let mut characters = format.chars().zip(column..).peekable();
    while let Some((character, column)) = characters.next() {
        if character.is_ascii_whitespace() {
            space(&mut items);
            continue;
        }
        if character != '%' {
            literal(&mut items, character);
            continue;
        }
        let mut directive = String::new();
        loop {
            let Some((character, _)) = characters.next() else {
                return Err(FormatError {
                    column,
                    message: "a directive that breaks off".to_owned(),
                    help: "write %% for a percent sign".to_owned(),
                });
            };
            directive.push(character);
            if !(directive.len() == 1 && matches!(character, '.' | '?' | ':' | '1'..='9')
                || directive.len() == 2 && directive.starts_with('.') && character.is_ascii_digit())
            {
                break;
            }
        }
        expand(&directive, column, &mut items)?;
    }
    Ok(items)
}

fn expand(directive: &str, column: usize, items: &mut Vec<Item>) -> Result<(), FormatError> {
    let item = match directive {
        "%" => {
            literal(items, '%');
            return Ok(());
        }
        "n" | "t" => {
            space(items);
            return Ok(());
        }
        "T" | "R" | "F" | "D" => {
            let long = match directive {
                "T" => "%H:%M:%S",
                "R" => "%H:%M",
                "F" => "%Y-%m-%d",
                _ => "%m/%d/%y",
            };
            for item in self::items(long, column)? {
                once(items, &item, directive, column)?;
                items.push(item);
            }
            return Ok(());
        }
        "?n" => Item::OptionalSpace,
        "Y" => Item::Year,
        "y" => Item::YearOfCentury,
        "m" => Item::Month,
        "b" | "B" | "h" => Item::MonthName,
        "d" | "e" => Item::Day,
        "j" => Item::DayOfYear,
        "a" | "A" => Item::Weekday,
        "H" | "k" => Item::Hour,
        "I" | "l" => Item::HourOfHalf,
        "p" | "P" => Item::Half,
        "M" => Item::Minute,
        "S" => Item::Second,
        "f" | "N" => Item::Fraction(None),
        "L" => Item::Fraction(Some(3)),
        "z" | ":z" => Item::Offset,
        "?z" => Item::OptionalOffset,
        "Z" => Item::ZoneName,
        "s" => Item::Epoch,
        "Q" => Item::EpochMs,
        _ => match directive.as_bytes() {
            [digits @ b'1'..=b'9', b'f' | b'N'] => Item::Fraction(Some(digits - b'0')),
            [b'.', b'f'] | [b'.', b'0'..=b'9', b'f'] => Item::OptionalFraction,
            _ => {
                return Err(FormatError {
                    column,
                    message: format!("the directive %{directive} is not known"),
                    help: format!("{DIRECTIVES}; write %% for a percent sign"),
                });
            }
        },
    };
    once(items, &item, directive, column)?;
    items.push(item);
    Ok(())
}

fn space(items: &mut Vec<Item>) {
    if items.last() != Some(&Item::Space) {
        items.push(Item::Space);
    }
}

fn literal(items: &mut Vec<Item>, character: char) {
    let mut bytes = [0; 4];
    let bytes = character.encode_utf8(&mut bytes).as_bytes();
    match items.last_mut() {
        Some(Item::Literal(literal)) => literal.extend_from_slice(bytes),
        _ => items.push(Item::Literal(bytes.to_vec())),
    }
}

/// Two directives for the same are a mistake: one of them would be ignored.
fn once(items: &[Item], item: &Item, directive: &str, column: usize) -> Result<(), FormatError> {
    let says = |item: &Item| match item {
        Item::Literal(_) | Item::Space | Item::OptionalSpace => None,
        Item::Year | Item::YearOfCentury => Some("the year"),
        Item::Month | Item::MonthName => Some("the month"),
        Item::Day => Some("the day"),
        Item::DayOfYear => Some("the day of the year"),
        Item::Weekday => Some("the weekday"),
        Item::Hour | Item::HourOfHalf => Some("the hour"),
        Item::Half => Some("the half of the day"),
        Item::Minute => Some("the minute"),
        Item::Second => Some("the second"),
        Item::Fraction(_) | Item::OptionalFraction => Some("the fraction"),
        Item::Offset | Item::OptionalOffset | Item::ZoneName => Some("the zone"),
        Item::Epoch | Item::EpochMs => Some("the time since 1970"),
    };
    match says(item) {
        Some(what) if items.iter().any(|other| says(other) == Some(what)) => Err(FormatError {
            column,
            message: format!("%{directive} gives {what} a second time"),
            help: "leave one of the two out, or write the text itself".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Whether a format says enough to be a time.
fn complete(items: &[Item]) -> Result<(), FormatError> {
    let has = |item: &Item| items.contains(item);
    let month = has(&Item::Month) || has(&Item::MonthName);
    let year = has(&Item::Year) || has(&Item::YearOfCentury);
    let (message, help) = if has(&Item::Epoch) || has(&Item::EpochMs) {
        return Ok(());
    } else if !has(&Item::Hour) && !has(&Item::HourOfHalf) {
        let presets: Vec<&str> = Format::presets().collect();
        let help = format!("write %H or %T, or take a preset: {}", presets.join(", "));
        ("the format has no hour", help)
    } else if has(&Item::HourOfHalf) != has(&Item::Half) {
        ("%I and %p need each other", "write both, or %H".to_owned())
    } else if has(&Item::Second) && !has(&Item::Minute) {
        (
            "the format has a second but no minute",
            "write %M".to_owned(),
        )
    } else if has(&Item::DayOfYear) && (!year || month) {
        (
            "%j needs a year, and no month",
            "write %Y, or %m and %d".to_owned(),
        )
    } else if month != has(&Item::Day) {
        (
            "a month and a day need each other",
            "write both, or none for times of the day alone".to_owned(),
        )
    } else if year && !month && !has(&Item::DayOfYear) {
        (
            "the format has a year but no day",
            "write %m and %d".to_owned(),
        )
    } else {
        return Ok(());
    };
    Err(FormatError {
        column: 1,
        message: message.to_owned(),
        help,
    })
}
