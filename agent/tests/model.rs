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

use std::time::Duration;

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
    /// The last line is written once more, to the letter.
    Again { file: usize },
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
        3 => file.clone().prop_map(|file| Action::Again { file }),
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
            Action::Again { file } => world.writer.again(file),
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

/// Framed again after a crash, the first part of a line that was shipped unfinished must not become one event with the
/// rest: neither part would be found in the stream.
#[test]
fn the_parts_of_a_line_that_was_shipped_unfinished_arrive_once_each() {
    for kill_after_ms in [0, 1, 40, 120, 300, 600, 1_100, 1_900, 5_200, 7_000] {
        for fault in [
            Fault::BrokenAfter,
            Fault::BrokenBefore,
            Fault::InternalAfter,
        ] {
            let mut world = World::holding(1, 7, Duration::from_millis(100));
            world.writer.write(0, 2, 1, world.now.unix_ms);
            world.pass(2_000).unwrap();
            // Sent at once; what comes now gathers in a batch of half a second, both parts of the line in it.
            world.writer.write(0, 2, 1, world.now.unix_ms);
            world.pass(30).unwrap();
            world.service.fail(fault, 1);
            world.writer.half(0, world.now.unix_ms);
            world.pass(200).unwrap();
            world.writer.complete(0);
            world.pass(kill_after_ms).unwrap();
            world.kill(true);
            world.start();
            world.pass(60_000).unwrap();
            let mut lines = world.writer.written.keys();
            let whole = lines.find(|(text, _)| text.ends_with("and so on")).unwrap();
            let mut parts: Vec<(&str, usize)> = Vec::new();
            for ((message, _), times) in &world.service.arrived {
                if whole.0.starts_with(message.as_str()) || whole.0.ends_with(message.as_str()) {
                    parts.push((message, *times));
                }
            }
            parts.sort_by_key(|(part, _)| whole.0.find(part));
            let text: String = parts.iter().map(|(part, _)| *part).collect();
            assert_eq!(text, whole.0, "{fault:?}, killed after {kill_after_ms} ms");
            assert!(
                parts.iter().all(|(_, times)| *times == 1),
                "{parts:?} with {fault:?}, killed after {kill_after_ms} ms"
            );
        }
    }
}
