//! A reader as the engine is one, and the things that happen to log files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use crate::account::{GenerationId, Identity, Lost, Whereabouts};
use crate::clock::Now;
use crate::tail::{FileSet, Files, Known, Limits, Links, ReadError, Sight, Start};

/// What was read and told of one generation.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) path: PathBuf,
    whereabouts: Whereabouts,
    pub(super) identity: Identity,
    pub(super) set: usize,
    pub(super) from: u64,
    pub(super) resumed: bool,
    /// What was read since the last start of the reader.
    pub(super) text: Vec<u8>,
    pub(super) at: u64,
    pub(super) size: u64,
    pub(super) lost: Vec<(u64, u64, Lost)>,
    pub(super) holes: Vec<(u64, u64)>,
    pub(super) ended: Option<u64>,
}

impl Seen {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// What is lost is settled, too.
    fn settled_to(&self) -> u64 {
        self.lost
            .iter()
            .filter(|(start, _, _)| *start <= self.at)
            .map(|(_, end, _)| *end)
            .fold(self.at, u64::max)
    }

    pub(super) fn lost_bytes(&self) -> u64 {
        self.lost.iter().map(|(start, end, _)| end - start).sum()
    }
}

/// The reader, a folder of logs, and the time.
pub(super) struct Desk {
    pub(super) folder: TempDir,
    pub(super) files: Files,
    pub(super) now: Duration,
    pub(super) seen: BTreeMap<GenerationId, Seen>,
    pub(super) sights: Vec<Sight>,
    pub(super) troubles: BTreeMap<PathBuf, String>,
    pub(super) sets: Vec<FileSet>,
    pub(super) limits: Limits,
    pub(super) buffer_bytes: usize,
    /// What the reader was started with.
    known: Vec<Known>,
    read_before: String,
}

pub(super) fn limits() -> Limits {
    Limits {
        // Here the time is made up, and rings come when they come.
        sweep: Limits::default().poll,
        ..Limits::default()
    }
}

impl Desk {
    /// Follows these patterns in a new folder, files that are there from their beginning.
    pub(super) fn new(patterns: &[&str]) -> Desk {
        Desk::with(patterns, Start::Beginning, limits(), |_| {})
    }

