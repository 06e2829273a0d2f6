//! Reading a stream again, to see what of an unanswered request has landed.

use super::failure::{Failure, FailureKind};
use super::logs::Logs;
use crate::target::{GroupClass, Target};

/// Events on one page. Source: GetLogEvents, API reference (also at most 1 MB).
const PAGE_EVENTS: i32 = 10_000;
/// So many pages are read at most: full ones would be sixteen times what is kept. An answer whose token changes for ever has no end.
const PAGES: u32 = 1_000;
/// More than this is not held in memory.
const KEPT_BYTES: usize = 64 * 1024 * 1024;
/// What GetLogEvents answers for a group of another class than STANDARD, of which it reads no streams.
const OTHER_CLASS: &str = "InvalidOperationException";

impl Logs {
    /// All events of the stream with `first_ms <= time <= last_ms`, as (time, message).
    ///
    /// # Errors
    /// Every failure, and more than 64 MiB of events.
    pub async fn read_back(
        &self,
        target: &Target,
        first_ms: i64,
        last_ms: i64,
    ) -> Result<Vec<(i64, String)>, Failure> {
        self.read_back_where(target, first_ms, last_ms, |_, _| true)
            .await
    }

    /// The same, but only what `keep` wants of them: one page is in memory, and what was kept.
    ///
    /// # Errors
    /// Every failure, and more than 64 MiB of kept events.
    pub async fn read_back_where(
        &self,
        target: &Target,
        first_ms: i64,
        last_ms: i64,
        keep: impl FnMut(i64, &str) -> bool,
    ) -> Result<Vec<(i64, String)>, Failure> {
        let mut kept = Kept {
            keep,
            events: Vec::new(),
            bytes: 0,
            window: (target, first_ms, last_ms),
        };
        // Of groups of class ESSENTIALS it is not said whether streams are read; that costs nothing to ask, and a query does.
        if target.class != GroupClass::InfrequentAccess {
            match self.pages(target, first_ms, last_ms, &mut kept).await {
                // The group was made by somebody else, with the other class.
                Err(failure) if failure.code.as_deref() == Some(OTHER_CLASS) => {}
                result => return result.map(|()| kept.events),
            }
        }
        self.query(target, first_ms, last_ms, |time_ms, message| {
            kept.offer(time_ms, message)
        })
        .await
        .map(|()| kept.events)
    }

    async fn pages<K>(
        &self,
        target: &Target,
        first_ms: i64,
        last_ms: i64,
        kept: &mut Kept<'_, K>,
    ) -> Result<(), Failure>
    where
        K: FnMut(i64, &str) -> bool,
    {
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let page = self
                .call("GetLogEvents", target, |watch| {
                    self.client()
                        .get_log_events()
                        .log_group_name(&target.group)
                        .log_stream_name(&target.stream)
                        .start_time(first_ms)
                        // "Events with a timestamp equal to or later than this time are not included."
                        .end_time(last_ms.saturating_add(1))
                        .start_from_head(true)
                        .limit(PAGE_EVENTS)
                        .set_next_token(token.clone())
                        .customize()
                        .interceptor(watch)
                        .send()
                })
                .await?;
            for event in page.events.unwrap_or_default() {
                if let (Some(time_ms), Some(message)) = (event.timestamp, event.message) {
                    kept.offer(time_ms, message)?;
                }
            }
            // "Partially full or empty pages don't necessarily mean that pagination is finished": the end is where the token
            // no longer changes.
            if page.next_forward_token.is_none() || page.next_forward_token == token {
                return Ok(());
            }
            token = page.next_forward_token;
        }
        Err(kept.too_much(&format!("{PAGES} pages")))
    }
}

/// What is wanted of what is read.
struct Kept<'a, K> {
    keep: K,
    events: Vec<(i64, String)>,
    bytes: usize,
    window: (&'a Target, i64, i64),
}

impl<K: FnMut(i64, &str) -> bool> Kept<'_, K> {
    fn offer(&mut self, time_ms: i64, message: String) -> Result<(), Failure> {
        if (self.keep)(time_ms, &message) {
            self.bytes += message.len();
            self.events.push((time_ms, message));
        }
        if self.bytes <= KEPT_BYTES {
            return Ok(());
        }
        Err(self.too_much(&format!("{KEPT_BYTES} bytes")))
    }

    fn too_much(&self, what: &str) -> Failure {
        let (target, first_ms, last_ms) = self.window;
        Failure {
            kind: FailureKind::Other,
            code: None,
            message: format!(
                "reading {}, stream {} back: more than {what} between {first_ms} and {last_ms} ms",
                target.group, target.stream
            ),
            retry_after: None,
        }
    }
}
