//! Metrics in CloudWatch, held to the clock (no interval without its value) and to what the host's own tools said at the same moments.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bakery::Bakery;
use super::cloud::{self, Metric, Point};
use super::guest::Guest;

/// The interval of the images that are baked here.
pub(crate) const INTERVAL: &str = "2s";
const INTERVAL_S: i64 = 2;
/// A request whose answer was lost is looked for during three minutes (`settle` of `[metrics]`) before it is sent again.
const SETTLED: Duration = Duration::from_secs(4 * 60);
/// Between two questions for metrics that have not come yet.
const PAUSE: Duration = Duration::from_millis(250);
/// How long the host is observed.
const OBSERVED_S: i64 = 16;
/// A sample is taken this long after its time, at most: later, and the next interval has begun.
const LATE_S: f64 = 1.0;
/// What is asked of the log pipeline is left out where that does not answer within most of an interval, as on a machine that has other work: but not
/// oftener than so many times in a hundred, or once.
const UNANSWERED_PERCENT: usize = 5;
const OF_THE_PIPELINE: [&str; 6] = [
    "baker_agent_oldest_unshipped_age",
    "baker_agent_lines_shipped",
    "baker_agent_bytes_shipped",
    "baker_agent_bytes_rejected",
    "baker_agent_bytes_lost",
    "baker_agent_retries",
];
/// Of the processors' time: samples are not exactly an interval apart.
const SHARE_TOLERANCE: f64 = 5.0;
const OBSERVE: &str = include_str!("observe.py");

/// How far a value may lie from what was read just before and just after: others use the machine, too.
const GAUGES: [(&str, f64); 5] = [
    ("mem_used_percent", 0.5),
    ("swap_used_percent", 0.5),
    ("disk_used_percent", 0.1),
    ("disk_inodes_free", 500.0),
    ("netstat_tcp_established", 1.0),
];
/// Counters: their growth over the observation lies between what was read inside of it and what was read around it.
const COUNTERS: [(&str, &str); 5] = [
    ("diskio_read_bytes", "name"),
    ("diskio_write_bytes", "name"),
    ("diskio_io_time", "name"),
    ("net_bytes_recv", "interface"),
    ("net_bytes_sent", "interface"),
];
/// As iostat has them, in columns of kilobytes.
const IOSTAT: [(&str, usize); 2] = [("diskio_read_bytes", 0), ("diskio_write_bytes", 1)];
const KIB: f64 = 1024.0;

/// What the host said of itself at one moment.
struct Look {
    from_s: f64,
    to_s: f64,
    seen: Value,
}

/// Observes the host for a while, and compares.
pub(crate) async fn agree_with_the_host(bakery: &Bakery, guest: &Guest) {
    let looks = observe(guest).await;
    let (first_s, last_s) = (looks[0].to_s, looks[looks.len() - 1].from_s);
    // Whole intervals that were looked at on both sides.
    let from_s = (first_s / INTERVAL_S as f64).ceil() as i64 * INTERVAL_S;
    let to_s = (last_s - LATE_S) as i64 / INTERVAL_S * INTERVAL_S;
    let metrics = without_a_gap(bakery, guest, (from_s, to_s + INTERVAL_S)).await;
    let mut compared = BTreeMap::<&str, usize>::new();
    for (metric, points) in &metrics {
        for (name, tolerance) in GAUGES.iter().filter(|(name, _)| *name == metric.name) {
            assert!(
                metric.name != "disk_used_percent" || metric.dimension("path").is_some(),
                "{metric:?}"
            );
            if metric.dimension("path").is_some_and(|path| path != "/") {
                continue;
            }
            for (at, point) in points {
                between(metric, *at, point, &looks, name, *tolerance);
            }
            *compared.entry(name).or_default() += points.len();
        }
        for (name, label) in COUNTERS.iter().filter(|(name, _)| *name == metric.name) {
            let key = format!("{name} {}", metric.dimension(label).unwrap());
            let counter = |look: &Look| look.seen["counters"][&key].as_f64();
            grown(metric, points, &looks, 0.0, counter);
            *compared.entry(name).or_default() += points.len() - 1;
        }
        for (_, column) in IOSTAT.iter().filter(|(name, _)| *name == metric.name) {
            let device = metric.dimension("name").unwrap();
            let counter = |look: &Look| Some(look.seen["iostat"][device][column].as_f64()? * KIB);
            if counter(&looks[0]).is_some() {
                // iostat shows whole kilobytes.
                grown(metric, points, &looks, 2.0 * KIB, counter);
                *compared.entry("iostat").or_default() += points.len() - 1;
            }
        }
        if ["cpu_usage_active", "cpu_usage_iowait"].contains(&&*metric.name) {
            share(metric, points, &looks);
            *compared.entry("cpu").or_default() += points.len() - 1;
        }
    }
    for (name, _) in GAUGES.iter().chain(&[("cpu", 0.0)]) {
        assert!(compared.contains_key(name), "{name} is not in {metrics:?}");
    }
    println!(
        "metrics: {} each {INTERVAL} for {} s, none missing; values that agree with free, df, /proc{}: {compared:?}",
        metrics.len(),
        to_s - from_s,
        if compared.contains_key("iostat") {
            ", iostat"
        } else {
            " (iostat can't be installed here)"
        },
    );
}

/// Has requests in doubt settled soon, as they can be where statistics show at once: three minutes are long for who waits. Told to the
/// running agent, as an operator would.
pub(crate) async fn settle_soon(guest: &Guest) {
    guest
        .ask(
            "sudo sed -i 's/^\\[metrics\\]$/&\\nsettle = \"20s\"/' /etc/baker-agent/baker-agent.toml && grep -q '^settle' /etc/baker-agent/baker-agent.toml \
             && sudo systemctl reload baker-agent",
        )
        .await;
}

