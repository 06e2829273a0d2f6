//! Where the bytes of a generation come from: an open file, or a compressed copy of it.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use crate::discover::links::{self, Links};

/// How much decompressed content is kept, so that an unfinished line can be read again without starting over.
const WINDOW_BYTES: usize = 512 * 1024;
/// The file is decompressed in steps of this size.
const STEP_BYTES: usize = 64 * 1024;

/// Opens a regular file for reading, without waiting for anybody (a FIFO that took its place would), and without being led by a
/// symbolic link to what is not its owner's.
pub(crate) fn open(path: &Path, links: Links) -> io::Result<File> {
    links::open(path, links)
}

/// Where an open file's name is now; `None` when it has none any more.
pub(crate) fn path_of(file: &File) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    // The kernel appends " (deleted)"; a path that really ends so is told by asking.
    path.is_absolute()
        .then_some(path)
        .filter(|path| path.exists())
}

/// What stands at a position of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Bytes that were written.
    Data,
    /// A hole up to this position, where data begins.
    HoleUntil(u64),
    /// A hole up to the end: nothing was written here yet.
    HoleToTheEnd,
}

/// Asks the file system. One that knows no holes says that all is data.
pub(crate) fn extent_at(file: &File, at: u64) -> Extent {
    let Ok(offset) = i64::try_from(at) else {
        return Extent::Data;
    };
    match lseek(file, offset, Whence::SeekData) {
        Ok(data) if data > offset => Extent::HoleUntil(data as u64),
        Err(Errno::ENXIO) => Extent::HoleToTheEnd,
        _ => Extent::Data,
    }
}

/// The decompressed content of a gzip file (of several members, too), read from front to back.
pub(crate) struct Gzip {
    decoder: MultiGzDecoder<BufReader<File>>,
    /// The last bytes that were decompressed; they end at `end`.
    window: Vec<u8>,
    end: u64,
    finished: bool,
}

impl std::fmt::Debug for Gzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gzip").field("end", &self.end).finish()
    }
}

/// All that one pass over a gzip file tells.
#[derive(Debug)]
pub(crate) struct Survey {
    /// How many bytes it holds, as far as it can be read.
    pub(crate) bytes: u64,
    /// Its first bytes.
    pub(crate) beginning: Vec<u8>,
    /// Why it could not be read further.
    pub(crate) damage: Option<io::Error>,
}

impl Gzip {
    pub(crate) fn new(file: File) -> Gzip {
        Gzip {
            decoder: MultiGzDecoder::new(BufReader::with_capacity(STEP_BYTES, file)),
            window: Vec::new(),
            end: 0,
            finished: false,
        }
    }

    /// Reads it all once: there is no other way to know how long it is.
    pub(crate) fn survey(file: &File) -> io::Result<Survey> {
        let mut file = file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let mut decoder = MultiGzDecoder::new(BufReader::with_capacity(STEP_BYTES, file));
        let mut survey = Survey {
            bytes: 0,
            beginning: Vec::new(),
            damage: None,
        };
        let mut step = vec![0; STEP_BYTES];
        loop {
            match decoder.read(&mut step) {
                Ok(0) => return Ok(survey),
                Ok(bytes) => {
                    let wanted =
                        super::identity::HEAD_BYTES_MAX.saturating_sub(survey.beginning.len());
                    survey
                        .beginning
                        .extend_from_slice(&step[..bytes.min(wanted)]);
                    survey.bytes += bytes as u64;
                }
                Err(error) => {
                    survey.damage = Some(error);
                    return Ok(survey);
                }
            }
        }
    }

    /// Bytes from `at` on; none at the end, or where it can't be read further.
    pub(crate) fn read_at(&mut self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        if at < self.end - self.window.len() as u64 {
            self.rewind()?;
        }
        // Half of what is kept is never dropped, and holds all of what is asked for.
        let kept_bytes = WINDOW_BYTES.max(2 * buf.len());
        while self.end < at + buf.len() as u64 && !self.finished {
            self.step(kept_bytes);
        }
        let start = self.end - self.window.len() as u64;
        let Some(content) = usize::try_from(at - start)
            .ok()
            .and_then(|skip| self.window.get(skip..))
        else {
            return Ok(0);
        };
        let bytes = content.len().min(buf.len());
        buf[..bytes].copy_from_slice(&content[..bytes]);
        Ok(bytes)
    }

    fn step(&mut self, kept_bytes: usize) {
        if self.window.len() > kept_bytes {
            self.window.drain(..self.window.len() - kept_bytes / 2);
        }
        let kept = self.window.len();
        self.window.resize(kept + STEP_BYTES, 0);
        // How far it can be read was found by the survey; damage beyond is reported there.
        let bytes = self.decoder.read(&mut self.window[kept..]).unwrap_or(0);
        self.window.truncate(kept + bytes);
        self.end += bytes as u64;
        self.finished = bytes == 0;
    }

    fn rewind(&mut self) -> io::Result<()> {
        let mut file = self.decoder.get_ref().get_ref().try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        *self = Gzip::new(file);
        Ok(())
    }
}
