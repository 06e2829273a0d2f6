//! Checksums of what was read of a generation, up to several positions. Pure.
//!
//! A copy of a log ends anywhere: before what was read of it, at its end, or behind it. So the checksum of everything before a position is
//! kept for positions of two kinds: powers of two, which reach back to the beginning, and the last few at which a read ended, where a copy is
//! most likely to end. The checksum of the bytes between any two of them follows from both, since a CRC is linear.

use crc32fast::Hasher;

use crate::account::{Mark, Print};

/// How many ends of reads are kept.
const ENDS_MAX: usize = 8;
/// Ends of reads that lie closer together than this share a mark.
const END_BYTES_MIN: u64 = 512;

/// The checksums of one generation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checksums {
    base: u64,
    marks: Vec<Mark>,
}

/// A run of bytes and its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) crc: u32,
}

impl Checksums {
    /// Nothing was read yet; reading begins at `base`.
    pub(crate) fn from(base: u64) -> Checksums {
        Checksums {
            base,
            marks: Vec::new(),
        }
    }

    /// As the ledger remembers them. If it remembers none, reading begins at `base`.
    pub(crate) fn remembered(print: &Print, base: u64) -> Checksums {
        let marks = print.marks.clone();
        let in_order = marks.is_sorted_by(|a, b| a.to < b.to)
            && marks.first().is_none_or(|first| first.to > print.base);
        if marks.is_empty() || !in_order {
            return Checksums::from(base);
        }
        Checksums {
            base: print.base,
            marks,
        }
    }

    /// For the ledger.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// For the ledger.
    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// One past the last byte that is covered.
    pub(crate) fn to(&self) -> u64 {
        self.marks.last().map_or(self.base, |last| last.to)
    }

    /// Whether nothing is covered.
    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Takes in bytes that were read at `at`. Those that are covered already are passed over; where some before them are missing, everything
    /// begins anew.
    pub(crate) fn read(&mut self, bytes: &[u8], at: u64) {
        let end = at + bytes.len() as u64;
        if at > self.to() {
            *self = Checksums::from(at);
        }
        let mut from = self.to();
        let mut hasher = self.hasher();
        // Of a long read, positions close to its end are marked as if it had been several.
        let last = end.saturating_sub(ENDS_MAX as u64 * END_BYTES_MIN);
        while from < end {
            let power = (from + 1).next_power_of_two();
            let near = if from < last {
                last
            } else {
                (from / END_BYTES_MIN + 1) * END_BYTES_MIN
            };
            let to = power.min(near).min(end);
            hasher.update(&bytes[(from - at) as usize..(to - at) as usize]);
            self.mark(to, hasher.clone().finalize());
            from = to;
        }
    }

    /// Takes in a run of NULs that is not read: a hole of the file.
    pub(crate) fn skip(&mut self, to: u64) {
        let mut from = self.to();
        let mut hasher = self.hasher();
        while from < to {
            let next = (from + 1).next_power_of_two().min(to);
            hasher.combine(&zeros(next - from));
            self.mark(next, hasher.clone().finalize());
            from = next;
        }
    }

    /// Without what lies behind `to`: a file was cut there.
    pub(crate) fn cut(&self, to: u64) -> Checksums {
        let mut cut = self.clone();
        cut.marks.retain(|mark| mark.to <= to);
        if cut.marks.is_empty() {
            cut.base = cut.base.min(to);
        }
        cut
    }

    /// The last run before `end` that can be compared by reading no more than so much.
    pub(crate) fn last_run(&self, end: u64, bytes_max: u64) -> Option<Sum> {
        let marked = self.marks.partition_point(|mark| mark.to <= end);
        (0..marked).rev().find_map(|last| {
            let to = self.marks[last].to;
            let starts =
                std::iter::once(self.base).chain(self.marks[..last].iter().map(|mark| mark.to));
            let from = starts.into_iter().find(|from| to - from <= bytes_max)?;
            self.run(from, to)
        })
    }

