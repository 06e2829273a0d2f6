//! The report for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use diagnostics::terminal::inline;

use super::{Account, Cost, FileStatus, Metering, Running, Status, sum};

/// The report in lines for a terminal: the agent, its files, the sum, and what goes wrong.
#[must_use]
pub fn human(status: &Status) -> String {
    let mut text = heading(status);
    if !status.files.is_empty() {
        text.push_str("\n\n");
        text.push_str(&table(&status.files));
    }
    text.push_str("\n\n");
    text.push_str(&balance(status));
    if let Some(metrics) = &status.metrics {
        text.push_str("\n\n");
        text.push_str(&metering(metrics, status.taken_unix_ms));
    }
    for complaint in &status.complaints {
        // Writing to a String can't fail.
        let _ = write!(text, "\n\n! {}", inline(complaint));
    }
    text
}

fn heading(status: &Status) -> String {
    let who = format!(
        "baker-agent {} on {}",
        inline(&status.version),
        inline(&status.instance_id)
    );
    match &status.running {
        None => format!("{who}: not running; this is its ledger's account"),
        Some(running) => format!("{who}: {}", running_text(running)),
    }
}

fn running_text(running: &Running) -> String {
    let oldest = match running.oldest_unshipped_ms {
        None => "every line read has arrived".to_owned(),
        Some(ms) => format!("the oldest line under way is {} old", age(ms)),
    };
    let mut text = format!(
        "process {}, up {}{}; {oldest}\n{} in {}",
        running.pid,
        age(running.uptime_ms),
        running.cost.map_or_else(String::new, cost),
        counted(running.events_shipped, "event"),
        counted(running.requests, "request"),
    );
    for (number, what) in [
        (running.retries, "failed"),
        (running.throttled, "throttled"),
        (running.in_flight as u64, "under way"),
        (running.stamps_of_previous, "stamped as the line before"),
        (running.stamps_of_reading, "stamped when read"),
        (running.stamps_ahead, "too far ahead, stamped when read"),
        (running.replaced, "bytes replaced that were no UTF-8"),
    ] {
        if number > 0 {
            let _ = write!(text, ", {number} {what}");
        }
    }
    text
}

fn cost(cost: Cost) -> String {
    format!(
        ", {} of processor time, {:.1} MiB of memory",
        age(cost.cpu_ms),
        cost.resident_bytes as f64 / (1024.0 * 1024.0)
    )
}

const HEADS: [&str; 8] = [
    "FILE",
    "GENERATION",
    "SEEN",
    "SHIPPED",
    "FILTERED",
    "REJECTED",
    "LOST",
    "PENDING",
];

/// A row for each file; under it whatever needs words.
fn table(files: &[FileStatus]) -> String {
    let mut files: Vec<&FileStatus> = files.iter().collect();
    files.sort_by_key(|file| (&file.path, file.generation));
    let rows: Vec<[String; 8]> = files.iter().map(|file| row(file)).collect();
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([HEADS[column].len()]).max().unwrap_or_default()
        })
        .collect();
    let line = |cells: &[&str]| {
        let mut line = format!("{:<width$}", cells[0], width = widths[0]);
        for (cell, width) in cells.iter().zip(&widths).skip(1) {
            let _ = write!(line, "  {cell:>width$}");
        }
        line
    };
    let mut lines = vec![line(&HEADS)];
    for (file, row) in files.iter().zip(&rows) {
        lines.push(line(&row.each_ref().map(String::as_str)));
        lines.extend(notes(file).into_iter().map(|note| format!("  {note}")));
    }
    lines.join("\n")
}

fn row(file: &FileStatus) -> [String; 8] {
    let account = &file.account;
    let ended = if file.ended { " (ended)" } else { "" };
    [
        format!("{}{ended}", inline(&file.path)),
        format!("#{}", file.generation),
        account.seen_bytes.to_string(),
        account.shipped_bytes.to_string(),
        sum(&account.filtered_bytes).to_string(),
        sum(&account.rejected_bytes).to_string(),
        sum(&account.lost_bytes).to_string(),
        account.pending_bytes.to_string(),
    ]
}

fn notes(file: &FileStatus) -> Vec<String> {
    let mut notes = vec![format!(
        "to {} {}",
        inline(&file.group),
        inline(&file.stream)
    )];
    notes.extend(reasons(&file.account));
    if let Some(ms) = file.oldest_unshipped_ms {
        notes.push(format!("oldest line under way: {}", age(ms)));
    }
    let error = file.last_error.as_ref();
    notes.extend(error.map(|error| format!("! {}", inline(error))));
    notes
}

/// Why bytes did not arrive, in a line for each kind.
fn reasons(account: &Account) -> impl Iterator<Item = String> {
    [
        ("filtered", &account.filtered_bytes),
        ("rejected", &account.rejected_bytes),
        ("lost", &account.lost_bytes),
    ]
    .into_iter()
    .filter_map(|(kind, by)| Some(format!("{kind}: {}", listed(by)?)))
}

fn listed(by: &BTreeMap<String, u64>) -> Option<String> {
    let parts: Vec<String> = by
        .iter()
        .filter(|(_, bytes)| **bytes > 0)
        .map(|(reason, bytes)| format!("{bytes} {}", inline(reason)))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The conservation of bytes, to the byte.
fn balance(status: &Status) -> String {
    let totals = &status.totals;
    let mut text = format!(
        "bytes: {} seen = {} shipped + {} filtered + {} rejected + {} lost + {} pending",
        totals.seen_bytes,
        totals.shipped_bytes,
        sum(&totals.filtered_bytes),
        sum(&totals.rejected_bytes),
        sum(&totals.lost_bytes),
        totals.pending_bytes,
    );
    if status.gone.seen_bytes > 0 {
        let gone = status.gone.seen_bytes;
        let _ = write!(text, "\n  {gone} of them in files that are gone");
    }
    for line in reasons(totals) {
        let _ = write!(text, "\n  {line}");
    }
    if !status.conserved {
        text.push_str(
            "\n! the account does not add up: a defect of the agent; please report it with the output of `baker-agent status --output json`",
        );
    }
    text
}

fn metering(metrics: &Metering, now_ms: i64) -> String {
    let since = |at_ms: i64| age(u64::try_from(now_ms - at_ms).unwrap_or(0));
    let measured = metrics.measured_unix_ms.map_or_else(
        || "not yet measured".into(),
        |at| format!("measured {} ago", since(at)),
    );
    let each = match metrics.measures {
        true => format!("each {}", age(metrics.interval_ms)),
        false => "no longer configured".into(),
    };
    let mut text = format!(
        "metrics to {}, {each}: {measured}\n{} sent in {}",
        inline(&metrics.namespace),
        counted(metrics.sent, "datum").replace("datums", "data"),
        counted(metrics.requests, "request"),
    );
    for (number, what) in [
        (metrics.failed, "failed"),
        (metrics.throttled, "throttled"),
        (metrics.in_doubt, "looked for, because the answer was lost"),
    ] {
        if number > 0 {
            let _ = write!(text, ", {number} {what}");
        }
    }
    let waiting = counted(metrics.spooled_points, "point");
    let _ = write!(text, "; {waiting} waiting");
    if let Some(oldest) = metrics.oldest_unix_ms {
        let _ = write!(text, ", the oldest for {}", since(oldest));
    }
    if let Some(dropped) = listed(&metrics.dropped) {
        let _ = write!(text, "\n  dropped: {dropped}");
    }
    if let Some(error) = &metrics.last_error {
        let _ = write!(text, "\n  ! {}", inline(error));
    }
    text
}

fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// An age in its two largest units.
fn age(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}
