//! A batch on its way, and the target that several of them share.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::resolve::Match;
use crate::account::{BatchId, Fate, Part, Rejected};
use crate::aws::RejectedInfo;
use crate::batch::Batch;

/// So many single events are refused one after another before it is taken for the target's fault.
const REFUSALS_MAX: usize = 8;

/// Which events of a batch a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Events {
    /// The batch as it was made.
    All,
    /// These, by ascending index.
    Some(Vec<u32>),
}

/// A batch until it is settled.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) batch: Batch,
    /// The window of time in which its events stand in the stream.
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) by: Match,
    /// What has not landed yet, a request each. The last one is next.
    pub(super) work: Vec<Events>,
    pub(super) phase: Phase,
    /// Not earlier than that (monotonic).
    pub(super) not_before: Duration,
    pub(super) attempts: u32,
    /// Whether its intent is in the ledger.
    pub(super) announced: bool,
    /// Whether it waits for a person.
    pub(super) held: bool,
    /// Events that were refused, each sent by itself, while nobody knew whether others are taken.
    refusals: usize,
    /// Batches of the same stream whose windows of time meet ours.
    pub(super) neighbours: BTreeSet<BatchId>,
    rejected: Vec<(u32, Rejected)>,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Its next piece can be sent.
    Ready,
    /// A piece is under way.
    Sending,
    /// A piece may have landed. Before it is sent again, it is looked for.
    Doubt(Doubt),
}

#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) step: Step,
    /// How many events the last look found, if some were still missing then.
    pub(super) seen: Option<usize>,
}

#[derive(Debug)]
pub(super) enum Step {
    /// Until what landed is visible.
    Settle,
    /// The stream is being read.
    Reading,
    /// Found something, of which some may be others' events.
    Ask(Vec<(i64, String)>),
    /// Asked which are known to be others'.
    Asked(Vec<(i64, String)>),
}

impl Job {
    pub(super) fn new(batch: Batch) -> Self {
        Job {
            first_ms: batch.first_ms,
            last_ms: batch.last_ms,
            batch,
            by: Match::Exact,
            work: vec![Events::All],
            phase: Phase::Ready,
            not_before: Duration::ZERO,
            attempts: 0,
            announced: false,
            held: false,
            refusals: 0,
            neighbours: BTreeSet::new(),
            rejected: Vec::new(),
        }
    }

    pub(super) fn is_doubtful(&self) -> bool {
        matches!(self.phase, Phase::Doubt(_))
    }

    pub(super) fn is_sending(&self) -> bool {
        matches!(self.phase, Phase::Sending)
    }

    pub(super) fn enter_doubt(&mut self, not_before: Duration) {
        self.phase = Phase::Doubt(Doubt {
            step: Step::Settle,
            seen: None,
        });
        self.not_before = not_before;
    }

    /// The next piece's events, by index.
    pub(super) fn piece(&self) -> Vec<u32> {
        self.work
            .last()
            .map(|events| self.indices(events))
            .unwrap_or_default()
    }

    /// How many events the next piece has.
    pub(super) fn piece_len(&self) -> usize {
        match self.work.last() {
            Some(Events::All) => self.batch.events.len(),
            Some(Events::Some(indices)) => indices.len(),
            None => 0,
        }
    }

    /// The request body of the next piece.
    pub(super) fn piece_body(&self) -> Bytes {
        match self.work.last() {
            Some(Events::Some(indices)) => part_of_body(&self.batch, indices),
            Some(Events::All) | None => self.batch.body.clone(),
        }
    }

    /// The window of time of the next piece.
    pub(super) fn piece_window(&self) -> (i64, i64) {
        match self.work.last() {
            Some(Events::Some(indices)) if self.by == Match::Exact => {
                let time = |index: Option<&u32>| {
                    index.map(|index| self.batch.events[*index as usize].unix_ms)
                };
                (
                    time(indices.first()).unwrap_or(self.first_ms),
                    time(indices.last()).unwrap_or(self.last_ms),
                )
            }
            _ => (self.first_ms, self.last_ms),
        }
    }

