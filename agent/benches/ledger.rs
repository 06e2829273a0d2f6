//! What it costs to make a batch's intent durable: the ledger's preallocated log against the other ways of doing it, on
//! the same disk in the same run. And what the ledger writes for the logs it accounts for.
//!
//! Prints microseconds (medians) and `ratio` lines; a ratio is the other way's time as a multiple of the ledger's.
//! Rounds alternate, so that a busy disk slows all of them.
//!
//! The disk is that of the build's folder; set `LEDGER_BENCH_DIR` for another one.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use baker_agent::account::{BatchId, Fate, Filtered, GenerationId, Head, Identity, Part, Span};
use baker_agent::ledger::memory::Memory;
use baker_agent::ledger::{Intent, Landing, Record, Slot, State, Store};
use baker_agent::target::{GroupClass, Target};
use nix::fcntl::{FallocateFlags, fallocate};

const ROUNDS: usize = 200;
const SEGMENT_BYTES: i64 = 1024 * 1024;
/// What an intent takes on disk, about, for the ways that are not the ledger's.
const INTENT_BYTES: usize = 144;
/// Intents that are committed together when several requests leave at once.
const GROUP: u64 = 8;
/// A full request: 1 MiB of 200-byte lines, and 26 bytes that the service counts for each.
const BATCH_BYTES: u64 = 1_048_576 / (200 + 26) * 201;

fn main() {
    let ground = std::env::var_os("LEDGER_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let ground = tempfile::tempdir_in(ground).unwrap();
    durable(ground.path());
    sizes();
    opening(ground.path());
}

/// One way to make an intent durable.
struct Way {
    name: &'static str,
    ratio: Option<&'static str>,
    once: Box<dyn FnMut(u64)>,
    took: Vec<Duration>,
}

fn durable(ground: &Path) {
    let mut ways = vec![
        Way {
            name: "the ledger: append, commit",
            ratio: None,
            once: ledger(&ground.join("one"), 1),
            took: Vec::new(),
        },
        Way {
            name: "the ledger: eight intents, one commit",
            ratio: Some("ledger_group_of_8"),
            once: ledger(&ground.join("eight"), GROUP),
            took: Vec::new(),
        },
        Way {
            name: "a log that grows, fdatasync",
            ratio: Some("ledger_vs_growing_log"),
            once: log(&ground.join("growing"), |_| {}),
            took: Vec::new(),
        },
        Way {
            name: "a log in reserved blocks (fallocate), fdatasync",
            ratio: Some("ledger_vs_reserved_log"),
            once: log(&ground.join("reserved"), |file| {
                fallocate(file, FallocateFlags::empty(), 0, SEGMENT_BYTES).unwrap();
                file.sync_all().unwrap();
            }),
            took: Vec::new(),
        },
        Way {
            name: "temp, fsync, rename, fsync: 10 files",
            ratio: Some("ledger_vs_rename_10_files"),
            once: rename(&ground.join("rename-10"), snapshot_bytes(10)),
            took: Vec::new(),
        },
        Way {
            name: "temp, fsync, rename, fsync: 1,000 files",
            ratio: Some("ledger_vs_rename_1000_files"),
            once: rename(&ground.join("rename-1000"), snapshot_bytes(1_000)),
            took: Vec::new(),
        },
    ];
    for round in 0..ROUNDS as u64 {
        for way in &mut ways {
            let started = Instant::now();
            (way.once)(round);
            way.took.push(started.elapsed());
        }
    }
    println!("one intent made durable, median of {ROUNDS}:");
    let ledger = median(&mut ways[0].took);
    let mut ratios = Vec::new();
    for way in &mut ways {
        let took = median(&mut way.took);
        println!("  {:<50} {:>8.0} µs", way.name, took * 1e6);
        ratios.extend(way.ratio.map(|ratio| (ratio, took / ledger)));
    }
    let mut flush = {
        let mut store = Store::open(&ground.join("flush"), "i-0").unwrap().store;
        (0..ROUNDS as u64)
            .map(|round| {
                let started = Instant::now();
                store.append(&[intent(round, 0)]);
                store.flush().unwrap();
                started.elapsed()
            })
            .collect::<Vec<_>>()
    };
    println!(
        "  {:<50} {:>8.1} µs",
        "the ledger: append, flush (survives SIGKILL only)",
        median(&mut flush) * 1e6
    );
    for (name, ratio) in ratios {
        println!("ratio {name} {ratio:.2}");
    }
}

fn ledger(directory: &Path, group: u64) -> Box<dyn FnMut(u64)> {
    let mut store = Store::open(directory, "i-0").unwrap().store;
    Box::new(move |round| {
        for each in 0..group {
            store.append(&[intent(round * group + each, 0)]);
        }
        store.commit().unwrap();
    })
}

fn log(path: &Path, prepare: impl Fn(&File)) -> Box<dyn FnMut(u64)> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap();
    prepare(&file);
    Box::new(move |round| {
        let at = round * INTENT_BYTES as u64;
        file.write_all_at(&[0xAB; INTENT_BYTES], at).unwrap();
        file.sync_data().unwrap();
    })
}

fn rename(directory: &Path, bytes: usize) -> Box<dyn FnMut(u64)> {
    fs::create_dir(directory).unwrap();
    let directory = directory.to_owned();
    let content = vec![0xAB; bytes];
    Box::new(move |_| {
        let temporary = directory.join("state.new");
        let mut file = File::create(&temporary).unwrap();
        file.write_all(&content).unwrap();
        file.sync_all().unwrap();
        fs::rename(&temporary, directory.join("state")).unwrap();
        File::open(&directory).unwrap().sync_all().unwrap();
    })
}

