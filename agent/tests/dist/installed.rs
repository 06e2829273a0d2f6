//! The package's life on a host: installed, upgraded, removed, installed again, purged.
//!
//! The lab's hosts are Ubuntu 18.04 where its archive can be reached, and this machine's own distribution elsewhere (decision 4):
//! there dpkg, debhelper's tools and systemd are newer than the users'. What differs is known from their sources:
//! 18.04's deb-systemd-helper looks for units in /lib/systemd/system alone, which is where the package has its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::artefacts::{extracted, own_package, run};
use crate::host::Host;

const INSTALL: &str = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet";

/// The same package as its successor: a higher version, and a new line in the configuration that comes with it.
fn successor(package: &Path, into: &TempDir) -> PathBuf {
    let files = extracted(package);
    let root = files.path().join("root");
    let control = root.join("DEBIAN/control");
    let said = fs::read_to_string(&control).unwrap();
    let version = said
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))
        .unwrap();
    let later = format!("Version: {version}.later");
    fs::write(
        &control,
        said.replace(&format!("Version: {version}"), &later),
    )
    .unwrap();
    let config = root.join("etc/baker-agent/baker-agent.toml");
    let shipped = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{shipped}# of the next version\n")).unwrap();
    let built = into.path().join("later.deb");
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zgzip", "--build"])
        .arg(&root)
        .arg(&built));
    built
}

#[test]
#[ignore = "needs `make dist`, and root for the lab"]
fn lives_on_a_host_from_its_installation_to_its_purge() {
    let scratch = tempfile::tempdir().unwrap();
    let package = own_package();
    let later = successor(&package, &scratch);
    let host = Host::boot();
    println!(
        "the host is {}",
        host.run(". /etc/os-release; echo $PRETTY_NAME; systemctl --version | head -n 1; ldd --version | head -n 1")
    );
    host.put(&package, "/tmp/baker-agent.deb");
    host.put(&later, "/tmp/later.deb");
    let state = |field: &str| {
        let output = host.try_run(&format!("systemctl {field} baker-agent"));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let property = |name: &str| {
        host.run(&format!(
            "systemctl show --property {name} --value baker-agent"
        ))
    };

    // Into an image that is being made: policy-rc.d says that nothing is to be started.
    host.run(
        "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d",
    );
    host.run(&format!("{INSTALL} /tmp/baker-agent.deb"));
    assert_eq!(state("is-enabled"), "enabled");
    assert_eq!(state("is-active"), "inactive");
    host.run("[ ! -e /var/lib/baker-agent ]");
    host.run("DEBIAN_FRONTEND=noninteractive apt-get purge --yes --quiet baker-agent; rm /usr/sbin/policy-rc.d");

    // By hand: it runs when apt is done, as a user that reads logs by its group and owns nothing but its state.
    host.run(&format!("{INSTALL} /tmp/baker-agent.deb"));
    assert_eq!(
        state("is-active"),
        "active",
        "{}",
        host.run("systemctl status --full baker-agent || true")
    );
    assert_eq!(state("is-enabled"), "enabled");
    host.run("dpkg --verify baker-agent");
    assert_eq!(
        host.run("baker-agent --version"),
        concat!("baker-agent ", env!("CARGO_PKG_VERSION"))
    );
    let pid = property("MainPID");
    assert_eq!(
        host.run(&format!("stat --format=%U /proc/{pid}")),
        "baker-agent"
    );
    assert_eq!(
        host.run("id --name --groups baker-agent"),
        "baker-agent adm"
    );
    assert_eq!(
        host.run("find / -xdev ( -user baker-agent -o -group baker-agent ) -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/lib/baker-agent*' -not -path '/run/*' -print".replace("( ", "\\( ").replace(" )", " \\)").as_str()),
        "",
        "what the user owns besides its state"
    );
    let taken = host.run("baker-agent status --state-dir /var/lib/baker-agent --output json");
    let taken: serde_json::Value = serde_json::from_str(&taken).unwrap();
    assert!(taken.is_object(), "{taken}");

    // An upgrade runs the new program, and leaves configuration and state alone.
    host.run("echo '# mine' >>/etc/baker-agent/baker-agent.toml");
    host.run(
        "printf '[[file]]\\npath = \"/var/log/mine.log\"\\n' >/etc/baker-agent/conf.d/mine.toml",
    );
    let ledger = host.run("find /var/lib/baker-agent -type f -printf '%i %p\\n' | sort");
    assert!(!ledger.is_empty(), "the agent has no ledger");
    host.run(&format!(
        "{INSTALL} -o Dpkg::Options::=--force-confold /tmp/later.deb"
    ));
    assert_eq!(state("is-active"), "active");
    assert_ne!(property("MainPID"), pid, "the old program runs on");
    assert!(
        host.run("tail -n 1 /etc/baker-agent/baker-agent.toml")
            .contains("# mine")
    );
    host.run("grep --quiet 'of the next version' /etc/baker-agent/baker-agent.toml.dpkg-dist");
    host.run("[ -e /etc/baker-agent/conf.d/mine.toml ]");
    let after = host.run("find /var/lib/baker-agent -type f -printf '%i %p\\n' | sort");
    for file in ledger.lines() {
        assert!(after.contains(file), "{file} is not in:\n{after}");
    }

    // What an administrator turned off stays off.
    host.run("systemctl disable --now --quiet baker-agent");
    host.run(&format!("{INSTALL} --reinstall /tmp/later.deb"));
    assert_eq!(state("is-enabled"), "disabled");
    assert_eq!(state("is-active"), "inactive");
    host.run("systemctl enable --now --quiet baker-agent");
    assert_eq!(state("is-active"), "active");

    // Removed: it stops, and what is the administrator's stays.
    host.run("DEBIAN_FRONTEND=noninteractive apt-get remove --yes --quiet baker-agent");
    assert_ne!(state("is-active"), "active");
    assert_eq!(host.run("pgrep --exact baker-agent || true"), "");
    host.run("[ -e /etc/baker-agent/baker-agent.toml ] && [ -d /var/lib/baker-agent ]");
    host.run("[ ! -e /usr/bin/baker-agent ]");

    // Back again: with that configuration, and as before.
    host.run(&format!(
        "{INSTALL} -o Dpkg::Options::=--force-confold /tmp/later.deb"
    ));
    assert_eq!(state("is-active"), "active");
    host.run("grep --quiet '# mine' /etc/baker-agent/baker-agent.toml");

    // Purged: of the package's own nothing is left; a file that somebody wrote is.
    host.run("DEBIAN_FRONTEND=noninteractive apt-get purge --yes --quiet baker-agent");
    let left = host.run(
        "find / -xdev -name '*baker-agent*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/tmp/*' -not -path '/var/log/*' -print | sort",
    );
    assert_eq!(left, "/etc/baker-agent");
    assert_eq!(
        host.run("find /etc/baker-agent -type f"),
        "/etc/baker-agent/conf.d/mine.toml"
    );
    assert_eq!(host.run("systemctl --failed --no-legend"), "");
}
