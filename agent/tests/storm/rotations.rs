//! Every combination of logrotate's directives at once, by today's logrotate and by that of Ubuntu 18.04, at 5,000 lines a second, with SIGKILLs.
//!
//! Nothing is lost but what the rotation itself destroys: lines that stand in no file any more and that no agent had read. They are known
//! exactly, since nothing that logrotate leaves is ever deleted.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

use crate::combinations::{self, Combination, Destroys, Rotated};
use crate::left::Left;
use crate::scribe::Scribe;
use crate::support::agent::Followed;
use crate::support::check::{Checker, Verdict};
use crate::support::ground::{GROUP, Ground};
use crate::support::lines::ACCESS_BYTES;
use crate::support::rotate::Version;
use crate::support::wait;
use crate::support::writer::Written;

/// How long, unless `STORM_SECONDS` says otherwise.
const SECONDS: u64 = 10;
/// Into all logs together.
const LINES_PER_S: u64 = 5_000;
/// So long nothing may change before the agent counts as having come to rest.
const REST: Duration = Duration::from_secs(3);
/// It has to come to rest within this.
const PATIENCE: Duration = Duration::from_secs(120);
/// A dated name is given once a second.
const NAMES_APART_MS: u64 = 1_100;
/// The agent lives so long at most before it is killed, and is down so long at most, unless `STORM_LIFE_MS` and `STORM_DOWN_MS` say otherwise. Short
/// lives and long nights are a host that is too busy for it: it is behind by several rotations each time.
const LIFE_MS: u64 = 8_000;
const DOWN_MS: u64 = 300;
/// A late program takes so long at most.
const LATE: Duration = Duration::from_millis(80);

/// What is done to the agent meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kills {
    None,
    Some,
}

/// How long it goes on.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// Each combination has been rotated so often.
    Rotations(u64),
    Seconds(u64),
}

/// What became of the lines of one combination.
#[derive(Debug)]
struct Row {
    stream: String,
    verdict: Verdict,
    /// Lines that stand in a file and did not arrive.
    lost: u64,
    /// Lines that stand nowhere and did not arrive.
    destroyed: u64,
    /// Events that are parts of lines, as they stand at the end of a copy.
    torn: u64,
    may_destroy: bool,
    /// Of all events, as they stood in their files.
    came_bytes: u64,
}

impl Row {
    fn is_right(&self) -> bool {
        let Verdict {
            twice,
            garbled,
            foreign,
            misstamped,
            out_of_order,
            ..
        } = self.verdict;
        let wrong = self.lost + twice + (garbled + foreign - self.torn) + misstamped + out_of_order;
        wrong == 0 && (self.may_destroy || self.destroyed == 0)
    }
}

