//! What is looked at although nothing rings, and how often; and how many files are.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::desk::{Desk, limits};
use crate::clock::Now;
use crate::tail::{FileSet, Files, Limits, Links, Sight, Start};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Looks once an hour at what is told of.
fn seldom() -> Limits {
    Limits {
        sweep: HOUR,
        ..limits()
    }
}

fn desk(patterns: &[&str]) -> Desk {
    Desk::with(patterns, Start::Beginning, seldom(), |_| {})
}

/// So much time passes, with each poll in it.
fn pass(desk: &mut Desk, seconds: u32) {
    for _ in 0..seconds {
        desk.look_later();
    }
}

/// Time passes until all is quiet, and the next look at a file is far away.
fn fall_quiet(desk: &mut Desk) {
    desk.settle();
    pass(desk, 200);
    while desk.files.slot_looks.next().unwrap() < desk.now + 20 * SECOND {
        desk.look_later();
    }
}

/// Reads what looks have found, as the engine does.
fn read_all(desk: &mut Desk) -> String {
    let ids: Vec<_> = desk.seen.keys().copied().collect();
    for id in ids {
        if desk.seen[&id].at < desk.seen[&id].size {
            desk.read(id);
        }
    }
    desk.texts().concat()
}

/// No ring comes from here any more, and nobody knows.
fn silence(desk: &mut Desk, folder: &str) {
    let path = match folder {
        "" => desk.folder.path().to_path_buf(),
        _ => desk.path(folder),
    };
    desk.files.directories.bell.unwatch(&path);
}

#[test]
fn a_write_to_a_quiet_file_rings_and_is_found_without_a_poll() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    fs::write(&path, "one\n").unwrap();
    let set = FileSet {
        patterns: vec![path.to_str().unwrap().to_owned()],
        exclude: Vec::new(),
        start: Start::Beginning,
        links: Links::default(),
    };
    let (ring, rung) = mpsc::channel();
    let bell = Arc::new(move || {
        let _ = ring.send(());
    });
    let mut files = Files::open(vec![set], Vec::new(), 1, seldom(), bell).unwrap();
    let now = Now {
        monotonic: HOUR,
        unix_ms: 0,
    };
    files.look(now);
    fs::write(&path, "one\ntwo\n").unwrap();
    // At the same instant: no poll is due.
    let grew = |sights: Vec<Sight>| {
        let grew = |sight: &Sight| matches!(sight, Sight::Grew { size: 8, .. });
        sights.iter().any(grew)
    };
    while !grew(files.look(now)) {
        rung.recv_timeout(Duration::from_secs(60)).unwrap();
    }
}

#[test]
fn what_changes_unheard_is_found_once_by_the_sweep_and_then_by_each_poll() {
    let mut desk = desk(&["*.log"]);
    desk.append("a.log", "one\n");
    desk.append("b.log", "other\n");
    fall_quiet(&mut desk);
    silence(&mut desk, "");
    desk.append("a.log", "two\n");
    pass(&mut desk, 2);
    assert_eq!(read_all(&mut desk), "one\nother\n", "nothing is polled");
    let mut waited = 2;
    while read_all(&mut desk) != "one\ntwo\nother\n" {
        desk.look_later();
        waited += 1;
        assert!(waited < 3600);
    }
    // No ring came: from now on the folder is looked at, with all that is in it.
    pass(&mut desk, 200);
    desk.append("b.log", "more\n");
    pass(&mut desk, 2);
    assert_eq!(read_all(&mut desk), "one\ntwo\nother\nmore\n");
}

#[test]
fn a_link_to_a_file_elsewhere_and_a_second_name_are_polled() {
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("target");
    fs::write(&target, "one\n").unwrap();
    let mut desk = desk(&["*.log"]);
    symlink(&target, desk.path("a.log")).unwrap();
    desk.append("b.log", "other\n");
    fs::hard_link(desk.path("b.log"), elsewhere.path().join("b")).unwrap();
    desk.settle();
    pass(&mut desk, 200);
    for name in ["target", "b"] {
        let path = elsewhere.path().join(name);
        let text = fs::read_to_string(&path).unwrap() + "more\n";
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"more\n").unwrap();
        pass(&mut desk, 1);
        assert!(read_all(&mut desk).contains(&text), "{name}");
    }
}

