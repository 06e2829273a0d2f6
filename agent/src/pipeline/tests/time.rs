//! Whose time it is: hosts whose clock is wrong, or jumps.

use super::*;
use crate::clock::{Measure, Told};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What the host's clock says when the service's time is that of [`at`].
fn host(ms: u64, ahead_ms: i64) -> Now {
    let right = at(ms);
    Now {
        unix_ms: right.unix_ms + ahead_ms,
        ..right
    }
}

/// An answer that comes then.
fn told(ms: u64) -> Told {
    Told::Time(Measure {
        sent: at(ms).monotonic.saturating_sub(Duration::from_millis(20)),
        received: at(ms).monotonic,
        date_ms: at(ms).unix_ms.div_euclid(1000) * 1000,
    })
}

/// An engine on a host, and what has arrived: each line with its time.
struct World {
    engine: Engine,
    arrived: Vec<(String, i64)>,
    asked: usize,
}

impl World {
    fn new(settings: &Settings) -> Self {
        let mut engine = engine(settings, State::default());
        engine.await_time();
        Self {
            engine,
            arrived: Vec::new(),
            asked: 0,
        }
    }

    /// Lets time pass, and answers everything at once.
    fn pass(&mut self, ms: std::ops::Range<u64>, ahead_ms: i64) {
        for ms in ms.step_by(100) {
            let now = host(ms, ahead_ms);
            for call in self.engine.step(now).calls {
                let answer = self.answer(&call.what);
                self.engine.hear(told(ms), now);
                self.engine.answer(call.id, answer, now);
            }
            if self.engine.asks_time().is_some() {
                self.asked += 1;
                self.engine.time_answered(told(ms), now);
            }
        }
    }

    fn answer(&mut self, what: &What) -> Answer {
        let What::Put { body, .. } = what else {
            return Answer::Made(Ok(()));
        };
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        for event in body["logEvents"].as_array().unwrap() {
            let message = event["message"].as_str().unwrap().to_owned();
            self.arrived
                .push((message, event["timestamp"].as_i64().unwrap()));
        }
        Answer::Put(Ok(RejectedInfo::default()))
    }

    fn rejected(&self) -> u64 {
        self.engine.books.state.overall().totals.rejected()
    }
}

#[test]
fn nothing_is_read_before_the_services_time_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    fs::write(folder.path().join("a.log"), "one\n").unwrap();
    let mut engine = engine(&settings, State::default());
    engine.await_time();
    for ms in (0..5_000).step_by(100) {
        assert!(engine.step(at(ms)).calls.is_empty());
    }
    assert_eq!(engine.asks_time().unwrap().group, "g");
    assert!(engine.asks_time().is_none(), "one question at a time");
    engine.time_answered(Told::NoAnswer, at(5_000));
    engine.step(at(5_100));
    assert!(engine.asks_time().is_none(), "not at once again");
    assert!(engine.next() <= at(6_000).monotonic);
    engine.step(at(6_000));
    assert!(engine.asks_time().is_some());
    assert!(!engine.drained(), "at the end it would be left");
    assert_eq!(engine.left_bytes(), 4);
    engine.time_answered(told(6_100), at(6_100));
    assert!(!engine.step(at(6_200)).calls.is_empty());
    assert!(engine.asks_time().is_none());
}

#[test]
fn a_service_that_tells_no_time_is_sent_lines_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    fs::write(folder.path().join("a.log"), "one\n").unwrap();
    let mut engine = engine(&settings, State::default());
    engine.await_time();
    engine.step(at(0));
    assert!(engine.asks_time().is_some());
    engine.time_answered(Told::Nothing, at(100));
    assert_eq!(sent_within(&mut engine, 200..2_000), ["one"]);
}

#[test]
fn lines_without_a_time_get_the_services_however_wrong_the_hosts_clock_is() {
    for ahead_ms in [3 * HOUR_MS, 15 * DAY_MS, -15 * DAY_MS, -DAY_MS, 0] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let log = folder.path().join("a.log");
        let mut world = World::new(&settings);
        for line in 0..50_u64 {
            append(&log, &format!("{}\n", line * 100));
            world.pass(line * 100..(line + 1) * 100, ahead_ms);
        }
        world.pass(5_000..8_000, ahead_ms);
        assert_eq!(world.arrived.len(), 50, "{ahead_ms}");
        assert_eq!(world.rejected(), 0);
        for (line, stamp) in &world.arrived {
            let off = stamp - at(line.parse().unwrap()).unix_ms;
            assert!((-1_100..3_000).contains(&off), "{ahead_ms}: {off}");
        }
        let complains = world.engine.report(host(8_000, ahead_ms)).complaints;
        assert_eq!(complains.len(), usize::from(ahead_ms != 0), "{complains:?}");
        assert!(world.asked <= 2);
    }
}

