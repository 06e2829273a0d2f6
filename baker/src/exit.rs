//! What the process returns: one number for each thing that a caller may want to tell apart.

use std::process::ExitCode;

/// Why the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Ok = 0,
    /// A defect of the baker itself.
    Internal = 1,
    /// The command line or a recipe is not valid; nothing was created.
    Usage = 2,
    /// Credentials, permissions or look-ups failed; nothing was created.
    Environment = 3,
    /// A step or a check failed on the host.
    Recipe = 4,
    /// The host could never be reached, or was lost.
    Host = 5,
    /// AWS refused a call, or a wait on AWS timed out.
    Aws = 6,
    /// Something that the bake made could not be removed.
    LeftBehind = 7,
    /// Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl Exit {
    /// Every one of them, in order of number.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Internal,
        Self::Usage,
        Self::Environment,
        Self::Recipe,
        Self::Host,
        Self::Aws,
        Self::LeftBehind,
        Self::Interrupted,
    ];

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What `--help` says of it.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Internal => "a defect of the baker itself",
            Self::Usage => "the command line or a recipe is not valid; nothing was created",
            Self::Environment => "credentials, permissions or look-ups; nothing was created",
            Self::Recipe => "a step or a check failed on the host",
            Self::Host => "the host could not be reached, or was lost",
            Self::Aws => "AWS refused a call, or a wait on it timed out",
            Self::LeftBehind => "something that the bake made could not be removed; it is named",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_callers_were_promised() {
        let numbers: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 130]);
    }
}