#[test]
fn a_link_in_the_middle_of_a_path_that_is_switched_is_polled() {
    let mut desk = desk(&["current/log/*.log", "apps/*/a.log"]);
    for release in ["1", "2"] {
        fs::create_dir_all(desk.path(&format!("releases/{release}/log"))).unwrap();
        desk.append(
            &format!("releases/{release}/log/a.log"),
            &format!("{release}\n"),
        );
        desk.append(
            &format!("releases/{release}/a.log"),
            &format!("app {release}\n"),
        );
    }
    fs::create_dir(desk.path("apps")).unwrap();
    symlink("releases/1", desk.path("current")).unwrap();
    // Told by no folder that is watched: the one that changes is two links away.
    symlink("../current", desk.path("apps/one")).unwrap();
    desk.settle();
    pass(&mut desk, 200);
    fs::remove_file(desk.path("current")).unwrap();
    symlink("releases/2", desk.path("current")).unwrap();
    pass(&mut desk, 3);
    let mut texts: Vec<String> = read_all(&mut desk).lines().map(str::to_owned).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["1", "2", "app 1", "app 2"]);
}

#[test]
fn a_folder_that_goes_and_comes_back_is_polled_with_what_is_in_it() {
    let mut desk = desk(&["apps/*/log/*.log"]);
    fs::create_dir_all(desk.path("apps/one/log")).unwrap();
    desk.append("apps/one/log/a.log", "one\n");
    desk.settle();
    pass(&mut desk, 200);
    silence(&mut desk, "apps");
    silence(&mut desk, "apps/one");
    silence(&mut desk, "apps/one/log");
    desk.rename("apps/one", "away");
    // Nothing tells that it is gone: that is found after as long as it was quiet.
    pass(&mut desk, 250);
    fs::create_dir_all(desk.path("apps/one/log")).unwrap();
    desk.append("apps/one/log/a.log", "two\n");
    pass(&mut desk, 5);
    assert_eq!(read_all(&mut desk), "one\ntwo\n");
}

#[test]
fn quiet_files_in_quiet_folders_take_turns() {
    let mut desk = Desk::with(&["*/log"], Start::Beginning, seldom(), |folder| {
        for number in 0..300 {
            fs::create_dir(folder.join(number.to_string())).unwrap();
            fs::write(folder.join(number.to_string()).join("log"), "line\n").unwrap();
        }
    });
    desk.settle();
    // A folder that was written to a moment ago is listed again, by the clock of the file system.
    let unsure = |desk: &Desk| {
        let quiet = |id| desk.files.directories.quiet(id, desk.now).is_some();
        desk.files
            .directories
            .ids()
            .filter(|&id| !quiet(id))
            .count()
    };
    while unsure(&desk) > 1 {
        desk.look_later();
    }
    pass(&mut desk, 120);
    // With the root of the pattern, which is polled.
    let mut due = 0;
    for _ in 0..60 {
        due += desk
            .files
            .slot_looks
            .clone()
            .take_due(desk.now + SECOND)
            .len();
        due += desk
            .files
            .directory_looks
            .clone()
            .take_due(desk.now + SECOND)
            .len();
        desk.look_later();
    }
    assert!(due < 60 + 2 * 300, "{due} looks in a minute");
    assert_eq!(desk.seen.len(), 300);
}

/// As when nobody can write to it any more.
fn let_go_of_what_is_gone(desk: &mut Desk) {
    for slot in desk.files.slots.iter_mut().flatten() {
        for id in std::mem::take(&mut slot.detached) {
            desk.files.aside.remove(&id);
            desk.seen.remove(&id);
            if let Some(gone) = desk.files.generations.remove(&id) {
                desk.files.by_node.remove(&gone.node);
            }
        }
    }
}

fn left_out(desk: &Desk) -> Option<&String> {
    desk.troubles.get(&PathBuf::from("limits.files"))
}

