//! Text of others on our reader's terminal.

/// What a host printed, made harmless for a terminal: no escape sequences, no control characters.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => match chars.next() {
                // CSI: parameters, then one final byte.
                Some('[') => {
                    chars.by_ref().find(|c| ('@'..='~').contains(c));
                }
                // OSC (window titles, links): up to BEL, or ESC and a backslash.
                Some(']') => {
                    while let Some(c) = chars.next() {
                        if c == '\x07' || (c == '\x1b' && chars.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                // Character sets and the like: one more byte.
                Some('(' | ')' | '#') => {
                    chars.next();
                }
                _ => {}
            },
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_titles_and_control_characters_are_gone_and_the_words_stay() {
        let hostile = "\x1b[2J\x1b]0;owned\x07a\x1b[31mred\x1b[0m\tb\u{9b}31m\r\x08";
        assert_eq!(clean(hostile), "ared b31m");
        assert_eq!(
            clean("[\x1b[0;32m  OK  \x1b[0m] Started é"),
            "[  OK  ] Started é"
        );
        assert_eq!(clean("cut off \x1b["), "cut off ");
    }
}
