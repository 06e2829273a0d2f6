//! What is in the package: files, modes, owners, control fields, and that the same inputs give the same bytes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use baker_agent::cli::Cli;
use clap::CommandFactory as _;

use crate::artefacts::{extracted, folder, has, named, packages, repository, run};
use crate::stand_in::{PLAIN, REVISION, StandIn, Surroundings, VERSION, contents};

/// `mode owner path` of everything but the manual pages of commands, which [`pages_of_commands`] knows.
const CONTENTS: &str = include_str!("contents.txt");

/// The manual has a page for each command that `--help` shows.
pub(crate) fn pages_of_commands() -> BTreeSet<String> {
    let command = Cli::command();
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    std::iter::once("baker-agent.8".to_owned())
        .chain(shown.map(|sub| format!("baker-agent-{}.8", sub.get_name())))
        .collect()
}

/// A line of `dpkg-deb --contents` or `tar --list --verbose` without size and time.
pub(crate) fn entry(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [mode, owner, _size, _day, _time, path @ ..] = words.as_slice() else {
        panic!("no line of a listing: {line:?}");
    };
    format!("{mode} {owner} {}", path.join(" "))
}

fn holds_what_it_should(package: &Path) {
    let listing = run(Command::new("dpkg-deb").arg("--contents").arg(package));
    let is_page_of_command = |entry: &String| entry.contains("/man8/baker-agent");
    let (pages, others): (BTreeSet<String>, BTreeSet<String>) =
        listing.lines().map(entry).partition(is_page_of_command);
    let wanted: BTreeSet<String> = CONTENTS.lines().map(str::to_owned).collect();
    assert_eq!(others, wanted, "{}", package.display());
    let wanted: BTreeSet<String> = pages_of_commands()
        .iter()
        .map(|page| format!("-rw-r--r-- root/root ./usr/share/man/man8/{page}.gz"))
        .collect();
    assert_eq!(pages, wanted, "{}", package.display());
}

fn says_what_it_is(package: &Path, version: &str) {
    let field = |name: &str| {
        let mut show = Command::new("dpkg-deb");
        run(show.arg("--field").arg(package).arg(name))
            .trim()
            .to_owned()
    };
    assert_eq!(field("Package"), "baker-agent");
    let said = field("Version");
    assert!(said.starts_with(&format!("{version}-")), "{said}");
    assert!(field("Depends").contains("libc6 (>= 2.27)"));
    let name = format!("baker-agent_{said}_{}.deb", field("Architecture"));
    assert_eq!(package.file_name().unwrap().to_str().unwrap(), name);
}

fn carries_what_was_tested(package: &Path) {
    let files = extracted(package);
    let root = files.path().join("root");
    let conffiles = fs::read_to_string(root.join("DEBIAN/conffiles")).unwrap();
    assert_eq!(conffiles, "/etc/baker-agent/baker-agent.toml\n");
    for (here, there) in [
        (
            "systemd/baker-agent.service",
            "lib/systemd/system/baker-agent.service",
        ),
        (
            "systemd/baker-agent.sysusers",
            "usr/lib/sysusers.d/baker-agent.conf",
        ),
        ("agent/baker-agent.toml", "etc/baker-agent/baker-agent.toml"),
    ] {
        assert!(
            fs::read(repository().join(here)).unwrap() == fs::read(root.join(there)).unwrap(),
            "{there} is not {here}: was `make dist` run since it changed?"
        );
    }
    run(Command::new("md5sum")
        .args(["--check", "--strict", "--quiet", "DEBIAN/md5sums"])
        .current_dir(&root));
}

#[test]
fn holds_exactly_these_files() {
    holds_what_it_should(&StandIn::new().package());
}

#[test]
fn is_described_as_what_it_is() {
    says_what_it_is(&StandIn::new().package(), VERSION);
}

#[test]
fn keeps_what_an_administrator_writes_and_carries_the_unit_that_was_tested() {
    carries_what_was_tested(&StandIn::new().package());
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let stand_in = StandIn::new();
    let first = contents(&stand_in.pack("first", &PLAIN));
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            format!("baker-agent-{VERSION}-x86_64-linux-gnu.tar.gz"),
            format!("baker-agent_{VERSION}-{REVISION}_amd64.deb")
        ]
    );
    let elsewhere = Surroundings {
        umask: "077",
        zone: "Asia/Tokyo",
        language: "C.UTF-8",
    };
    let second = contents(&stand_in.pack("second", &elsewhere));
    assert!(first == second, "two runs made different packages");
}

#[test]
#[ignore = "needs `make dist`"]
fn what_was_made_holds_up_like_its_stand_in() {
    for package in packages() {
        holds_what_it_should(&package);
        says_what_it_is(&package, env!("CARGO_PKG_VERSION"));
        carries_what_was_tested(&package);
    }
}

#[test]
#[ignore = "needs `make dist`"]
fn checksums_are_of_every_file() {
    let sums = fs::read_to_string(folder().join("SHA256SUMS")).unwrap();
    let summed: BTreeSet<&str> = sums
        .lines()
        .map(|line| line.split_once("  ").unwrap().1)
        .collect();
    let all = named("");
    let there: BTreeSet<&str> = all
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .filter(|name| *name != "SHA256SUMS")
        .collect();
    assert_eq!(summed, there);
    run(Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(folder()));
}

/// Debian's own examination. It brings a hundred packages along, so it is looked for, not installed.
#[test]
#[ignore = "needs `make dist`"]
fn lintian_finds_no_error() {
    if !has("lintian") {
        println!("lintian is not installed: not run");
        return;
    }
    for package in packages() {
        let findings = run(Command::new("lintian")
            .args(["--fail-on", "error,warning", "--tag-display-limit", "0"])
            .arg(&package));
        print!("{findings}");
    }
}
