//! What the process returns: one number for each thing that a caller may want to tell apart.

use std::process::ExitCode;

/// Why the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Ok = 0,
    /// A defect of the agent itself.
    Internal = 1,
    /// The command line or the configuration is not valid; nothing was read or sent.
    Usage = 2,
    /// The state directory can't be used: rights, another agent, a disk that fails.
    State = 3,
    /// `check` found something that would keep lines from being sent.
    Check = 4,
    /// The account does not add up: a defect of the agent, found by `status`.
    Account = 5,
    /// AWS refused, or could not be reached (`dashboard`).
    Service = 6,
    /// Stopped before all that was read had arrived. The next start goes on there.
    Unfinished = 7,
    /// Something was left out of what was made (`import`).
    Partial = 8,
    /// A second signal ended it at once. The next start goes on where the ledger stands.
    Interrupted = 130,
}

impl Exit {
    /// Every one of them, in order of number.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Internal,
        Self::Usage,
        Self::State,
        Self::Check,
        Self::Account,
        Self::Service,
        Self::Unfinished,
        Self::Partial,
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
            Self::Internal => "a defect of the agent itself",
            Self::Usage => "the command line or the configuration is not valid",
            Self::State => "the state directory can't be used: rights, another agent, the disk",
            Self::Check => "`check` found what would keep lines from being sent",
            Self::Account => "`status` found an account that does not add up",
            Self::Service => "AWS refused, or could not be reached",
            Self::Unfinished => "stopped before all had arrived; the next start goes on there",
            Self::Partial => "`import` left something out: stderr says what, and why",
            Self::Interrupted => "ended at once by a second signal; nothing is lost by it",
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
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]);
    }
}
