//! The agent beside another build of itself, in turns, so that whatever else the machine does meets both alike.

use std::time::Duration;

use super::rows::{Bench, CaughtUp, caught_up};
use super::table::{Table, Target};
use crate::support::agent::BakerAgent;
use crate::support::{meter, writer};

/// A catch-up takes at most so much longer than the other build's, and no more memory, as long as a batch holds several seconds.
const WALL_MOST: f64 = 1.1;
const MEMORY_MOST: f64 = 1.0;

/// How long a call takes.
const CALL: Duration = Duration::from_millis(50);

/// Catch-ups with as many lines of one time as a batch takes several times, and with more than it takes.
pub(super) fn catch_ups(bench: &Bench<'_>, table: &mut Table) {
    let Some(than) = bench.than.clone() else {
        return;
    };
    let other = BakerAgent { program: than };
    for (per_second, judged) in [(1_000, true), (10_000, false)] {
        let lines = bench.scaled(1_000_000);
        let source = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let log = source.path().join("access.log");
        let written = writer::fill(&log, 0, lines, Duration::from_secs(3600), per_second);
        for latency in [None, Some(CALL)] {
            // Brings the file into the page cache, and gives both the same beginning.
            meter::openssl_sha256(&log);
            let (mut ours, mut others) = (Vec::new(), Vec::new());
            for run in 0..bench.runs {
                // Who goes first changes, too.
                let mut turn = |first: bool| match first {
                    true => ours.push(caught_up(bench.program, &log, written, latency, run == 0)),
                    false => others.push(caught_up(&other, &log, written, latency, false)),
                };
                let first = run % 2 == 0;
                turn(first);
                turn(!first);
            }
            let call = latency.map_or("at once".to_owned(), |latency| {
                format!("each call takes {} ms", latency.as_millis())
            });
            let what = format!(
                "catch-up of {lines} lines, {per_second} a second, {call}: {} runs of each in turns, beside {}",
                bench.runs,
                other.program.display()
            );
            table.row(bench.program.name(), "versus", &what);
            if ours.iter().chain(&others).any(|run| !run.arrived) {
                table.note("not everything arrived in time");
            }
            let name = format!("catchup_{per_second}{}", latency.map_or("", |_| "_slow"));
            let judged = judged && !bench.quick;
            let mut compare = |figure: &str, unit, most: Option<f64>, of: fn(&CaughtUp) -> f64| {
                let ours: Vec<f64> = ours.iter().map(of).collect();
                let others: Vec<f64> = others.iter().map(of).collect();
                let ratio = meter::median(&ours) / meter::median(&others);
                table.figure(figure, &ours, unit, Target::Open);
                table.figure("  of the other", &others, unit, Target::Open);
                let target = most.filter(|_| judged).map_or(Target::Open, Target::AtMost);
                table.figure("  ratio", &[ratio], "×", target);
                let figure = figure.replace(' ', "_");
                table.ratio(
                    bench.program.name(),
                    &format!("{name}_{figure}_vs_other"),
                    ratio,
                );
            };
            compare("wall", "s", Some(WALL_MOST), |run| run.wall_s);
            compare("processor", "s", None, |run| run.cpu_s);
            compare("peak memory", "MiB", Some(MEMORY_MOST), |run| run.peak_mib);
            compare("requests", "", None, |run| run.requests as f64);
            if let Some(verdict) = ours.first().and_then(|run| run.verdict.as_ref()) {
                bench.show_verdict(table, verdict);
            }
        }
    }
}
