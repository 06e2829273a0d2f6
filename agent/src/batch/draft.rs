//! A batch while it is written, and the batch that it becomes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::body::{self, Opening};
use super::fill::Fill;
use super::limits::{
    BATCH_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_SPAN_MS_MAX, BODY_BYTES_MAX, EVENT_OVERHEAD_BYTES,
};
use super::pool::{Buffers, Pool};
use crate::account::{BatchId, Fate, Part, Span};
use crate::target::Target;

/// One event of a batch, in the order of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its time, in milliseconds since 1970.
    pub unix_ms: i64,
    /// Where its JSON object starts in the body.
    pub start: u32,
    /// One past its JSON object.
    pub end: u32,
    /// Whose bytes it is made of: an index into the batch's parts.
    pub part: u32,
    /// How many bytes of the file it stands for, the line's end included.
    pub bytes: u32,
}

/// A finished request to PutLogEvents, and what it is made of.
#[derive(Debug)]
pub struct Batch {
    /// Never used twice, in the order of sealing.
    pub id: BatchId,
    /// Where it goes.
    pub target: Arc<Target>,
    /// The finished JSON.
    pub body: Bytes,
    /// Its events, in chronological order.
    pub events: Vec<Entry>,
    /// The spans of the files that are settled with it.
    pub parts: Vec<Part>,
    /// The first event's time, in milliseconds since 1970.
    pub first_ms: i64,
    /// The last event's time, in milliseconds since 1970.
    pub last_ms: i64,
    /// Monotonic: when its first event was read.
    pub oldest: Duration,
    /// What it holds of the batcher's memory.
    pub memory_bytes: usize,
}

/// Whether an event found room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Taken,
    /// The batch is full by a rule of the service, or of the body's size.
    Batch,
    /// There is no memory to grow.
    Memory,
}

/// A batch that still takes events. Keeps every rule of the service but the order, which is made when it is sealed.
#[derive(Debug)]
pub struct Draft {
    pub(super) target: Arc<Target>,
    pub(super) oldest: Duration,
    buffers: Buffers,
    parts: Vec<Part>,
    /// The part that was extended last.
    part: usize,
    /// Parts that go on no further: their last event ended only because there was no more to read then.
    closed: Vec<usize>,
    opening: Opening,
    counted_bytes: usize,
    first_ms: i64,
    last_ms: i64,
    /// How full it was when the time rose last.
    risen: Fill,
    /// Whether the events came in chronological order.
    sorted: bool,
}

impl Draft {
    pub(super) fn new(
        target: Arc<Target>,
        parts: Vec<Part>,
        mut buffers: Buffers,
        now: Duration,
    ) -> Self {
        body::head(&target, &mut buffers.body);
        Draft {
            target,
            oldest: now,
            buffers,
            parts,
            part: 0,
            closed: Vec::new(),
            opening: Opening::new(),
            counted_bytes: 0,
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            risen: Fill::default(),
            sorted: true,
        }
    }

