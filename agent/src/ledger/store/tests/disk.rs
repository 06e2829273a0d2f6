//! On a real file system.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};

use super::{How, OpenError, Record, Store, some_history};
use crate::ledger::LockError;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_ledger_on_disk_is_for_its_owner_alone_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("lib/baker-agent");
    let (records, states) = some_history(50);
    let mut first = Store::open(&state, "i-1").unwrap();
    assert!(matches!(first.how, How::Fresh));
    for record in &records[..40] {
        first.store.append(std::slice::from_ref(record));
        first.store.commit().unwrap();
    }
    assert_eq!(mode(&state), 0o700);
    for file in ["ledger.a", "ledger.b", "ledger.lock"] {
        assert_eq!(mode(&state.join(file)), 0o600, "{file}");
    }
    drop(first);
    let mut second = Store::open(&state, "i-1").unwrap();
    assert!(matches!(second.how, How::Resumed));
    assert_eq!(second.state, states[40]);
    second.store.append(&records[40..]);
    second.store.flush().unwrap();
    drop(second);
    assert_eq!(Store::open(&state, "i-1").unwrap().state, states[50]);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 3);
}

#[test]
fn a_second_agent_is_told_who_has_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let first = Store::open(directory.path(), "i-1").unwrap();
    let error = Store::open(directory.path(), "i-1").unwrap_err();
    let OpenError::Lock(LockError::InUse { pid, .. }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(error.to_string().contains("stop it first"), "{error}");
    drop(first);
    Store::open(directory.path(), "i-1").unwrap();
}

#[test]
fn a_directory_that_is_none_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("state"), "i-1").unwrap_err();
    assert!(
        matches!(&error, OpenError::Lock(LockError::Directory { directory, .. }) if directory.starts_with(&file)),
        "{error}"
    );
}

#[test]
fn what_is_set_aside_is_kept_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (records, _) = some_history(20);
    let mut store = Store::open(directory.path(), "i-1").unwrap().store;
    for record in &records {
        store.append(std::slice::from_ref(record));
        store.commit().unwrap();
    }
    drop(store);
    let a = directory.path().join("ledger.a");
    let mut damaged = fs::read(&a).unwrap();
    damaged[4096 + 100] ^= 4;
    fs::write(&a, &damaged).unwrap();

    let mut opened = Store::open(directory.path(), "i-1").unwrap();
    let How::SetAside { to, .. } = &opened.how else {
        panic!("{:?}", opened.how);
    };
    let to = to.clone();
    assert!(!to.exists());
    opened.store.commit().unwrap();
    opened.store.append(&[Record::Counters {
        next_generation: 0,
        next_batch: 0,
        events: 1,
    }]);
    opened.store.commit().unwrap();
    assert_eq!(fs::read(to.join("ledger.a")).unwrap(), damaged);
    assert_eq!(mode(&to), 0o700);
    drop(opened);
    let again = Store::open(directory.path(), "i-1").unwrap();
    assert!(matches!(again.how, How::Resumed), "{:?}", again.how);

    // The ledger of another host, and a second one of the same: each gets a place of its own.
    drop(again);
    for (id, place) in [
        ("i-2", "ledger.of-i-1"),
        ("i-1", "ledger.of-i-2"),
        ("i-2", "ledger.of-i-1-2"),
    ] {
        let mut opened = Store::open(directory.path(), id).unwrap();
        assert!(matches!(opened.how, How::OtherInstance { .. }));
        opened.store.commit().unwrap();
        assert!(directory.path().join(place).join("ledger.a").exists());
    }
}

#[test]
fn a_full_tmpfs_does_not_stop_a_running_agent() {
    on_a_small_disk(|place| {
        let plain = MsFlags::empty();
        let small = Some("size=6m");
        mount(Some("tmpfs"), place, Some("tmpfs"), plain, small).is_ok()
    });
}

#[test]
fn a_full_ext4_does_not_stop_a_running_agent() {
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(8 << 20).unwrap();
    let path = image.path().to_owned();
    on_a_small_disk(move |place| {
        run("mkfs.ext4", &["-q", "-m", "0"], &[&path])
            && run("mount", &["-o", "loop"], &[&path, place])
    });
}

fn run(program: &str, options: &[&str], paths: &[&Path]) -> bool {
    let mut command = Command::new(program);
    command.args(options).args(paths);
    command.status().is_ok_and(|status| status.success())
}

/// In a thread of its own: what it mounts is seen by nobody else, and goes with it.
fn on_a_small_disk(mounts: impl FnOnce(&Path) -> bool + Send + 'static) {
    let thread = std::thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNS) {
            println!("skipped: only root can mount a small file system ({error})");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let none = None::<&str>;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(none, "/", none, private, none).unwrap();
        if !mounts(directory.path()) {
            println!("skipped: such a file system can't be mounted here");
            return;
        }
        fill_and_go_on(directory.path());
        umount(directory.path()).unwrap();
    });
    thread.join().unwrap();
}

fn fill_and_go_on(directory: &Path) {
    let (records, states) = some_history(1_500);
    let mut opened = Store::open(directory, "i-1").unwrap();
    let filler = directory.join("filler");
    let mut full = fs::File::create(&filler).unwrap();
    let error = std::io::copy(&mut std::io::repeat(1), &mut full).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);

    for (at, several) in records.chunks(10).enumerate() {
        opened.store.append(several);
        opened.store.commit().unwrap();
        if at % 50 == 49 {
            let state = &states[10 * (at + 1)];
            opened.store.compact(&state.snapshot()).unwrap();
        }
    }
    // Beyond its segment it needs room. Without, nothing is lost: it waits for some.
    let more = Record::Moved {
        generation: states[1_500].known()[0].id,
        path: "x".repeat(4_000).into(),
    };
    let mut state = states[1_500].clone();
    state.apply(&more).unwrap();
    let refused = (0..1_000)
        .find_map(|_| {
            opened.store.append(std::slice::from_ref(&more));
            opened.store.commit().err()
        })
        .unwrap();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    drop(full);
    fs::remove_file(&filler).unwrap();
    opened.store.commit().unwrap();
    drop(opened);
    assert_eq!(Store::open(directory, "i-1").unwrap().state, state);
}
