//! The rows: each sets its stage, lets the agent work, and measures from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;

use super::args::Args;
use super::chorus;
use super::table::{Table, Target};
use super::versus;
use crate::support::agent::{Followed, Program, Running, Setup};
use crate::support::check::{Checker, Verdict};
use crate::support::endpoint::{Endpoint, Options};
use crate::support::meter::{self, Reading};
use crate::support::rotate::{Logrotate, Version};
use crate::support::wait;
use crate::support::writer::{self, Plan, Turn, Written};

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Needs what only ours has (a flush interval below five seconds, a status).
    ours_only: bool,
    pub(crate) run: fn(&Bench<'_>, &mut Table),
}

/// All rows, in the table's order.
pub(crate) const ALL: &[Row] = &[
    Row::new("catchup", |bench, table| catch_up(bench, table, None)),
    Row::ours("catchup-slow", |bench, table| {
        catch_up(bench, table, Some(Duration::from_millis(50)));
    }),
    Row::new("steady", |bench, table| steady(bench, table, None)),
    Row::ours("steady-fast", |bench, table| {
        steady(bench, table, Some(FASTEST));
    }),
    Row::new("quiet", quiet),
    Row::new("idle", idle),
    Row::ours("service-idle", |bench, table| {
        service_idle(bench, table, "60s", 130);
        service_idle(bench, table, "1s", 60);
    }),
    Row::new("renames", |bench, table| {
        rotations(bench, table, "renames", Turn::Rename);
    }),
    Row::new("copytruncates", |bench, table| {
        rotations(bench, table, "copytruncates", Turn::CopyTruncate);
    }),
    Row::new("logrotate", logrotate),
    Row::new("kills", kills),
    Row::new("outage", outage),
    Row::ours("versus", versus::catch_ups),
    Row::ours("files", files),
    Row::ours("rates", rates),
];

impl Row {
    const fn new(name: &'static str, run: fn(&Bench<'_>, &mut Table)) -> Self {
        Self {
            name,
            ours_only: false,
            run,
        }
    }

    const fn ours(name: &'static str, run: fn(&Bench<'_>, &mut Table)) -> Self {
        Self {
            name,
            ours_only: true,
            run,
        }
    }
}

/// The fastest flush that the agent's configuration takes.
const FASTEST: Duration = Duration::from_millis(40);
const GROUP: &str = "bench";
const STREAM: &str = "access";
/// After this a row is given up: whatever has not arrived then counts as lost.
const LIMIT: Duration = Duration::from_secs(300);
const MIB: f64 = 1024.0 * 1024.0;

/// The agent under test, and how thoroughly.
pub(crate) struct Bench<'a> {
    pub(super) program: &'a dyn Program,
    /// Another build of it.
    pub(super) than: Option<PathBuf>,
    pub(super) runs: usize,
    pub(super) quick: bool,
}

/// One agent on one endpoint with an empty folder.
struct Stage {
    folder: TempDir,
    endpoint: Endpoint,
}

