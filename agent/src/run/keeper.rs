//! The thread that writes the ledger: what must be durable before a call leaves, is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::UnboundedSender;

use crate::ledger::{Record, State, Store};
use crate::pipeline::Step;
use crate::ship::{Call, What};

use super::inbox::{Inbox, Message};
use super::pulse::Pulse;

/// Between two tries to write the ledger, on a disk that is full or broken. Nothing is shipped meanwhile.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A call that may leave, with the hash of its body where it is known.
pub(super) struct Outgoing {
    pub(super) call: Call,
    pub(super) sha256: Option<[u8; 32]>,
}

/// What the engine hands on.
pub(super) enum Work {
    /// Records and calls.
    Step(Step),
    /// A question whether anybody is there, by its number.
    Beat(u64),
}

/// Writes down each step and hands on its calls, until the engine is gone.
pub(super) struct Keeper {
    pub(super) store: Store,
    /// The same fold as the engine's, for compaction; here with the hashes.
    pub(super) state: State,
    pub(super) steps: Receiver<Work>,
    pub(super) calls: UnboundedSender<Outgoing>,
    pub(super) inbox: Arc<Inbox>,
    /// Where beats come back.
    pub(super) pulse: Arc<Pulse>,
    /// Set when the agent ends: a ledger that can't be written then is no reason to wait.
    pub(super) ending: Arc<AtomicBool>,
}

impl Keeper {
    pub(super) fn run(mut self) {
        while let Ok(work) = self.steps.recv() {
            // All steps that wait become durable together.
            let mut beat = None;
            let mut steps = Vec::new();
            for work in std::iter::once(work).chain(self.steps.try_iter()) {
                match work {
                    Work::Step(step) => steps.push(step),
                    Work::Beat(number) => beat = Some(number),
                }
            }
            self.keep(steps);
            if let Some(number) = beat {
                self.pulse.returned(number);
            }
        }
        if let Err(error) = self.store.commit() {
            self.inbox.push(Message::Ledger(Some(error.to_string())));
        }
    }

    fn keep(&mut self, steps: Vec<Step>) {
        let mut outgoing = Vec::new();
        let mut durable = false;
        for mut step in steps {
            durable |= step.is_binding();
            for call in step.calls {
                let sha256 = match &call.what {
                    What::Put {
                        body, batch, first, ..
                    } => {
                        let sha256: [u8; 32] = Sha256::digest(body).into();
                        if *first {
                            note_hash(&mut step.records, *batch, sha256);
                        }
                        Some(sha256)
                    }
                    _ => None,
                };
                outgoing.push(Outgoing { call, sha256 });
            }
            for record in &step.records {
                // The engine has applied the same records to the same state and told of any that does not fit.
                let _ = self.state.apply(record);
            }
            self.store.append(&step.records);
        }
        if !self.write(durable) {
            // What must not leave without its intent does not leave.
            return;
        }
        for call in outgoing {
            // Without a receiver the agent is being stopped: the intent is written, the next start deals with it.
            let _ = self.calls.send(call);
        }
        if self.store.is_large()
            && let Err(error) = self.store.compact(&self.state.snapshot())
        {
            self.inbox.push(Message::Ledger(Some(error.to_string())));
        }
    }

    /// Writes what was appended; returns when it is durable, if it has to be. False if the agent ended before.
    fn write(&mut self, durable: bool) -> bool {
        if !durable {
            // What need not be durable goes with the next commit.
            let _ = self.store.flush();
            return true;
        }
        let mut failed = false;
        while let Err(error) = self.store.commit() {
            if self.ending.load(Ordering::Relaxed) {
                return false;
            }
            if !failed {
                self.inbox.push(Message::Ledger(Some(error.to_string())));
            }
            failed = true;
            // A full disk is no hang: whoever started the agent anew would change nothing.
            self.pulse.waits_for_the_disk();
            thread::sleep(RETRY_PAUSE);
        }
        if failed {
            self.inbox.push(Message::Ledger(None));
        }
        true
    }
}

/// Completes the intent of `batch` with the hash of its body.
fn note_hash(records: &mut [Record], batch: crate::account::BatchId, hash: [u8; 32]) {
    for record in records {
        if let Record::Intent(intent) = record
            && intent.batch == batch
        {
            intent.sha256 = hash;
        }
    }
}