fn sizes() {
    let one_line = 201;
    println!(
        "ledger written for the logs it accounts for, intent and landing in commits of their own:"
    );
    for (name, batch_bytes) in [
        ("full batches", BATCH_BYTES),
        ("batches of one line", one_line),
    ] {
        let memory = Memory::new();
        let mut store = Store::open_on(Box::new(memory.clone()), Path::new("memory"), "i-0")
            .unwrap()
            .store;
        store.append(&[found(0)]);
        store.commit().unwrap();
        let before = used(&memory);
        let batches = 1_000;
        for batch in 0..batches {
            let intent = sized_intent(batch, 0, batch_bytes);
            let landed = landing(&intent);
            store.append(&[intent]);
            store.commit().unwrap();
            store.append(&[landed]);
            store.flush().unwrap();
        }
        let written = (used(&memory) - before) as f64;
        let a_batch = written / batches as f64;
        let a_megabyte = a_batch * 1e6 / batch_bytes as f64;
        println!(
            "  {name:<22} {a_batch:>6.0} bytes a batch, {a_megabyte:>9.0} bytes per MB of logs"
        );
    }
    for files in [10, 1_000] {
        println!(
            "  snapshot, {files:>5} files  {:>6} bytes",
            snapshot_bytes(files)
        );
    }
}

fn opening(ground: &Path) {
    let directory = ground.join("opening");
    let mut opened = Store::open(&directory, "i-0").unwrap();
    for generation in 0..10 {
        opened.state.apply(&found(generation)).unwrap();
        opened.store.append(&[found(generation)]);
    }
    let mut batches = 0;
    while !opened.store.is_large() {
        let intent = sized_intent(batches, batches % 10, 201);
        opened.store.append(&[intent.clone(), landing(&intent)]);
        opened.store.flush().unwrap();
        batches += 1;
    }
    opened.store.commit().unwrap();
    drop(opened);
    let kept: Vec<(PathBuf, Vec<u8>)> = [Slot::A, Slot::B]
        .map(|slot| directory.join(slot.file()))
        .map(|path| {
            let content = fs::read(&path).unwrap();
            (path, content)
        })
        .into();
    let mut took: Vec<Duration> = (0..21)
        .map(|_| {
            for (path, content) in &kept {
                fs::write(path, content).unwrap();
            }
            let started = Instant::now();
            black_box(Store::open(&directory, "i-0").unwrap());
            started.elapsed()
        })
        .collect();
    println!(
        "opening a log that is due for compaction ({batches} batches): {:.1} ms",
        median(&mut took) * 1e3
    );
}

fn snapshot_bytes(files: u64) -> usize {
    let mut state = State::default();
    for generation in 0..files {
        state.apply(&found(generation)).unwrap();
    }
    let memory = Memory::new();
    let mut store = Store::open_on(Box::new(memory.clone()), Path::new("memory"), "i-0")
        .unwrap()
        .store;
    let before = used(&memory);
    store.append(&state.snapshot());
    store.commit().unwrap();
    used(&memory) - before
}

fn used(memory: &Memory) -> usize {
    let segment = memory.segment(Slot::A).unwrap();
    let last = segment.iter().rposition(|byte| *byte != 0);
    last.map_or(0, |last| last + 1)
}

fn target() -> Arc<Target> {
    Arc::new(Target {
        group: "jenkins.domain.com".to_owned(),
        stream: "nginx-access/i-0123456789abcdef0".to_owned(),
        retention_days: Some(30),
        class: GroupClass::Standard,
    })
}

fn found(generation: u64) -> Record {
    Record::Found {
        generation: GenerationId(generation),
        identity: Identity {
            device: 64_768,
            inode: 1_048_576 + generation,
            head: Head {
                start: 0,
                bytes: 1_024,
                hash: 0x9E37_79B9_7F4A_7C15,
            },
        },
        set: "/var/log/nginx/*.log".into(),
        path: PathBuf::from(format!("/var/log/nginx/access-{generation}.log")),
        target: target(),
        from: 0,
        at_ms: 1_699_999_999_000,
    }
}

fn intent(batch: u64, generation: u64) -> Record {
    sized_intent(batch, generation, BATCH_BYTES)
}

fn sized_intent(batch: u64, generation: u64, bytes: u64) -> Record {
    let start = batch * bytes;
    Record::Intent(Intent {
        batch: BatchId(batch),
        target: target(),
        parts: vec![Part {
            span: Span {
                generation: GenerationId(generation),
                start,
                end: start + bytes,
            },
            not_shipped: vec![(Fate::Filtered(Filtered::Empty), 12)],
        }],
        first_ms: 1_790_000_000_000,
        last_ms: 1_790_000_000_900,
        sha256: [0xA7; 32],
        sent_ms: 1_790_000_001_000,
    })
}

fn landing(intent: &Record) -> Record {
    let Record::Intent(intent) = intent else {
        panic!("not an intent");
    };
    Record::Landed(Landing {
        batch: intent.batch,
        parts: intent.parts.clone(),
        events: 4_639,
        at_ms: intent.sent_ms + 30,
    })
}

/// In seconds.
fn median(took: &mut [Duration]) -> f64 {
    took.sort_unstable();
    took[took.len() / 2].as_secs_f64()
}
