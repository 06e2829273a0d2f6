#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use crate::account::{
    BatchId, Fate, Filtered, GenerationId, Head, Identity, Lost, Part, Rejected, Span,
};
use crate::ledger::testing::{choices, history};
use crate::ledger::{Contradiction, Gap, Intent, Landing, Record, State};
use crate::target::{GroupClass, Target};

fn target(stream: &str) -> Arc<Target> {
    Arc::new(Target {
        group: "jenkins.example.com".to_owned(),
        stream: stream.to_owned(),
        retention_days: Some(30),
        class: GroupClass::Standard,
    })
}

fn found(generation: u64, from: u64) -> Record {
    Record::Found {
        generation: GenerationId(generation),
        identity: Identity {
            device: 2049,
            inode: 77 + generation,
            head: Head {
                start: 0,
                bytes: 64,
                hash: 5,
            },
        },
        set: "/var/log/nginx/*.log".into(),
        path: PathBuf::from("/var/log/nginx/access.log"),
        target: target("i-1"),
        from,
        at_ms: 1_699_999_999_000,
    }
}

fn span(generation: u64, start: u64, end: u64) -> Span {
    Span {
        generation: GenerationId(generation),
        start,
        end,
    }
}

fn part(span: Span, not_shipped: &[(Fate, u64)]) -> Part {
    Part {
        span,
        not_shipped: not_shipped.to_vec(),
    }
}

fn intent(batch: u64, parts: Vec<Part>, first_ms: i64, last_ms: i64) -> Record {
    Record::Intent(Intent {
        batch: BatchId(batch),
        target: target("i-1"),
        parts,
        first_ms,
        last_ms,
        sha256: [7; 32],
        sent_ms: last_ms,
    })
}

fn landed(batch: u64, parts: Vec<Part>) -> Record {
    Record::Landed(Landing {
        batch: BatchId(batch),
        parts,
        events: 3,
        at_ms: 1_700_000_000_000,
    })
}

fn state(records: &[Record]) -> State {
    let mut state = State::default();
    for record in records {
        state.apply(record).unwrap();
        state.check().unwrap();
    }
    state
}

/// A record that is refused changes nothing.
fn refused(state: &mut State, record: &Record) -> Contradiction {
    let before = state.clone();
    let contradiction = state.apply(record).unwrap_err();
    assert_eq!(*state, before);
    contradiction
}

#[test]
fn every_byte_has_one_fate_and_they_add_up() {
    let filtered = Fate::Filtered(Filtered::Pattern);
    let expired = Fate::Rejected(Rejected::Expired);
    let state = state(&[
        found(0, 100),
        Record::Seen {
            generation: GenerationId(0),
            size: 1_000,
        },
        intent(0, vec![part(span(0, 100, 400), &[(filtered, 50)])], 1, 2),
        landed(
            0,
            vec![part(span(0, 100, 400), &[(filtered, 50), (expired, 20)])],
        ),
        Record::Settled {
            span: span(0, 600, 900),
            fate: Fate::Lost(Lost::CopyTruncate),
        },
    ]);
    let generation = state.generation(GenerationId(0)).unwrap();
    assert_eq!(generation.seen(), 1_000);
    assert_eq!(generation.settled_to(), 400);
    assert_eq!(generation.totals().shipped(), 230);
    assert_eq!(generation.totals().of(filtered), 50);
    assert_eq!(generation.totals().of(expired), 20);
    assert_eq!(
        generation
            .totals()
            .of(Fate::Filtered(Filtered::BeforeStart)),
        100
    );
    assert_eq!(generation.totals().lost(), 300);
    assert_eq!(generation.pending(), 300);
    assert_eq!(generation.last_ms(), 1_700_000_000_000);
    assert_eq!(state.events_shipped(), 3);
    let all = state.overall();
    assert_eq!(all.seen, all.totals.sum() + all.pending);
}

