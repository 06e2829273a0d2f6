//! How stamps are written, and where they may begin.

use memchr::memmem;

use super::presets;
use super::syntax::{self, Item};

/// How stamps are written, and where they stand.
///
/// | directive | stands for |
/// | --- | --- |
/// | `%Y` `%y` | the year: four digits; two, for 1969 to 2068 |
/// | `%m` `%b` `%B` | the month: a number; its English name, short or in full |
/// | `%d` `%e` `%j` | the day: a number, with a zero, a blank or nothing in front; of the year, three digits |
/// | `%a` `%A` | a weekday, which is skipped |
/// | `%H` `%I` `%p` | the hour; that of half a day, with AM or PM |
/// | `%M` `%S` | the minute, the second; 60 is a leap second |
/// | `%f` `%3f` `%L` `%.f` | the fraction: any digits; three digits, both; with its point or comma, or nothing |
/// | `:%f` | behind a colon, up to three digits are a number of milliseconds: `:7` is 7 ms |
/// | `%z` `%?z` | `+0000`, `+00:00`, `+00` or `Z`; the same or nothing |
/// | `%Z` | a zone's short name |
/// | `%s` `%Q` | since 1970: seconds, ten digits; milliseconds, thirteen digits |
/// | `%T` `%R` `%F` `%D` | `%H:%M:%S`, `%H:%M`, `%Y-%m-%d`, `%m/%d/%y` |
/// | `%?T` `%?n` | `T` or a blank; white space or nothing |
/// | `%%` | a percent sign |
///
/// White space, `%n` and `%t` stand for any white space; everything else stands for itself.
///
/// A stamp is looked for where the last one stood, and then in the first 1,024 bytes of an event. With `^` in front, it has
/// to stand at the beginning.
#[derive(Debug, Clone)]
pub struct Format {
    /// Tried one after the other, the one that was found last first. Never empty.
    pub(super) ways: Vec<Way>,
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, other): (&Way, &Way)| {
            one.items == other.items && one.is_at_start() == other.is_at_start()
        };
        self.ways.len() == other.ways.len() && self.ways.iter().zip(&other.ways).all(same)
    }
}

/// One way to write a stamp.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) items: Vec<Item>,
    lead: Lead,
}

impl Way {
    fn is_at_start(&self) -> bool {
        matches!(self.lead, Lead::Start)
    }
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
        let items = syntax::items(text, 1 + usize::from(anchored))?;
        syntax::complete(&items)?;
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
        self.next(text, column, column + 1) == Some(column)
    }

    /// The first column from `from` on, and before `most`, where a stamp may begin.
    #[inline]
    pub(super) fn next(&self, text: &[u8], from: usize, most: usize) -> Option<usize> {
        match &self.lead {
            Lead::Start => (from == 0 && most > 0).then_some(0),
            Lead::Literal(finder) => {
                let to = text.len().min(most + finder.needle().len() - 1);
                finder.find(text.get(from..to)?).map(|at| from + at)
            }
            Lead::Digit => begins(text, from, most, u8::is_ascii_digit),
            Lead::Letter => begins(text, from, most, u8::is_ascii_alphabetic),
            Lead::Any => (from < text.len().min(most)).then_some(from),
        }
    }
}

/// The first column from `from` on, and before `most`, where a run of such bytes begins.
#[inline]
fn begins(text: &[u8], from: usize, most: usize, is: fn(&u8) -> bool) -> Option<usize> {
    let mut inside = from
        .checked_sub(1)
        .and_then(|before| text.get(before))
        .is_some_and(is);
    let bytes = text.get(from..text.len().min(most))?;
    let at = bytes
        .iter()
        .position(|byte| !std::mem::replace(&mut inside, is(byte)) && inside)?;
    Some(from + at)
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
                | Item::Milliseconds
                | Item::Epoch
                | Item::EpochMs,
            ) => Self::Digit,
            _ => Self::Any,
        }
    }
}
