//! The labs of this machine: each is written down before it makes anything, so that whatever is left of a dead one can be found and removed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroup;
use crate::disk::{remove_tree, unmount_all_below};
use crate::lock::FileLock;
use crate::machine::{RUN, remove_traces, root_lock};
use crate::network::{Bridge, Subnet, pick_subnet, remove_namespaces};

const FILE: &str = "lab.json";

/// What is written down about one lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The process that runs it.
    pub pid: i32,
    /// When that process started, in clock ticks since boot: tells it from a later one with the same pid.
    pub pid_started_ticks: u64,
    /// The range of its bridge and default VPC.
    pub cidr: String,
    /// Filled in once it is up.
    #[serde(default)]
    pub up: Option<Up>,
}

/// What a running lab offers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Up {
    /// The front door on loopback, for clients on this machine.
    pub endpoint: String,
    /// The front door on the bridge, for hosts.
    pub host_endpoint: String,
    /// The metadata service.
    pub metadata: String,
    /// First of the lab's regions.
    pub region: String,
    /// Distribution release that hosts boot.
    pub base_suite: String,
    /// Where it was taken from.
    pub base_mirror: String,
    /// Names that hosts may reach.
    pub reachable: Vec<String>,
}

impl Entry {
    /// Whether the process that runs the lab still does.
    #[must_use]
    pub fn alive(&self) -> bool {
        started_ticks(self.pid) == Some(self.pid_started_ticks)
    }
}

/// The folder of all labs.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    dir: PathBuf,
}

impl Registry {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("could not create {}", dir.display()))?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    fn lock(&self) -> Result<FileLock> {
        FileLock::wait(&self.dir.join("labs.lock"), || ())
    }

    pub(crate) fn lab_dir(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// All labs that were written down, sorted by name.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for folder in fs::read_dir(&self.dir)?.flatten() {
            if let Ok(text) = fs::read(folder.path().join(FILE)) {
                entries.push(serde_json::from_slice(&text).with_context(|| {
                    format!("{} holds no lab", folder.path().join(FILE).display())
                })?);
            }
        }
        entries.sort_by(|a: &Entry, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Writes a new lab of this process down, with a network of its own. Dead labs are removed first.
    pub(crate) fn enter(&self, name: &str) -> Result<(Entry, Subnet)> {
        let _lock = self.lock()?;
        for entry in self.entries()? {
            if !entry.alive() {
                remove(&self.lab_dir(&entry.name), &entry.name).with_context(|| {
                    format!("could not remove what is left of the lab `{}`", entry.name)
                })?;
            } else if entry.name == name {
                bail!(
                    "a lab named `{name}` is already up (pid {}); end it with `lab down --name {name}` or choose another name",
                    entry.pid
                );
            }
        }
        let taken: Vec<String> = self
            .entries()?
            .into_iter()
            .map(|entry| entry.cidr)
            .collect();
        let subnet = pick_subnet(&taken)?;
        let pid = i32::try_from(std::process::id())?;
        let pid_started_ticks =
            started_ticks(pid).context("could not read this process's start time")?;
        let entry = Entry {
            name: name.to_owned(),
            pid,
            pid_started_ticks,
            cidr: subnet.cidr(),
            up: None,
        };
        self.write(&entry)?;
        Ok((entry, subnet))
    }

    pub(crate) fn write(&self, entry: &Entry) -> Result<()> {
        let dir = self.lab_dir(&entry.name);
        fs::create_dir_all(&dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&dir)?;
        serde_json::to_writer_pretty(&mut file, entry)?;
        file.persist(dir.join(FILE))?;
        Ok(())
    }

    /// Removes everything that a lab made. Its process must have ended or be the caller.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let _lock = self.lock()?;
        remove(&self.lab_dir(name), name)
    }
}

/// In this order: processes, then what they used. The folder with the entry goes last, so that a removal that fails can be repeated.
fn remove(dir: &Path, name: &str) -> Result<()> {
    // A disk's lock is named by what is only known while it is mounted.
    let hosts = fs::read_dir(dir.join("hosts"))
        .into_iter()
        .flatten()
        .flatten();
    let root_locks: Vec<PathBuf> = hosts
        .filter_map(|host| root_lock(&host.path().join("root")))
        .collect();
    Cgroup::new(name)?.destroy()?;
    unmount_all_below(dir)?;
    remove_namespaces(name)?;
    Bridge::remove(name)?;
    for machine in machines_of(name) {
        remove_traces(&machine, None);
    }
    for lock in root_locks {
        let _ = fs::remove_file(lock);
    }
    for entry in fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name() != FILE)
    {
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?
        } else {
            fs::remove_file(entry.path())?
        }
    }
    remove_tree(dir)
}

/// The names under which systemd-nspawn still knows hosts of a lab.
fn machines_of(lab: &str) -> Vec<String> {
    let prefix = format!("{lab}-i-");
    let folders = ["propagate", "locks", "unix-export"].map(|folder| Path::new(RUN).join(folder));
    let entries = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(&prefix))
        .collect()
}

/// Field 22 of /proc/PID/stat (proc(5)).
fn started_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // A zombie has ended, whatever its parent does.
    if fields.first() == Some(&"Z") {
        return None;
    }
    fields.get(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_that_was_taken_by_another_process_is_not_alive() {
        let pid = i32::try_from(std::process::id()).expect("pids are small");
        let ticks = started_ticks(pid).expect("this process runs");
        let entry = |pid_started_ticks| Entry {
            name: "x".into(),
            pid,
            pid_started_ticks,
            cidr: String::new(),
            up: None,
        };
        assert!(entry(ticks).alive());
        assert!(!entry(ticks + 1).alive());
    }
}
