//! What the account does with what it can't be true of, and with what has no name; and what is told of losses.

use super::*;
use crate::account::{GenerationId, Head, Identity, Lost, Span};
use crate::ledger::Peeked;
use crate::status;
use crate::tail::Sight;

fn span(generation: u64, start: u64, end: u64) -> Span {
    Span {
        generation: GenerationId(generation),
        start,
        end,
    }
}

/// The account that the records of an engine make after a restart.
fn folded(records: &[Record]) -> State {
    let mut state = State::default();
    for record in records {
        state.apply(record).unwrap();
    }
    state
}

#[test]
fn an_account_that_refused_something_says_no_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut engine = engine(&settings, State::default());
    let mut records = engine.step(at(0)).records;
    assert!(engine.report(at(0)).conserved);
    for _ in 0..3 {
        engine.see(
            Sight::Lost {
                span: span(7, 0, 10),
                why: Lost::Deleted,
            },
            at(0),
        );
    }
    records.extend(engine.step(at(100)).records);
    let status = engine.report(at(100));
    assert!(!status.conserved);
    assert!(
        status.complaints[0].contains("generation #7 is not known"),
        "{:?}",
        status.complaints
    );
    assert_eq!(status.complaints.len(), 1);
    let told = engine.notices();
    assert!(
        matches!(&told[..], [Notice::Trouble { subject, .. }] if subject == "account"),
        "{told:?}"
    );

    // The ledger says the same, also once it was made smaller.
    for state in [folded(&records), folded(&folded(&records).snapshot())] {
        assert_eq!(state.refusals().unwrap().count(), 3);
        let peeked = Peeked {
            instance_id: Some("i-0".into()),
            state: state.clone(),
            damage: None,
        };
        assert!(!status::ledger::of_ledger(&peeked, 0).conserved);
        let mut next = self::engine(&settings, state);
        next.step(at(0));
        assert!(!next.report(at(0)).conserved);
    }
}

#[test]
fn what_a_forgotten_file_is_called_is_nobodys_business() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut state = State::default();
    let counters = Record::Counters {
        next_generation: 5,
        next_batch: 0,
        events: 0,
    };
    state.apply(&counters).unwrap();
    let mut engine = engine(&settings, state);
    let id = GenerationId(4);
    let path = "/gone".into();
    engine.see(Sight::Moved { id, path }, at(0));
    let head = Head::default();
    engine.see(Sight::Identified { id, head }, at(0));
    assert!(engine.step(at(0)).records.is_empty());
    assert!(engine.report(at(0)).conserved);
}

/// A file was cut shorter in place: what is left of it stands in the account of the generation that it was.
#[test]
fn a_generation_that_begins_with_bytes_of_an_earlier_one_counts_its_own_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let settings = settings(folder.path());
    fs::write(&log, "0123456789\nnew\n").unwrap();
    let mut engine = engine(&settings, State::default());
    let id = GenerationId(30);
    let identity = Identity {
        device: 1,
        inode: 2,
        head: Head::default(),
    };
    engine.see(
        Sight::Found {
            id,
            set: 0,
            path: log,
            identity,
            from: 11,
            resumed: true,
        },
        at(0),
    );
    engine.see(Sight::Grew { id, size: 15 }, at(0));
    let records = engine.books.take();
    let state = folded(&records);
    for state in [&state, &folded(&state.snapshot())] {
        state.check().unwrap();
        let known = state.generation(id).unwrap();
        assert_eq!((known.seen(), known.pending(), known.extent()), (0, 0, 11));
        assert_eq!(known.settled_to(), 11);
        assert_eq!(state.overall().totals.sum(), 0);
        assert!(state.refusals().is_none());
    }
    let known = engine.books.state.generation(id).unwrap();
    assert_eq!((known.seen(), known.pending()), (4, 4));
    assert_eq!(engine.report(at(0)).totals.seen_bytes, 4);
    assert!(engine.report(at(0)).conserved);
    assert_eq!(engine.sources[&id].at, 11, "nothing is sent again");
}

#[test]
fn a_file_whose_stream_has_no_name_is_in_the_account_and_waits_for_one() {
    for over_restart in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        let named = settings(folder.path());
        let mut unnamed = named.clone();
        unnamed.files[0].stream =
            crate::names::Template::parse(crate::names::Kind::Stream, "{asg}/{file}").unwrap();
        fs::write(&log, "one\n").unwrap();
        let mut engine = engine(&unnamed, State::default());
        assert!(sent_within(&mut engine, 0..2_000).is_empty());
        append(&log, "two\n");
        assert!(sent_within(&mut engine, 2_000..4_000).is_empty());
        fs::rename(&log, folder.path().join("a.log.1")).unwrap();
        fs::write(&log, "three\n").unwrap();
        assert!(sent_within(&mut engine, 4_000..12_000).is_empty());
        let status = engine.report(at(12_000));
        assert!(status.conserved);
        assert_eq!(status.totals.pending_bytes, 14);
        assert!(
            status
                .complaints
                .iter()
                .all(|it| !it.contains("report this")),
            "{:?}",
            status.complaints
        );
        assert!(!status.complaints.is_empty());
        assert_eq!(engine.left_bytes(), 14);
        assert!(engine.drained(), "nothing can be sent");
        if over_restart {
            let state = folded(&engine.snapshot());
            engine = self::engine(&named, state);
        } else {
            engine.reconfigure(&named).unwrap();
        }
        let mut sent = sent_within(&mut engine, 12_000..20_000);
        sent.sort_unstable();
        assert_eq!(
            sent,
            ["one", "three", "two"],
            "over a restart: {over_restart}"
        );
        assert_eq!(engine.left_bytes(), 0);
        let status = engine.report(at(20_000));
        assert!(
            status.conserved && status.complaints.is_empty(),
            "{:?}",
            status.complaints
        );
    }
}

