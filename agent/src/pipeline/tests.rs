#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::*;
use crate::aws::RejectedInfo;
use crate::config;
use crate::host::{IdFrom, Tags};
use crate::ship::{Answer, What};
use crate::tail::Survey;

mod account;
mod time;

const LINES: usize = 100;

fn settings(folder: &Path) -> Settings {
    let text = format!(
        "[agent]\nstate_dir = \"{0}/state\"\nregion = \"eu-west-1\"\n[[file]]\npath = \"{0}/a.log\"\ngroup = \"g\"\nstream = \"s\"\n\
         start = \"beginning\"\n",
        folder.display()
    );
    let path = folder.join("agent.toml");
    fs::write(&path, text).unwrap();
    config::load(&path).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

fn engine(settings: &Settings, state: State) -> Engine {
    let host = Host {
        instance_id: "i-0".into(),
        id_from: IdFrom::Configuration,
        hostname: "h".into(),
        ip: None,
        region: None,
        zone: None,
        image_id: None,
        instance_type: None,
        tags: Tags::Known(std::collections::BTreeMap::new()),
    };
    Engine::open(settings, Arc::new(host), state, at(0), Arc::new(|| {})).unwrap()
}

fn at(ms: u64) -> Now {
    Now {
        monotonic: Duration::from_millis(ms),
        unix_ms: 1_795_411_275_000 + i64::try_from(ms).unwrap(),
    }
}

/// A file whose lines were all sent when the agent was killed; nobody knows whether they arrived.
fn killed_while_sending(settings: &Settings, log: &Path) -> State {
    let lines: String = (0..LINES).map(|n| format!("line {n}\n")).collect();
    fs::write(log, lines).unwrap();
    let mut engine = engine(settings, State::default());
    let mut now = 0;
    while engine.books.state.unresolved().next().is_none() {
        // Groups and streams are made first.
        for call in engine.step(at(now)).calls {
            if !matches!(call.what, What::Put { .. }) {
                engine.answer(call.id, Answer::Made(Ok(())), at(now));
            }
        }
        now += 100;
        assert!(now < 60_000, "nothing was sent");
    }
    engine.books.state.clone()
}

#[test]
fn a_file_that_is_truncated_before_its_doubtful_batches_are_made_again_is_found_in_its_copy() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let settings = settings(folder.path());
    let state = killed_while_sending(&settings, &log);
    let batch = state.unresolved().next().unwrap().batch;

    let mut engine = engine(&settings, state);
    for sight in engine.files.look(at(0)) {
        engine.see(sight, at(0));
    }
    fs::copy(&log, folder.path().join("a.log.1")).unwrap();
    fs::write(&log, "a line of the next generation\n").unwrap();
    engine.recover(at(0));

    let restored = engine.shipping.batch(batch).unwrap();
    assert_eq!(restored.events.len(), LINES);
    assert_eq!(engine.recover_at, None);
}

#[test]
fn doubtful_batches_of_a_file_that_is_not_configured_any_more_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let mut settings = settings(folder.path());
    let state = killed_while_sending(&settings, &log);

    settings.files[0].set.patterns = vec![folder.path().join("b.log").display().to_string()];
    let mut engine = engine(&settings, state);
    engine.step(at(0));
    assert_eq!(engine.books.state.unresolved().count(), 1);
    assert!(engine.drained());
}

/// The default stream bears the path of the log. A rotated copy goes where its log goes, wherever it stands when it is found.
#[test]
fn a_rotated_copy_goes_to_the_stream_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut settings = settings(folder.path());
    settings.files[0].stream =
        crate::names::Template::parse(crate::names::Kind::Stream, "{instance_id}/{file}").unwrap();
    fs::write(path("a.log"), "one\n").unwrap();
    let mut engine_before = engine(&settings, State::default());
    engine_before.step(at(0));
    let state = engine_before.books.state.clone();
    let stream = |state: &State| -> Vec<String> {
        state
            .generations()
            .map(|(_, known)| known.target().stream.to_string())
            .collect()
    };
    let expected = stream(&state);

    // Two rotations while it is stopped: of one, nothing is known.
    for (from, to) in [("a.log", "a.log.1"), ("a.log.1", "a.log.2")] {
        fs::rename(path(from), path(to)).unwrap();
        fs::write(path("a.log"), "two\n").unwrap();
    }
    fs::rename(path("a.log"), path("a.log.1")).unwrap();
    fs::write(path("a.log"), "three\n").unwrap();
    let mut engine = engine(&settings, state);
    engine.step(at(0));
    let found = stream(&engine.books.state);
    assert_eq!(found.len(), 3);
    assert!(
        found.iter().all(|stream| *stream == expected[0]),
        "{found:?}"
    );
}

