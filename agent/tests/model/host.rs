//! The programs of the simulated host: those that write logs, those that rotate them, and people with editors. All they do is
//! done to real files, and each line is known by where it stands.

#[path = "host/edits.rs"]
mod edits;
#[path = "host/rotations.rs"]
mod rotations;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::books::{Books, LineId};

pub(crate) use edits::{Made, Size};

/// Rotated copies that are kept; older ones are deleted.
const KEPT: usize = 4;
/// Where the simulated clock begins, in milliseconds since 1970.
pub(crate) const BASE_MS: i64 = 1_795_413_600_000;
/// Programs that went on in a file that was rotated away, at a time.
const LATE_MAX: usize = 3;

/// How the programs of a log behave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Manners {
    /// The file is opened without O_APPEND: what is written stands at the program's own offset.
    pub(crate) own_offset: bool,
    /// Lines bear no time.
    pub(crate) unstamped: bool,
    /// The time that lines bear is that of their second.
    pub(crate) whole_seconds: bool,
    /// Each file begins with a banner that is longer than any fingerprint of a beginning, always the same.
    pub(crate) banner: bool,
    /// The path is a symbolic link to the file.
    pub(crate) linked: bool,
}

/// A body of bytes on the disk: an inode, whatever its names.
#[derive(Debug, Default)]
struct Body {
    lines: Vec<LineId>,
    /// Names that the agent may find it by.
    names: usize,
    /// The agent has it open, as far as is known for certain: it looked at it at the log's path, in this life.
    open: bool,
    /// The agent looked at it at the log's path since something was written into it.
    known: bool,
    /// The agent looked at it at the log's path.
    met: bool,
    /// It was written by a clock that was set back, and nobody looked since.
    behind: bool,
    /// It went out of the log's path by a clock that was set back, and nobody looked since.
    left: bool,
    /// What was kept of it when it was cut, until somebody looked. If it grows before, nobody can tell where it was cut.
    cut: Vec<LineId>,
    /// What was in it when no name led to it any more and no agent had it open.
    stranded: Vec<LineId>,
    /// What was rewritten with the same bytes under the eyes of the agent, until it looked. If it ends before, the next one can't tell.
    untold: Vec<LineId>,
}

impl Body {
    fn is_readable(&self) -> bool {
        self.names > 0 || self.open
    }
}

/// An open file of a program, or one that it has not opened yet.
struct Handle {
    file: Option<File>,
    body: usize,
}

/// A name beside the log.
struct Copy {
    path: PathBuf,
    body: usize,
    packed: bool,
}

struct Log {
    path: PathBuf,
    manners: Manners,
    /// What stands at the path.
    live: Option<usize>,
    /// Where the path leads, if it is a link.
    target: PathBuf,
    /// The program's.
    main: Handle,
    /// Those of programs that have not noticed a rotation.
    late: Vec<Handle>,
    /// The newest first.
    copies: Vec<Copy>,
    half: Option<(usize, String, String)>,
    /// A copy that is being compressed: which one, and what was read of it.
    packing: Option<(PathBuf, Vec<u8>, Vec<LineId>)>,
    /// The path's former targets.
    former: Vec<(PathBuf, usize)>,
}

pub(crate) struct Host {
    pub(crate) books: Books,
    /// The host's clock: what is written bears its time, not that of the machine of the test.
    pub(crate) unix_ms: i64,
    /// The same, if it were right.
    pub(crate) true_ms: i64,
    /// Lines bear the right time, whatever the host's clock says.
    pub(crate) stamps_are_true: bool,
    /// The agent runs.
    pub(crate) agent_runs: bool,
    /// The agent may hold all of them open.
    pub(crate) all_are_open: bool,
    root: PathBuf,
    /// What the host's clock showed at most while the agent was running.
    latest_ms: i64,
    /// So long are holes at most that writers with an offset of their own left: unread, they are bytes like others.
    pub(crate) hole_bytes: u64,
    /// What stands in short copies that were made since the agent last looked.
    copied: Vec<LineId>,
    logs: Vec<Log>,
    bodies: Vec<Body>,
    serial: u64,
}

