//! What is strange about a file's last lines, and about the patterns that are to find their way in them. Pure.

use super::Finding;
use super::sample::Seen;
use crate::batch::{AGE_MS_MAX, AHEAD_MS_MAX};
use crate::config::FileSettings;
use crate::expressions::{self, Lines};
use crate::frame::Patterns;

/// What another encoding means.
pub(super) fn encoding(encoding: &str) -> Finding {
    Finding::problem(format!(
        "it is written in {encoding}, and baker-agent reads UTF-8 only: its lines would arrive with a zero beside each letter. Let its writer \
         write UTF-8, or copy it on (iconv -f {encoding} -t UTF-8) and name the copy"
    ))
}

/// From so many lines on, a pattern that matches none of them, or each, is no accident.
const MANY_LINES: usize = 10;

/// What is strange about where events of several lines begin.
pub(super) fn starts(seen: &Seen) -> Option<Finding> {
    let (lines, starts) = (seen.lines, seen.starts?);
    if starts == 0 && lines > 1 {
        let message = format!(
            "`multiline.start` matches none of its last {lines} lines, so all of them are one event that is cut where it is too long: correct the \
             pattern (it is matched against each line by itself, from its first character if it begins with ^), or leave `multiline` out"
        );
        return Some(match lines {
            MANY_LINES.. => Finding::problem(message),
            _ => Finding::note(message),
        });
    }
    (starts == lines && lines >= MANY_LINES).then(|| {
        Finding::note(format!(
            "`multiline.start` matches each of its last {lines} lines, so none goes on with the one before: if some should, correct the pattern; if \
             events have one line each, leave `multiline` out, and a line leaves at once instead of waiting for the next"
        ))
    })
}

/// What is said of a whole `[[file]]` whose patterns match no line that there could be, or each.
pub(super) fn patterns(settings: &FileSettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(multiline) = &settings.rules.multiline {
        let pattern = multiline.pattern();
        findings.extend(match expressions::lines(pattern) {
            Some(Lines::None) => Some(Finding::problem(format!(
                "`multiline.start` = \"{pattern}\" can match no line at all, so a file would be one event after the other, each as long as they may \
                 be: correct it, or leave `multiline` out"
            ))),
            Some(Lines::Each) => Some(Finding::problem(format!(
                "`multiline.start` = \"{pattern}\" matches every line, so each is an event that waits for the next one: correct it, or leave `multiline` out"
            ))),
            Some(Lines::Some) | None => None,
        });
    }
    let none = |patterns: &Option<Patterns>| {
        let patterns = patterns.as_ref()?.texts();
        let all = patterns.iter().map(|it| expressions::lines(it));
        all.into_iter()
            .all(|it| it == Some(Lines::None))
            .then(|| patterns.join("\", \""))
    };
    let each = |patterns: &Option<Patterns>| {
        let patterns = patterns.as_ref()?.texts().iter();
        let mut each = patterns.filter(|it| expressions::lines(it) == Some(Lines::Each));
        each.next().cloned()
    };
    if let Some(patterns) = none(&settings.rules.include) {
        findings.push(Finding::problem(format!(
            "`include_lines` = \"{patterns}\" can match no line at all, so nothing would be sent: correct it"
        )));
    }
    if let Some(pattern) = each(&settings.rules.exclude) {
        findings.push(Finding::problem(format!(
            "\"{pattern}\" in `exclude_lines` matches every line, so nothing would be sent: correct it"
        )));
    }
    if let Some(patterns) = none(&settings.rules.exclude) {
        findings.push(Finding::note(format!(
            "`exclude_lines` = \"{patterns}\" can match no line at all, so nothing is left out: correct it, or remove it"
        )));
    }
    findings
}

/// What is strange about the times of a file's last events, where it should have some.
pub(super) fn times(seen: &Seen, now_ms: i64) -> Option<Finding> {
    let untimed = seen.events - seen.timed;
    let such = seen.untimed.as_deref().unwrap_or_default();
    let better = match seen.better {
        Some((name, times)) => format!("; format = \"{name}\" finds {times}"),
        None => String::new(),
    };
    if seen.events > 0 && seen.timed == 0 {
        return Some(Finding::problem(format!(
            "none of its last events has a time that `format` finds, such as \"{such}\": they would be sent with the time of \
             reading{better}"
        )));
    }
    // The time of the newest event that has one of its own.
    let newest = seen.last.iter().rev().find_map(|sample| sample.unix_ms);
    let ahead_ms = newest.map_or(0, |ms| ms.saturating_sub(now_ms));
    if ahead_ms > AHEAD_MS_MAX {
        return Some(Finding::problem(
            "its last event is more than 2 hours ahead: look at `timezone` and at this host's clock",
        ));
    }
    if -ahead_ms > AGE_MS_MAX {
        return Some(Finding::note(
            "its last event is more than 14 days old: CloudWatch takes no such events",
        ));
    }
    (untimed > 0).then(|| {
        Finding::note(format!(
            "{untimed} of its last {} events have no time that `format` finds, such as \"{such}\": each gets that of the event \
             before it; if they belong to it, say so with `multiline`{better}",
            seen.events
        ))
    })
}

/// Times that are there, and that nobody looks for.
pub(super) fn unused_times(seen: &Seen) -> Option<Finding> {
    let (name, times) = seen.better?;
    (times * 2 > seen.events).then(|| {
        Finding::note(format!(
            "format = \"{name}\" would find the time in {times} of its last {} events; without a format they get that of reading",
            seen.events
        ))
    })
}
