//! Rotation by rename, deletion, and files that take another's place.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use super::desk::Desk;

#[test]
fn a_file_is_read_as_it_grows() {
    let mut desk = Desk::new(&["a.log"]);
    desk.settle();
    assert!(desk.seen.is_empty());
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_and_its_successor_from_the_start() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "three\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "three\n"]);
    assert_eq!(
        desk.seen.values().next().unwrap().path,
        desk.path("a.log.1")
    );
    assert_eq!(desk.lost_bytes(), 0);
}

#[test]
fn an_old_writer_that_goes_on_after_the_rename_is_followed() {
    let mut desk = Desk::new(&["*.log"]);
    let mut old = desk.writer("a.log");
    old.write_all(b"one\n").unwrap();
    desk.settle();
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "new\n");
    desk.settle();
    old.write_all(b"late\n").unwrap();
    desk.settle();
    for _ in 0..100 {
        desk.settle();
    }
    old.write_all(b"very late\n").unwrap();
    desk.settle();
    assert_eq!(desk.texts(), ["one\nlate\nvery late\n", "new\n"]);
}

#[test]
fn a_rotated_file_does_not_end_while_it_has_a_name() {
    let mut desk = Desk::new(&["a.log"]);
    for text in ["one\n", "two\n", "three\n"] {
        desk.append("a.log", text);
        desk.settle();
        if desk.path("a.log.1").exists() {
            desk.rename("a.log.1", "a.log.2");
        }
        desk.rename("a.log", "a.log.1");
        desk.settle();
    }
    for _ in 0..10 {
        desk.settle();
    }
    let ended =
        |desk: &Desk| -> Vec<Option<u64>> { desk.seen.values().map(|seen| seen.ended).collect() };
    assert_eq!(ended(&desk), [Some(4), None, None]);
    // `one` lost its name when `two` was renamed to it, but for its descriptor.
    desk.append("a.log.2", "late\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\n", "two\nlate\n", "three\n"]);
    desk.delete("a.log.2");
    for _ in 0..10 {
        desk.look_later();
    }
    assert_eq!(ended(&desk)[1], Some(9));
}

#[test]
fn two_rotations_between_two_looks_lose_nothing() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "more\n");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "two\n");
    desk.rename("a.log.1", "a.log.2");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "three\n");
    desk.settle();
    let mut texts = desk.texts();
    texts.sort();
    assert_eq!(texts, ["one\nmore\n", "three\n", "two\n"]);
}

#[test]
fn a_rotated_file_that_is_compressed_at_once_is_read_through_its_descriptor() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "three\n");
    desk.compress("a.log.1");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "three\n"]);
    desk.rename("a.log.1.gz", "a.log.2.gz");
    desk.rename("a.log", "a.log.1");
    desk.compress("a.log.1");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "three\n"]);
}

#[test]
fn copies_that_were_there_before_are_nobodys_business() {
    let mut desk = Desk::with(
        &["a.log"],
        crate::tail::Start::Beginning,
        super::desk::limits(),
        |folder| {
            fs::write(folder.join("a.log.1"), "old\n").unwrap();
            fs::write(folder.join("a.log.2"), "older\n").unwrap();
        },
    );
    desk.append("a.log", "one\n");
    desk.settle();
    // delaycompress: a copy that was there before gets a new inode.
    desk.rename("a.log.2", "a.log.3");
    desk.rename("a.log.1", "a.log.2");
    desk.compress("a.log.2");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\n", "two\n"]);
}

#[test]
fn a_deleted_file_is_read_to_its_end_while_it_is_held() {
    let mut desk = Desk::new(&["a.log"]);
    let mut writer = desk.writer("a.log");
    writer.write_all(b"one\n").unwrap();
    desk.settle();
    writer.write_all(b"two\n").unwrap();
    desk.delete("a.log");
    desk.settle();
    writer.write_all(b"three\n").unwrap();
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\nthree\n"]);
    desk.append("a.log", "anew\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\nthree\n", "anew\n"]);
    for _ in 0..10 {
        desk.now += std::time::Duration::from_secs(61);
        desk.settle();
    }
    let first = |desk: &Desk| desk.seen.values().next().unwrap().ended;
    assert_eq!(first(&desk), None, "its writer holds it");
    drop(writer);
    for _ in 0..20 {
        desk.look_later();
    }
    assert_eq!(first(&desk), Some(14));
}

#[test]
fn a_file_replaced_by_a_rename_begins_anew() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.append("other", "fresh\n");
    desk.rename("other", "a.log");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "fresh\n"]);
}

#[test]
fn a_symlink_that_is_switched_leads_to_another_generation() {
    let mut desk = Desk::new(&["current"]);
    desk.append("day1", "one\n");
    symlink("day1", desk.path("current")).unwrap();
    desk.settle();
    desk.append("day1", "two\n");
    desk.append("day2", "three\n");
    fs::remove_file(desk.path("current")).unwrap();
    symlink("day2", desk.path("current")).unwrap();
    desk.append("day1", "late\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\nlate\n", "three\n"]);
    assert_eq!(desk.seen.values().next().unwrap().path, desk.path("day1"));
}

#[test]
fn a_link_beside_its_file_is_not_read_twice() {
    let mut desk = Desk::new(&["*.log"]);
    desk.append("app-1.log", "one\n");
    symlink("app-1.log", desk.path("app.log")).unwrap();
    fs::hard_link(desk.path("app-1.log"), desk.path("second.log")).unwrap();
    desk.settle();
    desk.append("app-1.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n"]);
}

#[test]
fn a_file_moved_among_followed_paths_keeps_its_generation() {
    let mut desk = Desk::new(&["*.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.rename("a.log", "b.log");
    desk.append("b.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n"]);
    assert_eq!(desk.seen.values().next().unwrap().path, desk.path("b.log"));
}

#[test]
fn a_replaced_parent_directory_is_noticed() {
    let mut desk = Desk::new(&["app/*.log"]);
    fs::create_dir(desk.path("app")).unwrap();
    desk.append("app/a.log", "one\n");
    desk.settle();
    desk.append("app/a.log", "two\n");
    desk.rename("app", "app-old");
    fs::create_dir(desk.path("app")).unwrap();
    desk.append("app/a.log", "three\n");
    desk.append("app-old/a.log", "late\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\nlate\n", "three\n"]);
}

#[test]
fn a_used_again_inode_is_told_apart_by_its_head() {
    // Without a descriptor on it, the kernel gives the inode away at once.
    let mut limits = super::desk::limits();
    limits.open_files = 1;
    let mut desk = Desk::with(&["*.log"], crate::tail::Start::Beginning, limits, |_| {});
    desk.append("a.log", "first\n");
    desk.settle();
    desk.append("b.log", "other\n");
    desk.settle();
    let inode = desk.seen.values().next().unwrap().identity.inode;
    desk.delete("a.log");
    desk.append("a.log", "second, and longer\n");
    desk.settle();
    desk.settle();
    let mut texts = desk.texts();
    texts.sort();
    assert_eq!(texts, ["first\n", "other\n", "second, and longer\n"]);
    // Some file systems do not use an inode again at once: then this was another case.
    let again = desk.seen.values().last().unwrap().identity.inode;
    eprintln!("inode {inode}, then {again}");
}