#[test]
fn reading_goes_on_in_the_gaps_that_batches_out_of_order_leave() {
    let first = vec![part(span(0, 0, 100), &[])];
    let second = vec![part(span(0, 100, 200), &[])];
    let fourth = vec![part(span(0, 300, 400), &[])];
    let mut state = state(&[
        found(0, 0),
        intent(0, first, 1, 1),
        intent(1, second.clone(), 1, 1),
        intent(3, fourth.clone(), 1, 1),
        landed(1, second),
        landed(3, fourth),
    ]);
    let gap = |state: &State, at| state.next_gap(GenerationId(0), at).unwrap();
    assert_eq!(state.known()[0].settled_to, 0);
    // The first batch is in doubt, not to be read again.
    let third = Gap {
        start: 200,
        end: Some(300),
    };
    assert_eq!(gap(&state, 0), third);
    let open = Gap {
        start: 400,
        end: None,
    };
    assert_eq!(gap(&state, 300), open);
    state
        .apply(&Record::Withdrawn { batch: BatchId(0) })
        .unwrap();
    let withdrawn = Gap {
        start: 0,
        end: Some(100),
    };
    assert_eq!(gap(&state, 0), withdrawn);
    assert_eq!(state.next_gap(GenerationId(9), 0), None);
}

#[test]
fn nothing_is_settled_twice() {
    let parts = vec![part(span(0, 0, 100), &[])];
    let mut state = state(&[
        found(0, 0),
        intent(0, parts.clone(), 1, 1),
        landed(0, parts.clone()),
        intent(1, vec![part(span(0, 100, 200), &[])], 1, 1),
    ]);
    let late = Record::Settled {
        span: span(0, 99, 100),
        fate: Fate::Lost(Lost::Deleted),
    };
    assert_eq!(
        refused(&mut state, &late),
        Contradiction::SettledTwice(span(0, 99, 100))
    );
    assert_eq!(
        refused(&mut state, &landed(0, parts.clone())),
        Contradiction::UnknownBatch(BatchId(0))
    );
    assert_eq!(
        refused(&mut state, &intent(2, parts, 1, 1)),
        Contradiction::SettledTwice(span(0, 0, 100))
    );
    assert_eq!(
        refused(
            &mut state,
            &intent(2, vec![part(span(0, 150, 250), &[])], 1, 1)
        ),
        Contradiction::InFlightTwice(span(0, 150, 250))
    );
    let in_flight = Record::Settled {
        span: span(0, 100, 101),
        fate: Fate::Lost(Lost::Deleted),
    };
    assert_eq!(
        refused(&mut state, &in_flight),
        Contradiction::InFlightTwice(span(0, 100, 101))
    );
    let within = vec![part(span(0, 300, 350), &[]), part(span(0, 320, 330), &[])];
    assert_eq!(
        refused(&mut state, &intent(2, within, 1, 1)),
        Contradiction::InFlightTwice(span(0, 320, 330))
    );
}

#[test]
fn a_record_about_what_is_not_there_is_refused() {
    let mut state = state(&[
        found(0, 0),
        intent(4, vec![part(span(0, 0, 10), &[])], 1, 1),
    ]);
    for record in [
        Record::Ended {
            generation: GenerationId(1),
            size: 3,
        },
        Record::Settled {
            span: span(1, 0, 3),
            fate: Fate::Shipped,
        },
        intent(5, vec![part(span(1, 0, 10), &[])], 1, 1),
        Record::Forgotten {
            generation: GenerationId(1),
        },
    ] {
        assert_eq!(
            refused(&mut state, &record),
            Contradiction::UnknownGeneration(GenerationId(1))
        );
    }
    assert_eq!(
        refused(&mut state, &found(0, 0)),
        Contradiction::GenerationAgain(GenerationId(0))
    );
    assert_eq!(
        refused(&mut state, &intent(4, Vec::new(), 1, 1)),
        Contradiction::BatchAgain(BatchId(4))
    );
    assert_eq!(
        refused(&mut state, &landed(4, vec![part(span(0, 0, 9), &[])])),
        Contradiction::OtherSpans(BatchId(4))
    );
    let too_much = [(Fate::Filtered(Filtered::Empty), 11)];
    assert_eq!(
        refused(
            &mut state,
            &landed(4, vec![part(span(0, 0, 10), &too_much)])
        ),
        Contradiction::MoreThanSpan(span(0, 0, 10))
    );
    assert_eq!(
        refused(
            &mut state,
            &intent(5, vec![part(span(0, 20, 20), &[])], 1, 1)
        ),
        Contradiction::EmptySpan(span(0, 20, 20))
    );
}

