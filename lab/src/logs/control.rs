//! What a harness in another process asks: faults, counts, and what has arrived. Paths under `/_logs/`; no signature is needed.

use std::fmt::Write as _;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::faults::{Faults, Script};
use super::service::Service;
use super::stats::Stats;
use super::store::Held;
use crate::front_door::form_value;

/// Begins all paths of this kind.
pub(crate) const PREFIX: &str = "/_logs/";
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

/// Answers one question.
pub(crate) async fn answer(service: &Service, head: &Parts, body: Incoming) -> Response<Answer> {
    let Ok(body) = Limited::new(body, BODY_BYTES).collect().await else {
        return text(
            StatusCode::BAD_REQUEST,
            "the body is too large or broken off\n",
        );
    };
    let body = body.to_bytes();
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
            service.state().regions.clear();
            done()
        }
        (method, _) => text(
            StatusCode::NOT_FOUND,
            format!(
                "{method} {}: there is no such question; see `lab logs-endpoint --help`\n",
                head.uri.path()
            ),
        ),
    }
}

fn stats(service: &Service) -> serde_json::Value {
    let now_us = service.now_us();
    let state = service.state();
    let held = state.regions.values().map(|region| region.store.held());
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

fn text(status: StatusCode, body: impl Into<hyper::body::Bytes>) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(body));
    *response.status_mut() = status;
    response
}
