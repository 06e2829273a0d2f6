//! The scripts, run on a root directory made up of everything that an image must not hold.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::*;
use crate::remote::local::LocalHost;

/// A file that has to go, or to be emptied, and the words that the check has for it.
const FILTH: &[(&str, &str)] = &[
    ("root/.ssh/authorized_keys", "authorized SSH key"),
    ("home/ubuntu/.ssh/authorized_keys", "authorized SSH key"),
    ("var/lib/jenkins/.ssh/authorized_keys", "authorized SSH key"),
    ("root/.bash_history", "history"),
    ("home/ubuntu/.python_history", "history"),
    ("etc/ssh/ssh_host_ed25519_key", "SSH host key"),
    ("etc/ssh/ssh_host_rsa_key.pub", "SSH host key"),
    (
        "var/lib/cloud/instances/i-1/user-data.txt",
        "state of cloud-init",
    ),
    (
        "var/lib/cloud/seed/nocloud/meta-data",
        "state of cloud-init",
    ),
    (
        "etc/sudoers.d/90-cloud-init-users",
        "sudo rule of the bake's user",
    ),
    ("var/lib/dhcp/dhclient.eth0.leases", "DHCP lease"),
    ("var/lib/NetworkManager/internal-1.lease", "DHCP lease"),
    ("etc/machine-id", "machine id"),
    ("var/lib/dbus/machine-id", "machine id"),
    ("var/lib/systemd/random-seed", "random seed"),
    ("var/lib/apt/lists/archive_InRelease", "package list"),
    ("var/cache/apt/archives/nginx.deb", "package cache"),
    ("var/cache/apt/pkgcache.bin", "package cache"),
    ("tmp/x/y", "temporary file"),
    ("var/tmp/z", "temporary file"),
    ("var/crash/core", "temporary file"),
    ("var/lib/baker-agent/ledger-a", "state of the agent"),
    ("var/lib/baker-agent/.ledger.new", "state of the agent"),
    ("run/baker/apt-updated", "file of the bake"),
    ("var/log/syslog", "log with lines in it"),
    ("var/log/nginx/access.log", "log with lines in it"),
    ("var/log/syslog.2.gz", "rotated log"),
    ("var/log/dpkg.log.1", "rotated log"),
    ("var/log/journal/0123/system.journal", "journal"),
];

/// What has to stay.
const KEPT: &[&str] = &[
    "etc/ssh/sshd_config",
    "etc/sudoers.d/README",
    "home/ubuntu/.ssh/config",
    "home/ubuntu/.bashrc",
    "var/lib/apt/lists/lock",
    "srv/app/app.py",
];

fn put(root: &Path, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "filth\n").unwrap();
}

fn used_host() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, _) in FILTH {
        put(root.path(), path);
    }
    for path in KEPT {
        put(root.path(), path);
    }
    let passwd = "root:x:0:0::/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
                  nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\nubuntu:x:1000:1000::/home/ubuntu:/bin/bash\n\
                  jenkins:x:101:101::/var/lib/jenkins:/bin/bash\n";
    fs::write(root.path().join("etc/passwd"), passwd).unwrap();
    root
}

async fn run(root: &Path, remove: &str) -> BTreeSet<(String, String)> {
    let programs = tempfile::tempdir().unwrap();
    let command = Command {
        line: line(Root::Already, remove, CHECK, root.to_str().unwrap()),
        stdin: Stdin::Empty,
        timeout: Duration::from_secs(30),
    };
    let host = LocalHost::new(programs.path());
    let captured = remote::capture(&host, command).await.unwrap();
    assert!(captured.status.success(), "{:?}", captured.stderr);
    assert_eq!(captured.stdout.last().unwrap(), CHECKED);
    remnants(&captured.stdout)
        .into_iter()
        .map(|remnant| (remnant.path, remnant.what))
        .collect()
}

