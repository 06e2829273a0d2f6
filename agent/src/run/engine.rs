//! The engine's thread: steps, and between them whatever came in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::Ended;
use super::inbox::{Inbox, Message};
use super::keeper::Work;
use super::pulse::Pulse;
use super::zone::HostZone;
use crate::clock::{Now, ServiceClock, host};
use crate::pipeline::{Engine, Notice};
use crate::target::Target;

/// The host's clock, and the service's time as far as it is known.
#[derive(Debug, Clone)]
pub(super) struct Clock(Arc<Mutex<ServiceClock>>);

impl Clock {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(ServiceClock::unknown())))
    }

    /// By the host's clock.
    pub(super) fn now(&self) -> Now {
        host::now()
    }

    /// By the service's, as far as that is known.
    pub(super) fn service_now(&self) -> Now {
        self.lock().correct(self.now())
    }

    fn know(&self, known: ServiceClock) {
        *self.lock() = known;
    }

    fn lock(&self) -> MutexGuard<'_, ServiceClock> {
        // A panic elsewhere leaves nothing half-done in here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where what the engine wants done goes.
pub(super) struct Outside<T: Fn(Notice)> {
    /// To the ledger, and from there to the service.
    pub(super) steps: mpsc::Sender<Work>,
    /// The service is asked for its time, by one of its streams.
    pub(super) asks: UnboundedSender<Arc<Target>>,
    /// To the operator.
    pub(super) tell: T,
}

/// The engine on its thread, until it has drained or the drain's limit has passed.
pub(super) fn drive(
    mut engine: Engine,
    clock: &Clock,
    inbox: &Inbox,
    outside: &Outside<impl Fn(Notice)>,
    mut drain: Duration,
    pulse: &Pulse,
) -> Ended {
    let Outside { steps, asks, tell } = outside;
    engine.await_time();
    let mut zone = HostZone::new(clock.now().monotonic);
    let mut limit: Option<Instant> = None;
    loop {
        let now = clock.now();
        let changed = zone.as_mut().and_then(|zone| zone.changed(now.monotonic));
        if let Some(zone) = changed {
            engine.set_host_zone(&zone);
        }
        let step = engine.step(now);
        let again = step.again;
        if !step.is_empty() && steps.send(Work::Step(step)).is_err() {
            return Ended::CutShort;
        }
        engine.notices().into_iter().for_each(tell);
        if let Some(target) = engine.asks_time() {
            // Without a receiver the agent is being stopped.
            let _ = asks.send(target);
        }
        let mut wait = match again {
            true => Duration::ZERO,
            false => engine.next().saturating_sub(clock.now().monotonic),
        };
        if let Some(limit) = limit {
            let left = limit.saturating_duration_since(Instant::now());
            if engine.drained() || left.is_zero() {
                engine.last_notices().into_iter().for_each(tell);
                return match engine.drained() && engine.left_bytes() == 0 {
                    true => Ended::Drained,
                    false => Ended::CutShort,
                };
            }
            wait = wait.min(left);
        }
        for message in inbox.wait(wait) {
            let now = clock.now();
            match message {
                Message::Answer(id, answer) => engine.answer(id, answer, now),
                Message::Time(told) => {
                    engine.hear(told, now);
                    clock.know(engine.clock());
                }
                Message::AskedTime(told) => engine.time_answered(told, now),
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
