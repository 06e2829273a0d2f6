//! What the logs stand on: memory, a disk that uses inodes again, or an overlay of two layers as a container has it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::host::BASE_MS;

/// Which file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In memory where that is possible: the files are real, their disk need not be.
    Memory,
    /// Where an inode that is free is used again at once.
    Disk,
    /// The logs stand in the lower layer at first: their birth time changes with the first write.
    Overlay,
}

/// The folders of a history.
pub(crate) struct Ground {
    folder: tempfile::TempDir,
    root: PathBuf,
    mounted: bool,
}

impl Ground {
    /// `None` where this machine has no such place.
    pub(crate) fn new(place: Place) -> Option<Self> {
        let shared_memory = Path::new("/dev/shm");
        let folder = match place {
            Place::Disk => tempfile::tempdir(),
            Place::Memory | Place::Overlay if shared_memory.is_dir() => {
                tempfile::tempdir_in(shared_memory)
            }
            Place::Memory | Place::Overlay => tempfile::tempdir(),
        }
        .unwrap();
        let root = folder.path().join("logs");
        fs::create_dir(&root).unwrap();
        let mut ground = Self {
            folder,
            root,
            mounted: false,
        };
        (place != Place::Overlay || ground.mount()).then_some(ground)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// An overlay whose lower layer holds each log of three, with a line, and an old copy of it.
    fn mount(&mut self) -> bool {
        let folder = |name: &str| self.folder.path().join(name);
        for name in ["lower", "upper", "work"] {
            fs::create_dir(folder(name)).unwrap();
        }
        for log in 0..3 {
            for (name, line) in [("log", "of the image"), ("log.1", "older, of the image")] {
                let path = folder("lower").join(format!("{log}.{name}"));
                fs::write(&path, format!("2026-11-22T06:00:00Z {line}, {log}\n")).unwrap();
                let of_the_image = SystemTime::UNIX_EPOCH
                    + Duration::from_millis(BASE_MS.unsigned_abs())
                    - Duration::from_secs(24 * 60 * 60);
                File::options()
                    .append(true)
                    .open(&path)
                    .unwrap()
                    .set_modified(of_the_image)
                    .unwrap();
            }
        }
        // One has a second name in the image: its inode changes with the first write.
        let (linked, name) = (
            folder("lower").join("2.log"),
            folder("lower").join("2.name"),
        );
        fs::hard_link(linked, name).unwrap();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            folder("lower").display(),
            folder("upper").display(),
            folder("work").display()
        );
        let mounted = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options])
            .arg(&self.root)
            .output();
        self.mounted = mounted.is_ok_and(|mounted| mounted.status.success());
        self.mounted
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount")
                .arg("--lazy")
                .arg(&self.root)
                .status();
        }
    }
}
