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
    runtime.block_on(check(settings, somebody(), offline, NOW_MS))
}

fn somebody() -> Subject {
    Subject {
        name: "baker-agent (groups baker-agent, adm)".into(),
        findings: Vec::new(),
    }
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
    let [state, untimed] = messages(&report, false)[..] else {
        panic!("{text}")
    };
    assert_eq!(state, "will be made");
    assert!(
        untimed.starts_with("1 of its last 3 events have no time"),
        "{untimed}"
    );
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

/// Its findings about a file of this content.
fn found(content: &[u8], more: &str) -> (Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.log"), content).unwrap();
    let settings = settings(
        directory.path(),
        &format!("[[file]]\npath = \"DIR/a.log\"\nstream = \"all\"\n{more}"),
    );
    let report = checked(&settings, true);
    let own = |problem| {
        let all = messages(&report, problem).into_iter();
        let all = all.filter(|it| *it != "will be made");
        all.map(str::to_owned).collect()
    };
    (own(true), own(false))
}

#[test]
fn a_start_that_matches_no_line_or_each_is_told() {
    let start = "multiline = { start = '^\\d{4}-' }\n";
    let with = |lines: &[&str]| found(lines.join("\n").as_bytes(), start);
    let plain = vec!["a line"; 20];
    let (problems, notes) = with(&plain);
    assert!(
        notes.is_empty() && problems.len() == 1,
        "{problems:?} {notes:?}"
    );
    assert!(
        problems[0].contains("matches none of its last 20 lines")
            && problems[0].contains("correct the pattern"),
        "{problems:?}"
    );
    // A few lines may be the rest of an event.
    let (problems, notes) = with(&plain[..3]);
    assert!(
        problems.is_empty() && notes[0].contains("none of its last 3 lines"),
        "{notes:?}"
    );
    let (problems, notes) = with(&["2026-11-23 a"; 10]);
    assert!(problems.is_empty(), "{problems:?}");
    assert!(
        notes[0].contains("matches each of its last 10 lines")
            && notes[0].contains("leave `multiline` out"),
        "{notes:?}"
    );
    let mixed = [&["2026-11-23 a"; 10][..], &["  at x"]].concat();
    assert_eq!(with(&mixed), (vec![], vec![]));
    assert_eq!(
        with(&["2026-11-23 a"; 3]),
        (vec![], vec![]),
        "too few to tell"
    );
    assert_eq!(found(b"", start), (vec![], vec![]));
    // Without `multiline` there is nothing to tell.
    assert_eq!(found(b"a\nb\n", ""), (vec![], vec![]));
}

#[test]
fn patterns_that_no_line_could_ever_match_or_each_does_are_problems() {
    for (more, words) in [
        ("multiline = { start = 'x^' }\n", "can match no line at all"),
        ("multiline = { start = '.' }\n", "matches every line"),
        ("include_lines = ['a$b', '$^c']\n", "nothing would be sent"),
        ("exclude_lines = ['x', '.*']\n", "nothing would be sent"),
    ] {
        let (problems, _) = found(b"", more);
        assert_eq!(problems.len(), 1, "{more}: {problems:?}");
        assert!(problems[0].contains(words), "{more}: {problems:?}");
    }
    let (problems, notes) = found(b"", "exclude_lines = ['a^']\n");
    assert!(
        problems.is_empty() && notes[0].contains("nothing is left out"),
        "{notes:?}"
    );
    let fine =
        "multiline = { start = '^\\S' }\ninclude_lines = ['a', 'b^']\nexclude_lines = ['x']\n";
    assert_eq!(found(b"", fine), (vec![], vec![]));
}

#[test]
fn a_file_that_is_no_utf_8_is_told_with_a_remedy() {
    let text = "2026-11-23 06:00:11 something happened\r\n".repeat(3);
    let wide = |text: &str, little: bool| -> Vec<u8> {
        let bytes = |unit: u16| {
            if little {
                unit.to_le_bytes()
            } else {
                unit.to_be_bytes()
            }
        };
        text.encode_utf16().flat_map(bytes).collect()
    };
    for (content, name) in [
        ([&b"\xff\xfe"[..], &wide(&text, true)].concat(), "UTF-16"),
        ([&b"\xfe\xff"[..], &wide(&text, false)].concat(), "UTF-16"),
        (wide(&text, true), "UTF-16"),
        (wide(&text, false), "UTF-16"),
        (b"\xff\xfe".to_vec(), "UTF-16"),
        (b"\xff\xfe\0\0a\0\0\0".to_vec(), "UTF-32"),
    ] {
        let (problems, notes) = found(&content, "format = \"%F %T\"\n");
        assert_eq!(problems.len(), 1, "{problems:?} {notes:?}");
        assert!(
            problems[0].contains(&format!("written in {name}")) && problems[0].contains("iconv -f"),
            "{problems:?}"
        );
        assert!(notes.is_empty(), "{notes:?}");
    }
    for content in [
        text.as_bytes().to_vec(),
        // Room that was laid out, and what a truncation leaves.
        vec![0; 4_000],
        [&[0; 4_000][..], text.as_bytes()].concat(),
        "日誌".repeat(100).into_bytes(),
        b"\xef\xbb\xbfmarked\n".to_vec(),
        b"a\0b\0".to_vec(),
    ] {
        let (problems, _) = found(&content, "");
        assert!(problems.is_empty(), "{problems:?}");
    }
}

#[test]
fn nothing_of_a_file_or_of_its_name_is_obeyed_by_a_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let evil = "a\nproblem: b\x1b[2J\u{9b}2J\u{202e}.log";
    fs::write(directory.path().join(evil), format!("{evil}\n")).unwrap();
    let settings = settings(directory.path(), "[[file]]\npath = \"DIR/*\"\n");
    let report = checked(&settings, true);
    let text = human(&report);
    assert!(
        !text
            .replace('\n', "")
            .contains(diagnostics::terminal::is_harmful),
        "{text:?}"
    );
    assert!(!text.contains("\nproblem"), "{text}");
    assert!(text.contains(r"a\nproblem: b\x1b[2J"), "{text}");
    let document = diagnostics::terminal::json(&report.to_json()).into_owned();
    assert!(
        !document
            .replace('\n', "")
            .contains(diagnostics::terminal::is_harmful)
    );
    let document: serde_json::Value = document.parse().unwrap();
    let path = document["files"][0]["files"][0]["path"].as_str().unwrap();
    assert!(path.ends_with(evil), "{path:?}");
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
    let [state, untimed, ahead] = messages(&report, true)[..] else {
        panic!("{:#?}", messages(&report, true))
    };
    assert_eq!(state, "is no directory");
    assert!(
        untimed.contains("none of its last events has a time"),
        "{untimed}"
    );
    assert!(ahead.contains("more than 2 hours ahead"), "{ahead}");
    let notes = messages(&report, false).join("\n");
    for expected in [
        "3 files share the stream one",
        "more than 14 days old",
        "no file matches now",
        "what {asg} is was not asked (--offline)",
    ] {
        assert!(notes.contains(expected), "{expected} is not in\n{notes}");
    }
    assert_eq!(report.problems(), 3);
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

/// The whole report, word for word. To accept new words: `BAKER_AGENT_ACCEPT=1 cargo test -p baker-agent --lib check`, then read the diff.
fn reads(name: &str, report: &Report, directory: &Path) {
    let found = human(report).replace(&directory.display().to_string(), "DIR") + "\n";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/checks")
        .join(name);
    if std::env::var_os("BAKER_AGENT_ACCEPT").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        found == expected,
        "{name} reads otherwise now.\n--- expected\n{expected}\n--- found\n{found}"
    );
}

