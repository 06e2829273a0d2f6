//! What happens during a bake, as plain data.
//!
//! Stages emit [`Event`]s through a cheap [`Events`] handle and never print; `progress` renders them and
//! records the timeline. An event holds no secret: what it carries may reach a terminal, a log, or a manifest.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::remote::OutputStream;

/// A stage of a bake, in flow order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Read-only look-ups.
    Facts,
    /// Facts and recipe become a plan.
    Plan,
    /// Security group and instance.
    Launch,
    /// The host answers SSH and has finished booting.
    Connect,
    /// The recipe's steps.
    Provision,
    /// The recipe's checks.
    Verify,
    /// The host is made image-clean.
    Seal,
    /// Stop, create the image, wait for it.
    Image,
    /// Whatever the bake made and does not keep is removed.
    CleanUp,
}

impl Stage {
    /// The stage's name as progress lines and the manifest show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Facts => "facts",
            Stage::Plan => "plan",
            Stage::Launch => "launch",
            Stage::Connect => "connect",
            Stage::Provision => "provision",
            Stage::Verify => "verify",
            Stage::Seal => "seal",
            Stage::Image => "image",
            Stage::CleanUp => "clean up",
        }
    }
}

/// How a stage or a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it was for.
    Ok,
    /// It failed; the error itself travels as the stage's result.
    Failed,
    /// The caller gave up on it (Ctrl-C, timeout of the whole bake).
    Interrupted,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A stage begins; stages do not overlap.
    StageStarted {
        /// Which one.
        stage: Stage,
    },
    /// The stage that was started last has ended.
    StageFinished {
        /// Which one.
        stage: Stage,
        /// How.
        outcome: Outcome,
    },
    /// A step (or a check) begins; steps do not overlap.
    StepStarted {
        /// What the recipe calls it, or what it does.
        name: String,
        /// Its layer's name; empty for a check.
        layer: String,
        /// Counted from 1.
        number: usize,
        /// How many there are in this stage.
        of: usize,
    },
    /// A line that the running step printed, without its line end.
    Output {
        /// Where it was printed.
        stream: OutputStream,
        /// The text, with control characters still in it.
        line: String,
    },
    /// The step that was started last has ended.
    StepFinished {
        /// How.
        outcome: Outcome,
    },
    /// A wait goes on; sent at every poll.
    Waiting {
        /// What for: `instance i-… to run`.
        what: String,
        /// What was seen last: `pending`, `connection refused`, `snapshot 40%`.
        detail: String,
        /// Since this wait began.
        elapsed: Duration,
    },
    /// Something exists that did not before.
    Created {
        /// `instance`, `security group`, `image`, `snapshot`.
        kind: &'static str,
        /// Its AWS id.
        id: String,
    },
    /// Something that the bake had made is gone.
    Removed {
        /// As in [`Event::Created`].
        kind: &'static str,
        /// Its AWS id.
        id: String,
    },
    /// An API call was sent again: throttled, or a server error.
    Retried {
        /// `ec2:RunInstances`.
        operation: String,
        /// Counted from 1: the second attempt is 2.
        attempt: u32,
    },
    /// Something went another way than wished, and the bake goes on.
    Warning {
        /// One sentence.
        message: String,
    },
    /// A fact worth a line: which image was found, which address is used.
    Note {
        /// One short phrase.
        message: String,
    },
    /// The bake is over: nothing follows.
    Ended,
}

/// An event and when it happened.
#[derive(Debug, Clone)]
pub struct Stamped {
    /// When it was emitted.
    pub at: Instant,
    /// What it was.
    pub event: Event,
}

/// The handle that stages take. Cheap to clone; emitting never blocks and never fails.
#[derive(Debug, Clone)]
pub struct Events {
    sender: mpsc::Sender<Stamped>,
}

impl Events {
    /// A handle and the end at which its events arrive.
    #[must_use]
    pub fn channel() -> (Events, mpsc::Receiver<Stamped>) {
        let (sender, receiver) = mpsc::channel();
        (Events { sender }, receiver)
    }

    /// A handle whose events go nowhere.
    #[must_use]
    pub fn discard() -> Events {
        Events::channel().0
    }

    /// Sends one event. Nobody listening any more is no reason to stop a bake.
    pub fn emit(&self, event: Event) {
        let _ = self.sender.send(Stamped {
            at: Instant::now(),
            event,
        });
    }

    /// Sends an [`Event::Warning`].
    pub fn warn(&self, message: impl Into<String>) {
        self.emit(Event::Warning {
            message: message.into(),
        });
    }

    /// Sends an [`Event::Note`].
    pub fn note(&self, message: impl Into<String>) {
        self.emit(Event::Note {
            message: message.into(),
        });
    }

    /// Runs `work` between the stage's start and its end, which depends on the result.
    ///
    /// # Errors
    /// Whatever `work` returns.
    pub async fn stage<T, E>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.emit(Event::StageStarted { stage });
        let mut end = StageEnd {
            events: self,
            stage,
            outcome: Outcome::Interrupted,
        };
        let result = work.await;
        end.outcome = match result {
            Ok(_) => Outcome::Ok,
            Err(_) => Outcome::Failed,
        };
        result
    }
}

/// Emits a stage's end even when its future is dropped half-way.
struct StageEnd<'a> {
    events: &'a Events,
    stage: Stage,
    outcome: Outcome,
}

impl Drop for StageEnd<'_> {
    fn drop(&mut self) {
        self.events.emit(Event::StageFinished {
            stage: self.stage,
            outcome: self.outcome,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(receiver: &mpsc::Receiver<Stamped>) -> Vec<Outcome> {
        receiver
            .try_iter()
            .filter_map(|stamped| match stamped.event {
                Event::StageFinished { outcome, .. } => Some(outcome),
                _ => None,
            })
            .collect()
    }

    #[tokio::test]
    async fn a_stage_ends_with_its_outcome() {
        let (events, receiver) = Events::channel();
        let _ = events.stage(Stage::Facts, async { Ok::<_, ()>(1) }).await;
        let _ = events.stage(Stage::Plan, async { Err::<(), _>(1) }).await;
        assert_eq!(finished(&receiver), [Outcome::Ok, Outcome::Failed]);
    }

    #[tokio::test]
    async fn a_dropped_stage_is_reported_as_interrupted() {
        let (events, receiver) = Events::channel();
        let forever = events.stage(Stage::Launch, std::future::pending::<Result<(), ()>>());
        let _ = tokio::time::timeout(Duration::from_millis(1), forever).await;
        assert_eq!(finished(&receiver), [Outcome::Interrupted]);
    }
}
