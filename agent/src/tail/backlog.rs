//! When a rotated generation is over, and how much may be left unread: bounds by count and by bytes, not by time.

use std::time::Duration;

use super::Sight;
use super::files::Files;
use super::generation::{Source, State};
use super::source;
use crate::account::{GenerationId, Lost};
use crate::discover::stat::Stat;

/// So many rotated copies of a file are followed, the newest ones. Logs that are kept longer than that are not written to.
const ROTATED_MAX: usize = 64;
/// An older one ends when it did not grow for this long.
const OLD_QUIET: Duration = Duration::from_secs(60);
/// A deleted one that did not grow for this long is asked whether anybody can write to it.
const ASKED_AFTER: Duration = Duration::from_secs(5);
/// And again after this.
const ASKED_AGAIN: Duration = Duration::from_secs(10);
/// Where that can't be asked, a deleted one ends when it did not grow for this long. Its writer may hold it; longer than this would keep the
/// disk's space from being freed.
const DELETED_QUIET: Duration = Duration::from_secs(60);

impl Files {
    /// Ends what was rotated away, is read to its end, and will not grow any more. A rotated copy does not end while it has a name: writers
    /// hold on to it, some for several rotations. One without a name ends when nobody can write to it any more.
    pub(super) fn end_what_is_over(&mut self, now: Duration) {
        let drained: Vec<GenerationId> = self
            .aside
            .iter()
            .filter(|id| {
                self.generations
                    .get(id)
                    .is_some_and(|generation| generation.is_drained())
            })
            .filter(|id| !self.searched.contains_key(id))
            .copied()
            .collect();
        for id in drained {
            if !self.is_over(id, now) {
                continue;
            }
            let Some(generation) = self.generations.get_mut(&id) else {
                continue;
            };
            generation.ended = true;
            generation.kept = false;
            let size = generation.size;
            if generation.state == (State::Detached { deleted: true }) {
                generation.deleted = true;
                generation.state = State::Final;
                let node = generation.node;
                self.close(id, Source::Gone);
                if self.by_node.get(&node) == Some(&id) {
                    self.by_node.remove(&node);
                }
            }
            self.sights.push(Sight::Ended { id, size });
        }
    }

    fn is_over(&mut self, id: GenerationId, now: Duration) -> bool {
        let superseded = !self.is_newest_rotated(id);
        let is_old = self.is_old(id);
        let Some(generation) = self.generations.get_mut(&id) else {
            return false;
        };
        let quiet = now.saturating_sub(generation.grew_at);
        if generation.ended {
            return generation.kept && superseded;
        }
        match generation.state {
            State::Live => false,
            State::Final => true,
            State::Detached { deleted: false } => is_old && quiet >= OLD_QUIET,
            State::Detached { deleted: true } => {
                if quiet < ASKED_AFTER || now < generation.asked_at + ASKED_AGAIN {
                    return false;
                }
                generation.asked_at = now;
                let Some(file) = generation.file() else {
                    return true;
                };
                match source::is_written(file) {
                    Some(true) => false,
                    // What was written before it was closed is read first.
                    Some(false) => {
                        Stat::of_open(file).is_ok_and(|stat| stat.size <= generation.size)
                    }
                    None => quiet >= DELETED_QUIET,
                }
            }
        }
    }

    /// Whether there are so many newer rotated copies of its path that it is not followed any more.
    fn is_old(&self, id: GenerationId) -> bool {
        self.generations
            .get(&id)
            .and_then(|generation| self.slots[generation.slot].as_ref())
            .is_some_and(|slot| {
                let at = slot.detached.iter().position(|&other| other == id);
                at.is_some_and(|at| slot.detached.len() - at > ROTATED_MAX)
            })
    }

    /// Gives up the oldest generations that were rotated away or deleted, until what is left unread is within the limits.
    pub(super) fn bound_backlog(&mut self) {
        let unread: Vec<(GenerationId, u64)> = self
            .aside
            .iter()
            .filter_map(|id| self.generations.get(id))
            .map(|generation| (generation.id, generation.unread()))
            .filter(|&(_, bytes)| bytes > 0)
            .collect();
        let (mut files, mut bytes) = (
            unread.len(),
            unread.iter().map(|&(_, bytes)| bytes).sum::<u64>(),
        );
        if files == 0
            && let Some(path) = self.backlog_trouble.take()
        {
            self.clear(&path);
        }
        for (id, its_bytes) in unread {
            if files <= self.limits.backlog_files && bytes <= self.limits.backlog_bytes {
                return;
            }
            let Some(path) = self.generations.get(&id).map(|g| g.path.clone()) else {
                continue;
            };
            self.give_up(id, Lost::Backlog);
            files -= 1;
            bytes -= its_bytes;
            let message = format!(
                "more rotated logs are unread than the limits allow ({} files, {} bytes): {its_bytes} bytes of the oldest are \
                 given up; raise limits.backlog or limits.backlog_files, or find out what holds shipping up",
                self.limits.backlog_files, self.limits.backlog_bytes
            );
            self.trouble(&path, message);
            self.backlog_trouble = Some(path);
        }
    }
}
