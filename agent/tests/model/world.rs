//! The simulated world: an engine, its ledger on a disk that forgets, a service, and a clock that only actions move.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use baker_agent::clock::Now;
use baker_agent::config::{self, Settings};
use baker_agent::host::{Host, IdFrom, Tags};
use baker_agent::ledger::memory::Memory;
use baker_agent::ledger::{How, Store};
use baker_agent::pipeline::{Engine, Notice};
use baker_agent::ship::{Answer, Call, CallId, What};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::service::Service;
use crate::writer::{self, Writer};

/// So many steps without the clock moving are a loop that never rests.
const STEPS_MAX: usize = 10_000;
/// How long after the last action everything has to have arrived: longer than any back-off and hold.
const PATIENCE_MS: u64 = 300_000;

struct Life {
    engine: Engine,
    store: Store,
    rung: Arc<AtomicBool>,
    answers: Vec<(Duration, CallId, Answer)>,
}

pub(crate) struct World {
    root: tempfile::TempDir,
    settings: Settings,
    host: Arc<Host>,
    disk: Memory,
    life: Option<Life>,
    rng: StdRng,
    pub(crate) service: Service,
    pub(crate) writer: Writer,
    pub(crate) now: Now,
    /// By how much the host's clock is off.
    pub(crate) jump_ms: i64,
}

impl World {
    pub(crate) fn new(files: usize, seed: u64) -> Self {
        // A line that is written in halves is one line, however long the second half takes.
        Self::holding(files, seed, Duration::from_secs(1 << 30))
    }

    /// A world whose agent waits so long for the end of a line.
    pub(crate) fn holding(files: usize, seed: u64, hold: Duration) -> Self {
        // In memory where that is possible: the files are real, their disk need not be.
        let shared_memory = PathBuf::from("/dev/shm");
        let root = match shared_memory.is_dir() {
            true => tempfile::tempdir_in(shared_memory),
            false => tempfile::tempdir(),
        }
        .unwrap();
        let path = root.path();
        // The last two share a stream.
        let text = format!(
            r#"
            [agent]
            state_dir = "{root}/state"
            region = "eu-west-1"
            [[file]]
            path = "{root}/0.log"
            group = "model"
            stream = "own"
            format = "rfc3339"
            [[file]]
            paths = ["{root}/1.log", "{root}/2.log"]
            group = "model"
            stream = "shared"
            format = "rfc3339"
            "#,
            root = path.display()
        );
        let config = path.join("agent.toml");
        std::fs::write(&config, text).unwrap();
        let mut settings =
            config::load(&config).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        for file in &mut settings.files {
            file.rules.hold = hold;
        }
        // Time is made up here, and rings come in real time: so each poll looks at everything.
        settings.limits.sweep = Duration::from_secs(1);
        let host = Host {
            instance_id: "i-model".into(),
            id_from: IdFrom::Configuration,
            hostname: "model".into(),
            ip: None,
            region: None,
            zone: None,
            image_id: None,
            instance_type: None,
            tags: Tags::Known(std::collections::BTreeMap::new()),
        };
        let mut world = Self {
            writer: Writer::new(path, files),
            settings,
            host: Arc::new(host),
            disk: Memory::new(),
            life: None,
            rng: StdRng::seed_from_u64(seed),
            service: Service::default(),
            now: Now {
                monotonic: Duration::ZERO,
                unix_ms: writer::base_ms(),
            },
            jump_ms: 0,
            root,
        };
        world.start();
        // The agent's first look ever: what was rotated away before it is none of its business.
        world.pass(1).unwrap();
        world
    }

