//! What one PutLogEvents costs, against a bare HTTP client that hashes and posts the same bytes over the same loopback in the
//! same run; and what the client holds in memory.
//!
//! Processor time of the sending thread, not wall time: the sink, a process of its own, is not what is measured. Rounds
//! alternate, and the median of each side counts.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "../tests/adapters/server.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod server;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use baker_agent::aws::{Http, Logs, Options, Proxy};
use baker_agent::target::{GroupClass, Target};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use server::{Reply, Server, certificates};
use sha2::{Digest, Sha256};

const ROUNDS: usize = 5;
const LARGE_BYTES: usize = 1_000_000;
const SMALL_BYTES: usize = 300;
const IDLE: Duration = Duration::from_secs(5);

fn main() {
    if std::env::args().any(|it| it == "sink") {
        return sink();
    }
    let mut sink = Sink::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(&mut sink));
}

async fn run(sink: &mut Sink) {
    let before = resident_kib();
    let plain = logs(&format!("http://{}", sink.plain), Http::direct());
    let target = target();
    plain.put(&target, body(SMALL_BYTES), None).await.unwrap();
    println!(
        "resident: {before} KiB at the start, {} KiB after a call over HTTP",
        resident_kib()
    );

    for (name, bytes, calls) in [("large", LARGE_BYTES, 100), ("small", SMALL_BYTES, 500)] {
        let body = body(bytes);
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        let mut connection = connect(sink.plain).await;
        for _ in 0..ROUNDS {
            let from = cpu();
            for _ in 0..calls {
                let hash = Sha256::digest(&body).into();
                plain.put(&target, body.clone(), Some(hash)).await.unwrap();
            }
            ours.push((cpu() - from) / calls);
            let from = cpu();
            for _ in 0..calls {
                std::hint::black_box(Sha256::digest(&body));
                post(&mut connection, body.clone()).await;
            }
            bare.push((cpu() - from) / calls);
        }
        let (ours, bare) = (median(ours), median(bare));
        println!("put, {name} ({bytes} bytes): {ours:?}; hash and bare post: {bare:?}");
        println!(
            "ratio put_{name}_cpu_vs_hash_and_post {:.2}",
            ours.as_secs_f64() / bare.as_secs_f64()
        );
    }
    println!("resident: {} KiB after the large ones", resident_kib());

    let from = wake_ups();
    tokio::time::sleep(IDLE).await;
    println!(
        "idle, connections kept: {} wake-ups in {IDLE:?}",
        wake_ups() - from
    );

    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, &sink.authority).unwrap();
    let http = Http::new(Some(&bundle), &Proxy::Direct, 4).unwrap();
    let secure = logs(&format!("https://localhost:{}", sink.tls.port()), http);
    secure.put(&target, body(SMALL_BYTES), None).await.unwrap();
    println!(
        "resident: {} KiB after a call over TLS, trusting one authority",
        resident_kib()
    );
    let large = body(LARGE_BYTES);
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let from = cpu();
        for _ in 0..50 {
            let hash = Sha256::digest(&large).into();
            secure
                .put(&target, large.clone(), Some(hash))
                .await
                .unwrap();
        }
        seen.push((cpu() - from) / 50);
    }
    println!("put, large, over TLS: {:?}", median(seen));
    let http = Http::new(None, &Proxy::Direct, 4).unwrap();
    let system = logs(&format!("https://localhost:{}", sink.tls.port()), http);
    // The system's authorities know nothing of ours.
    let _ = system.put(&target, body(SMALL_BYTES), None).await;
    println!(
        "resident: {} KiB with the system's authorities as well",
        resident_kib()
    );
}

/// Where everything goes, in a process of its own.
struct Sink {
    child: Child,
    plain: SocketAddr,
    tls: SocketAddr,
    authority: String,
}

impl Sink {
    fn start() -> Sink {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("sink")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Kept open: a sink that can't write any more would end.
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let (plain, tls) = (line().parse().unwrap(), line().parse().unwrap());
        let mut authority = String::new();
        while !authority.contains("-----END") {
            authority += &line();
            authority.push('\n');
        }
        Sink {
            child,
            plain,
            tls,
            authority,
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sink() {
    let plain = Server::start(|_| Reply::json("{}")).forget();
    let (authority, tls) = certificates(&["localhost"]);
    let secure = Server::start_tls(tls, |_| Reply::json("{}")).forget();
    println!("{}\n{}\n{authority}", plain.address, secure.address);
    std::io::stdout().flush().unwrap();
    // Until the other side ends.
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn logs(url: &str, http: Http) -> Logs {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIDEXAMPLE",
            "a secret key",
            None,
            None,
            "bench",
        )))
        .http_client(http)
        .build();
    Logs::over(&config, &Options::default()).unwrap()
}

fn target() -> Target {
    Target {
        group: "app".into(),
        stream: "i-1/syslog".into(),
        retention_days: None,
        class: GroupClass::Standard,
    }
}

fn body(bytes: usize) -> Bytes {
    let mut text = String::from("{\"logEvents\":[");
    while text.len() < bytes {
        text += "{\"timestamp\":1700000000000,\"message\":\"127.0.0.1 - - GET /index.html 200\"},";
    }
    text.truncate(bytes);
    text.into()
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn post(connection: &mut SendRequest<Full<Bytes>>, body: Bytes) {
    let request = hyper::Request::post("/")
        .header("host", "localhost")
        .body(Full::new(body))
        .unwrap();
    let answer = connection.send_request(request).await.unwrap();
    answer.into_body().collect().await.unwrap();
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn resident_kib() -> u64 {
    status("VmRSS:")
}

/// Of this thread, its own pause among them.
fn wake_ups() -> u64 {
    status("voluntary_ctxt_switches:")
}

fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = text.lines().find(|it| it.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
