//! Advisory locks on files, which the kernel drops with the process however it ends.

use std::fs::{File, OpenOptions};
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::fcntl::{Flock, FlockArg};

/// An exclusive lock, held until dropped.
pub(crate) struct FileLock {
    _file: Flock<File>,
}

impl FileLock {
    /// Takes the lock, waiting for another holder; `on_wait` is called once if there is one.
    pub(crate) fn wait(path: &Path, on_wait: impl FnOnce()) -> Result<Self> {
        let open = || {
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)
        };
        let context = || format!("could not lock {}", path.display());
        match Flock::lock(
            open().with_context(context)?,
            FlockArg::LockExclusiveNonblock,
        ) {
            Ok(file) => Ok(Self { _file: file }),
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => {
                on_wait();
                let file = Flock::lock(file, FlockArg::LockExclusive)
                    .map_err(|(_, errno)| errno)
                    .with_context(context)?;
                Ok(Self { _file: file })
            }
            Err((_, errno)) => Err(errno).with_context(context),
        }
    }
}
