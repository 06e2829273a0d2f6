//! After a restart: which files the known generations are now, and what came and went while nobody looked.

use std::cell::OnceCell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checksums::Checksums;
use super::compare::{Agreement, COMPARED_BYTES_MAX, compare, compare_unpacked, may_be};
use super::copies::{Missed, Opened};
use super::files::Files;
use super::generation::{Source, State, nanoseconds_of};
use super::identity::Beginning;
use super::rotation::{self, Packing};
use super::siblings::{Content, SHIFTS_MAX, Sibling, Soon, stands, version};
use super::slot::{Past, Slot};
use super::source;
use super::truncation::Copy;
use super::{Known, Sight};
use crate::account::{GenerationId, Identity, Lost};
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

impl Likeness {
    /// It is another file with the same content.
    fn is_by_content(self) -> bool {
        matches!(
            self,
            Likeness::Copy | Likeness::ShortCopy | Likeness::EarlierCopy
        )
    }
}

const LIKENESSES: [Likeness; 6] = [
    Likeness::Same,
    Likeness::OtherDevice,
    Likeness::Copy,
    Likeness::ShortCopy,
    Likeness::EarlierCopy,
    Likeness::Empty,
];

/// What stands where, while known generations are looked for.
#[derive(Debug, Default)]
struct Surroundings {
    /// At each slot's path; made when it is first asked for.
    standing: Option<HashMap<Node, usize>>,
    /// At the path that it is known under: the slot of that path.
    claimed: HashMap<Node, usize>,
}

/// Where the known generations of a slot are.
#[derive(Debug)]
struct Search {
    places: Vec<Place>,
    /// Of each known generation: where, and how surely.
    found: Vec<Option<(usize, Likeness)>>,
    /// The same, opened, where it is a copy.
    copies: Vec<Option<Copy>>,
    /// Copies of which nothing is known.
    unread: Vec<Opened>,
}

impl Search {
    /// Which copies stood where.
    fn stood(&self) -> Vec<(PathBuf, Node)> {
        let siblings = self.places.iter().filter(|place| place.sibling.is_some());
        siblings
            .map(|place| (place.path.clone(), place.stat.node))
            .collect()
    }
}

/// A file that a known generation may be: the slot's own, or a rotated copy.
#[derive(Debug)]
struct Place {
    /// None for the slot's own file.
    sibling: Option<Sibling>,
    path: PathBuf,
    stat: Stat,
    taken: bool,
    /// What is asked of the disk for those places alone that something is compared with: there may be thousands.
    closer: OnceCell<Closer>,
}

/// What a closer look at a place shows.
#[derive(Debug)]
struct Closer {
    born_ns: Option<i64>,
    /// Of a compressed copy.
    beginning: Option<Beginning>,
}

impl Place {
    fn of_sibling(sibling: Sibling, taken: bool) -> Place {
        Place {
            path: sibling.path.clone(),
            stat: sibling.stat,
            taken,
            sibling: Some(sibling),
            closer: OnceCell::new(),
        }
    }

    fn closer(&self) -> &Closer {
        self.closer.get_or_init(|| Closer {
            born_ns: source::born_ns_of(&self.path, self.stat.node),
            beginning: self
                .sibling
                .as_ref()
                .filter(|sibling| sibling.packing.is_some())
                .and_then(Sibling::beginning),
        })
    }

    fn packing(&self) -> Option<Packing> {
        self.sibling.as_ref().and_then(|sibling| sibling.packing)
    }

    fn modified_ns(&self) -> i64 {
        nanoseconds_of(self.stat.modified.0, self.stat.modified.1)
    }
}

/// How a known generation and a place compare.
struct Compared {
    agreement: Agreement,
    /// The length of the place's content.
    bytes: u64,
    /// It begins with all that was read.
    whole: bool,
}

