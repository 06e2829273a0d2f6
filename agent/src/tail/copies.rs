//! Names that appeared beside a followed file: its moved generation, a copy in the making, or a whole generation that
//! came and went between two looks.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::files::Files;
use super::generation::{Source, State};
use super::identity::{begins_with, head_of};
use super::rotation::{self, Packing};
use super::siblings::{Content, Sibling, is_prefix_of};
use super::slot::Copying;
use super::source;
use super::truncation::Copy;
use crate::account::{Identity, Lost};
use crate::discover::stat::Stat;

/// A copy that did not grow for this long is not followed by a truncation (logrotate's `copy`, or a person's).
const COPY_STALLED: Duration = Duration::from_secs(5);
/// However long a copy takes: the file is looked at as often as usual again after this.
const COPYING_MAX: Duration = Duration::from_secs(60);

impl Files {
    /// Looks at the names that are new in a directory, or stand for another file now.
    pub(super) fn look_at_fresh_names(&mut self, now: Duration) {
        for (directory, name) in std::mem::take(&mut self.fresh) {
            let Some(parent) = self.directories.get(directory).map(|d| d.path.clone()) else {
                continue;
            };
            let path = parent.join(&name);
            for reading in rotation::readings(name.as_bytes()) {
                let base = parent.join(std::ffi::OsStr::from_bytes(&reading.base));
                let Some(&index) = self.by_path.get(&base) else {
                    continue;
                };
                let Some(stat) = Stat::at(&path).ok().filter(Stat::is_file) else {
                    continue;
                };
                if let Some(&id) = self.by_node.get(&stat.node) {
                    let live = self
                        .generations
                        .get(&id)
                        .is_some_and(|generation| generation.state == State::Live);
                    if !live {
                        self.moved(id, &path);
                    }
                } else if self.has_current(index) {
                    if reading.packing.is_none() {
                        self.maybe_copying(index, &path, now);
                    }
                } else {
                    self.find_missed(index, now);
                }
            }
        }
    }

    fn has_current(&self, index: usize) -> bool {
        self.slots[index]
            .as_ref()
            .is_some_and(|slot| slot.current.is_some())
    }

