//! One request after the other: fault chosen, body read, signature checked, operation done, answer (or what the fault makes of it) given.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use super::answer::{Answer, good, refusal};
use super::body::{self, BodyError, Encoding};
use super::door::Door;
use super::error::AwsError;
use super::faults::{Faults, Kind, Plan};
use super::limits::BODY_BYTES;
use super::operations::{self, Context};
use super::settings::Settings;
use super::signature::{Authorization, Credentials, Signed};
use super::stats::{Journal, Note};
use super::store::{Batch, Store};
use super::throttle::Throttle;
use super::{control, wire};

/// Precedes an operation's name in `X-Amz-Target`.
pub(crate) const TARGET_PREFIX: &str = "Logs_20140328.";

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct Service {
    settings: Settings,
    credentials: Mutex<Option<Credentials>>,
    faults: Mutex<Faults>,
    state: Mutex<State>,
    clock_offset_us: AtomicI64,
    pub(crate) door: Door,
}

/// What requests change.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) regions: BTreeMap<String, Region>,
    pub(crate) journal: Journal,
}

#[derive(Debug, Default)]
pub(crate) struct Region {
    pub(crate) store: Store,
    create_stream: Option<Throttle>,
    put: Option<Throttle>,
}

/// Memory that the requests of one connection use one after the other.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    body: Vec<u8>,
    inflated: Vec<u8>,
    batch: Batch,
}

/// The connection is to be reset: there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a fault resets the connection")
    }
}

impl std::error::Error for Reset {}

/// What an operation did, for the journal.
#[derive(Debug, Default)]
struct Effect {
    events: usize,
    taken: usize,
    batch_bytes: usize,
    rejected: usize,
}

impl Service {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            credentials: Mutex::new(settings.credentials.clone()),
            faults: Mutex::new(Faults::new(settings.faults.clone())),
            state: Mutex::default(),
            clock_offset_us: AtomicI64::new(0),
            door: Door::default(),
            settings,
        }
    }

    /// The service's clock, in microseconds since the epoch.
    pub(crate) fn now_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let real_us = since.map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        });
        real_us.saturating_add(self.clock_offset_us.load(Ordering::Relaxed))
    }

    /// Sets how far the service's clock is ahead of this machine's.
    pub(crate) fn set_clock_offset(&self, offset_us: i64) {
        self.clock_offset_us.store(offset_us, Ordering::Relaxed);
    }

    pub(crate) fn set_credentials(&self, credentials: Option<Credentials>) {
        *lock(&self.credentials) = credentials;
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Answers one request, an operation or a question of the harness.
    ///
    /// # Errors
    /// When a fault resets the connection, or the client broke off.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        buffers: &mut Buffers,
    ) -> Result<Response<Answer>, Reset> {
        let (head, body) = request.into_parts();
        if head.uri.path().starts_with(control::PREFIX) {
            return Ok(control::answer(self, &head, body).await);
        }
        if !self.door.is_open() {
            return Err(Reset);
        }
        let operation = operation(&head.headers).unwrap_or("unknown").to_owned();
        let plan = self.faults().request(&operation);
        match body::read_body(body, &mut buffers.body, plan.body_bytes_per_second).await {
            Ok(()) => {}
            Err(BodyError::TooLarge) => {
                let error = AwsError {
                    status: StatusCode::PAYLOAD_TOO_LARGE.as_u16(),
                    code: "RequestEntityTooLargeException",
                    message: format!("Request size exceeded the limit of {BODY_BYTES} bytes"),
                };
                self.note(&operation, buffers, &Effect::default(), Some(&error), &plan);
                return Ok(refusal(&error));
            }
            Err(BodyError::BrokenOff) => return Err(Reset),
        }
        let mut effect = Effect::default();
        let result = match before(&plan) {
            Some(fault) => fault,
            None => Some(self.perform(&operation, &head, buffers, &plan, &mut effect)),
        };
        let error = result.as_ref().and_then(|result| result.as_ref().err());
        self.note(&operation, buffers, &effect, error, &plan);
        let delay = self.settings.latency + plan.delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match plan.fault {
            Some(Kind::Refuse { for_ms }) => {
                self.door.close_for(Duration::from_millis(for_ms));
                Err(Reset)
            }
            Some(Kind::Reset { .. }) => Err(Reset),
            Some(Kind::Stall { limit_ms, .. }) => {
                tokio::time::sleep(Duration::from_millis(limit_ms)).await;
                Err(Reset)
            }
            Some(Kind::Fail { status, .. } | Kind::TakeFirst { status, .. }) => {
                Ok(refusal(&AwsError::unavailable(status)))
            }
            kind => Ok(match result {
                Some(Ok(body)) => good(body, kind),
                Some(Err(error)) => refusal(&error),
                None => refusal(&AwsError::unavailable(500)),
            }),
        }
    }

    /// Checks the request and does what it asks.
    fn perform(
        &self,
        operation: &str,
        head: &Parts,
        buffers: &mut Buffers,
        plan: &Plan,
        effect: &mut Effect,
    ) -> Result<Vec<u8>, AwsError> {
        let now_us = self.now_us();
        let region = self.authorize(head, &buffers.body, now_us)?;
        if head.method != Method::POST {
            return Err(operations::unknown(operation));
        }
        let body = match body::encoding(&head.headers)? {
            Encoding::Plain => buffers.body.as_slice(),
            Encoding::Gzip => {
                body::inflate(&buffers.body, &mut buffers.inflated)?;
                buffers.inflated.as_slice()
            }
        };
        let visible_after_us = i64::try_from(self.settings.visible_after.as_micros());
        let context = Context {
            region: &region,
            now_us,
            visible_us: now_us.saturating_sub(visible_after_us.unwrap_or(i64::MAX)),
        };
        if operation != "PutLogEvents" {
            let mut state = self.state();
            let region = state.region(&region, &self.settings);
            if operation == "CreateLogStream" {
                admit(region.create_stream.as_mut(), now_us)?;
            }
            return operations::answer(operation, body, &mut region.store, &context);
        }
        // The one that must be fast is read before the lock is taken.
        buffers.batch.clear();
        let request = wire::put_log_events(body, &mut buffers.batch)?;
        if let Some(Kind::TakeFirst { events, .. }) = plan.fault {
            buffers.batch.truncate(events);
        }
        let batch = &buffers.batch;
        let mut state = self.state();
        let region = state.region(&region, &self.settings);
        admit(region.put.as_mut(), now_us)?;
        let (group, stream) = (&request.log_group_name, &request.log_stream_name);
        let put = region.store.put(group, stream, batch, now_us)?;
        *effect = Effect {
            events: batch.len(),
            taken: put.taken,
            batch_bytes: batch.bytes(),
            rejected: batch.len() - put.taken,
        };
        Ok(operations::put_answer(&put))
    }

    /// Who asks, and for which region.
    fn authorize(&self, head: &Parts, body: &[u8], now_us: i64) -> Result<String, AwsError> {
        let read = Authorization::read(&head.headers);
        let Some(known) = lock(&self.credentials).clone() else {
            let region = read.map(|read| read.region.to_owned());
            return Ok(region.unwrap_or_else(|_| self.settings.region.clone()));
        };
        let authorization = read?;
        if authorization.access_key != known.access_key {
            return Err(AwsError::client(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ));
        }
        let signed = Signed {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body,
        };
        authorization.verify(&signed, &known.secret_key, now_us.div_euclid(1_000_000))?;
        Ok(authorization.region.to_owned())
    }

    /// Names of all streams of all regions: (group, stream).
    pub(crate) fn stream_names(&self) -> Vec<(String, String)> {
        let state = self.state();
        let stores = state.regions.values().map(|region| &region.store);
        stores.flat_map(Store::stream_names).collect()
    }

    /// As [`Store::for_each_event`], in whichever region holds the stream.
    pub(crate) fn for_each_event(
        &self,
        group: &str,
        stream: &str,
        mut see: impl FnMut(i64, i64, &str),
    ) -> bool {
        let state = self.state();
        let mut stores = state.regions.values().map(|region| &region.store);
        stores.any(|store| store.for_each_event(group, stream, &mut see))
    }

    fn note(
        &self,
        operation: &str,
        buffers: &Buffers,
        effect: &Effect,
        error: Option<&AwsError>,
        plan: &Plan,
    ) {
        let note = Note {
            at_us: self.now_us(),
            operation: operation.to_owned(),
            body_bytes: buffers.body.len(),
            events: effect.events,
            taken: effect.taken,
            error: error.map(|error| error.code.to_owned()),
            fault: plan.fault.map(|kind| kind.name().to_owned()),
        };
        let journal = &mut self.state().journal;
        journal.stats.batch_bytes += effect.batch_bytes as u64;
        journal.stats.rejected_events += effect.rejected as u64;
        journal.record(note);
    }
}

