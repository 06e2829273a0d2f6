//! The words of the account: generations, spans of their bytes, and what became of each byte.

use std::fmt;
use std::path::{Path, PathBuf};

/// One incarnation of a log file, for as long as the ledger lives. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationId(pub u64);

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One batch, for as long as the ledger lives. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// The bytes `start..end` of a generation (of its decompressed content, where it is compressed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Whose bytes.
    pub generation: GenerationId,
    /// The first byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl Span {
    /// How many bytes it covers.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }
}

/// Why bytes were deliberately not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filtered {
    /// The file's include or exclude patterns.
    Pattern,
    /// An empty line: the service takes no empty event.
    Empty,
    /// A hole of NUL bytes, as a writer leaves that goes on at its old offset after a truncation.
    Hole,
    /// There before the agent was to begin (`start = "end"`).
    BeforeStart,
    /// Written by the host this disk was cloned from.
    OtherInstance,
}

/// Why the service does not take an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejected {
    /// Older than 14 days.
    TooOld,
    /// More than two hours ahead.
    TooNew,
    /// Older than the group's retention.
    Expired,
    /// Refused for another reason, found by halving the batch it was in.
    Invalid,
}

/// Why bytes were not there to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// Seen, but truncated away before they could be read, and not in any copy.
    CopyTruncate,
    /// The file was gone before they were read.
    Deleted,
    /// Given up because the backlog's limit in bytes or files was reached.
    Backlog,
    /// A compressed copy that can't be read.
    Unreadable,
}

/// What became of a byte. The sum over all fates, plus what is pending, is what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// At rest in CloudWatch Logs.
    Shipped,
    /// Deliberately not sent.
    Filtered(Filtered),
    /// Not taken by the service.
    Rejected(Rejected),
    /// Not there to be sent.
    Lost(Lost),
}

/// What identifies one generation of a file on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device the file is on.
    pub device: u64,
    /// The file's inode on it.
    pub inode: u64,
    /// The first bytes of the content.
    pub head: Head,
}

/// Where a generation's file is; and where it was before it left that folder, which tells whose rotated copy it is (logrotate's `olddir`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    path: PathBuf,
    left: Option<PathBuf>,
}

impl Whereabouts {
    /// Where it was found.
    #[must_use]
    pub fn found(path: PathBuf) -> Self {
        Self { path, left: None }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its last path in the folder that it was found in, if it is in another one.
    #[must_use]
    pub fn left(&self) -> Option<&Path> {
        self.left.as_deref()
    }

    /// It has another path.
    pub fn move_to(&mut self, path: &Path) {
        let stays = path.parent() == self.path.parent();
        let before = std::mem::replace(&mut self.path, path.to_path_buf());
        if !stays && self.left.is_none() {
            self.left = Some(before);
        }
        self.left.take_if(|left| left.parent() == path.parent());
    }
}

/// A fingerprint of the first bytes of a file's (decompressed) content. It grows with a short file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Head {
    /// The position of the first byte that it covers: the first one that is not NUL. A writer that goes on at its old offset
    /// after a truncation leaves a hole before it.
    pub start: u64,
    /// How many bytes it covers.
    pub bytes: u32,
    /// The first eight bytes of their SHA-256.
    pub hash: u64,
}

impl Head {
    /// One past the last byte that it covers.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + u64::from(self.bytes)
    }
}

/// The CRC-32 of all bytes from a [`Print`]'s base up to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// One past the last byte that it covers.
    pub to: u64,
    /// The checksum.
    pub crc: u32,
}

/// A fingerprint of what was read of a generation: checksums of its content up to several positions, and its file's times. It tells
/// apart what begins alike, and knows a copy that ends anywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Print {
    /// When the file was made, in nanoseconds since 1970, where the file system tells.
    pub born_ns: Option<i64>,
    /// When it was last written, by the last look, in nanoseconds since 1970.
    pub modified_ns: Option<i64>,
    /// Its device and inode, where they have changed since it was found: overlayfs gives a file with several names others when it is
    /// first written.
    pub moved_to: Option<(u64, u64)>,
    /// The position that the checksums begin at.
    pub base: u64,
    /// In ascending order; the last one covers all that was read.
    pub marks: Vec<Mark>,
}

/// A span of a generation as part of a batch, and which of its bytes are not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The bytes that are settled when the batch is.
    pub span: Span,
    /// Bytes inside the span that are not shipped, by fate. All others are.
    pub not_shipped: Vec<(Fate, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_in_the_folder_that_was_left_is_remembered() {
        let mut is = Whereabouts::found(PathBuf::from("/logs/a.log"));
        for (to, left) in [
            ("/logs/a.log.1", None),
            ("/old/a.log.1", Some("/logs/a.log.1")),
            ("/old/a.log.2", Some("/logs/a.log.1")),
            ("/older/a.log.2", Some("/logs/a.log.1")),
            ("/logs/a.log", None),
        ] {
            is.move_to(Path::new(to));
            assert_eq!((is.path(), is.left()), (Path::new(to), left.map(Path::new)));
        }
    }
}
