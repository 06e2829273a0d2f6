//! The table of contents: it alone knows the stages, and one step of it reads like their line.
//!
//! ```text
//! discover → tail → frame → stamp → batch → ship → ledger
//! ```
//!
//! [`Engine`] is a state machine without a clock and without a network: time is handed in, calls come out as values,
//! their answers are handed in. [`run`](crate::run) puts it on threads; the model test puts it into a simulated world.

mod books;
mod disown;
mod losses;
mod plan;
mod read;
mod recall;
mod reconfigure;
mod recover;
mod report;
mod reread;
mod send;
mod sights;
mod source;
mod time;
mod unnamed;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::account::GenerationId;
use crate::batch::{self, Batcher};
use crate::clock::{Now, ServiceClock};
use crate::config::Settings;
use crate::host::Host;
use crate::ledger::{self, Record, State};
use crate::ship::{self, Call, Shipping};
use crate::tail::{self, Files};
use crate::target::Target;

use books::Books;
use plan::Plan;
use source::Source;
use time::Asking;
use unnamed::Unnamed;

#[cfg(test)]
mod tests;

pub use disown::seen_by_another;
pub use report::Notice;

/// However seldom batches are sent, busy files are looked at this often: a rotation is not to be missed.
const TICK_MAX: Duration = Duration::from_millis(100);
/// However often they are sent, no more often than this: a look costs about as much as a small request.
const TICK_MIN: Duration = Duration::from_millis(10);

/// What one step wants done outside.
#[derive(Debug, Default)]
pub struct Step {
    /// For the ledger, in order. They are applied to the engine's own state already.
    pub records: Vec<Record>,
    /// To be performed. A first put may leave only when `records` are durable; the others need not wait.
    pub calls: Vec<Call>,
    /// There is more to do at once: step again when the answers that wait have been handed in.
    pub again: bool,
}

/// The agent's pipeline, without threads, clock and network.
pub struct Engine {
    plans: Vec<Plan>,
    host: Arc<Host>,
    state_dir: PathBuf,
    files: Files,
    /// The doorbell rang since the last look.
    rung: Arc<AtomicBool>,
    sources: HashMap<GenerationId, Box<Source>>,
    /// Generations that are not read because their stream has no name.
    unnamed: Unnamed,
    /// Generations with bytes to read, in the order of their turns.
    ready: VecDeque<GenerationId>,
    /// Generations whose stream takes nothing at present: more of their lines would only take memory from the others.
    parked: Vec<GenerationId>,
    /// When to look again at generations that end in an unfinished line.
    held: BTreeSet<(Duration, GenerationId)>,
    buffer: Vec<u8>,
    /// An event that is framed but found no room.
    stash: Option<read::Stash>,
    targets: HashMap<Target, Arc<Target>>,
    batcher: Batcher,
    shipping: Shipping,
    books: Books,
    /// When to deal with what the last life left under way, if any of it is left.
    recover_at: Option<Duration>,
    draining: bool,
    clock: ServiceClock,
    asking: Asking,
    /// When the engine was last told the time, by the host's clock.
    now: Now,
    troubles: report::Troubles,
    counts: report::Counts,
}

/// The engine can't begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The files can't be followed.
    #[error(transparent)]
    Files(#[from] tail::OpenError),
}

/// What each stage may take.
struct Limits {
    files: tail::Limits,
    batches: batch::Limits,
    calls: ship::Limits,
}

impl Limits {
    fn of(settings: &Settings) -> Self {
        Self {
            files: tail::Limits {
                files: settings.limits.files,
                open_files: settings.limits.open_files,
                backlog_bytes: settings.limits.backlog_bytes,
                backlog_files: settings.limits.backlog_files,
                sweep: settings.limits.sweep,
                tick: (settings.ship.flush_interval / 2).clamp(TICK_MIN, TICK_MAX),
                ..tail::Limits::default()
            },
            batches: batch::Limits {
                flush: settings.ship.flush_interval,
                memory_bytes: settings.limits.memory_bytes,
                requests_per_second: settings.limits.requests_per_second,
            },
            calls: ship::Limits {
                in_flight: settings.limits.in_flight,
                settle: settings.ship.settle,
            },
        }
    }
}

