//! What answers tell about this host's clock.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::date_time::Format;

use crate::clock::{Measure, Told, host};

/// Whom to tell what answers say of the time.
type Listener = Box<dyn Fn(Told) + Send + Sync>;

/// What the answers of the service say of its time. Clones share it.
#[derive(Clone, Default)]
pub struct ServiceTime(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    /// By how much this host was ahead at the last answer.
    ahead_ms: Option<i64>,
    /// How many answers there were, and what the last one told.
    answers: u64,
    told: Option<Told>,
    listener: Option<Listener>,
}

impl fmt::Debug for ServiceTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTime")
            .field("ahead_ms", &self.ahead_ms())
            .finish_non_exhaustive()
    }
}

impl ServiceTime {
    /// Has every answer's date told to `listener` from now on, on the thread that hears it.
    pub fn listen(&self, listener: impl Fn(Told) + Send + Sync + 'static) {
        self.lock().listener = Some(Box::new(listener));
    }

    /// By how much this host is ahead.
    pub(super) fn ahead_ms(&self) -> Option<i64> {
        self.lock().ahead_ms
    }

    /// How many answers were heard.
    pub(super) fn answers(&self) -> u64 {
        self.lock().answers
    }

    /// What the last answer told, if there was one after the first so many.
    pub(super) fn since(&self, answers: u64) -> Told {
        let heard = self.lock();
        heard
            .told
            .filter(|_| heard.answers > answers)
            .unwrap_or(Told::NoAnswer)
    }

    /// What reads the date of every answer.
    pub(super) fn watch(&self) -> impl Intercept + use<> {
        Watch(self.clone())
    }

    fn hear(&self, answer: &HttpResponse, sent: Option<Duration>) {
        let received = host::monotonic();
        let date_ms = date_of(answer).and_then(unix_ms);
        let told = match (date_ms, sent) {
            (Some(date_ms), Some(sent)) => Told::Time(Measure {
                sent,
                received,
                date_ms,
            }),
            _ => Told::Nothing,
        };
        let mut heard = self.lock();
        heard.ahead_ms = ahead_ms(answer, SystemTime::now()).or(heard.ahead_ms);
        heard.answers += 1;
        heard.told = Some(told);
        if let Some(listener) = &heard.listener {
            listener(told);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        // A panic elsewhere leaves nothing half-done in here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Watch(ServiceTime);

/// When the request was sent, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
struct Sent(Duration);

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "baker_agent::ServiceTime"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config
            .interceptor_state()
            .store_put(Sent(host::monotonic()));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let sent = config.load::<Sent>().map(|sent| sent.0);
        self.0.hear(context.response(), sent);
        Ok(())
    }
}

/// The date of an answer, unless that is from a cache: then it is old.
fn date_of(answer: &HttpResponse) -> Option<SystemTime> {
    let headers = answer.headers();
    match headers.get("age") {
        Some(_) => None,
        None => date(headers.get("date")?),
    }
}

fn unix_ms(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// By how much `now` is ahead of an answer's date. The date is the beginning of a second, so up to one second ahead is
/// none.
pub(super) fn ahead_ms(answer: &HttpResponse, now: SystemTime) -> Option<i64> {
    let date = date_of(answer)?;
    let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Some(match now.duration_since(date) {
        Ok(ahead) => (ms(ahead) - 1_000).max(0),
        Err(behind) => -ms(behind.duration()),
    })
}

/// A date as HTTP writes it.
pub(super) fn date(value: &str) -> Option<SystemTime> {
    DateTime::from_str(value, Format::HttpDate)
        .ok()?
        .try_into()
        .ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use aws_smithy_types::body::SdkBody;

    #[test]
    fn an_answer_tells_how_wrong_the_clock_is() {
        let mut answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::empty());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(ahead_ms(&answer, now), None);
        answer
            .headers_mut()
            .insert("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let ms = Duration::from_millis;
        assert_eq!(ahead_ms(&answer, now), Some(0));
        assert_eq!(ahead_ms(&answer, now + ms(999)), Some(0));
        assert_eq!(ahead_ms(&answer, now + ms(61_000)), Some(60_000));
        assert_eq!(ahead_ms(&answer, now - ms(60_000)), Some(-60_000));
        answer.headers_mut().insert("age", "10");
        assert_eq!(ahead_ms(&answer, now), None);
    }
}
