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

#[test]
fn a_file_that_was_cut_shorter_is_not_read_again_after_restarts() {
    let line = "0123456789\n".repeat(900);
    for running in [true, false] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", &line);
        desk.settle();
        if running {
            desk.truncate("a.log", 8000);
            desk.settle();
            desk.restart_keeping();
        } else {
            let known = desk.known();
            desk.truncate("a.log", 8000);
            desk.restart_with(known);
        }
        desk.settle();
        desk.append("a.log", "added\n");
        desk.settle();
        desk.restart_keeping();
        desk.settle();
        let text = desk.all_text();
        assert!(text.ends_with("added\n"), "{running}: {text}");
        assert_eq!(text.matches("added").count(), 1);
        assert!(text.len() <= line.len() + 6, "{running}: {}", text.len());
    }
}

#[test]
fn a_shorter_report_with_the_same_beginning_is_read() {
    let banner = "# nightly report\n".repeat(100);
    let end = "# that was all\n".repeat(60);
    let mut desk = Desk::new(&["a.log"]);
    let old = format!("{banner}orders: 12\n{end}of text\n");
    desk.append("a.log", &old);
    desk.settle();
    let new = format!("{banner}orders: 7\n{end}");
    fs::write(desk.path("a.log"), &new).unwrap();
    desk.settle();
    assert_eq!(desk.texts(), [old, new]);
}

#[test]
fn reports_of_one_length_that_differ_in_their_middle_are_read() {
    let report = |orders: u32| {
        let banner = "=".repeat(1200);
        format!("# {banner}\norders: {orders}\nend of report, all jobs done, 0 errors\n")
    };
    let mut desk = Desk::new(&["a.log"]);
    for orders in 101..105 {
        fs::write(desk.path("a.log"), report(orders)).unwrap();
        touch(&desk, "a.log", u64::from(orders));
        desk.settle();
    }
    assert_eq!(desk.texts(), [101, 102, 103, 104].map(report));
}

#[test]
fn the_same_report_written_again_is_read_again_and_a_new_time_or_name_is_no_report() {
    let mut desk = Desk::new(&["a.log"]);
    fs::write(desk.path("a.log"), "OK\n").unwrap();
    desk.settle();
    for round in 1..4 {
        fs::write(desk.path("a.log"), "OK\n").unwrap();
        desk.await_news();
        for _ in 0..3 {
            desk.look_later();
        }
        desk.settle();
        assert_eq!(desk.texts().len(), round + 1);
    }
    fs::hard_link(desk.path("a.log"), desk.path("other name")).unwrap();
    for seconds in 10..13 {
        touch(&desk, "a.log", seconds);
        desk.await_news();
        for _ in 0..8 {
            desk.look_later();
        }
        desk.settle();
    }
    assert_eq!(desk.texts(), ["OK\n"; 4]);
}

#[test]
fn a_trailing_nul_is_not_waited_for() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n\0");
    desk.settle();
    let seen = desk.seen.values().next().unwrap();
    assert_eq!((seen.size, seen.at), (4, 4));
    desk.append("a.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\n\0two\n"]);
}

#[test]
fn a_file_that_the_kernel_makes_up_is_not_followed() {
    let mut desk = Desk::new(&["*.log"]);
    std::os::unix::fs::symlink("/proc/self/maps", desk.path("a.log")).unwrap();
    desk.append("b.log", "one\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\n"]);
    let message = &desk.troubles[&desk.path("a.log")];
    assert!(message.contains("(proc)"), "{message}");
}

#[test]
fn a_file_that_is_written_anew_all_the_time_begins_few_generations() {
    let mut desk = Desk::new(&["a.log"]);
    for n in 0..500_u32 {
        fs::write(desk.path("a.log"), format!("{n}")).unwrap();
        touch(&desk, "a.log", u64::from(n) + 10);
        desk.now += std::time::Duration::from_millis(1);
        desk.look();
        let last = *desk.seen.keys().last().unwrap();
        desk.read(last);
    }
    assert!(desk.seen.len() <= 21, "{}", desk.seen.len());
    desk.settle();
    assert!(desk.texts().contains(&"499".to_owned()));
}

/// Moves the time of the last write on by more than any file system's grain.
fn touch(desk: &Desk, name: &str, seconds: u64) {
    let file = fs::OpenOptions::new()
        .append(true)
        .open(desk.path(name))
        .unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    // Both times, as touch(1) sets them: inotify takes the setting of the one for a write.
    let later = modified + std::time::Duration::from_secs(seconds);
    file.set_times(fs::FileTimes::new().set_modified(later).set_accessed(later))
        .unwrap();
}

/// Each file of a program begins with the same lines. Between two looks one was put in the place of what was read, and rotated away.
#[test]
fn a_file_that_begins_as_one_two_before_it_is_read_from_its_first_byte() {
    let banner = "begins ".repeat(200) + "\n";
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", &banner);
    desk.settle();
    desk.append("next", "report\n");
    desk.rename("next", "a.log");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", &banner);
    desk.settle();
    assert_eq!(desk.texts(), [banner.as_str(), "report\n", &banner]);
}
