//! Metrics of the real binary, each second, against an endpoint at its worst: throttled, failing, cutting connections, losing answers, gone; and the agent killed.
//!
//! Half an hour of an outage is in `metering/tests`, in simulated time.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::endpoint::{self, Endpoint, Kind, Rule, Script, When};
use serde_json::Value;
use support::agent::{BakerAgent, Followed, Running, Setup};
use support::wait::{self, unix_us};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
const NAMESPACE: &str = "CWAgent";
/// Measured each time, whatever the host has.
const METRICS: [&str; 4] = [
    "mem_used_percent",
    "swap_used",
    "baker_agent_rss",
    "baker_agent_oldest_unshipped_age",
];

/// A time in which a second may have been missed, in seconds since 1970.
type Window = (i64, i64);

fn now_s() -> i64 {
    i64::try_from(unix_us() / 1_000_000).unwrap()
}

/// Watches whether this machine itself stands still: then nobody can measure.
struct Stalls {
    end: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<Window>>,
}

impl Stalls {
    fn watch() -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = thread::spawn(move || {
            let mut stalls = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let (began, begun_s) = (Instant::now(), now_s());
                thread::sleep(LOOK);
                if began.elapsed() > Duration::from_millis(250) {
                    stalls.push((begun_s, now_s() + 1));
                }
            }
            stalls
        });
        Self { end, thread }
    }

    fn end(self) -> Vec<Window> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn rule(operation: &str, when: When, kind: Kind) -> Rule {
    Rule {
        operation: Some(operation.into()),
        when,
        kind,
    }
}

/// Most requests fail, in every way.
fn worst() -> Script {
    let put = |probability, kind| rule("PutMetricData", When::Probability(probability), kind);
    let read =
        |probability, kind| rule("GetMetricStatistics", When::Probability(probability), kind);
    Script {
        seed: 7,
        rules: vec![
            put(0.2, Kind::Reset { taken: true }),
            put(0.2, Kind::Reset { taken: false }),
            put(0.1, Kind::Throttle),
            put(
                0.1,
                Kind::Fail {
                    status: 503,
                    taken: true,
                },
            ),
            put(
                0.1,
                Kind::Fail {
                    status: 500,
                    taken: false,
                },
            ),
            put(0.1, Kind::Garbage),
            read(0.3, Kind::Reset { taken: false }),
        ],
    }
}

fn metrics(setup: &Setup) -> Option<Value> {
    let status = BakerAgent::built().status(setup).ok()?;
    status.get("metrics").filter(|it| !it.is_null()).cloned()
}

/// Waits until the metrics stand as wanted.
#[track_caller]
fn await_metrics(setup: &Setup, running: &Running, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = None;
    let found = wait::until(PATIENCE, LOOK, || {
        last = metrics(setup);
        last.clone().filter(|it| wanted(it))
    });
    found.unwrap_or_else(|| panic!("it stays at {last:#?}; {}", running.said()))
}

/// Waits until it has measured after this second.
#[track_caller]
fn await_measured(setup: &Setup, running: &Running, after_s: i64) {
    await_metrics(setup, running, |it| {
        it["measured_unix_ms"].as_i64().unwrap_or(0) > (after_s + 1) * 1_000
    });
}

/// Samples of this host's own metric, by second.
fn samples(endpoint: &Endpoint, name: &str) -> BTreeMap<i64, f64> {
    let mut seconds = BTreeMap::new();
    for datum in endpoint.metric_data(NAMESPACE) {
        if datum.name == name && datum.dimension("InstanceId").is_some() {
            assert_eq!(datum.storage_resolution_s, 1);
            *seconds.entry(datum.unix_ms.div_euclid(1_000)).or_default() += datum.sample_count();
        }
    }
    seconds
}

