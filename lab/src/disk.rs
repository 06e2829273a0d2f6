//! A host's disk: an overlay of frozen layers and one writable folder, mounted while the host runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::command::run;

/// Mounts only read the mount options' first page.
const MOUNT_OPTIONS_LIMIT_BYTES: usize = 4096;

/// The folders of one lab's disks.
#[derive(Debug, Clone)]
pub(crate) struct Disks {
    base: PathBuf,
    layers: PathBuf,
    hosts: PathBuf,
}

impl Disks {
    pub(crate) fn new(base: &Path, lab_dir: &Path) -> Result<Self> {
        let disks = Self {
            base: base.to_owned(),
            layers: lab_dir.join("layers"),
            hosts: lab_dir.join("hosts"),
        };
        fs::create_dir_all(&disks.layers)?;
        fs::create_dir_all(&disks.hosts)?;
        Ok(disks)
    }

    /// Holds a folder per host.
    pub(crate) fn hosts_dir(&self) -> &Path {
        &self.hosts
    }

    /// The folder of everything that belongs to one host.
    pub(crate) fn host_dir(&self, host: &str) -> PathBuf {
        self.hosts.join(host)
    }

    /// Where the host's disk is mounted while it runs.
    pub(crate) fn root(&self, host: &str) -> PathBuf {
        self.host_dir(host).join("root")
    }

    /// Mounts the host's disk on top of `stack` (lowest layer first). The first mount of a host creates its empty writable folder.
    pub(crate) fn mount(&self, host: &str, stack: &[String]) -> Result<PathBuf> {
        let dir = self.host_dir(host);
        let root = self.root(host);
        for folder in ["upper", "work", "root"] {
            fs::create_dir_all(dir.join(folder))
                .with_context(|| format!("could not create the disk of {host}"))?;
        }
        let mut lower: Vec<String> = stack
            .iter()
            .rev()
            .map(|layer| self.layers.join(layer).display().to_string())
            .collect();
        lower.push(self.base.display().to_string());
        // Renaming a folder of a lower layer works as on a plain disk only with redirects, and they stay valid since a stack never changes its order.
        let options = format!(
            "lowerdir={},upperdir={},workdir={},redirect_dir=on,index=off,metacopy=off",
            lower.join(":"),
            dir.join("upper").display(),
            dir.join("work").display()
        );
        anyhow::ensure!(
            options.len() < MOUNT_OPTIONS_LIMIT_BYTES,
            "the disk of {host} stands on {} layers, more than one mount can name; bake from an image with fewer generations",
            stack.len()
        );
        mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .with_context(|| format!("could not mount the disk of {host}; the lab's folders must lie on a plain file system such as ext4 or xfs"))?;
        Ok(root)
    }

    /// Unmounts the host's disk if it is mounted.
    pub(crate) fn unmount(&self, host: &str) -> Result<()> {
        unmount_all_below(&self.root(host))
    }

    /// The writable folder of an unmounted disk becomes the layer `layer`: a rename, whatever its size.
    pub(crate) fn freeze_by_move(&self, host: &str, layer: &str) -> Result<()> {
        let upper = self.host_dir(host).join("upper");
        // First what a full disk can refuse: a host whose writes have become a layer that nobody knows of would lose them.
        let next = self.host_dir(host).join("next");
        fs::create_dir_all(&next)
            .with_context(|| format!("could not go on with the disk of {host}"))?;
        let frozen = self.layers.join(layer);
        fs::rename(&upper, &frozen)
            .with_context(|| format!("could not freeze the disk of {host} as {layer}"))?;
        fs::rename(&next, &upper)
            .or_else(|error| fs::rename(&frozen, &upper).and(Err(error)))
            .with_context(|| format!("could not go on with the disk of {host}"))
    }

