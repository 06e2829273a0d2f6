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
    /// Bytes that will never be sent, and that should have been.
    Lost {
        /// The file.
        subject: String,
        /// How many, and why.
        message: String,
    },
}

/// What complaints about the account itself are about.
const ACCOUNT: &str = "account";

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

    pub(super) fn stands(&self, subject: &str) -> bool {
        self.standing.contains_key(subject)
    }

    pub(super) fn clear(&mut self, subject: &str) {
        if let Some((subject, _)) = self.standing.remove_entry(subject) {
            self.news.push(Notice::Cleared { subject });
        }
    }
}

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
    /// What is new to tell: troubles that began, changed or ended since the last call, and losses.
    pub fn notices(&mut self) -> Vec<Notice> {
        self.news(false)
    }

    /// The same at the end: nothing is left for later.
    pub fn last_notices(&mut self) -> Vec<Notice> {
        self.news(true)
    }

    fn news(&mut self, all: bool) -> Vec<Notice> {
        if let Some(refusals) = self.books.state.refusals() {
            // Said once: how many there were by now, `status` tells.
            if !self.troubles.stands(ACCOUNT) {
                self.troubles.report(ACCOUNT.into(), refusals.to_string());
            }
        }
        for loss in self.books.losses.take(self.now.monotonic, all) {
            let (subject, message) = (loss.subject, loss.message);
            self.troubles.news.push(Notice::Lost { subject, message });
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
        let streams = self.troubles_of_streams();
        for file in &mut files {
            let since = oldest.get(&GenerationId(file.generation));
            file.oldest_unshipped_ms = since.map(|since| age_ms(*since));
            file.last_error = self.trouble_of(file, &streams);
        }
        let complaints = self
            .troubles
            .standing
            .iter()
            .filter(|(subject, _)| *subject != ACCOUNT)
            .map(|(subject, message)| format!("{subject}: {message}"))
            .collect();
        let mut status = Status::new(
            self.host.instance_id.clone(),
            now.unix_ms,
            Some(running),
            files,
            gone,
            complaints,
        );
        status.judge(&self.books.state);
        status
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
    fn trouble_of(&self, file: &FileStatus, streams: &BTreeMap<&str, &str>) -> Option<String> {
        let stream = || {
            let name = stream_name(&file.stream, &file.group);
            streams.get(&*name).map(|message| (*message).to_owned())
        };
        let own = self.troubles.standing.get(&file.path).cloned();
        own.or_else(|| (!streams.is_empty()).then(stream).flatten())
    }

    /// What is wrong with each stream, by its name: there may be as many complaints as files.
    fn troubles_of_streams(&self) -> BTreeMap<&str, &str> {
        let mut streams = BTreeMap::new();
        for (subject, message) in &self.troubles.standing {
            if let Some(at) = subject.find(STREAM) {
                streams.entry(&subject[at..]).or_insert(message.as_str());
            }
        }
        streams
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

/// What a stream's name begins with, for people.
const STREAM: &str = "log stream ";

fn stream_name(stream: &str, group: &str) -> String {
    format!("{STREAM}{stream} of group {group}")
}
