//! A folder, an endpoint and the agent: what a storm takes place on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::agent::{BakerAgent, Followed, Program as _, Running, Setup};
use super::check::{Checker, Verdict};
use super::endpoint::{Endpoint, Options};
use super::lines::Shape;
use super::wait;
use super::writer::{Plan, Written};

/// Writers from here on write the first line of a log.
const GREETERS: u16 = 60_000;
/// Log group of everything.
pub(crate) const GROUP: &str = "storm";
/// How long nothing more may arrive before what is missing counts as lost. Longer than any back-off and any settling.
const SILENCE: Duration = Duration::from_secs(45);
/// How long SIGTERM may take.
const DRAIN: Duration = Duration::from_secs(30);

/// The endpoint shows at once what it has taken, so nothing has to wait for that.
const SETTLE: Duration = Duration::from_millis(200);

/// Everything that a test needs; removed with it.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) endpoint: Endpoint,
    pub(crate) setup: Setup,
    pub(crate) agent: BakerAgent,
    pub(crate) running: Option<Running>,
    greetings: Vec<Written>,
    folder: TempDir,
    name: &'static str,
}

impl Ground {
    /// An endpoint, and a configuration for `logs`: a file name and a stream each. The agent is not started yet.
    pub(crate) fn new(name: &'static str, logs: &[&str]) -> Self {
        // Not below the target folder, which other users may not be able to reach.
        let folder = tempfile::Builder::new().prefix(name).tempdir().unwrap();
        let endpoint = Endpoint::process(Options::default());
        let files = logs
            .iter()
            .map(|log| Followed::access(folder.path().join(log), GROUP, log))
            .collect();
        let mut setup = Setup::new(endpoint.url(), folder.path(), files);
        setup.settle = Some(SETTLE);
        Self {
            endpoint,
            setup,
            agent: BakerAgent::built(),
            running: None,
            greetings: Vec::new(),
            folder,
            name,
        }
    }

    /// The same with the agent running, and following the logs: a first line of each has arrived.
    pub(crate) fn started(name: &'static str, logs: &[&str]) -> Self {
        let mut ground = Self::new(name, logs);
        ground.start();
        ground.greet();
        ground
    }

    /// Writes a line into each log and waits until they have arrived.
    pub(crate) fn greet(&mut self) {
        for (writer, file) in (GREETERS..).zip(&self.setup.files) {
            let shape = match file.multiline {
                Some(_) => Shape::Traceback,
                None => Shape::Access,
            };
            let greeting = Plan::new(&file.path, writer, 0).shape(shape).lines(1);
            self.greetings.push(greeting.start().finish());
        }
        self.until_arrived(0);
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A log by its name.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(&mut self) {
        self.running = Some(Running::start(&self.agent, &self.setup));
    }

    /// SIGKILL, if it runs.
    pub(crate) fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }

    /// Writes the configuration anew and sends SIGHUP, if it runs.
    pub(crate) fn reload(&self) {
        // It is written as a whole, so that no half of it is read.
        let _ = self.agent.command(&self.setup);
        if let Some(running) = &self.running {
            running.reload();
        }
    }

    /// SIGTERM; it has to end in order, within its limit.
    pub(crate) fn terminate(&mut self) {
        if let Some(running) = self.running.take() {
            let ended = running.terminate(DRAIN);
            assert!(ended.status.success(), "SIGTERM: {:?}", ended.status);
        }
    }

    /// Waits until so many events are at rest, greetings not counted.
    pub(crate) fn until_arrived(&self, events: u64) {
        let events = events + self.greetings.len() as u64;
        self.until(&format!("{events} events"), || {
            self.endpoint.stats().events >= events
        });
    }

    /// Waits for a condition.
    ///
    /// # Panics
    /// When it does not come, with what the agent said.
    pub(crate) fn until(&self, what: &str, mut look: impl FnMut() -> bool) {
        let found = wait::until(2 * SILENCE, Duration::from_millis(5), || {
            look().then_some(())
        });
        assert!(
            found.is_some(),
            "{}: waited in vain for {what}; {}",
            self.name,
            self.said()
        );
    }