impl Stage {
    fn new(options: Options) -> Self {
        Self {
            folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            endpoint: Endpoint::process(options),
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    fn setup(&self) -> Setup {
        let file = Followed::access(self.log(), GROUP, STREAM);
        Setup::new(self.endpoint.url(), self.folder.path(), vec![file])
    }

    /// Waits until the endpoint holds so many events; how long that took, if it came to that.
    fn until_arrived(&self, events: u64) -> Option<Duration> {
        let started = Instant::now();
        wait::until(LIMIT, Duration::from_millis(10), || {
            (self.endpoint.stats().events >= events).then(|| started.elapsed())
        })
    }

    /// Waits until everything is there, or nothing more comes for a while; then holds it against what was written.
    fn verdict(&self, written: &[Written]) -> Verdict {
        let lines = written.iter().map(|written| written.lines).sum();
        let mut last = (Instant::now(), 0);
        wait::until(LIMIT, Duration::from_millis(20), || {
            let events = self.endpoint.stats().events;
            if events != last.1 {
                last = (Instant::now(), events);
            }
            (events >= lines || last.0.elapsed() > Duration::from_secs(30)).then_some(())
        });
        let mut checker = Checker::default();
        for stream in self.endpoint.streams(GROUP) {
            self.endpoint
                .each_event(GROUP, &stream, |event| checker.take(event));
        }
        checker.verdict(written)
    }
}

/// What a time of work cost.
struct Cost {
    wall: Duration,
    cpu: Duration,
    switches: u64,
}

impl Cost {
    fn between(started: (Instant, Reading), ended: (Instant, Reading)) -> Self {
        Self {
            wall: ended.0 - started.0,
            cpu: ended.1.cpu - started.1.cpu,
            switches: ended.1.switches - started.1.switches,
        }
    }

    fn cpu_pct(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }
}

fn at_once(running: &Running) -> (Instant, Reading) {
    (Instant::now(), running.reading())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

impl<'a> Bench<'a> {
    pub(crate) fn new(program: &'a dyn Program, args: &Args) -> Self {
        Self {
            program,
            than: args.than.clone(),
            runs: args.runs,
            quick: args.quick,
        }
    }

    fn is_ours(&self) -> bool {
        self.program.name() == "baker-agent"
    }

    pub(crate) fn is_able(&self, row: &Row) -> bool {
        self.is_ours() || !row.ours_only
    }

    /// A tenth of it, when in a hurry.
    pub(super) fn scaled(&self, number: u64) -> u64 {
        if self.quick { number / 10 } else { number }
    }

    fn start(&self, setup: &Setup) -> Running {
        Running::start(self.program, setup)
    }

    /// Targets are for ours; another is measured, not judged.
    fn target(&self, most: f64) -> Target {
        if self.is_ours() {
            Target::AtMost(most)
        } else {
            Target::Open
        }
    }

    /// The four figures that have to be 0.
    pub(super) fn show_verdict(&self, table: &mut Table, verdict: &Verdict) {
        table.figure("lost", &[verdict.lost as f64], "lines", self.target(0.0));
        table.figure("twice", &[verdict.twice as f64], "lines", self.target(0.0));
        if verdict.garbled + verdict.foreign > 0 || !verdict.gaps.is_empty() {
            table.note(&verdict.to_string());
        }
    }
}

/// What a catch-up cost, from outside.
pub(super) struct CaughtUp {
    pub(super) wall_s: f64,
    /// Its whole life, start and end included.
    pub(super) cpu_s: f64,
    pub(super) peak_mib: f64,
    pub(super) arrived: bool,
    pub(super) requests: u64,
    endpoint_cpu_s: f64,
    /// If it was asked for.
    pub(super) verdict: Option<Verdict>,
}

/// Lets the program send a log that is there already. What arrived is held against what was written if that is asked for.
pub(super) fn caught_up(
    program: &dyn Program,
    log: &Path,
    written: Written,
    latency: Option<Duration>,
    ask: bool,
) -> CaughtUp {
    let stage = Stage::new(Options { latency });
    let mut setup = stage.setup();
    setup.files[0].path = log.to_owned();
    let (children, started) = (meter::children_cpu(), Instant::now());
    let running = Running::start(program, &setup);
    let arrived = stage.until_arrived(written.lines).is_some();
    let wall = started.elapsed();
    let peak = running.reading().peak_rss_bytes;
    running.terminate(Duration::from_secs(30));
    let cpu = meter::children_cpu() - children;
    CaughtUp {
        wall_s: wall.as_secs_f64(),
        cpu_s: cpu.as_secs_f64(),
        peak_mib: mib(peak),
        arrived,
        requests: stage.endpoint.stats().requests,
        endpoint_cpu_s: stage.endpoint.reading().cpu.as_secs_f64(),
        verdict: ask.then(|| stage.verdict(&[written])),
    }
}

fn catch_up(bench: &Bench<'_>, table: &mut Table, latency: Option<Duration>) {
    let lines = bench.scaled(1_000_000);
    let source = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = source.path().join("access.log");
    let written = writer::fill(&log, 0, lines, Duration::from_secs(3600), 1000);
    let (mut walls, mut cpus, mut peaks, mut yardsticks, mut ratios) =
        (vec![], vec![], vec![], vec![], vec![]);
    let (mut verdict, mut endpoint_cpu, mut requests) = (None, vec![], 0);
    for nth in 0..bench.runs {
        // Also brings the file into the page cache, for whoever comes first.
        let yardstick = meter::openssl_sha256(&log).as_secs_f64();
        let run = caught_up(bench.program, &log, written, latency, nth == 0);
        if !run.arrived {
            table.note("not everything arrived in time");
        }
        walls.push(run.wall_s);
        cpus.push(run.cpu_s);
        peaks.push(run.peak_mib);
        yardsticks.push(yardstick);
        ratios.push(run.cpu_s / yardstick);
        endpoint_cpu.push(run.endpoint_cpu_s);
        requests = run.requests;
        verdict = verdict.or(run.verdict);
    }
    let call = latency.map_or(String::new(), |latency| {
        format!(", each call takes {} ms", latency.as_millis())
    });
    let name = if latency.is_some() {
        "catchup-slow"
    } else {
        "catchup"
    };
    let megabytes = written.bytes as f64 / 1e6;
    table.row(
        bench.program.name(),
        name,
        &format!("{lines} lines, {megabytes:.0} MB{call}"),
    );
    // Targets are for the full size.
    let target = |most: f64| {
        if bench.quick {
            Target::Open
        } else {
            bench.target(most)
        }
    };
    let (wall, peak) = if latency.is_some() {
        (2.5, 30.0)
    } else {
        (1.7, 20.0)
    };
    table.figure("wall", &walls, "s", target(wall));
    if latency.is_none() {
        table.figure("processor", &cpus, "s", target(1.0));
        table.figure("yardstick: openssl sha256", &yardsticks, "s", Target::Open);
        table.figure("processor ÷ yardstick", &ratios, "×", target(5.5));
        table.ratio(
            bench.program.name(),
            "catchup_cpu_vs_openssl_sha256",
            meter::median(&ratios),
        );
    } else {
        table.figure("processor", &cpus, "s", Target::Open);
    }
    table.ratio(
        bench.program.name(),
        &format!("{}_wall_vs_openssl_sha256", name.replace('-', "_")),
        meter::median(&walls) / meter::median(&yardsticks),
    );
    table.figure("peak memory", &peaks, "MiB", target(peak));
    table.figure("the endpoint's processor", &endpoint_cpu, "s", Target::Open);
    table.note(&format!("{requests} requests"));
    if let Some(verdict) = verdict {
        bench.show_verdict(table, &verdict);
    }
}

fn steady(bench: &Bench<'_>, table: &mut Table, flush: Option<Duration>) {
    const RATE: u64 = 5000;
    let seconds = bench.scaled(30);
    let stage = Stage::new(Options::default());
    let mut setup = stage.setup();
    setup.flush = flush;
    let running = bench.start(&setup);
    let plan = Plan::new(stage.log(), 0, RATE).lines(RATE * (seconds + 3));
    let writer = plan.start();
    // Past the start, the group's making, and the first growth of buffers.
    std::thread::sleep(Duration::from_secs(2));
    let before = at_once(&running);
    std::thread::sleep(Duration::from_secs(seconds));
    let after = at_once(&running);
    let written = writer.finish();
    let verdict = stage.verdict(&[written]);
    let cost = Cost::between(before, after);
    let peak = running.reading().peak_rss_bytes;
    running.terminate(Duration::from_secs(30));
    let yardstick = {
        let bytes = RATE as f64 * cost.wall.as_secs_f64() * 222.0;
        meter::openssl_sha256(&stage.log()).as_secs_f64() * bytes / written.bytes as f64
    };
    let (name, cpu, p99) = match flush {
        None => ("steady", 2.5, 1000.0),
        Some(_) => ("steady-fast", 4.0, 100.0),
    };
    let flush = flush.map_or("default".to_owned(), |flush| {
        format!("{} ms", flush.as_millis())
    });
    table.row(
        bench.program.name(),
        name,
        &format!("{RATE} lines/s for {seconds} s, flush {flush}"),
    );
    table.figure("processor", &[cost.cpu_pct()], "%", bench.target(cpu));
    table.figure(
        "yardstick: openssl sha256",
        &[100.0 * yardstick / cost.wall.as_secs_f64()],
        "%",
        Target::Open,
    );
    table.ratio(
        bench.program.name(),
        &format!("{}_cpu_vs_openssl_sha256", name.replace('-', "_")),
        cost.cpu.as_secs_f64() / yardstick,
    );
    table.figure("latency p50", &[verdict.latency_ms.p50], "ms", Target::Open);
    table.figure(
        "latency p99",
        &[verdict.latency_ms.p99],
        "ms",
        bench.target(p99),
    );
    table.figure("latency max", &[verdict.latency_ms.max], "ms", Target::Open);
    table.figure("peak memory", &[mib(peak)], "MiB", bench.target(15.0));
    table.figure(
        "context switches",
        &[cost.switches as f64 / cost.wall.as_secs_f64()],
        "/s",
        Target::Open,
    );
    bench.show_verdict(table, &verdict);
}

fn quiet(bench: &Bench<'_>, table: &mut Table) {
    let times = if bench.quick { 5 } else { 30 };
    let stage = Stage::new(Options::default());
    let mut written = writer::fill(&stage.log(), 0, 1, Duration::ZERO, 1);
    let running = bench.start(&stage.setup());
    assert!(
        stage.until_arrived(1).is_some(),
        "the first line did not arrive; {}",
        running.said()
    );
    let mut random = StdRng::seed_from_u64(1);
    for line in 0..times {
        // Longer than any flush interval, and never in step with a poll.
        let gap = Duration::from_millis(random.random_range(1500..3000));
        std::thread::sleep(if bench.is_ours() { gap } else { gap * 3 });
        let more = Plan::new(stage.log(), 1 + line, 0).lines(1).start();
        written.lines = more.finish().lines;
    }
    let all: Vec<_> = (0..=times)
        .map(|writer| Written { writer, ..written })
        .collect();
    let verdict = {
        stage.verdict(&all);
        // Only the lines into the quiet file: the first one waited for the agent to start.
        let mut checker = Checker::default();
        stage.endpoint.each_event(GROUP, STREAM, |event| {
            if !event.message.contains("/w00000/") {
                checker.take(event);
            }
        });
        checker.verdict(&all[1..])
    };
    running.terminate(Duration::from_secs(30));
    table.row(
        bench.program.name(),
        "quiet",
        &format!("one line into a quiet file, {times} times"),
    );
    table.figure(
        "latency p50",
        &[verdict.latency_ms.p50],
        "ms",
        bench.target(30.0),
    );
    table.figure(
        "latency max",
        &[verdict.latency_ms.max],
        "ms",
        bench.target(100.0),
    );
    bench.show_verdict(table, &verdict);
}

fn idle(bench: &Bench<'_>, table: &mut Table) {
    const FILES: u16 = 10;
    let seconds = bench.scaled(30);
    let stage = Stage::new(Options::default());
    let mut setup = stage.setup();
    setup.files = (0..FILES)
        .map(|index| {
            let path = chorus::path(stage.folder.path(), index);
            writer::fill(&path, index, 1000, Duration::from_secs(600), 100);
            Followed::access(path, GROUP, &format!("file-{index}"))
        })
        .collect();
    let running = bench.start(&setup);
    assert!(
        stage.until_arrived(1000 * u64::from(FILES)).is_some(),
        "the files were not shipped; {}",
        running.said()
    );
    // Until it has settled: directories watched again, buffers given back.
    std::thread::sleep(Duration::from_secs(5));
    let before = at_once(&running);
    std::thread::sleep(Duration::from_secs(seconds));
    let after = at_once(&running);
    let cost = Cost::between(before, after);
    table.row(
        bench.program.name(),
        "idle",
        &format!("{FILES} quiet files for {seconds} s"),
    );
    let per_30_s = cost.cpu.as_secs_f64() * 30.0 / cost.wall.as_secs_f64();
    table.figure("processor in 30 s", &[per_30_s], "s", bench.target(0.015));
    table.figure(
        "processor in an hour",
        &[per_30_s * 120.0],
        "s",
        Target::Open,
    );
    table.figure(
        "context switches",
        &[cost.switches as f64 / cost.wall.as_secs_f64()],
        "/s",
        bench.target(4.0),
    );
    table.figure(
        "memory",
        &[mib(after.1.rss_bytes)],
        "MiB",
        bench.target(12.0),
    );
    table.figure(
        "descriptors",
        &[after.1.descriptors as f64],
        "",
        Target::Open,
    );
    table.figure("threads", &[after.1.threads as f64], "", Target::Open);
    running.terminate(Duration::from_secs(30));
}

/// The whole service on an idle host: ten quiet files and the metrics that are measured by default.
fn service_idle(bench: &Bench<'_>, table: &mut Table, interval: &'static str, seconds: u64) {
    const FILES: u16 = 10;
    let seconds = bench.scaled(seconds);
    let stage = Stage::new(Options::default());
    let mut setup = stage.setup();
    setup.metrics = Some(match interval {
        "60s" => "interval = \"60s\"",
        _ => "interval = \"1s\"",
    });
    setup.files = (0..FILES)
        .map(|index| {
            let path = chorus::path(stage.folder.path(), index);
            writer::fill(&path, index, 1000, Duration::from_secs(600), 100);
            Followed::access(path, GROUP, &format!("file-{index}"))
        })
        .collect();
    let running = bench.start(&setup);
    assert!(
        stage.until_arrived(1000 * u64::from(FILES)).is_some(),
        "the files were not shipped; {}",
        running.said()
    );
    std::thread::sleep(Duration::from_secs(5));
    let (before, requests) = (at_once(&running), stage.endpoint.stats().requests);
    std::thread::sleep(Duration::from_secs(seconds));
    let after = at_once(&running);
    let requests = stage.endpoint.stats().requests - requests;
    let cost = Cost::between(before, after);
    table.row(
        bench.program.name(),
        "service-idle",
        &format!("{FILES} quiet files, the default metrics each {interval}, for {seconds} s"),
    );
    table.figure("processor", &[cost.cpu_pct()], "%", bench.target(0.2));
    let an_hour = cost.cpu.as_secs_f64() * 3600.0 / cost.wall.as_secs_f64();
    table.figure("processor in an hour", &[an_hour], "s", Target::Open);
    let (rss, pss) = (after.1.rss_bytes, after.1.pss_bytes);
    table.figure("memory", &[mib(rss)], "MiB", bench.target(15.0));
    table.figure("of it not shared (PSS)", &[mib(pss)], "MiB", Target::Open);
    let peak = after.1.peak_rss_bytes;
    table.figure("peak memory", &[mib(peak)], "MiB", Target::Open);
    let a_minute = requests as f64 * 60.0 / cost.wall.as_secs_f64();
    table.figure("requests", &[a_minute], "/min", Target::Open);
    table.figure(
        "context switches",
        &[cost.switches as f64 / cost.wall.as_secs_f64()],
        "/s",
        Target::Open,
    );
    table.figure("threads", &[after.1.threads as f64], "", Target::Open);
    running.terminate(Duration::from_secs(30));
}

/// 210,000 lines at 5,000 a second, turned over six times by the writer itself, between two lines: nothing may be missing.
fn rotations(bench: &Bench<'_>, table: &mut Table, name: &str, turn: Turn) {
    let lines = bench.scaled(210_000);
    let stage = Stage::new(Options::default());
    let running = bench.start(&stage.setup());
    let turns = (1..=6).map(|number| (lines / 7 * number, turn)).collect();
    let writer = Plan::new(stage.log(), 0, 5000)
        .lines(lines)
        .rotations(turns)
        .start();
    let written = writer.finish();
    let verdict = stage.verdict(&[written]);
    let peak = running.reading().peak_rss_bytes;
    running.terminate(Duration::from_secs(30));
    table.row(
        bench.program.name(),
        name,
        &format!("six, by the writer, {lines} lines at 5,000/s"),
    );
    bench.show_verdict(table, &verdict);
    table.figure("latency max", &[verdict.latency_ms.max], "ms", Target::Open);
    table.figure("peak memory", &[mib(peak)], "MiB", Target::Open);
}

/// The same by the real logrotate, which the writer does not wait for.
fn logrotate(bench: &Bench<'_>, table: &mut Table) {
    if Version::Today.program().is_none() {
        table.row(
            bench.program.name(),
            "logrotate",
            "left out: there is none here",
        );
        return;
    }
    for (what, options) in [
        ("rename", &["nocreate", "delaycompress", "compress"][..]),
        ("copytruncate", &["copytruncate"][..]),
    ] {
        let lines = bench.scaled(210_000);
        let stage = Stage::new(Options::default());
        let running = bench.start(&stage.setup());
        let logrotate = Logrotate::new(
            stage.folder.path(),
            &stage.log().display().to_string(),
            options,
        );
        let writer = Plan::new(stage.log(), 0, 5000).lines(lines).start();
        for number in 1..=6 {
            wait::until(LIMIT, Duration::from_millis(5), || {
                (writer.lines() >= lines / 7 * number).then_some(())
            });
            logrotate.force();
            if what == "rename" {
                writer.reopen();
            }
        }
        let written = writer.finish();
        let verdict = stage.verdict(&[written]);
        running.terminate(Duration::from_secs(30));
        table.row(
            bench.program.name(),
            "logrotate",
            &format!("six times by logrotate ({what}), {lines} lines at 5,000/s"),
        );
        if what == "rename" {
            bench.show_verdict(table, &verdict);
        } else {
            // What is written between logrotate's last read and its truncation is in no file any more.
            table.figure("lost", &[verdict.lost as f64], "lines", Target::Open);
            table.figure("twice", &[verdict.twice as f64], "lines", bench.target(0.0));
        }
    }
}

fn kills(bench: &Bench<'_>, table: &mut Table) {
    let lines = bench.scaled(200_000);
    let stage = Stage::new(Options::default());
    let setup = stage.setup();
    let mut running = bench.start(&setup);
    let writer = Plan::new(stage.log(), 0, 5000).lines(lines).start();
    let mut random = StdRng::seed_from_u64(2);
    for kill in 1..=3 {
        let at = lines * kill / 4 + random.random_range(0..lines / 8);
        wait::until(LIMIT, Duration::from_millis(1), || {
            (writer.lines() >= at).then_some(())
        });
        running.kill();
        running = bench.start(&setup);
    }
    let written = writer.finish();
    let verdict = stage.verdict(&[written]);
    running.terminate(Duration::from_secs(30));
    table.row(
        bench.program.name(),
        "kills",
        &format!("SIGKILL three times, {lines} lines at 5,000/s"),
    );
    bench.show_verdict(table, &verdict);
    table.figure("latency max", &[verdict.latency_ms.max], "ms", Target::Open);
}

fn outage(bench: &Bench<'_>, table: &mut Table) {
    const RATE: u64 = 2000;
    let down = Duration::from_secs(bench.scaled(60));
    let lines = bench.scaled(180_000);
    let stage = Stage::new(Options::default());
    let running = bench.start(&stage.setup());
    let writer = Plan::new(stage.log(), 0, RATE).lines(lines).start();
    wait::until(LIMIT, Duration::from_millis(5), || {
        (writer.lines() >= lines / 12).then_some(())
    });
    stage.endpoint.refuse(down);
    std::thread::sleep(down);
    let back = Instant::now();
    let backlog = writer.lines();
    // It has caught up when all that had been written by the return is there.
    let caught_up = stage.until_arrived(backlog).map(|_| back.elapsed());
    let written = writer.finish();
    let verdict = stage.verdict(&[written]);
    let peak = running.reading().peak_rss_bytes;
    running.terminate(Duration::from_secs(30));
    table.row(
        bench.program.name(),
        "outage",
        &format!(
            "endpoint down for {} s, {lines} lines at {RATE}/s",
            down.as_secs()
        ),
    );
    bench.show_verdict(table, &verdict);
    let caught_up = caught_up.unwrap_or(LIMIT).as_secs_f64();
    table.figure("caught up after", &[caught_up], "s", bench.target(5.0));
    table.figure("peak memory", &[mib(peak)], "MiB", bench.target(20.0));
    let off = verdict.stamp_error_ms as f64 / 1000.0;
    table.figure("stamps off by at most", &[off], "s", bench.target(0.0));
}

/// The same rate over more and more files.
fn files(bench: &Bench<'_>, table: &mut Table) {
    const RATE: u64 = 5000;
    table.row(
        bench.program.name(),
        "files",
        &format!("{RATE} lines/s in all, over more and more files"),
    );
    let counts: &[u16] = if bench.quick {
        &[1, 100]
    } else {
        &[1, 10, 100, 1000]
    };
    for &count in counts {
        measure_load(bench, table, count, RATE, &format!("{count} files"));
    }
}

/// One file at more and more lines a second.
fn rates(bench: &Bench<'_>, table: &mut Table) {
    table.row(
        bench.program.name(),
        "rates",
        "one file at more and more lines a second",
    );
    let rates: &[u64] = if bench.quick {
        &[100, 10_000]
    } else {
        &[10, 100, 1000, 10_000, 100_000, 200_000, 400_000]
    };
    for &rate in rates {
        measure_load(bench, table, 1, rate, &format!("{rate} lines/s"));
    }
}

fn measure_load(bench: &Bench<'_>, table: &mut Table, count: u16, rate: u64, what: &str) {
    let time = Duration::from_secs(bench.scaled(10).max(3));
    let stage = Stage::new(Options::default());
    let mut setup = stage.setup();
    setup.files[0].path = stage.folder.path().join("access-*.log");
    setup.files[0].stream = "{file}".to_owned();
    fs::create_dir_all(stage.folder.path()).unwrap();
    // Files are found and streams made before the clock starts.
    let mut before_lines = 0;
    for index in 0..count {
        let path = chorus::path(stage.folder.path(), index);
        let written = writer::fill(&path, 10_000 + index, 1, Duration::ZERO, 1);
        before_lines += written.lines;
    }
    let running = bench.start(&setup);
    if stage.until_arrived(before_lines).is_none() {
        table.note(&format!("{what}: not found in time; {}", running.said()));
        return;
    }
    std::thread::sleep(Duration::from_secs(2));
    let before = at_once(&running);
    let mut written = chorus::write(stage.folder.path(), count, rate, time);
    let wrote_for = before.0.elapsed();
    let lines: u64 = written.iter().map(|written| written.lines).sum();
    let lag = stage.until_arrived(before_lines + lines);
    let after = at_once(&running);
    let cost = Cost::between(before, after);
    written.extend((0..count).map(|index| Written {
        writer: 10_000 + index,
        lines: 1,
        bytes: 222,
    }));
    let verdict = stage.verdict(&written);
    running.terminate(Duration::from_secs(30));
    let rate_kept = lines as f64 / wrote_for.as_secs_f64();
    table.note(&format!(
        "{what:<16} {:>6.2} % processor, {:>7.0} ns a line, p99 {:>5.0} ms, behind by {:>4.2} s at the end, {:>5.1} MiB, \
         {rate_kept:.0} lines/s written, lost {}, twice {}  (load {})",
        100.0 * cost.cpu.as_secs_f64() / wrote_for.as_secs_f64(),
        1e9 * cost.cpu.as_secs_f64() / lines as f64,
        verdict.latency_ms.p99,
        lag.unwrap_or(LIMIT).as_secs_f64(),
        mib(after.1.peak_rss_bytes),
        verdict.lost,
        verdict.twice,
        meter::load(),
    ));
}
