//! The example says all there is to say, and says what is true.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::sync::Arc;

use super::diagnostics::{Problems, SourceText};
use super::*;

const REFERENCE: &str = include_str!("../../../docs/agent/configuration.md");
const EXAMPLE: &str = include_str!("../../baker-agent.toml");

fn source(path: &str, text: &str) -> Arc<SourceText> {
    Arc::new(SourceText {
        path: path.into(),
        text: text.into(),
    })
}

fn parsed(main: &str, included: &[&str]) -> Result<Settings, String> {
    let included: Vec<_> = included
        .iter()
        .map(|text| source("conf.d/x.toml", text))
        .collect();
    let (settings, problems) = parse::parse(&source("main.toml", main), &included);
    match Problems::of("the configuration", problems) {
        None => Ok(settings),
        Some(problems) => Err(problems.render(false)),
    }
}

/// The keys of each table in the example, commented ones included.
fn keys_of_the_example() -> BTreeSet<(String, String)> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            table = line.to_owned();
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            keys.insert((table.clone(), key.to_owned()));
        }
    }
    keys
}

#[test]
fn the_example_holds_every_key_and_no_other() {
    let code: BTreeSet<_> = parse::tables()
        .into_iter()
        .flat_map(|(table, keys)| keys.into_iter().map(move |k| (table.into(), k.name.into())))
        .collect();
    assert_eq!(keys_of_the_example(), code);
}

