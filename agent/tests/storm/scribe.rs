//! One program that writes many logs, each at the same pace, as a host's services do together.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::lines::{Pen, Shape, Tag};
use crate::support::wait::unix_us;
use crate::support::writer::Written;

/// How often it writes what is due by then.
const BEAT: Duration = Duration::from_millis(2);

/// One log.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    /// The number in every line of it.
    pub(crate) writer: u16,
    /// It is opened without O_APPEND, as a shell's `>` does it.
    pub(crate) own_offset: bool,
    /// While this file is there, somebody waits for the path to be opened again; it is removed then.
    pub(crate) flag: PathBuf,
}

/// The program at work.
pub(crate) struct Scribe {
    logs: Vec<Log>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Of each log.
    lines: Vec<AtomicU64>,
    stop: AtomicBool,
}

impl Scribe {
    /// Writes so many lines a second into all logs together.
    pub(crate) fn start(logs: Vec<Log>, lines_per_s: u64) -> Self {
        let shared = Arc::new(Shared {
            lines: logs.iter().map(|_| AtomicU64::new(0)).collect(),
            stop: AtomicBool::new(false),
        });
        let (theirs, of) = (Arc::clone(&shared), logs.clone());
        let thread = std::thread::spawn(move || write(&of, &theirs, lines_per_s));
        Self {
            logs,
            shared,
            thread: Some(thread),
        }
    }

    /// Ends it after the line it is at.
    pub(crate) fn stop(mut self) -> Vec<Written> {
        self.end();
        self.logs
            .iter()
            .zip(&self.shared.lines)
            .map(|(log, lines)| {
                let lines = lines.load(Ordering::Acquire);
                Written {
                    writer: log.writer,
                    lines,
                    bytes: lines * crate::support::lines::ACCESS_BYTES as u64,
                }
            })
            .collect()
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the scribe ends in order");
        }
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(logs: &[Log], shared: &Shared, lines_per_s: u64) {
    let (mut pen, mut line) = (Pen::default(), Vec::new());
    let mut files: Vec<File> = logs.iter().map(|log| open(log, true)).collect();
    let started = Instant::now();
    let mut written = 0;
    while !shared.stop.load(Ordering::Acquire) {
        for (log, file) in logs.iter().zip(&mut files) {
            if log.flag.exists() {
                *file = open(log, false);
                fs::remove_file(&log.flag).unwrap();
            }
        }
        let due = started.elapsed().as_micros() * u128::from(lines_per_s) / 1_000_000;
        let due = u64::try_from(due).unwrap();
        if written >= due {
            // At low rates, until the next line is due; it is a pace, not a wait for anything.
            std::thread::sleep(BEAT);
        }
        // One line into each log in turn, however many are due.
        while written < due {
            let at = usize::try_from(written).unwrap() % logs.len();
            let number = shared.lines[at].load(Ordering::Acquire);
            line.clear();
            let tag = Tag {
                shape: Shape::Access,
                writer: logs[at].writer,
                number,
                written_us: unix_us(),
            };
            pen.write(tag, &mut line);
            files[at].write_all(&line).unwrap();
            shared.lines[at].store(number + 1, Ordering::Release);
            written += 1;
        }
    }
    for log in logs {
        let _ = fs::remove_file(&log.flag);
    }
}

fn open(log: &Log, first: bool) -> File {
    let mut options = OpenOptions::new();
    match log.own_offset {
        true => options.write(true).truncate(first),
        false => options.append(true),
    };
    options.create(true).open(&log.path).unwrap()
}

/// What asks the scribe to open a log again, and waits until it has: for a logrotate script.
pub(crate) fn ask(flags: &[&Path]) -> String {
    flags
        .iter()
        .map(|flag| {
            let flag = flag.display();
            format!("touch '{flag}'; n=0; while [ -e '{flag}' ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n+1)); done\n")
        })
        .collect()
}
