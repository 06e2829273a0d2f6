//! The directories that matter: what stands in them, and how closely each is watched.
//!
//! A quiet directory is watched with inotify. A busy one is not, because each write would wake a thread: it is looked at
//! each tick instead, and watched again when it has fallen quiet.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::kinds::rings_at;
use super::listing::{Entry, Listing};
use super::patterns::{Component, Patterns};
use super::stat::{FileTime, Node, Stat};
use super::watch::{Doorbell, Unwatched};

/// A directory that changed less than this ago is listed again at the next look: its time stamp may not show a change
/// within the same grain (up to 2 s on FAT, a second on ext3).
const GRAIN: Duration = Duration::from_secs(2);
/// The same on this host's own file systems, where stamps have parts of seconds: those are set by the tick, which is 10 ms at most.
const FINE_GRAIN: Duration = Duration::from_millis(20);
/// Waking up more often than this in a second costs more than looking each tick.
const RINGS_PER_SECOND_MAX: u32 = 10;
/// A busy directory is quiet when nothing in it grew for this long.
const QUIET: Duration = Duration::from_secs(1);
/// How long a directory in which something changed without a ring is looked at as if it were not watched. A day costs little, and
/// whatever writes there unheard is most likely to do so again.
const SILENT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long to leave inotify alone after it refused.
const WATCH_AGAIN: Duration = Duration::from_secs(60);

/// Index of a directory in [`Directories`].
pub(crate) type DirectoryId = usize;

/// One directory that is walked, or that followed files stand in.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    stamp: Option<(Node, FileTime, FileTime)>,
    /// The listing cannot be older than the time stamp tells.
    trusted: bool,
    /// Its file system rings for every write.
    rings: bool,
    pub(crate) entries: Listing,
    watched: Option<Node>,
    watched_since: Duration,
    /// When its listing last changed, or it was first seen.
    changed_at: Duration,
    watch_again_at: Duration,
    hot_until: Duration,
    /// Something changed in it without a ring: until then it is not relied upon.
    silent_until: Duration,
    /// When the count of rings began, and how many there were since.
    counted_from: Duration,
    counted: u32,
}

/// What a look at a directory found.
#[derive(Debug, Default)]
pub(crate) struct Refreshed {
    /// The listing may differ from the last one.
    pub(crate) changed: bool,
    /// Names that are new, or now stand for another file.
    pub(crate) fresh: Vec<OsString>,
    /// Names that are not there any more.
    pub(crate) gone: Vec<OsString>,
    /// The path leads to another directory than before, or to none: what was known below it says nothing.
    pub(crate) moved: bool,
    /// It is watched from now on: what happened before did not ring.
    pub(crate) rewatched: bool,
    /// Why it can't be listed.
    pub(crate) unlisted: Option<String>,
    /// Why it can't be watched; told when it was tried.
    pub(crate) refused: Option<String>,
}

/// All directories that matter, and the doorbell on them.
#[derive(Debug)]
pub(crate) struct Directories {
    all: Vec<Option<Box<Directory>>>,
    free: Vec<DirectoryId>,
    /// In the order of paths, so that what stands below one follows it.
    index: BTreeMap<PathBuf, DirectoryId>,
    /// Those whose bell is off because they are busy, or were a moment ago.
    hot: BTreeSet<DirectoryId>,
    pub(crate) bell: Doorbell,
}

