//! Whether every part makes progress: a beat goes the way of every step, from the network's thread to the engine, on to the
//! ledger, and back. The watchdog is patted only when it has come round.

use std::sync::atomic::{AtomicU64, Ordering};

/// The numbers of beats, by how far they have come.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    asked: AtomicU64,
    passed: AtomicU64,
    returned: AtomicU64,
}

/// What is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Engine,
    Ledger,
}

impl Pulse {
    /// The next beat, to be sent to the engine.
    pub(super) fn next(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The engine has seen it.
    pub(super) fn passed(&self, number: u64) {
        self.passed.fetch_max(number, Ordering::Relaxed);
    }

    /// So has the ledger's thread, and all that was to be written before is.
    pub(super) fn returned(&self, number: u64) {
        self.returned.fetch_max(number, Ordering::Relaxed);
    }

    /// The ledger's thread tries again and again, and is no more stuck than the disk is.
    pub(super) fn waits_for_the_disk(&self) {
        self.returned(self.passed.load(Ordering::Relaxed));
    }

    /// The part that has not let the last beat through; `None` if all have.
    pub(super) fn stuck(&self) -> Option<Part> {
        let asked = self.asked.load(Ordering::Relaxed);
        if self.passed.load(Ordering::Relaxed) < asked {
            Some(Part::Engine)
        } else if self.returned.load(Ordering::Relaxed) < asked {
            Some(Part::Ledger)
        } else {
            None
        }
    }
}

impl Part {
    /// Both of them.
    pub(super) const ALL: [Self; 2] = [Self::Engine, Self::Ledger];

    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Engine => "the engine",
            Part::Ledger => "the ledger",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_holds_the_beat_is_named() {
        let pulse = Pulse::default();
        assert_eq!(pulse.stuck(), None);
        let first = pulse.next();
        assert_eq!(pulse.stuck(), Some(Part::Engine));
        pulse.passed(first);
        assert_eq!(pulse.stuck(), Some(Part::Ledger));
        pulse.returned(first);
        assert_eq!(pulse.stuck(), None);
        pulse.next();
        assert_eq!(pulse.stuck(), Some(Part::Engine));
    }

    #[test]
    fn a_disk_that_takes_nothing_is_no_hang() {
        let pulse = Pulse::default();
        pulse.passed(pulse.next());
        pulse.waits_for_the_disk();
        assert_eq!(pulse.stuck(), None);
        // But it does not speak for the engine.
        pulse.next();
        pulse.waits_for_the_disk();
        assert_eq!(pulse.stuck(), Some(Part::Engine));
    }
}
