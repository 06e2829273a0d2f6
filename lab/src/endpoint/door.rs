//! Whether connections are accepted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Open, or closed: then connections are refused, and those that were open are reset.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    state: Arc<watch::Sender<State>>,
    /// Whether the port behind the door is listened on, which follows the door; `None`: there is none, as in a lab's front door.
    listening: Arc<watch::Sender<Option<bool>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    open: bool,
    /// Counts the changes, so that a late opening does not undo a later closing.
    changes: u64,
}

impl Default for Door {
    fn default() -> Self {
        let open = State {
            open: true,
            changes: 0,
        };
        Self {
            state: Arc::new(watch::Sender::new(open)),
            listening: Arc::new(watch::Sender::new(None)),
        }
    }
}

impl Door {
    /// Opens or closes it.
    pub(crate) fn set(&self, open: bool) {
        self.state.send_modify(|state| {
            state.open = open;
            state.changes += 1;
        });
    }

    /// Closes it, and opens it after `time`, unless somebody else changed it meanwhile. Needs a runtime.
    pub(crate) fn close_for(&self, time: Duration) {
        self.set(false);
        let (door, changes) = (self.clone(), self.state.borrow().changes);
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            door.state.send_if_modified(|state| {
                let same = state.changes == changes;
                if same {
                    state.open = true;
                    state.changes += 1;
                }
                same
            });
        });
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state.borrow().open
    }

    /// Returns when it is open, or is not.
    pub(crate) async fn until(&self, open: bool) {
        // The sender is kept by this door, so there is always somebody to tell.
        let _ = self
            .state
            .subscribe()
            .wait_for(|state| state.open == open)
            .await;
    }

    /// Says whether the port is listened on now.
    pub(crate) fn set_listening(&self, listening: bool) {
        self.listening.send_replace(Some(listening));
    }

    /// Returns when the port is listened on, or is not; at once if there is none.
    pub(crate) async fn until_listening(&self, listening: bool) {
        // As above.
        let _ = self
            .listening
            .subscribe()
            .wait_for(|now| now.is_none_or(|now| now == listening))
            .await;
    }
}
