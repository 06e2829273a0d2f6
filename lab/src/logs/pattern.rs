//! Filter patterns of FilterLogEvents, as far as they are terms: `ERROR`, `"exact phrase"`, `?either ?or`, `-not`.

use super::limits::FILTER_PATTERN_CHARS;
use super::names;
use crate::endpoint::AwsError;

/// A pattern; matches everything if it holds no term.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `InvalidParameterException` for a broken pattern, and for the kinds that this endpoint does not know.
    pub(crate) fn parse(text: &str) -> Result<Self, AwsError> {
        names::length("filterPattern", text, 0, FILTER_PATTERN_CHARS)?;
        let mut pattern = Self::default();
        let mut rest = text.trim_start();
        for (sign, kind) in [
            ('{', "JSON"),
            ('[', "space-delimited"),
            ('%', "regular expression"),
        ] {
            if rest.starts_with(sign) {
                return Err(AwsError::invalid(format!(
                    "Invalid filter pattern: this endpoint does not support {kind} patterns (`{sign}…`), only terms"
                )));
            }
        }
        while !rest.is_empty() {
            let list = match rest.as_bytes() {
                [b'?', ..] => &mut pattern.any,
                [b'-', ..] => &mut pattern.none,
                _ => &mut pattern.all,
            };
            rest = rest.strip_prefix(['?', '-']).unwrap_or(rest);
            let (term, after) = term(rest)?;
            list.push(term);
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    /// Whether a message matches. Terms are case-sensitive.
    pub(crate) fn matches(&self, message: &str) -> bool {
        let has = |term: &String| message.contains(term.as_str());
        self.all.iter().all(has)
            && (self.any.is_empty() || self.any.iter().any(has))
            && !self.none.iter().any(has)
    }
}

/// The first term of `text`, and what follows it.
fn term(text: &str) -> Result<(String, &str), AwsError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut term = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => return Ok((term, &quoted[at + 1..])),
                '\\' => term.extend(chars.next().map(|(_, escaped)| escaped)),
                other => term.push(other),
            }
        }
        return Err(AwsError::invalid("Invalid filter pattern"));
    }
    let end = text
        .find(|char: char| char.is_whitespace())
        .unwrap_or(text.len());
    let (term, after) = text.split_at(end);
    // "Enclose exact phrases and terms that include non-alphanumeric characters in double quotation marks."
    let plain = |char: char| char.is_alphanumeric() || char == '_';
    if term.is_empty() || !term.chars().all(plain) {
        return Err(AwsError::invalid("Invalid filter pattern"));
    }
    Ok((term.to_owned(), after))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn terms_are_joined_as_the_service_joins_them() {
        let matches =
            |pattern: &str, message: &str| Pattern::parse(pattern).unwrap().matches(message);
        assert!(matches("", "anything"));
        assert!(matches("ERROR", "an ERROR here"));
        assert!(!matches("ERROR", "an error here"));
        assert!(matches("ERROR disk", "disk: ERROR"));
        assert!(!matches("ERROR disk", "net: ERROR"));
        assert!(matches("?ERROR ?WARN", "WARN x"));
        assert!(!matches("?ERROR ?WARN", "INFO x"));
        assert!(!matches("ERROR -disk", "disk: ERROR"));
        assert!(matches(
            r#""GET /a b" "say \"hi\"""#,
            r#"GET /a b, say "hi""#
        ));
    }

    #[test]
    fn what_is_not_understood_is_said_and_never_taken_for_a_term() {
        for pattern in [
            "{ $.a = 1 }",
            "[ip, user]",
            "%a.c%",
            "a.b",
            "\"open",
            "-",
            "a,b",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
