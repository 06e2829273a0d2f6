//! The lab's AWS endpoint: everything a client asks comes in here.
//!
//! CloudWatch, logs and metrics, it answers itself ([`crate::endpoint`]); all else goes to moto. It speaks what moto does not (`rpc_cbor`), counts
//! and logs every request (`ledger`), and wakes the lab when a request may have changed what hosts there should be. Requests
//! that are for moto alone (`/_lab/`) it refuses.

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

use crate::endpoint::{self, Service};

pub(crate) use identify::{form_value, percent_decode, rpc_operation};
pub use ledger::Ledger;

/// Requests under way may take this long to end after the shutdown has begun.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);
/// After a failed accept (out of descriptors, most likely): others may be freed meanwhile.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all connections share.
#[derive(Debug, Clone)]
pub struct FrontDoor {
    /// moto's address.
    pub upstream: SocketAddr,
    /// CloudWatch, logs and metrics.
    pub cloudwatch: CloudWatch,
    /// Where requests are counted and logged.
    pub ledger: Arc<Ledger>,
    /// Notified after each request that may have changed which hosts there should be.
    pub on_change: Arc<Notify>,
}

/// CloudWatch behind a front door: with the service's limits, for any credentials.
#[derive(Debug, Clone)]
pub struct CloudWatch(Arc<Service>);

impl Default for CloudWatch {
    fn default() -> Self {
        let settings = endpoint::Settings {
            // As everywhere in the lab.
            credentials: None,
            ..endpoint::Settings::default()
        };
        Self(Arc::new(Service::new(settings)))
    }
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    struct Served {
        address: SocketAddr,
        ledger: Arc<Ledger>,
        stop: oneshot::Sender<()>,
        serving: JoinHandle<()>,
        _folder: tempfile::TempDir,
    }

    async fn serve(upstream: SocketAddr) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::create(&folder.path().join("log")).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = FrontDoor {
            upstream,
            cloudwatch: CloudWatch::default(),
            ledger: Arc::clone(&ledger),
            on_change: Arc::default(),
        };
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(door.serve(vec![listener], async { drop(stopped.await) }));
        Served {
            address,
            ledger,
            stop,
            serving,
            _folder: folder,
        }
    }

    /// Stands for moto: takes one request for each of `answers`, says so, and answers once it is told to.
    #[derive(Clone, Default)]
    struct Upstream {
        asked: Arc<Notify>,
        go: Arc<Notify>,
    }

    async fn upstream(signals: Upstream, answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for body in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                // The whole request is in the first segment: these are small.
                let _ = stream.read(&mut [0; 4096]).await.unwrap();
                signals.asked.notify_one();
                signals.go.notified().await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream
                    .write_all(format!("{head}{body}").as_bytes())
                    .await
                    .unwrap();
            }
        });
        address
    }

    const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: lab\r\n\r\n";

    async fn read_until(stream: &mut TcpStream, end: &str) -> String {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).ends_with(end) {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            seen.push(byte[0]);
        }
        String::from_utf8(seen).unwrap()
    }

    #[tokio::test]
    async fn a_client_keeps_its_connection_although_moto_closes_each() {
        let signals = Upstream::default();
        let served = serve(upstream(signals.clone(), &["one", "two"]).await).await;
        let mut client = TcpStream::connect(served.address).await.unwrap();
        for answer in ["one", "two"] {
            signals.go.notify_one();
            client.write_all(REQUEST).await.unwrap();
            let head_and_body = read_until(&mut client, answer).await;
            assert!(
                !head_and_body.to_lowercase().contains("connection: close"),
                "{head_and_body}"
            );
        }
        assert_eq!(served.ledger.counts()["unknown:GET"], 2);
    }

    #[tokio::test]
    async fn without_moto_the_answer_is_one_that_clients_retry() {
        let nobody = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let served = serve(nobody).await;
        let mut client = TcpStream::connect(served.address).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        assert!(
            read_until(&mut client, "\r\n")
                .await
                .starts_with("HTTP/1.1 503 ")
        );
    }

    #[tokio::test]
    async fn a_shutdown_completes_the_request_under_way_and_takes_no_other() {
        let signals = Upstream::default();
        let served = serve(upstream(signals.clone(), &["late"]).await).await;
        let mut client = TcpStream::connect(served.address).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        signals.asked.notified().await;
        served.stop.send(()).unwrap();
        signals.go.notify_one();
        read_until(&mut client, "late").await;
        served.serving.await.unwrap();
        assert!(TcpStream::connect(served.address).await.is_err());
    }
}
