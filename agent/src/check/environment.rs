//! Variables as systemd gives them to a unit. Pure.
//!
//! Source: systemd.exec(5), `Environment=` and `EnvironmentFile=`.

/// `Environment=`, as `systemctl show` prints it: assignments between spaces, those with spaces in quotes.
pub(super) fn assigned(value: &str) -> Vec<(String, String)> {
    words(value).iter().filter_map(|word| split(word)).collect()
}

/// A file of `EnvironmentFile=`: an assignment a line, `#` and `;` before comments, values in quotes or without.
pub(super) fn read(text: &str) -> Vec<(String, String)> {
    // A backslash at the end of a line goes on with the next.
    let text = text.replace("\\\n", "");
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.trim(), unquoted(value.trim())))
        .filter(|(name, _)| is_name(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn split(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    is_name(name).then(|| (name.to_owned(), value.to_owned()))
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// A value without its quotes, and without the backslashes that stand for the next character.
fn unquoted(value: &str) -> String {
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    let mut plain = String::new();
    let mut letters = inner.unwrap_or(value).chars();
    while let Some(letter) = letters.next() {
        match letter {
            // Between single quotes it is a character like any other.
            '\\' if !value.starts_with('\'') => plain.extend(letters.next()),
            letter => plain.push(letter),
        }
    }
    plain
}

/// Splits at spaces that are in no quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted != Some('\'') => {
                word.get_or_insert_default().extend(letters.next());
            }
            '"' | '\'' if quoted.is_none() => {
                quoted = Some(letter);
                word.get_or_insert_default();
            }
            letter if quoted == Some(letter) => quoted = None,
            ' ' if quoted.is_none() => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_file_is_read_as_systemd_reads_it() {
        let text = "# a comment\n; another\nAWS_REGION=eu-west-1\n  HTTPS_PROXY = \"http://p:1\" \nA='b \\n'\nB=c\\\nd\nEMPTY=\n\
                    export NOT=this\nnonsense\n1A=x\nQ=\"a\\\"b\"\n";
        assert_eq!(
            read(text),
            pairs(&[
                ("AWS_REGION", "eu-west-1"),
                ("HTTPS_PROXY", "http://p:1"),
                ("A", "b \\n"),
                ("B", "cd"),
                ("EMPTY", ""),
                ("Q", "a\"b"),
            ])
        );
    }

    #[test]
    fn what_systemctl_shows_is_read() {
        assert_eq!(
            assigned(r#"AWS_PROFILE=logs "A=b c" 'D=e' F= G=\"h"#),
            pairs(&[
                ("AWS_PROFILE", "logs"),
                ("A", "b c"),
                ("D", "e"),
                ("F", ""),
                ("G", "\"h"),
            ])
        );
        assert_eq!(assigned(""), Vec::new());
    }
}
