//! Time, handed in: stages have no clock of their own. And whose time it is: the service's, which judges every event.
//!
//! The service refuses what is too old or too new by *its* clock, for ever, and people look for events by it. This host's clock may be
//! wrong by hours, and may jump. What does not jump is the monotonic clock, so the service's time is kept as a distance from that:
//! the date of every answer gives it to within a second, and a jump of the host's clock changes nothing of it.

use std::time::Duration;

pub mod host;

/// One instant, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time since an arbitrary start; never goes back. For waits, ages and intervals.
    pub monotonic: Duration,
    /// Milliseconds since 1970-01-01 UTC. By the host's clock, which may jump, where it is handed in; by the service's inside of the
    /// engine, which [corrects](ServiceClock::correct) it. For time stamps only.
    pub unix_ms: i64,
}

/// A host's clock that is no further from the service's is taken for right, to the millisecond.
const RIGHT_MS: i64 = 2_000;
/// By how much the monotonic clock may run fast or slow, in parts of a million: no more than an NTP daemon may make it (adjtimex(2)).
const DRIFT_PPM: u128 = 500;
/// The beginning of 2020. An answer with an earlier date is from something that does not know the time.
const EARLIEST_MS: i64 = 1_577_836_800_000;
/// An answer that took longer tells too little.
const SLOWEST: Duration = Duration::from_secs(60);

/// What an answer told of the service's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// When its request was sent, on the monotonic clock.
    pub sent: Duration,
    /// When it came.
    pub received: Duration,
    /// Its date, in milliseconds since 1970-01-01 UTC: the beginning of a second.
    pub date_ms: i64,
}

/// What became of the question for the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The time.
    Time(Measure),
    /// There was an answer, and it had no date: nobody will tell.
    Nothing,
    /// Nobody answered.
    NoAnswer,
}

/// How far the service's time is from the monotonic clock: between the two, at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    least_ms: i64,
    most_ms: i64,
    at: Duration,
}

impl Bounds {
    fn of(measure: Measure) -> Option<Self> {
        let took = measure.received.checked_sub(measure.sent)?;
        let sensible = took <= SLOWEST && measure.date_ms >= EARLIEST_MS;
        sensible.then(|| Self {
            least_ms: measure.date_ms.saturating_sub(ms(measure.received)),
            most_ms: measure
                .date_ms
                .saturating_add(1_000)
                .saturating_sub(ms(measure.sent)),
            at: measure.received,
        })
    }

    /// The same at a later instant, when less is certain.
    fn later(self, at: Duration) -> Self {
        let since = at.saturating_sub(self.at).as_millis();
        let drift_ms = i64::try_from(since * DRIFT_PPM / 1_000_000).unwrap_or(i64::MAX);
        Self {
            least_ms: self.least_ms.saturating_sub(drift_ms),
            most_ms: self.most_ms.saturating_add(drift_ms),
            at: self.at.max(at),
        }
    }

    /// What both say, if they agree.
    fn and(self, other: Self) -> Option<Self> {
        let at = self.at.max(other.at);
        let (one, other) = (self.later(at), other.later(at));
        let both = Self {
            least_ms: one.least_ms.max(other.least_ms),
            most_ms: one.most_ms.min(other.most_ms),
            at,
        };
        (both.least_ms <= both.most_ms).then_some(both)
    }

    /// Whether a clock at that distance is right.
    fn holds(self, distance_ms: i64) -> bool {
        (self.least_ms.saturating_sub(RIGHT_MS)..=self.most_ms.saturating_add(RIGHT_MS))
            .contains(&distance_ms)
    }
}

/// The service's time, as far as answers have told it.
///
/// A host's clock and an answer that agree are believed at once. An answer that contradicts what is known (the host's clock, or the
/// answers before) is believed when the next one says the same: until then the time is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceClock {
    /// Without an answer, the host's clock is as good as any.
    trusts_host: bool,
    known: Option<Bounds>,
    /// What the last answer said, if it contradicted what was known.
    doubted: Option<Bounds>,
}

impl ServiceClock {
    /// Believes the host until an answer contradicts it.
    #[must_use]
    pub fn trusting() -> Self {
        Self {
            trusts_host: true,
            known: None,
            doubted: None,
        }
    }

