#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod crash;
mod disk;

use std::path::Path;

use crate::account::GenerationId;
use crate::ledger::memory::Memory;
use crate::ledger::recover::{Found, recover};
use crate::ledger::segment::{BODY, Header, written_to};
use crate::ledger::testing::{Choices, history};
use crate::ledger::{How, OpenError, Opened, Record, Slot, State, Store};

/// Small, so that histories reach its end.
const SMALL: u64 = 16 * 1024;

fn try_open(memory: &Memory, instance_id: &str) -> Result<Opened, OpenError> {
    Store::open_sized(
        Box::new(memory.clone()),
        Path::new("/state"),
        instance_id,
        SMALL,
    )
}

fn open(memory: &Memory) -> Opened {
    try_open(memory, "i-1").unwrap()
}

fn reopen(memory: &Memory) -> State {
    let opened = open(memory);
    assert!(
        matches!(opened.how, How::Resumed),
        "not resumed: {:?}",
        opened.how
    );
    opened.state
}

/// A history that is always the same.
fn some_history(records: u16) -> (Vec<Record>, Vec<State>) {
    let choices: Vec<Choices> = (0..records)
        .map(|each| {
            let mixed = u32::from(each).wrapping_mul(0x9E37_79B1);
            [
                each % 12,
                (mixed >> 16) as u16,
                mixed as u16,
                (mixed >> 8) as u16,
            ]
        })
        .collect();
    history(&choices)
}

/// A ledger that was written in several commits, and the accounts after each.
fn written(memory: &Memory) -> Vec<State> {
    let (records, states) = some_history(40);
    let mut store = open(memory).store;
    for record in &records {
        store.append(std::slice::from_ref(record));
        store.commit().unwrap();
    }
    states
}

#[test]
fn what_is_committed_survives_a_power_cut_and_what_is_flushed_the_process() {
    let (records, states) = some_history(30);
    let memory = Memory::new();
    let mut store = open(&memory).store;
    store.append(&records[..10]);
    store.commit().unwrap();
    store.append(&records[10..20]);
    store.flush().unwrap();
    store.append(&records[20..]);
    drop(store);
    let killed = Memory::new();
    for slot in [Slot::A, Slot::B] {
        killed.set_segment(slot, memory.segment(slot));
    }
    assert_eq!(reopen(&killed), states[20]);
    memory.crash(|| false);
    assert_eq!(reopen(&memory), states[10]);
}

#[test]
fn compaction_keeps_the_account_and_shortens_the_log() {
    let memory = Memory::new();
    let (records, states) = some_history(2_000);
    let mut store = open(&memory).store;
    let mut compactions = 0;
    for (at, record) in records.iter().enumerate() {
        store.append(std::slice::from_ref(record));
        store.flush().unwrap();
        if store.is_large() {
            store.compact(&states[at + 1].snapshot()).unwrap();
            assert!(!store.is_large());
            assert!(!store.is_dirty());
            compactions += 1;
        }
    }
    store.commit().unwrap();
    assert!(compactions > 3, "{compactions}");
    memory.crash(|| false);
    assert_eq!(reopen(&memory), states[2_000]);
}

#[test]
fn without_compaction_the_segment_grows() {
    let memory = Memory::new();
    let (records, states) = some_history(2_000);
    let mut store = open(&memory).store;
    for record in records.chunks(7) {
        store.append(record);
        store.commit().unwrap();
    }
    let length = [Slot::A, Slot::B].map(|slot| memory.segment(slot).unwrap().len() as u64);
    assert!(length[0].max(length[1]) >= 2 * SMALL);
    memory.crash(|| false);
    assert_eq!(reopen(&memory), states[2_000]);
}

#[test]
fn a_failing_medium_costs_nothing_once_it_works_again() {
    let (records, states) = some_history(60);
    for fails_for in [1, 2, 5] {
        for fails_from in 0..80 {
            let memory = Memory::new();
            let mut store = open(&memory).store;
            memory.fail(memory.operations() + fails_from, fails_for);
            for (at, record) in records.iter().enumerate() {
                store.append(std::slice::from_ref(record));
                let _ = match at % 10 {
                    3 => store.compact(&states[at + 1].snapshot()),
                    6 => store.flush(),
                    _ => store.commit(),
                };
            }
            memory.fail(0, 0);
            store.commit().unwrap();
            memory.crash(|| false);
            assert_eq!(reopen(&memory), states[60]);
        }
    }
}

