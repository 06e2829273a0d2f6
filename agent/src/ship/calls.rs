//! What goes out of shipping and what comes in: values, performed by others.

use std::sync::Arc;

use bytes::Bytes;

use super::resolve::Match;
use crate::account::{BatchId, Part};
use crate::aws::{Failure, RejectedInfo};
use crate::batch::Batch;
use crate::target::Target;

/// One call, for as long as the agent runs. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A call to be made. Each gets exactly one answer.
#[derive(Debug, Clone)]
pub struct Call {
    /// To be named with the answer.
    pub id: CallId,
    /// What to do.
    pub what: What,
}

/// What to do.
#[derive(Debug, Clone)]
pub enum What {
    /// PutLogEvents; answered by [`Answer::Put`].
    Put {
        /// Where to.
        target: Arc<Target>,
        /// Whose events; several requests may be of one batch.
        batch: BatchId,
        /// The finished JSON.
        body: Bytes,
        /// The first try of the whole batch: its intent has to be durable before it leaves.
        first: bool,
    },
    /// Make the group; answered by [`Answer::Made`].
    CreateGroup(Arc<Target>),
    /// Set the retention of the group that was just made; answered by [`Answer::Made`].
    SetRetention(Arc<Target>),
    /// Make the stream; answered by [`Answer::Made`].
    CreateStream(Arc<Target>),
    /// All events of a window of time, both ends included, that stand in the stream; answered by [`Answer::Events`].
    ReadBack {
        /// Which stream.
        target: Arc<Target>,
        /// Milliseconds since 1970.
        first_ms: i64,
        /// Milliseconds since 1970.
        last_ms: i64,
    },
    /// No call to the service, but a question to the engine; answered by [`Answer::Events`]: which events in the window, both ends
    /// included, are known to have landed from batches that are settled.
    Recall {
        /// Which stream.
        target: Arc<Target>,
        /// Milliseconds since 1970.
        first_ms: i64,
        /// Milliseconds since 1970.
        last_ms: i64,
    },
}

/// What came of a call.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Of [`What::Put`].
    Put(Result<RejectedInfo, Failure>),
    /// Of [`What::CreateGroup`], [`What::SetRetention`] and [`What::CreateStream`].
    Made(Result<(), Failure>),
    /// Of [`What::ReadBack`] and [`What::Recall`]: time in milliseconds since 1970, and message.
    Events(Result<Vec<(i64, String)>, Failure>),
}

/// A batch of which every event is at rest or rejected. Its memory goes back to the batcher.
#[derive(Debug)]
pub struct Settled {
    /// As it was offered.
    pub batch: Batch,
    /// The batch's parts, with what the service rejected.
    pub parts: Vec<Part>,
}

/// A batch of an earlier run whose intent is in the ledger and whose end is not.
#[derive(Debug)]
pub struct Restored {
    /// Written anew from the files.
    pub batch: Batch,
    /// The intent's first event, in milliseconds since 1970.
    pub first_ms: i64,
    /// The intent's last event, in milliseconds since 1970.
    pub last_ms: i64,
    /// [`Match::Exact`] if the body has the hash that the intent names; [`Match::Message`] if not, because some of its lines bear no time
    /// and were stamped with that of their reading.
    pub by: Match,
}
