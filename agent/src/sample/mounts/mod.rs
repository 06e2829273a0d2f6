//! Space of file systems: which of those that are mounted count, and how they are asked.
//!
//! A file system of a network may not answer for minutes, and with it whoever asks. So only local ones are asked by themselves; others are
//! when they are named, by a thread that may hang instead of the agent.

mod remote;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::statvfs::{Statvfs, statvfs};

use super::Trouble;
use super::data::Mount;
use super::read::{Files, lines};

pub(super) use remote::Remote;
use table::Entry;

const PATH: &str = "/proc/self/mountinfo";

pub(super) fn read(
    files: &mut Files,
    named: &[PathBuf],
    remote: &mut Remote,
    troubles: &mut Vec<Trouble>,
) -> Option<Vec<Mount>> {
    let mut entries = lines(PATH, &files.text(PATH, troubles)?, 0, troubles, |line| {
        table::parse(line, |path, fstype, on_device| {
            table::is_local(path, fstype, on_device) || named.iter().any(|named| named == path)
        })
    });
    for path in named {
        if !entries.iter().any(|entry| entry.path == *path) {
            troubles.push(Trouble::NotMounted { path: path.clone() });
        }
    }
    // Hosts that are containers have single files of their own host mounted: /etc/resolv.conf is no disk of theirs.
    entries.retain(|entry| {
        let folder = || files.place(&entry.path).is_dir();
        entry.whole || !entry.local || named.contains(&entry.path) || folder()
    });
    let mut mounts = Vec::new();
    for entry in table::choose(entries, named) {
        let place = files.place(&entry.path);
        let space = match entry.local {
            true => space(&place).map_err(|error| Trouble::Mount {
                path: entry.path.clone(),
                error,
            }),
            false => remote.ask(&entry.path, move || space(&place)),
        };
        match space {
            // A file system without blocks has no space to tell of.
            Ok(space) if space.total_bytes > 0 => mounts.push(mount(files, &entry, space)),
            Ok(_) => {}
            Err(trouble) => troubles.push(trouble),
        }
    }
    Some(mounts)
}

/// Space of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Space {
    total_bytes: u64,
    free_bytes: u64,
    available_bytes: u64,
    inodes: u64,
    inodes_free: u64,
}

fn space(path: &Path) -> Result<Space, String> {
    let stat: Statvfs = statvfs(path).map_err(|error| error.desc().to_owned())?;
    let block_bytes = stat.fragment_size();
    Ok(Space {
        total_bytes: stat.blocks().saturating_mul(block_bytes),
        free_bytes: stat.blocks_free().saturating_mul(block_bytes),
        available_bytes: stat.blocks_available().saturating_mul(block_bytes),
        inodes: stat.files(),
        inodes_free: stat.files_free(),
    })
}

fn mount(files: &Files, entry: &Entry, space: Space) -> Mount {
    Mount {
        path: entry.path.to_string_lossy().into(),
        device: device(files, entry),
        fstype: entry.fstype.as_str().into(),
        total_bytes: space.total_bytes,
        free_bytes: space.free_bytes,
        available_bytes: space.available_bytes,
        inodes: space.inodes,
        inodes_free: space.inodes_free,
    }
}

/// The device's own name: `/dev/root` and names of the device mapper are only others for it.
fn device(files: &Files, entry: &Entry) -> Arc<str> {
    let alias = ["/dev/root", "/dev/mapper/", "/dev/disk/"]
        .iter()
        .any(|alias| entry.source.starts_with(alias));
    if alias {
        let link = files.place(&Path::new("/sys/dev/block").join(&entry.device));
        if let Ok(target) = std::fs::read_link(link)
            && let Some(name) = target.file_name()
        {
            return name.to_string_lossy().into();
        }
    }
    let name = entry.source.strip_prefix("/dev/");
    name.unwrap_or(&entry.source).into()
}