impl Directories {
    pub(crate) fn new(bell: Doorbell) -> Directories {
        Directories {
            all: Vec::new(),
            free: Vec::new(),
            index: BTreeMap::new(),
            hot: BTreeSet::new(),
            bell,
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = DirectoryId> + use<> {
        0..self.all.len()
    }

    pub(crate) fn get(&self, id: DirectoryId) -> Option<&Directory> {
        self.all.get(id)?.as_deref()
    }

    pub(crate) fn find(&self, path: &Path) -> Option<DirectoryId> {
        self.index.get(path).copied()
    }

    /// The directories below one, however deep.
    pub(crate) fn below(&self, path: &Path) -> Vec<DirectoryId> {
        let from = (Bound::Excluded(path), Bound::Unbounded);
        self.index
            .range::<Path, _>(from)
            .take_while(|(below, _)| below.starts_with(path))
            .map(|(_, &id)| id)
            .collect()
    }

    /// The directory's index; it is listed when it is first tracked.
    pub(crate) fn track(&mut self, path: &Path, now: Duration) -> DirectoryId {
        if let Some(&id) = self.index.get(path) {
            return id;
        }
        let directory = Box::new(Directory {
            path: path.to_path_buf(),
            stamp: None,
            trusted: false,
            rings: false,
            entries: Listing::default(),
            watched: None,
            watched_since: now,
            changed_at: now,
            watch_again_at: Duration::ZERO,
            hot_until: Duration::ZERO,
            silent_until: Duration::ZERO,
            counted_from: Duration::ZERO,
            counted: 0,
        });
        let id = match self.free.pop() {
            Some(free) => {
                self.all[free] = Some(directory);
                free
            }
            None => {
                self.all.push(Some(directory));
                self.all.len() - 1
            }
        };
        self.index.insert(path.to_path_buf(), id);
        id
    }

    /// Drops the directories that are not kept, and tells which.
    pub(crate) fn retain(&mut self, kept: &HashSet<DirectoryId>) -> Vec<DirectoryId> {
        let mut dropped = Vec::new();
        for id in self.ids() {
            if kept.contains(&id) {
                continue;
            }
            if let Some(directory) = self.all[id].take() {
                self.index.remove(&directory.path);
                self.hot.remove(&id);
                self.free.push(id);
                dropped.push(id);
                if directory.watched.is_some() {
                    self.bell.unwatch(&directory.path);
                }
                self.bell.unwatch_births(&directory.path);
            }
        }
        dropped
    }

    /// Looked at each tick just now.
    pub(crate) fn is_hot(&self, id: DirectoryId, now: Duration) -> bool {
        self.get(id).is_some_and(|d| now < d.hot_until)
    }

    /// Those that are looked at each tick, and those that were and are to be watched again.
    pub(crate) fn hot(&self) -> impl Iterator<Item = DirectoryId> + '_ {
        self.hot.iter().copied()
    }

    /// Whether any directory is hot.
    pub(crate) fn any_hot(&self, now: Duration) -> bool {
        self.hot.iter().any(|&id| self.is_hot(id, now))
    }

    /// It is hot no more, and was attended to.
    pub(crate) fn cool(&mut self, id: DirectoryId) {
        self.hot.remove(&id);
    }

    /// Whether every change in it rings just now, as far as anybody knows.
    pub(crate) fn tells(&self, id: DirectoryId, now: Duration) -> bool {
        self.get(id).is_some_and(|d| d.tells(now))
    }

    /// How long nothing changed in its listing, if a ring would tell when something does. That its path leads elsewhere, only
    /// the directory above can tell.
    pub(crate) fn quiet(&self, id: DirectoryId, now: Duration) -> Option<Duration> {
        let directory = self.get(id)?;
        let above = directory.path.parent().and_then(|above| self.find(above));
        (directory.tells(now) && directory.trusted && above.is_some())
            .then(|| now.saturating_sub(directory.changed_at))
    }

    /// Whether its path ends in a symbolic link: where that leads is told by no directory.
    pub(crate) fn is_linked(&self, id: DirectoryId) -> bool {
        self.get(id)
            .and_then(|directory| Stat::of_name(&directory.path).ok())
            .is_some_and(|stat| stat.is_link())
    }

    /// Something changed in it although it was watched, and nothing rang.
    pub(crate) fn silent(&mut self, id: DirectoryId, now: Duration) {
        if let Some(Some(directory)) = self.all.get_mut(id) {
            directory.silent_until = now + SILENT;
        }
    }

    /// Whether it was watched before this instant, and since.
    pub(crate) fn was_watched(&self, id: DirectoryId, now: Duration) -> bool {
        self.get(id)
            .is_some_and(|d| d.watched.is_some() && d.watched_since < now)
    }

    /// Something in it grew. Without a bell for it, it is now looked at each tick.
    pub(crate) fn grew(&mut self, id: DirectoryId, rang: bool, now: Duration) {
        if let Some(Some(directory)) = self.all.get_mut(id)
            && (directory.watched.is_none() || !rang)
        {
            directory.hot_until = now + QUIET;
            self.hot.insert(id);
        }
    }

    /// It rang. Too often, and the bell is taken off: then this is true.
    pub(crate) fn rang(&mut self, id: DirectoryId, now: Duration) -> bool {
        let Some(Some(directory)) = self.all.get_mut(id) else {
            return false;
        };
        if now.saturating_sub(directory.counted_from) >= Duration::from_secs(1) {
            (directory.counted_from, directory.counted) = (now, 0);
        }
        directory.counted += 1;
        if directory.counted > RINGS_PER_SECOND_MAX && directory.watched.take().is_some() {
            self.bell.unwatch(&directory.path);
            self.bell.watch_births(&directory.path);
            directory.hot_until = now + QUIET;
            self.hot.insert(id);
            // What came between the two did not ring.
            directory.trusted = false;
            return true;
        }
        false
    }

    /// Sees to the watch, then lists the directory if it may have changed. In this order, so that nothing falls between.
    pub(crate) fn refresh(&mut self, id: DirectoryId, now: Duration) -> Refreshed {
        let Some(Some(directory)) = self.all.get_mut(id) else {
            return Refreshed::default();
        };
        let mut refreshed = Refreshed::default();
        let first_stat = Stat::at(&directory.path).ok().filter(Stat::is_directory);
        let before = directory.watched;
        refreshed.refused = directory.attend(first_stat, &mut self.bell, now);
        refreshed.rewatched = directory.watched.is_some() && directory.watched != before;
        let stamp = first_stat.map(|stat| (stat.node, stat.modified, stat.changed));
        if stamp == directory.stamp && directory.trusted {
            return refreshed;
        }
        let node = |stamp: Option<(Node, _, _)>| stamp.map(|(node, _, _)| node);
        if node(stamp) != node(directory.stamp) {
            refreshed.moved = true;
            directory.rings = rings_at(&directory.path);
        }
        let rings = directory.rings;
        directory.trusted = stamp.is_none_or(|(_, modified, changed)| {
            is_old(modified.max(changed), grain(rings, modified, changed))
        });
        directory.stamp = stamp;
        let entries = match (stamp, Listing::read(&directory.path)) {
            (None, _) => Listing::default(),
            (Some(_), Ok(entries)) => entries,
            (Some(_), Err(error)) => {
                directory.trusted = false;
                refreshed.unlisted = Some(format!(
                    "the directory can't be listed ({error}): files in it are not found; let the agent's user read it"
                ));
                std::mem::take(&mut directory.entries)
            }
        };
        if entries != directory.entries {
            refreshed.changed = true;
            directory.changed_at = now;
            refreshed.fresh = entries
                .iter()
                .filter(|(name, entry)| {
                    directory
                        .entries
                        .get(name)
                        .is_none_or(|old| old.inode != entry.inode)
                })
                .map(|(name, _)| name.to_owned())
                .collect();
            refreshed.gone = directory
                .entries
                .iter()
                .filter(|(name, _)| entries.get(name).is_none())
                .map(|(name, _)| name.to_owned())
                .collect();
            directory.entries = entries;
        }
        refreshed
    }

    /// The files that the patterns mean just now, and the directories that decide it. A pattern without wildcards means
    /// its path whether or not it is there.
    pub(crate) fn expand(
        &mut self,
        patterns: &Patterns,
        now: Duration,
    ) -> (Vec<PathBuf>, HashSet<DirectoryId>) {
        let mut walk = Walk {
            directories: self,
            now,
            found: Vec::new(),
            used: HashSet::new(),
        };
        for glob in patterns.globs() {
            walk.go(Path::new("/"), glob, true);
        }
        let (mut found, used) = (walk.found, walk.used);
        found.retain(|path| !patterns.excludes(path));
        found.sort_unstable();
        found.dedup();
        (found, used)
    }
}

impl Directory {
    /// Watches it if it should be, and says why that failed.
    fn attend(&mut self, stat: Option<Stat>, bell: &mut Doorbell, now: Duration) -> Option<String> {
        let node = stat.map(|stat| stat.node);
        if self.watched.is_some() && self.watched != node {
            // The path now leads to another directory, or to none.
            bell.unwatch(&self.path);
            self.watched = None;
        }
        if self.watched.is_some()
            || node.is_none()
            || now < self.hot_until
            || now < self.watch_again_at
        {
            return None;
        }
        match bell.watch(&self.path) {
            Ok(()) => {
                bell.unwatch_births(&self.path);
                self.watched = node;
                self.watched_since = now;
                self.trusted = false;
                None
            }
            Err(Unwatched::Absent) => None,
            Err(Unwatched::Refused(why)) => {
                self.watch_again_at = now + WATCH_AGAIN;
                Some(why)
            }
        }
    }