    pub(super) fn with(
        patterns: &[&str],
        start: Start,
        limits: Limits,
        prepare: impl FnOnce(&Path),
    ) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let sets = vec![FileSet {
            patterns: patterns
                .iter()
                .map(|pattern| folder.path().join(pattern).to_str().unwrap().to_owned())
                .collect(),
            exclude: Vec::new(),
            start,
            links: Links::default(),
        }];
        let files = Files::open(sets.clone(), Vec::new(), 1, limits, Arc::new(|| {})).unwrap();
        Desk {
            folder,
            files,
            now: Duration::from_secs(100),
            seen: BTreeMap::new(),
            sights: Vec::new(),
            troubles: BTreeMap::new(),
            sets,
            limits,
            buffer_bytes: 4096,
            known: Vec::new(),
            read_before: String::new(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn append(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    pub(super) fn writer(&self, name: &str) -> File {
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path(name))
            .unwrap()
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(super) fn delete(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub(super) fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
    }

    pub(super) fn truncate(&self, name: &str, bytes: u64) {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(self.path(name))
            .unwrap();
        file.set_len(bytes).unwrap();
    }

    /// As `gzip` does: the time of the last write is kept, the plain file removed.
    pub(super) fn compress(&self, name: &str) {
        let plain = self.path(name);
        let packed = File::create(self.path(&format!("{name}.gz"))).unwrap();
        let mut encoder = GzEncoder::new(packed, Compression::fast());
        encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
        let packed = encoder.finish().unwrap();
        packed
            .set_modified(fs::metadata(&plain).unwrap().modified().unwrap())
            .unwrap();
        fs::remove_file(plain).unwrap();
    }

    pub(super) fn instant(&self) -> Now {
        Now {
            monotonic: self.now,
            unix_ms: 1_700_000_000_000 + self.now.as_millis() as i64,
        }
    }

    /// One look, without reading.
    pub(super) fn look(&mut self) {
        let sights = self.files.look(self.instant());
        for sight in sights {
            self.take(sight);
        }
    }

    fn take(&mut self, sight: Sight) {
        self.sights.push(sight.clone());
        match sight {
            Sight::Found {
                id,
                set,
                path,
                identity,
                from,
                resumed,
            } => {
                let known = self.known.iter().find(|known| known.id == id);
                let mut whereabouts = known.map_or_else(
                    || Whereabouts::found(path.clone()),
                    |known| known.whereabouts.clone(),
                );
                whereabouts.move_to(&path);
                let old = self.seen.insert(
                    id,
                    Seen {
                        path,
                        whereabouts,
                        identity,
                        set,
                        from,
                        resumed,
                        text: Vec::new(),
                        at: from,
                        size: from,
                        lost: Vec::new(),
                        holes: Vec::new(),
                        ended: None,
                    },
                );
                assert!(old.is_none(), "{id} was found twice");
            }
            Sight::Grew { id, size } => {
                let seen = self.seen.get_mut(&id).unwrap();
                assert!(size >= seen.size, "{id} grew from {} to {size}", seen.size);
                seen.size = size;
                seen.ended = None;
            }
            Sight::Identified { id, head } => {
                self.seen.get_mut(&id).unwrap().identity.head = head;
            }
            Sight::Printed { .. } => {}
            Sight::Moved { id, path } => {
                let seen = self.seen.get_mut(&id).unwrap();
                seen.whereabouts.move_to(&path);
                seen.path = path;
            }
            Sight::Ended { id, size } => {
                self.seen.get_mut(&id).unwrap().ended = Some(size);
            }
            Sight::Hole { span } => {
                let seen = self.seen.get_mut(&span.generation).unwrap();
                assert_eq!(span.start, seen.at, "a hole begins where reading goes on");
                seen.at = span.end;
                seen.holes.push((span.start, span.end));
                self.files.consumed(span.generation, span.end);
            }
            Sight::Lost { span, why } => {
                let seen = self.seen.get_mut(&span.generation).unwrap();
                assert!(span.start >= seen.at && span.end > span.start);
                seen.lost.push((span.start, span.end, why));
            }
            Sight::Trouble { path, message } => {
                self.troubles.insert(path, message);
            }
            Sight::Cleared { path } => {
                assert!(
                    self.troubles.remove(&path).is_some(),
                    "no trouble with {path:?}"
                );
            }
        }
    }

    /// Reads what there is of one generation. True if anything was read.
    pub(super) fn read(&mut self, id: GenerationId) -> bool {
        let mut buffer = vec![0; self.buffer_bytes];
        let before = self.seen[&id].at;
        loop {
            let at = self.seen[&id].at;
            match self.files.read(id, at, &mut buffer) {
                Ok(read) => {
                    let seen = self.seen.get_mut(&id).unwrap();
                    seen.text.extend_from_slice(&buffer[..read.bytes]);
                    seen.at += read.bytes as u64;
                    seen.size = seen.size.max(seen.at);
                    self.files.consumed(id, seen.at);
                    if read.at_end || (read.bytes == 0 && !self.is_packed(id)) {
                        break;
                    }
                }
                Err(ReadError::Changed | ReadError::Io { .. }) => break,
                Err(ReadError::Unknown(id)) => panic!("{id} is unknown"),
            }
        }
        self.seen[&id].at > before
    }

    fn is_packed(&self, id: GenerationId) -> bool {
        let generation = self.files.generations.get(&id);
        generation.is_some_and(|g| matches!(g.source, crate::tail::generation::Source::Packed(_)))
    }

    /// Looks and reads until there is nothing more.
    pub(super) fn settle(&mut self) {
        for _ in 0..100 {
            let told = self.sights.len();
            self.now += Duration::from_secs(1);
            self.look();
            let ids: Vec<GenerationId> = self.seen.keys().copied().collect();
            let mut read = false;
            for id in ids {
                let seen = &self.seen[&id];
                if seen.ended.is_none_or(|size| seen.at < size) {
                    read |= self.read(id);
                }
            }
            if !read && self.sights.len() == told && self.files.next_look() > self.now {
                return;
            }
        }
        panic!("it never settles: {:?}", self.sights);
    }

    /// What the ledger would remember, if all that was read is settled.
    pub(super) fn known(&self) -> Vec<Known> {
        self.seen
            .iter()
            .map(|(&id, seen)| Known {
                id,
                identity: seen.identity,
                print: self
                    .files
                    .generations
                    .get(&id)
                    .map(|generation| generation.print())
                    .unwrap_or_default(),
                set: self.sets[seen.set].patterns[0].clone(),
                whereabouts: seen.whereabouts.clone(),
                settled_to: seen.settled_to(),
                seen: seen.size,
                last_ms: None,
            })
            .chain(
                self.known
                    .iter()
                    .filter(|known| self.sights.is_empty() && !self.seen.contains_key(&known.id))
                    .cloned(),
            )
            .collect()
    }

    /// The reader is killed; what it knows is handed to the next one by `restart`.
    pub(super) fn restart(&mut self) {
        let known = self.known();
        self.restart_with(known);
    }

    pub(super) fn restart_with(&mut self, known: Vec<Known>) {
        let next = self.seen.keys().map(|id| id.0 + 1).max().unwrap_or(1);
        self.reopen(known, next);
    }

    pub(super) fn reopen(&mut self, known: Vec<Known>, next: u64) {
        self.known.clone_from(&known);
        self.files =
            Files::open(self.sets.clone(), known, next, self.limits, Arc::new(|| {})).unwrap();
        self.seen.clear();
        self.sights.clear();
        self.troubles.clear();
    }

    /// The same, without losing what was read so far.
    pub(super) fn restart_keeping(&mut self) {
        let read = self.all_text();
        self.restart();
        self.read_before = read;
    }

    /// All that was read, before restarts too.
    pub(super) fn all_text(&self) -> String {
        self.read_before.clone() + &self.texts().concat()
    }

    /// The texts of all generations, in the order of their ids.
    pub(super) fn texts(&self) -> Vec<String> {
        self.seen.values().map(Seen::text).collect()
    }

    pub(super) fn lost_bytes(&self) -> u64 {
        self.seen.values().map(Seen::lost_bytes).sum()
    }
}

impl Desk {
    /// Waits until inotify has told all that happened in the folder. It tells in order.
    pub(super) fn await_news(&self) {
        self.append("news", "all\n");
        while !self.files.directories.bell.has_rung(&self.path("news")) {
            std::thread::yield_now();
        }
    }

    /// A second passes, and there is one look; nothing is read.
    pub(super) fn look_later(&mut self) {
        self.now += Duration::from_secs(1);
        self.look();
    }
}
