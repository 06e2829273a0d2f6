//! What the agent says about itself: plain data, filled by the engine or from the ledger on disk.
//!
//! The account of each file is that of the ledger: bytes seen = shipped + filtered + rejected + lost + pending.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::{Fate, Filtered, Lost, Rejected};
use crate::ledger::State;

mod cost;
pub mod ledger;
pub mod socket;
mod text;

pub use self::cost::Cost;
pub use self::text::human;

/// The whole report. Ages and counters since the start are known only of an agent that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the agent that made the report.
    pub version: String,
    /// The instance whose account it is.
    pub instance_id: String,
    /// When it was made, in milliseconds since 1970 UTC.
    pub taken_unix_ms: i64,
    /// The process that ships; `None` if the report was made from the ledger on disk.
    pub running: Option<Running>,
    /// The generations that are followed or not fully sent.
    pub files: Vec<FileStatus>,
    /// The sum over generations that are settled and gone.
    pub gone: Account,
    /// The sum over all that was ever seen.
    pub totals: Account,
    /// Whether every account adds up, the totals are the sum of all, and nothing was refused that the account should have taken.
    pub conserved: bool,
    /// What goes wrong at present, with remedies.
    pub complaints: Vec<String>,
    /// How metrics stand; `None` if none are configured, or no agent runs.
    #[serde(default)]
    pub metrics: Option<Metering>,
}

/// How metrics stand, since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metering {
    /// Under which they are filed.
    pub namespace: String,
    /// Between two looks at the host.
    pub interval_ms: u64,
    /// False where the configuration has no metrics any more: what was measured is still sent.
    pub measures: bool,
    /// When the host was last measured, in milliseconds since 1970 UTC.
    pub measured_unix_ms: Option<i64>,
    /// Points that wait for CloudWatch, or are under way.
    pub spooled_points: u64,
    /// The room that they take on the disk.
    pub spool_bytes: u64,
    /// When the oldest of them was measured, in milliseconds since 1970 UTC.
    pub oldest_unix_ms: Option<i64>,
    /// Requests of which it is not known whether they arrived: they are looked for.
    pub in_doubt: u64,
    /// Data that CloudWatch took.
    pub sent: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Of them, those that failed; what they carried is tried again.
    pub failed: u64,
    /// Of those, the ones that the service throttled.
    pub throttled: u64,
    /// Points, or data made of them, that will never be sent, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// What went wrong last, if it still does.
    pub last_error: Option<String>,
}

impl Status {
    /// A report with its totals.
    #[must_use]
    pub fn new(
        instance_id: String,
        taken_unix_ms: i64,
        running: Option<Running>,
        files: Vec<FileStatus>,
        gone: Account,
        complaints: Vec<String>,
    ) -> Self {
        let mut totals = gone.clone();
        for file in &files {
            totals.merge(&file.account);
        }
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance_id,
            taken_unix_ms,
            running,
            conserved: totals.balances()
                && gone.balances()
                && files.iter().all(|file| file.account.balances()),
            files,
            gone,
            totals,
            complaints,
            metrics: None,
        }
    }

    /// Takes back that the account holds if anything was refused that it could not be true of.
    pub fn judge(&mut self, state: &State) {
        if let Some(refusals) = state.refusals() {
            self.conserved = false;
            self.complaints.insert(0, refusals.to_string());
        }
    }

    /// The report as one JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists only: there is nothing that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// What only a running agent knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// For how long.
    pub uptime_ms: u64,
    /// For how long the oldest line that was read has not arrived; `None` if all have.
    pub oldest_unshipped_ms: Option<u64>,
    /// Requests that were sent, of any kind.
    pub requests: u64,
    /// Of them, those that failed; what they carried is tried again.
    pub retries: u64,
    /// Of them, those that the service throttled.
    pub throttled: u64,
    /// Requests under way.
    pub in_flight: usize,
    /// Events at rest in CloudWatch Logs since the start.
    pub events_shipped: u64,
    /// Events without a time of their own that could be read: they took that of the line before them.
    pub stamps_of_previous: u64,
    /// The same, with no line before them: they took the time of reading.
    pub stamps_of_reading: u64,
    /// Events whose time was further ahead than the service takes: they took the time of reading.
    pub stamps_ahead: u64,
    /// Bytes that were no UTF-8 and were replaced.
    pub replaced: u64,
    /// Descriptors of log files that are open.
    pub open_files: usize,
    /// Files that are not followed because they are more than `limits.files`.
    #[serde(default)]
    pub left_out_files: usize,
    /// What the agent itself costs; `None` where that can't be read.
    #[serde(default)]
    pub cost: Option<Cost>,
}