    fn tells(&self, now: Duration) -> bool {
        self.watched.is_some() && self.rings && now >= self.silent_until
    }

    /// Whether inotify watches it.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// The device that it is on.
    pub(crate) fn device(&self) -> Option<u64> {
        self.stamp.map(|((device, _), _, _)| device)
    }

    /// Whether it was there at the last look.
    pub(crate) fn exists(&self) -> bool {
        self.stamp.is_some()
    }
}

/// One walk along the parts of a pattern.
struct Walk<'a> {
    directories: &'a mut Directories,
    now: Duration,
    found: Vec<PathBuf>,
    used: HashSet<DirectoryId>,
}

impl Walk<'_> {
    fn go(&mut self, directory: &Path, glob: &[Component], literal_so_far: bool) {
        let Some((part, rest)) = glob.split_first() else {
            return;
        };
        match part {
            Component::Literal(name) if literal_so_far => {
                let path = directory.join(name);
                if rest.is_empty() {
                    self.found.push(path);
                } else {
                    self.go(&path, rest, true);
                }
            }
            Component::Deep => {
                if rest.is_empty() {
                    self.files(directory, part);
                } else {
                    self.go(directory, rest, false);
                }
                for below in self.subdirectories(directory, part, false) {
                    self.go(&below, glob, false);
                }
            }
            _ if rest.is_empty() => self.files(directory, part),
            _ => {
                for below in self.subdirectories(directory, part, true) {
                    self.go(&below, rest, false);
                }
            }
        }
    }

    fn listed(&mut self, directory: &Path) -> DirectoryId {
        let id = self.directories.track(directory, self.now);
        if self.used.insert(id)
            && self
                .directories
                .get(id)
                .is_some_and(|d| d.stamp.is_none() && !d.trusted)
        {
            self.directories.refresh(id, self.now);
        }
        id
    }

    fn matching(&mut self, directory: &Path, part: &Component) -> Vec<(PathBuf, Entry)> {
        let id = self.listed(directory);
        self.directories.get(id).map_or_else(Vec::new, |d| {
            d.entries
                .iter()
                .filter(|(name, _)| part.matches(name))
                .map(|(name, entry)| (directory.join(name), entry))
                .collect()
        })
    }

    fn files(&mut self, directory: &Path, part: &Component) {
        for (path, entry) in self.matching(directory, part) {
            if !entry.may_be_directory || !is_directory(&path, true) {
                self.found.push(path);
            }
        }
    }

    /// `**` does not follow symbolic links: they may lead in circles.
    fn subdirectories(&mut self, directory: &Path, part: &Component, follow: bool) -> Vec<PathBuf> {
        self.matching(directory, part)
            .into_iter()
            .filter(|(path, entry)| entry.may_be_directory && is_directory(path, follow))
            .map(|(path, _)| path)
            .collect()
    }
}

