//! Events into request bodies that keep every rule of the service.
//!
//! Each stream has at most one open batch, a [`Draft`]; an event is written into it as the JSON that will be sent. A draft is
//! sealed when it is full, when it is due, or when memory is short. It is due *at once* if its stream was quiet (the leading edge), and
//! otherwise [`Limits::flush`] after the stream's last request. So one line into a quiet file leaves without waiting, and a busy
//! stream makes few requests.
//!
//! Batches of one stream that share a time have to leave one after the other, since the service shows events of one time in the order of
//! their arrival. So a batch rather ends where the time rises: when it is nearly full, and when it could not leave anyway. And lines
//! that get the time of their reading get one that no batch before has had.
//!
//! The engine's turn: add all that it has read, then [`Batcher::flush`] as long as shipping has room (what can't leave now rather goes
//! on growing), then take [`Batcher::sealed`] until it is empty.

mod body;
mod draft;
mod fill;
mod limits;
mod pace;
mod pool;
mod times;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

pub use draft::{Batch, Draft, Entry};
pub use limits::{
    AGE_MS_MAX, AHEAD_MS_MAX, BATCH_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_SPAN_MS_MAX, BODY_BYTES_MAX,
    EVENT_OVERHEAD_BYTES, FLUSH_DEFAULT, Limits, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MIN,
    REQUESTS_PER_SECOND_DEFAULT,
};

use self::draft::Room;
use self::limits::Admission;
use self::pace::Pace;
use self::pool::{Buffers, Pool};
use self::times::Times;
pub use self::times::{READING_AHEAD_MS_MAX, When};
use crate::account::{BatchId, Fate, Part, Rejected, Span};
use crate::clock::Now;
use crate::target::Target;

/// With nothing open and nothing in flight for this long, all buffers go back to the host.
const QUIET: Duration = Duration::from_secs(2);
/// So few streams are never worth a sweep.
const SWEEP_MIN: usize = 64;

/// What became of an event that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is in a batch.
    Taken,
    /// There is no memory: offer it again after a release. Something to ship is sealed or in flight already.
    Full,
    /// The service would not take it; it is in no batch.
    Rejected(Rejected),
}

#[derive(Debug)]
struct Stream {
    target: Arc<Target>,
    draft: Option<Draft>,
    /// When the draft is due; means nothing without one.
    due: Duration,
    /// When the last batch was sealed.
    sealed: Option<Duration>,
    /// How large the last batch's body was: the next one starts with that much room.
    body_bytes: usize,
    /// What its lines without a time of their own get.
    times: Times,
    /// The open batch was due, and has to wait for one that is under way.
    waits: bool,
}

impl Stream {
    /// Whether what is open could not leave.
    fn waits_for(&self, is_free: impl Fn(&Arc<Target>, i64, i64) -> bool) -> bool {
        let window = self.draft.as_ref().and_then(Draft::window);
        window.is_some_and(|(first_ms, last_ms)| !is_free(&self.target, first_ms, last_ms))
    }
}

/// Writes events into batches. Pure: time is handed in, and nothing leaves but values.
#[derive(Debug)]
pub struct Batcher {
    limits: Limits,
    next_batch: u64,
    pool: Pool,
    pace: Pace,
    /// By place.
    streams: Vec<Stream>,
    places: HashMap<Arc<Target>, usize>,
    /// Where the last event went: lines come by the thousand from one file.
    last: usize,
    /// The open batches by the time they are due.
    due: BTreeSet<(Duration, usize)>,
    sealed: VecDeque<Batch>,
    /// Batches that are sealed and not yet released.
    outstanding: usize,
    /// When nothing was open or outstanding any more.
    quiet_since: Option<Duration>,
    /// Places without a stream.
    free: Vec<usize>,
    /// With this many places, streams that are quiet are forgotten.
    sweep_at: usize,
    restamped: u64,
}

