//! A lab takes with it everything that it made: after success, after a panic, after its process was killed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use aws_sdk_ec2::types::ShutdownBehavior;
use lab::{Lab, LabConfig};
use support::{Rig, until};

/// Everything on this machine that bears the lab's name or mark: mounts, namespaces, interfaces, control groups, processes, files.
fn traces(lab: &str, bridge: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut note = |kind: &str, what: &str| {
        found.insert(format!("{kind} {what}"));
    };
    let dir = LabConfig::default().state_dir.join(lab);
    let marks = [
        format!("/{lab}/"),
        format!("/{lab} "),
        format!("{lab}-i-"),
        bridge.to_owned(),
    ];
    let marked = |text: &str| marks.iter().any(|mark| text.contains(mark.as_str()));
    for line in fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .filter(|line| marked(line))
    {
        note("mount", line);
    }
    for folder in [
        "/run/netns",
        "/sys/class/net",
        "/run/systemd/nspawn/propagate",
        "/run/systemd/nspawn/locks",
    ] {
        for name in names(Path::new(folder))
            .into_iter()
            .filter(|name| marked(name))
        {
            note(folder, &name);
        }
    }
    for hierarchy in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/systemd",
    ] {
        if Path::new(hierarchy).join("baker-lab").join(lab).exists() {
            note("control group", hierarchy);
        }
    }
    for pid in names(Path::new("/proc"))
        .into_iter()
        .filter(|name| name.parse::<u32>().is_ok())
    {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if command.contains(&format!("--machine={lab}-")) {
            note("process", &command);
        }
    }
    if dir.exists() {
        note("folder", &dir.display().to_string());
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The interface that holds the lab's gateway, as `ip` names it.
fn bridge_at(host_endpoint: &str) -> String {
    let gateway = host_endpoint
        .trim_start_matches("http://")
        .split(':')
        .next()
        .unwrap()
        .to_owned();
    let said = Command::new("ip")
        .args(["-o", "-4", "address", "show", "to", &gateway])
        .output()
        .unwrap();
    String::from_utf8_lossy(&said.stdout)
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn labs_run_side_by_side_and_each_takes_only_its_own_down() {
    let (one, two) = (Lab::start().unwrap(), Lab::start().unwrap());
    assert_ne!(one.endpoint(), two.endpoint());
    let (rig_one, rig_two) = (Rig::new(&one).await, Rig::new(&two).await);
    let host_one = rig_one
        .launch(&rig_one.ubuntu().await, "", ShutdownBehavior::Stop)
        .await;
    let host_two = rig_two
        .launch(&rig_two.ubuntu().await, "", ShutdownBehavior::Stop)
        .await;
    rig_one.ssh(&host_one, "true").await;
    rig_two.ssh(&host_two, "true").await;
    assert!(
        rig_two
            .ec2
            .describe_instances()
            .instance_ids(&host_one)
            .send()
            .await
            .is_err(),
        "one lab knows nothing of the other"
    );

    let (name, bridge) = (one.name().to_owned(), bridge_at(&one.up().host_endpoint));
    assert!(
        traces(&name, &bridge).len() >= 5,
        "the search for traces finds a running lab"
    );
    tokio::task::spawn_blocking(|| one.down())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(traces(&name, &bridge), BTreeSet::new());
    assert_eq!(
        rig_two.ssh(&host_two, "echo still here").await,
        "still here"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_with_a_running_host_leaves_nothing() {
    let lab = Lab::start().unwrap();
    let (name, bridge) = (lab.name().to_owned(), bridge_at(&lab.up().host_endpoint));
    let rig = Rig::new(&lab).await;
    let id = rig
        .launch(&rig.ubuntu().await, "", ShutdownBehavior::Stop)
        .await;
    rig.ssh(&id, "true").await;
    let ended = tokio::spawn(async move {
        let _owned = lab;
        panic!("on purpose");
    })
    .await;
    assert!(ended.is_err());
    assert_eq!(traces(&name, &bridge), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_that_cannot_come_up_leaves_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("failed-{}", std::process::id());
    let config = LabConfig {
        name: Some(name.clone()),
        port: taken.local_addr().unwrap().port(),
        ..LabConfig::default()
    };
    let Err(error) = Lab::start_with(config, |_| ()) else {
        panic!("its port was taken")
    };
    assert!(
        format!("{error:#}").contains("choose another port"),
        "{error:#}"
    );
    assert_eq!(traces(&name, "no bridge was seen"), BTreeSet::new());
}

/// A lab that the command started.
struct Started {
    pid: String,
    endpoint: String,
    bridge: String,
}

fn lab_command(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(args)
        .output()
        .unwrap()
}

fn start_by_command(name: &str) -> Started {
    let up = lab_command(&["--name", name, "up", "--port", "0", "--output", "json"]);
    assert!(
        up.status.success(),
        "{}",
        String::from_utf8_lossy(&up.stderr)
    );
    let up: serde_json::Value = serde_json::from_slice(&up.stdout).unwrap();
    let status = lab_command(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let entry = status
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["lab"]["name"] == name)
        .unwrap();
    Started {
        pid: entry["lab"]["pid"].to_string(),
        endpoint: up["endpoint"].as_str().unwrap().to_owned(),
        bridge: bridge_at(up["host_endpoint"].as_str().unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_lab_leaves_goes_with_lab_down() {
    let name = format!("killed-{}", std::process::id());
    let started = start_by_command(&name);
    let rig = Rig::at(&started.endpoint).await;
    let id = rig
        .launch(&rig.ubuntu().await, "", ShutdownBehavior::Stop)
        .await;
    rig.until_state(&id, "running").await;
    assert!(
        Command::new("kill")
            .args(["-9", &started.pid])
            .status()
            .unwrap()
            .success()
    );
    until("the process to be gone", || async {
        (!Path::new("/proc").join(&started.pid).exists()).then_some(())
    })
    .await;
    let left = traces(&name, &started.bridge);
    assert!(
        left.iter().any(|trace| trace.starts_with("mount")),
        "its disks outlive a killed lab: {left:?}"
    );

    let down = lab_command(&["--name", &name, "down"]);
    assert!(
        down.status.success(),
        "{}",
        String::from_utf8_lossy(&down.stderr)
    );
    assert_eq!(traces(&name, &started.bridge), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_of_a_taken_name_is_refused_and_the_first_goes_on() {
    let name = format!("taken-{}", std::process::id());
    let started = start_by_command(&name);
    let again = lab_command(&["--name", &name, "up", "--port", "0"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("already up"),
        "{}",
        String::from_utf8_lossy(&again.stderr)
    );
    Rig::at(&started.endpoint).await.ubuntu().await;
    assert!(lab_command(&["--name", &name, "down"]).status.success());
    let status = lab_command(&["status", "--output", "json"]);
    assert!(!String::from_utf8_lossy(&status.stdout).contains(&name));
}