#[test]
fn what_is_forgotten_stays_in_the_sums() {
    let parts = vec![part(span(0, 0, 100), &[])];
    let mut state = state(&[found(0, 0), found(1, 40), intent(0, parts.clone(), 1, 1)]);
    let forget = Record::Forgotten {
        generation: GenerationId(0),
    };
    assert_eq!(
        refused(&mut state, &forget),
        Contradiction::StillPending {
            generation: GenerationId(0),
            pending_bytes: 100
        }
    );
    state.apply(&landed(0, parts)).unwrap();
    let before = state.overall();
    state.apply(&forget).unwrap();
    state.check().unwrap();
    let after = state.overall();
    assert_eq!((after.followed, after.forgotten), (1, 1));
    assert_eq!(
        (after.seen, after.totals, after.pending),
        (before.seen, before.totals, before.pending)
    );
    assert_eq!(state.next_generation(), 2);
    assert_eq!(state.sets().len(), 1);
}

#[test]
fn growth_takes_back_the_end() {
    let mut state = state(&[
        found(0, 0),
        Record::Ended {
            generation: GenerationId(0),
            size: 10,
        },
    ]);
    assert_eq!(state.known()[0].ended, Some(10));
    let seen = |size| Record::Seen {
        generation: GenerationId(0),
        size,
    };
    state.apply(&seen(10)).unwrap();
    assert_eq!(state.known()[0].ended, Some(10));
    state.apply(&seen(11)).unwrap();
    assert_eq!(state.known()[0].ended, None);
}

#[test]
fn recalls_what_landed_in_a_window_of_a_stream() {
    let mut records = vec![found(0, 0)];
    for batch in 0..300 {
        let parts = vec![part(span(0, batch * 10, batch * 10 + 10), &[])];
        let at = batch as i64 * 1_000;
        records.push(intent(batch, parts.clone(), at, at + 999));
        records.push(landed(batch, parts));
    }
    let state = state(&records);
    assert_eq!(
        state.landed_spans(&target("i-1"), 298_999, 299_000),
        [span(0, 2_980, 2_990), span(0, 2_990, 3_000)]
    );
    assert!(state.landed_spans(&target("i-2"), 0, i64::MAX).is_empty());
    // Only the latest are kept.
    assert_eq!(state.landed_spans(&target("i-1"), 0, i64::MAX).len(), 128);
}

#[test]
fn what_meets_a_batch_in_doubt_is_not_forgotten() {
    let mut records = vec![
        found(0, 0),
        intent(0, vec![part(span(0, 0, 10), &[])], 1_000, 1_999),
    ];
    for batch in 1..400 {
        let parts = vec![part(span(0, batch * 10, batch * 10 + 10), &[])];
        let at = if batch % 100 == 1 { 1_500 } else { 9_000 };
        records.push(intent(batch, parts.clone(), at, at));
        records.push(landed(batch, parts));
    }
    let state = state(&records);
    assert_eq!(
        state.landed_spans(&target("i-1"), 1_000, 1_999),
        [1, 101, 201, 301].map(|batch| span(0, batch * 10, batch * 10 + 10))
    );
}

proptest! {
    #[test]
    fn the_account_adds_up_after_any_history(choices in choices(120)) {
        let (_, states) = history(&choices);
        for state in &states {
            prop_assert_eq!(state.check(), Ok(()));
            let all = state.overall();
            prop_assert_eq!(all.seen, all.totals.sum() + all.pending);
        }
    }

    #[test]
    fn a_snapshot_makes_an_equal_account(choices in choices(200)) {
        let (_, states) = history(&choices);
        let original = &states[states.len() - 1];
        let copy = state(&original.snapshot());
        prop_assert_eq!(&copy, original);
        prop_assert_eq!(copy.snapshot(), original.snapshot());
    }

    /// Records of one history against the account of another: refused or taken, never a panic, nothing half.
    #[test]
    fn a_record_is_taken_whole_or_not_at_all(one in choices(60), other in choices(60)) {
        let (_, states) = history(&one);
        let (records, _) = history(&other);
        let mut state = states[states.len() - 1].clone();
        for record in &records {
            let before = state.clone();
            if state.apply(record).is_err() {
                prop_assert_eq!(&state, &before);
            }
            prop_assert_eq!(state.check(), Ok(()));
        }
    }
}
