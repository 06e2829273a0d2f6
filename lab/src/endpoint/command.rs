//! `lab endpoint` and `lab faults`: an endpoint as a process of its own, and what goes wrong in it or in a lab.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use super::faults::Script;
use super::settings::{Latency, Settings};
use super::signature::Credentials;
use super::{Config, Endpoint};

/// An endpoint answers such questions from memory.
const QUESTION_LIMIT: Duration = Duration::from_secs(30);

/// Examples of `lab endpoint`.
pub(crate) const ENDPOINT_HELP: &str = r#"It prints one line when it listens: {"url":"http://…","control_url":"http://…"}, and ends with SIGTERM or SIGINT.

Examples:
  lab endpoint --listen 127.0.0.1:4580
  AWS_ENDPOINT_URL=http://127.0.0.1:4580 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test aws logs describe-log-groups
  AWS_ENDPOINT_URL=http://127.0.0.1:4580 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test aws cloudwatch list-metrics
  lab endpoint --latency 50ms --faults faults.json
  lab endpoint --latency-before 30ms..90ms
  lab endpoint --any-credentials --put-rate 100

A file of faults (for each request the first rule that meets it counts; delays and slow bodies add up with it):
  {"seed": 1, "rules": [
    {"operation": "PutLogEvents", "when": {"every": 10}, "kind": {"fail": {"status": 503, "taken": true}}},
    {"operation": "PutMetricData", "when": {"probability": 0.05}, "kind": {"reset": {"taken": false}}},
    {"kind": {"delay": {"ms": 50}}}]}
  when   "always" (as if left out), {"first": n}, {"every": n}, {"nth": n}, {"probability": p}
  kind   "throttle" "access-denied" "expired-token" "not-found" "garbage" "truncated" "wrong-length" "reset-on-accept"
         {"refuse": {"for_ms"}} {"reset": {"taken"}} {"fail": {"status", "taken"}} {"delay": {"ms"}} {"slow-body": {"bytes_per_second"}}
         {"stall": {"limit_ms", "taken"}} {"take-first": {"events", "status"}}
         {"delay-before": {"ms"}} {"delay-before": {"ms", "to_ms"}}
"delay" and --latency hold back the answer to a request that was taken at once; "delay-before" and --latency-before hold back the request itself,
so that requests overtake each other before they are taken. One that was read is taken even if its client has gone meanwhile.

Questions over HTTP, at the control URL (which no fault reaches) and at the endpoint itself:
  GET, PUT, DELETE /_logs/faults    the rules and how many requests each has met; replace; clear
  PUT /_logs/door                   {"open": false} refuses connections and resets open ones; {"open": false, "for_ms": 60000}; {"open": true}
  GET, DELETE /_logs/stats          counts by operation, error and fault; begin anew
  GET /_logs/journal                the last requests, a line of JSON each
  GET /_logs/streams                ["group","stream"] a line
  GET /_logs/events?group=&stream=  {"ts","ingested_us","message"} a line, in order of arrival; from= and limit= for a part
  GET /_logs/arrivals?group=&stream= the event's time in ms and its arrival in µs a line
  DELETE /_logs/store               forget all groups
  GET /_metrics/data?namespace=&metric=  every datum of PutMetricData as it was sent, a line of JSON each, in order of arrival
  GET /_metrics/dashboards          ["name","body"] a line
  DELETE /_metrics/store            forget all metrics and dashboards"#;