impl Host {
    /// The logs are there, and empty, unless something of them was there before.
    pub(crate) fn new(root: &Path, manners: &[Manners]) -> Self {
        let mut host = Self {
            books: Books::default(),
            unix_ms: BASE_MS,
            true_ms: BASE_MS,
            stamps_are_true: false,
            agent_runs: false,
            all_are_open: true,
            root: root.to_owned(),
            latest_ms: BASE_MS,
            hole_bytes: 0,
            copied: Vec::new(),
            logs: Vec::new(),
            bodies: Vec::new(),
            serial: 0,
        };
        for (log, &manners) in manners.iter().enumerate() {
            let path = root.join(format!("{log}.log"));
            let target = match manners.linked {
                true => root.join(format!("target-{log}-0")),
                false => path.clone(),
            };
            // Of what is there already, nobody opens anything before he writes.
            let file = (!target.exists()).then(|| open(&target, manners.own_offset));
            let body = host.new_body();
            host.logs.push(Log {
                main: Handle { file, body },
                path,
                manners,
                live: Some(body),
                target,
                late: Vec::new(),
                copies: Vec::new(),
                half: None,
                packing: None,
                former: Vec::new(),
            });
            if manners.linked {
                symlink(&host.logs[log].target, &host.logs[log].path).unwrap();
            }
            let path = host.numbered(log, 1);
            if path.exists() {
                let body = host.new_body();
                let packed = false;
                host.logs[log].copies.push(Copy { path, body, packed });
            }
        }
        host
    }

    /// So late it is.
    pub(crate) fn at(&mut self, unix_ms: i64, true_ms: i64) {
        (self.unix_ms, self.true_ms) = (unix_ms, true_ms);
        if self.agent_runs {
            self.latest_ms = self.latest_ms.max(unix_ms);
        }
    }

    /// What the log's program writes through.
    fn main(&mut self, log: usize) -> &mut File {
        let Log { main, target, .. } = &mut self.logs[log];
        main.file.get_or_insert_with(|| open(target, false))
    }

    /// A line's text and time.
    fn text(&mut self, log: usize) -> (String, Option<i64>) {
        self.serial += 1;
        let (serial, manners) = (self.serial, self.logs[log].manners);
        if manners.unstamped {
            return (format!("line {serial} of {log}, no time"), None);
        }
        let unix_ms = match self.stamps_are_true {
            true => self.true_ms,
            false => self.unix_ms,
        };
        let (unix_ms, digits) = match manners.whole_seconds {
            true => (unix_ms.div_euclid(1000) * 1000, 0),
            false => (unix_ms, 3),
        };
        let stamp = jiff::Timestamp::from_millisecond(unix_ms).unwrap();
        // The log's number keeps the text from being the end of another's.
        let text = format!("{stamp:.digits$} \"line\" {serial} of {log}");
        (text, Some(unix_ms))
    }

    /// Notes that a line stands in a body from now on.
    fn note(&mut self, log: usize, body: usize, key: (String, Option<i64>)) {
        let id = self.books.write(key, log, body, self.true_ms);
        self.books.hold(&[id]);
        let cut = std::mem::take(&mut self.bodies[body].cut);
        self.books.imagine(&cut);
        match self.bodies[body].is_readable() {
            true => self.bodies[body].lines.push(id),
            // Into a file that nobody can read any more.
            false => self.books.release(&[id]),
        }
    }

    /// What stands in a body is gone from it.
    fn clear(&mut self, body: usize) {
        let lines = std::mem::take(&mut self.bodies[body].lines);
        self.bodies[body].known = false;
        self.bodies[body].cut.clear();
        self.bodies[body].untold.clear();
        self.books.release(&lines);
    }

    fn unname(&mut self, body: usize) {
        self.bodies[body].names -= 1;
        if !self.bodies[body].is_readable() {
            self.clear(body);
        }
    }

    fn new_body(&mut self) -> usize {
        self.bodies.push(Body {
            names: 1,
            ..Body::default()
        });
        self.bodies.len() - 1
    }

