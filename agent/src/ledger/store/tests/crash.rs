//! A crash at any instant: what was committed is there, the rest is there or not, nothing is there by half.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Memory, State, open, reopen, some_history, try_open};
use crate::ledger::How;
use crate::ledger::testing::{Choices, next_record};

#[derive(Debug, Clone)]
enum Step {
    Record(Choices),
    Flush,
    Commit,
    Compact,
    /// The process ends.
    Kill,
    /// The process ends, and the system has forgotten what it could not write.
    KillAndEvict,
    /// The host ends; which sectors are written is drawn from this seed.
    PowerCut(u64),
    /// The process ends, and the host while the next one opens the ledger: after so many operations.
    PowerCutInOpening(u64, u64),
    /// So many operations from now, so many fail.
    Fail(u64, u64),
    /// So many operations from now, the process has ended; what it has done so far is seen at the next of the above.
    Stop(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => any::<Choices>().prop_map(Step::Record),
        3 => Just(Step::Flush),
        3 => Just(Step::Commit),
        1 => Just(Step::Compact),
        1 => Just(Step::Kill),
        1 => Just(Step::KillAndEvict),
        1 => any::<u64>().prop_map(Step::PowerCut),
        1 => (0_u64..12, any::<u64>()).prop_map(|(after, seed)| Step::PowerCutInOpening(after, seed)),
        1 => (0_u64..6, 1_u64..4).prop_map(|(from, count)| Step::Fail(from, count)),
        1 => (0_u64..6).prop_map(Step::Stop),
    ];
    prop::collection::vec(step, 0..120)
}

/// What may be found after a crash.
struct Promised {
    /// The account after each record since the last start.
    states: Vec<State>,
    /// So many records survive the process.
    flushed: usize,
    /// So many survive the host.
    committed: usize,
    /// The numbers of records that were handed over together: nothing in between may be found.
    handed_over: Vec<usize>,
}

impl Promised {
    fn since(state: State) -> Self {
        Promised {
            states: vec![state],
            flushed: 0,
            committed: 0,
            handed_over: vec![0],
        }
    }

    fn now(&self) -> usize {
        self.states.len() - 1
    }

    fn allows(&self, found: &State, at_least: usize) -> bool {
        self.handed_over
            .iter()
            .any(|records| *records >= at_least && self.states[*records] == *found)
    }
}

fn cut_power(memory: &Memory, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    memory.crash(|| random.random());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn nothing_that_was_promised_is_lost_and_nothing_is_there_by_half(steps in steps()) {
        let memory = Memory::new();
        let mut store = open(&memory).store;
        let mut promised = Promised::since(State::default());
        for step in steps {
            let last = promised.states[promised.now()].clone();
            let crash = match step {
                Step::Record(choices) => {
                    let record = next_record(&last, choices);
                    let mut state = last;
                    state.apply(&record).unwrap();
                    store.append(&[record]);
                    promised.states.push(state);
                    None
                }
                Step::Flush => {
                    promised.handed_over.push(promised.now());
                    if store.flush().is_ok() {
                        promised.flushed = promised.now();
                    }
                    None
                }
                Step::Commit | Step::Compact => {
                    promised.handed_over.push(promised.now());
                    let done = match step {
                        Step::Commit => store.commit(),
                        _ => store.compact(&last.snapshot()),
                    };
                    if done.is_ok() {
                        promised.flushed = promised.now();
                        promised.committed = promised.now();
                    }
                    None
                }
                Step::Fail(from, count) => {
                    memory.fail(memory.operations() + from, count);
                    None
                }
                Step::Stop(from) => {
                    memory.stop(Some(memory.operations() + from));
                    None
                }
                Step::Kill => Some(promised.flushed),
                Step::KillAndEvict => {
                    memory.evict();
                    Some(promised.committed)
                }
                Step::PowerCut(seed) => {
                    cut_power(&memory, seed);
                    Some(promised.committed)
                }
                Step::PowerCutInOpening(after, seed) => {
                    memory.fail(0, 0);
                    memory.stop(Some(memory.operations() + after));
                    let _ = try_open(&memory, "i-1");
                    cut_power(&memory, seed);
                    Some(promised.committed)
                }
            };
            if let Some(at_least) = crash {
                drop(store);
                memory.fail(0, 0);
                memory.stop(None);
                let opened = open(&memory);
                prop_assert!(matches!(opened.how, How::Resumed), "{:?}", opened.how);
                prop_assert!(
                    promised.allows(&opened.state, at_least),
                    "{at_least} of {} records were promised",
                    promised.now()
                );
                store = opened.store;
                promised = Promised::since(opened.state);
            }
        }
    }
}

