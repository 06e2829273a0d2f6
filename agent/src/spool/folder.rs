//! Segments as files of a folder in the state directory, whose lock the caller holds.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Shelf;

/// The folder's name in the state directory.
const FOLDER: &str = "metrics";
const PREFIX: &str = "spool.";

/// The folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The segment that is written to.
    open: Option<(u32, File)>,
}

impl Folder {
    /// The folder of a state directory. It is made when something is written.
    #[must_use]
    pub fn of(state_dir: &Path) -> Folder {
        Folder {
            path: state_dir.join(FOLDER),
            open: None,
        }
    }

    fn file(&self, slot: u32) -> PathBuf {
        self.path.join(format!("{PREFIX}{slot:03}"))
    }

    fn opened(&mut self, slot: u32) -> io::Result<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != slot) {
            let file = OpenOptions::new().write(true).open(self.file(slot))?;
            self.open = Some((slot, file));
        }
        match &self.open {
            Some((_, file)) => Ok(file),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl Shelf for Folder {
    fn slots(&mut self) -> io::Result<Vec<u32>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut slots = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let slot = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            slots.extend(slot.and_then(|slot| slot.parse::<u32>().ok()));
        }
        slots.sort_unstable();
        Ok(slots)
    }

    fn read(&mut self, slot: u32) -> io::Result<Vec<u8>> {
        fs::read(self.file(slot))
    }

    fn create(&mut self, slot: u32, size: u64) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)?;
        let path = self.file(slot);
        let make = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            // Zeros that are written, not a hole: their blocks are taken now, on every file system.
            static ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];
            let mut left = size;
            while left > 0 {
                let piece = left.min(ZEROS.len() as u64);
                file.write_all(&ZEROS[..piece as usize])?;
                left -= piece;
            }
            file.sync_all()?;
            Ok(file)
        };
        match make() {
            Ok(file) => {
                self.open = Some((slot, file));
                self.sync_folder()
            }
            Err(error) => {
                // What there was no room for only takes room.
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    fn write(&mut self, slot: u32, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.opened(slot)?.write_all_at(bytes, at)
    }

    fn sync(&mut self, slot: u32) -> io::Result<()> {
        self.opened(slot)?.sync_data()
    }

    fn remove(&mut self, slot: u32) -> io::Result<()> {
        self.open.take_if(|(open, _)| *open == slot);
        match fs::remove_file(self.file(slot)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn set_aside(&mut self, slot: u32) -> io::Result<PathBuf> {
        self.open.take_if(|(open, _)| *open == slot);
        let path = self.file(slot);
        let aside = self.path.join(format!("unknown.{slot:03}"));
        fs::rename(&path, &aside)?;
        Ok(aside)
    }
}
