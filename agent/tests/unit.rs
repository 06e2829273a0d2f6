//! systemd/baker-agent.service, held to what systemd 237 (Ubuntu 18.04) knows: it ignores a newer directive with a warning, so that
//! it would protect nothing. That the real one takes the unit and keeps its promises is tested in the lab (lab/tests/unit.rs).

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use baker_agent::config::Settings;

const UNIT: &str = include_str!("../../systemd/baker-agent.service");
/// Ubuntu 18.04's.
const OLDEST: u32 = 237;

/// Each directive that the unit may use, and the version of systemd that brought it. Source: systemd's NEWS; 0 stands for what is older than
/// those notes are precise (before 190).
const KNOWN: &[(&str, u32)] = &[
    ("After", 0),
    ("AmbientCapabilities", 229),
    ("Before", 0),
    ("CapabilityBoundingSet", 0),
    ("ConfigurationDirectory", 235),
    ("Description", 0),
    ("Documentation", 0),
    ("EnvironmentFile", 0),
    ("ExecReload", 0),
    ("ExecStart", 0),
    ("Group", 0),
    ("KeyringMode", 235),
    ("LimitCORE", 0),
    ("LimitNOFILE", 0),
    ("LockPersonality", 235),
    ("MemoryDenyWriteExecute", 231),
    // For version 1 of control groups it becomes MemoryLimit.
    ("MemoryMax", 231),
    ("NoNewPrivileges", 0),
    ("NotifyAccess", 0),
    ("OOMScoreAdjust", 0),
    ("PrivateDevices", 209),
    ("PrivateTmp", 0),
    ("ProtectControlGroups", 232),
    ("ProtectHome", 214),
    ("ProtectKernelModules", 232),
    ("ProtectKernelTunables", 232),
    // With `strict`: 232.
    ("ProtectSystem", 232),
    ("RemoveIPC", 232),
    ("Restart", 0),
    ("RestartPreventExitStatus", 0),
    ("RestartSec", 0),
    ("RestrictAddressFamilies", 211),
    ("RestrictNamespaces", 233),
    ("RestrictRealtime", 231),
    // In [Unit], and under this name: 230.
    ("StartLimitIntervalSec", 230),
    ("StateDirectory", 235),
    ("StateDirectoryMode", 235),
    ("SuccessExitStatus", 0),
    ("SupplementaryGroups", 0),
    ("SystemCallArchitectures", 209),
    ("SystemCallErrorNumber", 209),
    // With groups of calls: 231.
    ("SystemCallFilter", 231),
    ("TasksMax", 227),
    ("TimeoutStopSec", 188),
    ("Type", 0),
    ("UMask", 0),
    ("User", 0),
    ("WantedBy", 0),
    ("WatchdogSec", 0),
];

/// The unit's directives with their values.
fn directives() -> Vec<(&'static str, &'static str)> {
    let lines = UNIT.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '[']))
        .map(|line| line.split_once('=').unwrap())
        .collect()
}

fn value(name: &str) -> &'static str {
    directives().iter().find(|(it, _)| *it == name).unwrap().1
}

#[test]
fn every_directive_is_known_to_ubuntu_18_04() {
    for (name, _) in directives() {
        let known = KNOWN.iter().find(|(known, _)| *known == name);
        let Some((_, since)) = known else {
            panic!("{name}: look up in systemd's NEWS since when it is there, and list it")
        };
        assert!(*since <= OLDEST, "{name} came with systemd {since}");
    }
}

#[test]
fn every_group_of_system_calls_is_known_to_ubuntu_18_04() {
    // `systemd-analyze syscall-filter` of 237, as far as it is of use here. @system-service came with 239.
    let groups = [
        "@clock",
        "@cpu-emulation",
        "@debug",
        "@keyring",
        "@module",
        "@mount",
        "@obsolete",
        "@privileged",
        "@raw-io",
        "@reboot",
        "@swap",
    ];
    for group in value("SystemCallFilter").trim_start_matches('~').split(' ') {
        assert!(groups.contains(&group), "{group}");
    }
}

#[test]
fn a_drain_by_default_fits_into_the_time_that_a_stop_may_take() {
    let limit = value("TimeoutStopSec").strip_suffix('s').unwrap();
    let limit = Duration::from_secs(limit.parse().unwrap());
    assert!(Settings::default().ship.drain + Duration::from_secs(5) <= limit);
}

/// What one followed file takes, with all that is kept of it: measured with 20,000 of them, each in a folder of its own.
const FILE_BYTES: usize = 4 * 1024;
/// The program itself, its connections, and what it needs for a moment.
const PROGRAM_BYTES: usize = 32 * 1024 * 1024;

#[test]
fn the_wall_of_memory_is_well_above_what_the_limits_allow() {
    let wall = value("MemoryMax").strip_suffix('M').unwrap();
    let wall = wall.parse::<usize>().unwrap() * 1024 * 1024;
    let limits = Settings::default().limits;
    let most = PROGRAM_BYTES + limits.memory_bytes + limits.files * FILE_BYTES;
    assert!(wall >= 2 * most, "{wall} bytes are too few for {most}");
    assert!(wall <= 4 * most, "{wall} bytes are no wall for {most}");
}

#[test]
fn the_one_capability_is_the_one_that_asks_who_writes() {
    assert_eq!(value("AmbientCapabilities"), "CAP_LEASE");
    assert_eq!(value("CapabilityBoundingSet"), "CAP_LEASE");
}
