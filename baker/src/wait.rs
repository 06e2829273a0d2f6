//! Waiting: one pure decision, one loop.
//!
//! A wait looks, decides, and looks again after a delay that grows with the time already waited. So a short wait
//! costs milliseconds, a long one a few calls, and none ends much later than the thing it waits for. Every wait is
//! bounded, shows what it saw, and takes a throttle or a server error for what it is: a reason to look again.

use std::time::Duration;

use rand::Rng;

use crate::events::{Event, Events};

/// A look that begins at the bound gets this long to answer.
const LAST_LOOK: Duration = Duration::from_millis(100);
/// The delay is this fraction of the time waited so far: the most by which a wait overshoots.
const OVERSHOOT: u32 = 10;
/// How much longer to stay away after a throttle or a server error.
const THROTTLE_FACTOR: u32 = 4;
/// Delays vary by up to this fraction either way, so that parallel bakes do not poll in step.
const JITTER: f64 = 0.2;

/// How far apart looks may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The first look comes at once, the second after this.
    first_delay: Duration,
    longest_delay: Duration,
}

impl Pace {
    /// For AWS, where looks are counted and throttled. Its own waiters poll every 15 s; rarer than that helps nobody.
    pub const AWS: Pace = Pace {
        first_delay: Duration::from_millis(100),
        longest_delay: Duration::from_secs(15),
    };
    /// For the bake's own host, where a look costs one packet.
    pub const HOST: Pace = Pace {
        first_delay: Duration::from_millis(100),
        longest_delay: Duration::from_millis(250),
    };
    /// For AWS, while something else is waited for and this would only be the reason why it never comes.
    pub const ASIDE: Pace = Pace {
        first_delay: Duration::from_secs(5),
        longest_delay: Duration::from_secs(15),
    };
}

/// What one look found.
#[derive(Debug, PartialEq, Eq)]
pub enum Observation<T, E> {
    /// It is there.
    Ready(T),
    /// Not yet; the text says what it is now (`pending`, `snapshot 40%`).
    NotYet(String),
    /// The look itself failed in a way that passes: throttled, 5xx, timeout, not visible yet. The text says how.
    Hiccup(String),
    /// It will never be there.
    Failed(E),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Stop: ready, or failed for good.
    Done,
    /// Look again after this long.
    Again {
        /// Never beyond the bound.
        after: Duration,
    },
    /// The bound is reached.
    TimedOut,
}

/// Why a wait ended without what it waited for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError<E> {
    /// The bound was reached.
    #[error("gave up waiting for {what} after {}; last seen: {last_seen}", human(*.bound))]
    TimedOut {
        /// What was waited for.
        what: String,
        /// The wait's bound.
        bound: Duration,
        /// What the last look showed.
        last_seen: String,
    },
    /// The thing itself failed.
    #[error(transparent)]
    Failed(E),
}

/// Where a wait takes its time from.
trait Clock {
    /// Since some fixed moment.
    fn now(&self) -> Duration;
    /// Lets time pass.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// The real time.
struct Monotonic(tokio::time::Instant);

impl Clock for Monotonic {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}

/// Seconds with one decimal under ten, whole seconds above.
fn human(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} s", duration.as_secs())
    }
}

/// Decides after one look. `elapsed` is since the wait began, `jitter` lies in −1…1.
pub fn decide<T, E>(
    seen: &Observation<T, E>,
    pace: Pace,
    elapsed: Duration,
    bound: Duration,
    jitter: f64,
) -> Decision {
    let delay = match seen {
        Observation::Ready(_) | Observation::Failed(_) => return Decision::Done,
        Observation::NotYet(_) => elapsed / OVERSHOOT,
        Observation::Hiccup(_) => (elapsed / OVERSHOOT).max(pace.first_delay) * THROTTLE_FACTOR,
    };
    let left = bound.saturating_sub(elapsed);
    if left.is_zero() {
        return Decision::TimedOut;
    }
    let delay = delay
        .clamp(pace.first_delay, pace.longest_delay)
        .mul_f64(1.0 + JITTER * jitter.clamp(-1.0, 1.0));
    // The last look is at the bound itself: what came true just before it is not reported as a time-out.
    Decision::Again {
        after: delay.min(left),
    }
}

