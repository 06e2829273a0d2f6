//! The simulated world: an engine, its ledger on a disk that forgets, a service, and a clock that only actions move.

use std::sync::Arc;
use std::time::Duration;

use baker_agent::aws::FailureKind;
use baker_agent::clock::{Measure, Now, Told};
use baker_agent::config::{self, Settings};
use baker_agent::host::{Host as Described, IdFrom, Tags};
use baker_agent::ledger::memory::Memory;
use baker_agent::ledger::{How, Store};
use baker_agent::pipeline::{Engine, Notice};
use baker_agent::ship::{Answer, Call, CallId, What};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::ground::{Ground, Place};
use crate::host::{BASE_MS, Host, Manners};
use crate::service::Service;

/// So many steps without the clock moving are a loop that never rests.
const STEPS_MAX: usize = 10_000;
/// How long after the last action everything has to have arrived: longer than any back-off and hold.
const PATIENCE_MS: u64 = 300_000;
/// What the agent says, after their number, of bytes of which nobody can tell any more whether they arrived.
const IN_DOUBT: &str = " bytes that were being sent when the agent was stopped are gone";
/// After so long all files have been looked at, whether or not anything rang: the poll takes a second, from the last look on.
const LOOKED_AFTER_MS: u64 = 1_500;
/// How long a call takes at most, before it is taken and after.
const LATENCY_MAX_MS: u64 = 200;

/// What has to come back in the order in which it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The lines of each file.
    OfFiles,
    /// The lines of each log, whatever files they were written to one after the other.
    OfLogs,
}

/// What kind of world it is.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// One for each log.
    pub(crate) manners: Vec<Manners>,
    /// What the logs stand on.
    pub(crate) place: Place,
    /// Descriptors that the agent may hold on them.
    pub(crate) open_files: Option<usize>,
    /// How long a line's end is waited for.
    pub(crate) hold: Duration,
    /// Calls are under way before the service takes them, and overtake each other.
    pub(crate) overtaking: bool,
    /// What has to come back in the order in which it was written.
    pub(crate) order: Option<Order>,
    /// Lines bear the right time, whatever the host's clock says.
    pub(crate) stamps_are_true: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            manners: vec![Manners::default(); 3],
            place: Place::Memory,
            open_files: None,
            // A line that is written in halves is one line, however long the second half takes.
            hold: Duration::from_secs(1 << 30),
            overtaking: false,
            order: None,
            stamps_are_true: false,
        }
    }
}

struct Life {
    engine: Engine,
    store: Store,
    answers: Vec<OnItsWay>,
    /// Answers to the question for the time: when they come, and what they tell.
    asked: Vec<(Duration, Option<Told>)>,
}

/// An answer.
struct OnItsWay {
    due: Duration,
    id: CallId,
    answer: Answer,
    /// When its call left, and the service's time when that was taken, if it was.
    sent: Duration,
    date_ms: Option<i64>,
}

impl OnItsWay {
    /// What its date tells of the service's time.
    fn told(&self) -> Option<Told> {
        self.date_ms.map(|date_ms| {
            Told::Time(Measure {
                sent: self.sent,
                received: self.due,
                date_ms,
            })
        })
    }
}

/// A put that the service has not taken yet.
struct UnderWay {
    sent: Duration,
    taken_at: Duration,
    body: bytes::Bytes,
    /// Whom to answer, and how much later; nobody if the agent that sent it is gone.
    asked: Option<(CallId, Duration)>,
}

pub(crate) struct World {
    pub(crate) setting: Setting,
    pub(crate) ground: Ground,
    settings: Settings,
    described: Arc<Described>,
    disk: Memory,
    life: Option<Life>,
    under_way: Vec<UnderWay>,
    rng: StdRng,
    pub(crate) service: Service,
    pub(crate) host: Host,
    pub(crate) now: Now,
    /// By how much the host's clock is off.
    pub(crate) jump_ms: i64,
    /// It was set while something was written.
    pub(crate) jumped: bool,
    /// So many bytes the agent said to be in doubt, and counts as lost.
    pub(crate) doubtful_bytes: u64,
}

