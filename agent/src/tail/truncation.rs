//! A file was truncated: what was not read of it is in the copy that rotation made, or lost.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Sight;
use super::files::Files;
use super::generation::{Source, State};
use super::identity::{beginning, begins_with, head_of};
use super::reading::head_stands;
use super::rotation::Packing;
use super::siblings::{Content, SHIFTS_MAX, Sibling, anchor_stands, is_copy_of, may_lack_the_end};
use super::source::Gzip;
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

impl Copy {
    /// The length of its content.
    fn bytes(&self) -> u64 {
        match &self.content {
            Content::Plain(bytes) => *bytes,
            Content::Packed(survey) => survey.bytes,
        }
    }
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
                path: super::source::path_of(&copying.copy).unwrap_or_else(|| path.clone()),
                node: stat.node,
                file: copying.copy,
                content: Content::Plain(stat.size),
            })
        });
        let copy = held.or_else(|| self.find_copy(index, id, now));
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.copied = None;
        }
        let from = self.kept_bytes(id, stat, copy.is_some());
        let file = self.close(id, Source::Gone);
        self.by_node.remove(&stat.node);
        match copy {
            Some(copy) => self.take_over(id, copy, Lost::CopyTruncate, now),
            None => self.give_up(id, Lost::CopyTruncate),
        }
        self.find_missed(index, Some(id), now);
        let Some(file) = file else {
            // It is opened by its path, as any new file.
            self.due.push(index);
            return;
        };
        match self.begin_anew(index, &path, file, State::Live, from, now) {
            Some(id) => {
                if let Some(Some(slot)) = self.slots.get_mut(index) {
                    slot.current = Some(id);
                }
            }
            None => self.due.push(index),
        }
        self.set_baseline(index);
    }

    /// The file that was truncated, as a new generation.
    pub(super) fn begin_anew(
        &mut self,
        index: usize,
        path: &Path,
        file: File,
        state: State,
        from: u64,
        now: Duration,
    ) -> Option<GenerationId> {
        let before = Stat::of_open(&file).ok()?;
        let content = beginning(&file).ok()?;
        // Truncated once more between the two: its size then is not that of what begins so.
        let stat = Stat::of_open(&file)
            .ok()
            .filter(|stat| stat.size >= before.size && stat.size >= content.len() as u64)?;
        let identity = Identity {
            device: stat.node.0,
            inode: stat.node.1,
            head: head_of(&content),
        };
        let from = from.min(stat.size);
        let source = Source::Plain(Some(file));
        let id = self.adopt(index, path, source, state, identity, from, from > 0);
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.modified = stat.modified;
        }
        self.grow(id, stat.size, now);
        Some(id)
    }

    /// How much of the truncated file is what stood there before: all, if it was only cut shorter. Without a copy, and
    /// with the old head in place, that is what happened.
    fn kept_bytes(&self, id: GenerationId, stat: Stat, copied: bool) -> u64 {
        let Some(generation) = self.generations.get(&id) else {
            return 0;
        };
        let head_bytes = u64::from(generation.identity.head.bytes);
        let cut =
            !copied && stat.size < generation.size && head_bytes > 0 && head_bytes <= stat.size;
        let stands = || {
            generation
                .file()
                .is_some_and(|file| head_stands(file, generation).unwrap_or(false))
        };
        if cut && stands() { stat.size } else { 0 }
    }

    /// The copy of a generation. While a rotation shifts the names, it may stand at none of those that were listed.
    fn find_copy(&mut self, index: usize, id: GenerationId, now: Duration) -> Option<Copy> {
        for _ in 0..SHIFTS_MAX {
            let found = self.copy_of(index, id);
            let directory = self.slots[index].as_ref()?.directory;
            if found.is_some() || !self.refresh(directory, now) {
                return found;
            }
        }
        None
    }

    /// The newest rotated copy that holds what was read of the generation, and that belongs to no other.
    fn copy_of(&self, index: usize, id: GenerationId) -> Option<Copy> {
        let generation = self.generations.get(&id)?;
        if generation.size == 0 {
            return None;
        }
        let slot = self.slots.get(index)?.as_ref()?;
        let mut siblings = self.siblings(slot);
        siblings.retain(|sibling| {
            let owner = self.owner(sibling);
            owner.is_none_or(|owner| owner.id == id)
        });
        let open = |sibling: &Sibling| {
            let (file, content) = sibling.open().ok()?;
            let begins = match &content {
                Content::Plain(_) => {
                    beginning(&file).is_ok_and(|content| generation.is_begun_by(&content))
                }
                Content::Packed(survey) => generation.is_begun_by(&survey.beginning),
            };
            begins.then(|| Copy {
                path: sibling.path.clone(),
                node: sibling.stat.node,
                file,
                content,
            })
        };
        let fits = |sibling: &Sibling| {
            open(sibling).filter(|copy| {
                let same = match copy.content {
                    Content::Plain(_) => anchor_stands(&copy.file, generation),
                    Content::Packed(_) => self.packed_anchor_stands(&copy.file, generation),
                };
                same && copy.bytes() >= generation.consumed
            })
        };
        let plain = |sibling: &&Sibling| sibling.packing.is_none();
        let packed = |sibling: &&Sibling| sibling.packing == Some(Packing::Gzip);
        siblings
            .iter()
            .rev()
            .filter(plain)
            .find_map(fits)
            .or_else(|| siblings.iter().rev().filter(packed).find_map(fits))
            .or_else(|| {
                // Between the copy's end and the truncation the agent may have read on: then the copy that has just
                // appeared is short. It holds nothing new, but nobody else may take it for a generation of its own.
                let read_to = generation.anchor.end().max(generation.consumed);
                let made_just_now = |sibling: &&Sibling| {
                    let readable = !matches!(sibling.packing, Some(Packing::Unreadable(_)));
                    let new = slot.copied == Some(sibling.stat.node) || !slot.was_there(sibling);
                    readable && new
                };
                let short = |sibling| open(sibling).filter(|copy| copy.bytes() < read_to);
                siblings.iter().rev().filter(made_just_now).find_map(short)
            })
    }

    fn packed_anchor_stands(
        &self,
        file: &File,
        generation: &super::generation::Generation,
    ) -> bool {
        use std::io::{Seek as _, SeekFrom};
        let anchor = &generation.anchor;
        let Ok(mut file) = file.try_clone() else {
            return false;
        };
        if anchor.bytes().is_empty() {
            return true;
        }
        let mut found = vec![0; anchor.bytes().len()];
        file.seek(SeekFrom::Start(0)).is_ok()
            && Gzip::new(file)
                .read_at(&mut found, anchor.start())
                .is_ok_and(|bytes| bytes == found.len() && found == anchor.bytes())
    }

    /// The generation goes on, and ends, in a copy of it. What was seen but is not in the copy is lost.
    pub(super) fn take_over(&mut self, id: GenerationId, copy: Copy, why: Lost, now: Duration) {
        let (bytes, damage) = match &copy.content {
            Content::Plain(bytes) => (*bytes, None),
            Content::Packed(survey) => (
                survey.bytes,
                survey.damage.as_ref().map(ToString::to_string),
            ),
        };
        let content = match &copy.content {
            Content::Plain(_) => beginning(&copy.file).unwrap_or_default(),
            Content::Packed(survey) => survey.beginning.clone(),
        };
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
        generation.suspect = false;
        generation.ended = true;
        // From now on it is known by what the copy holds, which may be less than was read, or more.
        let old = generation.identity.head;
        let head = head_of(&content);
        if head.bytes > 0 && (old.bytes == 0 || !begins_with(&content, old)) {
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
        if self.by_node.get(&node) == Some(&id) {
            self.by_node.remove(&node);
        }
        self.aside.insert(id);
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            // It is no rotated copy, and supersedes none.
            slot.detached.retain(|&other| other != id);
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
        match self.find_copy(index, id, now) {
            Some(copy) => self.take_over(id, copy, Lost::Deleted, now),
            None => self.give_up(id, Lost::Deleted),
        }
    }
}
