//! One call: a time limit around it, and what its failure was.

use std::error::Error;
use std::future::Future;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::body::Handed;
use super::bounds::TooLong;
use super::classify::{Seen, classify};
use super::clock;
use super::explain::{Account, Place, causes, explain};
use super::failure::Failure;

/// What the SDK returns.
pub(super) type Outcome<T, E> = Result<T, SdkError<E, HttpResponse>>;

/// Waits for `call`, at most for `limit`.
pub(super) async fn within<T, E>(
    limit: Duration,
    place: Place<'_>,
    handed: &Handed,
    call: impl Future<Output = Outcome<T, E>>,
) -> Result<T, Failure>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(failure(place, handed, &error)),
        Err(_) => {
            let (seen, what) = match handed.over() {
                true => (Seen::NoAnswer, "no answer"),
                // Nothing else takes time before a request is handed over.
                false => (Seen::NoCredentials, "no credentials"),
            };
            let words = format!("{what} within {limit:?}");
            Err(told(place, seen, None, &words, None, None))
        }
    }
}

fn failure<E>(place: Place<'_>, handed: &Handed, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let answer = error.raw_response();
    let code = error.code();
    let seen = match answer {
        Some(answer) => Seen::Answer {
            status: answer.status().as_u16(),
            code,
        },
        None if !handed.over() => match no_credentials(error) {
            true => Seen::NoCredentials,
            false => Seen::NotSent,
        },
        None if never_connected(error) => Seen::NotSent,
        None => Seen::NoAnswer,
    };
    let words = match (error.message(), answer) {
        (Some(message), _) => message.to_owned(),
        (None, Some(answer)) if answer.status().is_success() => {
            format!("an answer that can't be read: {}", causes(error))
        }
        (None, Some(answer)) => match find::<TooLong>(error) {
            Some(too_long) => format!("status {}: {too_long}", answer.status()),
            None => format!("status {}", answer.status()),
        },
        (None, None) => causes(error),
    };
    let now = SystemTime::now();
    told(
        place,
        seen,
        code,
        &words,
        answer.and_then(|answer| retry_after(answer, now)),
        answer.and_then(|answer| clock::ahead_ms(answer, now)),
    )
}

fn told(
    place: Place<'_>,
    seen: Seen<'_>,
    code: Option<&str>,
    words: &str,
    retry_after: Option<Duration>,
    clock_ahead_ms: Option<i64>,
) -> Failure {
    let kind = classify(seen);
    Failure {
        kind,
        code: code.map(str::to_owned),
        message: explain(
            place,
            Account {
                kind,
                code,
                words,
                clock_ahead_ms,
            },
        ),
        retry_after,
    }
}

/// Whether there were no credentials to sign with. That they did not come in time has no type of its own in the SDK; should its
/// words change, the failure still counts as not sent.
fn no_credentials(error: &(dyn Error + 'static)) -> bool {
    find::<CredentialsError>(error).is_some()
        || causes(error).contains("identity resolver timed out")
}

/// Whether the HTTP client says that it got no connection: then nothing was sent on it.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    find::<hyper_util::client::legacy::Error>(error)
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
}

/// The first error of that type among the causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3).
fn retry_after(answer: &HttpResponse, now: SystemTime) -> Option<Duration> {
    let value = answer.headers().get("retry-after")?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    clock::date(value)?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use aws_smithy_types::body::SdkBody;

    fn answer(value: &str) -> HttpResponse {
        let mut answer = HttpResponse::new(429.try_into().unwrap(), SdkBody::empty());
        answer.headers_mut().insert("retry-after", value.to_owned());
        answer
    }

    #[test]
    fn the_time_the_service_asks_for_is_read_in_both_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let after = |value| retry_after(&answer(value), now);
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            after("Sun, 06 Nov 1994 08:49:47 GMT"),
            Some(Duration::from_secs(10))
        );
        assert_eq!(after("Sun, 06 Nov 1994 08:49:07 GMT"), None);
        assert_eq!(after("soon"), None);
    }
}
