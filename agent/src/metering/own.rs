//! The log pipeline's own metrics, out of two reports. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::spool::Series;
use crate::status::Status;

/// What happened between two reports; of the first one, only what is true at one instant.
#[must_use]
pub fn points(before: Option<&Status>, after: &Status) -> Vec<(Series, f64)> {
    let Some(running) = &after.running else {
        return Vec::new();
    };
    let age_s = running.oldest_unshipped_ms.unwrap_or(0) as f64 / 1_000.0;
    let mut points = vec![point("baker_agent_oldest_unshipped_age", "Seconds", age_s)];
    let Some((before, earlier)) = before.and_then(|it| Some((it, it.running.as_ref()?))) else {
        return points;
    };
    let grown = |after: u64, before: u64| after.saturating_sub(before) as f64;
    let (now, then) = (&after.totals, &before.totals);
    points.extend([
        point(
            "baker_agent_lines_shipped",
            "Count",
            grown(running.events_shipped, earlier.events_shipped),
        ),
        point(
            "baker_agent_bytes_shipped",
            "Bytes",
            grown(now.shipped_bytes, then.shipped_bytes),
        ),
        point(
            "baker_agent_retries",
            "Count",
            grown(running.retries, earlier.retries),
        ),
    ]);
    for (name, now, then) in [
        (
            "baker_agent_bytes_rejected",
            &now.rejected_bytes,
            &then.rejected_bytes,
        ),
        ("baker_agent_bytes_lost", &now.lost_bytes, &then.lost_bytes),
    ] {
        points.push(point(name, "Bytes", grown(sum(now), sum(then))));
        // A metric costs money: a reason has one from when it first occurs.
        for (reason, bytes) in now {
            let more = grown(*bytes, then.get(reason).copied().unwrap_or(0));
            if more > 0.0 {
                let (mut series, value) = point(name, "Bytes", more);
                series.labels.push(("reason".into(), reason.clone().into()));
                points.push((series, value));
            }
        }
    }
    points
}

fn point(name: &'static str, unit: &'static str, value: f64) -> (Series, f64) {
    let series = Series {
        name: Cow::Borrowed(name),
        unit: Cow::Borrowed(unit),
        labels: Vec::new(),
    };
    (series, value)
}

fn sum(reasons: &BTreeMap<String, u64>) -> u64 {
    reasons
        .values()
        .fold(0, |all, one| all.saturating_add(*one))
}
