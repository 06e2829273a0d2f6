//! The tarball holds the same files as the package, for systems without dpkg.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::artefacts::{extracted, named, packages, run};
use crate::package::{entry, pages_of_commands};
use crate::stand_in::StandIn;

fn is_one_folder_of_roots_files(tarball: &Path) {
    let name = tarball.file_name().unwrap().to_str().unwrap();
    let folder = name.strip_suffix(".tar.gz").unwrap();
    let listing = run(Command::new("tar")
        .args(["--list", "--verbose", "--numeric-owner", "--file"])
        .arg(tarball));
    let files: BTreeSet<String> = listing
        .lines()
        .map(entry)
        .filter(|line| !line.starts_with('d'))
        .map(|line| {
            let (head, path) = line
                .split_once(&format!("{folder}/"))
                .unwrap_or_else(|| panic!("not below {folder}: {line}"));
            let mode = if path.starts_with("bin/") {
                "-rwxr-xr-x"
            } else {
                "-rw-r--r--"
            };
            assert_eq!(head, format!("{mode} 0/0 "), "{line}");
            path.to_owned()
        })
        .collect();
    for page in pages_of_commands() {
        assert!(files.contains(&format!("man/{page}")), "{page}");
    }
    for file in [
        "CHANGELOG.md",
        "INSTALL.md",
        "bin/baker-agent",
        "completions/_baker-agent",
        "config/baker-agent.toml",
        "config/conf.d/nginx.toml",
        "copyright",
        "systemd/baker-agent.service",
        "systemd/baker-agent.sysusers",
        "third-party-licences",
    ] {
        assert!(files.contains(file), "{file} is not in {files:?}");
    }
}

#[test]
fn holds_one_folder_with_the_packages_files() {
    is_one_folder_of_roots_files(&StandIn::new().tarball());
}

#[test]
#[ignore = "needs `make dist`"]
fn what_was_made_holds_the_packages_binary() {
    let tarballs = named(".tar.gz");
    assert_eq!(tarballs.len(), packages().len());
    for tarball in &tarballs {
        is_one_folder_of_roots_files(tarball);
        let name = tarball.file_name().unwrap().to_str().unwrap();
        let architecture = if name.contains("-x86_64-") {
            "amd64"
        } else {
            "arm64"
        };
        let package = named(&format!("_{architecture}.deb")).pop().unwrap();
        let unpacked = tempfile::tempdir().unwrap();
        run(Command::new("tar")
            .args(["--extract", "--no-same-owner", "--file"])
            .arg(tarball)
            .arg("--directory")
            .arg(unpacked.path()));
        let folder = name.strip_suffix(".tar.gz").unwrap();
        let deb = extracted(&package);
        assert!(
            fs::read(unpacked.path().join(folder).join("bin/baker-agent")).unwrap()
                == fs::read(deb.path().join("root/usr/bin/baker-agent")).unwrap(),
            "another binary than the package's"
        );
    }
}
