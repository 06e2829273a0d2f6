//! Where a configuration is from: a file of this host, or a parameter of Systems Manager.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What stands before a parameter's name.
const PARAMETER: &str = "ssm:";
/// The longest name, as an ARN with a selector.
/// Source: GetParameter, API reference.
const MAX_PARAMETER_BYTES: usize = 2048;

/// Where a configuration is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file; `conf.d` beside it is read, too.
    File(PathBuf),
    /// A parameter of Systems Manager by its name or ARN, with `:VERSION` or `:LABEL` behind it, or without.
    Parameter(String),
}

/// No parameter has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{PARAMETER} {0}; write {PARAMETER}/app/baker-agent, for example")]
pub struct SourceError(&'static str);

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(name) = text.strip_prefix(PARAMETER) else {
            return Ok(Source::File(text.into()));
        };
        // What else a name takes, the service knows.
        if name.is_empty() {
            return Err(SourceError("needs a parameter's name behind it"));
        }
        if name.len() > MAX_PARAMETER_BYTES {
            return Err(SourceError("takes names of 2,048 bytes at most"));
        }
        if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(SourceError("takes no spaces in a parameter's name"));
        }
        Ok(Source::Parameter(name.to_owned()))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Parameter(name) => write!(f, "{PARAMETER}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_parameter_is_told_from_a_file_and_both_are_shown_as_written() {
        for (text, source) in [
            ("/etc/a.toml", Source::File("/etc/a.toml".into())),
            ("ssm", Source::File("ssm".into())),
            ("./ssm:a", Source::File("./ssm:a".into())),
            ("ssm:/app/agent", Source::Parameter("/app/agent".into())),
            (
                "ssm:/app/agent:live",
                Source::Parameter("/app/agent:live".into()),
            ),
        ] {
            let read: Source = text.parse().unwrap();
            assert_eq!(read, source);
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn what_can_be_no_name_is_refused_with_an_example() {
        for text in ["ssm:", "ssm:/a b", "ssm:/a\n"] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(
                error.contains("write ssm:/app/baker-agent"),
                "{text:?}: {error}"
            );
        }
        assert!(
            format!("ssm:{}", "x".repeat(2049))
                .parse::<Source>()
                .is_err()
        );
    }
}
