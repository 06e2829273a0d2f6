//! What shall go wrong, and when: rules that choose a fault for a request. Pure: a seed decides what chance decides.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// One fault, and when it comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Operation that it is for, such as `PutLogEvents`; every operation if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Which of the operation's requests it meets; all if left out.
    #[serde(default)]
    pub when: When,
    /// What goes wrong.
    pub kind: Kind,
}

/// Which of the requests that a rule is for are met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum When {
    /// All.
    #[default]
    Always,
    /// The first so many.
    First(u64),
    /// Each so manyth: 3 meets the third, the sixth, …
    Every(u64),
    /// The so manyth alone, counted from 1.
    Nth(u64),
    /// By chance, from 0.0 to 1.0.
    Probability(f64),
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// The request is cut off, and for this long no connection is accepted: a server that is gone.
    Refuse {
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// A connection is accepted and reset at once. Rules of this kind count connections, whatever their `operation`.
    ResetOnAccept,
    /// The connection is reset after the request was read: before it is taken, or after (its answer is lost).
    Reset {
        /// Whether the request takes effect.
        taken: bool,
    },
    /// An error of the server.
    Fail {
        /// HTTP status: 500, 502, 503, 504.
        status: u16,
        /// Whether the request takes effect all the same.
        taken: bool,
    },
    /// `ThrottlingException`.
    Throttle,
    /// The answer comes late; the request takes effect at once.
    Delay {
        /// How late, in milliseconds.
        ms: u64,
    },
    /// The request takes effect late, and is answered at once then: requests overtake each other on their way.
    DelayBefore {
        /// How late, in milliseconds.
        ms: u64,
        /// If this is more, each request is delayed by chance, by anything between the two.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to_ms: Option<u64>,
    },
    /// The request's body is read slowly.
    SlowBody {
        /// At this rate.
        bytes_per_second: u64,
    },
    /// There is no answer, until the limit is over; the connection is reset then.
    Stall {
        /// The limit, in milliseconds.
        limit_ms: u64,
        /// Whether the request takes effect.
        taken: bool,
    },
    /// PutLogEvents takes so many of the events and then fails.
    TakeFirst {
        /// Events that are taken.
        events: usize,
        /// HTTP status of the answer.
        status: u16,
    },
    /// The request takes effect, and its answer is no JSON.
    Garbage,
    /// The request takes effect, and its answer ends early.
    Truncated,
    /// The request takes effect, and its answer is longer than announced.
    WrongLength,
    /// `AccessDeniedException`.
    AccessDenied,
    /// `ExpiredTokenException`.
    ExpiredToken,
    /// `ResourceNotFoundException` for a group and a stream that are there.
    NotFound,
}

impl Kind {
    /// Name as in rules.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refuse { .. } => "refuse",
            Self::ResetOnAccept => "reset-on-accept",
            Self::Reset { .. } => "reset",
            Self::Fail { .. } => "fail",
            Self::Throttle => "throttle",
            Self::Delay { .. } => "delay",
            Self::DelayBefore { .. } => "delay-before",
            Self::SlowBody { .. } => "slow-body",
            Self::Stall { .. } => "stall",
            Self::TakeFirst { .. } => "take-first",
            Self::Garbage => "garbage",
            Self::Truncated => "truncated",
            Self::WrongLength => "wrong-length",
            Self::AccessDenied => "access-denied",
            Self::ExpiredToken => "expired-token",
            Self::NotFound => "not-found",
        }
    }
}

/// A set of rules: what `PUT /_logs/faults` takes and a file of faults holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Decides what chance decides.
    #[serde(default)]
    pub seed: u64,
    /// In order: of several that meet a request the first one counts, but delays and slow bodies add up with it.
    pub rules: Vec<Rule>,
}

impl Script {
    /// Rules for PutLogEvents alone.
    #[must_use]
    pub fn put_log_events(rules: impl IntoIterator<Item = (When, Kind)>) -> Self {
        let rules = rules.into_iter().map(|(when, kind)| Rule {
            operation: Some("PutLogEvents".into()),
            when,
            kind,
        });
        Self {
            seed: 0,
            rules: rules.collect(),
        }
    }
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Before the request takes effect.
    pub(crate) before: Duration,
    /// After that.
    pub(crate) delay: Duration,
    pub(crate) body_bytes_per_second: Option<u64>,
    pub(crate) fault: Option<Kind>,
}

/// Rules at work.
#[derive(Debug)]
pub(crate) struct Faults {
    script: Script,
    /// For each rule: requests that it is for, and those that it met.
    seen: Vec<(u64, u64)>,
    chance: StdRng,
}

