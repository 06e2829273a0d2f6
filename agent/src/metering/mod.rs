//! The second line of the agent, from a look at the host to a metric in CloudWatch: config → sample → derive → spool → ship.

use std::time::Duration;

// The state machine, and the thread that it is on.
pub mod line;
mod run;

// Its parts, in the order in which a reading goes through them.
pub mod schedule;

pub mod own;

mod spread;

pub mod courier;

pub mod pack;

mod body;

mod refusal;

pub mod limits;

#[cfg(test)]
mod tests;

pub use run::{Base, Meter, StartError};

use crate::derive::{Rules, Wanted};
use crate::sample::Collect;

/// What the configuration says of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Between two looks at the host.
    pub interval: Duration,
    /// How fine CloudWatch stores it, in seconds: 1 or 60.
    pub resolution_s: u32,
    /// Under which metrics are filed.
    pub namespace: String,
    /// What is looked at.
    pub collect: Collect,
    /// What is told of it.
    pub rules: Rules,
    /// Dimensions of each metric, as far as the host has them.
    pub dimensions: Vec<String>,
    /// Sets of dimensions under which each metric is sent once more.
    pub rollups: Vec<Vec<String>>,
    /// What the spool may take of the disk.
    pub spool_bytes: u64,
    /// After a request without an answer: how long a point may take to show, until it is sent again.
    pub settle: Duration,
    /// An address of CloudWatch other than the region's own.
    pub endpoint_url: Option<String>,
}

/// Statistics of a new metric show within two minutes (User Guide of CloudWatch, "Publish custom metrics"), and the service may be late.
pub const SETTLE_DEFAULT: Duration = Duration::from_secs(180);

/// What is looked at if nobody says otherwise: each metric costs money.
pub const DEFAULT_COLLECT: [&str; 9] = [
    "cpu_usage_active",
    "cpu_usage_iowait",
    "mem_used_percent",
    "swap_used_percent",
    "disk_used_percent",
    "disk_inodes_free",
    "diskio_io_time",
    "netstat_tcp_established",
    "agent",
];

/// What each metric is told apart by.
pub const DIMENSIONS: [&str; 5] = [
    "InstanceId",
    "ImageId",
    "InstanceType",
    "AutoScalingGroupName",
    "host",
];

impl Default for Settings {
    fn default() -> Self {
        let wanted = Wanted::of(DEFAULT_COLLECT).unwrap_or_default();
        Self {
            interval: Duration::from_secs(60),
            resolution_s: 60,
            namespace: "CWAgent".into(),
            collect: Collect {
                families: wanted.families(),
                ..Collect::default()
            },
            rules: Rules { wanted },
            dimensions: DIMENSIONS[..4].iter().map(|name| (*name).into()).collect(),
            rollups: vec![vec!["AutoScalingGroupName".into()]],
            spool_bytes: 16 * 1024 * 1024,
            settle: SETTLE_DEFAULT,
            endpoint_url: None,
        }
    }
}
