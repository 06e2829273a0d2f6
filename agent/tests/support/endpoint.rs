//! The endpoint between: the lab's CloudWatch Logs, with the service's limits, in a process of its own, steered over HTTP.
//!
//! A program that uses this is started a second time as the endpoint: see [`serve_if_asked`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use lab::logs::{self, Kind, Script, When};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::check::Arrived;
use super::meter::{self, Reading};

/// Says to this program that it is to be the endpoint, and how, in JSON.
const ASKED: &str = "BAKER_AGENT_TEST_ENDPOINT";
/// A question to the endpoint is answered within this, or it is gone.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How the endpoint is to be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Options {
    /// How long each call takes at least.
    pub(crate) latency: Option<Duration>,
}

/// What it may do to a PutLogEvents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Reads the request, takes nothing, closes the connection.
    ResetBefore,
    /// Takes the events, closes the connection instead of answering.
    ResetAfter,
    /// Answers 503, takes nothing.
    ErrorBefore,
    /// Takes the events, answers 500.
    ErrorAfter,
    /// Takes the first few events, answers 503.
    Half,
    /// ThrottlingException.
    Throttle,
    /// Takes the events; the answer is not JSON.
    Garbage,
    /// Answers late.
    Slow(Duration),
    /// Takes the request late, by anything up to this: requests overtake each other.
    Far(Duration),
}

/// A running endpoint. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    listening: Listening,
    process: Child,
    /// Kept open: whoever runs tests says later that one of them takes long, and would die of a closed pipe.
    _said: BufReader<ChildStdout>,
}

/// What the endpoint says when it listens.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listening {
    url: String,
    /// Goes on answering, whatever is done to the endpoint.
    control_url: String,
}

/// What it has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// All requests of clients, refused ones too.
    pub(crate) requests: u64,
    /// Events at rest.
    pub(crate) events: u64,
    /// Requests that a fault was done to.
    pub(crate) faults: u64,
}

/// How many events [`Fault::Half`] takes.
const HALF: usize = 3;

impl Fault {
    fn kind(self) -> Kind {
        match self {
            Self::ResetBefore => Kind::Reset { taken: false },
            Self::ResetAfter => Kind::Reset { taken: true },
            Self::ErrorBefore => Kind::Fail {
                status: 503,
                taken: false,
            },
            Self::ErrorAfter => Kind::Fail {
                status: 500,
                taken: true,
            },
            Self::Half => Kind::TakeFirst {
                events: HALF,
                status: 503,
            },
            Self::Throttle => Kind::Throttle,
            Self::Garbage => Kind::Garbage,
            Self::Slow(time) => Kind::Delay {
                ms: u64::try_from(time.as_millis()).unwrap(),
            },
            Self::Far(time) => Kind::DelayBefore {
                ms: 0,
                to_ms: Some(u64::try_from(time.as_millis()).unwrap()),
            },
        }
    }
}

