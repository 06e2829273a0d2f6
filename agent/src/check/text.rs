//! The report for people.

use diagnostics::terminal::inline;

use super::{FileReport, Finding, Report, SetReport};

/// The report in lines for a terminal.
#[must_use]
pub fn human(report: &Report) -> String {
    let sources: Vec<String> = report
        .configuration
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let mut lines = vec![format!("configuration  {}", sources.join(", "))];
    lines.push(format!("state          {}", report.state_dir.name));
    lines.extend(findings(&report.state_dir.findings, "               "));
    lines.push(format!("user           {}", report.user.name));
    lines.extend(findings(&report.user.findings, "               "));
    lines.push(format!("host           {}", report.host.name));
    lines.extend(findings(&report.host.findings, "               "));
    match &report.service {
        None => lines.push("service        not asked (--offline)".to_owned()),
        Some(service) => {
            let region = service.region.as_deref().unwrap_or("unknown region");
            let answer = match service.findings.is_empty() {
                true => ": reached; this host may write and read these groups",
                false => "",
            };
            lines.push(format!("service        CloudWatch Logs, {region}{answer}"));
            lines.extend(findings(&service.findings, "               "));
        }
    }
    if let Some(metrics) = &report.metrics {
        lines.push(format!("metrics        {}", metrics.name));
        lines.extend(findings(&metrics.findings, "               "));
    }
    for set in &report.files {
        lines.push(String::new());
        lines.extend(set_lines(set));
    }
    lines.push(String::new());
    lines.push(summary(report));
    // Each of them is one line, whatever is in it.
    let lines: Vec<_> = lines.iter().map(|line| inline(line)).collect();
    lines.join("\n")
}

fn set_lines(set: &SetReport) -> Vec<String> {
    let kept = match set.retention_days {
        None => String::new(),
        Some(days) => format!(" (a new group keeps {days} days)"),
    };
    let mut lines = vec![format!(
        "{} → {} {}{kept}",
        set.patterns.join(", "),
        set.group,
        set.stream
    )];
    lines.extend(findings(&set.findings, "  "));
    for file in &set.files {
        lines.extend(file_lines(file));
    }
    lines
}

fn file_lines(file: &FileReport) -> Vec<String> {
    let size = match file.size_bytes {
        Some(bytes) => format!(", {bytes} bytes"),
        None => String::new(),
    };
    let name = match (&file.group, &file.stream) {
        (Some(group), Some(stream)) => format!(" → {group} {stream}"),
        _ => String::new(),
    };
    let mut lines = vec![format!("  {}{size}{name}", file.path)];
    if let (Some(timed), 1..) = (file.timed, file.events) {
        let events = file.events;
        lines.push(format!("    a time in {timed} of the last {events} events"));
    }
    for sample in &file.last {
        let time = sample.time.as_deref().unwrap_or("no time of its own");
        lines.push(format!("    {time:<29}  {}", sample.text));
    }
    lines.extend(findings(&file.findings, "    "));
    lines
}

fn findings(findings: &[Finding], indent: &str) -> impl Iterator<Item = String> {
    findings.iter().map(move |finding| {
        let mark = if finding.problem { "problem" } else { "note" };
        format!("{indent}{mark}: {}", finding.message)
    })
}

fn summary(report: &Report) -> String {
    let problems = report.problems();
    let notes = report.findings().count() - problems;
    let counted = |number: usize, what: &str| match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    format!(
        "{}, {}",
        counted(problems, "problem"),
        counted(notes, "note")
    )
}
