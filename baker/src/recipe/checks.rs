//! What must hold on the host before it is sealed.

use std::fmt;
use std::time::Duration;

/// Something that must hold on the host before it is sealed (`[[check]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Name of the recipe that it stands in.
    pub recipe: String,
    /// How long the condition may take to become true.
    pub timeout: Duration,
    /// The condition.
    pub condition: Condition,
}

/// What a check looks at, and what it must find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `path`.
    Path {
        /// Absolute path on the host.
        path: String,
        /// Its owner's name.
        owner: Option<String>,
        /// Its group's name.
        group: Option<String>,
        /// Its permission bits, exactly.
        mode: Option<u32>,
        /// What it must be; anything if absent.
        kind: Option<PathKind>,
    },
    /// `service`.
    Service {
        /// Unit name.
        name: String,
        /// It runs (or must not).
        active: bool,
        /// It starts at boot (or must not).
        enabled: bool,
    },
    /// `port`: something on the host accepts TCP connections on it.
    Port(u16),
    /// `http`: fetched on the host itself.
    Http {
        /// `http://…` or `https://…`.
        url: String,
        /// The status it must answer.
        status: u16,
        /// Text that the body must hold.
        contains: Option<String>,
    },
    /// `command`: Bash text that must end with status 0.
    Command {
        /// The text.
        command: String,
        /// Who runs it.
        user: String,
    },
}

/// What a checked path must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

impl fmt::Display for Condition {
    /// What is looked at, in the recipe's own words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, .. } => write!(f, "path {path}"),
            Self::Service { name, .. } => write!(f, "service {name}"),
            Self::Port(port) => write!(f, "port {port}"),
            Self::Http { url, .. } => write!(f, "http {url}"),
            Self::Command { command, .. } => {
                let first = command.lines().map(str::trim).find(|line| !line.is_empty());
                write!(f, "command `{}`", first.unwrap_or_default())
            }
        }
    }
}
