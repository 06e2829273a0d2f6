//! One booted host: systemd-nspawn on a mounted disk, in its own control group and network namespace.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::cgroup::Cgroup;
use crate::console;

/// systemd-nspawn ends with this status when the host asked for a reboot and `--keep-unit` leaves that to the caller (EXIT_FORCE_RESTART).
const EXIT_REBOOT: i32 = 133;

/// Where systemd-nspawn keeps its own state.
pub(crate) const RUN: &str = "/run/systemd/nspawn";

/// Everything that one boot needs.
#[derive(Debug, Clone)]
pub(crate) struct Boot {
    /// Unique on this machine; systemd-nspawn's `--machine`.
    pub(crate) name: String,
    /// Mounted disk.
    pub(crate) root: PathBuf,
    /// Namespace file.
    pub(crate) network: PathBuf,
    /// Receives the console; appended to over boots.
    pub(crate) console: PathBuf,
    /// Bound over /etc/resolv.conf.
    pub(crate) resolv_conf: PathBuf,
    /// Bound to systemd's run-time configuration: the endpoints as every unit's environment. None of it touches the disk.
    pub(crate) system_conf: PathBuf,
    /// Bound to where a Xen guest finds its UUID.
    pub(crate) hypervisor_uuid: PathBuf,
    /// Base address of the metadata service, handed to cloud-init on the kernel's command line (in a container: that of process 1).
    pub(crate) metadata_url: String,
}

/// How a host ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It asked for a reboot.
    Reboot,
    /// It powered itself off, or its process 1 died.
    PowerOff,
}

/// A running host.
#[derive(Debug)]
pub(crate) struct Machine {
    child: Child,
    pid: Pid,
    cgroup: Cgroup,
    name: String,
    root_lock: Option<PathBuf>,
}

impl Machine {
    /// Boots the host. Returns as soon as its process 1 is being started.
    pub(crate) fn start(boot: &Boot, cgroup: Cgroup) -> Result<Self> {
        let joins = cgroup.create()?;
        let (output, console) = io::pipe()?;
        console::record(output, &boot.console)?;
        // The shell moves itself into the control groups and then becomes systemd-nspawn, in a session of its own, under the same pid.
        let mut command = Command::new("sh");
        command.args(["-c", r#"while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done; shift; exec setsid systemd-nspawn "$@""#, "sh"]);
        command.args(&joins).arg("--").args(arguments(boot));
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        // On EC2, /tmp is part of the disk.
        command.env("SYSTEMD_NSPAWN_TMPFS_TMP", "0");
        // As in a machine of its own, the network's settings are writable; /sys becomes a folder to which EC2's mark can be added.
        command.env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network");
        command
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console);
        let child = command.spawn().context(
            "could not start systemd-nspawn; is the package systemd-container installed?",
        )?;
        // Its ends of the pipe are the host's alone from here on: the console ends with it.
        drop(command);
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .map(Pid::from_raw)
            .context("systemd-nspawn ended at once")?;
        Ok(Self {
            child,
            pid,
            cgroup,
            name: boot.name.clone(),
            root_lock: root_lock(&boot.root),
        })
    }

    /// Waits until the host ends by itself. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Result<Ended> {
        let status = self
            .child
            .wait()
            .await
            .context("could not wait for systemd-nspawn")?;
        Ok(meaning(status))
    }

    /// Shuts the host down in order; cuts it off after `limit`. Returns whether it went in order.
    pub(crate) async fn stop(mut self, limit: Duration) -> Result<bool> {
        // systemd-nspawn turns this into the signal that makes process 1 power off.
        let _ = kill(self.pid, Signal::SIGTERM);
        let orderly = tokio::time::timeout(limit, self.child.wait()).await.is_ok();
        self.clean_up().await?;
        Ok(orderly)
    }