/// The calls at the end of the removal script.
fn calls() -> Vec<&'static str> {
    let calls: Vec<&str> = REMOVE
        .lines()
        .rev()
        .skip_while(|line| *line == "sync")
        .take_while(|line| !line.is_empty())
        .collect();
    assert!(calls.len() >= 12, "{calls:?}");
    calls
}

#[tokio::test]
async fn the_check_sees_everything_on_a_used_host() {
    let root = used_host();
    let seen = run(root.path(), ":").await;
    for (path, what) in FILTH {
        let top = if path.starts_with("var/lib/cloud/") {
            // cloud-init's directory is reported by its first level.
            path.split('/').take(4).collect::<Vec<_>>().join("/")
        } else {
            (*path).to_owned()
        };
        let wanted = (format!("/{top}"), (*what).to_owned());
        let directory_of_the_bake = ("/run/baker".to_owned(), "file of the bake".to_owned());
        assert!(
            seen.contains(&wanted)
                || (*what == "file of the bake" && seen.contains(&directory_of_the_bake)),
            "{wanted:?} is not in {seen:#?}"
        );
    }
}

#[tokio::test]
async fn a_used_host_is_clean_afterwards_and_keeps_what_is_its_own() {
    let root = used_host();
    assert_eq!(run(root.path(), REMOVE).await, BTreeSet::new());
    for path in KEPT {
        assert_eq!(
            fs::read_to_string(root.path().join(path)).unwrap(),
            "filth\n",
            "{path}"
        );
    }
    for (path, what) in FILTH {
        let path = root.path().join(path);
        match *what {
            "log with lines in it" => assert_eq!(fs::metadata(path).unwrap().len(), 0),
            "machine id" => {}
            _ => assert!(!path.exists(), "{}", path.display()),
        }
    }
}

#[tokio::test]
async fn every_removal_that_is_left_out_is_found_out() {
    for call in calls() {
        // It does nothing under a root of its own; the bakes against the lab cover it.
        if call == "quiet_log_writers" {
            continue;
        }
        let without: String = REMOVE
            .lines()
            .filter(|line| *line != call)
            .map(|line| format!("{line}\n"))
            .collect();
        let root = used_host();
        let seen = run(root.path(), &without).await;
        assert!(!seen.is_empty(), "nobody misses {call}");
    }
}

#[tokio::test]
async fn logs_keep_owner_and_mode_and_machine_id_is_empty_not_gone() {
    let root = used_host();
    let log = root.path().join("var/log/syslog");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(&log).unwrap();
    run(root.path(), REMOVE).await;
    let after = fs::metadata(&log).unwrap();
    assert_eq!(
        (after.mode(), after.uid(), after.ino()),
        (before.mode(), before.uid(), before.ino())
    );
    assert_eq!(fs::read(root.path().join("etc/machine-id")).unwrap(), b"");
    let link = fs::read_link(root.path().join("var/lib/dbus/machine-id")).unwrap();
    assert_eq!(link, Path::new("/etc/machine-id"));
}

#[tokio::test]
async fn sealing_twice_is_as_good_as_once() {
    let root = used_host();
    run(root.path(), REMOVE).await;
    assert_eq!(run(root.path(), REMOVE).await, BTreeSet::new());
}

#[tokio::test]
async fn a_missing_machine_id_is_found_out() {
    let root = used_host();
    let remove = format!("{REMOVE}\nrm -f \"$root/etc/machine-id\"\n");
    let seen = run(root.path(), &remove).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn remnants_are_listed_and_a_flood_is_cut() {
    let many: Vec<Remnant> = (0..20)
        .map(|n| Remnant {
            what: "temporary file".into(),
            path: format!("/tmp/{n}"),
        })
        .collect();
    let message = SealError::Remnants(many).to_string();
    assert!(
        message.contains("\n  temporary file: /tmp/0\n"),
        "{message}"
    );
    assert!(message.ends_with("… and 8 more"), "{message}");
}