#[test]
fn the_reference_lists_every_key_in_its_table() {
    let mut section = "";
    let mut listed = BTreeSet::new();
    for line in REFERENCE.lines() {
        if line.starts_with("## ") {
            section = line.trim_start_matches("## ").trim_matches('`');
        } else if line.contains("**`[defaults]`**") {
            section = "[defaults]";
        }
        let Some((keys, _)) = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once(" |"))
        else {
            continue;
        };
        for key in keys.split(" or ") {
            listed.insert((section.to_owned(), key.trim_matches('`').to_owned()));
        }
    }
    for (table, keys) in parse::tables() {
        for key in keys {
            let row = (table.to_owned(), key.name.to_owned());
            assert!(listed.contains(&row), "{row:?} is not in the reference");
        }
    }
    for name in Format::presets() {
        assert!(REFERENCE.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_ready_made_files_are_valid_and_get_along_with_each_other() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/conf.d");
    let texts: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert!(texts.len() >= 4);
    parsed("", &texts).unwrap();
}

#[test]
fn the_example_says_the_defaults() {
    let example = parsed(EXAMPLE, &[]).unwrap();
    let silent = parsed("[metrics]\n[[file]]\npath = \"/var/log/syslog\"", &[]).unwrap();
    assert_eq!(format!("{example:#?}"), format!("{silent:#?}"));
    assert_eq!(silent.files.len(), 1);
}

#[test]
fn what_the_example_has_commented_out_is_valid_too() {
    for line in EXAMPLE.lines() {
        let Some(key) = line.strip_prefix('#') else {
            continue;
        };
        if !key.starts_with(|c: char| c.is_ascii_lowercase()) {
            continue;
        }
        let mut text = EXAMPLE.replace(line, key);
        if key.starts_with("paths") {
            text = text.replace("\npath = \"/var/log/syslog\"", "");
        }
        parsed(&text, &[]).unwrap();
    }
}

#[test]
fn the_examples_in_messages_are_valid() {
    for (table, keys) in parse::tables() {
        for key in keys {
            let line = format!("{} = {}", key.name, key.example);
            let text = match (table, key.name) {
                ("[[file]]", "path" | "paths") => format!("[[file]]\n{line}"),
                ("[[file]]", _) => format!("[[file]]\npath = \"/x\"\n{line}"),
                _ => format!("{table}\n{line}\n[[file]]\npath = \"/x\""),
            };
            parsed(&text, &[]).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        }
    }
}

#[test]
fn a_file_says_it_stronger_than_the_defaults() {
    let settings = parsed(
        "[defaults]\ngroup = \"all\"\nretention_days = 30\nformat = \"syslog\"\n\
         [[file]]\npath = \"/a\"\n\
         [[file]]\npath = \"/b\"\ngroup = \"one\"\nretention_days = 0\nformat = \"none\"\n",
        &[],
    )
    .unwrap();
    let [a, b] = settings.files.as_slice() else {
        panic!("{settings:?}")
    };
    assert_eq!((a.retention_days, b.retention_days), (Some(30), None));
    assert_eq!((a.format.is_some(), b.format.is_some()), (true, false));
}

#[test]
fn groups_of_one_file_each_may_differ_in_what_they_keep() {
    let text = "[[file]]\npath = \"/a\"\ngroup = \"/x/{file}\"\nretention_days = 30\n\
                [[file]]\npath = \"/b\"\ngroup = \"/x/{file}\"\n";
    parsed(text, &[]).unwrap();
    let problems = parsed(&text.replace("/x/{file}", "x"), &[]).unwrap_err();
    assert!(
        problems.contains("two values for its retention"),
        "{problems}"
    );
}

#[test]
fn included_files_add_log_files_under_the_defaults_of_the_main_one() {
    let settings = parsed(
        "[defaults]\nretention_days = 7\n",
        &["[[file]]\npath = \"/a\"", "[[file]]\npath = \"/b\""],
    )
    .unwrap();
    let days: Vec<_> = settings.files.iter().map(|f| f.retention_days).collect();
    assert_eq!(days, [Some(7), Some(7)]);
}

#[test]
fn an_included_file_says_nothing_about_the_agent() {
    let problems = parsed("", &["[agent]\n[[file]]\npath = \"/a\""]).unwrap_err();
    assert!(problems.contains("unknown key `agent` in a file of conf.d"));
}

#[test]
fn broken_toml_hides_no_other_file_and_blames_nobody_for_what_it_hides() {
    let problems = parsed("[[file]\n", &["[[file]]\npaht = \"/a\""]).unwrap_err();
    assert!(problems.contains("not valid TOML"), "{problems}");
    assert!(problems.contains("did you mean `path`?"), "{problems}");
    assert!(!problems.contains("names no log file"), "{problems}");
}

#[test]
fn without_its_table_nothing_is_measured_and_below_a_minute_it_is_stored_by_the_second() {
    let file = "[[file]]\npath = \"/a\"";
    assert!(parsed(file, &[]).unwrap().metrics.is_none());
    let of = |text: &str| parsed(&format!("[metrics]\n{text}\n{file}"), &[]);
    let settings = |text: &str| of(text).unwrap().metrics.unwrap();
    assert_eq!(settings("").resolution_s, 60);
    assert_eq!(settings("interval = \"10s\"").resolution_s, 1);
    let sets = settings("interval = \"1s\"\nresolution = \"60s\"");
    assert_eq!((sets.interval.as_secs(), sets.resolution_s), (1, 60));
    for (wrong, told) in [
        ("interval = \"7s\"", "must divide a minute"),
        ("interval = \"500ms\"", "must be from 1s to 1h"),
        ("namespace = \"AWS/EC2\"", "which is Amazon's"),
        ("collect = [\"cpuu\"]", "did you mean"),
        ("dimensions = [\"Instance\"]", "must be `InstanceId`"),
        ("namespace = \"My(App)\"", "letters, digits, blanks"),
        ("rollups = [\"a\"]", "a list of lists"),
        (
            "rollups = [[\"InstanceId\"], [\"AutoscalingGroupName\"]]",
            "did you mean `AutoScalingGroupName`?",
        ),
        ("spool = \"1kB\"", "must be from 1MiB"),
        ("per_core = 1", "true or false"),
    ] {
        let problems = of(wrong).unwrap_err();
        assert!(problems.contains(told), "{wrong}: {problems}");
    }
}
