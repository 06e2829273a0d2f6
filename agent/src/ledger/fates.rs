//! Sums of bytes by what became of them, and the numbers by which fates are written down.

use crate::account::{Fate, Filtered, Lost, Rejected};

/// Every fate, by its code. A code is part of the format on disk: new ones go to the end, none is ever given another
/// meaning.
pub(super) const FATES: [Fate; 14] = [
    Fate::Shipped,
    Fate::Filtered(Filtered::Pattern),
    Fate::Filtered(Filtered::Empty),
    Fate::Filtered(Filtered::Hole),
    Fate::Filtered(Filtered::BeforeStart),
    Fate::Filtered(Filtered::OtherInstance),
    Fate::Rejected(Rejected::TooOld),
    Fate::Rejected(Rejected::TooNew),
    Fate::Rejected(Rejected::Expired),
    Fate::Rejected(Rejected::Invalid),
    Fate::Lost(Lost::CopyTruncate),
    Fate::Lost(Lost::Deleted),
    Fate::Lost(Lost::Backlog),
    Fate::Lost(Lost::Unreadable),
];

/// The number that stands for a fate on disk: its place in [`FATES`].
pub(super) fn code(fate: Fate) -> u8 {
    match fate {
        Fate::Shipped => 0,
        Fate::Filtered(Filtered::Pattern) => 1,
        Fate::Filtered(Filtered::Empty) => 2,
        Fate::Filtered(Filtered::Hole) => 3,
        Fate::Filtered(Filtered::BeforeStart) => 4,
        Fate::Filtered(Filtered::OtherInstance) => 5,
        Fate::Rejected(Rejected::TooOld) => 6,
        Fate::Rejected(Rejected::TooNew) => 7,
        Fate::Rejected(Rejected::Expired) => 8,
        Fate::Rejected(Rejected::Invalid) => 9,
        Fate::Lost(Lost::CopyTruncate) => 10,
        Fate::Lost(Lost::Deleted) => 11,
        Fate::Lost(Lost::Backlog) => 12,
        Fate::Lost(Lost::Unreadable) => 13,
    }
}

/// The fate that a number on disk stands for.
pub(super) fn fate(code: u8) -> Option<Fate> {
    FATES.get(usize::from(code)).copied()
}

/// Bytes by fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals([u64; FATES.len()]);

impl Totals {
    /// The bytes that met this fate.
    #[must_use]
    pub fn of(&self, fate: Fate) -> u64 {
        self.0[usize::from(code(fate))]
    }

    /// The bytes at rest in CloudWatch Logs.
    #[must_use]
    pub fn shipped(&self) -> u64 {
        self.of(Fate::Shipped)
    }

    /// The bytes deliberately not sent, for all reasons together.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        self.sum_where(|fate| matches!(fate, Fate::Filtered(_)))
    }

    /// The bytes that the service did not take, for all reasons together.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.sum_where(|fate| matches!(fate, Fate::Rejected(_)))
    }

    /// The bytes that were not there to be sent, for all reasons together.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sum_where(|fate| matches!(fate, Fate::Lost(_)))
    }

    /// All bytes whose fate is known.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// Every fate that any byte has met, with its bytes.
    pub fn iter(&self) -> impl Iterator<Item = (Fate, u64)> {
        FATES
            .into_iter()
            .zip(self.0)
            .filter(|(_, bytes)| *bytes > 0)
    }

    /// These, and those of `other`.
    pub fn add(&mut self, other: &Totals) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    pub(super) fn count(&mut self, fate: Fate, bytes: u64) {
        let sum = &mut self.0[usize::from(code(fate))];
        *sum = sum.saturating_add(bytes);
    }

    fn sum_where(&self, wanted: impl Fn(Fate) -> bool) -> u64 {
        self.iter()
            .filter(|(fate, _)| wanted(*fate))
            .fold(0, |sum, (_, bytes)| sum.saturating_add(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::{FATES, Totals, code, fate};

    #[test]
    fn every_fate_has_a_code_that_leads_back_to_it() {
        for (at, each) in FATES.into_iter().enumerate() {
            assert_eq!(usize::from(code(each)), at);
            assert_eq!(fate(code(each)), Some(each));
        }
        assert_eq!(fate(14), None);
        assert_eq!(fate(u8::MAX), None);
    }

    #[test]
    fn sums_by_kind_add_up_to_the_whole() {
        let mut totals = Totals::default();
        for (at, each) in FATES.into_iter().enumerate() {
            totals.count(each, 1 << at);
        }
        assert_eq!(
            totals.shipped() + totals.filtered() + totals.rejected() + totals.lost(),
            totals.sum()
        );
        assert_eq!(totals.sum(), (1 << FATES.len()) - 1);
        assert_eq!(totals.filtered(), 0b11_1110);
    }
}
