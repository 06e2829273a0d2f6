//! After a restart: which files the known generations are now, and what came and went while nobody looked.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::files::Files;
use super::generation::{Source, State};
use super::identity::begins_with;
use super::rotation::{self, Packing};
use super::siblings::{Content, SHIFTS_MAX, Sibling};
use super::slot::Past;
use super::source;
use super::truncation::Copy;
use super::{Known, Links, Sight};
use crate::account::{Identity, Lost};
use crate::discover::directories::name_of;
use crate::discover::stat::{Node, Stat};

/// How surely a file is a known generation; the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// Device, inode and head.
    Same,
    /// Inode and head; the device's number may change with a reboot.
    OtherDevice,
    /// A copy by its head, that holds all that was seen.
    Copy,
    /// A copy by its head, that holds all that was read.
    ShortCopy,
    /// A copy by its head, that ends before what was read: it was made before that, and then the file was truncated.
    EarlierCopy,
    /// Device and inode of a file that was empty. The inode may have been used again: it comes last.
    Empty,
}

const LIKENESSES: [Likeness; 6] = [
    Likeness::Same,
    Likeness::OtherDevice,
    Likeness::Copy,
    Likeness::ShortCopy,
    Likeness::EarlierCopy,
    Likeness::Empty,
];

/// A file that a known generation may be: the slot's own, or a rotated copy.
#[derive(Debug)]
struct Place {
    /// None for the slot's own file.
    sibling: Option<Sibling>,
    node: Node,
    modified_ms: i64,
    /// The length of its content; of a packed one, from a pass over it when it was first needed.
    size: Option<u64>,
    beginning: Option<Vec<u8>>,
    taken: bool,
}

impl Place {
    fn of_sibling(sibling: Sibling) -> Place {
        Place {
            node: sibling.stat.node,
            modified_ms: modified_ms(&sibling.stat),
            size: sibling.packing.is_none().then_some(sibling.stat.size),
            beginning: sibling.beginning(),
            taken: false,
            sibling: Some(sibling),
        }
    }

    fn is_packed(&self) -> bool {
        self.sibling.as_ref().is_some_and(|s| s.packing.is_some())
    }

    fn size(&mut self) -> u64 {
        let sibling = &self.sibling;
        *self.size.get_or_insert_with(|| {
            match sibling.as_ref().and_then(|sibling| sibling.open().ok()) {
                Some((_, Content::Packed(survey))) => survey.bytes,
                Some((_, Content::Plain(bytes))) => bytes,
                None => 0,
            }
        })
    }

    fn is(&mut self, known: &Known, likeness: Likeness) -> bool {
        let identity = known.identity;
        let Some(beginning) = &self.beginning else {
            return false;
        };
        let same_node = !self.is_packed() && self.node == (identity.device, identity.inode);
        let same_inode = !self.is_packed() && self.node.1 == identity.inode;
        // An empty head is in everything: it says nothing.
        let same_head = identity.head.bytes > 0 && begins_with(beginning, identity.head);
        let fits = match likeness {
            Likeness::Same => same_node && same_head,
            Likeness::Empty => same_node && identity.head.bytes == 0,
            Likeness::OtherDevice => same_inode && same_head,
            Likeness::Copy | Likeness::ShortCopy => same_head,
            Likeness::EarlierCopy => same_head && self.sibling.is_some(),
        };
        let least = match likeness {
            Likeness::Copy => known.seen,
            Likeness::EarlierCopy => 0,
            _ => known.settled_to,
        };
        fits && self.size() >= least
    }
}

impl Files {
    /// Takes up what the ledger knows.
    pub(super) fn resume(&mut self, known: Vec<Known>, now: Duration) {
        let mut by_slot: BTreeMap<usize, Vec<Known>> = BTreeMap::new();
        for known in known {
            match self.slot_of(&known, now) {
                Some(index) => by_slot.entry(index).or_default().push(known),
                None => {
                    let unread = known.seen.saturating_sub(known.settled_to);
                    if unread > 0 {
                        self.trouble(
                            &known.path,
                            format!(
                                "{unread} bytes of it are unread, but no `[[file]]` begins with the path `{}` any more: put it \
                                 back to have them shipped",
                                known.set
                            ),
                        );
                    }
                }
            }
        }
        for (index, known) in by_slot {
            self.resume_slot(index, known, now);
        }
    }

    /// The slot that a known generation belongs to: that of its path, or of the file that its path is a rotated copy of,
    /// whichever set means that now.
    fn slot_of(&mut self, known: &Known, now: Duration) -> Option<usize> {
        if let Some(&index) = self.by_path.get(&known.path) {
            return Some(index);
        }
        let bases: Vec<_> = rotation::readings(name_of(&known.path).as_bytes())
            .into_iter()
            .map(|reading| {
                known
                    .path
                    .with_file_name(std::ffi::OsStr::from_bytes(&reading.base))
            })
            .collect();
        if let Some(&index) = bases.iter().find_map(|base| self.by_path.get(base)) {
            return Some(index);
        }
        let set = self.sets.iter().position(|set| set.name == known.set)?;
        let patterns = &self.sets[set].patterns;
        let path = bases
            .into_iter()
            .find(|base| patterns.is_match(base))
            .unwrap_or_else(|| known.path.clone());
        Some(self.new_slot(set, path, now))
    }