impl Batcher {
    /// A batcher without events, whose first batch gets the id `next_batch`.
    #[must_use]
    pub fn new(limits: Limits, next_batch: u64) -> Self {
        Batcher {
            limits,
            next_batch,
            pool: Pool::new(limits.memory_bytes),
            pace: Pace::new(limits.requests_per_second),
            streams: Vec::new(),
            places: HashMap::new(),
            last: usize::MAX,
            due: BTreeSet::new(),
            sealed: VecDeque::new(),
            outstanding: 0,
            quiet_since: None,
            free: Vec::new(),
            sweep_at: SWEEP_MIN,
            restamped: 0,
        }
    }

    /// Other limits from now on. What is open or sealed stays as it is.
    pub fn set_limits(&mut self, limits: Limits) {
        self.pool.set_limit(limits.memory_bytes);
        self.pace.set_rate(limits.requests_per_second);
        self.limits = limits;
    }

    /// Adds an event: `span` is what it is made of in its file, `when` its time, in milliseconds since 1970 or that of its reading.
    ///
    /// What is more than two hours ahead is not refused but gets the time of its reading, and is counted
    /// ([`Batcher::restamped`]): a wrong format or zone must not cost a line. What is older than 14 days or the group's retention, empty or
    /// too long is refused, and so is a span of more than 4 GiB.
    pub fn add(
        &mut self,
        target: &Arc<Target>,
        span: Span,
        when: impl Into<When>,
        message: &str,
        now: Now,
    ) -> Added {
        let when = when.into();
        let unix_ms = when.unix_ms(now);
        let admission = limits::admit(unix_ms, message.len(), target.retention_days, now.unix_ms);
        let own = match admission {
            Admission::Own => matches!(when, When::At(_)),
            Admission::Restamp => false,
            Admission::No(why) => return Added::Rejected(why),
        };
        let Ok(bytes) = u32::try_from(span.bytes()) else {
            return Added::Rejected(Rejected::Invalid);
        };
        let place = self.place(target, now);
        loop {
            let stream = &mut self.streams[place];
            let Some(draft) = stream.draft.as_mut() else {
                if !self.open(place, now.monotonic) {
                    return self.full(now.monotonic);
                }
                continue;
            };
            let sent_ms = match own {
                true => unix_ms,
                false => stream.times.of_reading(now),
            };
            if draft.rises(sent_ms) && (stream.waits || (own && draft.ends_well())) {
                // What follows need not wait for what is there. Times of reading are set apart anyhow.
                if stream.waits {
                    self.pace.took(now.monotonic);
                }
                self.seal(place, now.monotonic);
                continue;
            }
            match draft.push(&mut self.pool, span, bytes, sent_ms, message) {
                Room::Taken => {
                    if !own {
                        stream.times.gave(sent_ms);
                    }
                    self.restamped += u64::from(admission == Admission::Restamp);
                    return Added::Taken;
                }
                Room::Batch => self.seal(place, now.monotonic),
                Room::Memory => {
                    if draft.is_empty() {
                        self.seal(place, now.monotonic);
                    }
                    return self.full(now.monotonic);
                }
            }
        }
    }

    /// Bytes that are not sent join the open batch that holds the bytes before them, to be settled with it.
    /// False if there is none: then they are settled by themselves.
    pub fn skip(&mut self, target: &Arc<Target>, span: Span, fate: Fate) -> bool {
        let place = if self
            .streams
            .get(self.last)
            .is_some_and(|stream| Arc::ptr_eq(&stream.target, target))
        {
            self.last
        } else if let Some(place) = self.places.get(target) {
            *place
        } else {
            return false;
        };
        self.streams[place]
            .draft
            .as_mut()
            .is_some_and(|draft| draft.skip(span, fate))
    }

    /// Ends the part of the event that was added last, if it is in an open batch. To be called when the event ended only because there
    /// was no more to read: framed again together with what follows, it would be another event.
    pub fn end_part(&mut self, target: &Arc<Target>) {
        if let Some(stream) = self.streams.get_mut(self.last)
            && stream.target == *target
            && let Some(draft) = stream.draft.as_mut()
        {
            draft.end_part();
        }
    }

    /// Whether a batch waits to be taken by [`Batcher::sealed`].
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// The next batch that is to be shipped.
    pub fn sealed(&mut self) -> Option<Batch> {
        self.sealed.pop_front()
    }

