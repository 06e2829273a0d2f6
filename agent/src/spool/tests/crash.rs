//! Kills and power cuts, held against a model that knows of each value what has become of it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::memory::Memory;
use super::super::*;
use super::{LIMIT, scope, values};

/// Small ones, so that parcels lie across their borders.
const SEGMENT_BYTES: u64 = 4096;
/// Values of a reading, at most.
const MOST: usize = 60;

#[derive(Debug, Clone)]
enum Step {
    /// So many values are measured.
    Append(usize),
    /// So many readings make a parcel, and the first part of it leaves.
    Intend(usize, usize),
    /// The first part of a gap leaves.
    Again(usize, usize),
    Settle(usize),
    Withdraw(usize),
    /// So many readings are given up unsent.
    GiveUp(usize),
    Kill,
    PowerCut(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..MOST).prop_map(Step::Append),
        4 => (1_usize..5, any::<usize>()).prop_map(|(count, part)| Step::Intend(count, part)),
        2 => any::<(usize, usize)>().prop_map(|(which, part)| Step::Again(which, part)),
        4 => any::<usize>().prop_map(Step::Settle),
        2 => any::<usize>().prop_map(Step::Withdraw),
        1 => (1_usize..3).prop_map(Step::GiveUp),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerCut),
    ];
    prop::collection::vec(step, 0..80)
}

/// What has become of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    Waits,
    Open,
    Settled,
    /// Settled without ever having been sent.
    GivenUp,
}

/// A value: when it was measured, and its place in the reading.
type Key = (i64, usize);

#[derive(Debug)]
struct World {
    memory: Memory,
    spool: Spool,
    facts: BTreeMap<Key, Fact>,
    /// Readings that a power cut may take.
    unsynced: BTreeSet<i64>,
    /// Something was written that a power cut may take.
    dirty: bool,
    open: Vec<Range>,
    /// Places that a power cut has damaged: told at each start until the segment goes.
    damaged: u64,
    at_ms: i64,
}

fn open(memory: &Memory) -> (Spool, Found) {
    Spool::open_in(Box::new(memory.clone()), "i-1", LIMIT, SEGMENT_BYTES)
}

/// The values of these readings, which have to be what was measured.
fn keys(readings: &[Arc<Reading>]) -> Vec<Key> {
    let measured = values(0, MOST);
    let key = |at_ms: i64, (series, value): &(Arc<Series>, f64)| {
        let index = measured.iter().position(|(known, _)| *known == **series);
        let index = index.expect("a metric that there is");
        assert_eq!(*value, values(at_ms, MOST)[index].1);
        (at_ms, index)
    };
    let of = |reading: &Arc<Reading>| -> Vec<Key> {
        let values = reading.values.iter();
        values.map(|value| key(reading.at_ms, value)).collect()
    };
    readings.iter().flat_map(of).collect()
}

/// The first part of a range, which is most often all of it: only what is settled to its end lets a segment go.
fn part(range: Range, part: usize) -> Range {
    let count = (range.to - range.from) as usize;
    let some = range.from + (part / 4 % count) as u32 + 1;
    Range {
        to: if part.is_multiple_of(4) {
            some
        } else {
            range.to
        },
        ..range
    }
}

impl World {
    fn new() -> Self {
        let memory = Memory::default();
        Self {
            spool: open(&memory).0,
            memory,
            facts: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            dirty: false,
            open: Vec::new(),
            damaged: 0,
            at_ms: 0,
        }
    }

    fn step(&mut self, step: Step) -> TestCaseResult {
        match step {
            Step::Append(count) => {
                self.at_ms += 60_000;
                self.spool
                    .append(self.at_ms, &scope(), values(self.at_ms, count));
                let new = (0..count).map(|index| ((self.at_ms, index), Fact::Waits));
                self.facts.extend(new);
                self.unsynced.insert(self.at_ms);
                self.dirty = true;
            }
            Step::Intend(count, length) => {
                let parcel = self.spool.unpacked();
                if let Some(range) = self.next_parcel(&parcel[..count.min(parcel.len())]) {
                    self.intend(part(range, length));
                }
            }
            Step::Again(which, length) => {
                let gaps = self.spool.gaps();
                if !gaps.is_empty() {
                    self.intend(part(gaps[which % gaps.len()], length));
                }
            }
            Step::Settle(which) if !self.open.is_empty() => {
                let range = self.open.remove(which % self.open.len());
                self.mark(range, Fact::Settled);
                self.spool.settle(range, Fate::Taken);
                self.dirty = true;
            }
            Step::Withdraw(which) if !self.open.is_empty() => {
                let range = self.open.remove(which % self.open.len());
                self.mark(range, Fact::Waits);
                self.spool.withdraw(range);
                self.dirty = true;
            }
            Step::Settle(_) | Step::Withdraw(_) => {}
            Step::GiveUp(count) => {
                let parcel = self.spool.unpacked();
                let parcel = &parcel[..count.min(parcel.len())];
                if let Some(range) = self.next_parcel(parcel) {
                    let given_up = keys(parcel).into_iter().map(|key| (key, Fact::GivenUp));
                    self.facts.extend(given_up);
                    let one = Range {
                        from: 0,
                        to: 1,
                        of: 1,
                        ..range
                    };
                    self.spool.settle(one, Fate::TooOld);
                    self.dirty = true;
                }
            }
            Step::Kill => return self.kill(),
            Step::PowerCut(seed) => return self.power_cut(seed),
        }
        Ok(())
    }

    fn next_parcel(&self, readings: &[Arc<Reading>]) -> Option<Range> {
        let of = keys(readings).len() as u32;
        Some(Range {
            first: self.spool.packed_through() + 1,
            last: readings.last()?.seq,
            from: 0,
            to: of,
            of,
        })
    }

