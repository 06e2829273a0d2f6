//! What a look at a path means: nothing new, grown, truncated, another file, or gone.

use std::path::Path;

use std::time::Duration;

use nix::errno::Errno;

use super::Sight;
use super::files::Files;
use super::generation::{Generation, Source, State};
use super::identity::{Anchor, HEAD_BYTES_MAX, beginning, begins_with, head_of};
use crate::account::{GenerationId, Head, Identity};
use crate::discover::links::refusal;
use crate::discover::stat::Stat;

impl Files {
    /// Looks at a slot's path.
    pub(super) fn look_at(&mut self, index: usize, now: Duration) {
        let Some(Some(slot)) = self.slots.get_mut(index) else {
            return;
        };
        let stat = match Stat::at(&slot.path) {
            Ok(stat) => Some(stat),
            Err(Errno::ENOENT | Errno::ENOTDIR) => None,
            Err(error) => {
                let path = slot.path.clone();
                slot.last = None;
                self.trouble(&path, unreadable(error));
                return;
            }
        };
        let current = slot.current;
        let suspect = current
            .and_then(|id| self.generations.get(&id))
            .is_some_and(|generation| generation.suspect);
        if stat == slot.last && !suspect && stat.is_some() == current.is_some() {
            return;
        }
        let path = slot.path.clone();
        match stat {
            None => {
                slot.last = None;
                slot.alias = false;
                if let Some(id) = current {
                    self.detach(id, now);
                    self.find_missed(index, self.newest_detached(index), now);
                }
                self.clear(&path);
            }
            Some(stat) if !stat.is_file() => {
                slot.last = None;
                if let Some(id) = current {
                    self.detach(id, now);
                }
                self.trouble(
                    &path,
                    format!(
                        "this is {}, and only regular files are followed; exclude it, or have it written to a file",
                        stat.kind_name()
                    ),
                );
            }
            Some(stat) => {
                match current.and_then(|id| Some((id, self.generations.get(&id)?.node))) {
                    Some((id, node)) if node == stat.node => self.observe(index, id, stat, now),
                    _ => {
                        if let Some(id) = current {
                            self.detach(id, now);
                        }
                        let left = current.and_then(|_| self.newest_detached(index));
                        self.attach(index, &path, stat, left, now);
                    }
                }
            }
        }
    }

    /// What left the path in this look, if something did: it was truncated on the way, perhaps.
    fn newest_detached(&self, index: usize) -> Option<GenerationId> {
        self.slots[index].as_ref()?.detached.last().copied()
    }

