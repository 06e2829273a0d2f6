//! `baker-agent status` while no agent runs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Output};

use baker_agent::ledger::Store;

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
