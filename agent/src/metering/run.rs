//! The line on a thread of its own, where a disk that hangs stops nothing else; its calls are made by the thread that talks to the network.
//!
//! ```text
//! this thread (looks at the host, spool) ──orders──► network ──events──► this thread
//! ```

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};

use super::Settings;
use super::line::{Event, Line, Look, Order};
use crate::aws::{Access, ConnectError, Metrics};
use crate::clock::Now;
use crate::host::{Host, Search};
use crate::log::{Level, Log};
use crate::sample::{Collect, Root, Sample, Sampler, Trouble};
use crate::spool::{Folder, Found, Spool};
use crate::status::{Metering, Status};

/// The subject under which trouble is told.
const SUBJECT: &str = "metrics";
/// What is told when the thread is gone without having been asked to end.
const FAILED: &str = "measuring has failed, a defect of the agent: please report what it said before. Logs are shipped all the same; for metrics, systemctl restart baker-agent";

/// What metrics of an agent stand on.
pub struct Base<C, R> {
    /// CloudWatch's credentials and connections.
    pub access: Access,
    /// Where the spool is; the caller holds its lock.
    pub state_dir: PathBuf,
    /// This host.
    pub host: Host,
    /// How that is found out again, for a tag that comes late.
    pub search: Search,
    /// The clock.
    pub clock: C,
    /// Asks the log pipeline how it stands.
    pub report: R,
}

/// Metrics of a running agent.
pub struct Meter {
    inbox: mpsc::Sender<Message>,
    status: watch::Receiver<Metering>,
    notices: RefCell<UnboundedReceiver<Notice>>,
    calls: Calls,
    /// The thread is to end.
    ending: Cell<bool>,
}

/// What the thread is told.
enum Message {
    Event(Event),
    Reconfigure(Option<Box<Settings>>),
    /// Answered when everything is sent, or can't be.
    Drain(oneshot::Sender<()>),
}

/// What the thread tells.
enum Notice {
    Said(String),
    Trouble(String),
    Cleared,
}

/// The client, which another address replaces.
#[derive(Clone)]
struct Calls {
    access: Access,
    client: Rc<RefCell<Metrics>>,
    endpoint_url: Rc<RefCell<Option<String>>>,
}

/// Metrics can't be begun.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// CloudWatch can't be used at all.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No thread.
    #[error("can't start measuring: {0}")]
    Thread(#[from] io::Error),
}

impl Meter {
    /// Begins to measure and to send. To be called within a [`LocalSet`](tokio::task::LocalSet), which makes the calls.
    ///
    /// # Errors
    /// When there is no region, or no thread.
    pub fn start<C, R, F>(settings: Settings, base: Base<C, R>) -> Result<Self, StartError>
    where
        C: Fn() -> Now + Send + 'static,
        R: Fn() -> F + 'static,
        F: Future<Output = Option<Status>> + 'static,
    {
        let calls = Calls {
            client: Rc::new(RefCell::new(
                base.access.metrics(settings.endpoint_url.as_deref())?,
            )),
            endpoint_url: Rc::new(RefCell::new(settings.endpoint_url.clone())),
            access: base.access,
        };
        let (inbox, messages) = mpsc::channel();
        let (orders, asked) = unbounded_channel();
        let (notices, said) = unbounded_channel();
        let (told, status) = watch::channel(Metering::default());
        let (host, state_dir, clock) = (base.host, base.state_dir, base.clock);
        thread::Builder::new()
            .name("metrics".into())
            .spawn(move || {
                let shelf = Box::new(Folder::of(&state_dir));
                let (spool, found) = Spool::open(shelf, &host.instance_id, settings.spool_bytes);
                for trouble in troubles(&found) {
                    let _ = notices.send(Notice::Said(trouble));
                }
                let eyes = Eyes(Sampler::new(settings.collect.clone(), Root::host()));
                let mut seed = DefaultHasher::new();
                host.instance_id.hash(&mut seed);
                let line = Line::new(settings, eyes, host, spool, seed.finish(), clock());
                drive(line, &messages, &orders, &notices, &told, clock);
            })?;
        let performed = perform(
            calls.clone(),
            asked,
            inbox.clone(),
            base.search,
            base.report,
        );
        tokio::task::spawn_local(performed);
        Ok(Self {
            inbox,
            status,
            notices: RefCell::new(said),
            calls,
            ending: Cell::new(false),
        })
    }

    /// How metrics stand.
    #[must_use]
    pub fn status(&self) -> Metering {
        self.status.borrow().clone()
    }

    /// Other settings hold from now on; `None`: nothing is measured any more, and what was is sent. The spool's size stays until a restart.
    ///
    /// # Errors
    /// When the new address can't be used; everything stays as it was then.
    pub fn reconfigure(&self, settings: Option<Settings>) -> Result<(), ConnectError> {
        if let Some(settings) = &settings
            && settings.endpoint_url != *self.calls.endpoint_url.borrow()
        {
            let url = settings.endpoint_url.clone();
            *self.calls.client.borrow_mut() = self.calls.access.metrics(url.as_deref())?;
            *self.calls.endpoint_url.borrow_mut() = url;
        }
        // Without a thread the agent is ending.
        let _ = self
            .inbox
            .send(Message::Reconfigure(settings.map(Box::new)));
        Ok(())
    }

