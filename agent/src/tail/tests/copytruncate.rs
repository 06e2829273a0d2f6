//! logrotate's `copytruncate`: the rest is in the copy.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::time::Duration;

use super::desk::Desk;
use crate::account::Lost;
use crate::tail::slot::Stood;

fn copytruncate(desk: &Desk, name: &str) {
    desk.copy(name, &format!("{name}.1"));
    desk.truncate(name, 0);
}

#[test]
fn the_rest_is_read_from_the_copy_under_the_old_id() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    copytruncate(&desk, "a.log");
    desk.append("a.log", "three\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "three\n"]);
    let first = desk.seen.values().next().unwrap();
    assert_eq!(first.path, desk.path("a.log.1"));
    assert_eq!(first.ended, Some(8));
    assert_eq!(desk.lost_bytes(), 0);
}

#[test]
fn the_copy_may_be_compressed_already() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    copytruncate(&desk, "a.log");
    desk.compress("a.log.1");
    desk.append("a.log", "three and more\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "three and more\n"]);
}

#[test]
fn dated_copies_and_those_of_a_growing_file_are_found() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.copy("a.log", "a.log-20260101");
    desk.truncate("a.log", 0);
    desk.append(
        "a.log",
        "three and a long line that outgrows the old size\n",
    );
    desk.settle();
    desk.append("a.log", "four\n");
    desk.copy("a.log", "a.log-20260102");
    desk.truncate("a.log", 0);
    desk.settle();
    assert_eq!(
        desk.texts(),
        [
            "one\ntwo\n",
            "three and a long line that outgrows the old size\nfour\n",
            ""
        ]
    );
}

#[test]
fn what_was_written_after_the_copy_but_seen_is_lost_to_the_byte() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "in the copy\n");
    desk.copy("a.log", "a.log.1");
    desk.append("a.log", "between\n");
    desk.look_later();
    desk.truncate("a.log", 0);
    desk.append("a.log", "new\n");
    desk.settle();
    let first = desk.seen.values().next().unwrap();
    assert_eq!(first.text(), "one\nin the copy\n");
    assert_eq!(first.lost, [(16, 24, Lost::CopyTruncate)]);
    assert_eq!(desk.texts()[1], "new\n");
}

#[test]
fn a_copy_in_the_making_makes_looks_frequent_until_the_truncation() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\ntwo\n");
    desk.settle();
    fs::write(desk.path("a.log.1"), "one\n").unwrap();
    desk.now += Duration::from_secs(1);
    desk.look();
    assert!(desk.files.next_look() <= desk.now + Duration::from_millis(2));
    desk.append("a.log", "between\n");
    desk.now += Duration::from_millis(1);
    desk.look();
    let id = *desk.seen.keys().next().unwrap();
    assert!(desk.read(id));
    desk.truncate("a.log", 0);
    desk.settle();
    // The copy is shorter than what was read, and is no generation of its own.
    assert_eq!(desk.texts(), ["one\ntwo\nbetween\n", ""]);
    assert_eq!(desk.lost_bytes(), 0);
    assert!(desk.files.next_look() > desk.now + Duration::from_millis(2));
}

#[test]
fn a_copy_that_is_shorter_than_what_was_read_is_not_read_again() {
    for compressed in [false, true] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", "one\n");
        desk.settle();
        // Between two looks: copied, written to, read, truncated.
        desk.copy("a.log", "a.log.1");
        desk.append("a.log", "between\n");
        let id = *desk.seen.keys().next().unwrap();
        assert!(desk.read(id));
        desk.truncate("a.log", 0);
        if compressed {
            desk.compress("a.log.1");
        }
        desk.append("a.log", "two\n");
        desk.settle();
        assert_eq!(desk.texts(), ["one\nbetween\n", "two\n"]);
        assert_eq!(desk.lost_bytes(), 0);
    }
}

/// File systems give the inode of a copy that was compressed away to a later one.
#[test]
fn a_short_copy_in_the_inode_of_an_older_one_is_not_read_again() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "zero\n");
    desk.settle();
    copytruncate(&desk, "a.log");
    desk.append("a.log", "one\n");
    desk.settle();
    desk.rename("a.log.1", "a.log.2");
    desk.copy("a.log", "a.log.1");
    let inode = fs::metadata(desk.path("a.log.1")).unwrap().ino();
    let slot = desk.files.slots[0].as_mut().unwrap();
    slot.baseline.insert(
        inode,
        Stood {
            born_ns: Some(0),
            ..Stood::default()
        },
    );
    desk.append("a.log", "between\n");
    let id = *desk.seen.keys().last().unwrap();
    assert!(desk.read(id));
    desk.truncate("a.log", 0);
    desk.append("a.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts(), ["zero\n", "one\nbetween\n", "two\n"]);
    assert_eq!(desk.lost_bytes(), 0);
}

