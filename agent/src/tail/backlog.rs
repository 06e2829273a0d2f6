//! When a rotated generation is over, and how much may be left unread: bounds by count and by bytes, not by time.

use std::time::Duration;

use super::Sight;
use super::files::Files;
use super::generation::State;
use crate::account::{GenerationId, Lost};

/// A generation that a later rotation has superseded ends when it did not grow for this long: by then its writer was told
/// twice to open the file anew.
const SUPERSEDED_QUIET: Duration = Duration::from_secs(5);
/// A deleted one ends when it did not grow for this long. Its writer may hold it; longer than this would keep the disk's
/// space from being freed.
const DELETED_QUIET: Duration = Duration::from_secs(60);

impl Files {
    /// Ends what was rotated away, is read to its end, and will not grow any more. The newest rotated copy of a file does
    /// not end while it has a name: writers hold on to it, some until the next rotation.
    pub(super) fn end_what_is_over(&mut self, now: Duration) {
        let over: Vec<(GenerationId, u64)> = self
            .aside
            .iter()
            .filter_map(|id| self.generations.get(id))
            .filter(|generation| generation.is_drained())
            .filter(|generation| {
                let quiet = now.saturating_sub(generation.grew_at);
                let superseded = !self.is_newest_rotated(generation.id);
                if generation.ended {
                    return generation.kept && superseded;
                }
                match generation.state {
                    State::Live => false,
                    State::Final => true,
                    State::Detached { deleted } => {
                        (superseded && quiet >= SUPERSEDED_QUIET)
                            || (deleted && quiet >= DELETED_QUIET)
                    }
                }
            })
            .map(|generation| (generation.id, generation.size))
            .collect();
        for (id, size) in over {
            if let Some(generation) = self.generations.get_mut(&id) {
                generation.ended = true;
                generation.kept = false;
            }
            self.sights.push(Sight::Ended { id, size });
        }
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
