//! Random but possible histories, for properties of the fold and of the store.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use crate::account::{BatchId, Fate, GenerationId, Head, Identity, Mark, Part, Print, Span};
use crate::target::{GroupClass, Target};

use super::fates::FATES;
use super::{Intent, Landing, Record, State};

/// Numbers that [`next_record`] makes its choices by; shrinking them makes histories simpler.
pub(super) type Choices = [u16; 4];

/// The choices of a whole history.
pub(super) fn choices(records: usize) -> impl Strategy<Value = Vec<Choices>> {
    prop::collection::vec(any::<Choices>(), 0..records)
}

pub(super) fn target(number: u16) -> Arc<Target> {
    Arc::new(Target {
        group: "jenkins.example.com".to_owned(),
        stream: format!("i-{number}"),
        retention_days: (number > 0).then_some(30),
        class: GroupClass::Standard,
    })
}

/// A record that is possible after `state`.
pub(super) fn next_record(state: &State, [kind, which, place, length]: Choices) -> Record {
    let known: Vec<GenerationId> = state.generations().map(|(id, _)| id).collect();
    let in_flight: Vec<&Intent> = state.unresolved().collect();
    let generation = (!known.is_empty()).then(|| known[usize::from(which) % known.len()]);
    let sent = (!in_flight.is_empty()).then(|| in_flight[usize::from(which) % in_flight.len()]);
    match (kind % 12, generation, sent) {
        (1..=4, Some(id), _) => intent(state, &[(id, place, length)]),
        (5, Some(id), _) => intent(state, &[(known[0], place, length), (id, length, place)]),
        (6 | 7, _, Some(intent)) => landed(intent, length),
        (8, _, Some(intent)) if place.is_multiple_of(2) => Record::Withdrawn {
            batch: intent.batch,
        },
        (8, Some(id), _) => free(state, id, place, length).map_or_else(
            || found(state, which, length),
            |span| Record::Settled {
                span,
                fate: FATES[usize::from(kind / 12) % FATES.len()],
            },
        ),
        (9, Some(generation), _) => Record::Seen {
            generation,
            size: u64::from(length),
        },
        (10, Some(generation), _) => match place % 6 {
            0 => Record::Moved {
                generation,
                path: match which % 2 {
                    0 => PathBuf::from(format!("/var/log/app.log.{length}")),
                    _ => PathBuf::from(format!("/var/log/old/app.log.{length}")),
                },
            },
            1 => Record::Ended {
                generation,
                size: u64::from(length),
            },
            2 => Record::Identified {
                generation,
                head: Head {
                    start: u64::from(which % 2) * 4096,
                    bytes: u32::from(length),
                    hash: u64::from(place) << 40,
                },
            },
            4 => Record::Printed {
                generation,
                print: Box::new(Print {
                    born_ns: which
                        .is_multiple_of(2)
                        .then_some(-i64::from(length) * 1_000_000),
                    modified_ns: Some(i64::from(which) << 40),
                    moved_to: which
                        .is_multiple_of(3)
                        .then_some((u64::from(length), u64::from(place))),
                    base: u64::from(which % 3),
                    marks: (1..=u64::from(length % 4))
                        .map(|n| Mark {
                            to: n * u64::from(place),
                            crc: u32::from(length) << 9,
                        })
                        .collect(),
                }),
            },
            3 => Record::Aimed {
                generation,
                target: target(length % 3),
            },
            _ if length % 7 == 0 => Record::Refused {
                count: u64::from(length / 7),
                what: format!("number {which}"),
                at_ms: i64::from(length),
            },
            _ => found(state, which, length),
        },
        (11, Some(_), _) => state
            .generations()
            .find(|(_, each)| each.pending() == 0)
            .map_or_else(
                || found(state, which, length),
                |(generation, _)| Record::Forgotten { generation },
            ),
        _ => found(state, which, length),
    }
}

/// The history that these choices make: every record, and the account after each.
pub(super) fn history(choices: &[Choices]) -> (Vec<Record>, Vec<State>) {
    let mut records = Vec::new();
    let mut states = vec![State::default()];
    for each in choices {
        let mut state = states[states.len() - 1].clone();
        let record = next_record(&state, *each);
        if let Err(contradiction) = state.apply(&record) {
            panic!("{record:?} was to be possible: {contradiction}");
        }
        records.push(record);
        states.push(state);
    }
    (records, states)
}

fn found(state: &State, which: u16, length: u16) -> Record {
    let generation = GenerationId(state.next_generation());
    let identity = Identity {
        device: 2049,
        inode: u64::from(which),
        head: Head::default(),
    };
    let set = format!("/var/log/{}/*.log", which % 3).into();
    let path = PathBuf::from("/var/log/app.log");
    let target = target(which % 3);
    let from = u64::from(length % 3) * 100;
    let at_ms = 1_699_999_999_000;
    match length % 5 {
        0 => Record::Continued {
            generation,
            identity,
            set,
            path,
            target,
            from,
            at_ms,
        },
        _ => Record::Found {
            generation,
            identity,
            set,
            path,
            target,
            from,
            at_ms,
        },
    }
}

/// Some of the bytes of the first gap behind a place.
fn free(state: &State, id: GenerationId, place: u16, length: u16) -> Option<Span> {
    let gap = state.next_gap(id, u64::from(place % 1_000))?;
    let wanted = gap.start + 1 + u64::from(length % 500);
    Some(Span {
        generation: id,
        start: gap.start,
        end: gap.end.map_or(wanted, |end| end.min(wanted)),
    })
}

fn part(span: Span, choice: u16) -> Part {
    let fate: Fate = FATES[usize::from(choice) % FATES.len()];
    let bytes = u64::from(choice / 16) % (span.bytes() + 1);
    Part {
        span,
        not_shipped: if choice.is_multiple_of(2) {
            vec![(fate, bytes)]
        } else {
            Vec::new()
        },
    }
}

fn intent(state: &State, places: &[(GenerationId, u16, u16)]) -> Record {
    let mut parts: Vec<Part> = Vec::new();
    for (id, place, length) in places {
        let Some(span) = free(state, *id, *place, *length) else {
            continue;
        };
        let meets = |other: &Part| {
            other.span.generation == span.generation
                && other.span.start < span.end
                && span.start < other.span.end
        };
        if !parts.iter().any(meets) {
            parts.push(part(span, *length));
        }
    }
    let first_ms = 1_700_000_000_000 + i64::from(places[0].1);
    Record::Intent(Intent {
        batch: BatchId(state.next_batch()),
        target: target(places[0].2 % 3),
        parts,
        first_ms,
        last_ms: first_ms + i64::from(places[0].2),
        sha256: [places[0].1 as u8; 32],
        sent_ms: -1,
    })
}

fn landed(intent: &Intent, choice: u16) -> Record {
    Record::Landed(Landing {
        batch: intent.batch,
        parts: intent
            .parts
            .iter()
            .map(|each| part(each.span, choice))
            .collect(),
        events: u64::from(choice),
        at_ms: intent.last_ms + 5,
    })
}
