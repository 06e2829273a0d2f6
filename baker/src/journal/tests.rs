#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;

fn intent(kind: Kind, name: &str) -> Record {
    Record::Intent {
        kind,
        name: name.into(),
    }
}

fn created(kind: Kind, name: &str, id: &str) -> Record {
    Record::Created {
        kind,
        name: name.into(),
        id: id.into(),
    }
}

/// What a bake does, in order: a record reaches the disk, or AWS makes or removes a thing.
#[derive(Debug, Clone)]
enum Act {
    Write(Record),
    Appears(Kind, String),
    Vanishes(Kind, String),
    /// From here on the thing is the user's.
    HandedOver(Kind, String),
}

/// One thing's life: refused a few times under other names, then made, then perhaps removed or kept.
fn life(kind: Kind, prefix: &'static str, end: u8, refused: usize) -> Vec<Act> {
    let mut acts = Vec::new();
    for attempt in 0..refused {
        let name = format!("{prefix}-{attempt}");
        acts.push(Act::Write(intent(kind, &name)));
        acts.push(Act::Write(Record::Refused { kind, name }));
    }
    let name = format!("{prefix}-{refused}");
    acts.push(Act::Write(intent(kind, &name)));
    acts.push(Act::Appears(kind, name.clone()));
    acts.push(Act::Write(created(kind, &name, "id")));
    match end {
        0 => {
            acts.push(Act::Vanishes(kind, name.clone()));
            acts.push(Act::Write(Record::Removed { kind, name }));
        }
        1 => {
            acts.push(Act::HandedOver(kind, name.clone()));
            acts.push(Act::Write(Record::Kept { kind, name }));
        }
        _ => {}
    }
    acts
}

fn bake() -> impl Strategy<Value = Vec<Act>> {
    // Lives of different things interleave at random; each one's own order is kept.
    (0u8..3, 0u8..3, 0u8..3, 0usize..3, any::<u64>()).prop_map(
        |(group, instance, image, refused, seed)| {
            let mut lives = [
                life(Kind::SecurityGroup, "group", group, 0),
                life(Kind::Instance, "token", instance, refused),
                life(Kind::Image, "image", image, 0),
            ]
            .map(std::collections::VecDeque::from);
            let (mut acts, mut seed) = (Vec::new(), seed);
            while lives.iter().any(|life| !life.is_empty()) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if let Some(act) = lives[(seed >> 33) as usize % 3].pop_front() {
                    acts.push(act);
                }
            }
            acts
        },
    )
}

proptest! {
    /// Killed after any act, with the last line torn or whole: the plan covers whatever exists.
    #[test]
    fn every_prefix_of_a_bake_covers_all_that_may_exist(acts in bake(), cut in 0usize..40, torn in 0usize..60) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.jsonl");
        let (mut bytes, mut exists) = (Vec::new(), BTreeSet::new());
        let happened = &acts[..cut.min(acts.len())];
        for act in happened {
            match act {
                Act::Write(record) => {
                    bytes.extend(serde_json::to_vec(record).unwrap());
                    bytes.push(b'\n');
                }
                Act::Appears(kind, name) => { exists.insert((*kind, name.clone())); }
                Act::Vanishes(kind, name) | Act::HandedOver(kind, name) => { exists.remove(&(*kind, name.clone())); }
            }
        }
        // The record after the cut may have reached the disk in part.
        if let Some(Act::Write(record)) = acts.get(happened.len()) {
            let line = serde_json::to_vec(record).unwrap();
            bytes.extend(&line[..torn.min(line.len())]);
        }
        fs::write(&path, bytes).unwrap();

        let plan = cleanup_plan(&read(&path).unwrap());
        for thing in &exists {
            prop_assert!(
                plan.iter().any(|resource| (resource.kind, &resource.name) == (thing.0, &thing.1)),
                "{thing:?} is not in {plan:?}"
            );
        }
        // Nothing that was handed over is touched.
        for record in read(&path).unwrap() {
            if let Record::Kept { kind, name } = record {
                prop_assert!(!plan.iter().any(|resource| (resource.kind, &resource.name) == (kind, &name)));
            }
        }
    }
}

#[test]
fn instances_go_before_what_they_hold() {
    let plan = cleanup_plan(&[
        intent(Kind::SecurityGroup, "g"),
        created(Kind::SecurityGroup, "g", "sg-1"),
        intent(Kind::Instance, "t"),
        created(Kind::Instance, "t", "i-1"),
        intent(Kind::Image, "n"),
    ]);
    let kinds: Vec<_> = plan.iter().map(|resource| resource.kind).collect();
    assert_eq!(kinds, [Kind::Instance, Kind::Image, Kind::SecurityGroup]);
    assert_eq!(plan[0].id.as_deref(), Some("i-1"));
    assert_eq!(
        plan[1].id, None,
        "an intent without an answer is looked up by name"
    );
}

#[test]
fn what_was_written_is_read_back_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("state/baker/journal");
    let journal = Journal::create(&directory, "b-1", "123456789012", "eu-west-1").unwrap();
    journal.intend(Kind::Instance, "b-1-0").unwrap();
    journal.created(Kind::Instance, "b-1-0", "i-1").unwrap();
    journal.removed(Kind::Instance, "b-1-0").unwrap();
    journal.write(Record::Done).unwrap();
    assert_eq!(read(journal.path()).unwrap(), journal.records());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(journal.path()), 0o600);
    assert_eq!(mode(&directory), 0o700);
    assert!(outstanding(&journal.records()).is_empty());
}

#[test]
fn a_second_journal_of_the_same_bake_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Journal::create(folder.path(), "b-1", "123456789012", "eu-west-1").unwrap();
    let error = Journal::create(folder.path(), "b-1", "123456789012", "eu-west-1").unwrap_err();
    assert!(error.to_string().starts_with("cannot create the journal "));
}

#[test]
fn the_lock_tells_a_running_bake_from_a_dead_one() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::create(folder.path(), "b-1", "123456789012", "eu-west-1").unwrap();
    let path = journal.path().to_owned();
    assert!(is_alive(&path).unwrap());
    drop(journal);
    // A child that another test is just starting shares the lock until it becomes its program.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while is_alive(&path).unwrap() {
        assert!(
            std::time::Instant::now() < deadline,
            "the lock outlived its journal"
        );
        std::thread::yield_now();
    }
}

#[test]
fn damage_before_the_last_line_is_an_error_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.jsonl");
    fs::write(
        &path,
        "{\"record\":\"done\"}\n{\"rec\n{\"record\":\"done\"}\n",
    )
    .unwrap();
    let error = read(&path).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("line 2: "), "{source}");
}

#[test]
fn another_version_is_not_guessed_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.jsonl");
    fs::write(
        &path,
        "{\"record\":\"opened\",\"version\":2,\"bake_id\":\"b\",\"account\":\"1\",\"region\":\"r\",\"at\":\"t\"}\n",
    )
    .unwrap();
    let error = read(&path).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "it has version 2; this baker reads version 1");
}

#[test]
fn the_directory_follows_the_environment() {
    let with = |pairs: &'static [(&str, &str)]| {
        directory(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    };
    assert_eq!(
        with(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]),
        Some("/s/baker/journal".into())
    );
    assert_eq!(
        with(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]),
        Some("/h/.local/state/baker/journal".into())
    );
    assert_eq!(with(&[]), None);
}
