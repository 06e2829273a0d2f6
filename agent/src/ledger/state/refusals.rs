//! What could not be true of the account, remembered: an account that has refused something is not to be trusted any more.

use std::fmt;

use crate::ledger::Record;

/// So much is kept of what was refused first.
const WHAT_CHARS_MAX: usize = 300;

/// Records that the account has refused since the ledger began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    count: u64,
    what: String,
    at_ms: i64,
}

impl Refusals {
    pub(super) fn first(what: &str, at_ms: i64) -> Self {
        Self {
            count: 0,
            what: what.chars().take(WHAT_CHARS_MAX).collect(),
            at_ms,
        }
    }

    pub(super) fn add(&mut self, count: u64) {
        self.count = self.count.saturating_add(count);
    }

    pub(super) fn snapshot(&self) -> Record {
        Record::Refused {
            count: self.count,
            what: self.what.clone(),
            at_ms: self.at_ms,
        }
    }

    /// How many they were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = jiff::Timestamp::from_millisecond(self.at_ms)
            .map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
            .unwrap_or_default();
        write!(
            f,
            "the account does not hold since {since}: {} (refused so far: {}). Please report this. Lines go on being shipped; to begin \
             a new account, stop the agent, move ledger.a and ledger.b out of the state directory and start it again",
            self.what, self.count
        )
    }
}
