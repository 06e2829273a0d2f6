//! Text that somebody else wrote, before it is shown: names of files, lines of logs, words of a service.
//!
//! A terminal obeys some characters instead of showing them: it moves its cursor, changes its title, answers as if its user had typed, or turns
//! the order of a line round. A line end ends more than a line where each line means something, such as in the journal. So nothing goes to a
//! reader as it is, but through one of these.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a terminal may do something else with the character than show it, or show nothing where one is.
#[must_use]
pub fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Marks of direction, and those that turn it round (Unicode Standard Annex 9).
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Other line ends.
            | '\u{2028}' | '\u{2029}'
            // Nothing to be seen: zero width, joiners, invisible operators, fillers, the byte order mark, tags.
            | '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text on one line, with an escape for each character that is harmful: `\n`, `\x1b`, `\u{202e}`.
#[must_use]
pub fn inline(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// The same, but lines stay lines. For a text whose line ends are one's own.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character != '\n' && is_harmful(character))
}

/// The same for a text in which nothing but one's own colours begins with an escape character.
#[must_use]
pub fn painted(text: &str) -> Cow<'_, str> {
    escaped(text, |character| {
        !matches!(character, '\n' | '\x1b') && is_harmful(character)
    })
}

/// A JSON document that means the same, with JSON's own escape for each character that is harmful. Its layout stays.
#[must_use]
pub fn json(document: &str) -> Cow<'_, str> {
    let harmful = |character| character != '\n' && is_harmful(character);
    if !document.contains(harmful) {
        return Cow::Borrowed(document);
    }
    let mut text = String::with_capacity(document.len() + 64);
    for character in document.chars() {
        if !harmful(character) {
            text.push(character);
            continue;
        }
        // Outside of its strings, a document has none of them but line ends.
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a String can't fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    Cow::Owned(text)
}

fn escaped(text: &str, harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            c if !harmful(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // Writing to a String can't fail.
            c if c.is_ascii() => _ = write!(shown, "\\x{:02x}", u32::from(c)),
            c => _ = write!(shown, "\\u{{{:x}}}", u32::from(c)),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a name may hold, and how it is shown.
    const NAMES: [(&str, &str); 9] = [
        ("/var/log/syslog", "/var/log/syslog"),
        (
            "/var/log/Überlauf 日誌 🙂.log",
            "/var/log/Überlauf 日誌 🙂.log",
        ),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("a\u{9b}31m", "a\\u{9b}31m"),
        ("evil\u{202e}gol.exe", "evil\\u{202e}gol.exe"),
        (
            "a\u{2028}b\u{200b}c\u{feff}",
            "a\\u{2028}b\\u{200b}c\\u{feff}",
        ),
        ("\u{e0041}\0\u{7f}", "\\u{e0041}\\x00\\x7f"),
        ("C:\\n", "C:\\n"),
    ];

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_an_escape() {
        for (name, shown) in NAMES {
            assert_eq!(inline(name), shown);
            assert!(!inline(name).contains(is_harmful));
            assert_eq!(inline(&inline(name)), shown, "it can be done twice");
        }
        assert_eq!(lines("a\nb\x1b"), "a\nb\\x1b");
        assert_eq!(painted("\x1b[31m\u{9b}"), "\x1b[31m\\u{9b}");
        assert!(matches!(inline("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_document_means_the_same_and_holds_nothing_that_a_terminal_obeys() {
        for (name, _) in NAMES {
            let value = serde_json::json!({ "path": name, "more": [name] });
            let document = serde_json::to_string_pretty(&value).unwrap_or_default();
            let shown = json(&document);
            assert!(!shown.replace('\n', "").contains(is_harmful), "{shown}");
            assert_eq!(shown.parse::<serde_json::Value>().ok(), Some(value));
        }
    }
}
