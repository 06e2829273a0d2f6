//! Who writes: a thread that appends numbered lines at a rate, as a server does, and rotates its own file if it is told to.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::lines::{Pen, Shape, Tag};
use super::wait::unix_us;

/// A writer wakes this often and writes what is due by then, each line by a call of its own.
const BEAT: Duration = Duration::from_millis(1);

/// What to write, where, how fast.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) path: PathBuf,
    /// The writer's number, in every line.
    pub(crate) writer: u16,
    pub(crate) shape: Shape,
    /// Lines a second; 0 writes as fast as it goes.
    pub(crate) lines_per_s: u64,
    /// Ends after so many lines; otherwise when it is stopped.
    pub(crate) lines: Option<u64>,
    /// Every so many lines, one is written in two calls with a pause between. 0: never.
    pub(crate) torn_every: u64,
    /// What the writer does to its own file, before the line of that number.
    pub(crate) rotations: Vec<(u64, Turn)>,
}

/// What a writer does between two lines, so that nothing is written meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Older copies move up by one; the file becomes `.1`; a new one is made.
    Rename,
    /// Older copies move up by one; the file is copied to `.1`, then truncated.
    CopyTruncate,
}

impl Plan {
    /// Access lines from `writer` into `path`.
    pub(crate) fn new(path: impl Into<PathBuf>, writer: u16, lines_per_s: u64) -> Self {
        Self {
            path: path.into(),
            writer,
            shape: Shape::Access,
            lines_per_s,
            lines: None,
            torn_every: 0,
            rotations: Vec::new(),
        }
    }

    pub(crate) fn lines(mut self, lines: u64) -> Self {
        self.lines = Some(lines);
        self
    }

    pub(crate) fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    pub(crate) fn torn_every(mut self, lines: u64) -> Self {
        self.torn_every = lines;
        self
    }

    pub(crate) fn rotations(mut self, rotations: Vec<(u64, Turn)>) -> Self {
        self.rotations = rotations;
        self
    }

    pub(crate) fn start(self) -> Writer {
        let shared = Arc::new(Shared::default());
        let (plan, theirs) = (self.clone(), Arc::clone(&shared));
        let thread = std::thread::spawn(move || write(&self, &theirs));
        Writer {
            plan,
            shared,
            thread: Some(thread),
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    lines: AtomicU64,
    bytes: AtomicU64,
    stop: AtomicBool,
    reopen: AtomicBool,
    reopened: AtomicU64,
}

/// A writer at work.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) plan: Plan,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What was written in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) writer: u16,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl Writer {
    /// Lines so far.
    pub(crate) fn lines(&self) -> u64 {
        self.shared.lines.load(Ordering::Acquire)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Tells it to close its file and open the path again, as `kill -USR1` tells nginx. Does not wait.
    pub(crate) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
    }

    /// How often it has done so.
    pub(crate) fn reopened(&self) -> u64 {
        self.shared.reopened.load(Ordering::Acquire)
    }

    /// Ends it after the line it is at.
    pub(crate) fn stop(mut self) -> Written {
        self.shared.stop.store(true, Ordering::Release);
        self.end()
    }

    /// Waits until it has written all its lines.
    pub(crate) fn finish(mut self) -> Written {
        assert!(self.plan.lines.is_some(), "this writer has no end");
        self.end()
    }

    fn end(&mut self) -> Written {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a writer ends in order");
        }
        Written {
            writer: self.plan.writer,
            lines: self.lines(),
            bytes: self.shared.bytes.load(Ordering::Acquire),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(plan: &Plan, shared: &Shared) {
    let (mut pen, mut line) = (Pen::default(), Vec::new());
    let mut file = append_to(&plan.path);
    let mut turns = plan.rotations.iter().peekable();
    let started = Instant::now();
    let mut number = 0;
    while !shared.stop.load(Ordering::Acquire) && plan.lines.is_none_or(|lines| number < lines) {
        let due = match plan.lines_per_s {
            0 => u64::MAX,
            rate => {
                let due = started.elapsed().as_micros() * u128::from(rate) / 1_000_000;
                u64::try_from(due).unwrap() + 1
            }
        };
        if number >= due {
            // At low rates, until the next line is due; it is a pace, not a wait for anything.
            std::thread::sleep(BEAT);
            continue;
        }
        if shared.reopen.swap(false, Ordering::AcqRel) {
            file = append_to(&plan.path);
            shared.reopened.fetch_add(1, Ordering::AcqRel);
        }
        while let Some((_, turn)) = turns.next_if(|(at, _)| *at <= number) {
            turn_over(&plan.path, *turn, &mut file);
        }
        line.clear();
        let tag = Tag {
            shape: plan.shape,
            writer: plan.writer,
            number,
            written_us: unix_us(),
        };
        pen.write(tag, &mut line);
        if plan.torn_every > 0 && number % plan.torn_every == plan.torn_every - 1 {
            let (first, second) = line.split_at(line.len() / 2);
            file.write_all(first).unwrap();
            std::thread::sleep(3 * BEAT);
            file.write_all(second).unwrap();
        } else {
            file.write_all(&line).unwrap();
        }
        number += 1;
        shared
            .bytes
            .fetch_add(u64::try_from(line.len()).unwrap(), Ordering::AcqRel);
        shared.lines.store(number, Ordering::Release);
    }
}

fn turn_over(path: &Path, turn: Turn, file: &mut File) {
    super::rotate::make_room(path);
    let first = super::rotate::numbered(path, 1);
    match turn {
        Turn::Rename => {
            fs::rename(path, first).unwrap();
            *file = append_to(path);
        }
        Turn::CopyTruncate => {
            fs::copy(path, first).unwrap();
            file.set_len(0).unwrap();
        }
    }
}

fn append_to(path: &Path) -> File {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap()
}

/// A file of so many access lines, all written `ago` before now and later, at `per_second` of the lines' own time.
pub(crate) fn fill(
    path: &Path,
    writer: u16,
    lines: u64,
    ago: Duration,
    per_second: u64,
) -> Written {
    let (mut pen, mut text) = (Pen::default(), Vec::with_capacity(1 << 20));
    let mut file = append_to(path);
    let start_us = unix_us() - u64::try_from(ago.as_micros()).unwrap();
    let mut bytes = 0;
    for number in 0..lines {
        let tag = Tag {
            shape: Shape::Access,
            writer,
            number,
            written_us: start_us + number * 1_000_000 / per_second,
        };
        pen.write(tag, &mut text);
        if text.len() > (1 << 20) - 1024 || number + 1 == lines {
            file.write_all(&text).unwrap();
            bytes += u64::try_from(text.len()).unwrap();
            text.clear();
        }
    }
    Written {
        writer,
        lines,
        bytes,
    }
}
