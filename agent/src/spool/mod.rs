//! Metrics that CloudWatch has not taken yet, with the times at which they were measured, through restarts and outages.
//!
//! A log in segments of a fixed size, preallocated and used in turn: while everything is sent soon, the same two are written again and
//! again, and no block of the disk is ever asked for. In an outage segments are added, up to a limit; beyond it the oldest is given up,
//! and counted.
//!
//! What is in it are *readings* (what was measured at one instant), and what became of them: PutMetricData has no token that would make
//! it safe to repeat, so each request is written down before it leaves ([`Spool::intend`]). A request without an outcome is *open*: nobody
//! knows whether it arrived, and whoever sends finds out ([`Spool::open_ranges`]).

mod book;
mod codec;
mod folder;
#[cfg(test)]
pub(crate) mod memory;
mod segment;
mod store;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

pub use book::Range;
pub use folder::Folder;
pub use store::{Counts, Dropped, Found, Shelf, Spool};

/// A metric of this host, without what is said of the host itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Series {
    /// `disk_used_percent`.
    pub name: Cow<'static, str>,
    /// CloudWatch's word: `Percent`.
    pub unit: Cow<'static, str>,
    /// `path` = `/`.
    pub labels: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

/// What is said of the host with each of its metrics, at the time of measuring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Under which they are filed.
    pub namespace: String,
    /// `InstanceId` = `i-…`, in the order in which they are sent.
    pub dimensions: Vec<(String, String)>,
    /// Names of dimensions under which each metric is sent once more.
    pub rollups: Vec<Vec<String>>,
    /// How fine CloudWatch is to store it, in seconds: 1 or 60.
    pub resolution_s: u32,
}

/// What was measured at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Counts readings, through restarts.
    pub seq: u64,
    /// Milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// About which host.
    pub scope: Arc<Scope>,
    /// Each metric once.
    pub values: Vec<(Arc<Series>, f64)>,
}

/// What became of points, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// CloudWatch has them.
    Taken,
    /// CloudWatch does not want them.
    Rejected,
    /// They are older than CloudWatch takes.
    TooOld,
}
