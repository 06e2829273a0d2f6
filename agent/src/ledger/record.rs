//! What the ledger writes down.

use std::path::PathBuf;
use std::sync::Arc;

use crate::account::{BatchId, Fate, GenerationId, Head, Identity, Part, Print, Span};
use crate::target::Target;

use super::Totals;

/// One change of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A generation is followed from now on. The bytes before `from` are filtered as
    /// [`BeforeStart`](crate::account::Filtered::BeforeStart) by this record itself.
    Found {
        /// Its number, not used before.
        generation: GenerationId,
        /// What tells it from other files.
        identity: Identity,
        /// The stable name of the set of files it belongs to.
        set: Arc<str>,
        /// Where it is just now.
        path: PathBuf,
        /// Where its events go.
        target: Arc<Target>,
        /// The first byte to ship.
        from: u64,
        /// When, Unix milliseconds by the host's clock.
        at_ms: i64,
    },
    /// A generation is followed from now on that begins with bytes of an earlier one: its file was cut shorter, and what is left of it
    /// is accounted for there. The account of this one begins at `from`: none of the bytes before are seen again.
    Continued {
        /// Its number, not used before.
        generation: GenerationId,
        /// What tells it from other files.
        identity: Identity,
        /// The stable name of the set of files it belongs to.
        set: Arc<str>,
        /// Where it is just now.
        path: PathBuf,
        /// Where its events go.
        target: Arc<Target>,
        /// The first byte that is its own.
        from: u64,
        /// When, Unix milliseconds by the host's clock.
        at_ms: i64,
    },
    /// More of its head is known.
    Identified {
        /// Whose.
        generation: GenerationId,
        /// The longer fingerprint.
        head: Head,
    },
    /// What was read of it, and the times of its file. Takes the place of what was known before.
    Printed {
        /// Whose.
        generation: GenerationId,
        /// The fingerprint.
        print: Box<Print>,
    },
    /// It has another name now.
    Moved {
        /// Which.
        generation: GenerationId,
        /// Its new path.
        path: PathBuf,
    },
    /// Its events go elsewhere from now on (the configuration was changed).
    Aimed {
        /// Whose.
        generation: GenerationId,
        /// The new target.
        target: Arc<Target>,
    },
    /// It is at least this long. Growth takes back an [`Ended`](Record::Ended).
    Seen {
        /// Which.
        generation: GenerationId,
        /// Bytes.
        size: u64,
    },
    /// No byte will be added to it.
    Ended {
        /// Which.
        generation: GenerationId,
        /// Its bytes.
        size: u64,
    },
    /// It is not followed any more. Every byte of it must be settled; its sums live on in those of its set.
    Forgotten {
        /// Which.
        generation: GenerationId,
    },
    /// A batch is about to be sent. Has to be committed before the batch leaves.
    Intent(Intent),
    /// A batch is at rest in CloudWatch Logs, but for what its parts say.
    Landed(Landing),
    /// A batch has certainly not landed: its bytes are pending again.
    Withdrawn {
        /// Which.
        batch: BatchId,
    },
    /// Bytes that are in no batch have met their fate.
    Settled {
        /// Which bytes.
        span: Span,
        /// What became of them.
        fate: Fate,
    },
    /// Something happened that can't be true of the account as it stands: from now on the account is known not to hold.
    Refused {
        /// How often.
        count: u64,
        /// What it was the first time, for people.
        what: String,
        /// When that was, Unix milliseconds by the host's clock.
        at_ms: i64,
    },
    /// In snapshots: the numbers to go on from, and the events shipped so far.
    Counters {
        /// The next generation's number.
        next_generation: u64,
        /// The next batch's number.
        next_batch: u64,
        /// All events shipped.
        events: u64,
    },
    /// In snapshots: what is left of the forgotten generations of a set.
    Retired {
        /// The set.
        set: Arc<str>,
        /// How many generations.
        generations: u64,
        /// Their bytes.
        totals: Totals,
    },
    /// In snapshots: a generation as it stands.
    Carried(Box<Carried>),
    /// In snapshots: the batches that landed lately in one stream, the oldest first.
    Recent {
        /// The stream.
        target: Arc<Target>,
        /// Per batch: its number, its first and last time stamp in Unix milliseconds, and its spans.
        batches: Vec<(BatchId, i64, i64, Vec<Span>)>,
    },
}

/// A batch that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Its number, not used before.
    pub batch: BatchId,
    /// Where it goes.
    pub target: Arc<Target>,
    /// The bytes that are settled with it.
    pub parts: Vec<Part>,
    /// Its earliest time stamp, Unix milliseconds.
    pub first_ms: i64,
    /// Its latest time stamp, Unix milliseconds.
    pub last_ms: i64,
    /// SHA-256 of the request's body.
    pub sha256: [u8; 32],
    /// When it was about to be sent, Unix milliseconds by the service's clock, as far as that is known.
    pub sent_ms: i64,
}

/// A batch that is at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// Which.
    pub batch: BatchId,
    /// The spans of its intent, with everything in them that was not shipped.
    pub parts: Vec<Part>,
    /// How many events were shipped with it.
    pub events: u64,
    /// When the answer came, Unix milliseconds by the host's clock: it is compared with times of files.
    pub at_ms: i64,
}

/// A generation as it stands, for snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Its number.
    pub generation: GenerationId,
    /// What tells it from other files.
    pub identity: Identity,
    /// The set it belongs to.
    pub set: Arc<str>,
    /// Where it is.
    pub path: PathBuf,
    /// Where its events go.
    pub target: Arc<Target>,
    /// Bytes at its beginning that are in the account of an earlier generation: part of `settled`, and of no sum.
    pub base: u64,
    /// The bytes it is known to have.
    pub seen: u64,
    /// Whether no byte will be added to those seen.
    pub ended: bool,
    /// The settled bytes, as sorted runs `start..end` that do not touch.
    pub settled: Vec<(u64, u64)>,
    /// What became of them.
    pub totals: Totals,
    /// When it was found, or some of it landed last, Unix milliseconds by the host's clock.
    pub last_ms: i64,
}