#[test]
fn a_short_copy_is_not_read_again_after_a_restart() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.copy("a.log", "a.log.1");
    desk.append("a.log", "between\n");
    desk.settle();
    let known = desk.known();
    desk.truncate("a.log", 0);
    desk.append("a.log", "two\n");
    desk.restart_with(known);
    desk.settle();
    assert!(!desk.all_text().contains("one"), "{}", desk.all_text());
    assert!(desk.all_text().ends_with("two\n"));
}

#[test]
fn a_copy_that_no_truncation_follows_is_let_go() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\ntwo\n");
    desk.settle();
    desk.copy("a.log", "a.log.1");
    for _ in 0..8 {
        desk.settle();
    }
    assert!(desk.files.next_look() >= desk.now + Duration::from_millis(100));
    assert_eq!(desk.texts(), ["one\ntwo\n"]);
    desk.append("a.log", "three\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\nthree\n"]);
}

#[test]
fn two_copytruncates_between_two_looks_lose_nothing() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "more\n");
    copytruncate(&desk, "a.log");
    desk.append("a.log", "two\n");
    desk.rename("a.log.1", "a.log.2");
    copytruncate(&desk, "a.log");
    desk.append("a.log", "three\n");
    desk.settle();
    let mut texts = desk.texts();
    texts.sort();
    assert_eq!(texts, ["one\nmore\n", "three\n", "two\n"]);
}

#[test]
fn the_same_banner_in_old_copies_misleads_nobody() {
    let banner = "starting up\n".repeat(100);
    let tail = |text: String| text.replace("starting up\n", "^");
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", &format!("{banner}first\n"));
    desk.settle();
    copytruncate(&desk, "a.log");
    desk.append("a.log", &format!("{banner}second\n"));
    desk.settle();
    desk.append("a.log", "tail of second\n");
    desk.rename("a.log.1", "a.log.2");
    copytruncate(&desk, "a.log");
    desk.append("a.log", &format!("{banner}third\n"));
    desk.settle();
    let caret = "^".repeat(100);
    assert_eq!(
        desk.texts().into_iter().map(tail).collect::<Vec<_>>(),
        [
            format!("{caret}first\n"),
            format!("{caret}second\ntail of second\n"),
            format!("{caret}third\n"),
        ]
    );
}

#[test]
fn what_is_written_while_the_copy_is_synced_is_read_and_the_copy_is_no_news() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.copy("a.log", "a.log.1");
    desk.look_later();
    desk.append("a.log", "after the copy\n");
    desk.look();
    desk.read(first(&desk));
    desk.truncate("a.log", 0);
    desk.append("a.log", "new\n");
    desk.settle();
    desk.rename("a.log.1", "a.log.2");
    copytruncate(&desk, "a.log");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\nafter the copy\n", "new\n", ""]);
    assert_eq!(desk.lost_bytes(), 0);
}

#[test]
fn a_copy_is_known_although_more_was_read_before_it_was_noticed() {
    for packed in [false, true] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", "one\n");
        desk.settle();
        desk.copy("a.log", "a.log.1");
        desk.append("a.log", "after the copy\n");
        desk.read(first(&desk));
        desk.truncate("a.log", 0);
        if packed {
            desk.compress("a.log.1");
        }
        desk.append("a.log", "new\n");
        desk.settle();
        assert_eq!(desk.texts(), ["one\nafter the copy\n", "new\n"]);
        assert_eq!(desk.lost_bytes(), 0);
    }
}

#[test]
fn a_copy_is_known_although_the_disk_took_long_to_have_it() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.copy("a.log", "a.log.1");
    for line in 0..20 {
        desk.append("a.log", &format!("{line}\n"));
        desk.look_later();
        desk.read(first(&desk));
    }
    let written = desk.all_text();
    // Another name makes all that stand there count as seen.
    desk.append("a.log.2", "");
    desk.look_later();
    desk.truncate("a.log", 0);
    desk.settle();
    assert_eq!(desk.all_text(), written);
    assert_eq!(desk.lost_bytes(), 0);
}

#[test]
fn a_copy_that_is_shorter_than_what_was_read_is_no_news_after_a_restart() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "zero\n");
    desk.settle();
    copytruncate(&desk, "a.log");
    desk.append("a.log", &"a long line\n".repeat(100));
    desk.settle();
    desk.rename("a.log.1", "a.log.2");
    desk.copy("a.log", "a.log.1");
    desk.append("a.log", "after the copy\n");
    desk.settle();
    desk.truncate("a.log", 0);
    desk.append("a.log", "new\n");
    desk.restart();
    desk.settle();
    assert_eq!(desk.texts().concat(), "new\n");
    assert_eq!(desk.lost_bytes(), 0);
}

#[test]
fn what_came_and_went_in_an_empty_file_while_nobody_looked_is_read() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "");
    desk.settle();
    desk.append("a.log", "one\n");
    copytruncate(&desk, "a.log");
    let mut known = desk.known();
    // The time of the finding.
    known[0].last_ms = Some(0);
    desk.append("a.log", "two\n");
    desk.restart_with(known);
    desk.settle();
    let mut texts = desk.texts();
    texts.sort();
    assert_eq!(texts, ["one\n", "two\n"]);
}

