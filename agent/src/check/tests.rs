#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use super::*;
use crate::config;

/// 2026-11-23 06:00:30 UTC.
const NOW_MS: i64 = 1_795_413_630_000;

fn settings(directory: &Path, files: &str) -> Settings {
    let main = directory.join("baker-agent.toml");
    let text = format!(
        "[agent]\nstate_dir = \"{0}/state\"\ninstance_id = \"i-1\"\n{files}",
        directory.display()
    );
    fs::write(&main, text.replace("DIR", &directory.display().to_string())).unwrap();
    config::load(&main).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

fn checked(settings: &Settings, offline: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(check(settings, offline, NOW_MS))
}

fn messages(report: &Report, problem: bool) -> Vec<&str> {
    report
        .findings()
        .filter(|finding| finding.problem == problem)
        .map(|finding| finding.message.as_str())
        .collect()
}

#[test]
fn a_files_last_lines_are_shown_with_their_times_in_its_zone() {
    let directory = tempfile::tempdir().unwrap();
    let lines = "Nov 23 06:00:11 web app: one\nNov 23 06:00:12 web app: \x1b[31mtwo\n  and more\n";
    fs::write(directory.path().join("a.log"), lines).unwrap();
    let settings = settings(
        directory.path(),
        "[[file]]\npath = \"DIR/a.log\"\nformat = \"syslog\"\ntimezone = \"UTC\"\nstream = \"all\"\n",
    );
    let report = checked(&settings, true);
    let text = human(&report);
    for expected in [
        "2026-11-23 06:00:11.000+00:00  Nov 23 06:00:11 web app: one",
        "2026-11-23 06:00:12.000+00:00  Nov 23 06:00:12 web app: ·[31mtwo",
        "no time of its own               and more",
        "i-1 (as configured)",
        "service        not asked (--offline)",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    assert_eq!(messages(&report, true), Vec::<&str>::new());
    assert_eq!(messages(&report, false), ["will be made"]);
}

#[test]
fn several_lines_of_one_event_are_one_sample() {
    let directory = tempfile::tempdir().unwrap();
    let lines = "2026-11-23 06:00:11 E\n  at x\n  at y\n2026-11-23 06:00:12 F\n";
    fs::write(directory.path().join("a.log"), lines).unwrap();
    let settings = settings(
        directory.path(),
        "[[file]]\npath = \"DIR/a.log\"\nformat = \"%F %T\"\nmultiline = { start = '^\\d{4}' }\n",
    );
    let report = checked(&settings, true);
    let last = &report.files[0].files[0].last;
    assert_eq!(last.len(), 2);
    assert_eq!(last[0].text, "2026-11-23 06:00:11 E↵  at x↵  at y");
}

#[test]
fn only_the_end_of_a_large_file_is_read_and_no_half_line_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let mut text = "x".repeat(10_000_000);
    text.push_str("\nlast\n");
    fs::write(directory.path().join("a.log"), text).unwrap();
    let settings = settings(directory.path(), "[[file]]\npath = \"DIR/a.log\"\n");
    let report = checked(&settings, true);
    let last: Vec<&str> = report.files[0].files[0]
        .last
        .iter()
        .map(|sample| sample.text.as_str())
        .collect();
    assert_eq!(last, ["last"]);
}

#[test]
fn what_would_go_wrong_is_told_before_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("a.log"), "no time here\n").unwrap();
    fs::write(path("b.log"), "2026-11-23 12:00:11 x\n").unwrap();
    fs::write(path("c.log"), "2026-10-23 12:00:11 x\n").unwrap();
    fs::write(path("state"), "").unwrap();
    let settings = settings(
        directory.path(),
        "[defaults]\nformat = \"%F %T\"\ntimezone = \"UTC\"\n\
         [[file]]\npaths = [\"DIR/a.log\", \"DIR/b.log\", \"DIR/c.log\"]\ngroup = \"g\"\nstream = \"one\"\n\
         [[file]]\npath = \"DIR/none.log\"\n\
         [[file]]\npath = \"DIR/state\"\nstream = \"{asg}\"\n",
    );
    let report = checked(&settings, true);
    let [state, untimed, ahead, asg] = messages(&report, true)[..] else {
        panic!("{:#?}", messages(&report, true))
    };
    assert_eq!(state, "is no directory");
    assert!(
        untimed.contains("none of its last events has a time"),
        "{untimed}"
    );
    assert!(ahead.contains("more than 2 hours ahead"), "{ahead}");
    assert!(asg.contains("no {asg} here"), "{asg}");
    let notes = messages(&report, false).join("\n");
    for expected in [
        "3 files share the stream one",
        "more than 14 days old",
        "no file matches now",
    ] {
        assert!(notes.contains(expected), "{expected} is not in\n{notes}");
    }
    assert_eq!(report.problems(), 4);
}

#[test]
fn a_file_that_two_patterns_match_belongs_to_the_first() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.log"), "x\n").unwrap();
    let settings = settings(
        directory.path(),
        "[[file]]\npath = \"DIR/*.log\"\n[[file]]\npath = \"DIR/a.log\"\n",
    );
    let report = checked(&settings, true);
    let files: Vec<usize> = report.files.iter().map(|set| set.files.len()).collect();
    assert_eq!(files, [1, 0]);
    let notes = messages(&report, false).join("\n");
    assert!(notes.contains("/*.log, which comes first"), "{notes}");
}

#[test]
fn a_pipe_is_named_and_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&directory.path().join("pipe.log"), mode).unwrap();
    let settings = settings(directory.path(), "[[file]]\npath = \"DIR/pipe.log\"\n");
    let report = checked(&settings, true);
    assert!(messages(&report, true)[0].contains("is no regular file"));
}
