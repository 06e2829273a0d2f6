//! Files that are cut, rewritten, or have holes.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use super::desk::Desk;
use crate::account::Lost;

#[test]
fn a_truncated_file_begins_anew() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\ntwo\n");
    desk.settle();
    desk.truncate("a.log", 0);
    desk.append("a.log", "new\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "new\n"]);
    assert_eq!(desk.seen.values().next().unwrap().ended, Some(8));
}

#[test]
fn what_was_seen_and_truncated_away_is_counted_to_the_byte() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "seen, not read\n");
    desk.look_later();
    desk.truncate("a.log", 0);
    desk.settle();
    let first = desk.seen.values().next().unwrap();
    assert_eq!(first.lost, [(4, 19, Lost::CopyTruncate)]);
    assert_eq!(first.text(), "one\n");
}

#[test]
fn a_file_rewritten_to_the_same_length_or_longer_is_noticed() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\ntwo\n");
    desk.settle();
    fs::write(desk.path("a.log"), "uno\ndos\n").unwrap();
    touch(&desk, "a.log", 5);
    desk.settle();
    fs::write(desk.path("a.log"), "eins\nzwei\ndrei\nvier\n").unwrap();
    desk.settle();
    assert_eq!(
        desk.texts(),
        ["one\ntwo\n", "uno\ndos\n", "eins\nzwei\ndrei\nvier\n"]
    );
}

#[test]
fn a_rewritten_file_with_the_same_banner_is_noticed_when_it_is_longer() {
    let banner = "Jenkins starts, as ever\n".repeat(60);
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", &format!("{banner}first\n"));
    desk.settle();
    fs::write(desk.path("a.log"), format!("{banner}second run, longer\n")).unwrap();
    desk.settle();
    assert_eq!(
        desk.texts(),
        [
            format!("{banner}first\n"),
            format!("{banner}second run, longer\n")
        ]
    );
}

#[test]
fn a_file_that_was_only_cut_shorter_is_not_read_again() {
    let line = "0123456789\n".repeat(200);
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", &line);
    desk.settle();
    desk.truncate("a.log", 2000);
    desk.settle();
    desk.append("a.log", "added\n");
    desk.settle();
    assert_eq!(desk.texts(), [line, "added\n".to_owned()]);
}

#[test]
fn the_hole_of_a_writer_that_does_not_append_is_skipped() {
    let mut desk = Desk::new(&["a.log"]);
    let mut writer = fs::File::create(desk.path("a.log")).unwrap();
    writer
        .write_all(&b"0123456789abcdef\n".repeat(1000))
        .unwrap();
    desk.settle();
    desk.truncate("a.log", 0);
    writer.write_all(b"after\n").unwrap();
    desk.settle();
    let second = desk.seen.values().last().unwrap();
    // The last block before the writer's offset is not a hole: its NULs are the framer's to drop.
    let text = second.text();
    assert_eq!(text.trim_start_matches('\0'), "after\n");
    assert_eq!(
        second.holes,
        [(0, 16384)],
        "17,000 bytes, in blocks of 4,096"
    );
    assert_eq!(second.at, 17006);
}

#[test]
fn space_that_was_allocated_ahead_is_not_content() {
    let mut desk = Desk::new(&["a.log"]);
    let mut writer = fs::File::create(desk.path("a.log")).unwrap();
    writer.write_all(b"one\n").unwrap();
    writer.set_len(100_000).unwrap();
    desk.settle();
    assert_eq!(desk.texts(), ["one\n"]);
    writer.seek(SeekFrom::Start(4)).unwrap();
    writer.write_all(b"two\n").unwrap();
    touch(&desk, "a.log", 5);
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n"]);
}

/// Moves the time of the last write on by more than any file system's grain.
fn touch(desk: &Desk, name: &str, seconds: u64) {
    let file = fs::OpenOptions::new()
        .append(true)
        .open(desk.path(name))
        .unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.set_modified(modified + std::time::Duration::from_secs(seconds))
        .unwrap();
}