#[test]
fn two_rotations_between_two_looks_hide_nothing() {
    for seen in ["", "seen\n"] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", seen);
        desk.settle();
        desk.append("a.log", "one\n");
        copytruncate(&desk, "a.log");
        desk.append("a.log", "two\n");
        desk.rename("a.log.1", "a.log.2");
        copytruncate(&desk, "a.log");
        desk.append("a.log", "three\n");
        desk.settle();
        let mut texts: Vec<String> = desk.texts().concat().lines().map(str::to_owned).collect();
        texts.sort();
        let mut expected: Vec<&str> = seen.lines().chain(["one", "two", "three"]).collect();
        expected.sort_unstable();
        assert_eq!(texts, expected);
        assert_eq!(desk.lost_bytes(), 0);
    }
}

fn first(desk: &Desk) -> crate::account::GenerationId {
    *desk.seen.keys().next().unwrap()
}

/// What was read between the copy and the truncation is not in the copy. It is compressed so fast that plain and packed are never seen
/// together.
#[test]
fn a_short_copy_that_is_compressed_later_is_not_read_again() {
    for seen_together in [false, true] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", &lines(0..1000));
        desk.settle();
        desk.copy("a.log", "a.log.1");
        desk.append("a.log", &lines(1000..1010));
        desk.settle();
        desk.truncate("a.log", 0);
        desk.settle();
        if seen_together {
            desk.copy("a.log.1", "packed");
            desk.compress("packed");
            desk.rename("packed.gz", "a.log.1.gz");
            desk.settle();
            desk.delete("a.log.1");
        } else {
            desk.compress("a.log.1");
        }
        desk.append("a.log", "new\n");
        desk.settle();
        assert_eq!(desk.texts(), [lines(0..1010), "new\n".to_owned()]);
        assert_eq!(desk.lost_bytes(), 0);
    }
}

/// `program > app.log`: a writer that does not append goes on at its old offset.
#[test]
fn a_writer_that_does_not_append_is_read_once_through_several_rotations() {
    for packed in [false, true] {
        let mut desk = Desk::new(&["a.log"]);
        let mut writer = fs::File::create(desk.path("a.log")).unwrap();
        let mut expected = String::new();
        for round in 0..4 {
            let before = lines(round * 1000..round * 1000 + 300);
            writer.write_all(before.as_bytes()).unwrap();
            desk.settle();
            for number in (1..=round).rev() {
                let ending = if packed { ".gz" } else { "" };
                let to = number + 1;
                desk.rename(
                    &format!("a.log.{number}{ending}"),
                    &format!("a.log.{to}{ending}"),
                );
            }
            copytruncate(&desk, "a.log");
            if packed {
                desk.compress("a.log.1");
            }
            let after = lines(round * 1000 + 300..round * 1000 + 600);
            writer.write_all(after.as_bytes()).unwrap();
            desk.settle();
            expected += &(before + &after);
        }
        assert_eq!(
            desk.all_text().replace('\0', ""),
            expected,
            "packed: {packed}"
        );
        assert_eq!(desk.lost_bytes(), 0);
    }
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("line {number}\n")).collect()
}

/// The path is a link, what it leads to is replaced, and another link to the path is made: rotation goes on by the first name.
#[test]
fn a_copy_of_a_file_with_a_second_name_that_is_new_is_not_read() {
    let mut desk = Desk::new(&["a*.log"]);
    let target = desk.path("target");
    fs::write(&target, "one\n").unwrap();
    symlink(&target, desk.path("a.log")).unwrap();
    desk.settle();
    fs::write(desk.path("next"), "two\n").unwrap();
    desk.rename("next", "target");
    // Found in the folder before the path is looked at again.
    symlink(desk.path("a.log"), desk.path("a-alias.log")).unwrap();
    desk.await_news();
    desk.now += Duration::from_millis(10);
    desk.look();
    desk.settle();
    desk.copy("a.log", "a.log.1");
    desk.truncate("target", 0);
    desk.settle();
    assert_eq!(desk.all_text(), "one\ntwo\n");
}

#[test]
fn a_copy_of_a_file_with_another_link_to_it_is_not_read() {
    let mut desk = Desk::new(&["b.log", "a.log"]);
    desk.append("b.log", "one\n");
    symlink(desk.path("b.log"), desk.path("a.log")).unwrap();
    desk.settle();
    copytruncate(&desk, "b.log");
    desk.settle();
    assert_eq!(desk.all_text(), "one\n");
}

/// The service takes nothing, so nothing is read; and what is known of the beginning reaches beyond the copy.
#[test]
fn a_copy_of_what_was_not_read_yet_is_known_when_more_was_seen_since() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "");
    desk.settle();
    desk.append("a.log", "one\n");
    desk.look_later();
    desk.copy("a.log", "a.log.1");
    desk.look_later();
    desk.append("a.log", "in neither\n");
    desk.look_later();
    desk.truncate("a.log", 0);
    desk.settle();
    assert_eq!(desk.all_text(), "one\n");
    assert_eq!(desk.lost_bytes(), "in neither\n".len() as u64);
}