    /// A copy of the live file appears beside it: it will be truncated any moment.
    fn maybe_copying(&mut self, index: usize, path: &std::path::Path, now: Duration) {
        let Some(id) = self.slots[index].as_ref().and_then(|slot| slot.current) else {
            return;
        };
        if self.ensure_open(id).is_err() {
            return;
        }
        let Ok(copy) = source::open(path) else {
            return;
        };
        let Some(original) = self.generations.get(&id).and_then(|g| g.file()) else {
            return;
        };
        if !is_prefix_of(&copy, original) {
            return;
        }
        let size = Stat::of_open(&copy).map_or(0, |stat| stat.size);
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.copying = Some(Copying {
                copy,
                size,
                grew_at: now,
                since: now,
            });
            self.copying.insert(index);
        }
    }

    /// Sees whether copies are still being made.
    pub(super) fn look_at_copying(&mut self, now: Duration) {
        if self.copying.is_empty() {
            return;
        }
        let slots = &mut self.slots;
        self.copying.retain(|&index| {
            let Some(Some(slot)) = slots.get_mut(index) else {
                return false;
            };
            let Some(copying) = &mut slot.copying else {
                return false;
            };
            let size = Stat::of_open(&copying.copy).map_or(0, |stat| stat.size);
            if size > copying.size {
                copying.size = size;
                copying.grew_at = now;
            }
            let goes_on = now < copying.grew_at + COPY_STALLED && now < copying.since + COPYING_MAX;
            if !goes_on {
                slot.copying = None;
            }
            goes_on
        });
    }

    /// Follows the rotated copies that are newer than the newest generation that is known to have been rotated away, and
    /// that are neither followed nor a copy of what is: they came and went between two looks.
    pub(super) fn find_missed(&mut self, index: usize, now: Duration) {
        let Some(slot) = self.slots[index].as_ref() else {
            return;
        };
        if slot.detached.is_empty() && slot.past.is_empty() {
            return;
        }
        let siblings = self.siblings(slot);
        let reference = siblings.iter().rposition(|sibling| {
            let node = sibling.stat.node;
            let ours = self
                .by_node
                .get(&node)
                .and_then(|id| self.generations.get(id))
                .is_some_and(|generation| {
                    generation.slot == index && generation.state != State::Live
                });
            ours || slot.past.iter().any(|past| {
                past.node == node && (past.head.bytes == 0 || sibling.begins_with(past.head))
            }) || (!slot.baseline.contains(&sibling.inode) && self.is_packed_known(index, sibling))
        });
        let live = slot
            .current
            .and_then(|id| self.generations.get(&id))
            .and_then(|generation| generation.file());
        let missed: Vec<Sibling> = siblings
            .into_iter()
            .enumerate()
            .filter(|(at, sibling)| match reference {
                Some(reference) => *at > reference,
                None => !slot.baseline.contains(&sibling.inode),
            })
            .map(|(_, sibling)| sibling)
            .filter(|sibling| !self.by_node.contains_key(&sibling.stat.node))
            .filter(|sibling| {
                live.is_none_or(|live| {
                    sibling.packing.is_some()
                        || source::open(&sibling.path).is_ok_and(|copy| !is_prefix_of(&copy, live))
                })
            })
            .collect();
        for sibling in missed {
            self.adopt_missed(index, &sibling, now);
        }
        self.set_baseline(index);
    }

    /// A packed copy of a generation that is followed or was.
    fn is_packed_known(&self, index: usize, sibling: &Sibling) -> bool {
        if sibling.packing != Some(Packing::Gzip) {
            return false;
        }
        let Some(slot) = self.slots[index].as_ref() else {
            return false;
        };
        let detached = slot
            .detached
            .iter()
            .filter_map(|id| self.generations.get(id));
        let mut known = detached
            .map(|generation| (generation.identity.head, generation.size))
            .chain(slot.past.iter().map(|past| (past.head, past.size)))
            .filter(|(head, _)| head.bytes > 0)
            .peekable();
        if known.peek().is_none() {
            return false;
        }
        let Ok((_, Content::Packed(survey))) = sibling.open() else {
            return false;
        };
        known.any(|(head, size)| begins_with(&survey.beginning, head) && survey.bytes >= size)
    }

    /// A rotated copy that is a generation of its own, to be read whole.
    pub(super) fn adopt_missed(&mut self, index: usize, sibling: &Sibling, now: Duration) {
        if let Some(Packing::Unreadable(format)) = sibling.packing {
            self.trouble(
                &sibling.path,
                format!(
                    "this rotated copy was not read before it was compressed with {format}, which can't be read here: its {} \
                     compressed bytes are not shipped; use gzip or delaycompress in logrotate's configuration",
                    sibling.stat.size
                ),
            );
            return;
        }
        let Ok((file, content)) = sibling.open() else {
            let path = sibling.path.clone();
            self.trouble(&path, super::looking::unreadable(nix::errno::Errno::EACCES));
            return;
        };
        let beginning = match &content {
            Content::Plain(_) => super::identity::beginning(&file).unwrap_or_default(),
            Content::Packed(survey) => survey.beginning.clone(),
        };
        let identity = Identity {
            device: sibling.stat.node.0,
            inode: sibling.stat.node.1,
            head: head_of(&beginning),
        };
        let (source, state) = match &content {
            Content::Plain(_) => (
                Source::Plain(file.try_clone().ok()),
                State::Detached { deleted: false },
            ),
            Content::Packed(_) => (Source::Gone, State::Final),
        };
        let id = self.adopt(index, &sibling.path, source, state, identity, 0, false);
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.detached.push(id);
        }
        self.aside.insert(id);
        match content {
            Content::Plain(bytes) => self.grow(id, bytes, now),
            Content::Packed(_) => {
                let copy = Copy {
                    path: sibling.path.clone(),
                    node: sibling.stat.node,
                    file,
                    content,
                };
                self.take_over(id, copy, Lost::Unreadable, now);
            }
        }
    }
}
