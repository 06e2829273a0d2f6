//! Rotations: by renaming, by copying and truncating, by several programs, and what compresses the copies.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::edits::HEAD_BYTES;
use super::{Body, Copy, Host, KEPT, stamp};

impl Host {
    /// logrotate's `create`: older copies move up, the file becomes `.1`, and a new one is made.
    pub(crate) fn rename(&mut self, log: usize) {
        self.complete(log);
        self.move_away(log, None);
        self.create(log);
    }

    /// The same by another program, which names its copies after the time.
    pub(crate) fn rename_dated(&mut self, log: usize) {
        self.complete(log);
        let stamp = jiff::Timestamp::from_millisecond(self.unix_ms).unwrap();
        let path = &self.logs[log].path;
        let dated = format!("{}-{}", path.display(), stamp.strftime("%Y%m%d%H%M%S"));
        let dated = PathBuf::from(dated);
        // As `dateext` does: a name that stands there already is not taken again.
        if !dated.exists() && !PathBuf::from(format!("{}.gz", dated.display())).exists() {
            self.move_away(log, Some(dated));
            self.create(log);
        }
    }

    /// A hard link to the file becomes `.1`, then a new file is renamed over its path.
    pub(crate) fn link_away(&mut self, log: usize) {
        self.complete(log);
        if self.logs[log].manners.linked {
            return;
        }
        self.shift(log);
        let Some(live) = self.logs[log].live.take() else {
            return;
        };
        self.leaves(log, live);
        let path = self.numbered(log, 1);
        fs::hard_link(&self.logs[log].path, &path).unwrap();
        let packed = false;
        let body = live;
        self.logs[log].copies.insert(0, Copy { path, body, packed });
        let next = self.root.join(format!("next-{log}"));
        File::create(&next).unwrap();
        fs::rename(next, &self.logs[log].path).unwrap();
        self.create(log);
    }

    /// A file goes out of the log's path. If it holds the banner alone and nobody looked at it there, it is like a copy of what was read
    /// before, as it is made before the first lines come: guarantees.md lists that limit.
    fn leaves(&mut self, log: usize, body: usize) {
        let Body { lines, open, .. } = &self.bodies[body];
        if let ([banner], false) = (&lines[..], open)
            && self.logs[log].manners.banner
        {
            self.books.excuse(&[*banner]);
        }
        // One that was written by a clock that was set back looks old where nothing else tells: so does that.
        let set_back = self.bodies[body].behind || self.unix_ms < self.latest_ms;
        if set_back && !*open {
            self.books.excuse(lines);
        }
        self.bodies[body].left = set_back;
    }

    /// What the main program wrote into goes out of the path.
    fn move_away(&mut self, log: usize, dated: Option<PathBuf>) {
        if dated.is_none() {
            self.shift(log);
        }
        let Some(body) = self.logs[log].live.take() else {
            return;
        };
        self.leaves(log, body);
        let to = dated.unwrap_or_else(|| self.numbered(log, 1));
        // A link is not followed by who renames: its target is.
        fs::rename(&self.logs[log].target, &to).unwrap();
        let packed = false;
        self.logs[log].copies.insert(
            0,
            Copy {
                path: to,
                body,
                packed,
            },
        );
        self.limit(log);
    }

    /// logrotate's `copytruncate`, first half.
    pub(crate) fn copy(&mut self, log: usize) {
        self.complete(log);
        let Some(live) = self.logs[log].live else {
            return;
        };
        self.shift(log);
        let path = self.numbered(log, 1);
        fs::copy(&self.logs[log].path, &path).unwrap();
        stamp(
            &File::options().append(true).open(&path).unwrap(),
            self.unix_ms,
        );
        let body = self.copy_body(live);
        let lines = self.bodies[body].lines.clone();
        if self.bytes_of(&lines) < HEAD_BYTES as u64 {
            self.copied.extend(lines);
        }
        let packed = false;
        self.logs[log].copies.insert(0, Copy { path, body, packed });
        self.limit(log);
    }

    /// What stands in the file, and nowhere else, is gone.
    pub(crate) fn truncate(&mut self, log: usize) {
        self.complete(log);
        let Some(live) = self.logs[log].live else {
            return;
        };
        let file = File::options()
            .write(true)
            .open(&self.logs[log].path)
            .unwrap();
        if self.logs[log].manners.own_offset {
            self.hole_bytes += file.metadata().unwrap().len();
        }
        file.set_len(0).unwrap();
        stamp(&file, self.unix_ms);
        self.clear(live);
        self.begin_truncated(log);
    }