#[test]
fn what_is_deleted_without_ever_having_had_a_name_is_lost_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let mut settings = settings(folder.path());
    settings.files[0].stream =
        crate::names::Template::parse(crate::names::Kind::Stream, "{asg}/{file}").unwrap();
    fs::write(&log, "one\n").unwrap();
    let mut engine = engine(&settings, State::default());
    sent_within(&mut engine, 0..2_000);
    let state = folded(&engine.snapshot());
    // Gone while no agent ran, so that no descriptor holds it.
    fs::remove_file(&log).unwrap();
    let mut engine = self::engine(&settings, state);
    sent_within(&mut engine, 0..5_000);
    let status = engine.report(at(5_000));
    assert!(status.conserved);
    assert_eq!(status.totals.lost_bytes["deleted"], 4);
    let lost: Vec<Notice> = engine
        .notices()
        .into_iter()
        .filter(|notice| matches!(notice, Notice::Lost { .. }))
        .collect();
    let [Notice::Lost { subject, message }] = &lost[..] else {
        panic!("{lost:?}");
    };
    assert_eq!(*subject, log.display().to_string());
    assert!(message.starts_with("4 bytes lost(deleted)"), "{message}");
}

#[test]
fn an_unfinished_line_is_left_at_the_end_and_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    fs::write(folder.path().join("a.log"), "one\ntw").unwrap();
    let mut engine = engine(&settings, State::default());
    assert_eq!(sent_within(&mut engine, 0..1_000), ["one"]);
    engine.drain(at(1_000));
    sent_within(&mut engine, 1_000..2_000);
    assert!(engine.drained());
    assert_eq!(engine.left_bytes(), 2);
}

/// A read gets further than the look before it, and the file is gone at the next: what was read is on its way, whatever the look says.
#[test]
fn a_file_that_ends_with_a_batch_of_it_on_its_way_is_not_forgotten_before_that_has_landed() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let settings = settings(folder.path());
    fs::write(&log, "one\n").unwrap();
    let mut engine = engine(&settings, State::default());
    assert_eq!(sent_within(&mut engine, 0..1_000), ["one"]);
    let id = *engine.sources.keys().next().unwrap();
    // Written after the look.
    append(&log, "two\n");
    engine.queue(id);
    engine.read(at(1_010));
    assert_eq!(engine.sources[&id].at, 8);
    assert_eq!(engine.books.state.generation(id).unwrap().seen(), 8);
    engine.see(Sight::Ended { id, size: 4 }, at(1_020));
    assert!(engine.books.state.generation(id).is_some());
    assert_eq!(sent_within(&mut engine, 1_100..5_000), ["two"]);
    assert!(engine.books.state.refusals().is_none());
    assert_eq!(engine.books.state.overall().totals.shipped(), 8);
}

/// Names come and go faster than anybody looks, and inodes are used again.
#[test]
fn a_folder_where_files_come_and_go_by_the_thousand_is_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.files[0].set.patterns = vec![folder.path().join("*.log").display().to_string()];
    let mut engine = engine(&settings, State::default());
    let (mut records, mut sent) = (Vec::new(), Vec::new());
    let mut ms = 0;
    let mut choice = 1_u64;
    let mut next = |of: u64| {
        choice = choice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (choice >> 33) % of
    };
    let mut step = |engine: &mut Engine, records: &mut Vec<Record>, sent: &mut Vec<String>| {
        ms += 20;
        let step = engine.step(at(ms));
        records.extend(step.records);
        for call in step.calls {
            let answer = match &call.what {
                What::Put { body, .. } => {
                    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
                    let events = body["logEvents"].as_array().unwrap();
                    let message =
                        |event: &serde_json::Value| event["message"].as_str().unwrap().to_owned();
                    sent.extend(events.iter().map(message));
                    Answer::Put(Ok(RejectedInfo::default()))
                }
                _ => Answer::Made(Ok(())),
            };
            engine.answer(call.id, answer, at(ms));
        }
    };
    for number in 0..3_000_u64 {
        let log = folder.path().join(format!("{}.log", next(8)));
        match next(6) {
            0 => _ = fs::remove_file(&log),
            // Cut in place, its beginning kept or not.
            1 => {
                let file = fs::OpenOptions::new().write(true).open(&log);
                if let Ok(file) = file {
                    let bytes = file.metadata().unwrap().len();
                    file.set_len(bytes - next(100).min(bytes)).unwrap();
                }
            }
            2 => fs::write(&log, format!("the same\nline {number}\n")).unwrap(),
            _ => append(
                &log,
                &format!("line {number}\n").repeat(1 + next(40) as usize),
            ),
        }
        if next(2) == 0 {
            step(&mut engine, &mut records, &mut sent);
        }
    }
    for _ in 0..200 {
        step(&mut engine, &mut records, &mut sent);
    }
    let refusals = engine.books.state.refusals();
    assert!(refusals.is_none(), "{}", refusals.unwrap());
    engine.check().unwrap();
    let state = folded(&records);
    state.check().unwrap();
    assert_eq!(state.overall().totals, engine.books.state.overall().totals);
    assert!(sent.len() > 500);
}