    /// A new body with a copy of what stands in another.
    fn copy_body(&mut self, of: usize) -> usize {
        let lines = self.bodies[of].lines.clone();
        self.books.hold(&lines);
        let body = self.new_body();
        self.bodies[body].lines = lines;
        body
    }

    /// Makes a new file at the log's path, and has the program go on in it.
    fn create(&mut self, log: usize) {
        let body = self.new_body();
        let of = &mut self.logs[log];
        let file = open(&of.target, of.manners.own_offset);
        let file = Some(file);
        let old = std::mem::replace(&mut of.main, Handle { file, body });
        let unseen = !self.bodies[old.body].open;
        of.late.extend(old.file.is_some().then_some(old));
        if of.late.len() > LATE_MAX {
            of.late.remove(0);
        }
        of.live = Some(body);
        self.touch(log);
        self.begin(log);
        if unseen {
            // All that the agent knows of what stood here may be a banner, too: then it is taken for that, as guarantees.md says.
            self.excuse_banner(log);
        }
    }

    /// Nobody can tell the banner of what stands at the log's path from the one before.
    fn excuse_banner(&mut self, log: usize) {
        if self.logs[log].manners.banner {
            let lines = &self.bodies[self.logs[log].main.body].lines;
            self.books.excuse(&lines[..lines.len().min(1)]);
        }
    }

    /// The banner, if there is to be one.
    fn begin(&mut self, log: usize) {
        if self.logs[log].manners.banner {
            let text = banner(log);
            let body = self.logs[log].main.body;
            writeln!(self.main(log), "{}", text.0).unwrap();
            self.note(log, body, text);
            self.touch(log);
        }
    }

    pub(crate) fn write(&mut self, log: usize, lines: usize, repeat: usize) {
        self.complete(log);
        if lines == 0 {
            // Nothing is written, so no time changes.
            return;
        }
        let body = self.logs[log].main.body;
        let mut bytes = Vec::new();
        for at in 0..lines {
            let key = self.text(log);
            let times = if at + 1 == lines && at > 0 { repeat } else { 1 };
            for _ in 0..times {
                writeln!(bytes, "{}", key.0).unwrap();
                self.note(log, body, key.clone());
            }
        }
        self.main(log).write_all(&bytes).unwrap();
        self.touch(log);
    }

    /// A program that has not noticed a rotation writes, into a file that the agent met before it was rotated away.
    pub(crate) fn write_late(&mut self, log: usize, which: usize, lines: usize) {
        let Some(of) = self.logs[log].late.len().checked_sub(1 + which) else {
            return;
        };
        let body = self.logs[log].late[of].body;
        if !self.bodies[body].met {
            return;
        }
        let mut bytes = Vec::new();
        for _ in 0..lines {
            let key = self.text(log);
            writeln!(bytes, "{}", key.0).unwrap();
            self.note(log, body, key);
        }
        if let Some(file) = &mut self.logs[log].late[of].file {
            file.write_all(&bytes).unwrap();
            stamp(file, self.unix_ms);
        }
    }

    pub(crate) fn again(&mut self, log: usize) {
        self.complete(log);
        let body = self.logs[log].main.body;
        let Some(&last) = self.bodies[body].lines.last() else {
            return;
        };
        // A banner is what a file begins with: nobody writes it twice.
        if self.logs[log].manners.banner && self.books.lines[last].key == banner(log) {
            return;
        }
        let key = self.books.lines[last].key.clone();
        writeln!(self.main(log), "{}", key.0).unwrap();
        self.note(log, body, key);
        self.touch(log);
    }

    pub(crate) fn half(&mut self, log: usize) {
        self.complete(log);
        let (text, unix_ms) = self.text(log);
        let text = format!("{text} and so on");
        let (now, later) = text.split_at(text.len() - 7);
        let body = self.logs[log].main.body;
        self.main(log).write_all(now.as_bytes()).unwrap();
        self.touch(log);
        // Its time stands in its text.
        let later = later.to_owned();
        self.logs[log].half = Some((body, text, later));
        debug_assert!(unix_ms.is_some() || self.logs[log].manners.unstamped);
    }