/// Whether a place is a known generation, as like as is asked. Pure.
fn is(place: &Place, known: &Known, likeness: Likeness, compared: &Compared) -> bool {
    let identity = known.identity;
    let Compared {
        agreement,
        bytes,
        whole,
    } = *compared;
    let plain = place.packing().is_none();
    let same_node = plain && place.stat.node == (identity.device, identity.inode);
    let same_inode = plain && place.stat.node.1 == identity.inode;
    let other_birth = match (known.print.born_ns, place.closer().born_ns) {
        (Some(then), Some(now)) => then != now,
        _ => false,
    };
    let written_since = known
        .print
        .modified_ns
        .is_some_and(|then| then != place.modified_ns());
    // Little content tells little. If it was written since, and is no longer than it was, it was written anew.
    let anew = written_since && !agreement.tells() && bytes <= known.seen;
    let fits = match likeness {
        Likeness::Same => same_node && !other_birth && whole && !anew,
        Likeness::OtherDevice => same_inode && !other_birth && whole && !anew,
        Likeness::Empty => same_node && !other_birth && nothing_known(known),
        // Another file at the same path is the same content only if that is beyond doubt.
        Likeness::Copy | Likeness::ShortCopy => {
            whole && (place.sibling.is_some() || agreement.tells() || !written_since)
        }
        Likeness::EarlierCopy => agreement.fits() && place.sibling.is_some(),
    };
    let least = match likeness {
        Likeness::Copy => known.seen,
        Likeness::EarlierCopy => 0,
        _ => known.settled_to,
    };
    fits && bytes >= least
}

