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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Running;

    fn status(running: Option<Running>) -> Status {
        Status::new(
            "i-1".into(),
            0,
            running,
            Vec::new(),
            crate::status::Account::default(),
            Vec::new(),
        )
    }

    fn shown(points: &[(Series, f64)]) -> Vec<(String, &str, f64)> {
        let name = |series: &Series| {
            let labels = series.labels.iter();
            let labels: String = labels
                .map(|(name, value)| format!(" {name}={value}"))
                .collect();
            format!("{}{labels}", series.name)
        };
        let shown = points.iter();
        shown
            .map(|(series, value)| (name(series), &*series.unit, *value))
            .collect()
    }

    #[test]
    fn the_first_report_tells_only_what_is_true_at_one_instant() {
        let running = Running {
            oldest_unshipped_ms: Some(1_500),
            events_shipped: 70,
            ..Running::default()
        };
        let points = points(None, &status(Some(running)));
        let age = "baker_agent_oldest_unshipped_age".to_owned();
        assert_eq!(shown(&points), [(age, "Seconds", 1.5)]);
        assert_eq!(super::points(None, &status(None)), []);
    }

    #[test]
    fn what_happened_between_two_reports_is_told_and_a_reason_from_when_it_occurs() {
        let running = |events_shipped, retries| {
            Some(Running {
                events_shipped,
                retries,
                ..Running::default()
            })
        };
        let (mut before, mut after) = (status(running(70, 1)), status(running(100, 3)));
        before.totals.shipped_bytes = 1_000;
        after.totals.shipped_bytes = 1_600;
        before.totals.lost_bytes.insert("backlog".into(), 5);
        after.totals.lost_bytes.insert("backlog".into(), 5);
        after.totals.lost_bytes.insert("copytruncate".into(), 9);
        let all = points(Some(&before), &after);
        let expected = [
            ("baker_agent_oldest_unshipped_age", "Seconds", 0.0),
            ("baker_agent_lines_shipped", "Count", 30.0),
            ("baker_agent_bytes_shipped", "Bytes", 600.0),
            ("baker_agent_retries", "Count", 2.0),
            ("baker_agent_bytes_rejected", "Bytes", 0.0),
            ("baker_agent_bytes_lost", "Bytes", 9.0),
            ("baker_agent_bytes_lost reason=copytruncate", "Bytes", 9.0),
        ];
        let expected = expected.map(|(name, unit, value)| (name.to_owned(), unit, value));
        assert_eq!(shown(&all), expected);
    }

    #[test]
    fn a_ledger_that_began_anew_is_no_negative_growth() {
        let mut before = status(Some(Running::default()));
        before.totals.shipped_bytes = 1_000;
        let after = status(Some(Running::default()));
        assert!(
            points(Some(&before), &after)
                .iter()
                .all(|(_, value)| *value == 0.0)
        );
    }
}
