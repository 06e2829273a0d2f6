//! The words of the account: generations, spans of their bytes, and what became of each byte.

use std::fmt;

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

/// A fingerprint of the first bytes of a file's (decompressed) content. It grows with a short file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Head {
    /// How many bytes it covers.
    pub bytes: u32,
    /// The first eight bytes of their SHA-256.
    pub hash: u64,
}

/// A span of a generation as part of a batch, and which of its bytes are not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The bytes that are settled when the batch is.
    pub span: Span,
    /// Bytes inside the span that are not shipped, by fate. All others are.
    pub not_shipped: Vec<(Fate, u64)>,
}