#[test]
fn every_second_arrives_once_through_faults_kills_and_an_outage() {
    let endpoint = Endpoint::start(endpoint::Config::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    std::fs::write(&log, "").unwrap();
    let file = Followed::access(log, "app", "i-1");
    let mut setup = Setup::new(&endpoint.url(), folder.path(), vec![file]);
    setup.metrics = Some(
        "interval = \"1s\"\nsettle = \"1s\"\ncollect = [\"mem_used_percent\", \"swap_used\", \"agent\"]\ndimensions = [\"InstanceId\"]",
    );
    let agent = BakerAgent::built();
    let stalls = Stalls::watch();
    let mut excused: Vec<Window> = Vec::new();

    let mut running = Running::start(&agent, &setup);
    await_measured(&setup, &running, now_s());
    let first_s = now_s();
    endpoint.set_faults(worst());
    await_measured(&setup, &running, now_s() + 2);
    for _ in 0..2 {
        let killed_s = now_s();
        running.kill();
        running = Running::start(&agent, &setup);
        await_measured(&setup, &running, now_s());
        excused.push((killed_s, now_s()));
    }
    // Gone, and measured all the same.
    endpoint.set_open(false);
    await_measured(&setup, &running, now_s() + 3);
    let killed_s = now_s();
    running.kill();
    running = Running::start(&agent, &setup);
    await_measured(&setup, &running, now_s());
    excused.push((killed_s, now_s()));
    endpoint.set_open(true);
    endpoint.set_faults(Script::default());
    // What was in doubt is looked for; then an end, which sends the rest.
    await_metrics(&setup, &running, |it| {
        let old = now_s() * 1_000 - 12_000;
        let oldest = it["oldest_unix_ms"].as_i64();
        it["in_doubt"] == 0 && oldest.is_none_or(|at| at > old) && it["last_error"].is_null()
    });
    let last_s = now_s();
    let ended = running.terminate(PATIENCE);
    assert_eq!(ended.status.code(), Some(0));
    excused.extend(stalls.end());

    let data = endpoint.metric_data(NAMESPACE);
    let late = data
        .iter()
        .filter(|it| it.arrived_us / 1_000 - it.unix_ms > 2_000);
    assert!(late.count() > 0, "nothing was made up for");
    assert!(data.iter().all(|it| it.arrived_us / 1_000 >= it.unix_ms));
    for name in METRICS {
        let seconds = samples(&endpoint, name);
        let twice: Vec<_> = seconds
            .iter()
            .filter(|(_, samples)| **samples > 1.0)
            .collect();
        assert!(twice.is_empty(), "{name} came twice: {twice:?}");
        let missing: BTreeSet<i64> = (first_s..last_s)
            .filter(|second| !seconds.contains_key(second))
            .filter(|second| {
                !excused
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(second))
            })
            .collect();
        assert!(
            missing.is_empty(),
            "{name} lacks {missing:?}, excused are {excused:?}"
        );
    }
}

#[test]
fn a_reload_changes_what_is_measured_and_the_end_sends_it() {
    let endpoint = Endpoint::start(endpoint::Config::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    std::fs::write(&log, "").unwrap();
    let file = Followed::access(log, "app", "i-1");
    let mut setup = Setup::new(&endpoint.url(), folder.path(), vec![file]);
    let agent = BakerAgent::built();
    let running = Running::start(&agent, &setup);
    wait::until(PATIENCE, LOOK, || agent.status(&setup).ok()).unwrap();
    assert_eq!(metrics(&setup), None);

    setup.metrics = Some("interval = \"1s\"\ncollect = [\"swap\"]\nnamespace = \"Other\"");
    support::agent::Program::command(&agent, &setup);
    running.reload();
    await_metrics(&setup, &running, |it| it["measured_unix_ms"].is_i64());
    setup.metrics = None;
    support::agent::Program::command(&agent, &setup);
    running.reload();
    await_metrics(&setup, &running, |it| it["measures"] == false);
    running.terminate(PATIENCE);
    let names: BTreeSet<String> = endpoint
        .metric_data("Other")
        .into_iter()
        .map(|it| it.name)
        .collect();
    let swap = ["swap_free", "swap_used", "swap_used_percent"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(swap));
}