    /// Knows no time before an answer has told it.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            trusts_host: false,
            ..Self::trusting()
        }
    }

    /// Takes what an answer told; `host` is the host's time when that is heard.
    pub fn hear(&mut self, told: Told, host: Now) {
        let measured = match told {
            Told::Time(measure) => Bounds::of(measure),
            Told::Nothing => {
                self.trusts_host |= self.known.is_none();
                return;
            }
            Told::NoAnswer => None,
        };
        let Some(measured) = measured else {
            return;
        };
        let agreed = [self.known, self.doubted]
            .into_iter()
            .flatten()
            .find_map(|before| before.and(measured));
        let agreed = agreed.or_else(|| measured.holds(distance_ms(host)).then_some(measured));
        match agreed {
            Some(bounds) => (self.known, self.doubted) = (Some(bounds), None),
            None => self.doubted = Some(measured),
        }
    }

    /// Whether the time is known just now.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.doubted.is_none() && (self.trusts_host || self.known.is_some())
    }

    /// `host` with the service's time, or the host's own where nothing better is known.
    #[must_use]
    pub fn correct(&self, host: Now) -> Now {
        let Some(bounds) = self.known.map(|known| known.later(host.monotonic)) else {
            return host;
        };
        let distance_ms = distance_ms(host);
        if bounds.holds(distance_ms) {
            return host;
        }
        let right_ms = distance_ms.clamp(bounds.least_ms, bounds.most_ms);
        Now {
            unix_ms: ms(host.monotonic).saturating_add(right_ms),
            ..host
        }
    }

    /// By how much the host's clock is ahead of the service's, in milliseconds: zero if it is right, or nothing is known.
    #[must_use]
    pub fn ahead_ms(&self, host: Now) -> i64 {
        host.unix_ms.saturating_sub(self.correct(host).unix_ms)
    }
}

