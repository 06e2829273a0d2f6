//! A CloudWatch Logs in memory that refuses what the real one refuses, and fails as it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use baker_agent::aws::{Failure, FailureKind, RejectedInfo};
use baker_agent::target::Target;
use proptest::prelude::*;

/// How long after it was taken an event is not yet shown by a read-back.
pub(crate) const HIDDEN: Duration = Duration::from_millis(1_500);

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection.
    Refused,
    /// The connection breaks before the request is taken.
    BrokenBefore,
    /// The connection breaks after it.
    BrokenAfter,
    /// Throttled.
    Throttled,
    /// An internal error; nothing was taken.
    Internal,
    /// An internal error; all was taken.
    InternalAfter,
    /// An internal error; the first half was taken.
    InternalHalfway,
    /// The credentials are not valid at present.
    Denied,
    /// The stream is gone (and everything in it is remembered for the check).
    StreamDeleted,
}

impl Fault {
    pub(crate) fn any() -> impl Strategy<Value = Fault> {
        prop::sample::select(vec![
            Fault::Refused,
            Fault::BrokenBefore,
            Fault::BrokenAfter,
            Fault::Throttled,
            Fault::Internal,
            Fault::InternalAfter,
            Fault::InternalHalfway,
            Fault::Denied,
            Fault::StreamDeleted,
        ])
    }
}

/// An event at rest. They are kept in the order of their arrival.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) unix_ms: i64,
    pub(crate) message: String,
    /// When it arrived, by the service's clock.
    pub(crate) taken_ms: i64,
    shown: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Service {
    groups: BTreeSet<String>,
    streams: BTreeMap<(String, String), Vec<Stored>>,
    faults: VecDeque<Fault>,
    /// The first request that the real one would not have taken.
    pub(crate) defect: Option<String>,
}

pub(crate) fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        code: None,
        message: format!("{kind:?}"),
        retry_after: None,
    }
}

impl Service {
    pub(crate) fn fail(&mut self, fault: Fault, calls: usize) {
        self.faults.extend(std::iter::repeat_n(fault, calls));
    }

    pub(crate) fn heal(&mut self) {
        self.faults.clear();
    }

    /// Each stream as GetLogEvents shows it: by time, events of one time by their arrival.
    pub(crate) fn shown(&self) -> impl Iterator<Item = Vec<&Stored>> {
        self.streams.values().map(|stream| {
            let mut events: Vec<&Stored> = stream.iter().collect();
            events.sort_by_key(|event| event.unix_ms);
            events
        })
    }

    pub(crate) fn create_group(&mut self, target: &Target) -> Result<(), Failure> {
        self.control()?;
        match self.groups.insert(target.group.clone()) {
            true => Ok(()),
            false => Err(failure(FailureKind::AlreadyExists)),
        }
    }

    pub(crate) fn set_retention(&mut self, target: &Target) -> Result<(), Failure> {
        self.control()?;
        match self.groups.contains(&target.group) {
            true => Ok(()),
            false => Err(failure(FailureKind::NotFound)),
        }
    }

    pub(crate) fn create_stream(&mut self, target: &Target) -> Result<(), Failure> {
        self.control()?;
        if !self.groups.contains(&target.group) {
            return Err(failure(FailureKind::NotFound));
        }
        let key = (target.group.clone(), target.stream.clone());
        if self.streams.contains_key(&key) {
            return Err(failure(FailureKind::AlreadyExists));
        }
        self.streams.insert(key, Vec::new());
        Ok(())
    }

    /// Whether a call that asks for nothing but the date comes back.
    pub(crate) fn is_reached(&mut self) -> bool {
        self.control().map_or_else(
            |failure| !matches!(failure.kind, FailureKind::NotSent | FailureKind::Unknown),
            |()| true,
        )
    }

    fn control(&mut self) -> Result<(), Failure> {
        match self.faults.pop_front() {
            None
            | Some(
                Fault::StreamDeleted
                | Fault::BrokenAfter
                | Fault::InternalAfter
                | Fault::InternalHalfway,
            ) => Ok(()),
            Some(Fault::Refused) => Err(failure(FailureKind::NotSent)),
            Some(Fault::BrokenBefore) => Err(failure(FailureKind::Unknown)),
            Some(Fault::Throttled) => Err(failure(FailureKind::Throttled)),
            Some(Fault::Internal) => Err(failure(FailureKind::Service)),
            Some(Fault::Denied) => Err(failure(FailureKind::Denied)),
        }
    }

