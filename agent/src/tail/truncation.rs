//! A file was truncated: what was not read of it is in the copy that rotation made, or lost.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Sight;
use super::checksums::Checksums;
use super::compare::{compare_unpacked, may_be};
use super::files::Files;
use super::generation::{Source, State};
use super::identity::Beginning;
use super::looking::Begin;
use super::reading::written_to;
use super::rotation::Packing;
use super::siblings::{Content, SHIFTS_MAX, Soon, is_copy_of, may_lack_the_end};
use super::source::{self, Gzip};
use crate::account::{GenerationId, Identity, Lost};
use crate::discover::stat::{Node, Stat};

/// A file that holds the rest of a generation.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) path: PathBuf,
    pub(super) node: Node,
    pub(super) file: File,
    pub(super) content: Content,
}

impl Files {
    /// The slot's file no longer begins with what was read of the generation: it was truncated, and perhaps written anew
    /// since. The old generation goes on in a copy, a new one begins in the file.
    pub(super) fn truncated(&mut self, index: usize, id: GenerationId, stat: Stat, now: Duration) {
        let Some(Some(slot)) = self.slots.get_mut(index) else {
            return;
        };
        let path = slot.path.clone();
        let directory = slot.directory;
        let copying = slot.copying.take();
        slot.current = None;
        slot.last = None;
        slot.detached.push(id);
        self.refresh(directory, now);
        let held = copying.and_then(|copying| {
            let generation = self.generations.get(&id)?;
            let stat = Stat::of_open(&copying.copy).ok()?;
            // It was compared with the file when it appeared; since then the agent may have read past its end.
            let is_short = may_lack_the_end(&copying.copy, generation);
            (is_short || is_copy_of(&copying.copy, generation)).then(|| Copy {
                path: source::path_of(&copying.copy).unwrap_or_else(|| path.clone()),
                node: stat.node,
                file: copying.copy,
                content: Content::Plain(stat.size),
            })
        });
        let copy = match held {
            Some(copy) => Soon::Now(Some(copy)),
            None => self.find_copy(index, id, now),
        };
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.copied = None;
        }
        let copied = !matches!(copy, Soon::Now(None));
        let kept = if copied { None } else { self.kept(id, stat) };
        let file = self.close(id, Source::Gone);
        self.by_node.remove(&stat.node);
        self.go_on_in(id, copy, Lost::CopyTruncate, now);
        self.find_missed(index, Some(id), now);
        let Some(file) = file else {
            // It is opened by its path, as any new file.
            self.due.push(index);
            return;
        };
        match self.begin_anew(index, &path, file, State::Live, kept, now) {
            Some(id) => {
                if let Some(Some(slot)) = self.slots.get_mut(index) {
                    slot.current = Some(id);
                }
            }
            None => self.due.push(index),
        }
        self.set_baseline(index);
    }

    /// The generation goes on in this copy; or ends, if there is none; or waits until that is known.
    fn go_on_in(&mut self, id: GenerationId, copy: Soon<Option<Copy>>, why: Lost, now: Duration) {
        match copy {
            Soon::Now(Some(copy)) => self.take_over(id, copy, why, now),
            Soon::Now(None) => self.give_up(id, why),
            Soon::Later => {
                if let Some(generation) = self.generations.get_mut(&id) {
                    generation.state = State::Final;
                    generation.suspect = false;
                }
                self.aside.insert(id);
                self.searched.insert(id, why);
            }
        }
    }

    /// Looks again for the copies of a slot's generations, after one has been looked through.
    pub(super) fn find_copies_on(&mut self, index: usize, now: Duration) {
        let of_slot = |id: &GenerationId| self.generations.get(id).is_some_and(|g| g.slot == index);
        let searched: Vec<(GenerationId, Lost)> = self
            .searched
            .iter()
            .filter(|(id, _)| of_slot(id))
            .map(|(&id, &why)| (id, why))
            .collect();
        for (id, why) in searched {
            self.searched.remove(&id);
            let copy = self.find_copy(index, id, now);
            self.go_on_in(id, copy, why, now);
        }
    }

    /// The file that was truncated, as a new generation. `kept` is what is left in it of the one before.
    pub(super) fn begin_anew(
        &mut self,
        index: usize,
        path: &Path,
        file: File,
        state: State,
        kept: Option<(u64, Checksums)>,
        now: Duration,
    ) -> Option<GenerationId> {
        let before = Stat::of_open(&file).ok()?;
        let content = Beginning::of(&file).ok()?;
        // Truncated once more between the two: its size then is not that of what begins so.
        let stat = Stat::of_open(&file)
            .ok()
            .filter(|stat| stat.size >= before.size && stat.size >= content.head().end())?;
        let identity = Identity {
            device: stat.node.0,
            inode: stat.node.1,
            head: content.head(),
        };
        let (from, sums) = kept.unzip();
        let from = from.map(|from| from.min(stat.size));
        let begin = from.map_or(Begin::At(0), Begin::After);
        let from = from.unwrap_or(0);
        let born_ns = source::born_ns(&file);
        let seen = written_to(&file, from, stat.size);
        let source = Source::Plain(Some(file));
        let id = self.adopt(index, path, source, state, identity, begin);
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.modified = stat.modified;
            generation.born_ns = born_ns;
            if let Some(sums) = sums {
                generation.sums = sums;
            }
        }
        self.grow(id, seen, now);
        Some(id)
    }

    /// How much of the file is what stood there before, if it was only cut shorter. What begins alike in its first few bytes may as well
    /// have been written anew.
    pub(super) fn kept(&self, id: GenerationId, stat: Stat) -> Option<(u64, Checksums)> {
        let generation = self.generations.get(&id)?;
        let file = generation.file().filter(|_| stat.size < generation.size)?;
        let sums = generation.sums.cut(stat.size);
        generation
            .begins_with_all_of(file, stat.size)
            .then_some((stat.size, sums))
    }

    /// The copy of a generation. While a rotation shifts the names, it may stand at none of those that were listed.
    fn find_copy(&mut self, index: usize, id: GenerationId, now: Duration) -> Soon<Option<Copy>> {
        for _ in 0..SHIFTS_MAX {
            let found = self.copy_of(index, id);
            let Some(directory) = self.slots[index].as_ref().map(|slot| slot.directory) else {
                return found;
            };
            if !matches!(found, Soon::Now(None)) || !self.refresh(directory, now) {
                return found;
            }
        }
        Soon::Now(None)
    }

    /// The newest rotated copy that holds what was read of the generation, and that belongs to no other.
    fn copy_of(&mut self, index: usize, id: GenerationId) -> Soon<Option<Copy>> {
        let (Some(generation), Some(Some(slot))) =
            (self.generations.get(&id), self.slots.get(index))
        else {
            return Soon::Now(None);
        };
        // Of what a restart took up, no more than the first bytes may be known yet.
        if generation.size == 0 && generation.identity.head.bytes == 0 {
            return Soon::Now(None);
        }
        let mut siblings = self.siblings(slot);
        siblings.retain(|sibling| {
            let owner = self.owner(sibling);
            owner.is_none_or(|owner| owner.id == id)
        });
        // Between the copy's end and the truncation the agent may have read on: then the copy that has just appeared is short. It
        // holds nothing new, but nobody else may take it for a generation of its own.
        let made_just_now: Vec<bool> = siblings
            .iter()
            .map(|sibling| slot.copied == Some(sibling.stat.node) || !slot.was_there(sibling))
            .collect();
        let copied = slot.copied;
        let mut short = None;
        for (sibling, &is_new) in siblings.iter().zip(&made_just_now).rev() {
            if sibling.packing.is_some() {
                continue;
            }
            let Some(generation) = self.generations.get(&id) else {
                break;
            };
            let Ok((file, stat)) = sibling.open() else {
                continue;
            };
            let Ok(agreement) = generation.compare(&file, stat.size) else {
                continue;
            };
            let copy = Copy {
                path: sibling.path.clone(),
                node: stat.node,
                file,
                content: Content::Plain(stat.size),
            };
            if generation.is_whole_in(agreement, stat.size) {
                return Soon::Now(Some(copy));
            }
            let is_short = agreement.fits() && is_new && stat.size < generation.read_to();
            // What was found to be a copy of the file itself may hold too little for more than that.
            let is_noted = || copied == Some(stat.node) && may_lack_the_end(&copy.file, generation);
            if short.is_none() && (is_short || is_noted()) {
                short = Some(copy);
            }
        }
        for (sibling, &is_new) in siblings.iter().zip(&made_just_now).rev() {
            if sibling.packing != Some(Packing::Gzip) {
                continue;
            }
            let Some(generation) = self.generations.get(&id) else {
                break;
            };
            let head = generation.identity.head;
            if sibling
                .beginning()
                .is_some_and(|beginning| !may_be(&beginning, head))
            {
                continue;
            }
            let unpacked = match self.unpacked(index, sibling) {
                Soon::Later => return Soon::Later,
                Soon::Now(None) => continue,
                Soon::Now(Some(unpacked)) => unpacked,
            };
            let (Some(generation), Ok((file, stat))) = (self.generations.get(&id), sibling.open())
            else {
                continue;
            };
            let agreement = compare_unpacked(&unpacked, head, &generation.sums);
            let bytes = unpacked.bytes;
            let copy = Copy {
                path: sibling.path.clone(),
                node: stat.node,
                file,
                content: Content::Packed(unpacked),
            };
            if generation.is_whole_in(agreement, bytes) {
                return Soon::Now(Some(copy));
            }
            if agreement.fits() && is_new && bytes < generation.read_to() && short.is_none() {
                short = Some(copy);
            }
        }
        Soon::Now(short)
    }

    /// The generation goes on, and ends, in a copy of it. What was seen but is not in the copy is lost.
    pub(super) fn take_over(&mut self, id: GenerationId, copy: Copy, why: Lost, now: Duration) {
        let bytes = copy.content.bytes();
        let (content, damage) = match &copy.content {
            Content::Plain(_) => (Beginning::of(&copy.file).unwrap_or_default(), None),
            Content::Packed(unpacked) => (unpacked.beginning.clone(), unpacked.damage.clone()),
        };
        let copy_born_ns = source::born_ns(&copy.file);
        let source = match copy.content {
            Content::Plain(_) => Source::Plain(Some(copy.file)),
            Content::Packed(_) => {
                use std::io::{Seek as _, SeekFrom};
                let mut file = copy.file;
                if let Err(error) = file.seek(SeekFrom::Start(0)) {
                    self.trouble(&copy.path, format!("it can't be read ({error})"));
                    self.give_up(id, Lost::Unreadable);
                    return;
                }
                Source::Packed(Box::new(Gzip::new(file)))
            }
        };
        let why = if damage.is_some() {
            Lost::Unreadable
        } else {
            why
        };
        if let Some(damage) = damage {
            self.trouble(
                &copy.path,
                format!("the compressed copy is damaged after {bytes} bytes of content ({damage}): the rest can't be shipped"),
            );
        }
        self.close(id, Source::Gone);
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        generation.source = source;
        generation.state = State::Final;
        generation.node = copy.node;
        generation.copy_born_ns = copy_born_ns;
        generation.suspect = false;
        generation.ended = true;
        // From now on it is known by what the copy holds, which may be less than was read, or more.
        let old = generation.identity.head;
        let head = content.head();
        if head.bytes > 0 && (old.bytes == 0 || !content.is(old)) {
            generation.identity.head = head;
            self.sights.push(Sight::Identified { id, head });
        }
        let seen = generation.size;
        let end = bytes.max(generation.consumed);
        let lost = (seen > end).then(|| generation.span(end, seen));
        generation.size = end;
        self.note_open(id);
        self.by_node.insert(copy.node, id);
        self.aside.insert(id);
        self.moved(id, &copy.path);
        if let Some(generation) = self.generations.get_mut(&id)
            && end > seen
        {
            generation.grew_at = now;
            self.sights.push(Sight::Grew { id, size: end });
        }
        if let Some(span) = lost {
            self.sights.push(Sight::Lost { span, why });
        }
        self.sights.push(Sight::Ended { id, size: end });
    }

    /// What was not read of the generation is nowhere.
    pub(super) fn give_up(&mut self, id: GenerationId, why: Lost) {
        self.close(id, Source::Gone);
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        let (consumed, seen) = (
            generation.consumed,
            generation.size.max(generation.consumed),
        );
        let lost = (seen > consumed).then(|| generation.span(consumed, seen));
        generation.state = State::Final;
        generation.suspect = false;
        generation.size = consumed;
        generation.ended = true;
        let (node, index) = (generation.node, generation.slot);
        let past = generation.past();
        if self.by_node.get(&node) == Some(&id) {
            self.by_node.remove(&node);
        }
        self.aside.insert(id);
        if let Some(Some(slot)) = self.slots.get_mut(index)
            && let Some(at) = slot.detached.iter().position(|&other| other == id)
        {
            // It is no rotated copy, and supersedes none. A copy of it may yet appear.
            slot.detached.remove(at);
            slot.remember(past);
        }
        if let Some(span) = lost {
            self.sights.push(Sight::Lost { span, why });
        }
        self.sights.push(Sight::Ended { id, size: consumed });
    }

    /// The generation's file is gone while it was not held open, or was overwritten: it may be in a copy.
    pub(super) fn gone(&mut self, id: GenerationId, now: Duration) {
        let Some(generation) = self.generations.get(&id) else {
            return;
        };
        let index = generation.slot;
        let node = generation.node;
        if self.by_node.get(&node) == Some(&id) {
            self.by_node.remove(&node);
        }
        let copy = self.find_copy(index, id, now);
        self.go_on_in(id, copy, Lost::Deleted, now);
    }
}