/// One generation of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// The first pattern of its `[[file]]`.
    pub set: String,
    /// Where it is, or was last seen.
    pub path: String,
    /// Its number in the ledger.
    pub generation: u64,
    /// Whether bytes can still be added to it.
    pub ended: bool,
    /// Where its events go.
    pub group: String,
    /// Where its events go.
    pub stream: String,
    /// What became of its bytes.
    pub account: Account,
    /// For how long its oldest line that was read has not arrived; `None` if all have, or no agent runs.
    pub oldest_unshipped_ms: Option<u64>,
    /// What is wrong with it, or with where its events go, at present.
    pub last_error: Option<String>,
}

/// What became of bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Known to have been written.
    pub seen_bytes: u64,
    /// At rest in CloudWatch Logs.
    pub shipped_bytes: u64,
    /// Deliberately not sent, by reason.
    pub filtered_bytes: BTreeMap<String, u64>,
    /// Not taken by the service, by reason.
    pub rejected_bytes: BTreeMap<String, u64>,
    /// Not there to be sent, by reason.
    pub lost_bytes: BTreeMap<String, u64>,
    /// Not yet any of these.
    pub pending_bytes: u64,
}

impl Account {
    /// Adds bytes that met a fate. Neither `seen_bytes` nor `pending_bytes` is changed.
    pub fn settle(&mut self, fate: Fate, bytes: u64) {
        let reason = reason(fate);
        let sum = match fate {
            Fate::Shipped => &mut self.shipped_bytes,
            Fate::Filtered(_) => self.filtered_bytes.entry(reason.to_owned()).or_default(),
            Fate::Rejected(_) => self.rejected_bytes.entry(reason.to_owned()).or_default(),
            Fate::Lost(_) => self.lost_bytes.entry(reason.to_owned()).or_default(),
        };
        *sum = sum.saturating_add(bytes);
    }

    /// Adds another account.
    pub fn merge(&mut self, other: &Self) {
        let add = |sum: &mut u64, bytes: u64| *sum = sum.saturating_add(bytes);
        add(&mut self.seen_bytes, other.seen_bytes);
        add(&mut self.shipped_bytes, other.shipped_bytes);
        add(&mut self.pending_bytes, other.pending_bytes);
        for (mine, theirs) in [
            (&mut self.filtered_bytes, &other.filtered_bytes),
            (&mut self.rejected_bytes, &other.rejected_bytes),
            (&mut self.lost_bytes, &other.lost_bytes),
        ] {
            for (reason, bytes) in theirs {
                add(mine.entry(reason.clone()).or_default(), *bytes);
            }
        }
    }

    /// Whether every byte seen has exactly one fate or is pending.
    #[must_use]
    pub fn balances(&self) -> bool {
        let parts = [
            self.shipped_bytes,
            sum(&self.filtered_bytes),
            sum(&self.rejected_bytes),
            sum(&self.lost_bytes),
            self.pending_bytes,
        ];
        parts
            .iter()
            .try_fold(0_u64, |all, part| all.checked_add(*part))
            == Some(self.seen_bytes)
    }
}

/// All reasons together.
fn sum(reasons: &BTreeMap<String, u64>) -> u64 {
    reasons.values().fold(0, |all, b| all.saturating_add(*b))
}

/// What a reason is called in the report. Part of the interface.
pub(crate) fn reason(fate: Fate) -> &'static str {
    match fate {
        Fate::Shipped => "shipped",
        Fate::Filtered(Filtered::Pattern) => "pattern",
        Fate::Filtered(Filtered::Empty) => "empty",
        Fate::Filtered(Filtered::Hole) => "hole",
        Fate::Filtered(Filtered::BeforeStart) => "before_start",
        Fate::Filtered(Filtered::OtherInstance) => "other_instance",
        Fate::Rejected(Rejected::TooOld) => "too_old",
        Fate::Rejected(Rejected::TooNew) => "too_new",
        Fate::Rejected(Rejected::Expired) => "expired",
        Fate::Rejected(Rejected::Invalid) => "invalid",
        Fate::Lost(Lost::CopyTruncate) => "copytruncate",
        Fate::Lost(Lost::Deleted) => "deleted",
        Fate::Lost(Lost::Backlog) => "backlog",
        Fate::Lost(Lost::Unreadable) => "unreadable",
    }
}

#[cfg(test)]
mod tests;
