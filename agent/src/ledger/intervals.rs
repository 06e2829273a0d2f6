//! A set of byte offsets as sorted, disjoint runs that do not touch.
//!
//! Files are read from front to back, so a set has one long run and a few short ones beyond it, however many bytes it
//! holds.

/// Bytes that are in the set already were to be put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlap;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Intervals {
    runs: Vec<(u64, u64)>,
}

impl Intervals {
    pub(super) fn runs(&self) -> &[(u64, u64)] {
        &self.runs
    }

    /// How many bytes are in the set.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.iter().map(|(start, end)| end - start).sum()
    }

    /// One past the last byte in the set; 0 when it is empty.
    pub(super) fn end(&self) -> u64 {
        self.runs.last().map_or(0, |(_, end)| *end)
    }

    /// The first byte that is not in the set.
    pub(super) fn first_missing(&self) -> u64 {
        match self.runs.first() {
            Some((0, end)) => *end,
            _ => 0,
        }
    }

    pub(super) fn overlaps(&self, start: u64, end: u64) -> bool {
        let after = self.runs.partition_point(|run| run.1 <= start);
        self.runs.get(after).is_some_and(|run| run.0 < end)
    }

    /// The end of the run that holds the byte `at`.
    pub(super) fn run_end(&self, at: u64) -> Option<u64> {
        let after = self.runs.partition_point(|run| run.1 <= at);
        self.runs
            .get(after)
            .filter(|run| run.0 <= at)
            .map(|run| run.1)
    }

    /// The start of the first run that begins behind `at`.
    pub(super) fn next_start(&self, at: u64) -> Option<u64> {
        let after = self.runs.partition_point(|run| run.0 <= at);
        self.runs.get(after).map(|run| run.0)
    }

    /// Puts `start..end` in, or changes nothing when some of it is there already.
    pub(super) fn insert(&mut self, start: u64, end: u64) -> Result<(), Overlap> {
        if start >= end {
            return Ok(());
        }
        if self.overlaps(start, end) {
            return Err(Overlap);
        }
        let at = self.runs.partition_point(|run| run.1 <= start);
        let joins_left = at > 0 && self.runs[at - 1].1 == start;
        let joins_right = self.runs.get(at).is_some_and(|run| run.0 == end);
        match (joins_left, joins_right) {
            (true, true) => {
                self.runs[at - 1].1 = self.runs[at].1;
                self.runs.remove(at);
            }
            (true, false) => self.runs[at - 1].1 = end,
            (false, true) => self.runs[at].0 = start,
            (false, false) => {
                if self.runs.is_empty() {
                    // Most sets never have another.
                    self.runs.reserve_exact(1);
                }
                self.runs.insert(at, (start, end));
            }
        }
        Ok(())
    }

    /// Takes `start..end` out. It has to be in, all of it; else nothing happens.
    pub(super) fn remove(&mut self, start: u64, end: u64) {
        let at = self.runs.partition_point(|run| run.1 <= start);
        let Some(&(run_start, run_end)) = self.runs.get(at) else {
            return;
        };
        if start >= end || run_start > start || run_end < end {
            return;
        }
        match (run_start < start, end < run_end) {
            (true, true) => {
                self.runs[at].1 = start;
                self.runs.insert(at + 1, (end, run_end));
            }
            (true, false) => self.runs[at].1 = start,
            (false, true) => self.runs[at].0 = end,
            (false, false) => {
                self.runs.remove(at);
            }
        }
    }

    /// Whether the runs are sorted, not empty, and apart from each other.
    pub(super) fn is_sound(&self) -> bool {
        self.runs.iter().all(|(start, end)| start < end)
            && self.runs.windows(2).all(|pair| pair[0].1 < pair[1].0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Intervals, Overlap};

    #[test]
    fn neighbours_join_from_both_sides() {
        let mut set = Intervals::default();
        set.insert(0, 10).unwrap();
        set.insert(20, 30).unwrap();
        assert_eq!(set.first_missing(), 10);
        set.insert(10, 20).unwrap();
        assert_eq!(set.runs(), [(0, 30)]);
        assert_eq!(set.insert(29, 31), Err(Overlap));
        assert_eq!(set.runs(), [(0, 30)]);
    }

    proptest! {
        #[test]
        fn behaves_like_a_set_of_bytes(steps in prop::collection::vec((any::<bool>(), 0_u64..60, 0_u64..12), 0..60)) {
            let mut set = Intervals::default();
            let mut model = BTreeSet::new();
            for (insert, start, length) in steps {
                let end = start + length;
                if insert {
                    let free = (start..end).all(|byte| !model.contains(&byte));
                    prop_assert_eq!(set.insert(start, end).is_ok(), free);
                    if free {
                        model.extend(start..end);
                    }
                } else if (start..end).all(|byte| model.contains(&byte)) {
                    set.remove(start, end);
                    for byte in start..end {
                        model.remove(&byte);
                    }
                }
                prop_assert!(set.is_sound());
                prop_assert_eq!(set.bytes(), model.len() as u64);
                prop_assert_eq!(set.end(), model.last().map_or(0, |last| last + 1));
                prop_assert_eq!(set.first_missing(), (0..).find(|byte| !model.contains(byte)).unwrap());
                for at in 0..75 {
                    prop_assert_eq!(set.overlaps(at, at + 1), model.contains(&at));
                    prop_assert_eq!(set.run_end(at).is_some(), model.contains(&at));
                    if let Some(end) = set.run_end(at) {
                        prop_assert!((at..end).all(|byte| model.contains(&byte)) && !model.contains(&end));
                    }
                    let next = (at + 1..75).find(|byte| model.contains(byte) && !model.contains(&(byte - 1)));
                    prop_assert_eq!(set.next_start(at), next);
                }
            }
        }
    }
}
