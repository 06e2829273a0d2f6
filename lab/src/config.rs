//! What a lab is asked to be: names, places, timings, and what its hosts may reach.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of one lab. `LabConfig::default()` is what `lab up` and the tests use.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabConfig {
    /// Name of the lab: names its bridge, namespaces, cgroup and folders.
    /// `None` gives each lab a fresh one.
    pub name: Option<String>,
    /// Holds one folder per running lab; all of it is removed with the lab.
    pub state_dir: PathBuf,
    /// Holds what is expensive to make and shared by all labs: the base disk and moto's virtual environment.
    pub cache_dir: PathBuf,
    /// Port of the front door on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Regions in which the catalog's images and parameters exist. The first one is the default.
    pub regions: Vec<String>,
    /// The distribution that hosts boot.
    pub base: BaseChoice,
    /// Names that hosts may reach besides the package registries this machine is configured for.
    pub allow_hosts: Vec<String>,
    /// How long AWS's intermediate states stay visible.
    pub timing: Timing,
}

impl Default for LabConfig {
    fn default() -> Self {
        Self {
            name: None,
            state_dir: "/var/lib/baker-lab".into(),
            cache_dir: "/var/cache/baker-lab".into(),
            port: 0,
            regions: vec!["us-east-1".into(), "eu-west-1".into()],
            base: BaseChoice::default(),
            allow_hosts: Vec::new(),
            timing: Timing::default(),
        }
    }
}

/// Which distribution the base disk is made of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseChoice {
    /// Suite name, such as `bionic` or `bookworm`.
    /// `None`: bionic where its archive answers, otherwise this machine's own distribution.
    pub suite: Option<String>,
    /// Mirror to take it from. `None`: the one in this machine's apt configuration for that suite, or debootstrap's own default.
    pub mirror: Option<String>,
}

/// The least time that each intermediate state is visible to a client. Real work (a boot, a copy) may make it longer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// An instance's `pending`.
    pub pending_ms: u64,
    /// An instance's `stopping`.
    pub stopping_ms: u64,
    /// An instance's `shutting-down`.
    pub shutting_down_ms: u64,
    /// An image's and its snapshot's `pending`.
    pub image_pending_ms: u64,
    /// How long an orderly shutdown may take before the host is cut off.
    pub shutdown_limit_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            pending_ms: 300,
            stopping_ms: 200,
            shutting_down_ms: 200,
            image_pending_ms: 500,
            shutdown_limit_ms: 30_000,
        }
    }
}

impl Timing {
    /// `pending_ms` as a duration.
    #[must_use]
    pub fn pending(&self) -> Duration {
        Duration::from_millis(self.pending_ms)
    }

    /// `stopping_ms` as a duration.
    #[must_use]
    pub fn stopping(&self) -> Duration {
        Duration::from_millis(self.stopping_ms)
    }

    /// `shutting_down_ms` as a duration.
    #[must_use]
    pub fn shutting_down(&self) -> Duration {
        Duration::from_millis(self.shutting_down_ms)
    }

    /// `image_pending_ms` as a duration.
    #[must_use]
    pub fn image_pending(&self) -> Duration {
        Duration::from_millis(self.image_pending_ms)
    }

    /// `shutdown_limit_ms` as a duration.
    #[must_use]
    pub fn shutdown_limit(&self) -> Duration {
        Duration::from_millis(self.shutdown_limit_ms)
    }
}