/// Awaits that each metric of the host has exactly one value in each interval from one time until before another.
pub(crate) async fn without_a_gap(
    bakery: &Bakery,
    guest: &Guest,
    (from_s, to_s): (i64, i64),
) -> Vec<(Metric, BTreeMap<i64, Point>)> {
    let expected: Vec<i64> = (from_s..to_s).filter(|at| at % INTERVAL_S == 0).collect();
    let asked = Instant::now();
    let metrics = loop {
        let mut metrics = cloud::metrics(bakery, &guest.id);
        // They begin when there is something to tell.
        metrics.retain(|metric| metric.dimension("reason").is_none());
        let points = cloud::points(bakery, &metrics, (from_s, to_s));
        // What was under way when something went wrong may come after what is newer.
        let whole = |points: &BTreeMap<i64, Point>| points.len() >= expected.len();
        if !metrics.is_empty() && points.iter().all(whole) || asked.elapsed() > SETTLED {
            break metrics.into_iter().zip(points).collect::<Vec<_>>();
        }
        tokio::time::sleep(PAUSE).await;
    };
    assert!(!metrics.is_empty(), "no metrics of {}", guest.id);
    for (metric, points) in &metrics {
        let missing: Vec<_> = expected
            .iter()
            .filter(|at| !points.contains_key(at))
            .collect();
        let allowed = match OF_THE_PIPELINE.contains(&&*metric.name) {
            true => 1 + expected.len() * UNANSWERED_PERCENT / 100,
            false => 0,
        };
        if !missing.is_empty() {
            println!("{}: nothing at {missing:?}", metric.name);
        }
        assert!(
            missing.len() <= allowed,
            "{metric:?} has nothing at {missing:?} of {from_s}..{to_s}"
        );
        let odd: Vec<_> = points
            .iter()
            .filter(|(at, point)| point.count != 1.0 || !expected.contains(at))
            .collect();
        assert!(odd.is_empty(), "{metric:?} has {odd:?}");
    }
    metrics
}

async fn observe(guest: &Guest) -> Vec<Look> {
    // It is not in the image; where the archive can be reached, it is a stranger who counts the same.
    guest
        .ask("command -v iostat || (sudo apt-get update && sudo apt-get install --yes --no-install-recommends sysstat) >/dev/null 2>&1 || true")
        .await;
    let text = guest
        .ask(&format!(
            "python3 - {OBSERVED_S} <<'PYTHON'\n{OBSERVE}\nPYTHON"
        ))
        .await;
    text.lines()
        .map(|line| {
            let seen: Value = serde_json::from_str(line).unwrap();
            let time = |key: &str| seen[key].as_f64().unwrap();
            let (from_s, to_s) = (time("from"), time("to"));
            Look { from_s, to_s, seen }
        })
        .collect()
}

/// What is so at one instant lies between what was read just before and just after.
fn between(metric: &Metric, at: i64, point: &Point, looks: &[Look], name: &str, tolerance: f64) {
    let (from_s, to_s) = (at as f64, at as f64 + LATE_S);
    let before = looks.iter().rposition(|look| look.to_s <= from_s).unwrap();
    let after = looks.iter().position(|look| look.from_s >= to_s).unwrap();
    let read = looks[before..=after]
        .iter()
        .map(|look| look.seen["gauges"][name].as_f64().unwrap());
    let (low, high) = read.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let value = point.average;
    assert!(
        (low - tolerance..=high + tolerance).contains(&value),
        "{metric:?} is {value} at {at}, and the host said {low} to {high}"
    );
}

/// What a counter grew by: all points but the first, which tells of what was before.
fn grown(
    metric: &Metric,
    points: &BTreeMap<i64, Point>,
    looks: &[Look],
    tolerance: f64,
    counter: impl Fn(&Look) -> Option<f64>,
) {
    let (from_s, to_s) = ends(points);
    let told: f64 = points.values().skip(1).map(|point| point.average).sum();
    let before = |at: f64| looks.iter().rev().find(|look| look.to_s <= at).unwrap();
    let after = |at: f64| looks.iter().find(|look| look.from_s >= at).unwrap();
    let growth = |from: &Look, to: &Look| counter(to).unwrap() - counter(from).unwrap();
    let least = growth(after(from_s + LATE_S), before(to_s)) - tolerance;
    let most = growth(before(from_s), after(to_s + LATE_S)) + tolerance;
    assert!(
        (least..=most).contains(&told),
        "{metric:?} grew by {told} from {from_s} to {to_s}, and the host said {least} to {most}"
    );
}

/// A share of the processors' time.
fn share(metric: &Metric, points: &BTreeMap<i64, Point>, looks: &[Look]) {
    let (from_s, to_s) = ends(points);
    let told: f64 = points.values().skip(1).map(|point| point.average).sum();
    let told = told / (points.len() - 1) as f64;
    let near = |at: f64| looks.iter().find(|look| look.from_s >= at).unwrap();
    let ticks = |name: &str| {
        let at = |look: &Look| look.seen["cpu"][name].as_f64().unwrap();
        at(near(to_s)) - at(near(from_s))
    };
    let said = 100.0 * ticks(&metric.name) / ticks("ticks");
    assert!(
        (told - said).abs() < SHARE_TOLERANCE,
        "{metric:?} is {told} on average from {from_s} to {to_s}, and /proc/stat said {said}"
    );
}

fn ends(points: &BTreeMap<i64, Point>) -> (f64, f64) {
    let at = |end: Option<(&i64, &Point)>| *end.unwrap().0 as f64;
    (at(points.first_key_value()), at(points.last_key_value()))
}
