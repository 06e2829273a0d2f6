//! What a harness in another process asks: faults, counts, and what has arrived. Paths under `/_logs/` and `/_metrics/`; no signature is needed.

use std::fmt::Write as _;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::faults::{Faults, Script};
use super::service::Service;
use super::stats::Stats;
use crate::front_door::form_value;
use crate::logs::Held;
use crate::metrics::Dashboards;

/// Begins the paths of questions about logs, and of those about the endpoint as a whole.
pub(super) const PREFIX: &str = "/_logs/";
/// Begins the paths of questions about metrics.
const METRICS_PREFIX: &str = "/_metrics/";
/// Of a body that is sent here.
const BODY_BYTES: usize = 1 << 20;

/// `PUT /_logs/door`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DoorOrder {
    open: bool,
    /// Opens again after so many milliseconds.
    for_ms: Option<u64>,
}

/// `GET /_logs/stats`.
#[derive(Debug, Serialize)]
struct StatsAnswer<'s> {
    now_us: i64,
    stats: &'s Stats,
    held: HeldAnswer,
}

#[derive(Debug, Default, Serialize)]
struct HeldAnswer {
    events: u64,
    message_bytes: u64,
    memory_bytes: u64,
}

/// `GET /_logs/faults`.
#[derive(Debug, Serialize)]
struct FaultsAnswer<'f> {
    script: &'f Script,
    /// Requests that each rule has met.
    met: Vec<u64>,
}

/// An event of `GET /_logs/events`.
#[derive(Debug, Serialize)]
struct EventLine<'e> {
    ts: i64,
    ingested_us: i64,
    message: &'e str,
}

/// Whether a path is one of a harness's questions.
pub(crate) fn is_question(path: &str) -> bool {
    path.starts_with(PREFIX) || path.starts_with(METRICS_PREFIX)
}

/// Answers one question.
pub(super) async fn answer<B>(service: &Service, head: &Parts, body: B) -> Response<Answer>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Ok(body) = Limited::new(body, BODY_BYTES).collect().await else {
        return text(
            StatusCode::BAD_REQUEST,
            "the body is too large or broken off\n",
        );
    };
    let body = body.to_bytes();
    if let Some(path) = head.uri.path().strip_prefix(METRICS_PREFIX) {
        return metrics(service, head, path);
    }
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let query = head.uri.query().unwrap_or_default();
    match (&head.method, path) {
        (&Method::GET, "stats") => json(&stats(service)),
        (&Method::DELETE, "stats") => {
            service.state().journal.reset();
            done()
        }
        (&Method::GET, "faults") => {
            let faults = service.faults();
            let answer = FaultsAnswer {
                script: faults.script(),
                met: faults.met(),
            };
            json(&serde_json::to_value(&answer).unwrap_or_default())
        }
        (&Method::PUT, "faults") => match serde_json::from_slice::<Script>(&body) {
            Ok(script) => {
                *service.faults() = Faults::new(script);
                done()
            }
            Err(error) => text(StatusCode::BAD_REQUEST, format!("no rules: {error}\n")),
        },
        (&Method::DELETE, "faults") => {
            *service.faults() = Faults::new(Script::default());
            done()
        }
        (&Method::PUT, "door") => match serde_json::from_slice::<DoorOrder>(&body) {
            Ok(order) => {
                match order.for_ms {
                    Some(for_ms) if !order.open => {
                        service.door.close_for(Duration::from_millis(for_ms));
                    }
                    _ => service.door.set(order.open),
                }
                service.door.until_listening(order.open).await;
                done()
            }
            Err(error) => text(StatusCode::BAD_REQUEST, format!("no order: {error}\n")),
        },
        (&Method::GET, "journal") => {
            let notes = service.state().journal.notes();
            lines(notes.iter().map(serde_json::to_string))
        }
        (&Method::GET, "streams") => {
            let names = service.stream_names();
            lines(names.iter().map(serde_json::to_string))
        }
        (&Method::GET, "events" | "arrivals") => events(service, path, query),
        (&Method::DELETE, "store") => {
            service.state().logs.clear();
            done()
        }
        (method, _) => unknown(method, head),
    }
}

