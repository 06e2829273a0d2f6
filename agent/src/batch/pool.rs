//! The memory of all request bodies: one bound, and buffers that are used again while there is work.

use super::Entry;
use super::limits::{BODY_BYTES_MAX, MEMORY_BYTES_MIN};

/// A smaller buffer is not worth keeping.
const KEPT_BYTES_MIN: usize = 64 * 1024;
/// The smallest body: a stream that speaks a line at a time costs no more than this.
const BODY_BYTES_MIN: usize = 4 * 1024;
/// The least number of entries that an open batch makes room for.
const ENTRIES_MIN: usize = 16;

/// What a batch is written into.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) body: Vec<u8>,
    pub(super) events: Vec<Entry>,
}

impl Buffers {
    /// What they hold of the host's memory, used or not.
    pub(super) fn bytes(&self) -> usize {
        self.body.capacity() + self.events.capacity() * size_of::<Entry>()
    }
}

#[derive(Debug)]
pub(super) struct Pool {
    limit: usize,
    /// All buffers that exist: open, sealed, in flight and free.
    used: usize,
    free: Vec<Buffers>,
}

impl Pool {
    pub(super) fn new(memory_bytes: usize) -> Self {
        Pool {
            limit: limit(memory_bytes),
            used: 0,
            free: Vec::new(),
        }
    }

    /// From now on. What is in use beyond it comes back before anything more is given.
    pub(super) fn set_limit(&mut self, memory_bytes: usize) {
        self.limit = limit(memory_bytes);
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Memory of buffers that are in somebody's hands.
    pub(super) fn in_use(&self) -> usize {
        self.used - self.free.iter().map(Buffers::bytes).sum::<usize>()
    }

    /// Buffers with room for a body of about this size; a small one if there is no memory for more, none if there is none at all.
    pub(super) fn take(&mut self, body_bytes: usize) -> Option<Buffers> {
        let wanted = size_class(body_bytes);
        if let Some(index) = self
            .free
            .iter()
            .position(|free| free.body.capacity() >= wanted && wanted >= KEPT_BYTES_MIN)
        {
            return Some(self.free.swap_remove(index));
        }
        let mut buffers = Buffers::default();
        if self.grow_body(&mut buffers, wanted) || self.grow_body(&mut buffers, BODY_BYTES_MIN) {
            return Some(buffers);
        }
        None
    }

    /// Room for at least `bytes` of body; false if there is no memory for it.
    pub(super) fn grow_body(&mut self, buffers: &mut Buffers, bytes: usize) -> bool {
        let (old, new) = (buffers.body.capacity(), size_class(bytes));
        if new <= old {
            return true;
        }
        if !self.claim(new - old) {
            return false;
        }
        buffers.body.reserve_exact(new - buffers.body.len());
        self.used += buffers.body.capacity() - new;
        true
    }

    /// Room for one more entry; false if there is no memory for it.
    pub(super) fn grow_events(&mut self, buffers: &mut Buffers) -> bool {
        let old = buffers.events.capacity();
        if buffers.events.len() < old {
            return true;
        }
        // By half, not by doubling: most batches end at some 4,000 events, and this memory counts.
        let new = (old + old / 2).max(ENTRIES_MIN);
        if !self.claim((new - old) * size_of::<Entry>()) {
            return false;
        }
        buffers.events.reserve_exact(new - buffers.events.len());
        self.used += (buffers.events.capacity() - new) * size_of::<Entry>();
        true
    }

    /// Does something to which the limit does not apply.
    pub(super) fn unbounded<T>(&mut self, act: impl FnOnce(&mut Pool) -> T) -> T {
        let limit = std::mem::replace(&mut self.limit, usize::MAX);
        let done = act(self);
        self.limit = limit;
        done
    }

    /// Takes the buffers of a batch back that held `bytes`, whatever of them still exists.
    pub(super) fn give(&mut self, bytes: usize, mut buffers: Buffers) {
        buffers.body.clear();
        buffers.events.clear();
        self.used -= bytes;
        let kept = buffers.bytes();
        if buffers.body.capacity() >= KEPT_BYTES_MIN && self.used + kept <= self.limit {
            self.used += kept;
            self.free.push(buffers);
        }
    }

    /// Gives what nobody uses back to the host.
    pub(super) fn trim(&mut self) {
        self.used = self.in_use();
        self.free = Vec::new();
    }

    pub(super) fn is_trim(&self) -> bool {
        self.free.is_empty()
    }

    /// Counts `bytes` that are about to be allocated, in place of free buffers if need be.
    fn claim(&mut self, bytes: usize) -> bool {
        while self.used + bytes > self.limit {
            let Some(free) = self.free.pop() else {
                return false;
            };
            self.used -= free.bytes();
        }
        self.used += bytes;
        true
    }
}

/// What bodies may take of so much memory: one body's worth is kept back, because sorting a batch needs a second one for a moment.
fn limit(memory_bytes: usize) -> usize {
    memory_bytes.max(MEMORY_BYTES_MIN) - BODY_BYTES_MAX
}

/// Bodies double up to the size that a full batch has. Beyond it stands only a single event, which gets what it needs.
fn size_class(bytes: usize) -> usize {
    if bytes > BODY_BYTES_MAX {
        return bytes;
    }
    bytes
        .next_power_of_two()
        .clamp(BODY_BYTES_MIN, BODY_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_full_pool_says_no_until_something_comes_back() {
        let mut pool = Pool::new(0);
        let mut held = Vec::new();
        while let Some(buffers) = pool.take(BODY_BYTES_MAX) {
            held.push(buffers);
        }
        assert!(pool.in_use() <= pool.limit());
        let back = held.pop().unwrap();
        pool.give(back.bytes(), back);
        assert!(pool.take(1).is_some());
    }

    #[test]
    fn a_large_buffer_is_used_again_and_goes_when_it_is_quiet() {
        let mut pool = Pool::new(0);
        let buffers = pool.take(BODY_BYTES_MAX).unwrap();
        let place = buffers.body.as_ptr();
        pool.give(buffers.bytes(), buffers);
        let again = pool.take(BODY_BYTES_MAX).unwrap();
        assert_eq!(again.body.as_ptr(), place);
        pool.give(again.bytes(), again);
        assert!(!pool.is_trim());
        pool.trim();
        assert!(pool.is_trim());
        assert_eq!(pool.used, 0);
    }

    #[test]
    fn free_buffers_make_way_for_one_of_another_size() {
        let mut pool = Pool::new(0);
        let held: Vec<_> = std::iter::from_fn(|| pool.take(BODY_BYTES_MAX)).collect();
        for buffers in held {
            pool.give(buffers.bytes(), buffers);
        }
        let mut one = pool.take(1).unwrap();
        let limit = pool.limit();
        assert!(pool.grow_body(&mut one, limit));
        assert!(pool.used <= pool.limit());
    }
}