    fn intend(&mut self, range: Range) {
        self.spool.intend(range);
        self.mark(range, Fact::Open);
        self.open.push(range);
        self.unsynced.clear();
        self.dirty = false;
    }

    fn mark(&mut self, range: Range, fact: Fact) {
        let keys = keys(&self.spool.parcel(range));
        for key in &keys[range.from as usize..range.to as usize] {
            self.facts.insert(*key, fact);
        }
    }

    /// What the spool knows: what it does not show is settled, or was never there.
    fn shown(&mut self) -> BTreeMap<Key, Fact> {
        let waiting = keys(&self.spool.unpacked());
        let mut shown: BTreeMap<Key, Fact> =
            waiting.into_iter().map(|key| (key, Fact::Waits)).collect();
        let gaps = self.spool.gaps().into_iter().map(|it| (it, Fact::Waits));
        let open = self.spool.open_ranges().into_iter();
        for (range, fact) in gaps.chain(open.map(|it| (it, Fact::Open))) {
            let keys = keys(&self.spool.parcel(range));
            assert_eq!(keys.len(), range.of as usize, "a parcel is all there");
            for key in &keys[range.from as usize..range.to as usize] {
                assert_eq!(shown.insert(*key, fact), None, "{key:?} twice");
            }
        }
        shown
    }

    /// Everything is as it was, to the value.
    fn is_as_it_was(&mut self) -> TestCaseResult {
        let mut known = self.open.clone();
        known.sort_unstable();
        prop_assert_eq!(self.spool.open_ranges(), known);
        let shown = self.shown();
        for (key, fact) in &self.facts {
            let found = shown.get(key).copied();
            let expected = match fact {
                Fact::Waits | Fact::Open => Some(*fact),
                Fact::Settled | Fact::GivenUp => None,
            };
            prop_assert_eq!(found, expected, "{:?}", key);
        }
        let points = self.spool.counts().points;
        prop_assert!(points >= shown.len() as u64);
        prop_assert!(points == 0 || !shown.is_empty(), "{} left over", points);
        Ok(())
    }

    fn kill(&mut self) -> TestCaseResult {
        let (spool, found) = open(&self.memory);
        let newest = self.spool.newest_ms();
        self.spool = spool;
        prop_assert!(found.set_aside.is_empty() && found.unusable.is_none());
        prop_assert!(found.damaged <= self.damaged, "{:?}", found);
        if self.damaged == 0 {
            prop_assert_eq!(self.spool.counts().dropped, Dropped::default());
        }
        prop_assert_eq!(self.spool.newest_ms(), newest);
        self.is_as_it_was()
    }

    fn power_cut(&mut self, seed: u64) -> TestCaseResult {
        let mut random = StdRng::seed_from_u64(seed);
        let keep: f64 = random.random();
        self.memory.crash(|| random.random_bool(keep));
        if !self.dirty {
            return self.kill();
        }
        let (spool, found) = open(&self.memory);
        self.spool = spool;
        prop_assert!(found.set_aside.is_empty() && found.unusable.is_none());
        self.damaged = found.damaged;
        let shown = self.shown();
        for (key, fact) in &self.facts {
            let found = shown.get(key);
            let fits = match (fact, found) {
                // That it was withdrawn may be forgotten: then it is looked for.
                (Fact::Waits, Some(Fact::Waits | Fact::Open)) => true,
                // A metric whose name was in a sector that is gone goes with it.
                (Fact::Waits, None) => self.unsynced.contains(&key.0),
                // Never taken for one that has not left.
                (Fact::Open, Some(Fact::Open)) => true,
                (Fact::Settled, None | Some(Fact::Open)) => true,
                (Fact::GivenUp, None | Some(Fact::Waits)) => true,
                _ => false,
            };
            prop_assert!(fits, "{:?} was {:?} and is {:?}", key, fact, found);
        }
        prop_assert!(shown.keys().all(|key| self.facts.contains_key(key)));
        self.facts = shown;
        self.open = self.spool.open_ranges();
        self.unsynced.clear();
        self.dirty = false;
        Ok(())
    }

    /// In the end everything can be sent, once, and takes no room any more.
    fn end(mut self) -> TestCaseResult {
        self.kill()?;
        for range in std::mem::take(&mut self.open) {
            self.mark(range, Fact::Waits);
            self.spool.withdraw(range);
        }
        let mut sent = BTreeSet::new();
        loop {
            let range = match self.spool.gaps().first() {
                Some(gap) => *gap,
                None => {
                    let next = self.spool.unpacked();
                    let Some(range) = self.next_parcel(&next[..next.len().min(1)]) else {
                        break;
                    };
                    range
                }
            };
            let keys = keys(&self.spool.parcel(range));
            for key in &keys[range.from as usize..range.to as usize] {
                prop_assert_eq!(self.facts.get(key), Some(&Fact::Waits), "{:?}", key);
                prop_assert!(sent.insert(*key), "{:?} is sent twice", key);
            }
            self.spool.intend(range);
            self.spool.settle(range, Fate::Taken);
        }
        let waiting = self.facts.iter().filter(|(_, fact)| **fact == Fact::Waits);
        for (key, _) in waiting {
            prop_assert!(sent.contains(key), "{:?} is missing", key);
        }
        prop_assert_eq!(self.spool.counts().points, 0);
        let left = self.memory.len();
        prop_assert!(left <= 3, "{} segments for nothing", left);
        Ok(())
    }
}

proptest! {
    #[test]
    fn what_was_measured_is_there_until_it_is_settled_and_what_has_left_is_known(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step)?;
        }
        world.end()?;
    }
}