/// What is shipped, in the order of its bytes.
fn pending(engine: &Engine) -> Vec<(String, u64, u64)> {
    let state = &engine.books.state;
    let mut gaps: Vec<_> = state
        .generations()
        .filter_map(|(id, known)| {
            let gap = state.next_gap(id, 0)?;
            let path = known.path().file_name()?.to_str()?.to_owned();
            Some((path, gap.start, known.seen())).filter(|(_, start, end)| start < end)
        })
        .collect();
    gaps.sort_unstable();
    gaps
}

/// An engine on a copy of the disk on which `state` was kept, and the survey of its boot.
fn on_a_copy(settings: &Settings, theirs: &State) -> (Engine, Survey) {
    let survey = Survey::of(settings.files.iter().map(|file| &file.set));
    let mut state = State::default();
    for record in seen_by_another(theirs) {
        state.apply(&record).unwrap();
    }
    (engine(settings, state), survey)
}

#[test]
fn of_a_copied_disk_nothing_is_shipped_but_what_was_written_since_the_boot() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let settings = settings(folder.path());
    fs::write(&log, "read\n").unwrap();
    let mut before = engine(&settings, State::default());
    before.step(at(0));
    let theirs = before.books.state;

    // Nobody looked: it rotated twice, and wrote on.
    fs::write(&log, "read\nwritten after that\n").unwrap();
    fs::rename(&log, folder.path().join("a.log.2")).unwrap();
    fs::write(&log, "all of it is unknown to the ledger\n").unwrap();
    fs::rename(&log, folder.path().join("a.log.1")).unwrap();
    fs::write(&log, "and of this too, even\nits last line that is cut").unwrap();
    let cut = fs::metadata(&log).unwrap().len();
    let (mut engine, survey) = on_a_copy(&settings, &theirs);
    fs::write(&log, [fs::read(&log).unwrap(), b"ours\n".to_vec()].concat()).unwrap();

    let records = engine.disown(&survey, at(0));
    assert_eq!(pending(&engine), [("a.log".to_owned(), cut, cut + 5)]);
    let named = records
        .iter()
        .filter(|record| matches!(record, Record::Settled { .. }));
    assert_eq!(named.count(), 3, "{records:?}");
    let shipped = sent(&mut engine);
    assert_eq!(shipped, ["ours"]);
}

#[test]
fn a_log_that_begins_after_the_survey_is_all_ours() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let settings = settings(folder.path());
    fs::write(&log, "theirs, and longer than ours\n").unwrap();
    let mut before = engine(&settings, State::default());
    before.step(at(0));
    let (mut engine, survey) = on_a_copy(&settings, &before.books.state);
    fs::write(&log, "ours\n").unwrap();
    let _ = engine.disown(&survey, at(0));
    assert_eq!(sent(&mut engine), ["ours"]);
}

/// The messages that an engine sends within a minute.
fn sent(engine: &mut Engine) -> Vec<String> {
    sent_within(engine, 0..60_000)
}

/// The same within a time; each request is taken as a whole.
fn sent_within(engine: &mut Engine, ms: std::ops::Range<u64>) -> Vec<String> {
    let mut messages = Vec::new();
    for now in ms.step_by(100) {
        for call in engine.step(at(now)).calls {
            let answer = match &call.what {
                What::Put { body, .. } => {
                    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
                    let events = body["logEvents"].as_array().unwrap();
                    let message =
                        |event: &serde_json::Value| event["message"].as_str().unwrap().to_owned();
                    messages.extend(events.iter().map(message));
                    Answer::Put(Ok(RejectedInfo::default()))
                }
                _ => Answer::Made(Ok(())),
            };
            engine.answer(call.id, answer, at(now));
        }
    }
    messages
}

