//! A format's text into its parts.

use super::format::{Format, FormatError};

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
const DIRECTIVES: &str = "the directives are %Y %y %m %b %B %d %e %j %a %A %H %I %p %M %S %f %L %.f %z %?z %Z %s %Q %T %R %F %D %n %t %?n %?T %%";

/// A part of a stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Literal(Vec<u8>),
    Space,
    OptionalSpace,
    /// What stands between date and time.
    Separator,
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
    /// Behind a colon: not a fraction, but a number of milliseconds, as programs write it that put no zeros in front.
    Milliseconds,
    Offset,
    OptionalOffset,
    ZoneName,
    Epoch,
    EpochMs,
}

/// The items of a format whose first character is the `column`th.
pub(super) fn items(format: &str, column: usize) -> Result<Vec<Item>, FormatError> {
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
        "?T" => Item::Separator,
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
    let item = match (item, items.last()) {
        (Item::Fraction(None), Some(Item::Literal(before))) if before.ends_with(b":") => {
            Item::Milliseconds
        }
        (item, _) => item,
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
        Item::Literal(_) | Item::Space | Item::OptionalSpace | Item::Separator => None,
        Item::Year | Item::YearOfCentury => Some("the year"),
        Item::Month | Item::MonthName => Some("the month"),
        Item::Day => Some("the day"),
        Item::DayOfYear => Some("the day of the year"),
        Item::Weekday => Some("the weekday"),
        Item::Hour | Item::HourOfHalf => Some("the hour"),
        Item::Half => Some("the half of the day"),
        Item::Minute => Some("the minute"),
        Item::Second => Some("the second"),
        Item::Fraction(_) | Item::OptionalFraction | Item::Milliseconds => Some("the fraction"),
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
pub(super) fn complete(items: &[Item]) -> Result<(), FormatError> {
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
