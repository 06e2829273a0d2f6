//! The agent on its threads: the engine's, the ledger's, and the one that performs calls.
//!
//! ```text
//! engine ──steps──► keeper (ledger) ──calls──► this thread (network) ──answers──► engine
//! ```

mod begin;
mod inbox;
mod keeper;
mod systemd;

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;

use crate::aws::{self, Logs, Metrics};
use crate::clock::Now;
use crate::config::Settings;
use crate::exit::Exit;
use crate::host::{Host, Search};
use crate::log::{Level, Log, chain};
use crate::memory;
use crate::metering::Meter;
use crate::pipeline::{self, Engine, Notice, Step};
use crate::ship::{Answer, What};
use crate::signals;
use crate::status::Status;
use crate::status::socket::Socket;

use inbox::{Inbox, Message};
use keeper::{Keeper, Outgoing};

pub use begin::BeginError;

/// How an agent that was asked to stop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was on the disk has been sent.
    Drained,
    /// The drain's limit came first, or it had not begun yet. The next start goes on where this one ended.
    CutShort,
}

/// The agent can't run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something it stands on is not there.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// CloudWatch Logs can't be used at all.
    #[error(transparent)]
    Connect(#[from] aws::ConnectError),
    /// The files can't be followed.
    #[error(transparent)]
    Files(#[from] pipeline::OpenError),
    /// No thread, or no runtime.
    #[error("can't start: {0}")]
    Start(#[from] io::Error),
    /// A thread ended that must not.
    #[error("a part of the agent has failed; start it again: it goes on where the ledger stands")]
    Broken,
}

impl RunError {
    /// What the process returns for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            RunError::Begin(BeginError::Ledger(_) | BeginError::Write { .. }) => Exit::State,
            RunError::Begin(BeginError::Host(_)) | RunError::Connect(_) | RunError::Files(_) => {
                Exit::Usage
            }
            RunError::Start(_) | RunError::Broken => Exit::Internal,
        }
    }
}

