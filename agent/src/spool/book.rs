//! Which readings are settled, and which requests are open. Pure.
//!
//! Readings are sent in *parcels* of neighbours: what a parcel holds as data of PutMetricData follows from its readings alone, so a part of it
//! is named by two numbers. Parcels cover the numbers of readings without a gap.

use std::collections::BTreeMap;

/// A part of a parcel: the data `from..to` of the `of` that the readings `first..=last` make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range {
    /// The first reading's number.
    pub first: u64,
    /// The last reading's number.
    pub last: u64,
    /// The first of the data.
    pub from: u32,
    /// The one behind the last.
    pub to: u32,
    /// How many data the parcel has.
    pub of: u32,
}

/// The readings `first..=last`, of which something is settled or open.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parcel {
    last: u64,
    of: u32,
    /// Disjoint.
    settled: Vec<(u32, u32)>,
    /// Disjoint.
    open: Vec<(u32, u32)>,
}

/// The account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Book {
    /// Readings up to this number are settled.
    through: u64,
    /// By their first reading's number.
    parcels: BTreeMap<u64, Parcel>,
}

impl Book {
    /// Readings up to this number are settled, or gone.
    pub(super) fn through(&self) -> u64 {
        self.through
    }

    /// Readings up to this number are in a parcel, or settled.
    pub(super) fn packed_through(&self) -> u64 {
        self.parcels
            .values()
            .next_back()
            .map_or(self.through, |parcel| parcel.last)
    }

    /// A request leaves. Nothing is sent that may be under way: an open request of the same data was withdrawn, and the disk did not
    /// take that down.
    pub(super) fn intend(&mut self, range: Range) {
        if let Some(parcel) = self.parcel(range) {
            parcel
                .open
                .retain(|open| open.1 <= range.from || open.0 >= range.to);
            parcel.open.push((range.from, range.to));
        }
    }

    /// It has not arrived, for certain.
    pub(super) fn withdraw(&mut self, range: Range) {
        if let Some(parcel) = self.parcel(range) {
            parcel.open.retain(|open| *open != (range.from, range.to));
        }
    }

    /// These points have met their fate.
    pub(super) fn settle(&mut self, range: Range) {
        let Some(parcel) = self.parcel(range) else {
            return;
        };
        // What is settled as a whole closes every request inside.
        parcel
            .open
            .retain(|open| open.0 < range.from || open.1 > range.to);
        parcel.settled.push((range.from, range.to));
        while let Some(first) = self.parcels.first_entry() {
            if !first.get().is_settled() {
                break;
            }
            self.through = first.remove().last;
        }
    }

    /// The readings up to this number are gone, and with them the whole of each parcel that holds one of them. Returns the
    /// number through which everything is settled now.
    pub(super) fn forget(&mut self, through: u64) -> u64 {
        self.through = self.through.max(through);
        while let Some(first) = self.parcels.first_entry() {
            if *first.key() > self.through {
                break;
            }
            self.through = self.through.max(first.remove().last);
        }
        self.through
    }

    /// Requests whose outcome is not known, oldest first.
    pub(super) fn open(&self) -> Vec<Range> {
        self.parts(|parcel| parcel.open.clone())
    }

    /// Parts of parcels that are neither settled nor open: to be sent (again) before anything else.
    pub(super) fn gaps(&self) -> Vec<Range> {
        self.parts(Parcel::gaps)
    }

    fn parts(&self, which: impl Fn(&Parcel) -> Vec<(u32, u32)>) -> Vec<Range> {
        let of_parcel = |(first, parcel): (&u64, &Parcel)| {
            let (first, last, of) = (*first, parcel.last, parcel.of);
            let mut parts = which(parcel);
            parts.sort_unstable();
            parts.into_iter().map(move |(from, to)| Range {
                first,
                last,
                from,
                to,
                of,
            })
        };
        self.parcels.iter().flat_map(of_parcel).collect()
    }

    /// How many parcels there are.
    pub(super) fn parcels(&self) -> usize {
        self.parcels.len()
    }