    /// The next piece is reduced to these events; with none of them left, it has landed.
    pub(super) fn reduce(&mut self, missing: Vec<u32>) {
        if missing.len() == self.piece_len() && !missing.is_empty() {
            return;
        }
        self.work.pop();
        if !missing.is_empty() {
            self.work.push(Events::Some(missing));
        }
    }

    /// Whether it may have an event within this window of time, both ends included.
    pub(super) fn meets(&self, first_ms: i64, last_ms: i64) -> bool {
        self.first_ms <= last_ms && first_ms <= self.last_ms
    }

    /// The next piece, a single event, was refused: the others go first, since one that is taken proves that it is this event. False if there are
    /// none that were not refused as well, or if that was tried often enough.
    pub(super) fn postpone(&mut self) -> bool {
        if let Some(piece) = self.work.pop() {
            self.work.insert(0, piece);
        }
        self.refusals += 1;
        self.refusals < self.work.len().min(REFUSALS_MAX)
    }

    /// Halves the next piece.
    pub(super) fn split(&mut self) {
        let mut first = self.piece();
        let second = first.split_off(first.len() / 2);
        self.work.pop();
        self.work.extend([second, first].map(Events::Some));
    }

    /// The next piece was taken, but for what the service names.
    pub(super) fn landed(&mut self, info: RejectedInfo) {
        let piece = self.piece();
        self.work.pop();
        for (at, index) in piece.into_iter().enumerate() {
            if let Some(why) = rejection(info, at) {
                self.rejected.push((index, why));
            }
        }
    }

    /// The next piece is given up.
    pub(super) fn reject(&mut self, why: Rejected) {
        let piece = self.piece();
        self.work.pop();
        self.rejected
            .extend(piece.into_iter().map(|index| (index, why)));
    }

    /// The events that have landed so far, by index.
    pub(super) fn landed_so_far(&self) -> Vec<u32> {
        let mut landed = vec![true; self.batch.events.len()];
        for events in &self.work {
            for index in self.indices(events) {
                landed[index as usize] = false;
            }
        }
        for (index, _) in &self.rejected {
            landed[*index as usize] = false;
        }
        (0..landed.len() as u32)
            .filter(|index| landed[*index as usize])
            .collect()
    }

    /// How many of its events were rejected.
    pub(super) fn rejected_events(&self) -> usize {
        self.rejected.len()
    }

    /// The parts with what was rejected of them.
    pub(super) fn settled_parts(&self) -> Vec<Part> {
        let mut parts = self.batch.parts.clone();
        for (index, why) in &self.rejected {
            let entry = self.batch.events[*index as usize];
            let not_shipped = &mut parts[entry.part as usize].not_shipped;
            let fate = Fate::Rejected(*why);
            match not_shipped.iter_mut().find(|(known, _)| *known == fate) {
                Some((_, bytes)) => *bytes += u64::from(entry.bytes),
                None => not_shipped.push((fate, u64::from(entry.bytes))),
            }
        }
        parts
    }

    fn indices(&self, events: &Events) -> Vec<u32> {
        match events {
            Events::All => (0..self.batch.events.len() as u32).collect(),
            Events::Some(indices) => indices.clone(),
        }
    }
}

/// Why the service did not take the event at this place of a request.
fn rejection(info: RejectedInfo, at: usize) -> Option<Rejected> {
    if info.too_old_end.is_some_and(|end| at < end) {
        return Some(Rejected::TooOld);
    }
    if info.expired_end.is_some_and(|end| at < end) {
        return Some(Rejected::Expired);
    }
    if info.too_new_start.is_some_and(|start| at >= start) {
        return Some(Rejected::TooNew);
    }
    None
}