#[test]
fn a_single_flipped_bit_is_harmless_or_sets_the_ledger_aside() {
    let memory = Memory::new();
    let states = written(&memory);
    let [whole_a, whole_b] = [Slot::A, Slot::B].map(|slot| memory.segment(slot).unwrap());
    let (mut harmless, mut aside) = (0, 0);
    for (slot, whole) in [(Slot::A, &whole_a), (Slot::B, &whole_b)] {
        let end = written_to(whole) as usize + 64;
        for at in (0..end).filter(|at| *at < 600 || *at >= 1_900) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            let (a, b) = match slot {
                Slot::A => (&flipped, &whole_b),
                Slot::B => (&whole_a, &flipped),
            };
            match recover(Some(a), Some(b)) {
                Found::Whole { state, .. } => {
                    assert_eq!(state, states[40], "byte {at} of {slot:?}");
                    harmless += 1;
                }
                Found::Damaged { state, .. } => {
                    assert!(states.contains(&state), "byte {at} of {slot:?}");
                    aside += 1;
                }
                Found::Nothing => {
                    panic!("from zero: byte {at} of {slot:?}")
                }
            }
        }
    }
    assert!(harmless > 1_000 && aside > 1_000, "{harmless} {aside}");
}

/// Unwritten sectors are what a power cut leaves, but not before what was synced.
#[test]
fn a_sector_that_was_lost_later_is_not_taken_for_one_that_was_never_written() {
    let memory = Memory::new();
    let (records, states) = some_history(40);
    let mut store = open(&memory).store;
    let mut last_frame = BODY;
    for record in &records {
        last_frame = store.synced_to;
        store.append(std::slice::from_ref(record));
        store.commit().unwrap();
    }
    drop(store);
    let [a, b] = [Slot::A, Slot::B].map(|slot| memory.segment(slot).unwrap());
    let without = |sector: usize| {
        let mut lost = a.clone();
        lost[sector..sector + 512].fill(0);
        recover(Some(&lost), Some(&b))
    };
    let (first, end) = (BODY as usize, written_to(&a) as usize);
    // It is the head of a later frame that vouches for an earlier one. So the loss of any sector is noticed that is
    // wholly before the head of the last frame.
    let vouched = last_frame as usize / 512 * 512;
    assert!(vouched > first + 3 * 512);
    for sector in (first..vouched).step_by(512) {
        let Found::Damaged { state, .. } = without(sector) else {
            panic!("the sector at {sector} of {end} is missing, and nobody misses it");
        };
        assert!(states.contains(&state), "{sector}");
    }
    // With the sector of that head, or one behind it, goes all that would tell the loss from a power cut amid frames that
    // were handed over and not yet synced. Those look the same to the byte, and have to be cut off silently.
    for sector in (vouched..end).step_by(512) {
        let Found::Whole { state, .. } = without(sector) else {
            panic!("the sector at {sector} of {end} was never written, and makes a difference");
        };
        assert!(states.contains(&state) && state != states[40], "{sector}");
    }

    // Of a snapshot, every sector was synced before its header was written.
    drop(open(&memory));
    let b = memory.segment(Slot::B).unwrap();
    for sector in (BODY as usize..written_to(&b) as usize).step_by(512) {
        let mut lost = b.clone();
        lost[sector..sector + 512].fill(0);
        let found = recover(Some(&a), Some(&lost));
        assert!(matches!(found, Found::Damaged { .. }), "{sector}");
    }
}

#[test]
fn a_ledger_cut_anywhere_is_set_aside_with_what_it_held() {
    let memory = Memory::new();
    let states = written(&memory);
    let [a, b] = [Slot::A, Slot::B].map(|slot| memory.segment(slot).unwrap());
    // The ledger was fresh, so it is in the first segment.
    let end = written_to(&a) as usize;
    let mut kept = 0;
    for cut in 0..=end {
        let Found::Damaged { state, .. } = recover(Some(&a[..cut]), Some(&b)) else {
            panic!("cut to {cut} bytes, and trusted");
        };
        let is = states.iter().position(|each| *each == state).unwrap();
        assert!(is >= kept, "cut to {cut} bytes: {is} records");
        kept = is;
    }
    assert_eq!(kept, 40);
}

#[test]
fn a_damaged_ledger_is_set_aside_and_goes_on_with_what_holds() {
    let memory = Memory::new();
    let states = written(&memory);
    let mut a = memory.segment(Slot::A).unwrap();
    let middle = (BODY as usize + written_to(&a) as usize) / 2;
    a[middle] ^= 0x10;
    memory.set_segment(Slot::A, Some(a));

    // Nothing is changed before the first commit.
    for _ in 0..2 {
        let opened = open(&memory);
        let How::SetAside { why, .. } = &opened.how else {
            panic!("{:?}", opened.how);
        };
        assert!(why.contains("ledger.a is damaged at byte"), "{why}");
        assert!(memory.asides().is_empty());
    }
    let mut opened = open(&memory);
    let salvaged = opened.state.clone();
    assert!(states.contains(&salvaged) && salvaged != states[0] && salvaged != states[40]);
    opened.store.commit().unwrap();
    assert_eq!(memory.asides().len(), 1);
    memory.crash(|| false);
    assert_eq!(reopen(&memory), salvaged);
    assert_eq!(memory.asides().len(), 1);
}

