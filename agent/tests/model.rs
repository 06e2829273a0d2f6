//! The pipeline against a model: random writes, rotations, truncations, deletions, kills, restarts, faults of the
//! service and jumps of the clock, in a simulated world. What must arrive, arrives once.
//!
//! The files are real, in a directory of their own; the clock, the service and the ledger's disk are simulated, so a run
//! is decided by its actions alone, and proptest shrinks what fails to the few actions that matter.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "model/service.rs"]
mod service;
#[path = "model/world.rs"]
mod world;
#[path = "model/writer.rs"]
mod writer;

use proptest::prelude::*;

use service::Fault;
use world::World;

const FILES: usize = 3;

/// Something that happens.
#[derive(Debug, Clone)]
enum Action {
    /// Lines are written; with `repeat`, the last of them several times.
    Write {
        file: usize,
        lines: usize,
        repeat: usize,
    },
    /// Half a line is written. The rest follows with whatever is done next to the file.
    Half { file: usize },
    /// The file is renamed, and a new one is begun.
    Rename { file: usize },
    /// The file is copied, lines are written meanwhile, and it is truncated.
    CopyTruncate { file: usize, meanwhile: usize },
    /// The file's newest rotated copy is compressed.
    Compress { file: usize },
    /// The file is truncated: what was not read is gone.
    Truncate { file: usize },
    /// The file is deleted, and a new one is begun.
    Delete { file: usize },
    /// Time passes.
    Pass { ms: u64 },
    /// The agent is killed, with or without the power going off, and started again after a while.
    Kill { power: bool, down: bool },
    /// The agent that was down is started.
    Start,
    /// The next calls meet a fault.
    Fail { fault: Fault, calls: usize },
    /// The host's clock jumps.
    Jump { ms: i64 },
}

fn action() -> impl Strategy<Value = Action> {
    let file = 0..FILES;
    prop_oneof![
        8 => (file.clone(), 1..30usize, 1..4usize).prop_map(|(file, lines, repeat)| Action::Write { file, lines, repeat }),
        2 => file.clone().prop_map(|file| Action::Half { file }),
        2 => file.clone().prop_map(|file| Action::Rename { file }),
        2 => (file.clone(), 0..5usize).prop_map(|(file, meanwhile)| Action::CopyTruncate { file, meanwhile }),
        1 => file.clone().prop_map(|file| Action::Compress { file }),
        1 => file.clone().prop_map(|file| Action::Truncate { file }),
        1 => file.prop_map(|file| Action::Delete { file }),
        8 => (0..3_000u64).prop_map(|ms| Action::Pass { ms }),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(power, down)| Action::Kill { power, down }),
        1 => Just(Action::Start),
        2 => (Fault::any(), 1..6usize).prop_map(|(fault, calls)| Action::Fail { fault, calls }),
        1 => (-5_000..5_000i64).prop_map(|ms| Action::Jump { ms }),
    ]
}

fn run(actions: Vec<Action>, seed: u64) -> Result<(), TestCaseError> {
    let mut world = World::new(FILES, seed);
    for action in actions {
        match action {
            Action::Write {
                file,
                lines,
                repeat,
            } => world.writer.write(file, lines, repeat, world.now.unix_ms),
            Action::Half { file } => world.writer.half(file, world.now.unix_ms),
            Action::Rename { file } => world.writer.rename(file),
            // Of a file whose beginning the agent never saw, nothing can be recognised afterwards.
            Action::CopyTruncate { file, .. } | Action::Delete { file }
                if !world.writer.is_known(file) => {}
            Action::CopyTruncate { file, meanwhile } => {
                let unix_ms = world.now.unix_ms;
                world.writer.copy(file);
                world.writer.write(file, meanwhile, 1, unix_ms);
                world.writer.truncate_after_copy(file);
            }
            Action::Compress { file } => world.writer.compress(file),
            Action::Truncate { file } => world.writer.truncate(file),
            Action::Delete { file } => world.writer.delete(file),
            Action::Pass { ms } => world.pass(ms)?,
            Action::Kill { power, down } => {
                world.kill(power);
                if !down {
                    world.start();
                }
            }
            Action::Start => world.start(),
            Action::Fail { fault, calls } => world.service.fail(fault, calls),
            Action::Jump { ms } => world.jump_ms += ms,
        }
    }
    world.finish()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64),
        max_shrink_iters: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Promises 1 and 2: the account adds up at every instant, and every line is at rest exactly once.
    #[test]
    fn every_line_arrives_once(actions in prop::collection::vec(action(), 1..40), seed in any::<u64>()) {
        run(actions, seed)?;
    }
}
