//! Why a record is refused.

use crate::account::{BatchId, GenerationId, Span};

/// A record that can't be true of the account it was to change. The account is left as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Nobody has found it, or it was forgotten.
    #[error("generation {0} is not known")]
    UnknownGeneration(GenerationId),
    /// Its number is taken.
    #[error("generation {0} was found before")]
    GenerationAgain(GenerationId),
    /// It has no intent, or was answered before.
    #[error("batch {} has no intent", .0.0)]
    UnknownBatch(BatchId),
    /// Its number is taken.
    #[error("batch {} is in flight already", .0.0)]
    BatchAgain(BatchId),
    /// A span without a byte.
    #[error("bytes {}..{} of generation {} are no span", .0.start, .0.end, .0.generation)]
    EmptySpan(Span),
    /// Some of these bytes have met their fate.
    #[error("bytes {}..{} of generation {} would be settled twice", .0.start, .0.end, .0.generation)]
    SettledTwice(Span),
    /// Some of these bytes are in a batch that is not answered yet.
    #[error("bytes {}..{} of generation {} are in flight already", .0.start, .0.end, .0.generation)]
    InFlightTwice(Span),
    /// The bytes of an earlier generation were to be left out of an account that had begun.
    #[error("the first {0} bytes of a generation can't be left out: its account has begun")]
    LeftOutTwice(u64),
    /// A batch landed with other bytes than it was sent with.
    #[error("batch {} was not sent with these bytes", .0.0)]
    OtherSpans(BatchId),
    /// More bytes of a span were not shipped than it has.
    #[error("bytes {}..{} of generation {} are fewer than what was not shipped of them", .0.start, .0.end, .0.generation)]
    MoreThanSpan(Span),
    /// It can't be forgotten while bytes of it are pending.
    #[error("{pending_bytes} bytes of generation {generation} are pending")]
    StillPending {
        /// Whose.
        generation: GenerationId,
        /// How many.
        pending_bytes: u64,
    },
    /// The account does not add up: a defect of the ledger itself.
    #[error("the account of generation {generation} does not add up: {what}")]
    Broken {
        /// Whose.
        generation: GenerationId,
        /// In which way.
        what: &'static str,
    },
}