impl Endpoint {
    /// Starts this program again as the endpoint.
    pub(crate) fn process(options: Options) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            // In a program of tests, the test that is the endpoint; a benchmark looks at the variable first.
            .args(["--exact", "endpoint_process", "--nocapture"])
            .env(ASKED, serde_json::to_string(&options).unwrap())
            // Closed when this process ends, however it ends; the endpoint then ends too.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let listening = said
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| serde_json::from_str(&line).ok())
            .expect("the endpoint says where it listens");
        Self {
            listening,
            process,
            _said: said,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.listening.url
    }

    /// What the endpoint itself has cost so far.
    pub(crate) fn reading(&self) -> Reading {
        meter::read(i32::try_from(self.process.id()).unwrap()).expect("the endpoint runs")
    }

    pub(crate) fn stats(&self) -> Stats {
        #[derive(Deserialize)]
        struct Answer {
            stats: Counts,
            held: Held,
        }
        #[derive(Deserialize)]
        struct Counts {
            requests: u64,
            faults: BTreeMap<String, u64>,
        }
        #[derive(Deserialize)]
        struct Held {
            events: u64,
        }
        let answer: Answer = serde_json::from_slice(&self.ask("GET", "stats", "")).unwrap();
        Stats {
            requests: answer.stats.requests,
            events: answer.held.events,
            faults: answer.stats.faults.values().sum(),
        }
    }

    /// The group's streams.
    pub(crate) fn streams(&self, group: &str) -> Vec<String> {
        let answer = self.ask("GET", "streams", "");
        let lines = answer.split(|&byte| byte == b'\n');
        lines
            .filter_map(|line| serde_json::from_slice::<(String, String)>(line).ok())
            .filter_map(|(of, stream)| (of == group).then_some(stream))
            .collect()
    }

    /// All events of a stream, in the order in which the service gives them: by time, those of one time by their arrival.
    pub(crate) fn each_event(&self, group: &str, stream: &str, mut each: impl FnMut(Arrived<'_>)) {
        #[derive(Deserialize)]
        struct Line<'a> {
            ts: i64,
            ingested_us: u64,
            #[serde(borrow)]
            message: Cow<'a, str>,
        }
        let answer = self.ask("GET", &format!("events?group={group}&stream={stream}"), "");
        let lines = answer.split(|&byte| byte == b'\n');
        let mut lines: Vec<Line<'_>> = lines
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        lines.sort_by_key(|line| line.ts);
        for line in lines {
            each(Arrived {
                stamp_ms: line.ts,
                taken_us: line.ingested_us,
                message: &line.message,
            });
        }
    }

    /// From now on each fault is done to that part of all PutLogEvents, instead of what was done before.
    pub(crate) fn faults(&self, faults: &[(Fault, f64)], seed: u64) {
        let rules = faults
            .iter()
            .map(|(fault, part)| (When::Probability(*part), fault.kind()));
        let script = Script {
            seed,
            ..Script::put_log_events(rules)
        };
        self.ask("PUT", "faults", &serde_json::to_string(&script).unwrap());
    }

    /// How many requests the faults of now have met.
    pub(crate) fn faults_met(&self) -> u64 {
        #[derive(Deserialize)]
        struct Answer {
            met: Vec<u64>,
        }
        let answer: Answer = serde_json::from_slice(&self.ask("GET", "faults", "")).unwrap();
        answer.met.iter().sum()
    }

    /// Resets all connections and refuses new ones for a time. Does not wait for its end.
    pub(crate) fn refuse(&self, time: Duration) {
        let for_ms = u64::try_from(time.as_millis()).unwrap();
        let order = json!({"open": false, "for_ms": for_ms});
        self.ask("PUT", "door", &order.to_string());
    }

    /// Accepts connections again.
    pub(crate) fn accept(&self) {
        self.ask("PUT", "door", &json!({"open": true}).to_string());
    }

    // HTTP/1.0: the answer ends with the connection.
    fn ask(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let address = self.listening.control_url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("the endpoint runs");
        stream.set_read_timeout(Some(ANSWER_LIMIT)).unwrap();
        write!(
            stream,
            "{method} /_logs/{path} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = b"\r\n\r\n";
        let head = answer.windows(end.len()).position(|part| part == end);
        let head = head.expect("an answer has a head");
        let status = String::from_utf8_lossy(&answer[..head]).into_owned();
        assert!(
            status.starts_with("HTTP/1.0 200") || status.starts_with("HTTP/1.1 200"),
            "{path}: {status}"
        );
        answer.drain(..head + end.len());
        answer
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// If this process was started to be the endpoint: is it until its parent is gone, and returns true then.
pub(crate) fn serve_if_asked() -> bool {
    let Ok(asked) = std::env::var(ASKED) else {
        return false;
    };
    let options: Options = serde_json::from_str(&asked).unwrap();
    let settings = logs::Settings {
        latency: options.latency.unwrap_or_default(),
        // Streams are made before a row's clock starts; a thousand of them at the service's rate would take 20 s.
        create_stream_per_second: None,
        ..logs::Settings::default()
    };
    let endpoint = logs::Endpoint::start(logs::Config {
        settings,
        ..logs::Config::default()
    })
    .unwrap();
    let listening = Listening {
        url: endpoint.url(),
        control_url: endpoint.control_url(),
    };
    // On a line of its own, whatever a test runner has begun to say.
    println!("\n{}", serde_json::to_string(&listening).unwrap());
    // Nothing is ever sent: this ends when the parent does.
    let _ = std::io::stdin().read(&mut [0]);
    true
}
