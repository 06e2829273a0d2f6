//! Everything at once, at random: several writers, every rotation that loses nothing by itself, an endpoint at its worst,
//! and SIGKILL. At the end every line is there once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::support::endpoint::Fault;
use crate::support::ground::Ground;
use crate::support::lines::{Shape, TRACEBACK_START};
use crate::support::meter::Reading;
use crate::support::rotate::{self, Logrotate};
use crate::support::writer::{Plan, Turn, Writer};

/// How long, unless `STORM_SECONDS` says otherwise.
const SECONDS: u64 = 20;

/// Lines a second into each log that is rotated around kills.
const KILLED_RATE: u64 = 1000;

/// The logs of the storm. The writer of each is its place here.
const LOGS: [&str; 7] = [
    "renamed.log",
    "copied.log",
    "rotated.log",
    "compressed.log",
    "error.log",
    "odd.log",
    "toggled.log",
];
/// The last of them is followed and left again and again.
const TOGGLED: usize = 6;

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    Rename,
    Logrotate,
    Kill,
    Reload,
    Down,
    Faults,
    Calm,
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn everything_at_once() {
    let seconds = number("STORM_SECONDS").unwrap_or(SECONDS);
    let seed = number("STORM_SEED").unwrap_or_else(rand::random);
    // Shown when it fails: the same seed gives the same blows, if not the same instants.
    println!("storm of {seconds} s, seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut ground = Ground::new("storm", &LOGS);
    ground.setup.files[4].format = "gunicorn";
    ground.setup.files[4].multiline = Some(TRACEBACK_START);
    ground.start();
    ground.greet();
    let writers = writers(&ground, &mut random, seconds);
    let logrotate = Logrotate::new(
        ground.folder(),
        &ground.log("compressed.log").display().to_string(),
        &["nocreate", "compress", "delaycompress"],
    );

    let toggled = ground.setup.files[TOGGLED].clone();
    let mut blows: BTreeMap<Blow, u64> = BTreeMap::new();
    let mut peak = Reading::default();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_millis(random.random_range(20..800)));
        if let Some(running) = &ground.running {
            let reading = running.reading();
            peak.peak_rss_bytes = peak.peak_rss_bytes.max(reading.peak_rss_bytes);
            peak.descriptors = peak.descriptors.max(reading.descriptors);
        }
        let blow = next_blow(&mut random);
        match blow {
            Blow::Rename => {
                rotate::rename(&ground.log("renamed.log"));
                // Sometimes the writer goes on in the renamed file for a while.
                std::thread::sleep(Duration::from_millis(random.random_range(0..100)));
                writers[0].reopen();
            }
            Blow::Logrotate => {
                let before = writers[3].reopened();
                logrotate.force();
                writers[3].reopen();
                ground.until("the reopening", || writers[3].reopened() > before);
            }
            Blow::Kill => {
                ground.kill();
                std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
                ground.start();
            }
            Blow::Reload => {
                match ground.setup.files.len() > TOGGLED {
                    true => ground.setup.files.truncate(TOGGLED),
                    false => ground.setup.files.push(toggled.clone()),
                }
                ground.reload();
            }
            Blow::Down => ground
                .endpoint
                .refuse(Duration::from_millis(random.random_range(100..3000))),
            Blow::Faults => {
                let faults = [
                    Fault::ResetBefore,
                    Fault::ResetAfter,
                    Fault::ErrorBefore,
                    Fault::ErrorAfter,
                    Fault::Half,
                    Fault::Throttle,
                    Fault::Garbage,
                    Fault::Slow(Duration::from_millis(200)),
                ]
                .map(|fault| (fault, random.random_range(0.0..0.12)));
                ground.endpoint.faults(&faults, random.random());
            }
            Blow::Calm => ground.endpoint.faults(&[], 0),
        }
        *blows.entry(blow).or_default() += 1;
    }
    ground.endpoint.faults(&[], 0);
    ground.setup.files.truncate(TOGGLED);
    ground.setup.files.push(toggled);
    ground.reload();
    let written: Vec<_> = writers.into_iter().map(Writer::stop).collect();
    let verdict = ground.assert_exact(&written);
    let stats = ground.endpoint.stats();
    println!("blows: {blows:?}");
    println!("lines: {verdict}");
    println!(
        "requests {}, of them failed on purpose {}; latency p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
        stats.requests,
        stats.faults,
        verdict.latency_ms.p50,
        verdict.latency_ms.p99,
        verdict.latency_ms.max
    );
    println!(
        "peak memory {:.1} MiB, peak descriptors {}",
        peak.peak_rss_bytes as f64 / 1024.0 / 1024.0,
        peak.descriptors
    );
}

