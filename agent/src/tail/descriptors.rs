//! Few descriptors for many files: what is drained is closed first, and opened again when it grew.

use std::fs::File;
use std::io;
use std::path::Path;

use nix::errno::Errno;

use super::files::Files;
use super::generation::{Source, State};
use super::source;
use super::{Links, ReadError};
use crate::account::GenerationId;
use crate::discover::stat::Stat;

impl Files {
    /// Opens a file after making room for it.
    pub(super) fn open_path(&mut self, path: &Path, links: Links) -> io::Result<File> {
        self.make_room();
        match source::open(path, links) {
            // The process's own limit is lower than ours, or others used it up.
            Err(error) if error.raw_os_error() == Some(Errno::EMFILE as i32) => {
                self.close_one();
                source::open(path, links)
            }
            other => other,
        }
    }

    /// Counts a generation's descriptor.
    pub(super) fn note_open(&mut self, id: GenerationId) {
        self.open_files += 1;
        self.opened.push_back(id);
    }

    /// Opens the generation's file again if it was closed. It has to be the same file.
    ///
    /// # Errors
    /// [`ReadError::Changed`] if its path leads elsewhere now, [`ReadError::Io`] if it can't be opened.
    pub(super) fn ensure_open(&mut self, id: GenerationId) -> Result<(), ReadError> {
        let generation = self
            .generations
            .get_mut(&id)
            .ok_or(ReadError::Unknown(id))?;
        match generation.source {
            Source::Plain(None) => {}
            Source::Gone => {
                generation.suspect = true;
                return Err(ReadError::Changed);
            }
            _ => return Ok(()),
        }
        let path = generation.path.clone();
        let slot = generation.slot;
        let node = generation.node;
        let links = self.links_of(slot);
        let opened = self.open_path(&path, links).and_then(|file| {
            let stat = Stat::of_open(&file)?;
            Ok((file, stat))
        });
        let Some(generation) = self.generations.get_mut(&id) else {
            return Err(ReadError::Unknown(id));
        };
        match opened {
            Ok((file, stat)) if stat.node == node && stat.is_file() => {
                generation.source = Source::Plain(Some(file));
                self.note_open(id);
                Ok(())
            }
            Ok(_) => {
                generation.suspect = true;
                Err(ReadError::Changed)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                generation.suspect = true;
                Err(ReadError::Changed)
            }
            Err(source) => Err(ReadError::Io { path, source }),
        }
    }

    /// Closes what is needed least until one more may be opened.
    fn make_room(&mut self) {
        while self.open_files >= self.limits.open_files.max(1) {
            if !self.close_one() {
                return;
            }
        }
    }

    /// First what is drained and stands at its path; then what is not drained but can be opened again by its path. What
    /// has no name any more is never closed: nothing would bring it back.
    fn close_one(&mut self) -> bool {
        for drained_only in [true, false] {
            for _ in 0..self.opened.len() {
                let Some(id) = self.opened.pop_front() else {
                    break;
                };
                let Some(generation) = self.generations.get_mut(&id) else {
                    continue;
                };
                if !generation.is_open() {
                    continue;
                }
                let reopenable = match generation.state {
                    State::Live => true,
                    State::Detached { deleted } => !deleted,
                    State::Final => false,
                };
                let copying = self.slots[generation.slot]
                    .as_ref()
                    .is_some_and(|slot| slot.copying.is_some());
                if reopenable && !copying && (!drained_only || generation.is_drained()) {
                    generation.source = Source::Plain(None);
                    self.open_files = self.open_files.saturating_sub(1);
                    return true;
                }
                self.opened.push_back(id);
            }
        }
        false
    }

    /// Lets go of a generation's descriptor.
    pub(super) fn close(&mut self, id: GenerationId, instead: Source) -> Option<File> {
        let generation = self.generations.get_mut(&id)?;
        if generation.is_open() {
            self.open_files = self.open_files.saturating_sub(1);
        }
        match std::mem::replace(&mut generation.source, instead) {
            Source::Plain(file) => file,
            Source::Packed(_) | Source::Gone => None,
        }
    }
}