    /// What it holds of the host's memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.buffers.bytes()
    }

    pub(super) fn body_bytes(&self) -> usize {
        self.buffers.body.len()
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether it has no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffers.events.is_empty()
    }

    /// The times of its first and its last event, in milliseconds since 1970; `None` if it has none.
    pub(super) fn window(&self) -> Option<(i64, i64)> {
        (!self.is_empty()).then_some((self.first_ms, self.last_ms))
    }

    /// Whether an event of this time would be later than all that are there.
    #[inline]
    pub(super) fn rises(&self, unix_ms: i64) -> bool {
        unix_ms > self.last_ms && !self.is_empty()
    }

    /// Whether the batch is better ended before an event of a later time than all others: nearly full as it is, it would else have to end
    /// among events of one time, and the next one would have to wait for it.
    #[inline]
    pub(super) fn ends_well(&mut self) -> bool {
        let fill = Fill {
            events: self.buffers.events.len(),
            counted_bytes: self.counted_bytes,
            body_bytes: self.buffers.body.len(),
        };
        let before = std::mem::replace(&mut self.risen, fill);
        fill.ends_well(before)
    }

    /// Adds an event that the service takes.
    #[inline]
    pub(super) fn push(
        &mut self,
        pool: &mut Pool,
        span: Span,
        bytes: u32,
        unix_ms: i64,
        message: &str,
    ) -> Room {
        let room = self.room(pool, unix_ms, message);
        if room == Room::Taken {
            let part = self.extend(span);
            self.write(part, bytes, unix_ms, message);
        }
        room
    }

    /// Adds an event of a part that is known already.
    pub(super) fn push_known(
        &mut self,
        pool: &mut Pool,
        part: u32,
        bytes: u32,
        unix_ms: i64,
        message: &str,
    ) -> Room {
        let room = self.room(pool, unix_ms, message);
        if room == Room::Taken {
            self.write(part, bytes, unix_ms, message);
        }
        room
    }

    #[inline]
    fn room(&mut self, pool: &mut Pool, unix_ms: i64, message: &str) -> Room {
        let events = self.buffers.events.len();
        let counted_bytes = self.counted_bytes + message.len() + EVENT_OVERHEAD_BYTES;
        let span_ms = self
            .last_ms
            .max(unix_ms)
            .saturating_sub(self.first_ms.min(unix_ms));
        if events == BATCH_EVENTS_MAX
            || counted_bytes > BATCH_BYTES_MAX
            || span_ms > BATCH_SPAN_MS_MAX
        {
            return Room::Batch;
        }
        let bound = self.buffers.body.len()
            + body::EVENT_JSON_BYTES
            + body::escaped_bound(message.len())
            + body::TAIL.len();
        if bound > self.buffers.body.capacity() || events == self.buffers.events.capacity() {
            return self.make_room(pool, message);
        }
        Room::Taken
    }

    #[inline]
    fn write(&mut self, part: u32, bytes: u32, unix_ms: i64, message: &str) {
        self.counted_bytes += message.len() + EVENT_OVERHEAD_BYTES;
        self.sorted &= unix_ms >= self.last_ms;
        self.first_ms = self.first_ms.min(unix_ms);
        self.last_ms = self.last_ms.max(unix_ms);
        let out = &mut self.buffers.body;
        if !self.buffers.events.is_empty() {
            out.push(b',');
        }
        let start = out.len() as u32;
        self.opening.write(unix_ms, out);
        body::escape(message, out);
        out.extend_from_slice(b"\"}");
        let end = out.len() as u32;
        self.buffers.events.push(Entry {
            unix_ms,
            start,
            end,
            part,
            bytes,
        });
    }

    /// Looks closer at what the message needs, and grows the buffers for it.
    #[cold]
    fn make_room(&mut self, pool: &mut Pool, message: &str) -> Room {
        let body_bytes = self.buffers.body.len();
        let needed = body_bytes
            + body::EVENT_JSON_BYTES
            + body::escaped_bytes_at_most(message)
            + body::TAIL.len();
        if needed > BODY_BYTES_MAX && !self.is_empty() {
            return Room::Batch;
        }
        if !pool.grow_events(&mut self.buffers) || !pool.grow_body(&mut self.buffers, needed) {
            return Room::Memory;
        }
        Room::Taken
    }

    /// Counts the span to the part that it continues, or opens a new one; gives the part's index.
    #[inline]
    fn extend(&mut self, span: Span) -> u32 {
        if let Some(part) = self.parts.get_mut(self.part)
            && continues(part, span)
        {
            part.span.end = span.end;
            return self.part as u32;
        }
        self.part = self
            .parts
            .iter()
            .enumerate()
            .rfind(|(at, part)| continues(part, span) && !self.closed.contains(at))
            .map(|(at, _)| at)
            .unwrap_or_else(|| {
                self.parts.push(Part {
                    span: Span {
                        end: span.start,
                        ..span
                    },
                    not_shipped: Vec::new(),
                });
                self.parts.len() - 1
            });
        self.parts[self.part].span.end = span.end;
        self.part as u32
    }

    /// Ends the part that was added to last: what follows it in the file is another one.
    pub(super) fn end_part(&mut self) {
        if self.part < self.parts.len() {
            self.closed.push(self.part);
            self.part = usize::MAX;
        }
    }

    /// Counts bytes that are not sent to the part that they continue; false if there is none.
    pub(super) fn skip(&mut self, span: Span, fate: Fate) -> bool {
        let parts = self.parts.iter_mut().enumerate();
        let Some((_, part)) = parts
            .rev()
            .find(|(at, part)| continues(part, span) && !self.closed.contains(at))
        else {
            return false;
        };
        part.span.end = span.end;
        match part
            .not_shipped
            .iter_mut()
            .find(|(known, _)| *known == fate)
        {
            Some((_, bytes)) => *bytes += span.bytes(),
            None => part.not_shipped.push((fate, span.bytes())),
        }
        true
    }

    /// Gives up what it was written into.
    pub(super) fn into_buffers(self) -> Buffers {
        self.buffers
    }

    /// The finished batch.
    pub(super) fn seal(mut self, id: BatchId) -> Batch {
        if !self.sorted {
            self.sort();
        }
        self.buffers.body.extend_from_slice(body::TAIL);
        Batch {
            id,
            target: self.target,
            memory_bytes: self.buffers.bytes(),
            body: Bytes::from(self.buffers.body),
            events: self.buffers.events,
            parts: self.parts,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            oldest: self.oldest,
        }
    }

    /// Brings events and body into chronological order; what has one time stays as it came.
    fn sort(&mut self) {
        let Buffers { body, events } = &mut self.buffers;
        let Some(head_bytes) = events.first().map(|event| event.start as usize) else {
            return;
        };
        events.sort_by_key(|event| event.unix_ms);
        let mut ordered = Vec::with_capacity(body.capacity());
        ordered.extend_from_slice(&body[..head_bytes]);
        for (index, event) in events.iter_mut().enumerate() {
            if index > 0 {
                ordered.push(b',');
            }
            let start = ordered.len() as u32;
            ordered.extend_from_slice(&body[event.start as usize..event.end as usize]);
            (event.start, event.end) = (start, ordered.len() as u32);
        }
        *body = ordered;
    }
}

#[inline]
fn continues(part: &Part, span: Span) -> bool {
    part.span.end == span.start && part.span.generation == span.generation
}
