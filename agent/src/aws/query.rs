//! Reading the streams of a group of class INFREQUENT_ACCESS, which only Logs Insights does.
//!
//! A query of a time before its group was made is refused as malformed, though older events may have been put into it since: then the time is
//! extended to now.
//!
//! Source: StartQuery and GetQueryResults, API reference.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::types::{QueryStatus, ResultField};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::failure::{Failure, FailureKind};
use super::logs::Logs;
use crate::target::Target;

/// What a query of a time before its group was made is refused with.
const MALFORMED: &str = "MalformedQueryException";
/// The most events that one query gives.
const QUERY_EVENTS: i32 = 100_000;
/// They come in so many pages at most: a page has up to 10,000, and an answer whose token changes for ever has no end.
const PAGES: u32 = 500;
/// How often results are asked for: soon at first, then less and less often.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// A query over one stream and a short time ends in a second or two. After this many questions, about a minute, it is given up.
const QUESTIONS: u32 = 18;

impl Logs {
    /// Hands every event of the stream with `first_ms <= time <= last_ms` to `each`.
    pub(super) async fn query(
        &self,
        target: &Target,
        first_ms: i64,
        last_ms: i64,
        mut each: impl FnMut(i64, String) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // Whole seconds; what they hold too much is left out below.
        let end_s = last_ms.div_euclid(1000).saturating_add(1);
        let now_s = Timestamp::now().as_second();
        let id = match self.start(target, first_ms, end_s).await {
            Err(failure) if failure.code.as_deref() == Some(MALFORMED) && end_s < now_s => {
                self.start(target, first_ms, now_s).await?
            }
            started => started?,
        };
        let mut wait = FIRST_WAIT;
        let mut token: Option<String> = None;
        let (mut seen, mut questions, mut pages) = (0, 0, 0);
        loop {
            let page = self
                .call("GetQueryResults", target, |watch| {
                    self.client()
                        .get_query_results()
                        .query_id(&id)
                        .set_next_token(token.clone())
                        .customize()
                        .interceptor(watch)
                        .send()
                })
                .await?;
            match page.status {
                Some(QueryStatus::Complete) => {}
                Some(QueryStatus::Running | QueryStatus::Scheduled) if questions < QUESTIONS => {
                    questions += 1;
                    tokio::time::sleep(wait).await;
                    wait = LONGEST_WAIT.min(wait * 2);
                    continue;
                }
                status => {
                    let status = status.map_or_else(String::new, |it| it.as_str().to_owned());
                    return Err(failed(target, &format!("the query ended as \"{status}\"")));
                }
            }
            for row in page.results.unwrap_or_default() {
                seen += 1;
                let (time_ms, message) =
                    event(row).ok_or_else(|| failed(target, "a result is not understood"))?;
                if time_ms > last_ms {
                    // They are sorted.
                    return Ok(());
                }
                if time_ms >= first_ms {
                    each(time_ms, message)?;
                }
            }
            if seen >= QUERY_EVENTS {
                return Err(failed(
                    target,
                    &format!("more than {QUERY_EVENTS} events between {first_ms} and {last_ms} ms"),
                ));
            }
            pages += 1;
            match page.next_token {
                None => return Ok(()),
                Some(_) if pages == PAGES => {
                    return Err(failed(
                        target,
                        &format!("more than {PAGES} pages of results"),
                    ));
                }
                next => token = next,
            }
        }
    }
}

impl Logs {
    /// Starts the query; returns its id.
    async fn start(&self, target: &Target, first_ms: i64, end_s: i64) -> Result<String, Failure> {
        let started = self
            .call("StartQuery", target, |watch| {
                self.client()
                    .start_query()
                    .log_group_name(&target.group)
                    .start_time(first_ms.div_euclid(1000))
                    .end_time(end_s)
                    .query_string(query(&target.stream))
                    .limit(QUERY_EVENTS)
                    .customize()
                    .interceptor(watch)
                    .send()
            })
            .await?;
        Ok(started.query_id.unwrap_or_default())
    }
}

/// Everything in one stream.
fn query(stream: &str) -> String {
    let quoted = stream.replace('\\', "\\\\").replace('"', "\\\"");
    format!("fields @timestamp, @message | filter @logStream = \"{quoted}\" | sort @timestamp asc")
}

/// Time and message of one row.
fn event(row: Vec<ResultField>) -> Option<(i64, String)> {
    let (mut time_ms, mut message) = (None, None);
    for field in row {
        match field.field.as_deref() {
            Some("@timestamp") => time_ms = unix_ms(&field.value?),
            Some("@message") => message = field.value,
            _ => {}
        }
    }
    Some((time_ms?, message?))
}

/// `2026-11-23 07:00:37.123`, in UTC.
fn unix_ms(text: &str) -> Option<i64> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", text).ok()?;
    Some(
        time.to_zoned(TimeZone::UTC)
            .ok()?
            .timestamp()
            .as_millisecond(),
    )
}

fn failed(target: &Target, why: &str) -> Failure {
    Failure {
        // The query is the service's to carry out; another one may succeed.
        kind: FailureKind::Service,
        code: None,
        message: format!(
            "reading {}, stream {} back by a query: {why}",
            target.group, target.stream
        ),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_s_name_can_not_break_out_of_the_query() {
        assert_eq!(
            query(r#"a" or @logStream != "\"#),
            r#"fields @timestamp, @message | filter @logStream = "a\" or @logStream != \"\\" | sort @timestamp asc"#
        );
    }

    #[test]
    fn times_are_read_as_the_service_writes_them() {
        assert_eq!(unix_ms("1970-01-01 00:00:01.234"), Some(1_234));
        assert_eq!(unix_ms("2023-11-14 22:13:20.000"), Some(1_700_000_000_000));
        assert_eq!(unix_ms("yesterday"), None);
    }
}