impl Faults {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            seen: vec![(0, 0); script.rules.len()],
            chance: StdRng::seed_from_u64(script.seed),
            script,
        }
    }

    pub(crate) fn script(&self) -> &Script {
        &self.script
    }

    /// How many requests each rule has met.
    pub(crate) fn met(&self) -> Vec<u64> {
        self.seen.iter().map(|(_, met)| *met).collect()
    }

    /// What happens to the next request of `operation`.
    pub(crate) fn request(&mut self, operation: &str) -> Plan {
        let mut plan = Plan::default();
        let rules = self.script.rules.iter().zip(&mut self.seen);
        let applicable = rules.filter(|(rule, _)| {
            rule.kind != Kind::ResetOnAccept
                && rule.operation.as_deref().is_none_or(|of| of == operation)
        });
        for (rule, seen) in applicable {
            if !meets(rule.when, seen, &mut self.chance) {
                continue;
            }
            match rule.kind {
                Kind::Delay { ms } => plan.delay += Duration::from_millis(ms),
                Kind::DelayBefore { ms, to_ms } => {
                    let most = to_ms.unwrap_or(ms).max(ms);
                    plan.before += Duration::from_millis(self.chance.random_range(ms..=most));
                }
                Kind::SlowBody { bytes_per_second } => {
                    plan.body_bytes_per_second = Some(bytes_per_second.max(1));
                }
                kind => plan.fault = plan.fault.or(Some(kind)),
            }
        }
        plan
    }

    /// Anything between the two, by chance.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        if most <= least {
            return least;
        }
        self.chance.random_range(least..=most)
    }

    /// Whether the next connection is reset.
    pub(crate) fn connection(&mut self) -> bool {
        let rules = self.script.rules.iter().zip(&mut self.seen);
        let of_connections = rules.filter(|(rule, _)| rule.kind == Kind::ResetOnAccept);
        let mut reset = false;
        for (rule, seen) in of_connections {
            reset |= meets(rule.when, seen, &mut self.chance);
        }
        reset
    }
}

fn meets(when: When, (seen, met): &mut (u64, u64), chance: &mut StdRng) -> bool {
    *seen += 1;
    let meets = match when {
        When::Always => true,
        When::First(count) => *seen <= count,
        When::Every(step) => seen.is_multiple_of(step.max(1)),
        When::Nth(nth) => *seen == nth,
        When::Probability(probability) => chance.random_bool(probability.clamp(0.0, 1.0)),
    };
    *met += u64::from(meets);
    meets
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn met(when: When, requests: usize) -> Vec<usize> {
        let mut faults = Faults::new(Script::put_log_events([(when, Kind::Throttle)]));
        let met = |_: &usize| faults.request("PutLogEvents").fault.is_some();
        (1..=requests).filter(met).collect()
    }

    #[test]
    fn a_rule_meets_the_requests_that_it_says() {
        assert_eq!(met(When::Always, 3), [1, 2, 3]);
        assert_eq!(met(When::First(2), 4), [1, 2]);
        assert_eq!(met(When::Every(2), 5), [2, 4]);
        assert_eq!(met(When::Nth(3), 5), [3]);
        let by_chance = met(When::Probability(0.5), 100);
        assert!((20..80).contains(&by_chance.len()), "{by_chance:?}");
        assert_eq!(
            by_chance,
            met(When::Probability(0.5), 100),
            "the seed decides"
        );
    }

    #[test]
    fn a_rule_meets_its_own_operation_only() {
        let mut faults = Faults::new(Script::put_log_events([(When::Always, Kind::Throttle)]));
        assert_eq!(faults.request("GetLogEvents"), Plan::default());
        assert!(!faults.connection());
        assert_eq!(faults.met(), [0]);
    }

    #[test]
    fn delays_add_up_with_the_first_fault() {
        let mut faults = Faults::new(Script::put_log_events([
            (When::Always, Kind::Delay { ms: 20 }),
            (When::Every(2), Kind::Throttle),
            (When::Always, Kind::Garbage),
            (When::Always, Kind::Delay { ms: 30 }),
        ]));
        let delay = Duration::from_millis(50);
        for fault in [Kind::Garbage, Kind::Throttle] {
            let plan = faults.request("PutLogEvents");
            assert_eq!((plan.delay, plan.fault), (delay, Some(fault)));
        }
    }

    #[test]
    fn a_delay_before_is_within_its_bounds_and_the_seed_decides() {
        let delays = |kind| {
            let mut faults = Faults::new(Script::put_log_events([(When::Always, kind)]));
            let delay = |_| faults.request("PutLogEvents").before.as_millis();
            (0..100).map(delay).collect::<Vec<_>>()
        };
        let fixed = Kind::DelayBefore { ms: 7, to_ms: None };
        assert_eq!(delays(fixed), [7; 100]);
        let spread = Kind::DelayBefore {
            ms: 30,
            to_ms: Some(90),
        };
        let some = delays(spread);
        assert!(some.iter().all(|ms| (30..=90).contains(ms)), "{some:?}");
        assert!(some.iter().any(|ms| *ms < 50) && some.iter().any(|ms| *ms > 70));
        assert_eq!(some, delays(spread));
    }

    #[test]
    fn a_script_reads_as_the_documentation_shows_it() {
        let text = r#"{"seed": 7, "rules": [
            {"operation": "PutLogEvents", "when": {"every": 3}, "kind": {"fail": {"status": 503, "taken": true}}},
            {"when": {"probability": 0.1}, "kind": "throttle"},
            {"kind": {"delay": {"ms": 50}}}, {"kind": {"delay-before": {"ms": 30, "to_ms": 90}}},
            {"kind": {"delay-before": {"ms": 30}}}]}"#;
        let script: Script = serde_json::from_str(text).unwrap();
        assert_eq!(script.rules[0].when, When::Every(3));
        assert_eq!(script.rules[2].when, When::Always);
        let again: Script = serde_json::from_str(&serde_json::to_string(&script).unwrap()).unwrap();
        assert_eq!(again, script);
        assert!(serde_json::from_str::<Script>(&text.replace("every", "evry")).is_err());
    }
}
