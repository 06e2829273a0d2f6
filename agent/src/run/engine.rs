//! The engine's thread: steps, and between them whatever came in.

use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Ended;
use super::inbox::{Inbox, Message};
use super::keeper::Work;
use super::pulse::Pulse;
use crate::clock::Now;
use crate::pipeline::{Engine, Notice};

/// Monotonic time since the agent began, and the host's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) begin: Instant,
}

impl Clock {
    pub(super) fn now(self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            monotonic: self.begin.elapsed(),
            unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

/// The engine on its thread, until it has drained or the drain's limit has passed.
pub(super) fn drive(
    mut engine: Engine,
    clock: Clock,
    inbox: &Inbox,
    steps: &mpsc::Sender<Work>,
    mut drain: Duration,
    pulse: &Pulse,
    tell: impl Fn(Notice),
) -> Ended {
    let mut limit: Option<Instant> = None;
    loop {
        let step = engine.step(clock.now());
        let again = step.again;
        if !step.is_empty() && steps.send(Work::Step(step)).is_err() {
            return Ended::CutShort;
        }
        engine.notices().into_iter().for_each(&tell);
        let mut wait = match again {
            true => Duration::ZERO,
            false => engine.next().saturating_sub(clock.now().monotonic),
        };
        if let Some(limit) = limit {
            if engine.drained() {
                return Ended::Drained;
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ended::CutShort;
            }
            wait = wait.min(left);
        }
        for message in inbox.wait(wait) {
            let now = clock.now();
            match message {
                Message::Answer(id, answer) => engine.answer(id, answer, now),
                Message::Clock(ahead_ms) => engine.clock_ahead(ahead_ms),
                Message::Ledger(trouble) => engine.ledger_trouble(trouble),
                Message::Report(reply) => {
                    // Who asked may have gone.
                    let _ = reply.send(engine.report(now));
                }
                Message::Beat(number) => {
                    pulse.passed(number);
                    // Without a keeper the next step ends this.
                    let _ = steps.send(Work::Beat(number));
                }
                Message::Reconfigure(settings, reply) => {
                    let done = engine.reconfigure(&settings);
                    if done.is_ok() {
                        drain = settings.ship.drain;
                    }
                    let _ = reply.send(done);
                }
                Message::Drain => {
                    limit = Some(Instant::now() + drain);
                    engine.drain(now);
                }
            }
        }
    }
}