/// Runs until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// When it can't begin, or breaks.
pub fn run(settings: &Settings, log: &Log) -> Result<Ended, RunError> {
    let inbox = Arc::new(Inbox::default());
    let (stop, stopping) = watch::channel(false);
    let limit = settings.ship.drain;
    let drained = Arc::clone(&inbox);
    signals::listen(move || {
        drained.push(Message::Drain(Instant::now() + limit));
        systemd::stopping();
        // Without a receiver the agent is past the point where this matters.
        let _ = stop.send(true);
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, serve(settings, log, inbox, stopping))
}

async fn serve(
    settings: &Settings,
    log: &Log,
    inbox: Arc<Inbox>,
    mut stopping: watch::Receiver<bool>,
) -> Result<Ended, RunError> {
    systemd::ready();
    let going = Rc::new(Cell::new(false));
    tokio::task::spawn_local(systemd::watchdog(Arc::clone(&inbox), Rc::clone(&going)));
    let host = tokio::select! {
        host = begin::identify(settings, log) => Arc::new(host?),
        _ = stopping.wait_for(|stop| *stop) => return Ok(Ended::CutShort),
    };
    let (store, state) = begin::open_ledger(settings, &host, log)?;
    let logs = Rc::new(Logs::connect(&settings.aws).await?);
    let clock = Clock {
        begin: Instant::now(),
    };
    let bell = Arc::clone(&inbox);
    let engine = Engine::open(
        settings,
        Arc::clone(&host),
        state.clone(),
        clock.now(),
        Arc::new(move || bell.ring()),
    )?;
    log.say(Level::Info, &begin::greeting(settings, &host, &logs));

    memory::forget_code_of_the_start();
    let (steps, written) = mpsc::channel();
    let (calls, outgoing) = unbounded_channel();
    let ending = Arc::new(AtomicBool::new(false));
    let keeper = Keeper {
        ending: Arc::clone(&ending),
        store,
        state,
        steps: written,
        calls,
        inbox: Arc::clone(&inbox),
    };
    let keeping = thread::Builder::new()
        .name("ledger".into())
        .spawn(move || keeper.run())?;
    let (end, ended) = oneshot::channel();
    let (driven, notices) = (Arc::clone(&inbox), unbounded_channel());
    let told = notices.0;
    let driving = thread::Builder::new()
        .name("engine".into())
        .spawn(move || {
            let outcome = drive(engine, clock, &driven, &steps, |notice| {
                // The one who tells goes last.
                let _ = told.send(notice);
            });
            let _ = end.send(outcome);
        })?;

    going.set(true);

    let meter = measure(settings, &host, clock, &inbox, log).await?;
    match Socket::open(&settings.state_dir) {
        Ok(socket) => {
            let asked = Arc::clone(&inbox);
            tokio::task::spawn_local(socket.serve(move || {
                let (answer, meter) = (report(&asked), meter.clone());
                async move {
                    let mut status = answer.await?;
                    status.metrics = meter.map(|meter| meter.status());
                    Some(status)
                }
            }));
        }
        Err(error) => log.say(Level::Warning, &chain(&error)),
    }
    tokio::task::spawn_local(perform(logs, outgoing, inbox));
    let mut notices = notices.1;
    let outcome = tokio::select! {
        outcome = ended => outcome.map_err(|_| RunError::Broken),
        () = async { while let Some(notice) = notices.recv().await { tell(log, &notice); } std::future::pending().await } => {
            Err(RunError::Broken)
        }
    };
    while let Ok(notice) = notices.try_recv() {
        tell(log, &notice);
    }
    ending.store(true, Ordering::Relaxed);
    let outcome = outcome?;
    // The engine has dropped its end, so the keeper writes what it has and ends.
    driving.join().map_err(|_| RunError::Broken)?;
    keeping.join().map_err(|_| RunError::Broken)?;
    Ok(outcome)
}

/// Begins to measure, if that is wanted.
async fn measure(
    settings: &Settings,
    host: &Arc<Host>,
    clock: Clock,
    inbox: &Arc<Inbox>,
    log: &Log,
) -> Result<Option<Rc<Meter>>, RunError> {
    let Some(metrics) = &settings.metrics else {
        return Ok(None);
    };
    let client = Metrics::connect(&settings.aws, metrics.endpoint_url.as_deref()).await?;
    let meter = Meter::open(metrics.clone(), client, &settings.state_dir, host, log);
    let asked = Arc::clone(inbox);
    tokio::task::spawn_local(Rc::clone(&meter).measure(
        Arc::clone(host),
        Search::from_environment(settings.instance_id.clone()),
        move || clock.now(),
        move || report(&asked),
    ));
    tokio::task::spawn_local(Rc::clone(&meter).send(move || clock.now()));
    Ok(Some(meter))
}

/// Asks the engine how things stand.
fn report(inbox: &Inbox) -> impl Future<Output = Option<Status>> + use<> {
    let (reply, answer) = oneshot::channel();
    inbox.push(Message::Report(reply));
    async move { answer.await.ok() }
}

fn tell(log: &Log, notice: &Notice) {
    match notice {
        Notice::Trouble { subject, message } => log.trouble(Level::Warning, subject, message),
        Notice::Cleared { subject } => log.cleared(subject),
    }
}

/// Monotonic time since the agent began, and the host's clock.
#[derive(Debug, Clone, Copy)]
struct Clock {
    begin: Instant,
}

impl Clock {
    fn now(self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            monotonic: self.begin.elapsed(),
            unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

/// The engine on its thread, until it has drained or the drain's limit has passed.
fn drive(
    mut engine: Engine,
    clock: Clock,
    inbox: &Inbox,
    steps: &mpsc::Sender<Step>,
    tell: impl Fn(Notice),
) -> Ended {
    let mut limit: Option<Instant> = None;
    loop {
        let step = engine.step(clock.now());
        let again = step.again;
        if !step.is_empty() && steps.send(step).is_err() {
            return Ended::CutShort;
        }
        engine.notices().into_iter().for_each(&tell);
        let mut wait = match again {
            true => Duration::ZERO,
            false => engine.next().saturating_sub(clock.now().monotonic),
        };
        if let Some(limit) = limit {
            if engine.drained() {
                return Ended::Drained;
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ended::CutShort;
            }
            wait = wait.min(left);
        }
        for message in inbox.wait(wait) {
            let now = clock.now();
            match message {
                Message::Answer(id, answer) => engine.answer(id, answer, now),
                Message::Clock(ahead_ms) => engine.clock_ahead(ahead_ms),
                Message::Ledger(trouble) => engine.ledger_trouble(trouble),
                Message::Report(reply) => {
                    // Who asked may have gone.
                    let _ = reply.send(engine.report(now));
                }
                Message::Drain(by) => {
                    limit = Some(by);
                    engine.drain(now);
                }
            }
        }
    }
}

/// Performs calls as they come, several at a time, until the engine and the keeper are gone.
async fn perform(logs: Rc<Logs>, mut calls: UnboundedReceiver<Outgoing>, inbox: Arc<Inbox>) {
    while let Some(Outgoing { call, sha256 }) = calls.recv().await {
        let (logs, inbox) = (Rc::clone(&logs), Arc::clone(&inbox));
        tokio::task::spawn_local(async move {
            let answer = match call.what {
                What::Put { target, body, .. } => {
                    Answer::Put(logs.put(&target, body, sha256).await)
                }
                What::CreateGroup(target) => Answer::Made(logs.create_group(&target).await),
                What::SetRetention(target) => Answer::Made(logs.set_retention(&target).await),
                What::CreateStream(target) => Answer::Made(logs.create_stream(&target).await),
                What::ReadBack {
                    target,
                    first_ms,
                    last_ms,
                } => Answer::Events(logs.read_back(&target, first_ms, last_ms).await),
                // The engine answers these itself.
                What::Recall { .. } => Answer::Events(Ok(Vec::new())),
            };
            if let Some(ahead_ms) = logs.clock_ahead_ms() {
                inbox.push(Message::Clock(ahead_ms));
            }
            inbox.push(Message::Answer(call.id, answer));
        });
    }
}
