//! What the host does to the agent: kills, a full disk, no inotify, files that can't be read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::support::agent::{Program as _, Running};
use crate::support::ground::Ground;
use crate::support::writer::{self, Plan};

const LOG: &str = "access.log";

#[test]
fn sigkill_at_random_instants_loses_nothing_and_doubles_nothing() {
    let mut ground = Ground::started("kills", &[LOG]);
    let mut random = StdRng::seed_from_u64(3);
    let writer = Plan::new(ground.log(LOG), 0, 4000).start();
    for _ in 0..12 {
        let then = writer.lines() + random.random_range(1..2500);
        ground.until("lines", || writer.lines() >= then);
        ground.kill();
        ground.start();
    }
    let written = writer.stop();
    ground.assert_exact(&[written]);
}

#[test]
fn sigterm_and_start_again_loses_nothing_and_doubles_nothing() {
    let mut ground = Ground::started("terms", &[LOG]);
    let writer = Plan::new(ground.log(LOG), 0, 4000).start();
    for turn in 1..=4 {
        ground.until("lines", || writer.lines() > turn * 2000);
        ground.terminate();
        ground.start();
    }
    let written = writer.stop();
    ground.assert_exact(&[written]);
}

/// A small disk in memory.
#[derive(Debug)]
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .output()
            .unwrap();
        if !mounted.status.success() {
            let why = String::from_utf8_lossy(&mounted.stderr);
            eprintln!("left out: no mount here ({})", why.trim());
            return None;
        }
        Some(Self(at.to_owned()))
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=4k", "status=none"])
            .arg(format!("of={}", self.ballast().display()))
            .stderr(std::process::Stdio::null())
            .status();
    }

    fn free(&self) {
        let _ = fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_state_disk_that_fills_up_stops_nothing() {
    let mut ground = Ground::new("full-disk", &[LOG]);
    let Some(disk) = SmallDisk::mount(&ground.setup.state_dir, "16m") else {
        return;
    };
    ground.start();
    let writer = Plan::new(ground.log(LOG), 0, 4000).start();
    ground.until_arrived(1000);
    disk.fill();
    let then = writer.lines() + 4000;
    ground.until_arrived(then);
    // Nor does it keep a killed agent from going on where it was.
    ground.kill();
    ground.start();
    let then = writer.lines() + 4000;
    ground.until_arrived(then);
    let written = writer.stop();
    ground.assert_exact(&[written]);
    disk.free();
}

#[test]
fn a_state_disk_that_was_full_from_the_start_delays_lines_until_there_is_room() {
    let mut ground = Ground::new("no-room", &[LOG]);
    let Some(disk) = SmallDisk::mount(&ground.setup.state_dir, "16m") else {
        return;
    };
    disk.fill();
    let written = writer::fill(&ground.log(LOG), 0, 2000, Duration::from_secs(60), 100);
    ground.start();
    // It may end with a clear message, or wait; it must not ship what it could not answer for.
    let running = ground.running.as_mut().unwrap();
    crate::support::wait::until(Duration::from_secs(2), Duration::from_millis(20), || {
        (!running.is_running()).then_some(())
    });
    let ended = !running.is_running();
    let said = running.said();
    assert!(said.contains("space"), "{said}");
    disk.free();
    if ended {
        ground.start();
    }
    ground.assert_exact(&[written]);
}

#[test]
fn without_inotify_the_poll_finds_everything() {
    let mut ground = Ground::new("no-inotify", &[LOG]);
    let command = ground.agent.command(&ground.setup);
    // The limit of a user namespace of its own: the machine's stays as it is.
    let mut limited = Command::new("unshare");
    limited
        .args(["--user", "--map-root-user", "sh", "-c"])
        .arg("echo 0 >/proc/sys/user/max_inotify_instances && exec \"$@\"")
        .arg("sh")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let allowed = Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("left out: no user namespaces here");
        return;
    }
    let log = ground.log(LOG);
    let first = writer::fill(&log, 0, 10, Duration::from_secs(10), 10);
    ground.running = Some(Running::spawn(limited, &ground.setup));
    ground.until_arrived(first.lines);
    let second = Plan::new(&log, 1, 2000).lines(4000).start().finish();
    let said = ground.said();
    ground.assert_exact(&[first, second]);
    assert!(said.contains("inotify"), "it says what is missing: {said}");
}

#[test]
fn a_file_that_becomes_readable_later_is_read_from_its_start() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("left out: only root can start the agent as somebody else");
        return;
    }
    let mut ground = Ground::new("unreadable", &[LOG]);
    let log = ground.log(LOG);
    let written = writer::fill(&log, 0, 1000, Duration::from_secs(60), 100);
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&log, 0o000);
    // Another user without root's capabilities. The binary may lie where only root can go.
    let program = ground.folder().join("baker-agent");
    fs::copy(&ground.agent.program, &program).unwrap();
    ground.agent.program = program;
    let command = ground.agent.command(&ground.setup);
    for path in [ground.folder(), &ground.setup.state_dir] {
        fs::create_dir_all(path).unwrap();
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut as_nobody = Command::new("setpriv");
    as_nobody
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    if !reachable_by_nobody(ground.folder()) {
        eprintln!("left out: another user can't reach the test's folder");
        return;
    }
    ground.running = Some(Running::spawn(as_nobody, &ground.setup));
    let name = log.display().to_string();
    ground.until("a complaint about the file", || {
        ground.said().contains(&name)
    });
    assert_eq!(ground.endpoint.stats().events, 0);
    mode(&log, 0o644);
    ground.assert_exact(&[written]);
}

const NOBODY: u32 = 65_534;

fn reachable_by_nobody(folder: &Path) -> bool {
    let tried = Command::new("setpriv")
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "ls",
        ])
        .arg(folder)
        .output();
    tried.is_ok_and(|output| output.status.success())
}
