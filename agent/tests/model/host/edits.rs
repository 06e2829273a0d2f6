//! What people and jobs do to a log besides writing to its end: links, cuts, rewrites, restored copies.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use super::{Body, Host, open, stamp};
use crate::books::{Key, LineId};

/// How something is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// In the same file (`>`).
    InPlace,
    /// In another file that is renamed over it.
    Renamed,
    /// The file is deleted first; on many file systems its inode is used again at once.
    Deleted,
}

/// What a rewritten file is to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Shorter,
    Same,
    Longer,
}

/// What differs in less than this at its end, and is shorter than what stood there before, is taken for cut.
const TAKEN_FOR_CUT: u64 = 512;
/// What begins alike for so long is known by that alone as long as nothing was read of it.
pub(super) const HEAD_BYTES: usize = 1024;

impl Host {
    /// A second name that no pattern means, or its end.
    pub(crate) fn link(&mut self, log: usize) {
        let other = self.root.join(format!("{log}.kept"));
        if fs::remove_file(&other).is_err() {
            fs::hard_link(&self.logs[log].path, other).unwrap();
        }
    }

    /// A second name that the log's own pattern means, too, or its end.
    pub(crate) fn alias(&mut self, log: usize, hard: bool) {
        let other = self.root.join(format!("{log}-alias.log"));
        if fs::remove_file(&other).is_ok() {
            return;
        }
        match hard {
            true => fs::hard_link(&self.logs[log].path, other).unwrap(),
            false => symlink(&self.logs[log].path, other).unwrap(),
        }
    }

    /// A link that is the log's path is made to lead to another file: a new one, or the one before.
    pub(crate) fn switch(&mut self, log: usize, back: bool) {
        self.complete(log);
        if !self.logs[log].manners.linked {
            return;
        }
        let (old_target, old) = (self.logs[log].target.clone(), self.logs[log].live);
        let Some(old) = old else { return };
        let former = match back {
            true => self.logs[log].former.pop(),
            false => None,
        };
        let serial = self.bodies.len();
        let (target, body) = former.map_or_else(
            || (self.root.join(format!("target-{log}-{serial}")), None),
            |(target, body)| (target, Some(body)),
        );
        if body.is_none() {
            File::create(&target).unwrap();
        }
        let next = self.root.join(format!("next-{log}"));
        symlink(&target, &next).unwrap();
        fs::rename(next, &self.logs[log].path).unwrap();
        self.logs[log].former.push((old_target, old));
        self.logs[log].target.clone_from(&target);
        match body {
            None => self.create(log),
            Some(body) => {
                self.bodies[body].names += 1;
                self.logs[log].live = Some(body);
                self.logs[log].main.body = body;
                self.logs[log].main.file = Some(open(&target, false));
                // What an agent forgot that was killed since is read again.
                let stranded = std::mem::take(&mut self.bodies[body].stranded);
                self.books.imagine(&stranded);
            }
        }
        // No name leads to what stood there before: it is read to its end if the agent has it open. Else it is lost, until the link leads back.
        if !self.bodies[old].open {
            self.strand(old);
        }
        self.unname(old);
    }

    /// No name leads to a file that the agent has not open: what is in it may be called lost, and is there all the same if a link leads back.
    pub(super) fn strand(&mut self, body: usize) {
        let Body {
            lines, stranded, ..
        } = &mut self.bodies[body];
        self.books.recount(lines);
        stranded.extend(lines.iter());
    }

    /// Only its times or its mode change.
    pub(crate) fn touch_only(&mut self, log: usize, mode: bool) {
        let path = &self.logs[log].path;
        match mode {
            true => {
                let now = fs::metadata(path).unwrap().permissions().mode();
                fs::set_permissions(path, fs::Permissions::from_mode(now ^ 0o010)).unwrap();
            }
            false => self.touch(log),
        }
    }

    /// The same bytes with the same time of writing in another file, as a backup is restored (`cp -p`, then `mv`).
    pub(crate) fn restore(&mut self, log: usize) {
        self.complete(log);
        let Some(old) = self.logs[log].live else {
            return;
        };
        let next = self.root.join(format!("next-{log}"));
        let bytes = fs::read(&self.logs[log].path).unwrap();
        let modified = fs::metadata(&self.logs[log].path).unwrap().modified();
        let mut file = File::create(&next).unwrap();
        file.write_all(&bytes).unwrap();
        file.set_modified(modified.unwrap()).unwrap();
        let body = self.copy_body(old);
        fs::rename(&next, &self.logs[log].target).unwrap();
        self.reopen_at(log, body);
        self.unname(old);
    }