    /// What stands at the slot's path and beside it: the rotated copies, oldest first, then the file itself. Seen by their
    /// names while a rotation shifts them, one would be taken for another: so it is looked until the names stay.
    fn places(&mut self, index: usize, now: Duration) -> Vec<Place> {
        let mut places = Vec::new();
        for _ in 0..SHIFTS_MAX {
            let Some(slot) = self.slots[index].as_ref() else {
                return Vec::new();
            };
            let directory = slot.directory;
            let links = self.links_of(index);
            let siblings = self.siblings(slot).into_iter();
            places = siblings.map(Place::of_sibling).collect();
            if let Some((stat, beginning)) = own_file(&slot.path, links) {
                places.push(Place {
                    sibling: None,
                    node: stat.node,
                    modified_ms: modified_ms(&stat),
                    size: Some(stat.size),
                    beginning: Some(beginning),
                    taken: self.by_node.contains_key(&stat.node),
                });
            }
            if !self.refresh(directory, now) {
                break;
            }
        }
        places
    }

    fn resume_slot(&mut self, index: usize, mut known: Vec<Known>, now: Duration) {
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            // The ledger tells where to go on, even if its set has another name now.
            slot.start_at = None;
        }
        let mut places = self.places(index, now);
        let own = places
            .iter()
            .filter(|place| place.sibling.is_some())
            .count();
        known.sort_unstable_by_key(|known| std::cmp::Reverse(known.id));
        let mut found: Vec<Option<(usize, Likeness)>> = vec![None; known.len()];
        for likeness in LIKENESSES {
            for (known, found) in known.iter().zip(&mut found) {
                if found.is_some() {
                    continue;
                }
                let at = places
                    .iter_mut()
                    .rposition(|place| !place.taken && place.is(known, likeness));
                if let Some(at) = at {
                    places[at].taken = true;
                    *found = Some((at, likeness));
                }
            }
        }
        self.note_cut_short(index, &known, &found, places.get_mut(own));
        let newest = known.first().cloned().zip(found.first().copied());
        for (known, found) in known.iter().zip(&found).rev() {
            match found {
                Some((at, likeness)) => self.resume_at(index, known, &places[*at], *likeness, now),
                None => self.resume_gone(index, known, &places),
            }
        }
        if let Some((newest, at)) = newest {
            let at = at.map(|(at, _)| at);
            self.adopt_what_came_between(index, &newest, at, known.len() == 1, &places, now);
        }
        self.set_baseline(index);
    }

    /// The file that a known generation is in now.
    fn resume_at(
        &mut self,
        index: usize,
        known: &Known,
        place: &Place,
        likeness: Likeness,
        now: Duration,
    ) {
        let identity = Identity {
            device: place.node.0,
            inode: place.node.1,
            head: known.identity.head,
        };
        let from = known.settled_to;
        let (path, meant) = match (&place.sibling, self.slots[index].as_ref()) {
            (Some(sibling), _) => (sibling.path.clone(), false),
            (None, Some(slot)) => (slot.path.clone(), slot.meant),
            (None, None) => return,
        };
        let by_content = matches!(
            likeness,
            Likeness::Copy | Likeness::ShortCopy | Likeness::EarlierCopy
        );
        let copy = by_content && place.sibling.is_some();
        if !copy {
            let state = if meant {
                State::Live
            } else {
                State::Detached { deleted: false }
            };
            let source = Source::Plain(None);
            self.adopt_as(known.id, index, &path, source, state, identity, from, true);
            if let Some(Some(slot)) = self.slots.get_mut(index) {
                if meant {
                    slot.current = Some(known.id);
                } else {
                    slot.detached.push(known.id);
                    self.aside.insert(known.id);
                }
            }
            // Held from now on: it may be rotated and compressed before it grows. If that fails, the look that follows
            // tells; so it does of what is there beyond `from`.
            let _ = self.ensure_open(known.id);
            return;
        }
        self.adopt_as(
            known.id,
            index,
            &path,
            Source::Gone,
            State::Final,
            known.identity,
            from,
            true,
        );
        if let Some(generation) = self.generations.get_mut(&known.id) {
            generation.size = known.seen.max(from);
        }
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.detached.push(known.id);
        }
        let opened = match &place.sibling {
            Some(sibling) => self.open_wherever(index, sibling, now).ok(),
            None => None,
        };
        match opened {
            Some((path, file, content)) => {
                let bytes = match &content {
                    Content::Plain(bytes) => *bytes,
                    Content::Packed(survey) => survey.bytes,
                };
                let size = bytes.min(known.seen);
                if size > from {
                    self.sights.push(Sight::Grew { id: known.id, size });
                }
                let copy = Copy {
                    path,
                    node: place.node,
                    file,
                    content,
                };
                self.take_over(known.id, copy, Lost::CopyTruncate, now);
            }
            _ => self.give_up(known.id, Lost::Deleted),
        }
    }

    /// Nothing is left of a known generation, or nothing that can be read.
    fn resume_gone(&mut self, index: usize, known: &Known, places: &[Place]) {
        let unreadable = places.iter().any(|place| {
            let packing = place.sibling.as_ref().and_then(|sibling| sibling.packing);
            !place.taken && matches!(packing, Some(Packing::Unreadable(_)))
        });
        self.adopt_as(
            known.id,
            index,
            &known.path,
            Source::Gone,
            State::Final,
            known.identity,
            known.settled_to,
            true,
        );
        if let Some(generation) = self.generations.get_mut(&known.id) {
            generation.size = known.seen.max(known.settled_to);
        }
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.detached.push(known.id);
        }
        let why = if unreadable {
            Lost::Unreadable
        } else {
            Lost::Deleted
        };
        self.give_up(known.id, why);
    }

    /// A power failure may leave a file shorter than what was read of it. What is left was shipped: only what follows it
    /// is new.
    fn note_cut_short(
        &mut self,
        index: usize,
        known: &[Known],
        found: &[Option<(usize, Likeness)>],
        own: Option<&mut Place>,
    ) {
        let Some(own) = own.filter(|own| !own.taken) else {
            return;
        };
        let size = own.size();
        for (known, found) in known.iter().zip(found) {
            let identity = known.identity;
            let cut = found.is_none()
                && own.node == (identity.device, identity.inode)
                && identity.head.bytes > 0
                && own
                    .beginning
                    .as_ref()
                    .is_some_and(|content| begins_with(content, identity.head));
            if cut && let Some(Some(slot)) = self.slots.get_mut(index) {
                slot.remember(Past {
                    node: own.node,
                    head: identity.head,
                    size,
                });
            }
        }
    }

    /// The rotated copies that are newer than the newest known generation were never read.
    fn adopt_what_came_between(
        &mut self,
        index: usize,
        newest: &Known,
        at: Option<usize>,
        alone: bool,
        places: &[Place],
        now: Duration,
    ) {
        let own = places
            .iter()
            .filter(|place| place.sibling.is_some())
            .count();
        let rotated = &places[..own];
        // A file that was empty may have been written and truncated several times since: what came before it counts.
        let was_empty = newest.identity.head.bytes == 0;
        let others = rotated
            .iter()
            .enumerate()
            .rposition(|(n, place)| place.taken && !(was_empty && at == Some(n)));
        let in_place = places
            .get(own)
            .is_some_and(|place| place.node == (newest.identity.device, newest.identity.inode));
        let newest_rotated = others.or(at.filter(|&at| at < own));
        let since = |last_ms: i64| {
            let later = |place: &&Place| place.modified_ms > last_ms;
            rotated.iter().filter(later).collect()
        };
        let unread: Vec<&Place> = match (at, newest_rotated) {
            // The path may have held other content since it was found empty. If a rotated one is known but is not here,
            // what is here is more likely that one.
            (Some(_), None) if was_empty && alone => newest.last_ms.map_or_else(Vec::new, since),
            // Without a rotated one to compare with, what stands beside the live file was read before.
            (Some(_), None) => Vec::new(),
            (_, Some(rotated_at)) => rotated[rotated_at + 1..].iter().collect(),
            // Truncated where it stands, without a copy: nothing was rotated.
            (None, None) if in_place => Vec::new(),
            (None, None) => match newest.last_ms {
                Some(last_ms) => since(last_ms),
                // It was empty when it was last seen: most likely, the newest copy is what became of it.
                None if newest.identity.head.bytes == 0 => rotated.last().into_iter().collect(),
                None => rotated.iter().collect(),
            },
        };
        let own_path = self.slots[index].as_ref().map(|slot| slot.path.clone());
        let links = self.links_of(index);
        let live = own_path.and_then(|path| source::open(&path, links).ok());
        for place in unread {
            if !place.taken
                && let Some(sibling) = &place.sibling
                && !live
                    .as_ref()
                    .is_some_and(|live| sibling.is_plain_copy_of(live))
            {
                self.adopt_missed(index, sibling, now);
            }
        }
    }
}

fn own_file(path: &std::path::Path, links: Links) -> Option<(Stat, Vec<u8>)> {
    let stat = Stat::at(path).ok().filter(Stat::is_file)?;
    let file = source::open(path, links).ok()?;
    let beginning = super::identity::beginning(&file).ok()?;
    Some((stat, beginning))
}

fn modified_ms(stat: &Stat) -> i64 {
    stat.modified
        .0
        .saturating_mul(1000)
        .saturating_add(stat.modified.1 / 1_000_000)
}