    fn state_dir(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// Starts the agent, if it is down.
    pub(crate) fn start(&mut self) {
        if self.life.is_some() {
            return;
        }
        let opened = Store::open_on(
            Box::new(self.disk.clone()),
            &self.state_dir(),
            &self.host.instance_id,
        )
        .unwrap();
        assert!(
            matches!(opened.how, How::Fresh | How::Resumed),
            "a crash damaged the ledger: {:?}",
            opened.how
        );
        let rung = Arc::new(AtomicBool::new(false));
        let bell = Arc::clone(&rung);
        let engine = Engine::open(
            &self.settings,
            Arc::clone(&self.host),
            opened.state,
            self.now,
            Arc::new(move || bell.store(true, Ordering::Relaxed)),
        )
        .unwrap();
        self.life = Some(Life {
            engine,
            store: opened.store,
            rung,
            answers: Vec::new(),
        });
    }

    /// Ends the agent at this instant. Answers that are under way reach nobody.
    pub(crate) fn kill(&mut self, power: bool) {
        if self.life.take().is_some() && power {
            let rng = &mut self.rng;
            self.disk.crash(|| rng.random_bool(0.5));
        }
    }

    /// Lets time pass, and the agent do what it does meanwhile.
    pub(crate) fn pass(&mut self, ms: u64) -> Result<(), TestCaseError> {
        let end = self.now.monotonic + Duration::from_millis(ms);
        let mut rests = 0;
        loop {
            let before = self.now.monotonic;
            let next = self.turn()?;
            let next = next.clamp(before, end);
            rests = if next == before { rests + 1 } else { 0 };
            prop_assert!(rests < STEPS_MAX, "the agent never rests at {before:?}");
            self.set_clock(next);
            if next == end && before == end {
                if self.life.is_some() && ms > 1_000 {
                    self.writer.looked();
                }
                return Ok(());
            }
        }
    }

    fn set_clock(&mut self, monotonic: Duration) {
        let unix_ms =
            writer::base_ms() + i64::try_from(monotonic.as_millis()).unwrap() + self.jump_ms;
        self.now = Now { monotonic, unix_ms };
        self.writer.unix_ms = unix_ms;
    }

    /// One step of the agent, and the answers that are due. Returns when something is to happen next.
    fn turn(&mut self) -> Result<Duration, TestCaseError> {
        let now = self.now;
        let Some(life) = &mut self.life else {
            return Ok(Duration::MAX);
        };
        life.rung.store(false, Ordering::Relaxed);
        let due: Vec<_> = life
            .answers
            .extract_if(.., |(due, ..)| *due <= now.monotonic)
            .collect();
        for (_, id, answer) in due {
            life.engine.answer(id, answer, now);
        }
        let step = life.engine.step(now);
        for notice in life.engine.notices() {
            let defect = matches!(&notice, Notice::Trouble { subject, .. } if subject == "account");
            prop_assert!(!defect, "{notice:?}");
        }
        let account = life.engine.check();
        prop_assert!(account.is_ok(), "the account does not add up: {account:?}");
        life.store.append(&step.records);
        match step.is_binding() {
            true => life.store.commit().unwrap(),
            false => life.store.flush().unwrap(),
        }
        if life.store.is_large() {
            life.store.compact(&life.engine.snapshot()).unwrap();
        }
        for Call { id, what } in step.calls {
            let answer = match what {
                What::Put { body, .. } => {
                    Answer::Put(self.service.put(&body, now.monotonic, now.unix_ms))
                }
                What::CreateGroup(target) => Answer::Made(self.service.create_group(&target)),
                What::SetRetention(target) => Answer::Made(self.service.set_retention(&target)),
                What::CreateStream(target) => Answer::Made(self.service.create_stream(&target)),
                What::ReadBack {
                    target,
                    first_ms,
                    last_ms,
                } => Answer::Events(self.service.read_back(
                    &target,
                    first_ms,
                    last_ms,
                    now.monotonic,
                )),
                What::Recall { .. } => unreachable!("the engine answers it"),
            };
            let latency = Duration::from_millis(self.rng.random_range(0..200));
            life.answers.push((now.monotonic + latency, id, answer));
        }
        if step.again {
            return Ok(now.monotonic);
        }
        let answers = life.answers.iter().map(|(due, ..)| *due).min();
        Ok(answers.map_or(life.engine.next(), |due| due.min(life.engine.next())))
    }

    /// Everything heals, time passes, and what had to arrive has arrived, once.
    pub(crate) fn finish(mut self) -> Result<(), TestCaseError> {
        self.service.heal();
        self.writer.complete_all();
        self.start();
        self.pass(PATIENCE_MS)?;
        for (line, written) in &self.writer.written {
            let arrived = self.service.arrived.get(line).copied().unwrap_or(0);
            let excused = self.writer.excused.get(line).copied().unwrap_or(0);
            prop_assert!(
                arrived <= *written,
                "{line:?} was written {written} times and arrived {arrived} times"
            );
            prop_assert!(
                arrived + excused >= *written,
                "{line:?} was written {written} times and arrived {arrived} times, {excused} excused"
            );
        }
        for line in self.service.arrived.keys() {
            prop_assert!(
                self.writer.written.contains_key(line),
                "{line:?} was never written"
            );
        }
        let status = self
            .life
            .as_ref()
            .map(|life| life.engine.report(self.now))
            .unwrap();
        prop_assert!(status.conserved, "{status:#?}");
        prop_assert_eq!(status.totals.pending_bytes, 0, "{:#?}", status);
        Ok(())
    }
}
