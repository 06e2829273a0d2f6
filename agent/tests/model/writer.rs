//! What writes and rotates the logs, and remembers which lines have to arrive.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Rotated copies that are kept; older ones are deleted.
const KEPT: usize = 4;
const BASE_MS: i64 = 1_795_413_600_000;

/// A line: its text, and its own time.
type Line = (String, i64);

/// A body of bytes on the disk, and the lines in it.
#[derive(Debug, Default, Clone)]
struct Content {
    lines: Vec<Line>,
}

struct Log {
    path: PathBuf,
    file: File,
    content: Content,
    half: Option<(String, Line)>,
    /// The agent has looked at the file since something was written to it while it was empty.
    known: bool,
    /// What `path.1`, `path.2`, … hold, the newest first.
    rotated: Vec<Content>,
}

pub(crate) struct Writer {
    /// The host's clock: what is written bears its time, not that of the machine of the test.
    pub(crate) unix_ms: i64,
    logs: Vec<Log>,
    serial: u64,
    /// How often each line was written.
    pub(crate) written: BTreeMap<Line, usize>,
    /// Of them, how many the agent may not have been able to read.
    pub(crate) excused: BTreeMap<Line, usize>,
}

impl Writer {
    pub(crate) fn new(root: &Path, files: usize) -> Self {
        let logs = (0..files)
            .map(|file| {
                let path = root.join(format!("{file}.log"));
                Log {
                    file: begin(&path),
                    path,
                    content: Content::default(),
                    half: None,
                    known: false,
                    rotated: Vec::new(),
                }
            })
            .collect();
        Self {
            unix_ms: BASE_MS,
            logs,
            serial: 0,
            written: BTreeMap::new(),
            excused: BTreeMap::new(),
        }
    }

    fn line(&mut self, file: usize, unix_ms: i64) -> (String, Line) {
        self.serial += 1;
        let stamp = jiff::Timestamp::from_millisecond(unix_ms).unwrap();
        let text = format!("{stamp:.3} {file} \"line\" {}", self.serial);
        (text.clone(), (text, unix_ms))
    }

    pub(crate) fn write(&mut self, file: usize, lines: usize, repeat: usize, unix_ms: i64) {
        self.complete(file);
        let mut bytes = Vec::new();
        for at in 0..lines {
            let (text, line) = self.line(file, unix_ms);
            let times = if at + 1 == lines && at > 0 { repeat } else { 1 };
            for _ in 0..times {
                writeln!(bytes, "{text}").unwrap();
                self.logs[file].content.lines.push(line.clone());
                *self.written.entry(line.clone()).or_default() += 1;
            }
        }
        self.logs[file].file.write_all(&bytes).unwrap();
        self.touch(file);
    }

    pub(crate) fn again(&mut self, file: usize) {
        self.complete(file);
        let log = &mut self.logs[file];
        let Some(line) = log.content.lines.last().cloned() else {
            return;
        };
        writeln!(log.file, "{}", line.0).unwrap();
        log.content.lines.push(line.clone());
        *self.written.entry(line).or_default() += 1;
        self.touch(file);
    }

    pub(crate) fn half(&mut self, file: usize, unix_ms: i64) {
        self.complete(file);
        let (text, line) = self.line(file, unix_ms);
        // What tells the line from others comes first: the beginning of a file is all that tells it from its successor.
        let text = format!("{text} and so on");
        let line = (text.clone(), line.1);
        let (now, later) = text.split_at(text.len() - 7);
        self.logs[file].file.write_all(now.as_bytes()).unwrap();
        self.touch(file);
        self.logs[file].half = Some((later.to_owned(), line));
    }

    pub(crate) fn complete(&mut self, file: usize) {
        let log = &mut self.logs[file];
        if let Some((later, line)) = log.half.take() {
            writeln!(log.file, "{later}").unwrap();
            log.content.lines.push(line.clone());
            *self.written.entry(line).or_default() += 1;
            self.touch(file);
        }
    }

