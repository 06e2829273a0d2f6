//! What the account adds up to, by set and in all.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::Totals;

use super::State;

/// The sums of a set of files, those that are not followed any more included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetTotals {
    /// Generations that are followed.
    pub followed: u64,
    /// Generations that were, and are settled.
    pub forgotten: u64,
    /// Bytes seen.
    pub seen: u64,
    /// Bytes without a fate, those in flight included.
    pub pending: u64,
    /// Bytes by fate.
    pub totals: Totals,
}

impl State {
    /// The sums of every set that any generation ever belonged to.
    #[must_use]
    pub fn sets(&self) -> BTreeMap<Arc<str>, SetTotals> {
        let mut sets: BTreeMap<Arc<str>, SetTotals> = BTreeMap::new();
        for (set, retired) in &self.retired {
            let sums = sets.entry(Arc::clone(set)).or_default();
            sums.forgotten = retired.generations;
            sums.seen = retired.totals.sum();
            sums.totals = retired.totals;
        }
        for generation in self.generations.values() {
            let sums = sets.entry(Arc::clone(generation.set())).or_default();
            sums.followed += 1;
            sums.seen = sums.seen.saturating_add(generation.seen());
            sums.pending = sums.pending.saturating_add(generation.pending());
            sums.totals.add(generation.totals());
        }
        sets
    }

    /// The sums of everything since the ledger began.
    #[must_use]
    pub fn overall(&self) -> SetTotals {
        self.sets()
            .into_values()
            .fold(SetTotals::default(), |mut all, set| {
                all.followed += set.followed;
                all.forgotten = all.forgotten.saturating_add(set.forgotten);
                all.seen = all.seen.saturating_add(set.seen);
                all.pending = all.pending.saturating_add(set.pending);
                all.totals.add(&set.totals);
                all
            })
    }
}
