//! Which generations of which files there are, and their bytes.
//!
//! A *generation* is one incarnation of a log file: from its creation, or from the truncation before it, to its end. It
//! keeps its id through renames, and when its last bytes have to be read from the copy that rotation made of it.
//! Positions are in its (decompressed) content.
//!
//! [`Files::look`] tells what happened since the last look, as [`Sight`]s; [`Files::read`] gives bytes, and never those
//! of another generation. Nothing here knows lines.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::account::{GenerationId, Head, Identity, Lost, Print, Span, Whereabouts};
use crate::discover::PatternError;
pub use crate::discover::links::Links;

mod backlog;
mod checksums;
mod compare;
mod copies;
mod descriptors;
mod detached;
mod directories;
mod files;
mod generation;
mod identity;
mod looking;
mod reading;
mod reconfigure;
mod resume;
mod rotation;
mod schedule;
mod siblings;
mod slot;
mod slots;
mod source;
mod survey;
mod truncation;
mod turns;
mod unpack;

#[cfg(test)]
mod tests;

pub use files::{Files, matching};
pub use survey::Survey;

/// Where to begin with a file that was there before the agent was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Start {
    /// With its first byte.
    Beginning,
    /// With what is written from now on. A file that appears later is read from its first byte all the same.
    #[default]
    End,
}

/// The files that are treated alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSet {
    /// Absolute globs. The first one is the set's stable name.
    pub patterns: Vec<String>,
    /// Globs of what is not meant; one without a slash is held against file names.
    pub exclude: Vec<String>,
    /// Where to begin when nothing is known of the set yet.
    pub start: Start,
    /// Which symbolic links are followed.
    pub links: Links,
}

/// The bounds that hold for all files together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Paths that are followed; more are left out.
    pub files: usize,
    /// Descriptors held on followed files.
    pub open_files: usize,
    /// Unread bytes of files that were rotated away or deleted.
    pub backlog_bytes: u64,
    /// Files that were rotated away or deleted and are not read to their end.
    pub backlog_files: usize,
    /// How often what may change without a ring is looked at.
    pub poll: Duration,
    /// How often everything is looked at, at least, whether or not anything rang.
    pub sweep: Duration,
    /// How often a busy file is looked at.
    pub tick: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            files: 10_000,
            open_files: 1024,
            backlog_bytes: 4 * 1024 * 1024 * 1024,
            backlog_files: 100,
            poll: Duration::from_secs(1),
            sweep: Duration::from_secs(60),
            tick: Duration::from_millis(100),
        }
    }
}

/// What the ledger remembers of a generation that was not forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: GenerationId,
    /// As it was last reported.
    pub identity: Identity,
    /// As it was last told by [`Files::print`].
    pub print: Print,
    /// The name of its set: the first pattern.
    pub set: String,
    /// Where it was last.
    pub whereabouts: Whereabouts,
    /// Its first byte whose fate is not settled: where reading goes on.
    pub settled_to: u64,
    /// One past the last byte that is known to have existed.
    pub seen: u64,
    /// When something of it was last read, by the host's clock in milliseconds since 1970, if that is known. Where the
    /// generation is gone altogether, rotated copies last written before this are taken to have been read.
    pub last_ms: Option<i64>,
}

/// Something that a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// A generation that is followed from now on. Every [`Known`] of a configured set gets one, too, even if its file is
    /// gone: then `Lost` and `Ended` follow at once.
    Found {
        /// Its id: new, or the known one.
        id: GenerationId,
        /// Index of its set, as handed to [`Files::open`].
        set: usize,
        /// Where it is.
        path: PathBuf,
        /// What tells it apart.
        identity: Identity,
        /// Where to begin. If it is not resumed, the bytes before are not to be sent: they were there before the agent was to begin, or
        /// are accounted for in an earlier generation.
        from: u64,
        /// The ledger knows it: what is before `from` is accounted for.
        resumed: bool,
    },
    /// There is more to read: up to `size`, as far as is known. The size may be the same as before, where a writer fills
    /// space that it allocated ahead: reads end where nothing is written yet.
    Grew {
        /// Which one.
        id: GenerationId,
        /// One past the last byte.
        size: u64,
    },
    /// Its head covers more of it now.
    Identified {
        /// Which one.
        id: GenerationId,
        /// The new head.
        head: Head,
    },
    /// The times of its file are others, though nothing was written. What is to be remembered of it.
    Printed {
        /// Which one.
        id: GenerationId,
        /// The fingerprint.
        print: Print,
    },
    /// It has another path now.
    Moved {
        /// Which one.
        id: GenerationId,
        /// The new path.
        path: PathBuf,
    },
    /// No byte will be added after `size`: a last unfinished line is complete now. Not yet read bytes before `size` can
    /// still be read. If a writer that held on adds something after all before the generation is forgotten, this is
    /// withdrawn by a `Grew`. Told again when [`Files::forget`] is worth another try.
    Ended {
        /// Which one.
        id: GenerationId,
        /// One past the last byte that can be read.
        size: u64,
    },
    /// Nothing was ever written here (a writer went on at its old offset after a truncation). To be skipped.
    Hole {
        /// From the position that was to be read next.
        span: Span,
    },
    /// These bytes were seen and can't be read any more. To be skipped.
    Lost {
        /// Which bytes.
        span: Span,
        /// Why.
        why: Lost,
    },
    /// Something keeps the agent from a path, or makes it slower. Told once, until it changes or is cleared.
    Trouble {
        /// The file or directory.
        path: PathBuf,
        /// What, and what to do.
        message: String,
    },
    /// The trouble with this path is over.
    Cleared {
        /// The file or directory.
        path: PathBuf,
    },
}

/// The outcome of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// How many bytes are in the buffer.
    pub bytes: usize,
    /// There is nothing after them just now.
    pub at_end: bool,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is not what it was, or has a hole here. [`Files::look`] tells what became of it; read on after that.
    #[error("the file changed under the read")]
    Changed,
    /// There is no such generation, or it was forgotten.
    #[error("there is no generation {0}")]
    Unknown(GenerationId),
    /// The file can't be opened or read just now. It is tried again when a look finds it readable.
    #[error("can't read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why the files can't be followed at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A pattern is not one.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A set without patterns has no name.
    #[error("a set of files has no pattern: name at least one path")]
    Empty,
}
