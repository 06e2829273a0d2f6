//! One request after the other: fault chosen, body read, signature checked, operation done, answer (or what the fault makes of it) given.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::{Body, Bytes};
use hyper::{Request, Response, StatusCode};

use super::answer::{Answer, good, refusal};
use super::body::{self, BODY_BYTES, BodyError};
use super::call::{Api, Call};
use super::control;
use super::door::Door;
use super::error::AwsError;
use super::faults::{Faults, Kind, Plan};
use super::perform::Effect;
use super::settings::Settings;
use super::signature::Credentials;
use super::stats::{Journal, Note};
use super::throttle::Throttle;
use crate::logs::{self, Batch};
use crate::metrics;

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(super) settings: Settings,
    pub(super) credentials: Mutex<Option<Credentials>>,
    faults: Mutex<Faults>,
    state: Mutex<State>,
    clock_offset_us: AtomicI64,
    pub(crate) door: Door,
}

/// What requests change.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) logs: BTreeMap<String, LogsRegion>,
    pub(crate) metrics: BTreeMap<String, MetricsRegion>,
    /// Of all regions.
    pub(crate) dashboards: metrics::Dashboards,
    pub(crate) journal: Journal,
}

/// CloudWatch Logs of one region.
#[derive(Debug, Default)]
pub(crate) struct LogsRegion {
    pub(crate) store: logs::Store,
    pub(super) create_stream: Option<Throttle>,
    pub(super) put: Option<Throttle>,
}

/// CloudWatch's metrics of one region.
#[derive(Debug, Default)]
pub(crate) struct MetricsRegion {
    pub(crate) store: metrics::Store,
    pub(super) put: Option<Throttle>,
}

/// Memory that the requests of one connection use one after the other.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(super) body: Vec<u8>,
    pub(super) inflated: Vec<u8>,
    pub(super) batch: Batch,
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
    pub(crate) async fn answer<B>(
        &self,
        request: Request<B>,
        buffers: &mut Buffers,
    ) -> Result<Response<Answer>, Reset>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        if control::is_question(head.uri.path()) {
            return Ok(control::answer(self, &head, body).await);
        }
        if !self.door.is_open() {
            return Err(Reset);
        }
        let mut body = Some(body);
        let mut call = Call::of_head(&head);
        let mut arrived = Ok(());
        if call.is_none() && body::is_form(&head.headers) {
            // A form names its operation inside.
            if let Some(body) = body.take() {
                arrived = body::read_body(body, &mut buffers.body, None).await;
                call = Call::of_form(&buffers.body);
            }
        }
        let call = call.unwrap_or_else(Call::unknown);
        let plan = self.faults().request(&call.operation);
        if let Some(body) = body {
            arrived = body::read_body(body, &mut buffers.body, plan.body_bytes_per_second).await;
        }
        let mut effect = Effect::default();
        match arrived {
            Ok(()) => {}
            Err(BodyError::TooLarge) => {
                let error = AwsError::too_large(BODY_BYTES);
                self.note(&call, buffers, &effect, Some(&error), &plan);
                return Ok(refusal(&error, call.api));
            }
            Err(BodyError::BrokenOff) => return Err(Reset),
        }
        let before_taken = plan.before + self.settings.latency_before.draw(&mut self.faults());
        if !before_taken.is_zero() {
            tokio::time::sleep(before_taken).await;
            if !self.door.is_open() {
                return Err(Reset);
            }
        }
        let result = match before(&plan, call.api) {
            Some(fault) => fault,
            None => Some(self.perform(&call, &head, buffers, &plan, &mut effect)),
        };
        let error = result.as_ref().and_then(|result| result.as_ref().err());
        self.note(&call, buffers, &effect, error, &plan);
        let delay = self.settings.latency + plan.delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let unavailable = |status| refusal(&AwsError::unavailable(status), call.api);
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
                Ok(unavailable(status))
            }
            kind => Ok(match result {
                Some(Ok(body)) => good(body, kind, call.api),
                Some(Err(error)) => refusal(&error, call.api),
                None => unavailable(StatusCode::INTERNAL_SERVER_ERROR.as_u16()),
            }),
        }
    }

    /// Names of all streams of all regions: (group, stream).
    pub(crate) fn stream_names(&self) -> Vec<(String, String)> {
        let state = self.state();
        let stores = state.logs.values().map(|region| &region.store);
        stores.flat_map(logs::Store::stream_names).collect()
    }

    /// As [`logs::Store::for_each_event`], in whichever region holds the stream.
    pub(crate) fn for_each_event(
        &self,
        group: &str,
        stream: &str,
        mut see: impl FnMut(i64, i64, &str),
    ) -> bool {
        let state = self.state();
        let mut stores = state.logs.values().map(|region| &region.store);
        stores.any(|store| store.for_each_event(group, stream, &mut see))
    }

    fn note(
        &self,
        call: &Call,
        buffers: &Buffers,
        effect: &Effect,
        error: Option<&AwsError>,
        plan: &Plan,
    ) {
        let note = Note {
            at_us: self.now_us(),
            operation: call.operation.clone(),
            body_bytes: buffers.body.len(),
            events: effect.items,
            taken: effect.taken,
            error: error.map(|error| error.code.to_owned()),
            fault: plan.fault.map(|kind| kind.name().to_owned()),
        };
        let journal = &mut self.state().journal;
        match call.api {
            Api::Logs => {
                journal.stats.events += effect.taken as u64;
                journal.stats.batch_bytes += effect.batch_bytes as u64;
                // What a fault keeps from being looked at is not among the items.
                journal.stats.rejected_events += (effect.items - effect.taken) as u64;
            }
            Api::Metrics(_) => journal.stats.metric_data += effect.taken as u64,
        }
        journal.record(note);
    }
}

impl State {
    /// Forgets what was kept, but not what was counted.
    pub(crate) fn forget(&mut self) {
        self.logs.clear();
        self.metrics.clear();
        self.dashboards = metrics::Dashboards::default();
    }

    pub(super) fn logs(&mut self, region: &str, settings: &Settings) -> &mut LogsRegion {
        let fresh = || LogsRegion {
            store: logs::Store::default(),
            create_stream: settings.create_stream_per_second.map(Throttle::new),
            put: settings.put_per_second.map(Throttle::new),
        };
        self.logs.entry(region.to_owned()).or_insert_with(fresh)
    }

    pub(super) fn metrics(&mut self, region: &str, settings: &Settings) -> &mut MetricsRegion {
        let fresh = || MetricsRegion {
            store: metrics::Store::default(),
            put: settings.put_metrics_per_second.map(Throttle::new),
        };
        self.metrics.entry(region.to_owned()).or_insert_with(fresh)
    }
}

/// What a fault answers instead of the operation: `None`: the operation is done; `Some(None)`: nothing.
fn before(plan: &Plan, api: Api) -> Option<Option<Result<Vec<u8>, AwsError>>> {
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
        Kind::NotFound => match api {
            Api::Logs => AwsError::no_group(),
            Api::Metrics(_) => metrics::not_found(),
        },
        Kind::Reset { .. }
        | Kind::Stall { .. }
        | Kind::Fail { .. }
        | Kind::TakeFirst { .. }
        | Kind::Garbage
        | Kind::Truncated
        | Kind::WrongLength
        | Kind::ResetOnAccept
        | Kind::Delay { .. }
        | Kind::DelayBefore { .. }
        | Kind::SlowBody { .. } => return None,
    };
    Some(Some(Err(error)))
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
