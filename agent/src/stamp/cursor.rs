//! The words that stamps are made of: numbers, names, offsets.

use super::fields::Place;

/// A place in a text, and how far it has been looked at.
pub(super) struct Cursor<'t> {
    text: &'t [u8],
    pub(super) at: usize,
    /// One past the last byte that was looked at; one more than the text has, if its end was.
    pub(super) seen: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t [u8], at: usize) -> Self {
        Self { text, at, seen: at }
    }

    #[inline]
    pub(super) fn peek(&mut self, ahead: usize) -> Option<u8> {
        let at = self.at + ahead;
        let byte = self.text.get(at).copied();
        let seen = at.min(self.text.len()) + 1;
        self.seen = self.seen.max(seen);
        byte
    }

    #[inline]
    pub(super) fn digit(&mut self, ahead: usize) -> Option<u8> {
        self.peek(ahead)
            .filter(u8::is_ascii_digit)
            .map(|byte| byte - b'0')
    }

    /// A number of exactly so many digits.
    #[inline]
    pub(super) fn exactly(&mut self, digits: usize) -> Option<i64> {
        let mut number = 0;
        for ahead in 0..digits {
            number = number * 10 + i64::from(self.digit(ahead)?);
        }
        self.at += digits;
        Some(number)
    }

    /// A number of one or two digits, with or without a blank in front, in a range.
    #[inline]
    pub(super) fn short(&mut self, least: u8, most: u8) -> Option<u8> {
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
    pub(super) fn literal(&mut self, literal: &[u8]) -> Option<()> {
        let found = self.text[self.at..].starts_with(literal);
        self.at += literal.len();
        self.seen = self.seen.max(self.at);
        found.then_some(())
    }

    /// One of some names, short or in full, whatever their case; its index.
    pub(super) fn name(&mut self, names: &[&str]) -> Option<usize> {
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
    pub(super) fn space(&mut self) -> bool {
        let from = self.at;
        while self.peek(0).is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.at > from
    }

    /// Digits behind a decimal point, as nanoseconds; those beyond are dropped.
    pub(super) fn fraction(&mut self) -> Option<u32> {
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

    /// Up to three digits as milliseconds, or more as a fraction; in nanoseconds.
    pub(super) fn milliseconds(&mut self) -> Option<u32> {
        let from = self.at;
        let fraction = self.fraction()?;
        let place = match self.at - from {
            1 => 100,
            2 => 10,
            _ => 1,
        };
        Some(fraction / place)
    }

    /// `+0000`, `+00:00`, `+00` or `Z`, in seconds.
    pub(super) fn offset(&mut self) -> Option<i32> {
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

    pub(super) fn zone_name(&mut self) -> Option<Place> {
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
}