/// Answers a question about metrics and dashboards.
fn metrics(service: &Service, head: &Parts, path: &str) -> Response<Answer> {
    let query = head.uri.query().unwrap_or_default();
    let value = |key: &str| form_value(query.as_bytes(), key);
    match (&head.method, path) {
        (&Method::GET, "data") => {
            let (namespace, metric) = (value("namespace"), value("metric"));
            let wanted = |in_namespace: &str, name: &str| {
                namespace
                    .as_deref()
                    .is_none_or(|wanted| wanted == in_namespace)
                    && metric.as_deref().is_none_or(|wanted| wanted == name)
            };
            let state = service.state();
            let stores = state.metrics.values().map(|region| &region.store);
            let data: Vec<_> = stores.flat_map(|store| store.arrived(wanted)).collect();
            lines(data.iter().map(serde_json::to_string))
        }
        (&Method::GET, "dashboards") => {
            let state = service.state();
            lines(
                state
                    .dashboards
                    .bodies()
                    .map(|body| serde_json::to_string(&body)),
            )
        }
        (&Method::DELETE, "store") => {
            let mut state = service.state();
            state.metrics.clear();
            state.dashboards = Dashboards::default();
            done()
        }
        (method, _) => unknown(method, head),
    }
}

fn unknown(method: &Method, head: &Parts) -> Response<Answer> {
    text(
        StatusCode::NOT_FOUND,
        format!(
            "{method} {}: there is no such question; see `lab endpoint --help`\n",
            head.uri.path()
        ),
    )
}

fn stats(service: &Service) -> serde_json::Value {
    let now_us = service.now_us();
    let state = service.state();
    let held = state.logs.values().map(|region| region.store.held());
    let held = held.fold(HeldAnswer::default(), |sum, held: Held| HeldAnswer {
        events: sum.events + held.events,
        message_bytes: sum.message_bytes + held.message_bytes,
        memory_bytes: sum.memory_bytes + held.memory_bytes,
    });
    let answer = StatsAnswer {
        now_us,
        stats: &state.journal.stats,
        held,
    };
    serde_json::to_value(&answer).unwrap_or_default()
}

/// Events as lines: with `arrivals` only the two times, which costs next to nothing.
fn events(service: &Service, path: &str, query: &str) -> Response<Answer> {
    let value = |key: &str| form_value(query.as_bytes(), key);
    let number = |key: &str| value(key).and_then(|text| text.parse::<usize>().ok());
    let (Some(group), Some(stream)) = (value("group"), value("stream")) else {
        return text(StatusCode::BAD_REQUEST, "group= and stream= are needed\n");
    };
    let (from, limit) = (
        number("from").unwrap_or(0),
        number("limit").unwrap_or(usize::MAX),
    );
    let mut out = String::new();
    let mut index = 0;
    let found = service.for_each_event(&group, &stream, |ts, ingested_us, message| {
        if (from..from.saturating_add(limit)).contains(&index) {
            // Writing to a string cannot fail.
            let _ = if path == "arrivals" {
                writeln!(out, "{ts} {ingested_us}")
            } else {
                let line = EventLine {
                    ts,
                    ingested_us,
                    message,
                };
                writeln!(out, "{}", serde_json::to_string(&line).unwrap_or_default())
            };
        }
        index += 1;
    });
    if found {
        text(StatusCode::OK, out)
    } else {
        text(
            StatusCode::NOT_FOUND,
            format!("there is no stream {stream} in {group}\n"),
        )
    }
}

fn lines(lines: impl Iterator<Item = serde_json::Result<String>>) -> Response<Answer> {
    let mut out = String::new();
    for line in lines.flatten() {
        out += &line;
        out.push('\n');
    }
    text(StatusCode::OK, out)
}

fn json(value: &serde_json::Value) -> Response<Answer> {
    text(StatusCode::OK, format!("{value:#}\n"))
}

fn done() -> Response<Answer> {
    text(StatusCode::OK, "{}\n")
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(body));
    *response.status_mut() = status;
    response
}
