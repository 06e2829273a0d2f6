//! `baker-agent status` while no agent runs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use baker_agent::account::{Fate, Filtered, GenerationId, Head, Identity, Span};
use baker_agent::ledger::{Record, Store};
use baker_agent::target::{GroupClass, Target};

fn status(state_dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_baker-agent"))
        .arg("status")
        .arg("--state-dir")
        .arg(state_dir)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

#[test]
fn where_no_agent_ever_was_there_is_nothing_to_tell() {
    let directory = tempfile::tempdir().unwrap();
    let output = status(directory.path(), &[]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no agent has worked there yet"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_stopped_agents_ledger_speaks_for_it_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open(directory.path(), "i-1").unwrap());
    let output = status(directory.path(), &[]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("on i-1: not running; this is its ledger's account"),
        "{said}"
    );

    let output = status(directory.path(), &["--output", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["running"], serde_json::Value::Null);
    assert_eq!(report["conserved"], true);
}

/// Found and settled: what a ledger says of one file.
fn records(number: u64) -> [Record; 2] {
    let generation = GenerationId(number);
    let identity = Identity {
        device: 1,
        inode: number,
        head: Head::default(),
    };
    let target = Target {
        group: "g".into(),
        stream: "all".into(),
        retention_days: None,
        class: GroupClass::Standard,
    };
    let span = Span {
        generation,
        start: 0,
        end: 10,
    };
    [
        Record::Found {
            generation,
            identity,
            set: "/var/log/*".into(),
            path: format!("/var/log/application-{number}.log").into(),
            target: Arc::new(target),
            from: 0,
            at_ms: 1_699_999_999_000,
        },
        Record::Settled {
            span,
            fate: Fate::Filtered(Filtered::Empty),
        },
    ]
}

#[test]
fn the_ledger_of_very_many_files_is_told_as_a_whole() {
    const FILES: u64 = 100_000;
    let directory = tempfile::tempdir().unwrap();
    let mut opened = Store::open(directory.path(), "i-1").unwrap();
    for number in 1..=FILES {
        opened.store.append(&records(number));
        if number % 10_000 == 0 {
            opened.store.commit().unwrap();
        }
    }
    drop(opened);
    let output = status(directory.path(), &["--output", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["files"].as_array().unwrap().len() as u64, FILES);
    assert_eq!(report["totals"]["filtered_bytes"]["empty"], 10 * FILES);
    let output = status(directory.path(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("/var/log/application-").count() as u64, FILES);
}

#[test]
fn no_name_in_a_ledger_is_obeyed_by_a_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let mut opened = Store::open(directory.path(), "i-1").unwrap();
    let [found, settled] = records(1);
    let Record::Found {
        generation,
        identity,
        set,
        target,
        from,
        at_ms,
        ..
    } = found
    else {
        unreachable!("it is the first");
    };
    // The last byte is no UTF-8.
    let name = b"/var/log/a\n! all is lost\x1b]0;x\x07\xc2\x9b2J\xe2\x80\xae\xff";
    let path = std::path::PathBuf::from(std::ffi::OsStr::from_bytes(name));
    opened.store.append(&[
        Record::Found {
            generation,
            identity,
            set,
            path,
            target,
            from,
            at_ms,
        },
        settled,
    ]);
    opened.store.commit().unwrap();
    drop(opened);
    for arguments in [&[][..], &["--output", "json"]] {
        let output = status(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            !text
                .replace('\n', "")
                .contains(diagnostics::terminal::is_harmful),
            "{text:?}"
        );
        assert!(!text.lines().any(|line| line.starts_with('!')), "{text}");
        if !arguments.is_empty() {
            let report: serde_json::Value = text.parse().unwrap();
            assert_eq!(report["files"][0]["path"], *String::from_utf8_lossy(name));
        }
    }
}