#[test]
fn beyond_the_limit_of_files_the_last_names_are_left_out_until_others_go() {
    let mut limits = limits();
    limits.files = 2;
    let mut desk = Desk::with(&["*.log"], Start::Beginning, limits, |_| {});
    for name in ["a", "b", "c", "d"] {
        desk.append(&format!("{name}.log"), &format!("{name}\n"));
    }
    desk.settle();
    assert_eq!(desk.texts(), ["a\n", "b\n"]);
    assert_eq!(desk.files.left_out(), 2);
    assert!(
        left_out(&desk)
            .unwrap()
            .starts_with("2 files are not followed")
    );
    // What is followed goes on, whatever comes before it.
    desk.append("0.log", "0\n");
    desk.append("b.log", "more\n");
    desk.settle();
    assert_eq!(desk.texts(), ["a\n", "b\nmore\n"]);
    assert_eq!(desk.files.left_out(), 3);
    // Those that the ledger knows come first after a restart, too.
    let known = desk.known();
    desk.reopen(known, 10);
    desk.append("b.log", "again\n");
    desk.settle();
    assert_eq!(desk.texts(), ["", "again\n"]);
    desk.delete("a.log");
    desk.settle();
    assert_eq!(desk.files.left_out(), 3);
    let_go_of_what_is_gone(&mut desk);
    desk.settle();
    assert_eq!(desk.texts(), ["again\n", "0\n"]);
    assert_eq!(desk.files.left_out(), 2);
    desk.delete("c.log");
    desk.delete("d.log");
    desk.settle();
    assert!(left_out(&desk).is_none());
}

#[test]
fn what_goes_leaves_nothing_behind_and_its_place_is_used_again() {
    let mut desk = Desk::with(&["*/log"], Start::Beginning, limits(), |_| {});
    desk.settle();
    for round in 0..2 {
        for number in 0..200 {
            fs::create_dir(desk.path(&number.to_string())).unwrap();
            desk.append(&format!("{number}/log"), &format!("{round}\n"));
        }
        desk.settle();
        assert_eq!(desk.files.by_path.len(), 200);
        for number in 0..200 {
            fs::remove_dir_all(desk.path(&number.to_string())).unwrap();
        }
        desk.settle();
        let_go_of_what_is_gone(&mut desk);
        pass(&mut desk, 2);
        assert_eq!(desk.files.by_path.len(), 0);
        assert!(
            desk.files.slots.len() <= 200 && desk.files.free_slots.len() == desk.files.slots.len()
        );
        assert!(desk.files.members.is_empty() && desk.files.slot_looks.next().is_none());
    }
}

#[test]
fn a_link_to_what_its_owner_could_not_read_is_said_and_not_read() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run: only root gives files to others");
        return;
    }
    use std::os::unix::fs::{PermissionsExt as _, lchown};
    let mut desk = Desk::new(&["*.log"]);
    fs::set_permissions(desk.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    desk.append("secret", "root's\n");
    fs::set_permissions(desk.path("secret"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("secret", desk.path("a.log")).unwrap();
    lchown(desk.path("a.log"), Some(61_001), None).unwrap();
    desk.append("b.log", "one\n");
    // A rotated copy that is no copy.
    symlink("secret", desk.path("b.log.1")).unwrap();
    lchown(desk.path("b.log.1"), Some(61_001), None).unwrap();
    desk.settle();
    assert_eq!(desk.texts(), ["one\n"]);
    let said = &desk.troubles[&desk.path("a.log")];
    assert!(
        said.contains("61001") && said.contains("secret") && said.contains("follow_symlinks"),
        "{said}"
    );
    // Told once.
    let told = desk.sights.len();
    pass(&mut desk, 5);
    assert_eq!(desk.sights.len(), told);
    fs::set_permissions(desk.path("secret"), fs::Permissions::from_mode(0o644)).unwrap();
    desk.settle();
    assert!(desk.troubles.is_empty(), "{:?}", desk.troubles);
    assert!(desk.texts().contains(&"root's\n".to_owned()));
}
