//! The agent on its threads: the engine's, the ledger's, and the one that performs calls.
//!
//! ```text
//! engine ──steps──► keeper (ledger) ──calls──► this thread (network) ──answers──► engine
//!                                metrics ──calls──► this thread (network) ──answers──► metrics
//! ```

mod begin;
mod engine;
mod inbox;
mod keeper;
mod metering;
mod network;
mod origin;
mod pace;
mod pulse;
mod reload;
mod start;
mod zone;

use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::LocalSet;

use crate::aws::{self, Access};
use crate::config::Settings;
use crate::exit::Exit;
use crate::host::Host;
use crate::log::{Level, Log, chain};
use crate::memory;
use crate::pipeline::{self, Engine, Notice};
use crate::service;
use crate::signals::{self, Asked};
use crate::status::socket::Socket;
use crate::status::{Cost, Status};
use crate::tail::Survey;

use engine::{Clock, Outside};
use inbox::{Inbox, Message};
use keeper::Keeper;
use metering::Metering;
use origin::Followed;
use pulse::Pulse;
use start::{Wishes, before_stop};

pub use begin::BeginError;
pub use origin::Origin;

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

/// Between two looks at complaints that were left out.
const CATCH_UP: Duration = Duration::from_secs(60);
/// Beyond a drain's limit: for the ledger to be closed.
const CLOSING: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT, then drains. SIGHUP reads the configuration anew; a parameter is followed, too.
///
/// # Errors
/// When it can't begin, or breaks. With a configuration that is a parameter it waits for one that it can begin with.
pub fn run(origin: Origin, log: &Log) -> Result<Ended, RunError> {
    let inbox = Arc::new(Inbox::default());
    let (stop, stopping) = watch::channel(false);
    let reload = Arc::new(Notify::new());
    let (drained, asked) = (Arc::clone(&inbox), Arc::clone(&reload));
    signals::listen(move |signal| match signal {
        Asked::Reload => asked.notify_one(),
        Asked::Stop => {
            drained.push(Message::Drain);
            // Without a receiver the agent is past the point where this matters.
            let _ = stop.send(true);
        }
    })?;
    let wishes = Wishes { stopping, reload };
    let pulse = Arc::new(Pulse::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let serve = start::serve_with(origin, log, inbox, wishes, pulse);
    LocalSet::new().block_on(&runtime, serve)
}

/// Ships with these settings until it is asked to stop.
async fn serve(
    settings: &Settings,
    followed: &mut Followed,
    log: &Log,
    inbox: Arc<Inbox>,
    mut wishes: Wishes,
    pulse: Arc<Pulse>,
    survey: Option<&Survey>,
) -> Result<Ended, RunError> {
    let identified = begin::identify(settings, log);
    let Some(host) = before_stop(log, &pulse, &mut wishes, identified).await? else {
        return Ok(Ended::CutShort);
    };
    let host = Arc::new(host?);
    let mut begun = begin::open_ledger(settings, &host, log)?;
    let access = Access::find(&settings.aws).await?;
    let logs = Rc::new(access.logs()?);
    let clock = Clock::new();
    let bell = Arc::clone(&inbox);
    let mut engine = Engine::open(
        settings,
        Arc::clone(&host),
        begun.state.clone(),
        clock.now(),
        Arc::new(move || bell.ring()),
    )?;
    if begun.copied {
        let none = Survey::default();
        let survey = survey.unwrap_or(&none);
        begin::disown(&mut engine, survey, &mut begun, settings, clock.now())?;
    }
    let greeting = begin::greeting(settings, &host, &logs);
    log.say(Level::Info, &greeting);
    service::status(&greeting);
    followed.holds(log);

    memory::forget_code_of_the_start();
    let (steps, written) = mpsc::channel();
    let (calls, outgoing) = unbounded_channel();
    let ending = Arc::new(AtomicBool::new(false));
    let keeper = Keeper {
        ending: Arc::clone(&ending),
        store: begun.store,
        state: begun.state,
        steps: written,
        calls,
        inbox: Arc::clone(&inbox),
        pulse: Arc::clone(&pulse),
    };
    let keeping = thread::Builder::new()
        .name("ledger".into())
        .spawn(move || keeper.run())?;
    let (end, ended) = oneshot::channel();
    let (driven, notices) = (Arc::clone(&inbox), unbounded_channel());
    let told = notices.0;
    let (drain, beating) = (settings.ship.drain, Arc::clone(&pulse));
    let (asks, asked) = unbounded_channel();
    let hearing = Arc::clone(&inbox);
    access
        .time()
        .listen(move |told| hearing.push(Message::Time(told)));
    let ticking = clock.clone();
    let driving = thread::Builder::new()
        .name("engine".into())
        .spawn(move || {
            let tell = |notice| {
                // The one who tells goes last.
                let _ = told.send(notice);
            };
            let outside = Outside { steps, asks, tell };
            let outcome = engine::drive(engine, &ticking, &driven, &outside, drain, &beating);
            let _ = end.send(outcome);
        })?;

    let current = watch::Sender::new(Arc::new(settings.clone()));
    let metering = Rc::new(Metering::new(
        settings,
        access,
        Host::clone(&host),
        clock,
        &inbox,
    ));
    match Socket::open(&settings.state_dir) {
        Ok(socket) => {
            let (asked, metering) = (Arc::clone(&inbox), Rc::clone(&metering));
            tokio::task::spawn_local(socket.serve(move || {
                let (answer, metering) = (report(&asked), Rc::clone(&metering));
                async move {
                    let mut status = answer.await?;
                    status.metrics = metering.status();
                    Some(status)
                }
            }));
        }
        Err(error) => log.say(Level::Warning, &chain(&error)),
    }
    let (asking, heard) = (Rc::clone(&logs), Arc::clone(&inbox));
    tokio::task::spawn_local(network::perform(logs, outgoing, Arc::clone(&inbox)));
    tokio::task::spawn_local(network::ask_time(asking, asked, heard));
    let drained = Rc::clone(&metering).drain(wishes.stopping.clone(), current.subscribe());
    let drained = tokio::task::spawn_local(drained);
    let mut notices = notices.1;
    let outcome = tokio::select! {
        outcome = ended => outcome.map_err(|_| RunError::Broken),
        () = async { while let Some(notice) = notices.recv().await { tell(log, &notice); } std::future::pending().await } => {
            Err(RunError::Broken)
        }
        _ = metering.keep(log, current.subscribe()) => Err(RunError::Broken),
        () = reload::keep(log, &inbox, &current, &wishes.reload, followed, &greeting) => Err(RunError::Broken),
        () = patted(log, Some(&inbox), &pulse) => Err(RunError::Broken),
        () = told_of_the_end(wishes.stopping, &current) => Err(RunError::Broken),
        () = caught_up(log) => Err(RunError::Broken),
    };
    while let Ok(notice) = notices.try_recv() {
        tell(log, &notice);
    }
    ending.store(true, Ordering::Relaxed);
    let outcome = outcome?;
    // Both lines end at the same time, and within the same limit.
    let _ = drained.await;
    metering.tell_what_is_left(log);
    // The engine has dropped its end, so the keeper writes what it has and ends.
    driving.join().map_err(|_| RunError::Broken)?;
    keeping.join().map_err(|_| RunError::Broken)?;
    Ok(outcome)
}

/// Asks the engine how things stand.
fn report(inbox: &Inbox) -> impl Future<Output = Option<Status>> + use<> {
    let (reply, answer) = oneshot::channel();
    inbox.push(Message::Report(reply));
    async move {
        let mut status = answer.await.ok()?;
        if let Some(running) = &mut status.running {
            running.cost = Cost::of_this_process();
        }
        Some(status)
    }
}

fn tell(log: &Log, notice: &Notice) {
    match notice {
        Notice::Trouble { subject, message } => log.trouble(Level::Warning, subject, message),
        Notice::Cleared { subject } => log.cleared(subject),
        Notice::Lost { subject, message } => {
            log.say(Level::Warning, &format!("{subject}: {message}"));
        }
    }
}

/// Pats the service manager's watchdog for as long as every part goes round. Before there is an engine, this thread alone has to.
async fn patted(log: &Log, engine: Option<&Inbox>, pulse: &Pulse) {
    let Some(interval) = service::pat_interval() else {
        return std::future::pending().await;
    };
    loop {
        match pulse.stuck() {
            None => {
                service::pat();
                for part in pulse::Part::ALL {
                    log.cleared(part.name());
                }
                if let Some(engine) = engine {
                    engine.push(Message::Beat(pulse.next()));
                }
            }
            Some(part) => log.trouble(
                Level::Error,
                part.name(),
                "it has not gone on for a while: if it stays so, the service manager starts the agent anew",
            ),
        }
        tokio::time::sleep(interval).await;
    }
}

/// Makes complaints that were left out, as soon as they may be made.
async fn caught_up(log: &Log) {
    loop {
        tokio::time::sleep(CATCH_UP).await;
        log.catch_up();
    }
}

/// Once the agent is asked to end, tells the service manager how long that may take.
async fn told_of_the_end(
    mut stopping: watch::Receiver<bool>,
    current: &watch::Sender<Arc<Settings>>,
) {
    // Without a sender nobody can ask any more.
    let _ = stopping.wait_for(|stop| *stop).await;
    let drain = current.borrow().ship.drain;
    service::stopping(drain + CLOSING);
    std::future::pending().await
}