impl Files {
    /// Takes up what the ledger knows.
    pub(super) fn resume(&mut self, mut known: Vec<Known>, now: Duration) {
        for known in &mut known {
            if let Some((device, inode)) = known.print.moved_to {
                (known.identity.device, known.identity.inode) = (device, inode);
            }
        }
        let mut by_slot: BTreeMap<usize, Vec<Known>> = BTreeMap::new();
        for known in known {
            match self.slot_of(&known, now) {
                Some(index) => by_slot.entry(index).or_default().push(known),
                None => {
                    let unread = known.seen.saturating_sub(known.settled_to);
                    if unread > 0 {
                        self.trouble(
                            known.whereabouts.path(),
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
        let mut around = Surroundings {
            claimed: self.claimed_by(&by_slot),
            ..Surroundings::default()
        };
        for (index, known) in by_slot {
            self.resume_slot(index, known, &mut around, now);
        }
    }

    /// Files that stand at their known paths: no other path's copies, though they have such names, too.
    fn claimed_by(&self, by_slot: &BTreeMap<usize, Vec<Known>>) -> HashMap<Node, usize> {
        let mut claimed = HashMap::new();
        for (&index, known) in by_slot {
            let Some(slot) = self.slots[index].as_ref().filter(|slot| slot.meant) else {
                continue;
            };
            let stat = Stat::at(&slot.path).ok();
            let stands = |known: &&Known| {
                stat.is_some_and(|stat| stat.node == (known.identity.device, known.identity.inode))
            };
            if let Some(known) = known.iter().find(stands) {
                claimed.insert((known.identity.device, known.identity.inode), index);
            }
        }
        claimed
    }

    /// The file of a known generation under another path that is followed: it was moved there, or has a second name there.
    /// Only if it is that file by all that is known, and taken for nobody else's.
    fn elsewhere(&mut self, known: &Known, around: &mut Surroundings) -> Option<(usize, Place)> {
        let node = (known.identity.device, known.identity.inode);
        let by_path = &self.by_path;
        let standing = around.standing.get_or_insert_with(|| {
            let stand =
                |(path, &index): (&PathBuf, &usize)| Some((Stat::at(path).ok()?.node, index));
            by_path.iter().filter_map(stand).collect()
        });
        let other = standing.get(&node).copied()?;
        let slot = self.slots[other].as_ref().filter(|slot| slot.meant)?;
        if slot.current.is_some() {
            return None;
        }
        let place = self.own_place(slot, other).filter(|place| !place.taken)?;
        let Soon::Now(compared) = self.compare(other, &place, known) else {
            return None;
        };
        let is_it = |likeness| is(&place, known, likeness, &compared);
        (is_it(Likeness::Same) || is_it(Likeness::Empty)).then_some((other, place))
    }

    /// The slot that a known generation belongs to: that of its path, or of the file that its path is a rotated copy of,
    /// whichever set means that now. A copy that was moved to another folder is still one of what it left.
    fn slot_of(&mut self, known: &Known, now: Duration) -> Option<usize> {
        let path = known.whereabouts.path();
        if let Some(&index) = self.by_path.get(path) {
            return Some(index);
        }
        let mut bases: Vec<PathBuf> = rotation::readings(name_of(path).as_bytes())
            .into_iter()
            .map(|reading| path.with_file_name(OsStr::from_bytes(&reading.base)))
            .collect();
        if let Some(left) = known.whereabouts.left() {
            let there: Vec<PathBuf> = bases
                .iter()
                .map(|base| left.with_file_name(name_of(base)))
                .collect();
            bases.extend(there);
        }
        if let Some(&index) = bases.iter().find_map(|base| self.by_path.get(base)) {
            return Some(index);
        }
        let set = self.sets.iter().position(|set| set.name == known.set)?;
        // What a link led to has a name of its own; rotated since, it stands beside the link.
        let node = (known.identity.device, known.identity.inode);
        let stands_beside = |slot: &Slot| {
            slot.set == set && self.siblings(slot).iter().any(|s| s.stat.node == node)
        };
        let beside = |slot: &Option<Box<Slot>>| slot.as_deref().is_some_and(stands_beside);
        if bases.is_empty()
            && let Some(index) = self.slots.iter().position(beside)
        {
            return Some(index);
        }
        let patterns = &self.sets[set].patterns;
        let meant = |path: &&PathBuf| patterns.is_match(path);
        // What no pattern means shares a place with the other copies in its folder.
        let shared = || bases.first().filter(|_| !patterns.is_match(path));
        let base = bases.iter().find(meant).or_else(shared);
        let path = base.map_or(path, PathBuf::as_path).to_path_buf();
        Some(self.new_slot(set, path, now))
    }

    /// What stands at the slot's path and beside it: the rotated copies, oldest first, then the file itself.
    fn places(&self, index: usize, known: &[Known], claimed: &HashMap<Node, usize>) -> Vec<Place> {
        let Some(slot) = self.slots[index].as_ref() else {
            return Vec::new();
        };
        let of_sibling = |sibling: Sibling| {
            let taken = self.owner(&sibling).is_some();
            Place::of_sibling(sibling, taken)
        };
        let copies = self.copies(slot, known).into_iter().map(of_sibling);
        let mut places: Vec<Place> = copies.chain(self.own_place(slot, index)).collect();
        // If it stands there still: an inode is given to another file as soon as its own is gone.
        let stands = |other: usize, node: Node| {
            let slot = self.slots[other].as_ref();
            slot.is_some_and(|slot| Stat::at(&slot.path).is_ok_and(|stat| stat.node == node))
        };
        for place in &mut places {
            let node = place.stat.node;
            place.taken |= claimed
                .get(&node)
                .is_some_and(|&other| other != index && stands(other, node));
        }
        places
    }

    /// What stands at a slot's own path.
    fn own_place(&self, slot: &Slot, index: usize) -> Option<Place> {
        let file = source::open(&slot.path, self.links_of(index)).ok()?;
        let stat = Stat::of_open(&file).ok().filter(Stat::is_file)?;
        let born_ns = source::born_ns(&file);
        let begins_with = |head| Beginning::of(&file).is_ok_and(|beginning| beginning.is(head));
        let holder = self.holder(stat.node, || born_ns, begins_with);
        Some(Place {
            sibling: None,
            path: slot.path.clone(),
            stat,
            taken: holder.is_some(),
            closer: OnceCell::from(Closer {
                born_ns,
                beginning: None,
            }),
        })
    }

    /// Whether the rotated copies stand under other names than these by now, or others beside them.
    fn shifts(
        &mut self,
        index: usize,
        known: &[Known],
        stood: &[(PathBuf, Node)],
        now: Duration,
    ) -> bool {
        let Some(directory) = self.slots[index].as_ref().map(|slot| slot.directory) else {
            return false;
        };
        self.refresh(directory, now);
        let slot = self.slots[index].as_ref();
        slot.is_some_and(|slot| stands(&self.copies(slot, known)) != stood)
    }

    /// The rotated copies beside the slot's file, and those in the folders that known generations were moved to; there, too, the oldest first.
    fn copies(&self, slot: &Slot, known: &[Known]) -> Vec<Sibling> {
        let mut copies = self.siblings(slot);
        copies.extend(self.copies_aside(slot, known));
        copies
    }

    /// Where the known generations are, and which copies came and went while nobody looked.
    fn search(
        &mut self,
        index: usize,
        known: &[Known],
        claimed: &HashMap<Node, usize>,
        now: Duration,
    ) -> Soon<Search> {
        let mut places = self.places(index, known, claimed);
        let Soon::Now(found) = self.find_places(index, known, &mut places) else {
            return Soon::Later;
        };
        let copies = found
            .iter()
            .map(|found| {
                let (at, likeness) = (*found)?;
                let sibling = places[at].sibling.as_ref()?;
                let copied = likeness.is_by_content();
                copied.then(|| self.open_copy(index, sibling, now))?
            })
            .collect();
        let newest = by_age(&found).last().map(|&at| (&known[at], found[at]));
        let newest = newest.filter(|_| self.is_meant(index));
        let unread = newest.map_or_else(Vec::new, |(newest, at)| {
            let at = at.map(|(at, _)| at);
            came_between(newest, at, known.len() == 1, &places)
        });
        let own = newest.map(|(newest, _)| newest);
        let unread = self.unread_of(index, &places, &unread, own, now);
        unread.map(|unread| Search {
            places,
            found,
            copies,
            unread,
        })
    }

    /// The rotated copies in the other folders that known generations were moved to.
    fn copies_aside(&self, slot: &Slot, known: &[Known]) -> Vec<Sibling> {
        let paths = known.iter().map(|known| known.whereabouts.path());
        let folders: BTreeSet<&Path> = paths
            .filter_map(Path::parent)
            .filter(|&folder| Some(folder) != slot.path.parent())
            .collect();
        let copies = folders.iter().map(|folder| self.copies_in(folder, slot));
        copies.flatten().collect()
    }

    fn resume_slot(
        &mut self,
        index: usize,
        mut known: Vec<Known>,
        around: &mut Surroundings,
        now: Duration,
    ) {
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            // The ledger tells where to go on, even if its set has another name now.
            slot.start_at = None;
        }
        known.sort_unstable_by_key(|known| std::cmp::Reverse(known.id));
        // What has to be looked through is looked up here, too.
        self.resuming.insert(index, known.clone());
        let mut settled = None;
        for _ in 0..SHIFTS_MAX {
            match self.search(index, &known, &around.claimed, now) {
                Soon::Later => return,
                Soon::Now(search) => settled = Some(search),
            }
            // Seen by their names while a rotation shifts them, one would be taken for another, or be missed between two names.
            let stood = settled.as_ref().map(Search::stood);
            if !self.shifts(index, &known, stood.as_deref().unwrap_or_default(), now) {
                break;
            }
        }
        let Some(Search {
            places,
            found,
            mut copies,
            unread,
        }) = settled
        else {
            return;
        };
        self.resuming.remove(&index);
        self.note_cut_short(index, &known, &found, &places);
        for at in by_age(&found) {
            let known = &known[at];
            match found[at] {
                Some((place, _)) if is_shorter(&places[place], known) => {
                    self.resume_cut(index, known, &places[place], now);
                }
                Some((place, likeness)) if likeness.is_by_content() => {
                    let (place, copy) = (&places[place], copies[at].take());
                    match place.sibling {
                        Some(_) => self.resume_in_copy(index, known, &place.path, copy, now),
                        None => self.resume_at(index, known, place),
                    }
                }
                Some((place, _)) => self.resume_at(index, known, &places[place]),
                None => match self.elsewhere(known, around) {
                    Some((other, place)) => {
                        self.resume_at(other, known, &place);
                        self.due.push(other);
                    }
                    None => self.resume_gone(index, known, &places),
                },
            }
        }
        for unread in unread {
            self.adopt_opened(index, unread, now);
        }
        self.note_copy(index, &places);
        self.forget_unpacked(index);
        self.set_baseline(index);
        self.due.push(index);
    }

    /// The newest copy may be one of what stands at the path, made for a truncation that is still to come. Then it is that generation's, even
    /// if more than it holds was read by then.
    fn note_copy(&mut self, index: usize, places: &[Place]) {
        let Some([newest, own]) = places.last_chunk::<2>() else {
            return;
        };
        let may_be = own.sibling.is_none()
            && !newest.taken
            && newest.stat.size > 0
            && newest.stat.size <= own.stat.size;
        let live = self.slots[index].as_ref().and_then(|slot| slot.current);
        let live = live
            .filter(|_| may_be)
            .filter(|&id| self.ensure_open(id).is_ok());
        let live = live.and_then(|id| self.generations.get(&id)?.file());
        let Some((live, sibling)) = live.zip(newest.sibling.as_ref()) else {
            return;
        };
        let copied = sibling.is_plain_copy_of(live).then_some(newest.stat.node);
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.copied = copied;
        }
    }

    /// Tries again to take up a slot, after a compressed copy has been looked through.
    pub(super) fn resume_on(&mut self, index: usize, now: Duration) {
        if let Some(known) = self.resuming.remove(&index) {
            self.resume_slot(index, known, &mut Surroundings::default(), now);
        }
    }

    /// For each known generation the place that it is most likely in.
    fn find_places(
        &mut self,
        index: usize,
        known: &[Known],
        places: &mut [Place],
    ) -> Soon<Vec<Option<(usize, Likeness)>>> {
        let mut found: Vec<Option<(usize, Likeness)>> = vec![None; known.len()];
        let mut compared: HashMap<(usize, GenerationId), Compared> = HashMap::new();
        // What stands before the newest place that is one of its copies beyond doubt is older, and there may be thousands to look through.
        let mut oldest = vec![0; known.len()];
        for likeness in LIKENESSES {
            for ((known, found), oldest) in known.iter().zip(&mut found).zip(&mut oldest) {
                if found.is_some() {
                    continue;
                }
                for (at, place) in places.iter_mut().enumerate().rev() {
                    if place.taken {
                        continue;
                    }
                    if likeness.is_by_content() && at < *oldest {
                        break;
                    }
                    let by_inode = matches!(
                        likeness,
                        Likeness::Same | Likeness::OtherDevice | Likeness::Empty
                    );
                    let other_inode =
                        place.packing().is_some() || place.stat.node.1 != known.identity.inode;
                    if by_inode && other_inode {
                        continue;
                    }
                    let compared = match compared.entry((at, known.id)) {
                        Entry::Occupied(entry) => entry.into_mut(),
                        Entry::Vacant(entry) => match self.compare(index, place, known) {
                            Soon::Now(compared) => entry.insert(compared),
                            Soon::Later => return Soon::Later,
                        },
                    };
                    let hole_end = known.identity.head.start;
                    if place.sibling.is_some() && compared.agreement.tells_behind(hole_end) {
                        *oldest = at.max(*oldest);
                    }
                    if is(place, known, likeness, compared) {
                        place.taken = true;
                        *found = Some((at, likeness));
                        break;
                    }
                }
            }
        }
        Soon::Now(found)
    }

    fn compare(&mut self, index: usize, place: &Place, known: &Known) -> Soon<Compared> {
        let head = known.identity.head;
        let sums = Checksums::remembered(&known.print, known.settled_to);
        let told = |agreement: Agreement, bytes| {
            Soon::Now(Compared {
                agreement,
                bytes,
                whole: agreement.is_whole(bytes, head, &sums),
            })
        };
        // Nothing is like what nothing is known of.
        if nothing_known(known) {
            return told(Agreement::Unknown, place.stat.size);
        }
        let sibling = match &place.sibling {
            Some(sibling) if sibling.packing.is_some() => sibling,
            _ => {
                let bytes = place.stat.size;
                let links = self.links_of(index);
                let agreement = source::open(&place.path, links)
                    .and_then(|file| compare(&file, bytes, head, &sums, COMPARED_BYTES_MAX));
                return told(agreement.unwrap_or(Agreement::Unknown), bytes);
            }
        };
        let begins = |beginning| may_be(beginning, head);
        if !place.closer().beginning.as_ref().is_none_or(begins) {
            return told(Agreement::Differs, 0);
        }
        match self.unpacked(index, sibling) {
            Soon::Later => Soon::Later,
            Soon::Now(None) => told(Agreement::Unknown, 0),
            Soon::Now(Some(unpacked)) => {
                told(compare_unpacked(&unpacked, head, &sums), unpacked.bytes)
            }
        }
    }

    /// The file that a known generation is in now.
    fn resume_at(&mut self, index: usize, known: &Known, place: &Place) {
        let identity = Identity {
            device: place.stat.node.0,
            inode: place.stat.node.1,
            head: known.identity.head,
        };
        let (path, meant) = match (&place.sibling, self.slots[index].as_ref()) {
            (Some(sibling), _) => (sibling.path.clone(), false),
            (None, Some(slot)) => (slot.path.clone(), slot.meant),
            (None, None) => return,
        };
        let state = if meant {
            State::Live
        } else {
            State::Detached { deleted: false }
        };
        let source = Source::Plain(None);
        self.adopt_known(known, index, &path, source, state, identity);
        if let Some(generation) = self.generations.get_mut(&known.id) {
            generation.born_ns = place.closer().born_ns;
        }
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            if meant {
                slot.current = Some(known.id);
            } else {
                slot.detached.push(known.id);
                self.aside.insert(known.id);
            }
        }
        // Held from now on: it may be rotated and compressed before it grows. If that fails, the look that follows
        // tells; so it does of what is there beyond what is settled. Of what was rotated away, what is read and quiet is left alone.
        if meant || place.stat.size != known.settled_to || self.is_newest_rotated(known.id) {
            let _ = self.ensure_open(known.id);
        }
    }

    /// A known generation goes on, and ends, in a rotated copy.
    fn resume_in_copy(
        &mut self,
        index: usize,
        known: &Known,
        path: &Path,
        copy: Option<Copy>,
        now: Duration,
    ) {
        let from = known.settled_to;
        self.adopt_known(
            known,
            index,
            path,
            Source::Gone,
            State::Final,
            known.identity,
        );
        if let Some(generation) = self.generations.get_mut(&known.id) {
            generation.size = known.seen.max(from);
        }
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.detached.push(known.id);
        }
        match copy {
            Some(copy) => {
                let size = copy.content.bytes().min(known.seen);
                if size > from {
                    self.sights.push(Sight::Grew { id: known.id, size });
                }
                self.take_over(known.id, copy, Lost::CopyTruncate, now);
            }
            None => self.give_up(known.id, Lost::Deleted),
        }
    }

    /// A known generation ends in what is left of its file, or of one in its place: what was seen behind that is gone, and what is written
    /// there from now on is another's.
    fn resume_cut(&mut self, index: usize, known: &Known, place: &Place, now: Duration) {
        let opened = source::open(&place.path, self.links_of(index));
        let copy = opened.ok().map(|file| Copy {
            path: place.path.clone(),
            node: place.stat.node,
            file,
            content: Content::Plain(place.stat.size),
        });
        self.resume_in_copy(index, known, &place.path, copy, now);
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.remember(Past {
                node: place.stat.node,
                born_ns: place.closer().born_ns,
                head: known.identity.head,
                sums: Checksums::remembered(&known.print, known.settled_to),
                size: place.stat.size,
                modified: place.stat.modified,
            });
        }
    }

