//! Where the artefacts are, and the tools to look into them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The checkout.
pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where `make dist` puts things: `dist` in the target folder that this test was built in.
pub(crate) fn folder() -> PathBuf {
    let dist = target_folder().join("dist");
    assert!(
        dist.join("SHA256SUMS").is_file(),
        "there is nothing in {}: run `make dist` first, as `make test` does",
        dist.display()
    );
    dist
}

/// The target folder: this test's own program is in `debug/deps` or `release/deps` of it.
pub(crate) fn target_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

/// Names of what `make dist` made that end in `ending`, in order.
pub(crate) fn named(ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect();
    found.sort();
    found
}

/// Every architecture's package.
pub(crate) fn packages() -> Vec<PathBuf> {
    let found = named(".deb");
    assert!(!found.is_empty(), "no package in {}", folder().display());
    found
}

/// The package for the machine that this runs on.
pub(crate) fn own_package() -> PathBuf {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => panic!("no package is made for {other}"),
    };
    let ending = format!("_{architecture}.deb");
    named(&ending)
        .pop()
        .unwrap_or_else(|| panic!("no package {ending} in {}", folder().display()))
}

/// A package with all that is in it, control files in `DEBIAN`.
pub(crate) fn extracted(package: &Path) -> TempDir {
    let scratch = tempfile::tempdir().unwrap();
    run(Command::new("dpkg-deb")
        .arg("--raw-extract")
        .arg(package)
        .arg(scratch.path().join("root")));
    scratch
}

/// Runs a command and returns what it prints; panics with what it complains of if it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Whether the machine has a program.
pub(crate) fn has(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .unwrap()
        .success()
}