/// How far the host's clock is from the monotonic one.
fn distance_ms(host: Now) -> i64 {
    host.unix_ms.saturating_sub(ms(host.monotonic))
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The service's time when the monotonic clock is at zero.
    const SERVICE_MS: i64 = 1_795_411_275_400;
    const HOUR_MS: i64 = 3_600_000;

    /// The host's idea of an instant, with a clock that is so far ahead.
    fn host(monotonic_ms: u64, ahead_ms: i64) -> Now {
        Now {
            monotonic: Duration::from_millis(monotonic_ms),
            unix_ms: SERVICE_MS + monotonic_ms as i64 + ahead_ms,
        }
    }

    /// An answer that came then, and took so long; the service looked at its clock on the half of the way.
    fn answer(monotonic_ms: u64, took_ms: u64) -> Told {
        let looked_ms = SERVICE_MS + (monotonic_ms - took_ms / 2) as i64;
        Told::Time(Measure {
            sent: Duration::from_millis(monotonic_ms - took_ms),
            received: Duration::from_millis(monotonic_ms),
            date_ms: looked_ms.div_euclid(1000) * 1000,
        })
    }

    /// By how much the corrected time is off.
    fn off_ms(clock: &ServiceClock, monotonic_ms: u64, ahead_ms: i64) -> i64 {
        clock.correct(host(monotonic_ms, ahead_ms)).unix_ms - (SERVICE_MS + monotonic_ms as i64)
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        let mut clock = ServiceClock::unknown();
        assert!(!clock.is_known());
        clock.hear(Told::NoAnswer, host(100, 0));
        assert!(!clock.is_known());
        clock.hear(answer(200, 50), host(200, 0));
        assert!(clock.is_known());
        assert_eq!(off_ms(&clock, 300, 0), 0);
    }

    #[test]
    fn a_clock_that_is_off_is_corrected_as_soon_as_two_answers_say_so() {
        for ahead_ms in [
            3 * HOUR_MS,
            -24 * HOUR_MS,
            15 * 24 * HOUR_MS,
            -15 * 24 * HOUR_MS,
            5_000,
        ] {
            let mut clock = ServiceClock::unknown();
            clock.hear(answer(200, 50), host(200, ahead_ms));
            assert!(!clock.is_known(), "one answer against the host's clock");
            clock.hear(answer(900, 50), host(900, ahead_ms));
            assert!(clock.is_known());
            assert!(off_ms(&clock, 1_000, ahead_ms).abs() <= 1_050);
            let told = clock.ahead_ms(host(1_000, ahead_ms));
            assert!((told - ahead_ms).abs() <= 1_050, "{told}");
        }
    }

    #[test]
    fn a_jump_of_the_hosts_clock_is_corrected_before_any_answer() {
        let mut clock = ServiceClock::unknown();
        clock.hear(answer(200, 50), host(200, 0));
        for jump_ms in [24 * HOUR_MS, -20 * 24 * HOUR_MS, -HOUR_MS, 0] {
            let off = off_ms(&clock, 300, jump_ms);
            assert!(off.abs() <= 1_050, "{jump_ms}: {off}");
        }
        assert!(clock.is_known());
    }

    #[test]
    fn an_answer_alone_against_all_others_is_not_believed() {
        let wrong = |monotonic_ms: u64| match answer(monotonic_ms, 50) {
            Told::Time(measure) => Told::Time(Measure {
                date_ms: measure.date_ms + HOUR_MS,
                ..measure
            }),
            other => other,
        };
        let mut clock = ServiceClock::unknown();
        clock.hear(answer(200, 50), host(200, 0));
        clock.hear(wrong(300), host(300, 0));
        assert!(!clock.is_known(), "held until it is clear who is right");
        assert_eq!(off_ms(&clock, 350, 0), 0);
        clock.hear(answer(400, 50), host(400, 0));
        assert!(clock.is_known());
        assert_eq!(off_ms(&clock, 500, 0), 0);
        clock.hear(wrong(600), host(600, 0));
        clock.hear(wrong(700), host(700, 0));
        assert!(clock.is_known());
        assert!((off_ms(&clock, 800, 0) - HOUR_MS).abs() <= 1_050);
    }

    /// The monotonic clock has stood still while the host was stopped; its own clock was set after that.
    #[test]
    fn a_host_and_an_answer_that_agree_are_believed_at_once() {
        let mut clock = ServiceClock::unknown();
        clock.hear(answer(200, 50), host(200, 0));
        let Told::Time(measure) = answer(300, 50) else {
            return;
        };
        let later = Measure {
            date_ms: measure.date_ms + 8 * HOUR_MS,
            ..measure
        };
        clock.hear(Told::Time(later), host(300, 8 * HOUR_MS));
        assert!(clock.is_known());
        assert_eq!(off_ms(&clock, 300, 8 * HOUR_MS), 8 * HOUR_MS);
    }

    #[test]
    fn a_service_that_does_not_tell_its_time_leaves_it_at_the_hosts() {
        let mut clock = ServiceClock::unknown();
        clock.hear(Told::Nothing, host(100, HOUR_MS));
        assert!(clock.is_known());
        assert_eq!(clock.ahead_ms(host(100, HOUR_MS)), 0);
        let dateless = Told::Time(Measure {
            sent: Duration::ZERO,
            received: Duration::from_millis(10),
            date_ms: 0,
        });
        let mut clock = ServiceClock::unknown();
        clock.hear(dateless, host(100, 0));
        clock.hear(dateless, host(200, 0));
        assert!(!clock.is_known(), "1970 is no time of a service");
    }

    proptest! {
        /// Whatever the host's clock does: once the time is known, it is right to the second and the longest way of an answer.
        #[test]
        fn what_is_known_is_right(
            steps in prop::collection::vec((1_u64..5_000, 0_u64..400, prop_oneof![Just(0_i64), -20 * 24 * HOUR_MS..20 * 24 * HOUR_MS], any::<bool>()), 1..40),
        ) {
            let mut clock = ServiceClock::unknown();
            let mut at = 1_000;
            for (later, took, ahead_ms, answered) in steps {
                at += later;
                if answered {
                    clock.hear(answer(at, took), host(at, ahead_ms));
                }
                if clock.is_known() {
                    let off = off_ms(&clock, at, ahead_ms);
                    // The least that is measured, how right is right, and 200 s of drift.
                    prop_assert!(off.abs() <= 1_400 + RIGHT_MS + 100, "{off}");
                }
            }
        }

        /// Time that was measured does not fall when it is measured again, however the host's clock jumps.
        #[test]
        fn a_second_answer_moves_time_by_no_more_than_was_uncertain(first in 0_u64..400, second in 0_u64..400, ahead_ms in HOUR_MS..20 * 24 * HOUR_MS) {
            let mut clock = ServiceClock::unknown();
            clock.hear(answer(1_000, first), host(1_000, ahead_ms));
            clock.hear(answer(2_000, first), host(2_000, ahead_ms));
            let before = off_ms(&clock, 3_000, ahead_ms);
            clock.hear(answer(3_000, second), host(3_000, ahead_ms));
            let after = off_ms(&clock, 3_000, ahead_ms);
            prop_assert!((before - after).abs() <= 1_400 + 2, "{before} {after}");
        }
    }
}
