//! How full a batch is, and whether it is better ended where it is.

use super::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, BODY_BYTES_MAX};

/// How full a batch is, by each rule that ends it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fill {
    pub(super) events: usize,
    pub(super) counted_bytes: usize,
    pub(super) body_bytes: usize,
}

/// When a batch is full.
const FULL: Fill = Fill {
    events: BATCH_EVENTS_MAX,
    counted_bytes: BATCH_BYTES_MAX,
    body_bytes: BODY_BYTES_MAX,
};

impl Fill {
    /// Whether as much as came since `before` would probably not fit any more, and a good part is full.
    pub(super) fn ends_well(self, before: Fill) -> bool {
        let tight = |now: usize, before: usize, full: usize| {
            let run = now - before;
            // Lines differ a little in number and length: an eighth more, and a margin where there are few of one time.
            now >= full / 2 && now + run + run / 8 + full / 64 > full
        };
        tight(self.counted_bytes, before.counted_bytes, FULL.counted_bytes)
            || tight(self.events, before.events, FULL.events)
            || tight(self.body_bytes, before.body_bytes, FULL.body_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bytes(counted_bytes: usize) -> Fill {
        Fill {
            counted_bytes,
            ..Fill::default()
        }
    }

    #[test]
    fn a_batch_ends_if_the_same_again_and_an_eighth_would_not_fit() {
        let full = FULL.counted_bytes;
        let ends = |before, now| of_bytes(now).ends_well(of_bytes(before));
        assert!(
            !ends(0, full / 2 - 1),
            "whatever comes, there is room for much"
        );
        assert!(ends(0, full / 2));
        assert!(!ends(full / 4, full / 2));
        assert!(ends(full / 2, full / 4 * 3));
        assert!(!ends(full / 10 * 8, full / 10 * 8 + 100));
        assert!(ends(full / 65 * 64, full / 65 * 64 + 100));
    }

    #[test]
    fn every_rule_counts() {
        let nothing = Fill::default();
        assert!(!nothing.ends_well(nothing));
        for at in 0..3 {
            let mut fill = Fill::default();
            match at {
                0 => fill.events = FULL.events,
                1 => fill.counted_bytes = FULL.counted_bytes,
                _ => fill.body_bytes = FULL.body_bytes,
            }
            assert!(fill.ends_well(fill));
        }
    }
}