/// Jenkins' way: nobody knows yet that an event of several lines is over, more is written that nobody looked at, and logrotate copies,
/// truncates and compresses.
#[test]
fn an_event_that_waits_for_its_end_is_taken_from_the_copy() {
    for (next, packed) in [
        ("", false),
        ("fourth\n", false),
        ("", true),
        ("fourth\n", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        let _ = settings(folder.path());
        let path = folder.path().join("agent.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}multiline = {{ start = '^\\S' }}\n")).unwrap();
        let settings =
            config::load(&path).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        fs::write(&log, "first\n one\nsecond\n two\n").unwrap();
        let mut engine = engine(&settings, State::default());
        let mut sent = sent_within(&mut engine, 0..300);
        append(&log, " and more\nthird\n three\n");
        let copy = folder.path().join("a.log.1");
        fs::copy(&log, &copy).unwrap();
        fs::write(&log, next).unwrap();
        if packed {
            let content = fs::read(&copy).unwrap();
            let file = fs::File::create(folder.path().join("a.log.1.gz")).unwrap();
            let mut packing = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            packing.write_all(&content).unwrap();
            packing.finish().unwrap();
            fs::remove_file(&copy).unwrap();
        }
        sent.extend(sent_within(&mut engine, 300..60_000));
        let mut expected = vec!["first\n one", "second\n two\n and more", "third\n three"];
        expected.extend((!next.is_empty()).then_some("fourth"));
        sent.sort_unstable_by_key(|it| expected.iter().position(|event| event == it));
        assert_eq!(sent, expected, "{next:?}, packed: {packed}");
    }
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn what_was_rotated_away_is_read_to_its_end_before_what_was_written_after_it() {
    const EACH: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let settings = settings(folder.path());
    fs::write(&log, "the first of all\n").unwrap();
    let mut engine = engine(&settings, State::default());
    let mut sent = sent_within(&mut engine, 0..1000);
    // More than is read at a time, and nobody looks meanwhile.
    let lines = |from: usize| (from..from + EACH).map(|n| format!("line {n} {}", "x".repeat(50)));
    let mut expected = vec!["the first of all".to_owned()];
    for generation in 0..3 {
        let text: Vec<String> = lines(generation * EACH).collect();
        let earlier = fs::read_to_string(&log).unwrap_or_default();
        fs::write(&log, earlier + &text.join("\n") + "\n").unwrap();
        expected.extend(text);
        if generation < 2 {
            for older in (1..3).rev() {
                let name = |n| folder.path().join(format!("a.log.{n}"));
                let _ = fs::rename(name(older), name(older + 1));
            }
            fs::rename(&log, folder.path().join("a.log.1")).unwrap();
        }
    }
    sent.extend(sent_within(&mut engine, 1000..60_000));
    assert_eq!(sent.len(), expected.len());
    assert!(sent == expected, "something came early");
}

#[test]
fn after_a_kill_what_shares_a_time_with_a_doubtful_batch_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let _ = settings(folder.path());
    let path = folder.path().join("agent.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}format = \"rfc3339\"\n")).unwrap();
    let settings =
        config::load(&path).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let line = |second: u32, n: usize| format!("2026-11-23T06:41:{second:02}Z line {n}\n");
    let mut before = engine(&settings, State::default());
    fs::write(&log, [line(1, 0), line(2, 1)].concat()).unwrap();
    let calls = (0..20).flat_map(|turn| before.step(at(turn * 100)).calls);
    assert!(
        calls
            .into_iter()
            .any(|call| matches!(call.what, What::Put { .. }))
    );
    let mut engine = engine(&settings, before.books.state);
    append(&log, &[line(2, 2), line(3, 3)].concat());

    let (mut put, mut read_back) = (Vec::new(), false);
    for now in (0..60_000).step_by(100) {
        for call in engine.step(at(now)).calls {
            let answer = match &call.what {
                What::Put { body, .. } => {
                    let body = String::from_utf8(body.to_vec()).unwrap();
                    put.extend((0..4).filter(|n| body.contains(&format!("line {n}"))));
                    Answer::Put(Ok(RejectedInfo::default()))
                }
                // Nothing of it has arrived.
                What::ReadBack { .. } => {
                    assert!(put.is_empty(), "{put:?}");
                    read_back = true;
                    Answer::Events(Ok(Vec::new()))
                }
                _ => Answer::Made(Ok(())),
            };
            engine.answer(call.id, answer, at(now));
        }
    }
    assert!(read_back);
    assert_eq!(put, [0, 1, 2, 3]);
}
