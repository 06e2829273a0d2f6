//! What `baker-agent check` says of configurations, word for word.
//!
//! Each directory in `tests/configs` is a case; its `transcript.txt` is what the command prints and
//! returns. To accept new words: `BAKER_AGENT_ACCEPT=1 cargo test -p baker-agent --test configs`, then
//! read the diff.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A screen of a terminal that nobody enlarged, generously.
const SCREEN_LINES: usize = 150;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs")
}

fn agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_baker-agent"))
        .args(arguments)
        .current_dir(cases())
        .env_clear()
        .output()
        .unwrap()
}

/// The command, what it printed, and what it returned.
fn transcript(arguments: &[&str]) -> String {
    let output = agent(arguments);
    format!(
        "$ baker-agent {}\n{}{}exit {}\n",
        arguments.join(" "),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        output.status.code().unwrap(),
    )
}

fn says_what_it_said(case: &str, arguments: &[&str], exit: i32) {
    let found = transcript(arguments);
    let golden = cases().join(case).join("transcript.txt");
    if std::env::var_os("BAKER_AGENT_ACCEPT").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        found == expected,
        "{case} says something else now.\n--- expected\n{expected}\n--- found\n{found}"
    );
    assert!(found.ends_with(&format!("exit {exit}\n")), "{found}");
    assert!(found.lines().count() <= SCREEN_LINES, "{case} is too long");
}

fn refused(case: &str) {
    let config = format!("{case}/baker-agent.toml");
    says_what_it_said(case, &["check", "--offline", "--config", &config], 2);
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    refused("unknown_key");
}

#[test]
fn a_wrong_type_is_refused_with_an_example() {
    refused("wrong_type");
}

#[test]
fn broken_toml_is_refused_at_the_slip() {
    refused("syntax");
}

#[test]
fn values_out_of_their_limits_are_refused_with_the_limits() {
    refused("bad_values");
}

#[test]
fn metrics_that_cloudwatch_would_not_take_are_refused() {
    refused("bad_metrics");
}

#[test]
fn files_that_can_not_be_read_as_told_are_refused() {
    refused("bad_files");
}

#[test]
fn tables_that_contradict_each_other_are_refused() {
    refused("conflicts");
}

#[test]
fn a_configuration_without_files_is_refused() {
    refused("nothing_to_do");
}

#[test]
fn problems_of_included_files_are_shown_in_them() {
    refused("included");
}

#[test]
fn a_missing_configuration_is_told_with_what_would_be_enough() {
    refused("missing");
}