    /// The range's parcel, made if it is new; none for what is settled already or does not fit.
    fn parcel(&mut self, range: Range) -> Option<&mut Parcel> {
        let fits = range.first <= range.last && range.from < range.to && range.to <= range.of;
        if !fits {
            return None;
        }
        if range.first <= self.through {
            // A parcel goes whole: its beginning is gone, and so is what it has in later segments.
            if range.last > self.through {
                self.forget(range.last);
            }
            return None;
        }
        let parcel = self.parcels.entry(range.first).or_insert(Parcel {
            last: range.last,
            of: range.of,
            settled: Vec::new(),
            open: Vec::new(),
        });
        (parcel.last == range.last && parcel.of == range.of).then_some(parcel)
    }
}

impl Parcel {
    fn is_settled(&self) -> bool {
        let mut end = 0;
        let mut settled = self.settled.clone();
        settled.sort_unstable();
        for (from, to) in settled {
            if from > end {
                return false;
            }
            end = end.max(to);
        }
        end >= self.of
    }

    fn gaps(&self) -> Vec<(u32, u32)> {
        let mut known = [self.settled.as_slice(), self.open.as_slice()].concat();
        known.sort_unstable();
        let (mut gaps, mut end) = (Vec::new(), 0);
        for (from, to) in known {
            if from > end {
                gaps.push((end, from));
            }
            end = end.max(to);
        }
        if end < self.of {
            gaps.push((end, self.of));
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64, from: u32, to: u32, of: u32) -> Range {
        Range {
            first,
            last,
            from,
            to,
            of,
        }
    }

    #[test]
    fn a_parcel_is_settled_when_all_of_its_parts_are() {
        let mut book = Book::default();
        book.intend(range(1, 3, 0, 10, 25));
        book.settle(range(1, 3, 0, 10, 25));
        assert_eq!(book.through(), 0);
        assert_eq!(book.packed_through(), 3);
        assert_eq!(book.gaps(), [range(1, 3, 10, 25, 25)]);
        book.intend(range(1, 3, 10, 20, 25));
        assert_eq!(book.gaps(), [range(1, 3, 20, 25, 25)]);
        assert_eq!(book.open(), [range(1, 3, 10, 20, 25)]);
        book.withdraw(range(1, 3, 10, 20, 25));
        assert_eq!(book.gaps(), [range(1, 3, 10, 25, 25)]);
        book.settle(range(1, 3, 10, 25, 25));
        assert_eq!((book.through(), book.parcels()), (3, 0));
    }

    #[test]
    fn what_is_behind_an_open_request_waits_for_it() {
        let mut book = Book::default();
        book.intend(range(1, 1, 0, 5, 5));
        book.intend(range(2, 4, 0, 5, 5));
        book.settle(range(2, 4, 0, 5, 5));
        assert_eq!((book.through(), book.packed_through()), (0, 4));
        book.settle(range(1, 1, 0, 5, 5));
        assert_eq!(book.through(), 4);
    }

    #[test]
    fn what_is_settled_stays_settled() {
        let mut book = Book::default();
        book.settle(range(1, 2, 0, 5, 5));
        book.intend(range(1, 2, 0, 5, 5));
        assert_eq!(book.open(), []);
        assert_eq!(book.through(), 2);
    }

    #[test]
    fn a_parcel_goes_whole_when_one_of_its_readings_does() {
        let mut book = Book::default();
        book.intend(range(1, 4, 0, 5, 5));
        book.intend(range(5, 9, 0, 5, 5));
        assert_eq!(book.forget(2), 4);
        assert_eq!(book.open(), [range(5, 9, 0, 5, 5)]);
        assert_eq!(book.forget(20), 20);
        assert_eq!(book.parcels(), 0);
    }

    #[test]
    fn what_is_told_of_a_parcel_whose_beginning_is_gone_means_all_of_it() {
        let mut book = Book::default();
        book.forget(2);
        book.settle(range(1, 4, 3, 5, 5));
        assert_eq!((book.through(), book.parcels()), (4, 0));
    }

    #[test]
    fn a_request_takes_the_place_of_one_that_it_repeats() {
        let mut book = Book::default();
        book.intend(range(1, 1, 0, 10, 10));
        book.intend(range(1, 1, 0, 4, 10));
        assert_eq!(book.open(), [range(1, 1, 0, 4, 10)]);
        assert_eq!(book.gaps(), [range(1, 1, 4, 10, 10)]);
    }
}
