//! Notices that AWS would give a host before it takes the host away.

use std::collections::BTreeMap;
use std::sync::Mutex;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is announced to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeAction {
    /// A spot interruption that terminates (`spot/instance-action`, `spot/termination-time`).
    Terminate,
    /// A spot interruption that stops.
    Stop,
    /// A rebalance recommendation (`events/recommendations/rebalance`).
    Rebalance,
    /// An Auto Scaling group is about to terminate it (`autoscaling/target-lifecycle-state`).
    AutoscalingTerminate,
}

/// One notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What will happen.
    pub action: NoticeAction,
    /// When.
    pub at: Timestamp,
}

/// The notices of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<BTreeMap<String, Notice>>);

impl Notices {
    pub(crate) fn give(&self, instance: &str, notice: Notice) {
        self.lock().insert(instance.to_owned(), notice);
    }

    pub(crate) fn of(&self, instance: &str) -> Option<Notice> {
        self.lock().get(instance).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Notice>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