    /// Ends what is left of the host and removes its control group. Also right after [`Machine::ended`].
    pub(crate) async fn clean_up(mut self) -> Result<()> {
        let cgroup = self.cgroup.clone();
        tokio::task::spawn_blocking(move || cgroup.destroy()).await??;
        let _ = self.child.wait().await;
        remove_traces(&self.name, self.root_lock.as_deref());
        Ok(())
    }

    /// Pid of systemd-nspawn.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Can hold the host still.
    pub(crate) fn freezer(&self) -> Freezer {
        Freezer(self.cgroup.clone())
    }
}

/// Holds a host still, so that its disk can be copied as of one instant.
pub(crate) struct Freezer(Cgroup);

impl Freezer {
    /// Stops every process of the host for as long as `work` takes.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        nix::unistd::sync();
        self.0.freeze()?;
        let result = work();
        self.0.thaw()?;
        result
    }
}

fn arguments(boot: &Boot) -> Vec<String> {
    let bind = |from: &Path, to: &str| format!("--bind-ro={}:{to}", from.display());
    vec![
        "--quiet".into(),
        "--register=no".into(),
        "--keep-unit".into(),
        "--boot".into(),
        // A terminal of its own, as EC2's serial port is: journald and getty write to nothing else.
        "--console=read-only".into(),
        "--resolv-conf=off".into(),
        "--timezone=off".into(),
        "--link-journal=no".into(),
        format!("--machine={}", boot.name),
        format!("--directory={}", boot.root.display()),
        format!("--network-namespace-path={}", boot.network.display()),
        bind(&boot.resolv_conf, "/etc/resolv.conf"),
        bind(
            &boot.system_conf,
            "/run/systemd/system.conf.d/50-endpoints.conf",
        ),
        // EC2's mark, by which cloud-init (and ds-identify) know that they are on AWS and use version 2 of the metadata service.
        bind(&boot.hypervisor_uuid, "/sys/hypervisor/uuid"),
        // Process 1 says on the console what it starts, as the kernel command line of an EC2 image asks it to.
        "systemd.show_status=1".into(),
        // cloud-init reads its settings between these words from the command line of process 1.
        "cc:".into(),
        format!(
            "{{datasource: {{Ec2: {{strict_id: false, metadata_urls: [\"{}\"]}}}}, network: {{config: disabled}}}}",
            boot.metadata_url
        ),
        "end_cc".into(),
    ]
}

fn meaning(status: ExitStatus) -> Ended {
    if status.code() == Some(EXIT_REBOOT) {
        Ended::Reboot
    } else {
        Ended::PowerOff
    }
}

/// The first child of systemd-nspawn.
pub(crate) fn leader_of(nspawn: i32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// The file by which systemd-nspawn locks a disk; it stays behind when the host ends.
pub(crate) fn root_lock(root: &Path) -> Option<PathBuf> {
    let disk = fs::metadata(root).ok()?;
    Some(
        Path::new(RUN)
            .join("locks")
            .join(format!("inode-{}:{}", disk.dev(), disk.ino())),
    )
}

/// Removes what systemd-nspawn keeps about a host under /run and leaves there when it is killed.
pub(crate) fn remove_traces(name: &str, root_lock: Option<&Path>) {
    for folder in ["propagate", "unix-export"] {
        let path = Path::new(RUN).join(folder).join(name);
        let _ = crate::disk::unmount_all_below(&path);
        let _ = fs::remove_dir_all(path);
    }
    let _ = fs::remove_file(Path::new(RUN).join("locks").join(name));
    if let Some(lock) = root_lock {
        let _ = fs::remove_file(lock);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn only_the_restart_status_is_a_reboot() {
        assert_eq!(meaning(ExitStatus::from_raw(133 << 8)), Ended::Reboot);
        assert_eq!(meaning(ExitStatus::from_raw(0)), Ended::PowerOff);
        assert_eq!(meaning(ExitStatus::from_raw(9)), Ended::PowerOff, "killed");
    }
}
