//! Where the configuration of a running agent is from: read at the start, when it is asked for, and, where it is a parameter, followed.
//!
//! A file that does not hold ends the start: who wrote it stands beside it. A parameter is written from afar, so an agent waits for one that holds,
//! and goes on with the last that did.

use std::future;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Notify;

use super::begin;
use super::pace::Pace;
use crate::config::diagnostics::Problems;
use crate::config::{self, Copies, Remote, Settings, Source, Value};
use crate::log::{Level, Log, chain};
use crate::service;
use crate::tail::Survey;

/// The subject under which a configuration that does not hold is told.
pub(super) const SUBJECT: &str = "configuration";
/// The subject under which trouble with a parameter's copy is told.
const COPY: &str = "copy of the configuration";
/// So often a parameter is asked for before its copy is taken.
const TRIES: u32 = 3;

/// Where the configuration is from.
#[derive(Debug)]
pub enum Origin {
    /// A file that has been read.
    File {
        /// The main one.
        path: PathBuf,
        /// What it says.
        settings: Box<Settings>,
    },
    /// A parameter of Systems Manager.
    Parameter {
        /// Its name.
        name: String,
        /// Where the last value that held is kept.
        copies: Copies,
        /// How often it is looked at, on average.
        every: Duration,
    },
}

impl Origin {
    /// How long the files are before anything of this boot writes to them, by what is known of the configuration without asking anybody.
    pub(super) fn survey(&self) -> Option<Survey> {
        match self {
            Origin::File { settings, .. } => begin::survey(settings),
            Origin::Parameter { name, copies, .. } => {
                let copy = Remote::new(name.clone()).read(&copies.find(name)?);
                begin::survey(&copy.ok()?)
            }
        }
    }
}

/// The same while the agent runs.
pub(super) enum Followed {
    File(PathBuf),
    Parameter(Box<Watched>),
}

impl Followed {
    /// Waits for a parameter that reads otherwise than the last: its settings, or `None` if it does not hold, which has been told then. A file
    /// changes by itself for nobody: SIGHUP says when.
    pub(super) async fn changed(&mut self, log: &Log) -> Option<Settings> {
        match self {
            Followed::File(_) => future::pending().await,
            Followed::Parameter(watched) => watched.changed(log).await,
        }
    }

    /// Reads it now. What does not hold is told, and `None`.
    pub(super) async fn read(&mut self, log: &Log) -> Option<Settings> {
        match self {
            Followed::File(path) => told(log, "", config::load(path)),
            Followed::Parameter(watched) => watched.again(log).await,
        }
    }

    /// What was read last holds in this agent.
    pub(super) fn holds(&self, log: &Log) {
        if let Followed::Parameter(watched) = self {
            watched.keep(log);
        }
    }
}

/// A parameter that is looked at again and again.
pub(super) struct Watched {
    remote: Remote,
    copies: Copies,
    /// What was read last, whatever came of it.
    judged: Option<Value>,
    /// What was given to the agent last.
    given: Option<Value>,
    pace: Pace,
}

/// What a look at the parameter has shown.
enum Look {
    /// Another configuration.
    New(Box<Settings>),
    /// Something else that does not hold, which has been told.
    Wrong,
    /// What was there before.
    Same,
    /// Nothing: the service did not give it, which has been told.
    None,
}

impl Watched {
    pub(super) fn new(name: String, copies: Copies, every: Duration) -> Self {
        Self {
            remote: Remote::new(name),
            copies,
            judged: None,
            given: None,
            // Hosts that boot at the same time are to ask at different ones.
            pace: Pace::new(every, RandomState::new().hash_one(())),
        }
    }

    /// The first configuration that holds: the parameter's, or, should it not hold or not be given, the last one's that did. Without either it waits,
    /// and looks again at once when it is `asked` to.
    pub(super) async fn begin(&mut self, log: &Log, asked: &Notify) -> Settings {
        service::ready(&format!("asks for its configuration, {}", self.shown()));
        let mut failed = 0;
        loop {
            match self.look(log).await {
                Look::New(settings) => return *settings,
                Look::Wrong => failed = TRIES,
                Look::Same => {}
                Look::None => failed += 1,
            }
            if failed == TRIES
                && let Some(settings) = self.copy(log)
            {
                return settings;
            }
            tokio::select! {
                () = tokio::time::sleep(self.pace.before_it_begins()) => {}
                () = asked.notified() => {}
            }
        }
    }

    /// The configuration that is kept here, if it holds.
    fn copy(&mut self, log: &Log) -> Option<Settings> {
        let value = self.copies.find(self.remote.name())?;
        let settings = self.remote.read(&value).ok()?;
        log.say(
            Level::Warning,
            &format!(
                "begins with the copy of {}, version {}, until it can have another",
                self.shown(),
                value.version
            ),
        );
        self.given = Some(value.clone());
        // What was read and does not hold is not told again.
        self.judged.get_or_insert(value);
        Some(settings)
    }

    async fn changed(&mut self, log: &Log) -> Option<Settings> {
        loop {
            tokio::time::sleep(self.pace.between_looks()).await;
            match self.look(log).await {
                Look::New(settings) => return Some(*settings),
                Look::Wrong => return None,
                Look::Same | Look::None => {}
            }
        }
    }

    async fn again(&mut self, log: &Log) -> Option<Settings> {
        let judged = self.judged.take();
        match self.look(log).await {
            Look::New(settings) => Some(*settings),
            Look::Wrong | Look::Same => None,
            Look::None => {
                self.judged = judged;
                None
            }
        }
    }

    async fn look(&mut self, log: &Log) -> Look {
        let value = match self.remote.fetch().await {
            Ok(value) => value,
            Err(error) => {
                self.pace.failed(error.is_throttled());
                log.trouble(Level::Warning, &self.shown(), &chain(&error));
                return Look::None;
            }
        };
        self.pace.answered();
        log.cleared(&self.shown());
        if self
            .judged
            .as_ref()
            .is_some_and(|judged| judged.text == value.text)
        {
            return Look::Same;
        }
        let read = self.remote.read(&value);
        let version = format!("version {}: ", value.version);
        self.judged = Some(value);
        match told(log, &version, read) {
            Some(settings) => {
                self.given.clone_from(&self.judged);
                Look::New(Box::new(settings))
            }
            None => Look::Wrong,
        }
    }

    fn keep(&self, log: &Log) {
        let Some(value) = &self.given else {
            return;
        };
        match self.copies.keep(self.remote.name(), value) {
            Ok(()) => log.cleared(COPY),
            Err(error) => log.trouble(Level::Warning, COPY, &chain(&error)),
        }
    }

    fn shown(&self) -> String {
        Source::Parameter(self.remote.name().to_owned()).to_string()
    }
}

/// The settings, or what is wrong with them in the log.
fn told(log: &Log, which: &str, read: Result<Settings, Problems>) -> Option<Settings> {
    read.map_err(|problems| {
        log.trouble_in_lines(
            Level::Error,
            SUBJECT,
            &format!(
                "{which}it does not hold, so the one before stays:\n{}",
                problems.render(false)
            ),
        );
    })
    .ok()
}