    /// Seals what is due. To be called while shipping has room: what can't leave goes on growing. So does what could not leave because
    /// of its target and its window of time (first and last, in milliseconds since 1970), for which `is_free` is false. Also gives memory
    /// back after quiet.
    pub fn flush(&mut self, now: Now, is_free: impl Fn(&Arc<Target>, i64, i64) -> bool) {
        let now = now.monotonic;
        let mut from = Bound::Unbounded;
        while let Some((due, place)) = self.due.range((from, Bound::Unbounded)).next().copied() {
            if self.pace.opens(due) > now {
                break;
            }
            from = Bound::Excluded((due, place));
            let stream = &mut self.streams[place];
            stream.waits = stream.waits_for(&is_free);
            if !stream.waits {
                self.pace.took(now);
                self.seal(place, now);
            }
        }
        if !self.due.is_empty() || self.outstanding > 0 {
            self.quiet_since = None;
            return;
        }
        let since = *self.quiet_since.get_or_insert(now);
        if now >= since + QUIET {
            self.pool.trim();
        }
    }

    /// Seals all that is open, due or not.
    pub fn flush_all(&mut self, now: Now) {
        while let Some((_, place)) = self.due.first().copied() {
            self.seal(place, now.monotonic);
        }
    }

    /// When [`Batcher::flush`] wants to be called next (monotonic), if shipping has room then. What `is_free` says is not to change until
    /// then.
    #[must_use]
    pub fn next_due(&self, is_free: impl Fn(&Arc<Target>, i64, i64) -> bool) -> Option<Duration> {
        if self.due.is_empty() {
            let since = self.quiet_since.filter(|_| !self.pool.is_trim());
            return since.map(|since| since + QUIET);
        }
        let mut free = self
            .due
            .iter()
            .filter(|(_, place)| !self.streams[*place].waits_for(&is_free));
        free.next().map(|(due, _)| self.pace.opens(*due))
    }

    /// Takes a settled batch's memory back.
    pub fn release(&mut self, batch: Batch) {
        self.outstanding = self.outstanding.saturating_sub(1);
        // A copy of the body that somebody still holds (a call that timed out) goes to the host when it is dropped.
        let body = batch.body.try_into_mut().map_or_else(
            |_| Vec::new(),
            |mut body| {
                body.clear();
                Vec::from(body)
            },
        );
        self.pool.give(
            batch.memory_bytes,
            Buffers {
                body,
                events: batch.events,
            },
        );
    }

    /// Begins to write a batch anew that the ledger knows, from the bytes of its parts: after a crash.
    /// Not bounded by the memory limit; it was when the batch was first written.
    pub fn reopen(&mut self, target: &Arc<Target>, parts: Vec<Part>, now: Now) -> Draft {
        let buffers = self.pool.unbounded(|pool| pool.take(0)).unwrap_or_default();
        Draft::new(Arc::clone(target), parts, buffers, now.monotonic)
    }

    /// Adds an event of `bytes` file bytes of the part with the index `part`. False if the batch can't hold it: then it is not the
    /// batch that the ledger knows.
    pub fn readd(
        &mut self,
        draft: &mut Draft,
        part: u32,
        bytes: u32,
        unix_ms: i64,
        message: &str,
    ) -> bool {
        self.pool
            .unbounded(|pool| draft.push_known(pool, part, bytes, unix_ms, message))
            == Room::Taken
    }

    /// The batch under the id that the ledger knows. To be released like any other.
    pub fn reseal(&mut self, draft: Draft, id: BatchId) -> Batch {
        self.outstanding += 1;
        draft.seal(id)
    }