    /// Positions of which the content's own checksum has to be known to compare it from its first byte on.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u64> + '_ {
        self.marks
            .iter()
            .map(|mark| mark.to)
            .chain((self.base > 0).then_some(self.base))
    }

    /// Compares with content of which the checksums of the first so many bytes are given. How far both are known to be the same;
    /// `None` if they are not.
    pub(crate) fn agree_to(&self, first: impl Fn(u64) -> Option<u32>, end: u64) -> Option<u64> {
        let base = match self.base {
            0 => Some(0),
            base if base <= end => first(base),
            _ => None,
        };
        let Some(base) = base else {
            return Some(0);
        };
        let mut agreed = 0;
        for mark in self.marks.iter().filter(|mark| mark.to <= end) {
            let Some(all) = first(mark.to) else {
                continue;
            };
            let expected = match self.base {
                0 => mark.crc,
                // CRC(front and back) from CRC(front) and CRC(back).
                _ => followed(base, mark.to - self.base) ^ mark.crc,
            };
            if all != expected {
                return None;
            }
            agreed = mark.to;
        }
        Some(agreed)
    }

    /// Whether all of some content, so long and with this checksum, is what was read first.
    pub(crate) fn begins_with_all_of(&self, bytes_low: u32, crc: u32) -> bool {
        self.base == 0
            && self
                .marks
                .iter()
                .any(|mark| mark.to as u32 == bytes_low && mark.crc == crc)
    }

    /// The checksum of a run between two marks.
    fn run(&self, from: u64, to: u64) -> Option<Sum> {
        let crc_at = |at: u64| {
            if at == self.base {
                return Some(0);
            }
            let found = self.marks.binary_search_by_key(&at, |mark| mark.to).ok()?;
            Some(self.marks[found].crc)
        };
        let crc = crc_at(to)? ^ followed(crc_at(from)?, to - from);
        Some(Sum { from, to, crc })
    }

    fn hasher(&self) -> Hasher {
        let crc = self.marks.last().map_or(0, |last| last.crc);
        Hasher::new_with_initial_len(crc, self.to() - self.base)
    }

    fn mark(&mut self, to: u64, crc: u32) {
        let mark = Mark { to, crc };
        let before = self.marks.len().checked_sub(2).map(|at| self.marks[at].to);
        match self.marks.last_mut() {
            Some(last)
                if !is_kept(last.to) && to - before.unwrap_or(self.base) <= END_BYTES_MIN =>
            {
                *last = mark;
            }
            _ => self.marks.push(mark),
        }
        let ends = self.marks.iter().filter(|mark| !is_kept(mark.to)).count();
        if ends > ENDS_MAX
            && let Some(oldest) = self.marks.iter().position(|mark| !is_kept(mark.to))
        {
            self.marks.remove(oldest);
        }
    }
}

fn is_kept(at: u64) -> bool {
    at.is_power_of_two()
}

/// What a checksum turns into when so many NULs follow, but for what they add by themselves.
fn followed(crc: u32, bytes: u64) -> u32 {
    let mut front = Hasher::new_with_initial(crc);
    front.combine(&Hasher::new_with_initial_len(0, bytes));
    front.finalize()
}