impl State {
    pub(crate) fn region(&mut self, name: &str, settings: &Settings) -> &mut Region {
        if !self.regions.contains_key(name) {
            let region = Region {
                store: Store::default(),
                create_stream: settings.create_stream_per_second.map(Throttle::new),
                put: settings.put_per_second.map(Throttle::new),
            };
            self.regions.insert(name.to_owned(), region);
        }
        // It is there now.
        self.regions.entry(name.to_owned()).or_default()
    }
}

/// The operation that a request names, if it is one of this service.
pub(crate) fn operation(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("x-amz-target")?
        .to_str()
        .ok()?
        .strip_prefix(TARGET_PREFIX)
}

/// What a fault answers instead of the operation: `None`: the operation is done; `Some(None)`: nothing.
fn before(plan: &Plan) -> Option<Option<Result<Vec<u8>, AwsError>>> {
    let error = match plan.fault? {
        Kind::Refuse { .. }
        | Kind::Reset { taken: false }
        | Kind::Stall { taken: false, .. }
        | Kind::Fail { taken: false, .. } => return Some(None),
        Kind::Throttle => AwsError::throttled(),
        Kind::AccessDenied => AwsError::client(
            "AccessDeniedException",
            "User is not authorized to perform this action because no identity-based policy allows it",
        ),
        Kind::ExpiredToken => AwsError::client(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        Kind::NotFound => AwsError::no_group(),
        Kind::Reset { .. }
        | Kind::Stall { .. }
        | Kind::Fail { .. }
        | Kind::TakeFirst { .. }
        | Kind::Garbage
        | Kind::Truncated
        | Kind::WrongLength
        | Kind::ResetOnAccept
        | Kind::Delay { .. }
        | Kind::SlowBody { .. } => return None,
    };
    Some(Some(Err(error)))
}

fn admit(throttle: Option<&mut Throttle>, now_us: i64) -> Result<(), AwsError> {
    if throttle.is_none_or(|throttle| throttle.lets(now_us)) {
        Ok(())
    } else {
        Err(AwsError::throttled())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