    /// The program goes on at the end of another file that stands at its path now.
    fn reopen_at(&mut self, log: usize, body: usize) {
        let of = &mut self.logs[log];
        of.live = Some(body);
        let mut options = File::options();
        options.append(true);
        of.main.file = Some(options.open(&of.target).unwrap());
        of.main.body = body;
    }

    /// How many lines of a log stand in its file.
    pub(crate) fn standing(&self, log: usize) -> usize {
        self.logs[log]
            .live
            .map_or(0, |live| self.bodies[live].lines.len())
    }

    pub(super) fn bytes_of(&self, lines: &[LineId]) -> u64 {
        lines.iter().map(|&id| self.books.lines[id].bytes()).sum()
    }

    /// Cut after so many lines, in place (`truncate -s`, a power failure).
    pub(crate) fn cut(&mut self, log: usize, keep: usize) {
        self.complete(log);
        let Some(live) = self.logs[log].live else {
            return;
        };
        let keep = keep.min(self.bodies[live].lines.len());
        let gone = self.bodies[live].lines.split_off(keep);
        let bytes = self.bytes_of(&self.bodies[live].lines);
        let file = File::options()
            .write(true)
            .open(&self.logs[log].path)
            .unwrap();
        file.set_len(bytes).unwrap();
        stamp(&file, self.unix_ms);
        self.books.release(&gone);
        self.bodies[live].cut = self.bodies[live].lines.clone();
    }

    /// An editor saves the log with its first lines and some more, in another file that takes its place. Whether the lines that
    /// it kept are written once more nobody can tell: they may arrive again, and need not.
    pub(crate) fn save(&mut self, log: usize, keep: usize, add: usize) {
        self.complete(log);
        let Some(old) = self.logs[log].live else {
            return;
        };
        let keep = keep.min(self.bodies[old].lines.len());
        let kept: Vec<Key> = self.bodies[old].lines[..keep]
            .iter()
            .map(|&id| self.books.lines[id].key.clone())
            .collect();
        // What was not yet read of the old file is in the new one, too.
        let still = self.bodies[old].lines[..keep].to_vec();
        let body = self.new_body();
        let mut bytes = Vec::new();
        for key in kept {
            writeln!(bytes, "{}", key.0).unwrap();
            let id = self.books.write(key, log, body, self.true_ms);
            self.books.excuse(&[id]);
            self.books.hold(&[id]);
            self.bodies[body].lines.push(id);
        }
        self.books.hold(&still);
        self.bodies[body].lines.extend(&still);
        for _ in 0..add {
            let key = self.text(log);
            writeln!(bytes, "{}", key.0).unwrap();
            self.note(log, body, key);
        }
        let next = self.root.join(format!("next-{log}"));
        let mut file = File::create(&next).unwrap();
        file.write_all(&bytes).unwrap();
        stamp(&file, self.unix_ms);
        fs::rename(&next, &self.logs[log].target).unwrap();
        self.reopen_at(log, body);
        self.unname(old);
    }

    /// The file is written anew in place, with other lines of the same beginning: shorter, longer, or of the same size.
    pub(crate) fn rewrite(&mut self, log: usize, size: Size) {
        self.complete(log);
        let Some(live) = self.logs[log].live else {
            return;
        };
        let lines = self.bodies[live].lines.len();
        let old_bytes = self.bytes_of(&self.bodies[live].lines);
        let count = match size {
            Size::Shorter => lines / 2,
            Size::Same => lines,
            Size::Longer => lines + 3,
        };
        let manners = self.logs[log].manners;
        let old = fs::read(&self.logs[log].path).unwrap();
        let before = self.bodies[live].lines.clone();
        self.clear(live);
        let mut bytes = Vec::new();
        if manners.banner && count > 0 {
            let key = super::banner(log);
            writeln!(bytes, "{}", key.0).unwrap();
            self.note(log, live, key);
        }
        for _ in usize::from(manners.banner)..count {
            let mut key = self.text(log);
            let left = old_bytes.saturating_sub(bytes.len() as u64);
            // To the byte, where the last line can make up for it.
            if size == Size::Same && left < 2 * key.0.len() as u64 && left > key.0.len() as u64 {
                let fill = left as usize - key.0.len() - 1;
                key.0.push_str(&"~".repeat(fill));
            }
            writeln!(bytes, "{}", key.0).unwrap();
            self.note(log, live, key);
        }
        self.tell_apart(log, live, &old, &bytes);
        if bytes.len() >= old.len() && begin_alike(&old, &bytes) {
            // If nothing of it was read yet, nobody knows that it was other content: guarantees.md lists that limit.
            self.books.unsee(&before);
        }
        let mut file = File::create(&self.logs[log].path).unwrap();
        file.write_all(&bytes).unwrap();
        stamp(&file, self.unix_ms);
        // Who wrote it anew has it open at its end now.
        let mut options = File::options();
        options.append(true);
        self.logs[log].main.file = Some(options.open(&self.logs[log].path).unwrap());
    }