/// The checksum of so many NULs.
fn zeros(mut count: u64) -> Hasher {
    let mut all = Hasher::new();
    let mut power = Hasher::new();
    power.update(&[0]);
    while count > 0 {
        if count & 1 == 1 {
            all.combine(&power);
        }
        let half = power.clone();
        power.combine(&half);
        count >>= 1;
    }
    all
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    const COMPARED_BYTES_MAX: u64 = 1024 * 1024;

    fn noise(bytes: usize, seed: u32) -> Vec<u8> {
        (0..bytes as u32)
            .map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8)
            .collect()
    }

    fn read_in(pieces: &[usize], content: &[u8], base: usize) -> Checksums {
        let mut sums = Checksums::from(base as u64);
        let mut at = base;
        for piece in pieces {
            let end = (at + piece).min(content.len());
            sums.read(&content[at..end], at as u64);
            at = end;
        }
        sums.read(&content[at..], at as u64);
        sums
    }

    fn first(content: &[u8]) -> impl Fn(u64) -> Option<u32> + '_ {
        |to| Some(crc32fast::hash(content.get(..to as usize)?))
    }

    proptest! {
        /// However it was read, it knows what it read, and any beginning of it, and nothing else.
        #[test]
        fn content_is_known_by_any_beginning(pieces in prop::collection::vec(1..5000_usize, 0..40), bytes in 1..60_000_usize,
                                             base in 0..3000_usize, cut in any::<prop::sample::Index>(), wrong in any::<prop::sample::Index>()) {
            let content = noise(bytes + base, 1);
            let sums = read_in(&pieces, &content, base);
            prop_assert_eq!(sums.to(), content.len() as u64);
            let end = base + 1 + cut.index(bytes);
            let agreed = sums.agree_to(first(&content[..end]), end as u64).unwrap();
            prop_assert!(agreed <= end as u64);
            prop_assert!(agreed == 0 || 2 * agreed >= end as u64, "{} of {}", agreed, end);
            if let Some(run) = sums.last_run(end as u64, COMPARED_BYTES_MAX) {
                prop_assert_eq!(run.crc, crc32fast::hash(&content[run.from as usize..run.to as usize]));
                let mut other = content.clone();
                let at = run.from as usize + wrong.index((run.to - run.from) as usize);
                other[at] ^= 1;
                prop_assert_ne!(run.crc, crc32fast::hash(&other[run.from as usize..run.to as usize]));
                if at >= base {
                    prop_assert_eq!(sums.agree_to(first(&other), other.len() as u64), None);
                }
            }
        }

        #[test]
        fn a_hole_counts_as_its_nuls(before in 0..2000_usize, hole in 1..100_000_usize, after in 1..2000_usize) {
            let mut content = noise(before, 2);
            content.resize(before + hole, 0);
            content.extend(noise(after, 3));
            let mut sums = Checksums::from(0);
            sums.read(&content[..before], 0);
            sums.skip((before + hole) as u64);
            sums.read(&content[before + hole..], (before + hole) as u64);
            prop_assert_eq!(sums.marks().last().unwrap().crc, crc32fast::hash(&content));
            prop_assert!(sums.begins_with_all_of(content.len() as u32, crc32fast::hash(&content)));
        }
    }

    #[test]
    fn few_marks_are_kept_however_much_is_read() {
        let mut sums = Checksums::from(0);
        let piece = noise(1000, 4);
        for n in 0..10_000 {
            sums.read(&piece, n * 1000);
        }
        assert!(sums.marks().len() <= ENDS_MAX + 25, "{:?}", sums.marks());
        let run = sums.last_run(u64::MAX, COMPARED_BYTES_MAX).unwrap();
        assert_eq!(run.to, 10_000_000);
        assert!(run.to - run.from <= COMPARED_BYTES_MAX);
    }

    #[test]
    fn a_gap_begins_anew_and_what_is_read_again_changes_nothing() {
        let content = noise(5000, 5);
        let mut sums = read_in(&[], &content, 0);
        let whole = sums.clone();
        sums.read(&content[100..3000], 100);
        assert_eq!(sums, whole);
        sums.read(b"far away", 9000);
        assert_eq!((sums.base(), sums.to()), (9000, 9008));
    }

    #[test]
    fn what_the_ledger_remembers_goes_on() {
        let content = noise(9000, 6);
        let mut sums = read_in(&[300], &content[..7000], 0);
        let print = Print {
            base: sums.base(),
            marks: sums.marks().to_vec(),
            ..Print::default()
        };
        assert_eq!(Checksums::remembered(&print, 5000), sums);
        let mut after = Checksums::remembered(&print, 5000);
        after.read(&content[5000..], 5000);
        sums.read(&content[7000..], 7000);
        assert_eq!(after.marks().last(), sums.marks().last());
        assert_eq!(Checksums::remembered(&Print::default(), 5000).base(), 5000);
    }
}
