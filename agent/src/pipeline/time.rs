//! Whose time it is: events are stamped and judged by the service's. While that is not known, nothing is read.
//!
//! A rejection is for ever, and so is a wrong stamp. So neither is decided on the word of a clock that nobody has compared: the bytes wait in
//! their files, and the service is asked.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::{Now, ServiceClock, Told};
use crate::target::Target;

use super::Engine;

/// So much a clock may be off before people are told: well below what the service refuses.
const TOLERANCE_MS: u64 = 60_000;
/// Between two questions that nobody answers.
const PAUSE: Duration = Duration::from_secs(1);
/// What complaints are about.
const SUBJECT: &str = "this host's clock";
/// What a complaint about time that is not known is about.
const UNKNOWN: &str = "CloudWatch's time";

/// The question for the time.
#[derive(Debug, Default)]
pub(super) struct Asking {
    under_way: bool,
    not_before: Duration,
    unanswered: u32,
}

impl Engine {
    /// From now on nothing is read until an answer has told the service's time: for an engine whose time is a host's. Otherwise the
    /// time that is handed in is the service's until an answer contradicts it.
    pub fn await_time(&mut self) {
        self.clock = ServiceClock::unknown();
    }

    /// Takes note of the time, and corrects it.
    pub(super) fn at(&mut self, host: Now) -> Now {
        self.now = host;
        self.books.at_ms = host.unix_ms;
        self.clock.correct(host)
    }

    /// Whether the service's time is known: what is not, is not read.
    pub(super) fn has_time(&self) -> bool {
        self.clock.is_known()
    }

    /// When the time has to be asked for, if lines wait for it.
    pub(super) fn asking_due(&self) -> Option<Duration> {
        let waits = !self.has_time() && !self.asking.under_way && self.asks_for().is_some();
        waits.then_some(self.asking.not_before)
    }

    fn asks_for(&self) -> Option<&Arc<Target>> {
        let mut ready = self.ready.iter();
        ready.find_map(|id| self.sources.get(id).map(|source| &source.target))
    }

    /// If lines wait for the service's time: one of their streams, to ask by. To be answered by [`Engine::hear`].
    pub fn asks_time(&mut self) -> Option<Arc<Target>> {
        self.asking_due().filter(|due| *due <= self.now.monotonic)?;
        let target = self.asks_for().map(Arc::clone)?;
        self.asking.under_way = true;
        Some(target)
    }

    /// What became of the question that [`Engine::asks_time`] asked.
    pub fn time_answered(&mut self, told: Told, now: Now) {
        self.asking.under_way = false;
        self.asking.unanswered = match told {
            Told::NoAnswer => self.asking.unanswered.saturating_add(1),
            Told::Time(_) | Told::Nothing => 0,
        };
        // Where an answer is to be confirmed by another one, that is asked for at once.
        self.asking.not_before = match self.asking.unanswered {
            0 => Duration::ZERO,
            _ => now.monotonic + PAUSE,
        };
        self.hear(told, now);
    }

    /// What an answer told of the service's time.
    pub fn hear(&mut self, told: Told, now: Now) {
        let before = self.clock.is_known();
        self.clock.hear(told, now);
        self.now = now;
        if self.clock.is_known() {
            self.asking.not_before = Duration::ZERO;
            self.troubles.clear(UNKNOWN);
        } else if before {
            self.troubles.report(
                UNKNOWN.into(),
                "an answer tells another time than those before: nothing is read until the next one confirms either".into(),
            );
        }
        self.judge_clock();
    }

    /// This host has another time zone now: stamps without one of their own are meant by it from the next line on.
    pub fn set_host_zone(&mut self, zone: &TimeZone) {
        for plan in self.plans.iter_mut().filter(|plan| plan.follows_host_zone) {
            plan.zone = zone.clone();
        }
        for source in self.sources.values_mut() {
            if self.plans[source.set].follows_host_zone {
                source.stamper.set_zone(zone.clone());
            }
        }
    }

    /// The clock, for those who share its time.
    #[must_use]
    pub fn clock(&self) -> ServiceClock {
        self.clock
    }

    /// Tells people when the host's clock is off.
    pub(super) fn judge_clock(&mut self) {
        let ahead_ms = self.clock.ahead_ms(self.now);
        if ahead_ms.unsigned_abs() < TOLERANCE_MS {
            self.troubles.clear(SUBJECT);
        } else if !self.troubles.stands(SUBJECT) {
            let direction = if ahead_ms > 0 { "ahead of" } else { "behind" };
            let off = Duration::from_secs(ahead_ms.unsigned_abs() / 1000);
            self.troubles.report(
                SUBJECT.into(),
                format!(
                    "it is {} {direction} CloudWatch's: events are judged, and lines without a time of their own stamped, by CloudWatch's; \
                     lines keep the wrong times that programs write into them. Let chrony or systemd-timesyncd set it",
                    humantime::format_duration(off)
                ),
            );
        }
    }
}
