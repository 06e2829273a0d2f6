//! What the user wrote, checked, and made into the rules that the stages define.
//!
//! The main file is TOML; `conf.d/*.toml` beside it may add log files. Whatever is wrong in any of
//! them is reported at its place, all at once. In their stead it may be a parameter of Systems Manager.

use std::path::PathBuf;
use std::time::Duration;

pub use diagnostics;
mod copy;
mod load;
mod parameter;
mod parse;
mod source;

pub use self::copy::{Copies, CopyError, Value};
pub use self::load::{load, load_text};
pub use self::parameter::{FetchError, Remote};
pub use self::source::{Source, SourceError};
use jiff::tz::TimeZone;

use crate::aws;
use crate::batch;
use crate::frame;
use crate::metering;
use crate::names::Template;
use crate::ship;
use crate::stamp::Format;
use crate::tail;
use crate::target::GroupClass;

/// Where `run`, `check` and `status` look if nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/baker-agent/baker-agent.toml";

/// Where the agent keeps its state if nobody says otherwise; copies of a parameter, too.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/baker-agent";

/// All that the configuration says, with the defaults for what it does not say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The files it was read from, the main one first; or a parameter, as [`Source`] shows it.
    pub sources: Vec<PathBuf>,
    /// Where the ledger and `status.sock` lie.
    pub state_dir: PathBuf,
    /// Who this host is; `None` asks the instance metadata service.
    pub instance_id: Option<String>,
    /// How the service is reached.
    pub aws: aws::Options,
    /// What the agent may take of this host.
    pub limits: Limits,
    /// When and how events are sent.
    pub ship: Ship,
    /// What is measured; `None` sends no metrics.
    pub metrics: Option<metering::Settings>,
    /// The log files, one entry for each `[[file]]`.
    pub files: Vec<FileSettings>,
}

/// What the agent may take of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// For request bodies: those being filled, those that wait, those under way.
    pub memory_bytes: usize,
    /// Requests under way at a time.
    pub in_flight: usize,
    /// Requests a second, over all streams.
    pub requests_per_second: u32,
    /// Log files that are followed; more are left out.
    pub files: usize,
    /// Log files that are held open at a time.
    pub open_files: usize,
    /// Unread bytes in rotated and deleted files.
    pub backlog_bytes: u64,
    /// Rotated and deleted files that are not fully read.
    pub backlog_files: usize,
    /// How often each file is looked at, at least, even where the kernel tells of every write.
    pub sweep: Duration,
}

/// When and how events are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ship {
    /// A busy stream's batch leaves when it is full, or this long after the one before it.
    pub flush_interval: Duration,
    /// After a request without an answer: how long until the stream shows whether it arrived.
    pub settle: Duration,
    /// After SIGTERM: how long to go on sending what was read.
    pub drain: Duration,
}

impl Settings {
    /// What differs in `other` and stands for as long as the agent runs: the ledger belongs to it, or batches that are under
    /// way. As it is named in the configuration.
    #[must_use]
    pub fn fixed(&self, other: &Self) -> Vec<&'static str> {
        let (aws, theirs) = (&self.aws, &other.aws);
        let spool = |settings: &Self| Some(settings.metrics.as_ref()?.spool_bytes);
        [
            ("agent.state_dir", self.state_dir != other.state_dir),
            ("agent.instance_id", self.instance_id != other.instance_id),
            ("agent.region", aws.region != theirs.region),
            (
                "agent.endpoint_url",
                aws.endpoint_url != theirs.endpoint_url,
            ),
            ("agent.profile", aws.profile != theirs.profile),
            ("agent.ca_bundle", aws.ca_bundle != theirs.ca_bundle),
            ("ship.compression", aws.gzip != theirs.gzip),
            ("metrics.spool", spool(self) != spool(other)),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            sources: Vec::new(),
            state_dir: PathBuf::from(DEFAULT_STATE_DIR),
            instance_id: None,
            aws: aws::Options {
                max_connections: limits.in_flight,
                ..aws::Options::default()
            },
            limits,
            ship: Ship::default(),
            metrics: None,
            files: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let (batch, ship, tail) = (
            batch::Limits::default(),
            ship::Limits::default(),
            tail::Limits::default(),
        );
        Self {
            memory_bytes: batch.memory_bytes,
            in_flight: ship.in_flight,
            requests_per_second: batch.requests_per_second,
            files: tail.files,
            open_files: tail.open_files,
            backlog_bytes: tail.backlog_bytes,
            backlog_files: tail.backlog_files,
            sweep: tail.sweep,
        }
    }
}

impl Default for Ship {
    fn default() -> Self {
        Self {
            flush_interval: batch::FLUSH_DEFAULT,
            settle: ship::SETTLE_DEFAULT,
            drain: Duration::from_secs(20),
        }
    }
}

/// One `[[file]]`: which files, where their events go, and how they are read.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// The patterns, and which files they leave out.
    pub set: tail::FileSet,
    /// The group's name, with placeholders.
    pub group: Template,
    /// The stream's name, with placeholders.
    pub stream: Template,
    /// What a group that the agent makes keeps; `None` is for ever.
    pub retention_days: Option<u32>,
    /// The class of a group that the agent makes.
    pub class: GroupClass,
    /// How bytes become events.
    pub rules: frame::Rules,
    /// How stamps are written; `None` takes the time of reading.
    pub format: Option<Format>,
    /// How stamps without a zone are meant.
    pub timezone: TimeZone,
    /// That is the host's zone, which may change.
    pub follows_host_zone: bool,
}

#[cfg(test)]
mod tests;