#[test]
fn the_report_of_a_host_where_all_is_well() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    fs::create_dir(directory.path().join("state")).unwrap();
    write(
        "syslog",
        "Nov 23 05:59:58 web CRON[712]: one\nNov 23 06:00:11 web app: two\n",
    );
    write(
        "access.log",
        "10.0.0.1 - - [23/Nov/2026:06:00:12 +0000] \"GET / HTTP/1.1\" 200 3 \"-\" \"curl\"\n",
    );
    let settings = settings(
        directory.path(),
        "[metrics]\ncollect = [\"mem_used_percent\"]\ndimensions = [\"InstanceId\"]\n\
         [defaults]\ngroup = \"cname.domain.com\"\nretention_days = 30\ntimezone = \"UTC\"\n\
         [[file]]\npath = \"DIR/syslog\"\nformat = \"syslog\"\nstream = \"{instance_id}/syslog\"\n\
         [[file]]\npath = \"DIR/access.log\"\nformat = \"nginx-access\"\nstream = \"{instance_id}/nginx\"\n",
    );
    reads("well.txt", &checked(&settings, true), directory.path());
}

#[test]
fn the_report_of_times_and_names_that_are_not_what_was_meant() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    fs::create_dir(directory.path().join("state")).unwrap();
    let syslog = "Nov 23 06:00:11 web app: one\nNov 23 06:00:12 web app: two\n";
    write("wrong.log", syslog);
    write("unsaid.log", syslog);
    write(
        "some.log",
        "2026-11-23 06:00:11 begun\nTraceback:\n2026-11-23 06:00:12 done\n",
    );
    write("empty.log", "");
    let settings = settings(
        directory.path(),
        "[defaults]\ntimezone = \"UTC\"\nstream = \"{instance_id}/{file}\"\n\
         [[file]]\npath = \"DIR/wrong.log\"\nformat = \"nginx-error\"\n\
         [[file]]\npath = \"DIR/unsaid.log\"\ngroup = \"{asg}\"\n\
         [[file]]\npaths = [\"DIR/some.log\", \"DIR/empty.log\"]\nformat = \"%F %T\"\ngroup = \"{tag:Name|none}\"\n",
    );
    let report = checked(&settings, true);
    reads("times.txt", &report, directory.path());
    assert_eq!(report.problems(), 1);
}