    /// What the open batches, the sealed ones and those in flight hold of the host's memory, used or not.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.pool.in_use()
    }

    /// Events whose time was too far ahead, and which got the time of their reading instead.
    #[must_use]
    pub fn restamped(&self) -> u64 {
        self.restamped
    }

    /// What was not handed on yet, open or sealed: since when (monotonic), and whose bytes.
    pub fn held(&self) -> impl Iterator<Item = (Duration, &[Part])> {
        let open = self
            .due
            .iter()
            .filter_map(|(_, place)| self.streams[*place].draft.as_ref())
            .map(|draft| (draft.oldest, draft.parts()));
        let sealed = self.sealed.iter();
        open.chain(sealed.map(|batch| (batch.oldest, batch.parts.as_slice())))
    }

    #[inline]
    fn place(&mut self, target: &Arc<Target>, now: Now) -> usize {
        if let Some(stream) = self.streams.get(self.last)
            && Arc::ptr_eq(&stream.target, target)
        {
            return self.last;
        }
        self.last = match self.places.get(target) {
            Some(place) => *place,
            None => self.new_stream(target, now),
        };
        // Another owner may have an equal target; its pointer is as good.
        if !Arc::ptr_eq(&self.streams[self.last].target, target) {
            self.streams[self.last].target = Arc::clone(target);
        }
        self.last
    }

    fn new_stream(&mut self, target: &Arc<Target>, now: Now) -> usize {
        let stream = Stream {
            target: Arc::clone(target),
            draft: None,
            due: Duration::ZERO,
            sealed: None,
            body_bytes: 0,
            times: Times::default(),
            waits: false,
        };
        if self.free.is_empty() && self.streams.len() >= self.sweep_at {
            self.sweep(now);
        }
        let place = self.free.pop().unwrap_or(self.streams.len());
        match self.streams.get_mut(place) {
            Some(free) => *free = stream,
            None => self.streams.push(stream),
        }
        self.places.insert(Arc::clone(target), place);
        place
    }

    /// Streams come and go with files. Forgets those whose next event would be due at once anyway, and at its own time.
    fn sweep(&mut self, now: Now) {
        for (place, stream) in self.streams.iter().enumerate() {
            let quiet = stream
                .sealed
                .is_none_or(|sealed| sealed + self.limits.flush <= now.monotonic)
                && !stream.times.is_ahead(now);
            if stream.draft.is_none() && quiet && self.places.remove(&stream.target).is_some() {
                self.free.push(place);
            }
        }
        self.last = usize::MAX;
        self.sweep_at = 2 * self.places.len() + SWEEP_MIN;
    }

    /// Begins a batch; false if there is no memory for it.
    fn open(&mut self, place: usize, now: Duration) -> bool {
        let stream = &mut self.streams[place];
        let Some(buffers) = self.pool.take(stream.body_bytes) else {
            return false;
        };
        stream.draft = Some(Draft::new(
            Arc::clone(&stream.target),
            Vec::new(),
            buffers,
            now,
        ));
        stream.due = stream
            .sealed
            .map_or(now, |sealed| now.max(sealed + self.limits.flush));
        self.due.insert((stream.due, place));
        true
    }

    fn seal(&mut self, place: usize, now: Duration) {
        let stream = &mut self.streams[place];
        let Some(draft) = stream.draft.take() else {
            return;
        };
        self.due.remove(&(stream.due, place));
        stream.waits = false;
        if draft.is_empty() {
            let buffers = draft.into_buffers();
            self.pool.give(buffers.bytes(), buffers);
            return;
        }
        stream.sealed = Some(now);
        stream.times.seal();
        stream.body_bytes = draft.body_bytes();
        self.sealed.push_back(draft.seal(BatchId(self.next_batch)));
        self.next_batch += 1;
        self.outstanding += 1;
    }

    /// Memory is short. Half of it may stay open, the other half is to be on its way: else a crowd of busy streams would fill
    /// all of it with batches that wait for each other.
    #[cold]
    fn full(&mut self, now: Duration) -> Added {
        loop {
            let drafts = self.due.iter().filter_map(|(_, place)| {
                Some((*place, self.streams[*place].draft.as_ref()?.memory_bytes()))
            });
            let (open_bytes, largest) = drafts.fold((0, None), |(sum, largest), (place, bytes)| {
                (sum + bytes, largest.max(Some((bytes, place))))
            });
            match largest {
                Some((_, place)) if open_bytes > self.pool.limit() / 2 || self.outstanding == 0 => {
                    self.seal(place, now)
                }
                _ => return Added::Full,
            }
        }
    }
}

#[cfg(test)]
mod tests;
