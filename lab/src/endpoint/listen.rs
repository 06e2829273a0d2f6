//! The endpoint: a listener on loopback, a thread of its own, and a handle with which a test steers it and looks at what arrived.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::connection::converse;
use super::faults::{Faults, Script};
use super::service::Service;
use super::settings::Settings;
use super::signature::Credentials;
use super::stats::{Note, Stats};
use crate::front_door::ACCEPT_PAUSE;
use crate::logs::StoredEvent;
use crate::metrics::Arrived;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Between two tries to listen again.
const REOPEN_PAUSE: Duration = Duration::from_millis(10);

/// Where an endpoint listens and how it behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the API; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address of the harness's questions (`/_logs/`, `/_metrics/`) alone, which no fault and no closed door reaches; port 0 takes a free one.
    pub control: SocketAddr,
    /// The service's behaviour.
    pub settings: Settings,
}

impl Default for Config {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: any,
            control: any,
            settings: Settings::default(),
        }
    }
}

/// A running endpoint. Dropping it ends it.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    control: SocketAddr,
    service: Arc<Service>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Starts an endpoint on a thread of its own; it listens when this returns, within milliseconds. Needs no runtime and no root.
    ///
    /// # Errors
    /// When an address is taken.
    pub fn start(config: Config) -> Result<Self> {
        let service = Arc::new(Service::new(config.settings));
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&service);
        let (listen, control) = (config.listen, config.control);
        let thread = std::thread::Builder::new()
            .name("endpoint".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                match runtime {
                    Ok(runtime) => runtime.block_on(run(served, listen, control, &ready, stopped)),
                    Err(error) => drop(ready.send(Err(error.into()))),
                }
            })?;
        let (address, control, runtime) = started
            .recv()
            .context("the endpoint's thread ended while starting")??;
        Ok(Self {
            address,
            control,
            service,
            runtime,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where the API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The API's address for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Address of the harness's questions, which goes on answering while the door is closed.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// Replaces what goes wrong; counting starts anew.
    pub fn set_faults(&self, script: Script) {
        *self.service.faults() = Faults::new(script);
    }

    /// How many requests each rule of the faults has met.
    #[must_use]
    pub fn faults_met(&self) -> Vec<u64> {
        self.service.faults().met()
    }

    /// Closes the door (connections are refused, open ones reset) or opens it again on the same port; it has happened when
    /// this returns.
    pub fn set_open(&self, open: bool) {
        self.service.door.set(open);
        let door = self.service.door.clone();
        let (done, wait) = mpsc::channel();
        self.runtime.spawn(async move {
            door.until_listening(open).await;
            let _ = done.send(());
        });
        // An error means that the endpoint's thread has ended: nobody listens.
        let _ = wait.recv();
    }

    /// Replaces who may ask; `None`: anybody.
    pub fn set_credentials(&self, credentials: Option<Credentials>) {
        self.service.set_credentials(credentials);
    }

    /// Sets how far the service's clock is ahead of this machine's, in milliseconds.
    pub fn set_clock_offset_ms(&self, ahead_ms: i64) {
        self.service.set_clock_offset(ahead_ms.saturating_mul(1000));
    }

    /// What was asked and answered so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.service.state().journal.stats.clone()
    }

    /// The last requests (65,536 at most), oldest first.
    #[must_use]
    pub fn journal(&self) -> Vec<Note> {
        self.service.state().journal.notes()
    }

    /// Every event of a stream, of whichever region holds it, in the order in which they arrived; empty if there is no such stream.
    #[must_use]
    pub fn events(&self, group: &str, stream: &str) -> Vec<StoredEvent> {
        let state = self.service.state();
        let mut stores = state.logs.values().map(|region| &region.store);
        stores
            .find_map(|store| store.events(group, stream))
            .unwrap_or_default()
    }

    /// Messages of [`events`](Self::events).
    #[must_use]
    pub fn messages(&self, group: &str, stream: &str) -> Vec<String> {
        let events = self.events(group, stream).into_iter();
        events.map(|event| event.message).collect()
    }

    /// Names of all streams: (group, stream).
    #[must_use]
    pub fn streams(&self) -> Vec<(String, String)> {
        self.service.stream_names()
    }

    /// A group's retention in days and class; `None`: no such group.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<(Option<u16>, String)> {
        let state = self.service.state();
        let mut stores = state.logs.values().map(|region| &region.store);
        stores.find_map(|store| {
            let retention_days = store.retention_days(name)?;
            Some((retention_days, store.class(name)?.to_owned()))
        })
    }

    /// Every metric datum of a namespace, exactly as it was sent, in the order of arrival (region by region).
    #[must_use]
    pub fn metric_data(&self, namespace: &str) -> Vec<Arrived> {
        let state = self.service.state();
        let stores = state.metrics.values().map(|region| &region.store);
        let data = stores.flat_map(|store| store.arrived(|known, _| known == namespace));
        data.collect()
    }

    /// The body of a dashboard.
    #[must_use]
    pub fn dashboard(&self, name: &str) -> Option<String> {
        self.service
            .state()
            .dashboards
            .body(name)
            .map(str::to_owned)
    }

    /// Forgets all groups and their events, all metrics and all dashboards.
    pub fn clear(&self) {
        self.service.state().forget();
    }

    /// Ends it; connections are cut.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let thread = self.thread.take();
        // Joining blocks, though hardly: the thread has been told to end.
        let _ = tokio::task::spawn_blocking(move || thread.map(JoinHandle::join)).await;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed.
            let _ = thread.join();
        }
    }
}