/// Arguments of `lab endpoint`.
#[derive(Debug, Args)]
pub(crate) struct EndpointArgs {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Address for the harness's questions alone; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// The access key that requests are signed with.
    #[arg(long, default_value_t = Credentials::default().access_key)]
    access_key: String,
    /// Its secret key.
    #[arg(long, default_value_t = Credentials::default().secret_key)]
    secret_key: String,
    /// Look at no signature.
    #[arg(long)]
    any_credentials: bool,
    /// How late each answer is.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s")]
    latency: Duration,
    /// How late each request is taken: a time, or two with `..` between, of which each request gets any time between.
    #[arg(long, value_parser = Latency::parse, default_value = "0s", value_name = "TIME[..TIME]")]
    latency_before: Latency,
    /// How long after it was taken a log event or a metric datum is first shown.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s")]
    visible_after: Duration,
    /// Calls of CreateLogStream in a second; 0: no limit.
    #[arg(long, default_value_t = crate::logs::limits::CREATE_STREAM_PER_SECOND)]
    create_stream_rate: u32,
    /// Calls of PutLogEvents in a second; 0: no limit.
    #[arg(long, default_value_t = 0)]
    put_rate: u32,
    /// Calls of PutMetricData in a second; 0: no limit.
    #[arg(long, default_value_t = 0)]
    put_metrics_rate: u32,
    /// What goes wrong from the start: a file of rules, see below.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

impl EndpointArgs {
    fn config(self) -> Result<Config> {
        let limit = |rate: u32| Some(rate).filter(|rate| *rate > 0);
        let credentials = Credentials {
            access_key: self.access_key,
            secret_key: self.secret_key,
        };
        Ok(Config {
            listen: self.listen,
            control: self.control,
            settings: Settings {
                credentials: (!self.any_credentials).then_some(credentials),
                latency: self.latency,
                latency_before: self.latency_before,
                visible_after: self.visible_after,
                create_stream_per_second: limit(self.create_stream_rate),
                put_per_second: limit(self.put_rate),
                put_metrics_per_second: limit(self.put_metrics_rate),
                faults: self
                    .faults
                    .as_deref()
                    .map(read_script)
                    .transpose()?
                    .unwrap_or_default(),
                ..Settings::default()
            },
        })
    }
}

/// Runs an endpoint until it is told to end.
pub(crate) fn serve(args: EndpointArgs) -> Result<u8> {
    let config = args.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Asked for first: nobody who has read the line ends the process in another way than this.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let endpoint = Endpoint::start(config)?;
        let line =
            serde_json::json!({"url": endpoint.url(), "control_url": endpoint.control_url()});
        let mut out = std::io::stdout();
        writeln!(out, "{line}").and_then(|()| out.flush())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        endpoint.stop().await;
        Ok(0)
    })
}

/// What `lab faults` is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum FaultsOrder {
    /// Print the rules, and how many requests each has met.
    Show,
    /// Replace the rules by those of a file (its form: `lab endpoint --help`).
    Set {
        /// The file; `-` reads standard input.
        file: PathBuf,
    },
    /// Let everything go well again.
    Clear,
}

/// Asks the endpoint at `url` (of `lab endpoint`, or a lab's front door).
pub(crate) fn faults(url: &str, order: FaultsOrder) -> Result<u8> {
    let (method, body) = match order {
        FaultsOrder::Show => ("GET", String::new()),
        FaultsOrder::Clear => ("DELETE", String::new()),
        FaultsOrder::Set { file } => ("PUT", serde_json::to_string(&read_script(&file)?)?),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let asked = async { tokio::time::timeout(QUESTION_LIMIT, ask(url, method, body)).await };
    let answer = runtime
        .block_on(asked)
        .with_context(|| format!("{url} did not answer within {QUESTION_LIMIT:?}"))??;
    if method == "GET" {
        print!("{answer}");
    }
    Ok(0)
}

fn read_script(file: &Path) -> Result<Script> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.with_context(|| format!("could not read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} holds no rules; `lab endpoint --help` shows their form",
            file.display()
        )
    })
}

async fn ask(url: &str, method: &str, body: String) -> Result<String> {
    let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
    let authority = uri
        .authority()
        .with_context(|| format!("{url} names no host"))?;
    let stream = TcpStream::connect(authority.as_str())
        .await
        .with_context(|| format!("could not reach {url}; does it run?"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its end is seen where the answer is read.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(format!("{}faults", super::control::PREFIX))
        .header("host", authority.as_str())
        .body(Full::new(Bytes::from(body)))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let text = body.collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&text).into_owned();
    if !head.status.is_success() {
        bail!("{url} refused it ({}): {}", head.status, text.trim());
    }
    Ok(text)
}