    pub(crate) fn said(&self) -> String {
        self.running
            .as_ref()
            .map_or_else(|| "the agent does not run".to_owned(), Running::said)
    }

    /// The bytes of the greetings, which stand in the account too.
    pub(crate) fn greeting_bytes(&self) -> u64 {
        self.greetings.iter().map(|written| written.bytes).sum()
    }

    /// Waits until all lines are at rest or nothing more comes, then counts.
    pub(crate) fn verdict(&self, written: &[Written]) -> Verdict {
        let mut last = (Instant::now(), 0);
        let mut looked = 0;
        wait::until(Duration::from_secs(600), Duration::from_millis(20), || {
            let events = self.endpoint.stats().events;
            if events != last.1 {
                last = (Instant::now(), events);
            }
            let all = written.iter().chain(&self.greetings);
            let lines = all.map(|written| written.lines).sum();
            // What comes twice comes late: when all might be there, they are counted.
            if events >= lines && events != looked {
                looked = events;
                if self.count(written).lost == 0 {
                    return Some(());
                }
            }
            (last.0.elapsed() > SILENCE).then_some(())
        });
        self.count(written)
    }

    /// Waits until the last line is there, and then does not wait for what is missing before it.
    pub(crate) fn verdict_at_the_last_line(&self, written: Written) -> Verdict {
        let mut verdict = Verdict::default();
        self.until("the last line", || {
            verdict = self.count(&[written]);
            verdict.gaps.iter().all(|(_, _, end)| *end < written.lines)
        });
        verdict
    }

    fn count(&self, written: &[Written]) -> Verdict {
        let mut checker = Checker::default();
        for stream in self.endpoint.streams(GROUP) {
            self.endpoint
                .each_event(GROUP, &stream, |event| checker.take(event));
        }
        let all = [written, &self.greetings].concat();
        checker.verdict(&all)
    }

    /// Every line once, as it was written, with its own stamp; then ends the agent in order and looks again.
    #[track_caller]
    pub(crate) fn assert_exact(&mut self, written: &[Written]) -> Verdict {
        let verdict = self.verdict(written);
        if !verdict.is_exact() && std::env::var_os("STORM_KEEP").is_some() {
            self.folder.disable_cleanup(true);
            println!("kept: {}", self.folder.path().display());
        }
        assert!(
            verdict.is_exact(),
            "{}: {verdict}; {}",
            self.name,
            self.said()
        );
        self.terminate();
        let verdict = self.count(written);
        assert!(
            verdict.is_exact(),
            "{}, after the end: {verdict}",
            self.name
        );
        assert_eq!(verdict.misstamped, 0, "{}: {verdict}", self.name);
        verdict
    }

    /// The account of every byte, as `baker-agent status` tells it. It has to balance.
    pub(crate) fn account(&self) -> Account {
        let status = self.agent.status(&self.setup);
        let status = status.unwrap_or_else(|error| panic!("{}: no status: {error}", self.name));
        assert_eq!(status["conserved"], true, "{}: {status:#}", self.name);
        if std::env::var_os("STORM_STATUS").is_some() {
            println!("{status:#}");
        }
        let totals = &status["totals"];
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let sum = |value: &Value| {
            let reasons = value.as_object().into_iter().flatten();
            reasons.map(|(_, bytes)| number(bytes)).sum()
        };
        Account {
            seen: number(&totals["seen_bytes"]),
            shipped: number(&totals["shipped_bytes"]),
            pending: number(&totals["pending_bytes"]),
            lost_copytruncate: number(&totals["lost_bytes"]["copytruncate"]),
            lost: sum(&totals["lost_bytes"]),
            filtered: sum(&totals["filtered_bytes"]),
        }
    }
}

/// What became of bytes, as the agent tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) seen: u64,
    pub(crate) shipped: u64,
    pub(crate) pending: u64,
    pub(crate) lost_copytruncate: u64,
    /// For whatever reason.
    pub(crate) lost: u64,
    /// For whatever reason.
    pub(crate) filtered: u64,
}