/// Runs the same work until the medium dies at each of its operations in turn, and cuts the power.
#[test]
fn the_power_may_be_cut_at_every_operation() {
    let (records, states) = some_history(60);
    let work = |memory: &Memory| -> (usize, usize) {
        let mut store = open(memory).store;
        let mut committed = 0;
        for (at, record) in records.iter().enumerate() {
            store.append(std::slice::from_ref(record));
            let done = match at % 12 {
                5 => store.compact(&states[at + 1].snapshot()),
                2 | 3 | 7 => {
                    if store.flush().is_err() {
                        return (committed, at + 1);
                    }
                    continue;
                }
                4 => continue,
                _ => store.commit(),
            };
            match done {
                Ok(()) => committed = at + 1,
                Err(_) => return (committed, at + 1),
            }
        }
        (committed, records.len())
    };
    let whole = Memory::new();
    assert_eq!(work(&whole), (60, 60));
    // Both replacements of a new ledger come first.
    for dies_at in 2..whole.operations() {
        for seed in 0..6_u64 {
            let memory = Memory::new();
            memory.fail(dies_at, u64::MAX);
            let (committed, attempted) = work(&memory);
            memory.fail(0, 0);
            let mut random = StdRng::seed_from_u64(seed);
            memory.crash(|| match seed {
                0 => false,
                1 => true,
                _ => random.random(),
            });
            let found = reopen(&memory);
            assert!(
                states[committed..=attempted].contains(&found),
                "operation {dies_at}, seed {seed}"
            );
        }
    }
}

/// A process ends somewhere in a compaction, or the medium fails there and it ends soon after; the next one opens the
/// ledger, and somewhere there the power is cut.
#[test]
fn the_power_may_be_cut_while_a_ledger_is_opened() {
    /// Compacting and opening each take fewer.
    const MOST_OPERATIONS: u64 = 12;
    let (records, states) = some_history(60);
    let mut compacted = [0, 0];
    let sweep = (0..MOST_OPERATIONS)
        .flat_map(|ends| (0..MOST_OPERATIONS).map(move |cut| (ends, cut)))
        .flat_map(|(ends, cut)| (0..24_u64).map(move |seed| (ends, cut, seed)));
    for (ends, cut, seed) in sweep {
        let memory = Memory::with_luck(seed);
        let mut store = open(&memory).store;
        for at in [20, 40] {
            store.append(&records[at - 20..at]);
            store.commit().unwrap();
            store.compact(&states[at].snapshot()).unwrap();
        }
        // With the last third, the snapshot says more than the old segment.
        store.append(&records[40..]);
        let before = memory.operations();
        if seed % 2 == 0 {
            memory.stop(Some(before + ends));
        } else {
            memory.fail(before + ends, 1);
        }
        let done = store.compact(&states[60].snapshot()).is_ok();
        if !done {
            memory.stop(Some(memory.operations() + seed / 2 % 3));
            let _ = store.commit();
        }
        drop(store);
        memory.fail(0, 0);
        memory.stop(Some(memory.operations() + cut));
        let opened = try_open(&memory, "i-1").is_ok();
        assert!(opened || cut + 1 < MOST_OPERATIONS);
        cut_power(&memory, seed);
        memory.stop(None);
        let found = reopen(&memory);
        let whole = found == states[60];
        assert!(
            whole || !done && found == states[40],
            "ended at {ends}, cut at {cut}, seed {seed}"
        );
        compacted[usize::from(whole)] += 1;
    }
    assert!(compacted[0] > 500 && compacted[1] > 500, "{compacted:?}");
}

/// Zeros that are read back after a failed sync are not on the disk.
#[test]
fn what_a_failed_sync_left_on_the_disk_is_not_taken_for_the_end_of_a_frame() {
    let (records, states) = some_history(60);
    for (fails_at, seed) in (0..6).flat_map(|at| (0..8).map(move |seed| (at, seed))) {
        let memory = Memory::with_luck(seed);
        let mut store = open(&memory).store;
        store.append(&records);
        store.commit().unwrap();
        // The first segment is full of old frames now, and written over with a shorter account.
        let few = states[1].snapshot();
        store.compact(&few).unwrap();
        memory.fail(memory.operations() + fails_at, 1);
        let _ = store.compact(&few);
        drop(store);
        memory.fail(0, 0);
        assert_eq!(reopen(&memory), states[1]);
        memory.crash(|| false);
        assert_eq!(reopen(&memory), states[1]);
        memory.crash(|| false);
        assert_eq!(reopen(&memory), states[1]);
    }
}

/// One commit of several sectors, and every way in which some of them were not written.
#[test]
fn a_torn_commit_is_there_or_not_whichever_sectors_were_written() {
    const MOST_SECTORS: u32 = 10;
    let (records, states) = some_history(60);
    let mut outcomes = [0, 0];
    for written in 0..1_u32 << MOST_SECTORS {
        let memory = Memory::new();
        let mut store = open(&memory).store;
        store.append(&records[..20]);
        store.commit().unwrap();
        store.append(&records[20..]);
        store.flush().unwrap();
        let mut sectors = 0;
        memory.crash(|| {
            sectors += 1;
            written >> (sectors - 1) & 1 == 1
        });
        assert!(sectors <= MOST_SECTORS, "{sectors}");
        if written >> sectors != 0 {
            // All combinations of its sectors have been tried.
            break;
        }
        let whole = written + 1 == 1 << sectors;
        let expected = &states[if whole { 60 } else { 20 }];
        assert_eq!(&reopen(&memory), expected, "{written:b}");
        outcomes[usize::from(whole)] += 1;
    }
    assert!(outcomes[0] > 10 && outcomes[1] == 1, "{outcomes:?}");
}
