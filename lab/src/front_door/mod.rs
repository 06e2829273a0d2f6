//! The lab's AWS endpoint: everything a client asks goes through here to moto.
//!
//! It speaks what moto does not (`rpc_cbor`), counts and logs every request (`ledger`), and wakes the lab when a request
//! may have changed what hosts there should be. Requests that are for moto alone (`/_lab/`) it refuses.

mod cbor;
mod identify;
mod ledger;
mod proxy;
mod rpc_cbor;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub use ledger::Ledger;

/// Requests under way may take this long to end after the shutdown has begun.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);
/// After a failed accept (out of descriptors, most likely): others may be freed meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all connections share.
#[derive(Debug, Clone)]
pub struct FrontDoor {
    /// moto's address.
    pub upstream: SocketAddr,
    /// Where requests are counted and logged.
    pub ledger: Arc<Ledger>,
    /// Notified after each request that may have changed which hosts there should be.
    pub on_change: Arc<Notify>,
}

impl FrontDoor {
    /// Serves all `listeners` until `shutdown` resolves; requests under way are then completed, for two seconds at most.
    pub async fn serve(self, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()>) {
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(accept(listener, self.clone(), stopping.clone()));
        }
        drop(stopping);
        shutdown.await;
        // Without a receiver there is nobody left to tell.
        let _ = stop.send(true);
        let drained = async { while tasks.join_next().await.is_some() {} };
        // What is still under way after the limit is cut off when `tasks` is dropped.
        let _ = tokio::time::timeout(SHUTDOWN_LIMIT, drained).await;
    }
}

async fn accept(listener: TcpListener, door: FrontDoor, mut stopping: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = asked_to(&mut stopping) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    connections.spawn(converse(stream, client.ip(), door.clone(), stopping.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn converse(
    stream: TcpStream,
    client: IpAddr,
    door: FrontDoor,
    mut stopping: watch::Receiver<bool>,
) {
    // Small answers at once; the option cannot fail on a connected socket in a way that matters.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| proxy::answer(door.clone(), client, request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A client that breaks off is its own affair.
    tokio::select! {
        _ = &mut connection => {}
        () = asked_to(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn asked_to(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is left to ask: as good as being asked.
    let _ = stop.wait_for(|stop| *stop).await;
}
