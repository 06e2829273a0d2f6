//! Segments as files of a directory that one agent owns.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::medium::{Medium, Slot};

/// The directory of a ledger can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It can't be made or used.
    #[error(
        "cannot use {} for the ledger: it has to be a directory that the agent may write to",
        .directory.display()
    )]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "another agent{} uses the ledger in {}: stop it first, or give this one a state directory of its own",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(), .directory.display()
    )]
    InUse {
        /// Which directory.
        directory: PathBuf,
        /// The other process, if it can be told.
        pid: Option<u32>,
    },
}

/// A directory, locked.
#[derive(Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    /// The lock lives as long as this is open.
    _lock: File,
    files: [Option<File>; 2],
}

impl Disk {
    /// Makes the directory if it is not there, and locks it.
    pub(super) fn open(directory: &Path) -> Result<Disk, LockError> {
        let failed = |source| LockError::Directory {
            directory: directory.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join("ledger.lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let read = lock.read_to_string(&mut pid);
                return Err(LockError::InUse {
                    directory: directory.to_owned(),
                    pid: read.ok().and_then(|_| pid.trim().parse().ok()),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // For the message above only: a full disk is no reason to stop here.
        let _ = lock
            .set_len(0)
            .and_then(|()| lock.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(Disk {
            directory: directory.to_owned(),
            _lock: lock,
            files: [None, None],
        })
    }

    fn path(&self, slot: Slot) -> PathBuf {
        self.directory.join(slot.file())
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn file(&self, slot: Slot) -> io::Result<&File> {
        self.files[slot.index()]
            .as_ref()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Medium for Disk {
    fn read(&mut self, slot: Slot) -> io::Result<Option<Vec<u8>>> {
        let mut file = match OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path(slot))
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        self.files[slot.index()] = Some(file);
        Ok(Some(bytes))
    }

    fn replace(&mut self, slot: Slot, content: &[u8], size: u64) -> io::Result<()> {
        let path = self.path(slot);
        let temporary = path.with_extension("new");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        // Zeros that are written, not a hole: their blocks are taken now, on every file system, and to write them again
        // changes no metadata.
        io::copy(
            &mut io::repeat(0).take(size.saturating_sub(content.len() as u64)),
            &mut file,
        )?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        self.files[slot.index()] = Some(file);
        self.sync_directory()
    }

    fn write(&mut self, slot: Slot, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(slot)?.write_all_at(bytes, at)
    }

    fn sync(&mut self, slot: Slot) -> io::Result<()> {
        self.file(slot)?.sync_data()
    }

    fn aside(&self, name: &str) -> PathBuf {
        let plain = self.directory.join(name);
        std::iter::once(plain)
            .chain((2..).map(|number: u32| self.directory.join(format!("{name}-{number}"))))
            .find(|path| !path.exists())
            .unwrap_or_default()
    }

    fn set_aside(&mut self, place: &Path) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(place)?;
        for slot in [Slot::A, Slot::B] {
            match fs::hard_link(self.path(slot), place.join(slot.file())) {
                Ok(()) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        File::open(place)?.sync_all()?;
        self.sync_directory()
    }
}