#[test]
fn lines_with_their_own_right_time_keep_it_however_wrong_the_hosts_clock_is() {
    for ahead_ms in [3 * HOUR_MS, 15 * DAY_MS, -15 * DAY_MS, -DAY_MS] {
        let folder = tempfile::tempdir().unwrap();
        let settings = stamped(folder.path());
        let right_ms = at(0).unix_ms;
        fs::write(folder.path().join("a.log"), line_of(right_ms)).unwrap();
        let mut world = World::new(&settings);
        world.pass(0..3_000, ahead_ms);
        let stamps: Vec<i64> = world.arrived.iter().map(|(_, stamp)| *stamp).collect();
        assert_eq!(stamps, [right_ms], "{ahead_ms}");
        assert_eq!(world.rejected(), 0);
    }
}

#[test]
fn a_time_that_the_hosts_wrong_clock_wrote_is_kept_as_long_as_the_service_takes_it() {
    for (ahead_ms, kept) in [(HOUR_MS, true), (3 * HOUR_MS, false), (-DAY_MS, true)] {
        let folder = tempfile::tempdir().unwrap();
        let settings = stamped(folder.path());
        let written_ms = host(0, ahead_ms).unix_ms;
        fs::write(folder.path().join("a.log"), line_of(written_ms)).unwrap();
        let mut world = World::new(&settings);
        world.pass(0..3_000, ahead_ms);
        let (_, stamp) = world.arrived[0];
        match kept {
            true => assert_eq!(stamp, written_ms),
            false => assert!((stamp - at(0).unix_ms).abs() < 3_000),
        }
        assert_eq!(world.rejected(), 0);
    }
}

#[test]
fn a_clock_that_jumps_while_the_agent_runs_changes_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let log = folder.path().join("a.log");
    let mut world = World::new(&settings);
    let jumps = [0, DAY_MS, 0, -HOUR_MS, 0, -20 * DAY_MS, 0, 20 * DAY_MS];
    let mut ms = 0;
    for ahead_ms in jumps {
        for _ in 0..20 {
            append(&log, &format!("{ms}\n"));
            world.pass(ms..ms + 100, ahead_ms);
            ms += 100;
        }
    }
    world.pass(ms..ms + 3_000, 0);
    assert_eq!(world.arrived.len(), 20 * jumps.len());
    assert_eq!(world.rejected(), 0);
    for (line, stamp) in &world.arrived {
        let off = stamp - at(line.parse().unwrap()).unix_ms;
        assert!((-1_200..3_000).contains(&off), "{line}: {off}");
    }
}

#[test]
fn a_host_that_gets_another_zone_is_followed_and_a_zone_that_was_named_stays() {
    for (named, off_ms) in [("", -HOUR_MS), ("timezone = \"UTC\"\n", 0)] {
        let folder = tempfile::tempdir().unwrap();
        let _ = settings(folder.path());
        let path = folder.path().join("agent.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}format = \"%F %T\"\n{named}")).unwrap();
        let settings =
            config::load(&path).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let log = folder.path().join("a.log");
        let line = jiff::Timestamp::from_millisecond(at(0).unix_ms)
            .unwrap()
            .strftime("%F %T x\n")
            .to_string();
        let mut world = World::new(&settings);
        world.engine.set_host_zone(&jiff::tz::TimeZone::UTC);
        append(&log, &line);
        world.pass(0..2_000, 0);
        let cet = jiff::tz::TimeZone::posix("CET-1").unwrap();
        world.engine.set_host_zone(&cet);
        append(&log, &line);
        world.pass(2_000..4_000, 0);
        let stamps: Vec<i64> = world.arrived.iter().map(|(_, stamp)| *stamp).collect();
        let utc_ms = at(0).unix_ms;
        assert_eq!(stamps, [utc_ms, utc_ms + off_ms], "{named}");
    }
}

fn stamped(folder: &Path) -> Settings {
    let _ = settings(folder);
    let path = folder.join("agent.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}format = \"iso8601\"\n")).unwrap();
    config::load(&path).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

fn line_of(unix_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(unix_ms).unwrap();
    format!("{at} hello\n")
}