impl Step {
    /// Whether `records` have to be durable before `calls` are performed: a batch is about to leave, or more is known of what
    /// tells a generation from others. The next life finds its rotated copies by that alone.
    #[must_use]
    pub fn is_binding(&self) -> bool {
        self.records.iter().any(|record| {
            matches!(
                record,
                Record::Intent(_)
                    | Record::Found { .. }
                    | Record::Continued { .. }
                    | Record::Identified { .. }
            )
        })
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.calls.is_empty()
    }
}

impl Engine {
    /// An engine that goes on where `state` stands. `bell` is rung, from any thread, when a step may find something new.
    ///
    /// # Errors
    /// When a pattern can't be followed.
    pub fn open(
        settings: &Settings,
        host: Arc<Host>,
        state: State,
        now: Now,
        bell: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self, OpenError> {
        let rung = Arc::new(AtomicBool::new(false));
        let ringing = Arc::clone(&rung);
        let bell = Arc::new(move || {
            ringing.store(true, Ordering::Release);
            bell();
        });
        let plans: Vec<Plan> = settings.files.iter().map(Plan::new).collect();
        let sets = settings.files.iter().map(|file| file.set.clone()).collect();
        let known = state.known().into_iter().map(known).collect();
        let Limits {
            files: limits,
            batches,
            calls,
        } = Limits::of(settings);
        let mut files = Files::open(sets, known, state.next_generation(), limits, bell)?;
        files.were_followed(state.sets().keys().map(|name| &**name));
        Ok(Self {
            plans,
            host,
            state_dir: settings.state_dir.clone(),
            files,
            rung,
            sources: HashMap::new(),
            unnamed: Unnamed::default(),
            ready: VecDeque::new(),
            parked: Vec::new(),
            held: BTreeSet::new(),
            buffer: vec![0; read::READ_BYTES],
            stash: None,
            targets: HashMap::new(),
            batcher: Batcher::new(batches, state.next_batch()),
            // Hosts that fail together are not to try again together.
            shipping: Shipping::new(calls, now.unix_ms.unsigned_abs()),
            books: Books::new(state),
            recover_at: Some(Duration::ZERO),
            draining: false,
            clock: ServiceClock::trusting(),
            asking: Asking::default(),
            now,
            troubles: report::Troubles::default(),
            counts: report::Counts::new(now),
        })
    }

    /// Hears what rings at each step, and by no thread: as [`Files::ask_for_rings`].
    ///
    /// # Errors
    /// Where the system has no inotify for it.
    pub fn ask_for_rings(&mut self) -> std::io::Result<()> {
        self.files.ask_for_rings()
    }

    /// One step along the line: looks at the files, reads what is there, seals what is due, and says what is to be sent.
    ///
    /// Here and elsewhere time is handed in by the host's clock; by the service's, as far as that is known, events are stamped and judged.
    pub fn step(&mut self, now: Now) -> Step {
        let now = self.at(now);
        self.discover(now);
        let again = self.read(now);
        let calls = self.ship(now);
        Step {
            records: self.books.take(),
            calls,
            again,
        }
    }

    /// When [`Engine::step`] wants to be called again, on the monotonic clock, if nothing happens before.
    #[must_use]
    pub fn next(&self) -> Duration {
        let mut next = self.files.next_look();
        if self.rung.load(Ordering::Acquire) {
            return Duration::ZERO;
        }
        // What is due can't be sealed without room: an answer makes some, and wakes the engine.
        let is_free = |target: &Arc<Target>, first_ms, last_ms| {
            self.shipping.is_free(target, first_ms, last_ms)
        };
        let sealing = self
            .batcher
            .next_due(is_free)
            .filter(|_| self.shipping.room());
        let waits = [
            sealing,
            self.shipping.next_due(),
            self.held.first().map(|(due, _)| *due),
            self.recover_at,
            self.books.losses.next_due(),
            self.asking_due(),
        ];
        for due in waits.into_iter().flatten() {
            next = next.min(due);
        }
        next
    }

    /// Gives generations their turns again whose streams take events again.
    fn unpark(&mut self) {
        for id in std::mem::take(&mut self.parked) {
            self.queue(id);
        }
    }

    /// discover, tail: what has changed on the disk since the last look.
    fn discover(&mut self, now: Now) {
        while let Some(&(due, id)) = self.held.first()
            && due <= now.monotonic
        {
            self.held.remove(&(due, id));
            self.queue(id);
        }
        let rung = self.rung.swap(false, Ordering::AcqRel) || self.files.listen();
        if rung || now.monotonic >= self.files.next_look() {
            for sight in self.files.look(now) {
                self.see(sight, now);
            }
        }
        if self.recover_at.is_some_and(|at| now.monotonic >= at) {
            self.recover(now);
        }
    }

    fn queue(&mut self, id: GenerationId) {
        if let Some(source) = self.sources.get_mut(&id).filter(|source| !source.queued) {
            source.queued = true;
            self.ready.push_back(id);
        }
    }

    /// batch: what is full or due is sealed and handed on, its intent first.
    fn batch(&mut self, now: Now) {
        if self.draining {
            self.batcher.flush_all(now);
        } else if self.shipping.room() {
            let shipping = &self.shipping;
            self.batcher.flush(now, |target, first_ms, last_ms| {
                shipping.is_free(target, first_ms, last_ms)
            });
        }
        while self.shipping.room() {
            let Some(batch) = self.batcher.sealed() else {
                break;
            };
            self.shipping.offer(batch);
        }
    }

    /// From now on everything is sent as soon as it is read, and [`Engine::drained`] tells when nothing is left.
    pub fn drain(&mut self, now: Now) {
        let now = self.at(now);
        self.draining = true;
        self.unpark();
        for sight in self.files.look_everywhere(now) {
            self.see(sight, now);
        }
        self.write_down_what_is_seen();
        self.shipping.drain(now);
    }

    /// How long files are is kept in memory alone while they are read; at the end it is for whoever asks the ledger what is left.
    fn write_down_what_is_seen(&mut self) {
        let pending: Vec<Record> = self
            .books
            .state
            .generations()
            .filter(|(_, known)| known.pending() > 0)
            .map(|(generation, known)| Record::Seen {
                generation,
                size: known.extent(),
            })
            .collect();
        for seen in pending {
            self.books.record(seen);
        }
    }

    /// Whether there is nothing more that could be sent now.
    #[must_use]
    pub fn drained(&self) -> bool {
        self.ready.is_empty()
            && self.parked.is_empty()
            && self.stash.is_none()
            && self.batcher.memory_bytes() == 0
            && self.shipping.outstanding() == 0
            && self.recover_at.is_none()
            && !self.files.is_searching()
    }

    /// How many bytes of what is followed have not been sent: those of unfinished lines, of files that can't be read and of streams
    /// without a name among them.
    #[must_use]
    pub fn left_bytes(&self) -> u64 {
        let is_followed = |id| self.sources.contains_key(&id) || self.unnamed.contains(id);
        self.books
            .state
            .generations()
            .filter(|(id, _)| is_followed(*id))
            .fold(0, |sum, (_, known)| sum.saturating_add(known.pending()))
    }
}

/// What the ledger knows, in the words of the stage that looks for it.
fn known(known: ledger::Known) -> tail::Known {
    tail::Known {
        id: known.id,
        identity: known.identity,
        print: known.print,
        set: known.set.to_string(),
        whereabouts: known.whereabouts,
        settled_to: known.settled_to,
        seen: known.seen,
        last_ms: Some(known.last_ms),
    }
}