/// All of these at once.
#[track_caller]
fn storm(name: &'static str, of: &[Combination], until: Until, kills: Kills, seed: u64) {
    let started = Instant::now();
    println!("{name}: {until:?}, kills {kills:?}, STORM_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut ground = Ground::new(name, &[]);
    let mut all = Vec::new();
    for version in [Version::Today, Version::Bionic] {
        let Some(program) = version.program() else {
            assert_eq!(
                version,
                Version::Bionic,
                "logrotate is not installed; `make test` installs it"
            );
            println!("without logrotate 3.11, which `scripts/deps.sh test` could not fetch");
            continue;
        };
        for &combination in of {
            let first = u16::try_from(all.iter().map(|it: &Rotated| it.logs.len()).sum::<usize>());
            all.push(Rotated::new(
                combination,
                version,
                &program,
                ground.folder(),
                first.unwrap(),
            ));
        }
    }
    ground.setup.files = all
        .iter()
        .map(|rotated| Followed::access(rotated.folder.join("*.log"), GROUP, &rotated.stream))
        .collect();
    // So many logs that are rotated so often are no usual host's: none of them is to be given up.
    ground.setup.limits = "backlog_files = 10000";
    ground.start();
    let logs = all
        .iter()
        .flat_map(|rotated| rotated.logs.clone())
        .collect();
    let scribe = Scribe::start(logs, LINES_PER_S);
    ground.until("the first lines", || ground.endpoint.stats().events > 0);
    let turns: Vec<AtomicU64> = all.iter().map(|_| AtomicU64::new(0)).collect();
    let stop = AtomicBool::new(false);
    let killed = std::thread::scope(|scope| {
        for half in 0..2 {
            let random = StdRng::seed_from_u64(random.random());
            let (all, turns, stop) = (&all, &turns, &stop);
            scope.spawn(move || rotate(all, turns, half, stop, until, random));
        }
        let killed = reign(&mut ground, &turns, until, kills, &mut random);
        stop.store(true, Ordering::Release);
        killed
    });
    println!(
        "{:.1} s of rotations, {killed} kills",
        started.elapsed().as_secs_f64()
    );
    let written = scribe.stop();
    come_to_rest(&ground);
    // What is known of all that must outlive the agent.
    ground.kill();
    ground.start();
    come_to_rest(&ground);
    println!(
        "at rest, and at rest again, after {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let rows: Vec<Row> = all
        .iter()
        .map(|it| row(&ground, it, &written, kills))
        .collect();
    print(&rows, &all, &turns, killed);
    let (account, said) = (ground.account(), ground.said());
    ground.terminate();
    println!("account: {account:?}");
    let wrong: Vec<&str> = rows
        .iter()
        .filter(|row| !row.is_right())
        .map(|row| row.stream.as_str())
        .collect();
    assert!(wrong.is_empty(), "{name}: not right: {wrong:?}; {said}");
    // Of what was under way when it was killed, and is gone, the agent can't know whether it arrived.
    if kills == Kills::None {
        let came: u64 = rows.iter().map(|row| row.came_bytes).sum();
        assert_eq!(account.shipped, came, "{account:?}");
        let destroyed: u64 = rows.iter().map(|row| row.destroyed).sum();
        let destroyed_bytes = destroyed * ACCESS_BYTES as u64;
        assert!(
            account.lost <= destroyed_bytes,
            "{account:?}: {destroyed} lines were destroyed"
        );
    }
}

/// Rotates every second combination.
fn rotate(
    all: &[Rotated],
    turns: &[AtomicU64],
    half: usize,
    stop: &AtomicBool,
    until: Until,
    mut random: StdRng,
) {
    let mine: Vec<usize> = (0..all.len()).filter(|at| at % 2 == half).collect();
    let mut due: Vec<Instant> = mine
        .iter()
        .map(|_| Instant::now() + Duration::from_millis(random.random_range(0..1500)))
        .collect();
    while !stop.load(Ordering::Acquire) {
        let mut rested = true;
        for (&at, due) in mine.iter().zip(&mut due) {
            let done = turns[at].load(Ordering::Acquire);
            let enough = matches!(until, Until::Rotations(most) if done >= most);
            if enough || Instant::now() < *due || stop.load(Ordering::Acquire) {
                continue;
            }
            if let Some(said) = all[at].turn(LATE.mul_f64(random.random())) {
                println!("{}: logrotate said {said}", all[at].stream);
            }
            turns[at].store(done + 1, Ordering::Release);
            let pause = match until {
                Until::Rotations(_) => NAMES_APART_MS,
                Until::Seconds(_) => random.random_range(NAMES_APART_MS..3 * NAMES_APART_MS),
            };
            *due = Instant::now() + Duration::from_millis(pause);
            rested = false;
        }
        if rested {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Waits until it is over, and kills the agent meanwhile. Returns how often.
fn reign(
    ground: &mut Ground,
    turns: &[AtomicU64],
    until: Until,
    kills: Kills,
    random: &mut StdRng,
) -> u64 {
    let started = Instant::now();
    let over = || match until {
        Until::Seconds(seconds) => started.elapsed() >= Duration::from_secs(seconds),
        Until::Rotations(most) => turns
            .iter()
            .all(|turns| turns.load(Ordering::Acquire) >= most),
    };
    let mut killed = 0;
    let life_ms = number("STORM_LIFE_MS").unwrap_or(LIFE_MS);
    let down_ms = number("STORM_DOWN_MS").unwrap_or(DOWN_MS);
    while !over() {
        let pause = Duration::from_millis(random.random_range(life_ms / 8..life_ms));
        let began = Instant::now();
        while began.elapsed() < pause && !over() {
            std::thread::sleep(Duration::from_millis(10));
        }
        if kills == Kills::Some && !over() {
            ground.kill();
            std::thread::sleep(Duration::from_millis(random.random_range(0..down_ms)));
            ground.start();
            killed += 1;
        }
    }
    killed
}

/// Waits until nothing is pending and nothing more arrives.
#[track_caller]
fn come_to_rest(ground: &Ground) {
    let mut last = (Instant::now(), u64::MAX);
    let mut told = None;
    let found = wait::until(PATIENCE, Duration::from_millis(20), || {
        let events = ground.endpoint.stats().events;
        told = ground.agent.status(&ground.setup).ok();
        let pending = told.as_ref().map(|told| &told["totals"]["pending_bytes"]);
        if events != last.1 || pending.and_then(Value::as_u64) != Some(0) {
            last = (Instant::now(), events);
        }
        (last.0.elapsed() > REST).then_some(())
    });
    assert!(
        found.is_some(),
        "not at rest within {PATIENCE:?}; {}; {}",
        told.as_ref().map_or("no status".to_owned(), pending),
        ground.said()
    );
}

/// The first few files of which something is pending, and what the agent complains of.
fn pending(told: &Value) -> String {
    let files = told["files"].as_array().into_iter().flatten();
    let pending: Vec<String> = files
        .filter(|file| file["account"]["pending_bytes"].as_u64() != Some(0))
        .map(|file| format!("{}: {}", file["path"], file["account"]))
        .collect();
    let first = pending.get(..5).unwrap_or(&pending);
    format!(
        "of {} files something is pending: {}; running {}; complaints {}",
        pending.len(),
        first.join("; "),
        told["running"],
        told["complaints"]
    )
}

fn row(ground: &Ground, rotated: &Rotated, written: &[Written], kills: Kills) -> Row {
    let mut checker = Checker::default();
    let left = Left::of(&[&rotated.folder, &rotated.old]);
    let (mut torn, mut came_bytes) = (0, 0);
    ground.endpoint.each_event(GROUP, &rotated.stream, |event| {
        let is_torn = left.torn.contains(event.message);
        torn += u64::from(is_torn);
        // What ends a file ends without a newline.
        came_bytes += event.message.len() as u64 + u64::from(!is_torn);
        checker.take(event);
    });
    let is_mine = |written: &&Written| rotated.logs.iter().any(|log| log.writer == written.writer);
    let written: Vec<Written> = written.iter().filter(is_mine).copied().collect();
    let verdict = checker.verdict(&written);
    let missing = verdict.gaps.iter();
    let missing =
        missing.flat_map(|&(writer, from, to)| (from..to).map(move |line| (writer, line)));
    let out_of_reach = match rotated.combination.destroys {
        Destroys::Nothing => false,
        Destroys::WhileDown => kills == Kills::Some,
        Destroys::Between => true,
    };
    let moved = Left::of(&[Path::new(&rotated.old)]);
    let (mut lost, mut destroyed) = (0, 0);
    for (writer, line) in missing {
        // What stands in another folder than the one that is followed, no agent can find: it was copied there, or moved while none ran
        // that had it open.
        let reachable = left.holds(writer, line) && !(out_of_reach && moved.holds(writer, line));
        match reachable {
            true => lost += 1,
            false => destroyed += 1,
        }
    }
    Row {
        stream: rotated.stream.clone(),
        lost,
        destroyed,
        torn,
        may_destroy: out_of_reach,
        verdict,
        came_bytes,
    }
}

fn print(rows: &[Row], all: &[Rotated], turns: &[AtomicU64], killed: u64) {
    println!(
        "{:<38} {:>5} {:>9} {:>9} {:>7} {:>9} {:>7} {:>5} {:>8} {:>8}",
        "",
        "turns",
        "written",
        "arrived",
        "lost",
        "destroyed",
        "twice",
        "other",
        "disorder",
        "p50 ms"
    );
    for ((row, rotated), turns) in rows.iter().zip(all).zip(turns) {
        let Verdict {
            written,
            arrived,
            twice,
            garbled,
            foreign,
            misstamped,
            out_of_order,
            ..
        } = row.verdict;
        let other = garbled + foreign - row.torn + misstamped;
        println!(
            "{:<38} {:>5} {written:>9} {arrived:>9} {:>7} {:>9} {twice:>7} {other:>5} {out_of_order:>8} {:>8.0}{}",
            rotated.stream,
            turns.load(Ordering::Acquire),
            row.lost,
            row.destroyed,
            row.verdict.latency_ms.p50,
            if row.is_right() { "" } else { "  <- not right" }
        );
        if !row.is_right() {
            println!("    {}", row.verdict);
        }
    }
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>();
    println!(
        "written {}, arrived {}, lost {}, destroyed by the rotations themselves {}, twice {}, out of order {}; {killed} kills",
        sum(|row| row.verdict.written),
        sum(|row| row.verdict.arrived),
        sum(|row| row.lost),
        sum(|row| row.destroyed),
        sum(|row| row.verdict.twice),
        sum(|row| row.verdict.out_of_order)
    );
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn seed() -> u64 {
    number("STORM_SEED").unwrap_or_else(rand::random)
}

/// Those whose name holds what `STORM_ONLY` says.
fn chosen() -> impl Iterator<Item = Combination> {
    let only = std::env::var("STORM_ONLY").unwrap_or_default();
    let all = combinations::ALL.iter().copied();
    all.filter(move |it| it.name.contains(&only))
}

/// A few rotations of each, and no kills.
fn quick(name: &'static str, which: fn(&Combination) -> bool) {
    let some: Vec<Combination> = chosen().filter(which).collect();
    storm(name, &some, Until::Rotations(3), Kills::None, seed());
}

#[test]
fn whatever_renames_loses_nothing_and_doubles_nothing() {
    quick("renaming", |it| it.destroys != Destroys::Between);
}

#[test]
fn whatever_copies_loses_what_it_destroys_and_doubles_nothing() {
    quick("copying", |it| it.destroys == Destroys::Between);
}

/// The long one.
#[test]
#[ignore = "long: make storm"]
fn every_rotation_at_once() {
    let some: Vec<Combination> = chosen().collect();
    let seconds = number("STORM_SECONDS").unwrap_or(SECONDS);
    storm(
        "rotations",
        &some,
        Until::Seconds(seconds),
        Kills::Some,
        seed(),
    );
}
