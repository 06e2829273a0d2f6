#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use crate::account::GenerationId;
use crate::ledger::memory::Memory;
use crate::ledger::{How, Opened, Record, Store};

fn open(memory: &Memory) -> Opened {
    Store::open_on(Box::new(memory.clone()), Path::new("/state"), "i-1").unwrap()
}

#[test]
fn what_is_committed_is_there_again() {
    let memory = Memory::new();
    let mut first = open(&memory);
    assert!(matches!(first.how, How::Fresh));
    let counters = Record::Counters {
        next_generation: 7,
        next_batch: 9,
        events: 1,
    };
    first.state.apply(&counters).unwrap();
    first.store.append(&[counters]);
    first.store.commit().unwrap();
    memory.crash(|| false);
    let second = open(&memory);
    assert!(matches!(second.how, How::Resumed));
    assert_eq!(second.state, first.state);
    assert_eq!(
        GenerationId(second.state.next_generation()),
        GenerationId(7)
    );
}