    /// A rotated copy of which all is known.
    fn open_copy(&mut self, index: usize, sibling: &Sibling, now: Duration) -> Option<Copy> {
        let (path, file, stat) = self.open_wherever(index, sibling, now).ok()?;
        let content = match sibling.packing {
            None => Content::Plain(stat.size),
            Some(_) => match self.unpacked_of(index, version(&stat), || file.try_clone()) {
                Soon::Now(Some(unpacked)) => Content::Packed(unpacked),
                Soon::Now(None) | Soon::Later => return None,
            },
        };
        Some(Copy {
            path,
            node: stat.node,
            file,
            content,
        })
    }

    /// Nothing is left of a known generation, or nothing that can be read.
    fn resume_gone(&mut self, index: usize, known: &Known, places: &[Place]) {
        let unreadable = places
            .iter()
            .any(|place| !place.taken && matches!(place.packing(), Some(Packing::Unreadable(_))));
        let (path, gone) = (known.whereabouts.path(), Source::Gone);
        self.adopt_known(known, index, path, gone, State::Final, known.identity);
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

    /// A file may have been cut, or left shorter by a power failure. What is left of it was shipped: only what follows it is new.
    fn note_cut_short(
        &mut self,
        index: usize,
        known: &[Known],
        found: &[Option<(usize, Likeness)>],
        places: &[Place],
    ) {
        let Some(own) = places
            .iter()
            .find(|place| place.sibling.is_none() && !place.taken)
        else {
            return;
        };
        for (known, _) in known.iter().zip(found).filter(|(_, found)| found.is_none()) {
            let identity = known.identity;
            if own.stat.node != (identity.device, identity.inode) {
                continue;
            }
            let Soon::Now(compared) = self.compare(index, own, known) else {
                continue;
            };
            if !compared.whole
                && compared.agreement.tells()
                && let Some(Some(slot)) = self.slots.get_mut(index)
            {
                slot.remember(Past {
                    node: own.stat.node,
                    born_ns: own.closer().born_ns,
                    head: identity.head,
                    sums: Checksums::remembered(&known.print, 0).cut(own.stat.size),
                    size: own.stat.size,
                    modified: own.stat.modified,
                });
            }
        }
    }

    /// The rotated copies that were never read, opened: they are not missed, whatever a rotation makes of their names.
    fn unread_of(
        &mut self,
        index: usize,
        places: &[Place],
        unread: &[usize],
        newest: Option<&Known>,
        now: Duration,
    ) -> Soon<Vec<Opened>> {
        let own_path = self.slots[index].as_ref().map(|slot| slot.path.clone());
        let links = self.links_of(index);
        let live = own_path.and_then(|path| source::open(&path, links).ok());
        let mut opened = Vec::new();
        for &at in unread {
            let place = &places[at];
            let Some(sibling) = place.sibling.as_ref().filter(|_| !place.taken) else {
                continue;
            };
            // A file that was there before is no copy in the making, though it may be as empty as one.
            let is_new = !newest.is_some_and(|newest| is_file_of(place, newest));
            if is_new
                && live
                    .as_ref()
                    .is_some_and(|live| sibling.is_plain_copy_of(live))
            {
                continue;
            }
            match self.open_missed(index, sibling, now) {
                Missed::Opened(missed) => opened.push(missed),
                Missed::Later => return Soon::Later,
                // If it has another name, it is looked at again; else it is gone.
                Missed::Gone | Missed::Unreadable => {}
            }
        }
        Soon::Now(opened)
    }
}

/// Known generations, newest number first, in the order of their ages. What was found late has a high number and is old: where it
/// stands tells. Pure.
fn by_age(found: &[Option<(usize, Likeness)>]) -> Vec<usize> {
    let place = |at: usize| found[at].map(|(place, _)| place);
    let mut stand: Vec<usize> = (0..found.len()).filter(|&at| place(at).is_some()).collect();
    stand.sort_by_key(|&at| std::cmp::Reverse(place(at)));
    (0..found.len())
        .rev()
        .filter_map(|at| match place(at) {
            Some(_) => stand.pop(),
            None => Some(at),
        })
        .collect()
}

/// Whether a place is the very file of a known generation, whatever it holds by now. Pure.
fn is_file_of(place: &Place, known: &Known) -> bool {
    place.packing().is_none()
        && place.stat.node == (known.identity.device, known.identity.inode)
        && known.print.born_ns.is_none_or(|then| {
            let now = place.closer().born_ns;
            now.is_none_or(|now| now == then)
        })
}

/// Whether a slot's own file ends before what was seen of the generation that it is. Pure.
fn is_shorter(place: &Place, known: &Known) -> bool {
    place.sibling.is_none() && place.stat.size < known.seen
}

/// Whether nothing was ever read of it. Its head may be known later than what was read.
fn nothing_known(known: &Known) -> bool {
    known.identity.head.bytes == 0 && known.print.marks.is_empty()
}

/// The rotated copies that are newer than the newest known generation were never read. Pure.
fn came_between(newest: &Known, at: Option<usize>, alone: bool, places: &[Place]) -> Vec<usize> {
    let own = places
        .iter()
        .filter(|place| place.sibling.is_some())
        .count();
    let rotated = &places[..own];
    // A file that was empty may have been written and truncated several times since: what came before it counts.
    let was_empty = nothing_known(newest);
    let others = rotated
        .iter()
        .enumerate()
        .rposition(|(n, place)| place.taken && !(was_empty && at == Some(n)));
    let is_its_file = |place: &Place| is_file_of(place, newest);
    let in_place = places.get(own).is_some_and(is_its_file);
    // Truncated, and moved away since: what it holds now came after all that is known, and so did what is newer.
    let moved_at = rotated.iter().rposition(is_its_file);
    let newest_rotated = others.or(at.filter(|&at| at < own));
    let since = |last_ms: i64| {
        let later = |&n: &usize| rotated[n].modified_ns() / 1_000_000 > last_ms;
        (0..own).filter(later).collect::<Vec<usize>>()
    };
    match (at, newest_rotated) {
        // The path may have held other content since it was found empty. If a rotated one is known but is not here,
        // what is here is more likely that one.
        (Some(_), None) if was_empty && alone => newest.last_ms.map_or_else(Vec::new, since),
        // Without a rotated one to compare with, what stands beside the live file was read before; unless it was written since, by whoever a
        // link led to meanwhile.
        (Some(_), None) => match newest.last_ms {
            Some(last_ms) if !was_empty => {
                let is_since = |&n: &usize| {
                    let place = &rotated[n];
                    place.packing().is_none() && place.modified_ns() / 1_000_000 > last_ms
                };
                (0..own).filter(is_since).collect()
            }
            _ => Vec::new(),
        },
        (_, Some(rotated_at)) => (rotated_at + 1..own).collect(),
        (None, None) if let Some(moved_at) = moved_at => {
            let before = newest.last_ms.map_or_else(Vec::new, since);
            let before = before.into_iter().filter(|&at| at < moved_at);
            before.chain(moved_at..own).collect()
        }
        // Truncated where it stands, without a copy of what was read: that was made since, and of what came after.
        (None, None) if in_place => newest.last_ms.map_or_else(Vec::new, since),
        (None, None) => match newest.last_ms {
            Some(last_ms) => since(last_ms),
            // It was empty when it was last seen: most likely, the newest copy is what became of it.
            None if was_empty => own.checked_sub(1).into_iter().collect(),
            None => (0..own).collect(),
        },
    }
}
