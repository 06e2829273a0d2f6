//! What goes wrong in the subject's logs: queries of Logs Insights over the groups that the configuration names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Subject;
use super::grid::Grid;
use crate::config::FileSettings;
use crate::names::Template;
use crate::stamp::Format;
use crate::target::GroupClass;

/// A query may name so many log groups. Source: StartQuery, API reference.
const MAX_GROUPS: usize = 50;
/// A query may be so long, in characters. Source: StartQuery, API reference.
const MAX_QUERY: usize = 10_000;
/// How many of the last errors are shown.
const LAST: u32 = 50;

/// Words that stand in lines that tell of an error, as syslog, nginx, gunicorn, Python (`ValueError`) and Java (`IllegalStateException`) write them.
const WORDS: &str =
    r"(?i)(\b(err|crit|critical|alert|emerg|panic|fatal|severe|traceback)|error|exception)\b";
/// A status of 500 or more behind the request, in the common and the combined log format.
const STATUS: &str = r#"" 5\d\d "#;

/// Formats of logs in which a line is a request.
const ACCESS: [&str; 2] = ["nginx-access", "apache-access"];

/// What lines of a stream are errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Kinds {
    words: bool,
    status: bool,
}

/// The groups of one class, and what is asked of their streams.
#[derive(Default)]
struct Asked {
    groups: BTreeSet<String>,
    /// By the regular expression of a stream's name.
    streams: BTreeMap<String, Kinds>,
}

pub(super) fn draw(
    files: &[FileSettings],
    subject: &Subject,
    grid: &mut Grid,
    notes: &mut Vec<String>,
) {
    let mut standard = Asked::default();
    let mut infrequent = Asked::default();
    let mut essentials = Asked::default();
    for file in files {
        let asked = match file.class {
            GroupClass::Standard => &mut standard,
            GroupClass::InfrequentAccess => &mut infrequent,
            GroupClass::Essentials => &mut essentials,
        };
        for path in &file.set.patterns {
            let known = |what: &str| known(what, path, subject);
            match whole(&file.group, &known) {
                Some(group) => {
                    asked.groups.insert(group);
                }
                None => {
                    notes.push(format!(
                        "no errors of {path}: the name of its group, {}, is not known from here; a dashboard takes no placeholders",
                        file.group
                    ));
                    continue;
                }
            }
            let kinds = asked
                .streams
                .entry(pattern(&file.stream, &known))
                .or_default();
            match is_access(file.format.as_ref()) {
                true => kinds.status = true,
                false => kinds.words = true,
            }
        }
    }
    // A query asks groups of one class.
    for (asked, class) in [
        (standard, ""),
        (infrequent, " (infrequent access)"),
        (essentials, " (essentials)"),
    ] {
        ask(&asked, class, grid, notes);
    }
}

fn ask(asked: &Asked, class: &str, grid: &mut Grid, notes: &mut Vec<String>) {
    if asked.groups.is_empty() {
        return;
    }
    if asked.groups.len() > MAX_GROUPS {
        notes.push(format!(
            "errors{class}: of {} log groups the first {MAX_GROUPS} are asked, which is as many as a query takes",
            asked.groups.len()
        ));
    }
    let sources: Vec<String> = asked
        .groups
        .iter()
        .take(MAX_GROUPS)
        .map(|group| format!("SOURCE '{group}'"))
        .collect();
    let sources = sources.join(" | ");
    let mut filter = asked.filter();
    if sources.len() + filter.len() > MAX_QUERY - 200 {
        filter = format!("@message like /{WORDS}/ or @message like /{STATUS}/");
        notes.push(format!(
            "errors{class}: too many kinds of streams to tell apart; all are asked for the same"
        ));
    }
    grid.query(json!({
        "title": format!("Errors per minute{class}"),
        "view": "timeSeries",
        "stacked": false,
        "query": format!("{sources} | filter {filter}\n| stats count(*) as errors by bin(1m)"),
    }));
    grid.query(json!({
        "title": format!("The last errors{class}"),
        "view": "table",
        "query": format!(
            "{sources} | filter {filter}\n| fields @timestamp, @logStream, @message\n| sort @timestamp desc\n| limit {LAST}"
        ),
    }));
}