#[test]
fn setting_aside_survives_a_failure_at_any_step() {
    for fails_at in 0..6 {
        let memory = Memory::new();
        written(&memory);
        let mut a = memory.segment(Slot::A).unwrap();
        a[BODY as usize + 300] ^= 1;
        memory.set_segment(Slot::A, Some(a));
        let mut opened = open(&memory);
        memory.fail(memory.operations() + fails_at, 1);
        let more = Record::Counters {
            next_generation: 1_000,
            next_batch: 0,
            events: 0,
        };
        let first = opened.store.commit();
        opened.store.append(std::slice::from_ref(&more));
        let second = opened.store.commit();
        assert!(fails_at > 3 || first.is_err() || second.is_err());
        opened.store.commit().unwrap();
        opened.state.apply(&more).unwrap();
        memory.fail(0, 0);
        memory.crash(|| false);
        assert_eq!(reopen(&memory), opened.state);
        assert_eq!(memory.asides().len(), 1);
    }
}

#[test]
fn a_ledger_of_a_newer_version_is_set_aside() {
    let memory = Memory::new();
    written(&memory);
    let mut page = Header {
        epoch: 9,
        snapshot_end: BODY,
        size: SMALL,
        instance_id: "i-1".to_owned(),
    }
    .encode();
    // Every version begins with magic, version, length and checksum.
    for copy in [0, 2048] {
        let length = u32::from_le_bytes(page[copy + 12..copy + 16].try_into().unwrap()) as usize;
        page[copy + 8] = 3;
        page[copy + 16..copy + 20].fill(0);
        let crc = crc32fast::hash(&page[copy..copy + length]);
        page[copy + 16..copy + 20].copy_from_slice(&crc.to_le_bytes());
    }
    let mut b = memory.segment(Slot::B).unwrap();
    b[..page.len()].copy_from_slice(&page);
    memory.set_segment(Slot::B, Some(b));
    let opened = open(&memory);
    let How::SetAside { why, .. } = &opened.how else {
        panic!("{:?}", opened.how);
    };
    assert!(why.contains("ledger.b is of version 3"), "{why}");
    assert!(why.contains("first start"), "{why}");
    assert!(opened.state.is_empty());
}

#[test]
fn another_instances_ledger_stays_its_own_until_the_first_commit() {
    let memory = Memory::new();
    let states = written(&memory);
    for _ in 0..2 {
        let opened = try_open(&memory, "i-2").unwrap();
        let How::OtherInstance {
            instance_id, state, ..
        } = &opened.how
        else {
            panic!("{:?}", opened.how);
        };
        assert_eq!(instance_id, "i-1");
        assert_eq!(**state, states[40]);
        assert!(opened.state.is_empty());
    }
    let mut opened = try_open(&memory, "i-2").unwrap();
    let (records, new_states) = some_history(5);
    opened.store.append(&records);
    opened.store.commit().unwrap();
    memory.crash(|| false);
    let again = try_open(&memory, "i-2").unwrap();
    assert!(matches!(again.how, How::Resumed));
    assert_eq!(again.state, new_states[5]);
    // Set aside under a name that holds no more than letters, digits and dashes of the id.
    assert_eq!(memory.asides(), [Path::new("ledger.of-i-1")]);
    assert!(matches!(
        try_open(&memory, "i-1").unwrap().how,
        How::OtherInstance { .. }
    ));
}

#[test]
fn a_missing_segment_is_no_fresh_start() {
    for slot in [Slot::A, Slot::B] {
        let memory = Memory::new();
        written(&memory);
        memory.set_segment(slot, None);
        let how = open(&memory).how;
        assert!(matches!(how, How::SetAside { .. }), "{how:?}");
    }
}

#[test]
fn an_interrupted_beginning_is_a_fresh_start() {
    for fails_from in 0..2 {
        let memory = Memory::new();
        memory.fail(fails_from, 1);
        assert!(matches!(
            try_open(&memory, "i-1"),
            Err(OpenError::Segment { .. })
        ));
        memory.crash(|| false);
        assert!(matches!(open(&memory).how, How::Fresh));
        assert!(reopen(&memory).is_empty());
    }
}

#[test]
fn an_instance_needs_an_id_that_fits() {
    let memory = Memory::new();
    for id in [String::new(), "i".repeat(256)] {
        assert!(matches!(
            try_open(&memory, &id),
            Err(OpenError::InstanceId(_))
        ));
    }
    assert!(try_open(&memory, &"i".repeat(255)).is_ok());
}

#[test]
fn frames_of_an_older_use_of_the_segment_are_not_taken_for_new_ones() {
    let memory = Memory::new();
    let states = written(&memory);
    let old = memory.segment(Slot::A).unwrap();
    // Twice compacted, the account is in the first segment again, and what it held is gone.
    drop(open(&memory));
    drop(open(&memory));
    let mut new = memory.segment(Slot::A).unwrap();
    let end = written_to(&new) as usize;
    assert!(new[end..].iter().all(|byte| *byte == 0));
    // Were it not, it would still be nothing.
    let at = end.next_multiple_of(8);
    new[at..].copy_from_slice(&old[at..]);
    memory.set_segment(Slot::A, Some(new));
    let state = open(&memory).state;
    assert_eq!(state, states[40]);
    assert!(state.generation(GenerationId(0)).is_some());
}