/// A body with some of the events only.
fn part_of_body(batch: &Batch, indices: &[u32]) -> Bytes {
    const TAIL: &[u8] = b"]}";
    let event = |index: u32| {
        &batch.body
            [batch.events[index as usize].start as usize..batch.events[index as usize].end as usize]
    };
    let head = &batch.body[..batch
        .events
        .first()
        .map_or(batch.body.len() - TAIL.len(), |first| first.start as usize)];
    let bytes = head.len()
        + indices
            .iter()
            .map(|index| event(*index).len() + 1)
            .sum::<usize>()
        + TAIL.len();
    let mut body = BytesMut::with_capacity(bytes);
    body.put_slice(head);
    for (at, index) in indices.iter().enumerate() {
        if at > 0 {
            body.put_u8(b',');
        }
        body.put_slice(event(*index));
    }
    body.put_slice(TAIL);
    body.freeze()
}

/// What stands between a target and its being there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// As far as is known, it is there.
    #[default]
    There,
    /// The stream has to be made.
    Stream,
    /// The group has to be made.
    Group,
    /// The group was made by us; its retention has to be set.
    Retention,
}

/// What the batches of one target share.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) stage: Stage,
    /// Whether group, retention or stream are being made.
    pub(super) making: bool,
    /// Puts under way.
    pub(super) sending: usize,
    /// Batches that are not settled.
    pub(super) jobs: BTreeSet<BatchId>,
    /// Not earlier than that (monotonic).
    pub(super) not_before: Duration,
    /// Refusals in a row that a person has to look at.
    pub(super) holds: u32,
    /// How often in a row the stream was not there.
    pub(super) misses: u32,
    /// It can't be read back, and something of it is doubtful.
    pub(super) blind: bool,
    /// It has taken events.
    pub(super) proven: bool,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::ship::testing::{batch, messages};

    #[test]
    fn halves_are_requests_of_their_own_and_cover_the_whole() {
        let mut job = Job::new(batch(0, &[(1, "a"), (2, "b\""), (3, "c")]));
        job.split();
        assert_eq!(messages(&job.piece_body()), ["a"]);
        assert_eq!(job.piece_window(), (1, 1));
        job.landed(RejectedInfo::default());
        assert_eq!(messages(&job.piece_body()), ["b\"", "c"]);
        assert_eq!(job.piece_window(), (2, 3));
        assert_eq!(job.landed_so_far(), [0]);
        job.reduce(vec![2]);
        assert_eq!(messages(&job.piece_body()), ["c"]);
        assert_eq!(job.landed_so_far(), [0, 1]);
        job.reduce(Vec::new());
        assert!(job.work.is_empty());
        assert_eq!(job.landed_so_far(), [0, 1, 2]);
    }

    #[test]
    fn what_the_service_refuses_is_counted_in_bytes_of_the_file_by_reason() {
        let mut job = Job::new(batch(
            0,
            &[(1, "a"), (2, "bb"), (3, "ccc"), (4, "dddd"), (5, "eeeee")],
        ));
        job.landed(RejectedInfo {
            too_old_end: Some(1),
            expired_end: Some(2),
            too_new_start: Some(4),
        });
        let parts = job.settled_parts();
        assert_eq!(parts.len(), 1);
        let expected = [
            (Rejected::TooOld, 2),
            (Rejected::Expired, 3),
            (Rejected::TooNew, 6),
        ]
        .map(|(why, bytes)| (Fate::Rejected(why), bytes));
        assert_eq!(parts.first().unwrap().not_shipped, expected);
        assert_eq!(job.landed_so_far(), [2, 3]);
    }

    #[test]
    fn an_index_in_a_part_of_the_batch_means_the_part() {
        let mut job = Job::new(batch(0, &[(1, "a"), (2, "bb"), (3, "ccc")]));
        job.reduce(vec![1, 2]);
        job.landed(RejectedInfo {
            too_old_end: Some(1),
            ..RejectedInfo::default()
        });
        assert_eq!(
            job.settled_parts()[0].not_shipped,
            [(Fate::Rejected(Rejected::TooOld), 3)]
        );
    }
}
