//! Licences ask that their texts go with the binary.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::artefacts::{extracted, own_package, repository, run};

fn names_what_is_linked(text: &str) {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    for name in [
        "aws-lc-sys",
        "aws-sdk-cloudwatch",
        "aws-sdk-cloudwatchlogs",
        "notify",
        "rustls",
        "tokio",
    ] {
        assert!(
            lock.contains(&format!("name = \"{name}\"")),
            "{name} is used no more"
        );
        assert!(text.contains(&format!("\n{name} ")), "{name} is not named");
    }
    assert!(
        !text.contains("see its licence file"),
        "a package names no licence"
    );
    // What only tests use is linked into nothing.
    assert!(!text.contains("\nproptest "));
    for licence in ["Apache License", "Permission is hereby granted"] {
        assert!(text.contains(licence), "no text of {licence:?}");
    }
}

#[test]
fn of_everything_that_is_linked_the_licence_is_named() {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // sudo leaves neither cargo nor rustc in PATH where they are one user's own.
    let tools = Path::new(env!("CARGO")).parent().unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let text = run(Command::new(repository().join("scripts/notices.py"))
        .arg(target)
        .env("PATH", path)
        .current_dir(repository()));
    names_what_is_linked(&text);
}

#[test]
#[ignore = "needs `make dist`"]
fn the_package_carries_them() {
    let files = extracted(&own_package());
    let packed = files
        .path()
        .join("root/usr/share/doc/baker-agent/third-party-licences.gz");
    let text = run(Command::new("gzip")
        .args(["--decompress", "--stdout"])
        .arg(packed));
    names_what_is_linked(&text);
}