    pub(crate) fn put(
        &mut self,
        body: &[u8],
        now: Duration,
        unix_ms: i64,
    ) -> Result<RejectedInfo, Failure> {
        let request: serde_json::Value = serde_json::from_slice(body).unwrap();
        let name = |key: &str| request[key].as_str().unwrap().to_owned();
        let key = (name("logGroupName"), name("logStreamName"));
        let events: Vec<(i64, String)> = request["logEvents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| {
                (
                    event["timestamp"].as_i64().unwrap(),
                    event["message"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        self.defect = self.defect.take().or_else(|| refused(&events, unix_ms));
        let take = match self.faults.pop_front() {
            None => (events.len(), None),
            Some(Fault::Refused) => (0, Some(FailureKind::NotSent)),
            Some(Fault::BrokenBefore) => (0, Some(FailureKind::Unknown)),
            Some(Fault::BrokenAfter) => (events.len(), Some(FailureKind::Unknown)),
            Some(Fault::Throttled) => (0, Some(FailureKind::Throttled)),
            Some(Fault::Internal) => (0, Some(FailureKind::Service)),
            Some(Fault::InternalAfter) => (events.len(), Some(FailureKind::Service)),
            Some(Fault::InternalHalfway) => (events.len() / 2, Some(FailureKind::Service)),
            Some(Fault::Denied) => (0, Some(FailureKind::Denied)),
            Some(Fault::StreamDeleted) => {
                // Only an empty one: a deleted stream takes its events with it, and nothing could tell them from lost ones.
                if self.streams.get(&key).is_some_and(Vec::is_empty) {
                    self.streams.remove(&key);
                }
                (events.len(), None)
            }
        };
        let Some(stream) = self.streams.get_mut(&key) else {
            return Err(failure(
                take.1
                    .filter(|kind| *kind == FailureKind::NotSent)
                    .unwrap_or(FailureKind::NotFound),
            ));
        };
        let taken_ms = unix_ms;
        for (unix_ms, message) in events.into_iter().take(take.0) {
            stream.push(Stored {
                unix_ms,
                message,
                taken_ms,
                shown: now + HIDDEN,
            });
        }
        match take.1 {
            None => Ok(RejectedInfo::default()),
            Some(kind) => Err(failure(kind)),
        }
    }

    pub(crate) fn read_back(
        &mut self,
        target: &Target,
        first_ms: i64,
        last_ms: i64,
        now: Duration,
    ) -> Result<Vec<(i64, String)>, Failure> {
        self.control()?;
        let key = (target.group.clone(), target.stream.clone());
        let stream = self
            .streams
            .get(&key)
            .ok_or_else(|| failure(FailureKind::NotFound))?;
        Ok(stream
            .iter()
            .filter(|event| event.shown <= now && (first_ms..=last_ms).contains(&event.unix_ms))
            .map(|event| (event.unix_ms, event.message.clone()))
            .collect())
    }
}

/// What PutLogEvents refuses (API reference): here it is a defect of the agent.
fn refused(events: &[(i64, String)], unix_ms: i64) -> Option<String> {
    let day_ms = 24 * 60 * 60 * 1_000;
    let bytes: usize = events.iter().map(|(_, message)| message.len() + 26).sum();
    if !(1..=10_000).contains(&events.len()) {
        return Some(format!("{} events in a batch", events.len()));
    }
    let (first, last) = (events[0].0, events[events.len() - 1].0);
    let rules = [
        (bytes <= 1_048_576, format!("{bytes} bytes in a batch")),
        (
            events.iter().all(|(_, message)| !message.is_empty()),
            "an empty event".to_owned(),
        ),
        (
            events.is_sorted_by_key(|(unix_ms, _)| *unix_ms),
            "events that are not in the order of their times".to_owned(),
        ),
        (
            last - first <= day_ms,
            format!("a batch that spans {} ms", last - first),
        ),
        (
            first >= unix_ms - 14 * day_ms && last <= unix_ms + day_ms / 12,
            format!("times from {first} to {last}, at {unix_ms}"),
        ),
    ];
    rules
        .into_iter()
        .find_map(|(holds, what)| (!holds).then_some(what))
}