    /// The same file as before: did it grow, or was it truncated?
    fn observe(&mut self, index: usize, id: GenerationId, stat: Stat, now: Duration) {
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        let suspect = std::mem::take(&mut generation.suspect);
        let (size, head_bytes) = (generation.size, generation.identity.head.bytes as usize);
        let touched = stat.modified != generation.modified;
        let stands = if stat.size < size {
            Some(false)
        } else if suspect || stat.size > size || (touched && size > 0) {
            // Only what is known to be this generation's is told to have been seen.
            self.still_stands(id)
        } else {
            Some(true)
        };
        let grows_head = stands == Some(true) && stat.size > size && head_bytes < HEAD_BYTES_MAX;
        let stands = if grows_head {
            self.grow_head(id)
        } else {
            stands
        };
        match stands {
            Some(true) => {}
            Some(false) => {
                self.truncated(index, id, stat, now);
                return;
            }
            None => {
                // It can't be read just now; try again at the next look.
                let path = self.slots[index].as_ref().map(|slot| slot.path.clone());
                if let (Some(path), Some(Some(slot))) = (path, self.slots.get_mut(index)) {
                    slot.last = None;
                    self.trouble(&path, unreadable(Errno::EACCES));
                }
                return;
            }
        }
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        generation.modified = stat.modified;
        // What is written into space that was allocated ahead does not change the size.
        let written = touched && stat.size == generation.size && !generation.is_drained();
        if stat.size > generation.size || written {
            generation.size = stat.size;
            generation.grew_at = now;
            generation.ended = false;
            self.sights.push(Sight::Grew {
                id,
                size: stat.size,
            });
            self.note_growth(index, now);
        }
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.last = Some(stat);
            let path = slot.path.clone();
            self.clear(&path);
        }
    }

    /// Another file than before stands at the path.
    fn attach(
        &mut self,
        index: usize,
        path: &Path,
        stat: Stat,
        left: Option<GenerationId>,
        now: Duration,
    ) {
        if let Some(&id) = self.by_node.get(&stat.node)
            && self.attach_followed(index, path, id, stat, now)
        {
            return;
        }
        self.find_missed(index, left, now);
        let links = self.links_of(index);
        let opened = self.open_path(path, links).and_then(|file| {
            let stat = Stat::of_open(&file)?;
            let content = beginning(&file)?;
            Ok((file, stat, content))
        });
        let (file, stat, content) = match opened {
            Ok((file, opened, content)) if opened.node == stat.node => (file, opened, content),
            Ok(_) => {
                self.due.push(index);
                return;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.due.push(index);
                return;
            }
            Err(error) => {
                self.trouble(path, unopened(&error));
                return;
            }
        };
        let Some(Some(slot)) = self.slots.get_mut(index) else {
            return;
        };
        let returned = slot
            .past
            .iter()
            .find(|past| past.node == stat.node && begins_with(&content, past.head))
            .map(|past| past.size.min(stat.size));
        let start = slot.start_at.take().map(|size| size.min(stat.size));
        let from = returned.or(start).unwrap_or(0);
        slot.alias = false;
        let id = self.adopt(
            index,
            path,
            Source::Plain(Some(file)),
            State::Live,
            Identity {
                device: stat.node.0,
                inode: stat.node.1,
                head: head_of(&content),
            },
            from,
            returned.is_some(),
        );
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.current = Some(id);
            slot.last = Some(stat);
        }
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.modified = stat.modified;
        }
        self.grow(id, stat.size, now);
        self.set_baseline(index);
        self.clear(path);
    }

    /// The path leads to a file that is followed already: it was moved here, or this is a second name of it.
    fn attach_followed(
        &mut self,
        index: usize,
        path: &Path,
        id: GenerationId,
        stat: Stat,
        now: Duration,
    ) -> bool {
        let Some(generation) = self.generations.get(&id) else {
            self.by_node.remove(&stat.node);
            return false;
        };
        let (state, home) = (generation.state, generation.slot);
        match state {
            State::Final => return false,
            State::Live if home == index => return false,
            State::Live => {
                let other = self.slots[home].as_ref();
                let still_there = other
                    .and_then(|slot| Stat::at(&slot.path).ok())
                    .is_some_and(|there| there.node == stat.node);
                if still_there {
                    if let Some(Some(slot)) = self.slots.get_mut(index) {
                        slot.alias = true;
                        slot.last = None;
                    }
                    self.clear(path);
                    return true;
                }
            }
            State::Detached { .. } => {}
        }
        if stat.size < generation.size || self.still_stands_at(id, path) == Some(false) {
            // The inode was used again for another file while nobody held it.
            self.by_node.remove(&stat.node);
            self.gone(id, now);
            return false;
        }
        if let Some(Some(slot)) = self.slots.get_mut(home) {
            slot.detached.retain(|&other| other != id);
            if slot.current == Some(id) {
                slot.current = None;
                slot.last = None;
            }
        }
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.current = Some(id);
            slot.alias = false;
            slot.last = None;
        }
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.slot = index;
            generation.state = State::Live;
        }
        self.aside.remove(&id);
        self.moved(id, path);
        self.observe(index, id, stat, now);
        true
    }

    /// As `still_stands`, for a generation that may have to be opened under a new path.
    fn still_stands_at(&mut self, id: GenerationId, path: &Path) -> Option<bool> {
        if let Some(generation) = self.generations.get_mut(&id)
            && !generation.is_open()
        {
            generation.path = path.to_path_buf();
        }
        self.still_stands(id)
    }

    /// A new generation, and its sight.
    #[expect(clippy::too_many_arguments, reason = "all that makes a generation")]
    pub(super) fn adopt(
        &mut self,
        index: usize,
        path: &Path,
        source: Source,
        state: State,
        identity: Identity,
        from: u64,
        resumed: bool,
    ) -> GenerationId {
        let id = GenerationId(self.next_id);
        self.next_id += 1;
        self.adopt_as(id, index, path, source, state, identity, from, resumed);
        id
    }

    /// The same under a given id.
    #[expect(clippy::too_many_arguments, reason = "all that makes a generation")]
    pub(super) fn adopt_as(
        &mut self,
        id: GenerationId,
        index: usize,
        path: &Path,
        source: Source,
        state: State,
        identity: Identity,
        from: u64,
        resumed: bool,
    ) {
        let set = self.slots[index].as_ref().map_or(0, |slot| slot.set);
        let node = (identity.device, identity.inode);
        let generation = Generation {
            id,
            set,
            slot: index,
            path: path.to_path_buf(),
            identity,
            shorter_head: Head::default(),
            checked_head: std::cell::Cell::new(None),
            node,
            source,
            state,
            size: from,
            consumed: from,
            modified: (0, 0),
            anchor: Anchor::default(),
            grew_at: Duration::ZERO,
            ended: false,
            kept: false,
            suspect: false,
            hole_to: 0,
        };
        if generation.is_open() {
            self.note_open(id);
        }
        if !matches!(generation.source, Source::Gone) {
            self.by_node.insert(node, id);
        }
        self.sights.push(Sight::Found {
            id,
            set: generation.set,
            path: path.to_path_buf(),
            identity,
            from,
            resumed,
        });
        self.generations.insert(id, Box::new(generation));
    }

    /// There is more of it.
    pub(super) fn grow(&mut self, id: GenerationId, size: u64, now: Duration) {
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        if size > generation.size {
            generation.size = size;
            generation.grew_at = now;
            generation.ended = false;
            let slot = generation.slot;
            self.sights.push(Sight::Grew { id, size });
            self.note_growth(slot, now);
        }
    }

    /// It has another path.
    pub(super) fn moved(&mut self, id: GenerationId, path: &Path) {
        if let Some(generation) = self.generations.get_mut(&id)
            && generation.path != path
        {
            generation.path = path.to_path_buf();
            self.sights.push(Sight::Moved {
                id,
                path: path.to_path_buf(),
            });
        }
    }
}

/// What to do about a file that was not opened.
fn unopened(error: &std::io::Error) -> String {
    match refusal(error) {
        Some(refused) => refused.to_string(),
        None => unreadable(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
    }
}

/// What to do about a file that can't be opened.
pub(super) fn unreadable(error: Errno) -> String {
    match error {
        Errno::EACCES | Errno::EPERM => {
            "it can't be read (permission denied): add the agent's user to the file's group (`usermod -aG adm baker-agent` \
             for the logs of the system), and let the group pass its directories"
                .to_owned()
        }
        Errno::EMFILE | Errno::ENFILE => format!(
            "it can't be opened ({}): raise LimitNOFILE of the service, or lower limits.open_files",
            error.desc()
        ),
        _ => format!("it can't be read ({}): it is tried again every second", error.desc()),
    }
}
