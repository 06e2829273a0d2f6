//! `timestamp_format`, and the pattern that it stands for in `multi_line_start_pattern`.

/// Part of a format of the CloudWatch agent's.
#[derive(Debug, PartialEq, Eq)]
enum Part<'t> {
    /// One of its symbols, without `%` and `-`.
    Symbol(char),
    /// A symbol of others', which it takes for text.
    Foreign(&'t str),
    Text(&'t str),
}

/// Its symbols ("timestamp_format", user guide; `%f` is in its translator). A `-` may stand before those of `LOOSE`.
const SYMBOLS: &str = "BbmAadHIMSYypZzf";
const LOOSE: &str = "mdIMS";

fn parts(format: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = format;
    while !rest.is_empty() {
        let text = rest.find('%').unwrap_or(rest.len());
        if text > 0 {
            parts.push(Part::Text(&rest[..text]));
            rest = &rest[text..];
            continue;
        }
        let mut characters = rest[1..].chars();
        let (first, second) = (characters.next(), characters.next());
        let length = match (first, second) {
            (Some('-'), Some(symbol)) if LOOSE.contains(symbol) => {
                parts.push(Part::Symbol(symbol));
                3
            }
            (Some(symbol), _) if SYMBOLS.contains(symbol) => {
                parts.push(Part::Symbol(symbol));
                2
            }
            (Some(symbol), _) => {
                let length = 1 + symbol.len_utf8();
                parts.push(Part::Foreign(&rest[..length]));
                length
            }
            (None, _) => {
                parts.push(Part::Text(rest));
                1
            }
        };
        rest = &rest[length..];
    }
    parts
}

/// The format in this agent's symbols, and the symbols in it that the other agent takes for text.
pub(super) fn format(format: &str) -> (String, Vec<&str>) {
    let mut written = String::new();
    let mut foreign = Vec::new();
    for part in parts(format) {
        match part {
            Part::Symbol(symbol) => {
                written.push('%');
                written.push(symbol);
            }
            Part::Foreign(symbol) => {
                foreign.push(symbol);
                written.push_str(symbol);
            }
            Part::Text(text) => written.push_str(&text.replace('%', "%%")),
        }
    }
    (written, foreign)
}

/// A regular expression of times in that format, anywhere in a line.
pub(super) fn pattern(format: &str) -> String {
    let mut pattern = String::new();
    for part in parts(format) {
        match part {
            Part::Symbol(symbol) => pattern.push_str(match symbol {
                'B' | 'A' => "[A-Za-z]+",
                'b' | 'a' => "[A-Za-z]{3}",
                // Padded with a zero, a blank or nothing.
                'm' | 'd' => r"\s?\d{1,2}",
                'H' | 'y' => r"\d{2}",
                'I' | 'M' | 'S' => r"\d{1,2}",
                'Y' => r"\d{4}",
                'p' => "[AaPp][Mm]",
                'Z' => "[A-Z]{3,5}",
                'z' => r"[+-]\d{4}",
                _ => r"\d{1,9}",
            }),
            Part::Foreign(text) | Part::Text(text) => {
                // Outside of a class, a hyphen is only itself.
                pattern.push_str(&regex::escape(text).replace(r"\-", "-"));
            }
        }
    }
    match pattern.strip_prefix(r"\s?") {
        Some(rest) => rest.to_owned(),
        None => pattern,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::stamp::Format;
    use regex::Regex;

    #[test]
    fn formats_of_the_guide_become_formats_of_ours() {
        for (theirs, ours, stamp) in [
            ("%b %d %H:%M:%S", "%b %d %H:%M:%S", "Nov  3 06:00:11"),
            (
                "%Y-%m-%d %H:%M:%S",
                "%Y-%m-%d %H:%M:%S",
                "2026-11-03 06:00:11",
            ),
            (
                "%d/%b/%Y:%H:%M:%S %z",
                "%d/%b/%Y:%H:%M:%S %z",
                "03/Nov/2026:06:00:11 +0000",
            ),
            (
                "[%Y-%m-%dT%H:%M:%S.%f%z",
                "[%Y-%m-%dT%H:%M:%S.%f%z",
                "[2026-11-03T06:00:11.123+0000",
            ),
            (
                "%-m/%-d/%y %-I:%-M:%-S %p",
                "%m/%d/%y %I:%M:%S %p",
                "3/4/26 6:00:11 PM",
            ),
            (
                "%B %d %Y %H:%M:%S %Z",
                "%B %d %Y %H:%M:%S %Z",
                "November 03 2026 06:00:11 UTC",
            ),
        ] {
            assert_eq!(format(theirs), (ours.to_owned(), Vec::new()), "{theirs}");
            Format::parse(ours).unwrap();
            let pattern = Regex::new(&pattern(theirs)).unwrap();
            assert!(
                pattern.is_match(&format!("x {stamp} y")),
                "{pattern} {stamp}"
            );
            assert!(!pattern.is_match("    at java.lang.Thread.run(Thread.java:748)"));
        }
    }

    #[test]
    fn symbols_that_it_does_not_know_are_named() {
        assert_eq!(format("%F %T"), ("%F %T".to_owned(), vec!["%F", "%T"]));
        assert_eq!(format("100%"), ("100%%".to_owned(), Vec::new()));
        assert_eq!(format("%ü"), ("%ü".to_owned(), vec!["%ü"]));
    }
}
