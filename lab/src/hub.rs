//! The one place where AWS's records are read: fetched when a client changed something, when a host asked, and once in a while; shared with all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::records::{Control, Records};

/// Finds what no request announced (time-driven scaling, say).
const IDLE_INTERVAL: Duration = Duration::from_secs(2);

/// A consistent reading of all records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Published {
    /// Counts the askings that this reading answers.
    turn: u64,
    pub(crate) records: Arc<Records>,
}

/// Reads records and hands them on.
pub(crate) struct Hub {
    control: Control,
    wake: Arc<Notify>,
    asked: AtomicU64,
    published: watch::Sender<Published>,
}

impl Hub {
    /// `wake` is notified by the front door whenever a request may have changed a host.
    pub(crate) fn new(control: Control, wake: Arc<Notify>) -> Self {
        Self {
            control,
            wake,
            asked: AtomicU64::new(0),
            published: watch::Sender::new(Published::default()),
        }
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// The latest reading.
    pub(crate) fn records(&self) -> Arc<Records> {
        self.published.borrow().records.clone()
    }

    /// Every further reading.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Published> {
        self.published.subscribe()
    }

    /// Waits for a reading that began after this call.
    pub(crate) async fn refreshed(&self) {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        // Fails only when the hub is gone, and then nobody acts on records any more.
        let _ = self
            .subscribe()
            .wait_for(|published| published.turn >= turn)
            .await;
    }

    /// Reads until cancelled. `complain` is told of readings that failed.
    pub(crate) async fn run(&self, complain: impl Fn(&str)) {
        loop {
            let turn = self.asked.load(Ordering::SeqCst);
            match self.control.records().await {
                Ok(records) => drop(self.published.send_replace(Published {
                    turn,
                    records: Arc::new(records),
                })),
                Err(error) => complain(&format!("could not read the records: {error:#}")),
            }
            let _ = tokio::time::timeout(IDLE_INTERVAL, self.wake.notified()).await;
        }
    }
}
