//! The shell scripts that make the package, and those that run as root on every host that takes it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::artefacts::{repository, run};

/// Those that dpkg runs, in whatever /bin/sh is there.
fn maintainers() -> Vec<PathBuf> {
    let folder = repository().join("packaging/deb");
    let scripts: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| fs::read(path).unwrap().starts_with(b"#!"))
        .collect();
    assert!(scripts.len() >= 3, "{scripts:?}");
    scripts
}

#[test]
fn those_that_dpkg_runs_are_plain_shell_and_stop_at_the_first_failure() {
    for script in maintainers() {
        let text = fs::read_to_string(&script).unwrap();
        assert!(text.starts_with("#!/bin/sh\n"), "{}", script.display());
        assert!(text.contains("\nset -e\n"), "{}", script.display());
    }
}

#[test]
fn shellcheck_finds_nothing() {
    let ours = ["scripts/dist.sh", "scripts/package.sh"].map(|path| repository().join(path));
    run(Command::new("shellcheck").args(maintainers()).args(ours));
}