    pub(crate) fn complete(&mut self, log: usize) {
        if let Some((body, text, later)) = self.logs[log].half.take() {
            writeln!(self.main(log), "{later}").unwrap();
            let unix_ms = text
                .split_once(' ')
                .and_then(|(stamp, _)| stamp.parse::<jiff::Timestamp>().ok())
                .map(jiff::Timestamp::as_millisecond);
            self.note(log, body, (text, unix_ms));
            self.touch(log);
        }
    }

    pub(crate) fn complete_all(&mut self) {
        (0..self.logs.len()).for_each(|log| self.complete(log));
    }

    /// The agent has looked at all files.
    pub(crate) fn looked(&mut self) {
        for log in 0..self.logs.len() {
            let Some(live) = self.logs[log].live else {
                continue;
            };
            let begun = !self.bodies[live].lines.is_empty() || self.logs[log].half.is_some();
            self.bodies[live].known = begun;
            self.bodies[live].met = true;
            self.bodies[live].open = self.all_are_open;
            self.bodies[live].cut.clear();
            self.bodies[live].untold.clear();
            let lines = &self.bodies[live].lines;
            self.books.seen(lines);
        }
        for body in &mut self.bodies {
            (body.left, body.behind) = (false, false);
            if body.open {
                self.books.seen(&body.lines);
            }
        }
        self.copied.clear();
        self.books.looked();
    }

    /// The agent is gone, and what only it had open with it.
    pub(crate) fn agent_ends(&mut self, power: bool) {
        self.agent_runs = false;
        self.books.forget(power);
        // Of what was seen and not read, nothing can be compared with a copy that ends before that.
        let copied = std::mem::take(&mut self.copied);
        self.books.recount(&copied);
        for body in 0..self.bodies.len() {
            self.bodies[body].open = false;
            let untold = std::mem::take(&mut self.bodies[body].untold);
            self.books.excuse(&untold);
            if std::mem::take(&mut self.bodies[body].left) {
                self.books.excuse(&self.bodies[body].lines);
            }
            if !self.bodies[body].is_readable() {
                let mut former = self.logs.iter().flat_map(|log| &log.former);
                if former.any(|(_, former)| *former == body) {
                    self.strand(body);
                }
                self.clear(body);
            }
        }
    }

    /// Whether a copy of the file could be recognised: the agent knows how its content begins.
    pub(crate) fn is_known(&self, log: usize) -> bool {
        self.logs[log]
            .live
            .is_some_and(|live| self.bodies[live].known)
    }

    fn touch(&mut self, log: usize) {
        let unix_ms = self.unix_ms;
        stamp(self.main(log), unix_ms);
        let body = self.logs[log].main.body;
        self.bodies[body].behind |= unix_ms < self.latest_ms;
    }

    /// What the log's path is called with a number after it.
    fn numbered(&self, log: usize, number: usize) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.logs[log].path.display()))
    }

    /// For a message: what stands where.
    pub(crate) fn inventory(&self) -> BTreeMap<PathBuf, u64> {
        let entries = fs::read_dir(&self.root).unwrap().flatten();
        entries
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                metadata.is_file().then(|| (entry.path(), metadata.len()))
            })
            .collect()
    }
}

/// The banner of a log: its time is that of the clock's beginning.
fn banner(log: usize) -> (String, Option<i64>) {
    let stamp = jiff::Timestamp::from_millisecond(BASE_MS).unwrap();
    let text = format!("{stamp:.3} log {log} begins {}", "=".repeat(1200));
    (text, Some(BASE_MS))
}

fn stamp(file: &File, unix_ms: i64) {
    let time = UNIX_EPOCH + Duration::from_millis(unix_ms.unsigned_abs());
    file.set_modified(time).unwrap();
}

fn open(path: &Path, own_offset: bool) -> File {
    let mut options = OpenOptions::new();
    match own_offset {
        // As a shell's `>` does it.
        true => options.write(true).truncate(true),
        false => options.append(true),
    };
    options.create(true).open(path).unwrap()
}
