//! `baker-agent import`: what it makes of configurations that people have, word for word.
//!
//! Each `NAME.json` in `tests/imports` is a case, `NAME.transcript` what the command prints and returns. To accept new words:
//! `BAKER_AGENT_ACCEPT=1 cargo test -p baker-agent --test import`, then read the diff.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/imports")
}

fn agent(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baker-agent"));
    command.args(arguments).current_dir(cases()).env_clear();
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn says_what_it_said(case: &str) -> Output {
    let file = format!("{case}.json");
    let output = agent(&["import", &file]).output().unwrap();
    let found = format!(
        "$ baker-agent import {file}\n{}--- stderr\n{}exit {}\n",
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap()
    );
    let golden = cases().join(format!("{case}.transcript"));
    if std::env::var_os("BAKER_AGENT_ACCEPT").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        found == expected,
        "{case} says something else now.\n--- expected\n{expected}\n--- found\n{found}"
    );
    output
}

/// The configuration is one that the agent runs with.
fn imported(case: &str, exit: i32) {
    let output = says_what_it_said(case);
    assert_eq!(output.status.code(), Some(exit));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("baker-agent.toml");
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let toml = text(&output.stdout);
    // As root or not, there is a place for the state.
    let toml = match toml.contains("\n[agent]\n") {
        true => toml.replace(
            "\n[agent]\n",
            &format!("\n[agent]\nstate_dir = {state:?}\n"),
        ),
        false => format!("{toml}\n[agent]\nstate_dir = {state:?}\n"),
    };
    fs::write(&config, &toml).unwrap();
    let check = agent(&[
        "check",
        "--offline",
        "--config",
        config.to_str().unwrap(),
        "--output",
        "json",
    ]);
    let check = { check }
        .env("BAKER_AGENT_INSTANCE_ID", "i-1")
        .output()
        .unwrap();
    assert_eq!(
        check.status.code(),
        Some(0),
        "{}{}\n{toml}",
        text(&check.stdout),
        text(&check.stderr)
    );
}

fn refused(case: &str) {
    let output = says_what_it_said(case);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn what_the_wizard_writes_for_metrics_alone_is_carried_over() {
    imported("basic", 0);
}

#[test]
fn what_the_wizard_writes_as_its_standard_is_carried_over_but_for_other_programs_metrics() {
    imported("standard", 8);
}

#[test]
fn a_jenkins_hosts_configuration_is_carried_over_as_far_as_it_goes() {
    imported("jenkins", 8);
}

#[test]
fn broken_json_is_refused_at_the_slip() {
    refused("syntax");
}

#[test]
fn values_of_another_type_are_refused_each_at_its_place() {
    refused("types");
}

#[test]
fn another_kind_of_json_is_refused() {
    refused("dashboard");
}

#[test]
fn a_pipe_is_read_and_a_program_gets_one_document() {
    let input = File::open(cases().join("standard.json")).unwrap();
    let mut command = agent(&["import", "-", "--output", "json"]);
    let output = command.stdin(Stdio::from(input)).output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    assert_eq!(text(&output.stderr), "");
    let document: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        document["toml"]
            .as_str()
            .unwrap()
            .contains("group = \"auth.log\"")
    );
    let lost: Vec<&str> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["carried"] == false)
        .map(|finding| finding["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        lost,
        [
            "metrics.metrics_collected.collectd",
            "metrics.metrics_collected.statsd"
        ]
    );
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let output = agent(&["import", "nowhere.json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: cannot read nowhere.json: No such file"));
}
