//! What could not be read of a host.

use std::path::{Path, PathBuf};

/// Something a sample does not tell, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// A file can't be read.
    #[error("can't be read: {error}; the metrics that come from it are left out until it can")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: String,
    },
    /// A file has lines that make no sense.
    #[error("line {line} makes no sense ({why}){}; what it tells is left out: please report it", and(*.others))]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The first such line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
        /// How many more lines make no sense.
        others: usize,
    },
    /// A mounted file system can't be asked for its space.
    #[error("can't be asked for its space: {error}")]
    Mount {
        /// Where it is mounted.
        path: PathBuf,
        /// What the system says.
        error: String,
    },
    /// A mounted file system does not answer.
    #[error(
        "does not answer; its metrics are left out until it does: look at its server, or unmount it"
    )]
    Silent {
        /// Where it is mounted.
        path: PathBuf,
    },
    /// A mount point was named, and nothing is mounted there.
    #[error("nothing is mounted there; mount it, or take it out of the configuration")]
    NotMounted {
        /// Where.
        path: PathBuf,
    },
    /// More sockets than can be counted at a bearable cost.
    #[error(
        "more than {limit_bytes} bytes of sockets, too many to count them this way; load the module tcp_diag, and allow netlink sockets to the agent"
    )]
    TooManySockets {
        /// Which file lists them.
        path: PathBuf,
        /// So much of it is read.
        limit_bytes: usize,
    },
    /// The agent's own process can't be measured.
    #[error("can't be measured")]
    Own {
        /// Its folder below `/proc`.
        path: PathBuf,
    },
}

impl Trouble {
    /// What it is about, so that it is told once until it changes.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. }
            | Self::Malformed { path, .. }
            | Self::Mount { path, .. }
            | Self::Silent { path }
            | Self::NotMounted { path }
            | Self::TooManySockets { path, .. }
            | Self::Own { path } => path,
        }
    }
}

/// Not how many: they change with each look, and the same complaint is told once.
fn and(others: usize) -> &'static str {
    match others {
        0 => "",
        _ => " and others neither",
    }
}
