//! How an endpoint behaves.

use std::time::Duration;

use super::faults::{Faults, Script};
use super::signature::Credentials;
use crate::logs::limits::CREATE_STREAM_PER_SECOND;

/// How the service behaves. `Settings::default()` is CloudWatch with its real limits, at once consistent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may ask; `None`: anybody, and signatures are not looked at.
    pub credentials: Option<Credentials>,
    /// Region of requests that are not signed.
    pub region: String,
    /// Each answer is this late; the request takes effect at once.
    pub latency: Duration,
    /// Each request takes effect this late, and is answered at once then, but for `latency`: those of several connections overtake each other.
    pub latency_before: Latency,
    /// Events and metric data are shown only this long after they were taken (CloudWatch is eventually consistent).
    pub visible_after: Duration,
    /// Calls of CreateLogStream in a second, per region; `None`: no limit.
    pub create_stream_per_second: Option<u32>,
    /// Calls of PutLogEvents in a second, per region; `None`: no limit. The service's own is a quota of the account.
    pub put_per_second: Option<u32>,
    /// Calls of PutMetricData in a second, per region; `None`: no limit. The service's own is a quota of the account.
    pub put_metrics_per_second: Option<u32>,
    /// What goes wrong from the start.
    pub faults: Script,
}

/// How long something takes: anything between the two, by chance. [`Script::seed`] decides what chance decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// At least.
    pub least: Duration,
    /// At most; less than `least` means that.
    pub most: Duration,
}

impl Latency {
    pub(super) fn draw(self, faults: &mut Faults) -> Duration {
        faults.between(self.least, self.most)
    }

    /// Reads `50ms`, or `30ms..90ms`.
    pub(super) fn parse(text: &str) -> Result<Self, humantime::DurationError> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        Ok(Self {
            least: humantime::parse_duration(least)?,
            most: humantime::parse_duration(most)?,
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: Some(Credentials::default()),
            region: "us-east-1".into(),
            latency: Duration::ZERO,
            latency_before: Latency::default(),
            visible_after: Duration::ZERO,
            create_stream_per_second: Some(CREATE_STREAM_PER_SECOND),
            put_per_second: None,
            put_metrics_per_second: None,
            faults: Script::default(),
        }
    }
}
