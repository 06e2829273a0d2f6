//! What answers tell about this host's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;

/// Stands for "no answer yet".
const UNKNOWN: i64 = i64::MIN;

/// The difference between this host's clock and the service's, as of the last answer.
#[derive(Debug, Clone)]
pub(super) struct ServiceClock(Arc<AtomicI64>);

impl Default for ServiceClock {
    fn default() -> Self {
        ServiceClock(Arc::new(AtomicI64::new(UNKNOWN)))
    }
}

impl ServiceClock {
    /// By how much this host is ahead.
    pub(super) fn ahead_ms(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|ms| *ms != UNKNOWN)
    }

    /// What reads the date of every answer.
    pub(super) fn watch(&self) -> impl Intercept + use<> {
        Watch(self.clone())
    }
}

#[derive(Debug)]
struct Watch(ServiceClock);

#[dyn_dispatch_hint]
impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "baker_agent::ServiceClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(ahead) = ahead_ms(context.response(), SystemTime::now()) {
            self.0.0.store(ahead, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// By how much `now` is ahead of an answer's date. The date is the beginning of a second, so up to one second ahead is
/// none.
pub(super) fn ahead_ms(answer: &HttpResponse, now: SystemTime) -> Option<i64> {
    let headers = answer.headers();
    if headers.get("age").is_some() {
        // From a cache: an old date.
        return None;
    }
    let date = date(headers.get("date")?)?;
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