    /// The writable folder is copied, with everything an overlay needs (owners, attributes, whiteouts), to where no layer is looked for.
    pub(crate) fn copy_upper(&self, host: &str, layer: &str) -> Result<()> {
        let (from, to) = (self.host_dir(host).join("upper"), self.copy_of(layer));
        let paths = [from.display().to_string(), to.display().to_string()];
        run(
            "cp",
            &[
                "--archive",
                "--reflink=auto",
                "--no-target-directory",
                &paths[0],
                &paths[1],
            ],
        )
        .map(drop)
        .with_context(|| format!("could not copy the disk of {host} as {layer}"))
        .inspect_err(|_| {
            // Half a copy would stay for the lab's life, and a full disk is the likeliest cause.
            let _ = remove_tree(&to);
        })
    }

    /// A finished copy becomes the layer.
    pub(crate) fn publish_copy(&self, layer: &str) -> Result<()> {
        fs::rename(self.copy_of(layer), self.layers.join(layer))
            .with_context(|| format!("could not make the layer {layer}"))
    }

    fn copy_of(&self, layer: &str) -> PathBuf {
        self.layers.join(format!(".{layer}"))
    }

    /// The layers that exist as folders.
    pub(crate) fn layers(&self) -> Result<BTreeSet<String>> {
        let names = fs::read_dir(&self.layers)?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    pub(crate) fn remove_layer(&self, layer: &str) -> Result<()> {
        fs::remove_dir_all(self.layers.join(layer))
            .with_context(|| format!("could not remove layer {layer}"))
    }

    /// Removes the host's disk for good.
    pub(crate) fn remove(&self, host: &str) -> Result<()> {
        self.unmount(host)?;
        remove_tree(&self.host_dir(host))
    }
}

/// Unmounts everything at or below `path`, deepest first.
pub(crate) fn unmount_all_below(path: &Path) -> Result<()> {
    for point in mount_points_below(&fs::read_to_string("/proc/self/mountinfo")?, path) {
        umount2(&point, MntFlags::MNT_DETACH)
            .with_context(|| format!("could not unmount {}", point.display()))?;
    }
    Ok(())
}

/// Mount points at or below `path`, in the order in which they can be undone (the last mounted first).
fn mount_points_below(mountinfo: &str, path: &Path) -> Vec<PathBuf> {
    let points = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescape(point)));
    let mut found: Vec<PathBuf> = points.filter(|point| point.starts_with(path)).collect();
    found.reverse();
    found
}

/// The kernel writes space, tab, newline and backslash as octal escapes.
fn unescape(point: &str) -> String {
    point
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

/// Removes a folder that may not exist.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::unwrap_used, reason = "a test may panic")]
    fn a_disk_that_cannot_be_frozen_keeps_what_was_written() {
        let lab = tempfile::tempdir().unwrap();
        let disks = Disks::new(Path::new("/base"), lab.path()).unwrap();
        let upper = disks.host_dir("i-1").join("upper");
        fs::create_dir_all(&upper).unwrap();
        fs::write(upper.join("written"), "").unwrap();

        // Something is in the way of the layer.
        fs::create_dir_all(disks.layers.join("snap-1/in-the-way")).unwrap();
        assert!(disks.freeze_by_move("i-1", "snap-1").is_err());
        assert!(upper.join("written").exists());

        disks.freeze_by_move("i-1", "snap-2").unwrap();
        assert!(disks.layers.join("snap-2/written").exists());
        assert_eq!(fs::read_dir(&upper).unwrap().count(), 0);
        assert!(!disks.host_dir("i-1").join("next").exists());
    }

    #[test]
    fn mounts_below_a_folder_are_undone_last_first_and_neighbours_are_left_alone() {
        let info = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:1 / /lab/a/root rw - overlay overlay rw\n\
            3 2 0:1 / /lab/a/root/my\\040disk rw - tmpfs tmpfs rw\n4 1 0:1 / /lab/ab/root rw - overlay overlay rw\n";
        assert_eq!(
            mount_points_below(info, Path::new("/lab/a")),
            [Path::new("/lab/a/root/my disk"), Path::new("/lab/a/root")]
        );
    }
}
