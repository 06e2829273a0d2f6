//! What the engine's thread waits on: answers, requests, and a bell.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Told;
use crate::config::Settings;
use crate::pipeline::OpenError;
use crate::ship::{Answer, CallId};
use crate::status::Status;

/// Something for the engine to deal with.
pub(super) enum Message {
    /// The service answered.
    Answer(CallId, Answer),
    /// What an answer told of the service's time.
    Time(Told),
    /// What became of the question for it.
    AskedTime(Told),
    /// The ledger can't be written (`Some`), or can be again.
    Ledger(Option<String>),
    /// Somebody asks how things stand.
    Report(tokio::sync::oneshot::Sender<Status>),
    /// Are you there? To be passed on to the ledger's thread.
    Beat(u64),
    /// Go on with other settings. Answered when that is so, or can't be.
    Reconfigure(
        Arc<Settings>,
        tokio::sync::oneshot::Sender<Result<(), OpenError>>,
    ),
    /// Read to the end, ship, and stop; within the limit that is configured.
    Drain,
}

#[derive(Default)]
struct Held {
    messages: Vec<Message>,
    rung: bool,
}

/// A queue that wakes one waiting thread.
#[derive(Default)]
pub(super) struct Inbox {
    held: Mutex<Held>,
    changed: Condvar,
}

impl Inbox {
    /// Wakes the engine to look at the files, however often it is rung meanwhile.
    pub(super) fn ring(&self) {
        let mut held = self.lock();
        if !held.rung {
            held.rung = true;
            self.changed.notify_one();
        }
    }

    pub(super) fn push(&self, message: Message) {
        self.lock().messages.push(message);
        self.changed.notify_one();
    }

    /// Waits until there is a message, the bell is rung, or `limit` has passed. Takes what is there.
    pub(super) fn wait(&self, limit: Duration) -> Vec<Message> {
        let mut held = self.lock();
        if held.messages.is_empty() && !held.rung && !limit.is_zero() {
            (held, _) = self
                .changed
                .wait_timeout_while(held, limit, |held| held.messages.is_empty() && !held.rung)
                .unwrap_or_else(PoisonError::into_inner);
        }
        held.rung = false;
        std::mem::take(&mut held.messages)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // A panic elsewhere leaves nothing half-done in here.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