    /// The agent has looked at all files.
    pub(crate) fn looked(&mut self) {
        for log in &mut self.logs {
            log.known = !log.content.lines.is_empty() || log.half.is_some();
        }
    }

    /// Whether a copy of the file could be recognised: the agent knows how its content begins.
    pub(crate) fn is_known(&self, file: usize) -> bool {
        self.logs[file].known
    }

    pub(crate) fn complete_all(&mut self) {
        (0..self.logs.len()).for_each(|file| self.complete(file));
    }

    pub(crate) fn rename(&mut self, file: usize) {
        self.complete(file);
        self.shift(file);
        let log = &mut self.logs[file];
        fs::rename(&log.path, numbered(&log.path, 1)).unwrap();
        log.rotated.insert(0, std::mem::take(&mut log.content));
        log.known = false;
        log.file = begin(&log.path);
        stamp(&log.file, self.unix_ms);
    }

    pub(crate) fn copy(&mut self, file: usize) {
        self.complete(file);
        self.shift(file);
        let log = &mut self.logs[file];
        fs::copy(&log.path, numbered(&log.path, 1)).unwrap();
        stamp(
            &File::options()
                .append(true)
                .open(numbered(&log.path, 1))
                .unwrap(),
            self.unix_ms,
        );
        log.rotated.insert(0, log.content.clone());
        log.content.lines.clear();
    }

    /// What was written since the copy may be lost: nothing holds it any more.
    pub(crate) fn truncate_after_copy(&mut self, file: usize) {
        self.truncate(file);
    }

    pub(crate) fn truncate(&mut self, file: usize) {
        self.complete(file);
        self.logs[file].file.set_len(0).unwrap();
        self.touch(file);
        self.logs[file].known = false;
        let content = std::mem::take(&mut self.logs[file].content);
        self.excuse(content);
    }

    pub(crate) fn delete(&mut self, file: usize) {
        self.complete(file);
        let log = &mut self.logs[file];
        fs::remove_file(&log.path).unwrap();
        log.file = begin(&log.path);
        stamp(&log.file, self.unix_ms);
        log.known = false;
        let content = std::mem::take(&mut log.content);
        self.excuse(content);
    }

    pub(crate) fn compress(&mut self, file: usize) {
        let path = numbered(&self.logs[file].path, 1);
        let Ok(bytes) = fs::read(&path) else { return };
        let to = PathBuf::from(format!("{}.gz", path.display()));
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mut encoder = GzEncoder::new(File::create(to).unwrap(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        // As gzip does it.
        encoder.finish().unwrap().set_modified(modified).unwrap();
        fs::remove_file(path).unwrap();
    }

    fn touch(&self, file: usize) {
        stamp(&self.logs[file].file, self.unix_ms);
    }

    fn shift(&mut self, file: usize) {
        let log = &mut self.logs[file];
        for number in (1..=KEPT).rev() {
            for suffix in ["", ".gz"] {
                let from =
                    PathBuf::from(format!("{}{suffix}", numbered(&log.path, number).display()));
                let to = PathBuf::from(format!(
                    "{}{suffix}",
                    numbered(&log.path, number + 1).display()
                ));
                if from.exists() {
                    match number == KEPT {
                        true => fs::remove_file(from).unwrap(),
                        false => fs::rename(from, to).unwrap(),
                    }
                }
            }
        }
        if log.rotated.len() >= KEPT
            && let Some(oldest) = log.rotated.pop()
        {
            self.excuse(oldest);
        }
    }

    fn excuse(&mut self, content: Content) {
        for line in content.lines {
            *self.excused.entry(line).or_default() += 1;
        }
    }
}

fn stamp(file: &File, unix_ms: i64) {
    let time = UNIX_EPOCH + Duration::from_millis(unix_ms.unsigned_abs());
    file.set_modified(time).unwrap();
}

fn begin(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    PathBuf::from(format!("{}.{number}", path.display()))
}

/// Where the simulated clock begins, in milliseconds since 1970.
pub(crate) const fn base_ms() -> i64 {
    BASE_MS
}
