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