impl World {
    /// `None` where there can be no such world on this machine.
    pub(crate) fn new(setting: Setting, seed: u64) -> Option<Self> {
        let ground = Ground::new(setting.place)?;
        let root = ground.root();
        let formats: Vec<&str> = setting
            .manners
            .iter()
            .map(|manners| match manners.unstamped {
                true => "none",
                false => "rfc3339",
            })
            .collect();
        // What an image brings along is not this host's.
        let start = match setting.place {
            Place::Overlay => "end",
            Place::Memory | Place::Disk => "beginning",
        };
        // The last two share a stream. Each pattern means the log's aliases, too.
        let mut text = format!(
            "[agent]\nstate_dir = \"{}\"\nregion = \"eu-west-1\"\n",
            ground.state().display()
        );
        if let Some(open_files) = setting.open_files {
            text += &format!("[limits]\nopen_files = {open_files}\n");
        }
        for (log, format) in formats.iter().enumerate() {
            let stream = if log == 0 { "own" } else { "shared" };
            text += &format!(
                "[[file]]\npaths = [\"{root}/{log}.log\", \"{root}/{log}-*.log\"]\ngroup = \"model\"\nstream = \"{stream}\"\nformat = \"{format}\"\nstart = \"{start}\"\n",
                root = root.display(),
            );
        }
        let config = ground.config();
        std::fs::write(&config, text).unwrap();
        let mut settings =
            config::load(&config).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        for file in &mut settings.files {
            file.rules.hold = setting.hold;
        }
        // Birth times and those of folders are real all the same: so each poll looks at everything.
        settings.limits.sweep = Duration::from_secs(1);
        let described = Described {
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
        let mut host = Host::new(root, &setting.manners);
        host.stamps_are_true = setting.stamps_are_true;
        host.all_are_open = setting.open_files.is_none();
        let mut world = Self {
            host,
            settings,
            described: Arc::new(described),
            disk: Memory::new(),
            life: None,
            under_way: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
            service: Service::default(),
            now: Now {
                monotonic: Duration::ZERO,
                unix_ms: BASE_MS,
            },
            jump_ms: 0,
            jumped: false,
            doubtful_bytes: 0,
            ground,
            setting,
        };
        world.start();
        // The agent's first look ever.
        world.pass(1).unwrap();
        Some(world)
    }

    /// Starts the agent, if it is down.
    pub(crate) fn start(&mut self) {
        if self.life.is_some() {
            return;
        }
        let opened = Store::open_on(
            Box::new(self.disk.clone()),
            &self.ground.state(),
            &self.described.instance_id,
        )
        .unwrap();
        assert!(
            matches!(opened.how, How::Fresh | How::Resumed),
            "a crash damaged the ledger: {:?}",
            opened.how
        );
        let mut engine = Engine::open(
            &self.settings,
            Arc::clone(&self.described),
            opened.state,
            self.now,
            Arc::new(|| {}),
        )
        .unwrap();
        engine.await_time();
        engine.ask_for_rings().unwrap();
        self.host.agent_runs = true;
        self.life = Some(Life {
            engine,
            store: opened.store,
            answers: Vec::new(),
            asked: Vec::new(),
        });
    }

    pub(crate) fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Ends the agent at this instant. Answers that are under way reach nobody; requests that are may still be taken.
    pub(crate) fn kill(&mut self, power: bool) {
        if self.life.take().is_none() {
            return;
        }
        let rng = &mut self.rng;
        if power {
            self.disk.crash(|| rng.random_bool(0.5));
        }
        self.under_way.retain(|_| rng.random_bool(0.5));
        for call in &mut self.under_way {
            call.asked = None;
        }
        self.host.agent_ends(power);
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
                if self.life.is_some() && ms > LOOKED_AFTER_MS {
                    self.host.looked();
                }
                return Ok(());
            }
        }
    }

    fn set_clock(&mut self, monotonic: Duration) {
        let true_ms = BASE_MS + i64::try_from(monotonic.as_millis()).unwrap();
        let unix_ms = true_ms + self.jump_ms;
        self.now = Now { monotonic, unix_ms };
        self.host.at(unix_ms, true_ms);
    }

    /// The host's clock is off by so much more.
    pub(crate) fn jump(&mut self, ms: i64) {
        self.jump_ms += ms;
        self.jumped = true;
        self.set_clock(self.now.monotonic);
    }

    /// The service takes what has been under way for long enough.
    fn arrive(&mut self) {
        let (now, true_ms) = (self.now.monotonic, self.host.true_ms);
        let mut due: Vec<UnderWay> = self
            .under_way
            .extract_if(.., |call| call.taken_at <= now)
            .collect();
        due.sort_by_key(|call| call.taken_at);
        for call in due {
            let answer = Answer::Put(self.service.put(&call.body, now, true_ms));
            if let (Some(life), Some((id, later))) = (&mut self.life, call.asked) {
                life.answers.push(OnItsWay {
                    due: now + later,
                    id,
                    date_ms: date(&answer, true_ms),
                    answer,
                    sent: call.sent,
                });
            }
        }
    }

    fn latency(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(0..LATENCY_MAX_MS))
    }

    /// One step of the agent, and the answers that are due. Returns when something is to happen next.
    fn turn(&mut self) -> Result<Duration, TestCaseError> {
        let now = self.now;
        self.arrive();
        if let Some(defect) = self.service.defect.take() {
            return Err(TestCaseError::fail(format!(
                "the service would not take {defect}"
            )));
        }
        let taken = self.under_way.iter().map(|call| call.taken_at).min();
        let Some(life) = &mut self.life else {
            return Ok(taken.unwrap_or(Duration::MAX));
        };
        let due: Vec<OnItsWay> = life
            .answers
            .extract_if(.., |answer| answer.due <= now.monotonic)
            .collect();
        for answer in due {
            if let Some(told) = answer.told() {
                life.engine.hear(told, now);
            }
            life.engine.answer(answer.id, answer.answer, now);
        }
        for (_, told) in life.asked.extract_if(.., |(due, _)| *due <= now.monotonic) {
            if let Some(told) = told {
                life.engine.hear(told, now);
            }
            let answer = told
                .map(|_| ())
                .ok_or_else(|| crate::service::failure(FailureKind::NotSent));
            life.engine.time_answered(answer, now);
        }
        let step = life.engine.step(now);
        for notice in life.engine.notices() {
            let defect = matches!(&notice, Notice::Trouble { subject, .. } if subject == "account");
            prop_assert!(!defect, "{notice:?}");
            if let Notice::Trouble { message, .. } = &notice
                && let Some((bytes, _)) = message.split_once(IN_DOUBT)
            {
                self.doubtful_bytes += bytes.parse::<u64>().unwrap_or(0);
            }
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
        let asks = life.engine.asks_time().is_some();
        let next = life.engine.next();
        if asks {
            self.ask_time();
        }
        for call in step.calls {
            self.call(call);
        }
        if step.again {
            return Ok(now.monotonic);
        }
        let Some(life) = &self.life else {
            return Ok(next);
        };
        let answers = life.answers.iter().map(|answer| answer.due);
        let asked = life.asked.iter().map(|(due, _)| *due);
        let taken = self.under_way.iter().map(|call| call.taken_at);
        Ok(answers.chain(asked).chain(taken).fold(next, Duration::min))
    }

    /// The service is asked for the time.
    fn ask_time(&mut self) {
        let (sent, true_ms) = (self.now.monotonic, self.host.true_ms);
        let received = sent + self.latency();
        let told = self.service.is_reached().then(|| {
            Told::Time(Measure {
                sent,
                received,
                date_ms: second(true_ms),
            })
        });
        if let Some(life) = &mut self.life {
            life.asked.push((received, told));
        }
    }

    fn call(&mut self, Call { id, what }: Call) {
        let (now, true_ms) = (self.now.monotonic, self.host.true_ms);
        let answer = match what {
            What::Put { body, .. } if self.setting.overtaking => {
                let (before, after) = (self.latency(), self.latency());
                self.under_way.push(UnderWay {
                    sent: now,
                    taken_at: now + before,
                    body,
                    asked: Some((id, after)),
                });
                return;
            }
            What::Put { body, .. } => Answer::Put(self.service.put(&body, now, true_ms)),
            What::CreateGroup(target) => Answer::Made(self.service.create_group(&target)),
            What::SetRetention(target) => Answer::Made(self.service.set_retention(&target)),
            What::CreateStream(target) => Answer::Made(self.service.create_stream(&target)),
            What::ReadBack {
                target,
                first_ms,
                last_ms,
            } => Answer::Events(self.service.read_back(&target, first_ms, last_ms, now)),
            What::Recall { .. } => unreachable!("the engine answers it"),
        };
        let latency = self.latency();
        if let Some(life) = &mut self.life {
            life.answers.push(OnItsWay {
                due: now + latency,
                id,
                date_ms: date(&answer, true_ms),
                answer,
                sent: now,
            });
        }
    }

    /// Everything heals, time passes, and what had to arrive has arrived, once.
    pub(crate) fn finish(mut self) -> Result<(), TestCaseError> {
        self.service.heal();
        self.host.complete_all();
        self.start();
        self.pass(PATIENCE_MS)?;
        let status = self
            .life
            .as_ref()
            .map(|life| life.engine.report(self.now))
            .unwrap();
        crate::judge::all(&self, &status)
    }
}

/// The date of an answer that was given then; none where nothing came back.
fn date(answer: &Answer, true_ms: i64) -> Option<i64> {
    let failure = match answer {
        Answer::Put(result) => result.as_ref().err(),
        Answer::Made(result) => result.as_ref().err(),
        Answer::Events(result) => result.as_ref().err(),
    };
    let silent = failure
        .is_some_and(|failure| matches!(failure.kind, FailureKind::NotSent | FailureKind::Unknown));
    (!silent).then(|| second(true_ms))
}

/// A date is the beginning of its second.
fn second(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(1000) * 1000
}
