//! A control group per host: the one handle that reaches every process of it, however they were started.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// All labs' groups lie below this one.
pub(crate) const PARENT: &str = "baker-lab";

/// The control group of one host, in the unified hierarchy and, on machines that still mount it, in systemd's own.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup {
    unified: PathBuf,
    legacy: Option<PathBuf>,
}

impl Cgroup {
    /// `below` is a path below [`PARENT`], such as `LAB/HOST`. Nothing is created yet.
    pub(crate) fn new(below: &str) -> Result<Self> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo")
            .context("could not read /proc/self/mountinfo")?;
        let unified = find_mount(&mountinfo, "cgroup2", None)
            .context("no cgroup2 hierarchy is mounted; the lab needs one to keep its hosts apart (boot with systemd.unified_cgroup_hierarchy=1, or mount it)")?;
        let legacy = find_mount(&mountinfo, "cgroup", Some("name=systemd"));
        let place = |mount: PathBuf| mount.join(PARENT).join(below);
        Ok(Self {
            unified: place(unified),
            legacy: legacy.map(place),
        })
    }

    /// Creates the group; a process joins it by writing its pid to the returned files.
    pub(crate) fn create(&self) -> Result<Vec<PathBuf>> {
        let mut joins = Vec::new();
        for folder in std::iter::once(&self.unified).chain(&self.legacy) {
            fs::create_dir_all(folder).with_context(|| {
                format!("could not create the control group {}", folder.display())
            })?;
            joins.push(folder.join("cgroup.procs"));
        }
        Ok(joins)
    }

    /// Stops every process in its tracks, until [`Cgroup::thaw`].
    pub(crate) fn freeze(&self) -> Result<()> {
        fs::write(self.unified.join("cgroup.freeze"), "1").context("could not freeze the host")?;
        let events = self.unified.join("cgroup.events");
        wait_until(Duration::from_secs(5), || {
            Ok(fs::read_to_string(&events)?.contains("frozen 1"))
        })
        .context("the host did not freeze")
    }

    /// Undoes [`Cgroup::freeze`].
    pub(crate) fn thaw(&self) -> Result<()> {
        fs::write(self.unified.join("cgroup.freeze"), "0").context("could not thaw the host")
    }

    /// Kills what is left in the group, waits until it is empty, and removes it.
    pub(crate) fn destroy(&self) -> Result<()> {
        if self.unified.exists() {
            kill(&self.unified)?;
        }
        for folder in std::iter::once(&self.unified).chain(&self.legacy) {
            // A dying process leaves its group a moment after the kill.
            wait_until(Duration::from_secs(10), || match remove_groups(folder) {
                Ok(()) => Ok(true),
                Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => Ok(false),
                Err(error) => Err(error),
            })
            .with_context(|| format!("could not remove the control group {}", folder.display()))?;
            // The folders above go with the last host; until then this is refused.
            for parent in folder
                .ancestors()
                .skip(1)
                .take_while(|parent| parent.to_string_lossy().contains(PARENT))
            {
                let _ = fs::remove_dir(parent);
            }
        }
        Ok(())
    }
}

fn kill(group: &Path) -> Result<()> {
    // cgroup.kill exists since Linux 5.14.
    if fs::write(group.join("cgroup.kill"), "1").is_ok() {
        return Ok(());
    }
    for folder in folders_deepest_first(group)? {
        for pid in fs::read_to_string(folder.join("cgroup.procs"))?
            .lines()
            .filter_map(|line| line.parse().ok())
        {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }
    Ok(())
}

fn remove_groups(group: &Path) -> io::Result<()> {
    for folder in folders_deepest_first(group)? {
        match fs::remove_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn folders_deepest_first(top: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![top.to_owned()];
    while let Some(folder) = open.pop() {
        match fs::read_dir(&folder) {
            Ok(entries) => open.extend(
                entries
                    .flatten()
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        found.push(folder);
    }
    found.reverse();
    Ok(found)
}

fn wait_until(limit: Duration, mut done: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let start = std::time::Instant::now();
    while !done()? {
        if start.elapsed() > limit {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("still not done after {limit:?}"),
            ));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn find_mount(mountinfo: &str, kind: &str, option: Option<&str>) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let matches = right.next() == Some(kind)
            && option.is_none_or(|option| {
                right
                    .nth(1)
                    .is_some_and(|all| all.split(',').any(|one| one == option))
            });
        matches.then(|| PathBuf::from(left.split(' ').nth(4).unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchies_are_found_on_hybrid_and_on_unified_machines() {
        let hybrid = "30 1 0:2 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n31 1 0:3 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
            32 1 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(
            find_mount(hybrid, "cgroup2", None),
            Some("/sys/fs/cgroup/unified".into())
        );
        assert_eq!(
            find_mount(hybrid, "cgroup", Some("name=systemd")),
            Some("/sys/fs/cgroup/systemd".into())
        );
        let unified = "30 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            find_mount(unified, "cgroup2", None),
            Some("/sys/fs/cgroup".into())
        );
        assert_eq!(find_mount(unified, "cgroup", Some("name=systemd")), None);
    }
}