    /// Looks at the host a last time and sends everything, for `limit` at most; the next start sends the rest.
    pub async fn drain(&self, limit: Duration) {
        self.ending.set(true);
        let (done, drained) = oneshot::channel();
        let _ = self.inbox.send(Message::Drain(done));
        let _ = tokio::time::timeout(limit, drained).await;
    }

    /// Tells of trouble as it comes and goes, for ever.
    pub async fn tell(&self, log: &Log) -> Infallible {
        let next = || poll_fn(|context| self.notices.borrow_mut().poll_recv(context));
        while let Some(notice) = next().await {
            match notice {
                Notice::Said(what) => log.say(Level::Warning, &format!("{SUBJECT}: {what}")),
                Notice::Trouble(what) => log.trouble(Level::Warning, SUBJECT, &what),
                Notice::Cleared => log.cleared(SUBJECT),
            }
        }
        if !self.ending.get() {
            log.trouble(Level::Error, SUBJECT, FAILED);
        }
        std::future::pending().await
    }
}

/// The host, through its kernel's files.
struct Eyes(Sampler);

impl Look for Eyes {
    fn look(&mut self, now: Now) -> (Sample, Vec<Trouble>) {
        self.0.sample(now)
    }

    fn turn_to(&mut self, what: &Collect) {
        self.0 = Sampler::new(what.clone(), Root::host());
    }
}

/// The thread, until it has drained or nobody listens any more.
fn drive<L: Look>(
    mut line: Line<L>,
    messages: &mpsc::Receiver<Message>,
    orders: &UnboundedSender<Order>,
    notices: &UnboundedSender<Notice>,
    told: &watch::Sender<Metering>,
    clock: impl Fn() -> Now,
) {
    let mut done: Option<oneshot::Sender<()>> = None;
    let mut trouble: Option<String> = None;
    loop {
        let (new, wait) = line.step(clock());
        // Without a receiver the agent is ending: what has left is looked for at the next start.
        new.into_iter().for_each(|order| drop(orders.send(order)));
        let status = line.status();
        if status.last_error != trouble {
            trouble.clone_from(&status.last_error);
            let _ = notices.send(trouble.clone().map_or(Notice::Cleared, Notice::Trouble));
        }
        told.send_replace(status);
        if line.drained()
            && let Some(done) = done.take()
        {
            let _ = done.send(());
            return;
        }
        let first = match messages.recv_timeout(wait) {
            Ok(message) => message,
            Err(mpsc::RecvTimeoutError::Timeout) => continue,
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        };
        for message in std::iter::once(first).chain(messages.try_iter()) {
            match message {
                Message::Event(event) => line.event(event, clock()),
                Message::Reconfigure(settings) => line.reconfigure(settings.map(|it| *it)),
                Message::Drain(asked) => {
                    done = Some(asked);
                    let new = line.drain(clock());
                    new.into_iter().for_each(|order| drop(orders.send(order)));
                }
            }
        }
    }
}

/// Makes calls as they come, until the thread is gone.
async fn perform<F: Future<Output = Option<Status>> + 'static>(
    calls: Calls,
    mut orders: UnboundedReceiver<Order>,
    inbox: mpsc::Sender<Message>,
    search: Search,
    report: impl Fn() -> F + 'static,
) {
    let search = Rc::new(search);
    while let Some(order) = orders.recv().await {
        let inbox = inbox.clone();
        match order {
            Order::Report => {
                let report = report();
                tokio::task::spawn_local(async move {
                    let status = report.await.map(Box::new);
                    let _ = inbox.send(Message::Event(Event::Report(status)));
                });
            }
            Order::Host => {
                let search = Rc::clone(&search);
                tokio::task::spawn_local(async move {
                    let host = search.run().await.ok().map(Box::new);
                    let _ = inbox.send(Message::Event(Event::Host(host)));
                });
            }
            Order::Put(packed) => {
                let client = calls.client.borrow().clone();
                tokio::task::spawn_local(async move {
                    let answer = client.put(&packed.namespace, packed.body).await;
                    let _ = inbox.send(Message::Event(Event::Put(answer)));
                });
            }
            Order::Look(probe) => {
                let client = calls.client.borrow().clone();
                tokio::task::spawn_local(async move {
                    let (name, dimensions) = (&probe.name, &probe.dimensions);
                    let (at_ms, period_s) = (probe.at_ms, probe.period_s);
                    let seen = client
                        .samples(&probe.namespace, name, dimensions, at_ms, period_s)
                        .await;
                    let _ = inbox.send(Message::Event(Event::Looked(seen)));
                });
            }
        }
    }
}

/// What an operator should know of how the spool was found.
fn troubles(found: &Found) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(other) = &found.other_instance {
        told.push(format!(
            "this disk is a copy of {other}'s: what that host had measured is not sent"
        ));
    }
    for path in &found.set_aside {
        told.push(format!(
            "a part of the spool is of a later version, or none; it is kept as {}",
            path.display()
        ));
    }
    if found.damaged > 0 {
        told.push(format!(
            "the spool has {} places that can't be read, as after a power cut: what was there is lost",
            found.damaged
        ));
    }
    if let Some(why) = &found.unusable {
        told.push(format!(
            "the spool can't be read, so metrics are held in memory: {why}"
        ));
    }
    told
}