/// Looks until it is there, has failed, or `bound` is over. Each look is a fresh future of `look`; a look that hangs
/// is cut at the bound.
///
/// # Errors
/// [`WaitError::TimedOut`] at the bound, [`WaitError::Failed`] when a look says that it will never be there.
pub async fn until<T, E, L>(
    what: &str,
    pace: Pace,
    bound: Duration,
    events: &Events,
    look: impl FnMut() -> L,
) -> Result<T, WaitError<E>>
where
    L: Future<Output = Observation<T, E>>,
{
    let clock = Monotonic(tokio::time::Instant::now());
    until_by(&clock, what, pace, bound, events, look).await
}

async fn until_by<T, E, L>(
    clock: &impl Clock,
    what: &str,
    pace: Pace,
    bound: Duration,
    events: &Events,
    mut look: impl FnMut() -> L,
) -> Result<T, WaitError<E>>
where
    L: Future<Output = Observation<T, E>>,
{
    let started = clock.now();
    let mut last_seen = String::from("nothing yet");
    loop {
        let left = bound.saturating_sub(clock.now() - started);
        let seen = tokio::select! {
            seen = look() => seen,
            () = clock.sleep(left.max(LAST_LOOK)) => Observation::NotYet(last_seen.clone()),
        };
        let elapsed = clock.now() - started;
        let jitter = rand::rng().random_range(-1.0..=1.0);
        let decision = decide(&seen, pace, elapsed, bound, jitter);
        match seen {
            Observation::Ready(value) => return Ok(value),
            Observation::Failed(error) => return Err(WaitError::Failed(error)),
            Observation::NotYet(detail) | Observation::Hiccup(detail) => {
                events.emit(Event::Waiting {
                    what: what.to_owned(),
                    detail: detail.clone(),
                    elapsed,
                });
                last_seen = detail;
            }
        }
        match decision {
            Decision::Again { after } => clock.sleep(after).await,
            Decision::Done | Decision::TimedOut => {
                return Err(WaitError::TimedOut {
                    what: what.to_owned(),
                    bound,
                    last_seen,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::sync::Mutex;

    type Seen = Observation<(), ()>;

    fn not_yet() -> Seen {
        Observation::NotYet("pending".into())
    }

    #[test]
    fn the_first_delays_are_short() {
        let after = decide(
            &not_yet(),
            Pace::AWS,
            Duration::ZERO,
            Duration::from_secs(60),
            0.0,
        );
        assert_eq!(
            after,
            Decision::Again {
                after: Pace::AWS.first_delay
            }
        );
    }

    #[test]
    fn a_hiccup_keeps_away_longer_than_a_plain_not_yet() {
        let bound = Duration::from_secs(60);
        let hiccup: Seen = Observation::Hiccup("throttled".into());
        for elapsed in [Duration::ZERO, Duration::from_secs(5)] {
            let (Decision::Again { after: longer }, Decision::Again { after: shorter }) = (
                decide(&hiccup, Pace::AWS, elapsed, bound, 0.0),
                decide(&not_yet(), Pace::AWS, elapsed, bound, 0.0),
            ) else {
                panic!("both go on");
            };
            assert!(longer > shorter);
        }
    }

    proptest! {
        #[test]
        fn a_delay_is_bounded_and_never_passes_the_bound(
            elapsed_ms in 0u64..4_000_000, bound_ms in 1u64..4_000_000, jitter in -1.0f64..1.0, hiccup: bool, host: bool,
        ) {
            let (elapsed, bound) = (Duration::from_millis(elapsed_ms), Duration::from_millis(bound_ms));
            let seen: Seen = if hiccup { Observation::Hiccup(String::new()) } else { not_yet() };
            let pace = if host { Pace::HOST } else { Pace::AWS };
            match decide(&seen, pace, elapsed, bound, jitter) {
                Decision::TimedOut => prop_assert!(elapsed >= bound),
                Decision::Again { after } => {
                    prop_assert!(elapsed + after <= bound);
                    prop_assert!(after <= pace.longest_delay.mul_f64(1.0 + JITTER));
                    prop_assert!(after >= pace.first_delay.mul_f64(1.0 - JITTER) || elapsed + after == bound);
                }
                Decision::Done => prop_assert!(false, "nothing is done"),
            }
        }
    }

    /// Time that passes only by sleeping.
    #[derive(Default)]
    struct Stepped(Mutex<Duration>);

    impl Clock for Stepped {
        fn now(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        async fn sleep(&self, duration: Duration) {
            // Whatever else is ready goes first, as it would in real time.
            tokio::task::yield_now().await;
            *self.0.lock().unwrap() += duration;
        }
    }

    #[tokio::test]
    async fn what_comes_true_after_any_time_is_seen_at_most_an_eighth_late() {
        for true_after_ms in [0, 50, 300, 4_000, 26_000, 90_000] {
            let true_after = Duration::from_millis(true_after_ms);
            let clock = Stepped::default();
            let look = || {
                let there = clock.now() >= true_after;
                async move { if there { Seen::Ready(()) } else { not_yet() } }
            };
            let bound = Duration::from_secs(600);
            until_by(&clock, "it", Pace::AWS, bound, &Events::discard(), look)
                .await
                .unwrap();
            let late = clock.now() - true_after;
            assert!(
                late <= Duration::from_millis(121 + true_after_ms / 8),
                "{late:?} after {true_after_ms} ms"
            );
        }
    }

    #[tokio::test]
    async fn a_bound_reached_says_what_was_seen_last() {
        let look = || async { Seen::Hiccup("throttled".into()) };
        let clock = Stepped::default();
        let bound = Duration::from_secs(30);
        let result = until_by(
            &clock,
            "image ami-1",
            Pace::AWS,
            bound,
            &Events::discard(),
            look,
        )
        .await;
        let Err(WaitError::TimedOut {
            what, last_seen, ..
        }) = result
        else {
            panic!("{result:?}");
        };
        assert_eq!(
            (what.as_str(), last_seen.as_str()),
            ("image ami-1", "throttled")
        );
        assert_eq!(clock.now(), bound);
    }

    #[tokio::test]
    async fn hiccups_are_no_failure_before_the_bound() {
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            let count = looks.get();
            async move {
                if count < 8 {
                    Seen::Hiccup("503".into())
                } else {
                    Seen::Ready(())
                }
            }
        };
        let clock = Stepped::default();
        let bound = Duration::from_secs(60);
        until_by(&clock, "it", Pace::AWS, bound, &Events::discard(), look)
            .await
            .unwrap();
        assert_eq!(looks.get(), 8);
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_at_the_bound() {
        let clock = Stepped::default();
        let bound = Duration::from_secs(5);
        let look = std::future::pending::<Seen>;
        let result = until_by(&clock, "it", Pace::AWS, bound, &Events::discard(), look).await;
        assert!(matches!(result, Err(WaitError::TimedOut { .. })));
        assert_eq!(clock.now(), bound);
    }

    #[test]
    fn a_time_out_reads_as_a_sentence() {
        let error: WaitError<std::io::Error> = WaitError::TimedOut {
            what: "image ami-1".into(),
            bound: Duration::from_secs(30),
            last_seen: "pending".into(),
        };
        assert_eq!(
            error.to_string(),
            "gave up waiting for image ami-1 after 30 s; last seen: pending"
        );
    }
}