type Ready = mpsc::Sender<Result<(SocketAddr, SocketAddr, Handle)>>;

async fn run(
    service: Arc<Service>,
    listen: SocketAddr,
    control: SocketAddr,
    ready: &Ready,
    stopped: oneshot::Receiver<()>,
) {
    let mut tasks = JoinSet::new();
    match open(listen).and_then(|api| Ok((api, open(control)?))) {
        Ok((api, control)) => {
            let _ = ready.send(Ok((api.address, control.address, Handle::current())));
            tasks.spawn(accept(api, Arc::clone(&service), Use::Api));
            tasks.spawn(accept(control, service, Use::Control));
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    }
    // An error means that the handle is gone, which ends the endpoint as well.
    let _ = stopped.await;
    tasks.shutdown().await;
}

/// A port, kept as long as the endpoint runs: while nobody listens on it, nobody else gets it.
#[derive(Debug)]
struct Port {
    address: SocketAddr,
    _kept: TcpSocket,
    listener: Option<TcpListener>,
}

fn open(address: SocketAddr) -> Result<Port> {
    let place = || format!("could not listen on {address}; choose another address or port 0");
    let kept = socket(address).with_context(place)?;
    let address = kept.local_addr().with_context(place)?;
    let listener = listen(address).with_context(place)?;
    Ok(Port {
        address,
        _kept: kept,
        listener: Some(listener),
    })
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Lets two sockets have the port, of which one at most listens.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    socket(address)?.listen(BACKLOG)
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The API, faults and all.
    Api,
    /// The harness's questions, out of reach of faults.
    Control,
}

async fn accept(mut port: Port, service: Arc<Service>, purpose: Use) {
    let mut connections = JoinSet::new();
    loop {
        if purpose == Use::Api && !service.door.is_open() {
            port.listener = None;
            service.door.set_listening(false);
            service.door.until(true).await;
        }
        let listener = match port
            .listener
            .take()
            .map_or_else(|| listen(port.address), Ok)
        {
            Ok(listener) => listener,
            Err(_) => {
                tokio::time::sleep(REOPEN_PAUSE).await;
                continue;
            }
        };
        if purpose == Use::Api {
            service.door.set_listening(true);
        }
        tokio::select! {
            () = service.door.until(false), if purpose == Use::Api => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&service), purpose));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
        port.listener = Some(listener);
    }
}
