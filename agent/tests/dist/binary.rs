//! The binary starts on Ubuntu 18.04, whatever machine it was built on, and tells nothing of that machine.
//!
//! The system itself is out of reach of most test machines; what its loader would refuse is read from the binary.

use std::process::Command;

use crate::artefacts::{extracted, own_package, packages, run, target_folder};

/// The C library of Ubuntu 18.04 (packages.ubuntu.com/bionic/libc6).
const GLIBC: (u32, u32) = (2, 27);

/// Libraries that come with that C library, and with every one since. Not libgcc_s: it is a package of its own.
const LIBRARIES: &[&str] = &[
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
];

fn readelf(option: &str) -> Vec<String> {
    packages()
        .iter()
        .map(|package| {
            let files = extracted(package);
            run(Command::new("readelf")
                .args(["--wide", option])
                .arg(files.path().join("root/usr/bin/baker-agent")))
        })
        .collect()
}

/// `GLIBC_2.17` as numbers.
fn version(symbol: &str) -> (u32, u32) {
    let mut numbers = symbol.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap_or(0))
}

#[test]
#[ignore = "needs `make dist`"]
fn asks_for_no_symbol_that_is_newer_than_ubuntu_18_04() {
    for versions in readelf("--version-info") {
        let asked: Vec<(u32, u32)> = versions
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("GLIBC_"))
            .map(version)
            .collect();
        // A reading that finds nothing has not read.
        assert!(!asked.is_empty(), "no versions in:\n{versions}");
        let highest = asked.iter().max().unwrap();
        assert!(*highest <= GLIBC, "asks for {highest:?}");
        let others: Vec<&str> = versions
            .split_whitespace()
            .filter(|word| word.starts_with("GCC_") || word.starts_with("GLIBCXX_"))
            .collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

#[test]
#[ignore = "needs `make dist`"]
fn needs_only_libraries_that_every_system_has() {
    for dynamic in readelf("--dynamic") {
        let needed: Vec<&str> = dynamic
            .lines()
            .filter(|line| line.contains("(NEEDED)"))
            .filter_map(|line| line.split_once('[')?.1.strip_suffix(']'))
            .collect();
        assert!(needed.contains(&"libc.so.6"), "{dynamic}");
        let strange: Vec<_> = needed.iter().filter(|it| !LIBRARIES.contains(it)).collect();
        assert!(strange.is_empty(), "{strange:?}");
        assert!(
            !dynamic.contains("(RPATH)") && !dynamic.contains("(RUNPATH)"),
            "looks for libraries in places of its own:\n{dynamic}"
        );
    }
}

#[test]
#[ignore = "needs `make dist`"]
fn is_stripped_and_hardened() {
    for header in readelf("--file-header") {
        assert!(
            header.contains("DYN"),
            "no position-independent executable:\n{header}"
        );
    }
    for sections in readelf("--sections") {
        assert!(!sections.contains(".symtab") && !sections.contains(".debug_info"));
    }
    for segments in readelf("--program-headers") {
        assert!(segments.contains("GNU_RELRO"), "{segments}");
        let stack = segments
            .lines()
            .find(|it| it.contains("GNU_STACK"))
            .unwrap();
        assert!(!stack.contains("RWE"), "an executable stack: {stack}");
    }
    for dynamic in readelf("--dynamic") {
        assert!(
            dynamic.contains("NOW"),
            "symbols are bound late:\n{dynamic}"
        );
    }
}

#[test]
#[ignore = "needs `make dist`"]
fn tells_nothing_of_where_it_was_built() {
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .unwrap();
    let places = [
        format!("{home}/"),
        format!("{}/", target_folder().display()),
        format!(
            "{}/",
            crate::artefacts::repository()
                .canonicalize()
                .unwrap()
                .display()
        ),
    ];
    for package in packages() {
        let files = extracted(&package);
        let binary = std::fs::read(files.path().join("root/usr/bin/baker-agent")).unwrap();
        for place in &places {
            let at = binary
                .windows(place.len())
                .position(|bytes| bytes == place.as_bytes());
            let found =
                at.map(|at| String::from_utf8_lossy(&binary[at..binary.len().min(at + 120)]));
            assert_eq!(found, None);
        }
    }
}

#[test]
#[ignore = "needs `make dist`"]
fn runs_and_takes_the_configuration_that_comes_with_it() {
    let files = extracted(&own_package());
    let root = files.path().join("root");
    let agent = root.join("usr/bin/baker-agent");
    assert_eq!(
        run(Command::new(&agent).arg("--version")).trim(),
        concat!("baker-agent ", env!("CARGO_PKG_VERSION"))
    );
    let output = Command::new(&agent)
        .args(["check", "--offline", "--output", "json", "--config"])
        .arg(root.join("etc/baker-agent/baker-agent.toml"))
        .output()
        .unwrap();
    // 4 is about this machine: files that are not there, directories that this user may not write.
    assert!(
        matches!(output.status.code(), Some(0 | 4)),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report.is_object(), "{report}");
}
