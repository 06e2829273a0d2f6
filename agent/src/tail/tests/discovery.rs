//! Which files are found, and what is said about those that can't be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use super::desk::Desk;
use crate::tail::{FileSet, Links, OpenError, Start, matching};

#[test]
fn files_and_directories_may_appear_disappear_and_come_back() {
    let mut desk = Desk::new(&["apps/**/*.log"]);
    desk.settle();
    fs::create_dir_all(desk.path("apps/x/y")).unwrap();
    desk.append("apps/x/y/a.log", "one\n");
    desk.append("apps/b.log", "two\n");
    desk.settle();
    fs::remove_dir_all(desk.path("apps")).unwrap();
    desk.settle();
    fs::create_dir_all(desk.path("apps/x/y")).unwrap();
    desk.append("apps/x/y/a.log", "three\n");
    desk.settle();
    assert_eq!(desk.texts(), ["two\n", "one\n", "three\n"]);
}

#[test]
fn rotated_copies_are_not_files_of_their_own() {
    let mut desk = Desk::with(&["*"], Start::Beginning, super::desk::limits(), |folder| {
        for name in [
            "a.log.1",
            "a.log.2.gz",
            "a.log-20260101",
            "a-20260101.log",
            "lone.gz",
        ] {
            fs::write(folder.join(name), "old\n").unwrap();
        }
    });
    desk.append("a.log", "one\n");
    desk.append("tomcat.2026-01-01.txt", "a dated file of its own\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\n", "a dated file of its own\n"]);
}

#[test]
fn a_copys_own_path_can_be_named() {
    let mut desk = Desk::new(&["a.log.1"]);
    desk.append("a.log.1", "one\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\n"]);
}

#[test]
fn what_is_no_regular_file_is_said_once() {
    let mut desk = Desk::new(&["dir", "socket"]);
    fs::create_dir(desk.path("dir")).unwrap();
    let _socket = UnixListener::bind(desk.path("socket")).unwrap();
    desk.settle();
    desk.settle();
    assert_eq!(desk.sights.len(), 2, "{:?}", desk.sights);
    assert!(desk.troubles[&desk.path("socket")].contains("a socket"));
    fs::remove_dir(desk.path("dir")).unwrap();
    desk.append("dir", "a file now\n");
    desk.settle();
    assert_eq!(desk.texts(), ["a file now\n"]);
    assert!(!desk.troubles.contains_key(&desk.path("dir")));
}

#[test]
fn an_unreadable_file_is_said_and_read_when_it_can_be() {
    if nix::unistd::geteuid().is_root() {
        eprintln!("not run: root reads everything");
        return;
    }
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    let mode = |desk: &Desk, mode| {
        fs::set_permissions(desk.path("a.log"), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&desk, 0o000);
    desk.settle();
    assert!(desk.troubles[&desk.path("a.log")].contains("usermod"));
    mode(&desk, 0o644);
    desk.settle();
    assert!(desk.troubles.is_empty());
    assert_eq!(desk.texts(), ["one\n"]);
}

#[test]
fn overlapping_patterns_read_a_file_once() {
    let mut desk = Desk::new(&["*.log", "a*"]);
    desk.append("a.log", "one\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\n"]);
}

#[test]
fn what_a_set_means_can_be_asked_without_following_it() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.log", "b.log", "b.log.1", "c.txt"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let set = |patterns: Vec<String>| FileSet {
        patterns,
        exclude: vec!["a*".to_owned()],
        start: Start::End,
        links: Links::default(),
    };
    let glob = folder.path().join("*.log*").to_str().unwrap().to_owned();
    assert_eq!(
        matching(&set(vec![glob])).unwrap(),
        [folder.path().join("b.log")]
    );
    assert!(matches!(matching(&set(Vec::new())), Err(OpenError::Empty)));
}
