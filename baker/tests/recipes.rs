//! What `baker check` says of recipes, word for word.
//!
//! Each directory in `tests/recipes` is a case; its `transcript.txt` is what the command prints and
//! returns. To accept new words: `BAKER_ACCEPT=1 cargo test -p baker --test recipes`, then read the diff.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A screen of a terminal that nobody enlarged, generously.
const SCREEN_LINES: usize = 100;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes")
}

fn baker(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_baker"))
        .args(arguments)
        .current_dir(cases())
        .env_clear()
        .output()
        .unwrap()
}

/// The command, what it printed, and what it returned.
fn transcript(arguments: &[&str]) -> String {
    let output = baker(arguments);
    format!(
        "$ baker {}\n{}{}exit {}\n",
        arguments.join(" "),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        output.status.code().unwrap(),
    )
}

fn says_what_it_said(case: &str, arguments: &[&str], exit: i32) {
    let found = transcript(arguments);
    let golden = cases().join(case).join("transcript.txt");
    if std::env::var_os("BAKER_ACCEPT").is_some() {
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
    says_what_it_said(case, &["check", case], 2);
}

#[test]
fn unknown_key_is_refused_with_its_line() {
    refused("unknown_key");
}

#[test]
fn wrong_type_is_refused_with_an_example() {
    refused("wrong_type");
}

#[test]
fn missing_file_is_refused_with_the_one_that_was_meant() {
    refused("missing_file");
}

#[test]
fn unknown_variable_is_refused_in_strings_and_templates() {
    refused("unknown_variable");
}

#[test]
fn broken_toml_is_refused_at_the_slip() {
    refused("syntax");
}

#[test]
fn steps_and_layers_must_say_one_thing() {
    refused("steps_and_layers");
}

#[test]
fn values_that_aws_or_the_host_would_refuse_are_refused_first() {
    refused("bad_values");
}

#[test]
fn recipes_that_stand_on_each_other_are_refused() {
    refused("cycle");
}

#[test]
fn problems_of_the_base_are_shown_in_the_base() {
    refused("base_problem");
}

#[test]
fn missing_base_is_refused_where_it_is_named() {
    refused("missing_base");
}

#[test]
fn a_wrong_agent_is_refused_at_each_of_its_keys() {
    refused("bad_agent");
}

#[test]
fn an_agent_that_is_nowhere_is_refused_with_the_way_to_make_one() {
    says_what_it_said(
        "agent_missing",
        &["check", "agent_missing", "--agent", "no/such/agent.deb"],
        2,
    );
}

#[test]
fn a_good_recipe_is_told_in_one_line() {
    says_what_it_said("good", &["check", "good/base", "good/app"], 0);
}
