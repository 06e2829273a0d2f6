//! Command lines for a host's shell: quoted, as root, with scripts that come from this program.

/// Quotes a word so that a POSIX shell takes it as it is.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Words as one command line.
pub(crate) fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(quote).collect();
    quoted.join(" ")
}

/// How a command of the login user becomes root's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// The login user is root.
    Already,
    /// Through `sudo`, which must not ask.
    Sudo,
}

impl Root {
    /// What it takes for this login user.
    pub(crate) fn of(user: &str) -> Self {
        if user == "root" {
            Self::Already
        } else {
            Self::Sudo
        }
    }

    /// Bash text run as root, with arguments.
    pub(crate) fn bash(self, text: &str, arguments: &[&str]) -> String {
        self.run(
            &["bash", "-euo", "pipefail", "-c", text, "baker"],
            arguments,
        )
    }

    /// POSIX shell text run as root, with arguments.
    pub(crate) fn sh(self, text: &str, arguments: &[&str]) -> String {
        self.run(&["sh", "-c", text, "baker"], arguments)
    }

    fn run(self, program: &[&str], arguments: &[&str]) -> String {
        let sudo: &[&str] = match self {
            Self::Already => &[],
            Self::Sudo => &["sudo", "-n", "--"],
        };
        line([sudo, program, arguments].concat())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_shell_gives_back_every_word(words in prop::collection::vec("[^\0]{0,12}", 1..5)) {
            let line = format!("printf '%s\\0' {}", line(words.iter().map(String::as_str)));
            let output = Command::new("sh").args(["-c", &line]).output().unwrap();
            let mut expected = words.join("\0").into_bytes();
            expected.push(0);
            prop_assert_eq!(output.stdout, expected);
        }
    }

    #[test]
    fn only_root_needs_no_sudo() {
        assert!(
            Root::of("ubuntu")
                .bash("id", &[])
                .starts_with("sudo -n -- bash ")
        );
        assert!(Root::of("root").bash("id", &[]).starts_with("bash "));
    }
}