impl Asked {
    /// Which lines are errors: of each kind of stream what is one there.
    fn filter(&self) -> String {
        let mut of: BTreeMap<Kinds, Vec<&str>> = BTreeMap::new();
        for (stream, kinds) in &self.streams {
            of.entry(*kinds).or_default().push(stream);
        }
        let conditions: Vec<String> = of
            .iter()
            .map(|(kinds, streams)| {
                let mut said = Vec::new();
                if kinds.words {
                    said.push(format!("@message like /{WORDS}/"));
                }
                if kinds.status {
                    said.push(format!("@message like /{STATUS}/"));
                }
                let said = said.join(" or ");
                match streams.contains(&ANY) {
                    true => said,
                    false => format!("@logStream like /^({})$/ and ({said})", streams.join("|")),
                }
            })
            .collect();
        match &conditions[..] {
            [one] => one.clone(),
            several => format!("({})", several.join(") or (")),
        }
    }
}

fn is_access(format: Option<&Format>) -> bool {
    let Some(format) = format else {
        return false;
    };
    ACCESS
        .iter()
        .any(|name| Format::preset(name).is_some_and(|preset| preset == *format))
}

/// What is known of a placeholder without being on the host.
fn known(what: &str, path: &str, subject: &Subject) -> Option<String> {
    match (what, subject) {
        ("instance_id", Subject::Instance(id)) => Some(id.clone()),
        ("asg" | "tag:aws:autoscaling:groupName", Subject::Group(name)) => Some(name.clone()),
        // Of a pattern that is no path, or one that is written in another way in a name, it is not.
        ("file", _) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
            path.strip_prefix('/')
                .filter(|path| path.chars().all(plain))
                .map(str::to_owned)
        }
        _ => None,
    }
}

/// The name, if all of it is known.
fn whole(template: &Template, known: &impl Fn(&str) -> Option<String>) -> Option<String> {
    template.parts(known).into_iter().collect()
}

/// Stands for any name.
const ANY: &str = ".*";

/// The regular expression of the names, between slashes.
fn pattern(template: &Template, known: &impl Fn(&str) -> Option<String>) -> String {
    let parts = template.parts(known).into_iter();
    parts
        .map(|part| match part {
            Some(text) => regex::escape(&text).replace('/', "\\/"),
            None => ANY.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use regex::Regex;

    use super::*;

    #[test]
    fn words_of_errors_are_found_and_words_that_only_hold_them_are_not() {
        let words = Regex::new(WORDS).unwrap();
        for line in [
            "Nov 23 06:00:11 web kernel: EXT4-fs error (device xvda1): ext4_find_entry",
            "2026/11/23 06:00:11 [crit] 812#812: *7 connect() failed (111: Connection refused)",
            "[2026-11-23 06:00:11 +0000] [31] [ERROR] Exception in worker process",
            "Traceback (most recent call last):",
            "2026-11-23 06:00:11.123+0000 [id=42]\tSEVERE\thudson.Main#run: failed",
            "java.lang.IllegalStateException: no build",
            "ValueError: invalid literal for int() with base 10",
            "thread 'main' panicked: PANIC: x",
        ] {
            assert!(words.is_match(line), "{line}");
        }
        for line in [
            "Nov 23 06:00:11 web systemd[1]: Started Session 7 of user terry.",
            "2026/11/23 06:00:11 [warn] 812#812: an upstream response is buffered",
            "GET /errors/ferry.png",
        ] {
            assert!(!words.is_match(line), "{line}");
        }
    }

    #[test]
    fn a_status_of_500_and_more_is_an_error_of_an_access_log() {
        let status = Regex::new(STATUS).unwrap();
        let line = |status: &str| {
            format!(
                r#"10.0.0.1 - - [23/Nov/2026:06:00:11 +0000] "GET /error/500 HTTP/1.1" {status} 612 "-" "curl/7.58.0""#
            )
        };
        for code in ["500", "502", "504", "599"] {
            assert!(status.is_match(&line(code)), "{code}");
        }
        for code in ["200", "304", "404", "499"] {
            assert!(!status.is_match(&line(code)), "{code}");
        }
    }
}