    fn begin_truncated(&mut self, log: usize) {
        // A program does not know that its file was truncated: no banner, and an offset of its own stays where it was.
        self.touch(log);
    }

    pub(crate) fn delete(&mut self, log: usize) {
        self.complete(log);
        let mut alike = false;
        if let Some(live) = self.logs[log].live.take() {
            fs::remove_file(&self.logs[log].target).unwrap();
            // The banner alone: what begins with it is taken for the same file.
            alike = self.bodies[live].lines.len() == 1;
            self.unname(live);
        }
        self.create(log);
        if alike {
            self.excuse_banner(log);
        }
    }

    /// Compresses a plain copy at once, as `gzip` does it: at no time do both stand there for long.
    pub(crate) fn compress(&mut self, log: usize, which: usize) {
        if self.pack_begin(log, which) {
            self.pack_end(log);
        }
    }

    /// `gzip` reads a copy, and has not written its own file's end yet. What a late program writes into the copy from now on is
    /// not in the compressed one.
    pub(crate) fn pack_begin(&mut self, log: usize, which: usize) -> bool {
        if self.logs[log].packing.is_some() {
            return false;
        }
        let Some(copy) = self.logs[log].copies.get(which).filter(|copy| !copy.packed) else {
            return false;
        };
        let bytes = fs::read(&copy.path).unwrap();
        let lines = self.bodies[copy.body].lines.clone();
        let path = copy.path.clone();
        // Both stand there, one of them unfinished.
        let gz = gz(&path);
        let part = packed(&bytes);
        fs::write(&gz, &part[..part.len() / 2]).unwrap();
        // What is being compressed stays readable until it is removed.
        self.books.hold(&lines);
        self.logs[log].packing = Some((path, bytes, lines));
        true
    }

    pub(crate) fn pack_end(&mut self, log: usize) {
        let Some((path, bytes, lines)) = self.logs[log].packing.take() else {
            return;
        };
        let at = self.logs[log]
            .copies
            .iter()
            .position(|copy| copy.path == path);
        let Some(at) = at else {
            // The copy was deleted meanwhile.
            let _ = fs::remove_file(gz(&path));
            self.books.release(&lines);
            return;
        };
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        // The same inode as its first half, as gzip writes it.
        let file = File::options().write(true).open(gz(&path)).unwrap();
        file.set_len(0).unwrap();
        (&file).write_all(&packed(&bytes)).unwrap();
        file.set_modified(modified).unwrap();
        fs::remove_file(&path).unwrap();
        let plain = self.logs[log].copies[at].body;
        let body = self.new_body();
        self.bodies[body].lines = lines;
        self.logs[log].copies[at] = Copy {
            path: gz(&path),
            body,
            packed: true,
        };
        self.unname(plain);
    }

    /// Older copies with numbers move up by one.
    fn shift(&mut self, log: usize) {
        // Nobody rotates what he is still compressing.
        self.pack_end(log);
        for number in (1..=KEPT).rev() {
            let (from, to) = (self.numbered(log, number), self.numbered(log, number + 1));
            for (from, to) in [(from.clone(), to.clone()), (gz(&from), gz(&to))] {
                let at = self.logs[log]
                    .copies
                    .iter()
                    .position(|copy| copy.path == from);
                let Some(at) = at else { continue };
                match number == KEPT {
                    true => {
                        fs::remove_file(from).unwrap();
                        let copy = self.logs[log].copies.remove(at);
                        self.unname(copy.body);
                    }
                    false => {
                        fs::rename(from, &to).unwrap();
                        self.logs[log].copies[at].path = to;
                    }
                }
            }
        }
    }

    /// Dated copies are limited, too.
    fn limit(&mut self, log: usize) {
        while self.logs[log].copies.len() > 2 * KEPT {
            if self.logs[log]
                .packing
                .as_ref()
                .is_some_and(|(path, ..)| self.logs[log].copies.last().unwrap().path == *path)
            {
                self.pack_end(log);
            }
            let copy = self.logs[log].copies.pop().unwrap();
            fs::remove_file(&copy.path).unwrap();
            self.unname(copy.body);
        }
    }
}

fn gz(path: &std::path::Path) -> PathBuf {
    PathBuf::from(format!("{}.gz", path.display()))
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