/// Nothing but what rotations and kills can do to each other, as often as they can.
#[test]
fn kills_around_rotations_lose_nothing() {
    let seconds = number("STORM_SECONDS").unwrap_or(SECONDS / 2);
    let seed = number("STORM_SEED").unwrap_or_else(rand::random);
    println!("rotations and kills for {seconds} s, seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let logs = [(LOGS[1], Turn::CopyTruncate), (LOGS[2], Turn::Rename)];
    let mut ground = Ground::new("kills", &logs.map(|(log, _)| log));
    ground.start();
    ground.greet();
    let mut writers = Vec::new();
    for (index, (log, turn)) in (0..).zip(logs) {
        let turns = turns(&mut random, turn, seconds * KILLED_RATE, 20..1500);
        let plan = Plan::new(ground.log(log), index, KILLED_RATE);
        writers.push(plan.rotations(turns).start());
    }
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_millis(random.random_range(0..500)));
        ground.kill();
        std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
        if random.random_bool(0.3) {
            let pause = Duration::from_millis(random.random_range(100..1500));
            ground.endpoint.refuse(pause);
        }
        ground.start();
    }
    let written: Vec<_> = writers.into_iter().map(Writer::stop).collect();
    let verdict = ground.assert_exact(&written);
    println!("lines: {verdict}");
}

fn next_blow(random: &mut StdRng) -> Blow {
    match random.random_range(0..100) {
        0..20 => Blow::Rename,
        20..30 => Blow::Logrotate,
        30..43 => Blow::Kill,
        43..50 => Blow::Reload,
        50..60 => Blow::Down,
        60..85 => Blow::Faults,
        _ => Blow::Calm,
    }
}

/// Turns at random, so many lines apart.
fn turns(random: &mut StdRng, turn: Turn, lines: u64, apart: Range<u64>) -> Vec<(u64, Turn)> {
    let mut at = 0;
    let mut turns = Vec::new();
    while at < lines {
        at += random.random_range(apart.clone());
        turns.push((at, turn));
    }
    turns
}

/// Writers of every kind. Two rotate their own files between two lines, at random.
fn writers(ground: &Ground, random: &mut StdRng, seconds: u64) -> Vec<Writer> {
    let plan = |index: u16, rate| Plan::new(ground.log(LOGS[usize::from(index)]), index, rate);
    let mut turns = |turn| turns(random, turn, seconds * 800, 200..4000);
    let (copied, rotated) = (turns(Turn::CopyTruncate), turns(Turn::Rename));
    vec![
        plan(0, 1000).torn_every(333).start(),
        plan(1, 800).rotations(copied).start(),
        plan(2, 800).rotations(rotated).torn_every(1001).start(),
        plan(3, 500).start(),
        plan(4, 50).shape(Shape::Traceback).torn_every(97).start(),
        plan(5, 100).shape(Shape::Odd).torn_every(31).start(),
        plan(6, 300).torn_every(501).start(),
    ]
}

/// Nothing but reloads, in which each file comes and goes, while the answers of the service are doubtful.
#[test]
fn reloads_at_random_lose_nothing_of_any_file() {
    let seconds = number("STORM_SECONDS").unwrap_or(SECONDS / 2);
    let seed = number("STORM_SEED").unwrap_or_else(rand::random);
    println!("reloads for {seconds} s, seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let logs = ["a.log", "b.log", "c.log"];
    let mut ground = Ground::new("reloads", &logs);
    ground.start();
    ground.greet();
    let all = ground.setup.files.clone();
    let faults = [Fault::ResetAfter, Fault::Half, Fault::Throttle].map(|fault| (fault, 0.1));
    ground.endpoint.faults(&faults, seed);
    let plans = (0..).zip(logs);
    let writers: Vec<_> = plans
        .map(|(index, log)| {
            Plan::new(ground.log(log), index, 1500)
                .torn_every(333)
                .start()
        })
        .collect();
    let (started, mut reloads) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(seconds) {
        // The first one stays: a configuration names a file.
        let some = all[1..].iter().filter(|_| random.random_bool(0.5));
        ground.setup.files = all[..1].iter().chain(some).cloned().collect();
        ground.reload();
        reloads += 1;
        std::thread::sleep(Duration::from_millis(random.random_range(0..200)));
    }
    ground.endpoint.faults(&[], 0);
    ground.setup.files = all;
    ground.reload();
    let written: Vec<_> = writers.into_iter().map(Writer::stop).collect();
    let verdict = ground.assert_exact(&written);
    println!("{reloads} reloads; lines: {verdict}");
}
