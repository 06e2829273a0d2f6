//! What the engine tells of itself: complaints as they begin and end, and the whole report on request.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::account::GenerationId;
use crate::aws::FailureKind;
use crate::batch::Batch;
use crate::clock::Now;
use crate::ledger::{Contradiction, Record};
use crate::ship::Subject;
use crate::stamp::Origin;
use crate::status::{self, FileStatus, Running, Status};
use crate::target::Target;

use super::Engine;

/// Something to tell the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Something is wrong with the subject, and what can be done.
    Trouble {
        /// A path, a stream, the service.
        subject: String,
        /// What, and the remedy.
        message: String,
    },
    /// It is over.
    Cleared {
        /// What it was about.
        subject: String,
    },
}

/// Troubles that last, each told when it begins, when it changes, and when it is over.
#[derive(Default)]
pub(super) struct Troubles {
    standing: BTreeMap<String, String>,
    news: Vec<Notice>,
}

impl Troubles {
    pub(super) fn report(&mut self, subject: String, message: String) {
        if self.standing.get(&subject) != Some(&message) {
            self.standing.insert(subject.clone(), message.clone());
            self.news.push(Notice::Trouble { subject, message });
        }
    }

    pub(super) fn clear(&mut self, subject: &str) {
        if let Some((subject, _)) = self.standing.remove_entry(subject) {
            self.news.push(Notice::Cleared { subject });
        }
    }
}

/// So much a clock may be off before people are told: well below what the service refuses.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// What is counted since the start.
#[derive(Default)]
pub(super) struct Counts {
    begun: Duration,
    events_shipped: u64,
    stamps_of_previous: u64,
    stamps_of_reading: u64,
    replaced: u64,
}

impl Counts {
    pub(super) fn new(now: Now) -> Self {
        Self {
            begun: now.monotonic,
            ..Self::default()
        }
    }

    #[inline]
    pub(super) fn framed(&mut self, replaced: u32, origin: Origin) {
        self.replaced += u64::from(replaced);
        match origin {
            Origin::Own => {}
            Origin::Previous => self.stamps_of_previous += 1,
            Origin::Read => self.stamps_of_reading += 1,
        }
    }

    pub(super) fn shipped(&mut self, batch: &Batch) {
        self.events_shipped += batch.events.len() as u64;
    }
}

impl Engine {
    /// What is new to tell: troubles that began, changed or ended since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        if let Some(defect) = self.books.defects.pop() {
            self.troubles.report(
                "account".into(),
                format!("it does not add up, please report this: {defect}"),
            );
        }
        for complaint in self.shipping.complaints() {
            let subject = subject(&complaint.about);
            match complaint.cleared {
                false => self.troubles.report(subject, complaint.message),
                true => self.troubles.clear(&subject),
            }
        }
        std::mem::take(&mut self.troubles.news)
    }

    /// By how many milliseconds this host's clock is ahead of the service's.
    pub fn clock_ahead(&mut self, ahead_ms: i64) {
        const SUBJECT: &str = "this host's clock";
        let off = Duration::from_millis(ahead_ms.unsigned_abs());
        if off < CLOCK_TOLERANCE {
            self.troubles.clear(SUBJECT);
        } else if !self.troubles.standing.contains_key(SUBJECT) {
            let direction = if ahead_ms > 0 { "ahead of" } else { "behind" };
            self.troubles.report(
                SUBJECT.into(),
                format!(
                    "it is {} {direction} CloudWatch's: lines without a time of their own are stamped wrong, signatures are \
                     refused from five minutes on, and events from two hours ahead on; let chrony or systemd-timesyncd set it",
                    humantime::format_duration(Duration::from_secs(off.as_secs()))
                ),
            );
        }
    }

    /// The ledger can't be written, or can be again.
    pub fn ledger_trouble(&mut self, trouble: Option<String>) {
        let subject = self.state_dir.display().to_string();
        match trouble {
            Some(why) => self.troubles.report(
                subject,
                format!("the ledger can't be written, so nothing new is sent until it can: {why}; make room on that disk"),
            ),
            None => self.troubles.clear(&subject),
        }
    }

    /// How things stand.
    #[must_use]
    pub fn report(&self, now: Now) -> Status {
        let ms = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let age_ms = |since: Duration| ms(now.monotonic.saturating_sub(since));
        let oldest = self.oldest();
        let sent = self.shipping.counters();
        let running = Running {
            pid: std::process::id(),
            uptime_ms: ms(now.monotonic.saturating_sub(self.counts.begun)),
            oldest_unshipped_ms: oldest.values().min().map(|since| age_ms(*since)),
            requests: sent.requests,
            retries: sent.failures.values().sum(),
            throttled: sent
                .failures
                .get(&FailureKind::Throttled)
                .copied()
                .unwrap_or(0),
            in_flight: self.shipping.in_flight(),
            events_shipped: self.counts.events_shipped,
            stamps_of_previous: self.counts.stamps_of_previous,
            stamps_of_reading: self.counts.stamps_of_reading,
            stamps_ahead: self.batcher.restamped(),
            replaced: self.counts.replaced,
            open_files: self.files.open_files(),
            left_out_files: self.files.left_out(),
            cost: None,
        };
        let mut files = status::ledger::files(&self.books.state);
        let gone = status::ledger::gone(&self.books.state);
        for file in &mut files {
            let since = oldest.get(&GenerationId(file.generation));
            file.oldest_unshipped_ms = since.map(|since| age_ms(*since));
            file.last_error = self.trouble_of(file);
        }
        let complaints = self
            .troubles
            .standing
            .iter()
            .map(|(subject, message)| format!("{subject}: {message}"))
            .collect();
        Status::new(
            self.host.instance_id.clone(),
            now.unix_ms,
            Some(running),
            files,
            gone,
            complaints,
        )
    }

    /// Since when each generation has bytes under way, on the monotonic clock.
    fn oldest(&self) -> BTreeMap<GenerationId, Duration> {
        let mut oldest = BTreeMap::new();
        for (since, parts) in self.batcher.held().chain(self.shipping.held()) {
            for part in parts {
                let mine = oldest.entry(part.span.generation).or_insert(since);
                *mine = since.min(*mine);
            }
        }
        oldest
    }

    /// What is wrong with a file, or with where it goes.
    fn trouble_of(&self, file: &FileStatus) -> Option<String> {
        let standing = &self.troubles.standing;
        let stream = stream_name(&file.stream, &file.group);
        standing
            .get(&file.path)
            .or_else(|| {
                standing
                    .iter()
                    .find(|(subject, _)| subject.ends_with(&stream))
                    .map(|(_, message)| message)
            })
            .cloned()
    }

    /// Verifies the account.
    ///
    /// # Errors
    /// When it does not add up.
    pub fn check(&self) -> Result<(), Contradiction> {
        self.books.state.check()
    }

    /// The whole account as records, for a ledger that is to be made smaller.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        self.books.state.snapshot()
    }
}

/// What a complaint is about, for people.
fn subject(subject: &Subject) -> String {
    let name = |target: &Target| stream_name(&target.stream, &target.group);
    match subject {
        Subject::Service => "CloudWatch Logs".into(),
        Subject::Target(target) => name(target),
        Subject::ReadBack(target) => format!("reading back {}", name(target)),
        Subject::Events(target) => format!("events for {}", name(target)),
    }
}

fn stream_name(stream: &str, group: &str) -> String {
    format!("log stream {stream} of group {group}")
}