fn is_directory(path: &Path, follow: bool) -> bool {
    let metadata = if follow {
        std::fs::metadata(path)
    } else {
        std::fs::symlink_metadata(path)
    };
    metadata.is_ok_and(|metadata| metadata.is_dir())
}

/// How far apart two changes of a directory may be that have the same stamps. Only what this host stamps itself is stamped by its tick. Pure.
fn grain(rings: bool, modified: FileTime, changed: FileTime) -> Duration {
    let has_parts_of_seconds = modified.1 != 0 || changed.1 != 0;
    match rings && has_parts_of_seconds {
        true => FINE_GRAIN,
        false => GRAIN,
    }
}

/// By the clock that stamps files, which is not the clock that is handed in.
fn is_old(stamp: FileTime, grain: Duration) -> bool {
    let stamp = Duration::new(
        u64::try_from(stamp.0).unwrap_or_default(),
        u32::try_from(stamp.1).unwrap_or_default(),
    );
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .is_ok_and(|now| now.checked_sub(stamp).is_some_and(|age| age >= grain))
}

/// The last part of a path; a slot's path always has one.
pub(crate) fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ext4 with inodes of 128 bytes has no parts of seconds, and a server stamps by its own clock.
    #[test]
    fn only_stamps_with_parts_of_seconds_that_this_host_made_are_trusted_soon() {
        let (whole, parts) = ((1_700_000_000, 0), (1_700_000_000, 1));
        assert_eq!(grain(true, whole, parts), FINE_GRAIN);
        assert_eq!(grain(true, whole, whole), GRAIN);
        assert_eq!(grain(false, parts, parts), GRAIN);
    }
}