    /// Excuses what nobody can tell to have been written once more, of a file that was rewritten in place.
    ///
    /// If all of it stood there before, it may have been touched while nobody looked. If both begin alike, it may have been
    /// cut there, or have grown from there. A shorter one that differs in its last few bytes alone is taken for cut, too:
    /// guarantees.md lists that limit.
    fn tell_apart(&mut self, log: usize, body: usize, old: &[u8], new: &[u8]) {
        let lines = self.bodies[body].lines.clone();
        // What is written through a link does not ring at its path.
        if old == new && self.agent_runs && !self.logs[log].manners.linked {
            self.bodies[body].untold = lines;
            return;
        }
        let mut left = alike(old, new) as u64;
        if new.len() < old.len() && new.len() as u64 - left < TAKEN_FOR_CUT {
            left = new.len() as u64;
        }
        let mut again = Vec::new();
        for line in lines {
            let bytes = self.books.lines[line].bytes();
            if bytes > left {
                break;
            }
            left -= bytes;
            again.push(line);
        }
        self.books.excuse(&again);
    }

    /// A short report, to the letter the same each time.
    pub(crate) fn report(&mut self, log: usize, how: Made, text: usize) {
        self.complete(log);
        // The same report has the same time: one without a time of its own is another line each time.
        let unstamped = self.logs[log].manners.unstamped;
        let Some(old) = self.logs[log].live.filter(|_| !unstamped) else {
            return;
        };
        let stamp_text = jiff::Timestamp::from_millisecond(super::BASE_MS).unwrap();
        let text = ["backup ok", "backup ok, 0 errors"][text % 2];
        let key: Key = (
            format!("{stamp_text:.3} {log} {text}"),
            Some(super::BASE_MS),
        );
        let bytes = format!("{}\n", key.0);
        let path = self.logs[log].target.clone();
        let before = fs::read(&path).unwrap();
        let body = match how {
            Made::InPlace => {
                self.clear(old);
                old
            }
            Made::Renamed | Made::Deleted => self.new_body(),
        };
        let to: PathBuf = match how {
            Made::Renamed => self.root.join(format!("next-{log}")),
            Made::InPlace => path.clone(),
            Made::Deleted => {
                fs::remove_file(&path).unwrap();
                self.unname(old);
                path.clone()
            }
        };
        if how == Made::Deleted {
            // The program is gone, too, so that the inode is free.
            self.logs[log].main.file = None;
        }
        let mut file = File::create(&to).unwrap();
        file.write_all(bytes.as_bytes()).unwrap();
        stamp(&file, self.unix_ms);
        if how == Made::Renamed {
            fs::rename(to, path).unwrap();
        }
        let id = self.books.write(key, log, body, self.true_ms);
        self.books.hold(&[id]);
        self.bodies[body].lines.push(id);
        if how == Made::InPlace {
            self.tell_apart(log, body, &before, bytes.as_bytes());
        }
        self.reopen_at(log, body);
        if how == Made::Renamed {
            self.unname(old);
        }
    }
}

/// How many bytes are the same at the beginning of both.
fn alike(old: &[u8], new: &[u8]) -> usize {
    let alike = old.iter().zip(new).take_while(|(old, new)| old == new);
    alike.count()
}

/// Whether a fingerprint of the beginning does not tell them apart.
fn begin_alike(old: &[u8], new: &[u8]) -> bool {
    alike(old, new) >= HEAD_BYTES.min(old.len())
}
