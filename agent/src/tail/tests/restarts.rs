//! What happened while nobody looked.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::time::{Duration, UNIX_EPOCH};

use super::desk::{Desk, limits};
use crate::account::Lost;
use crate::tail::Start;

#[test]
fn reading_goes_on_where_it_was() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.restart();
    desk.append("a.log", "three\n");
    desk.settle();
    assert_eq!(desk.texts(), ["two\nthree\n"]);
    assert!(desk.seen.values().all(|seen| seen.resumed));
}

#[test]
fn a_first_start_begins_at_the_end_and_later_files_at_the_start() {
    let mut desk = Desk::with(&["*.log"], Start::End, limits(), |folder| {
        fs::write(folder.join("a.log"), "old\n").unwrap();
        fs::write(folder.join("a.log.1"), "older\n").unwrap();
    });
    desk.settle();
    desk.append("a.log", "new\n");
    desk.append("b.log", "later\n");
    desk.settle();
    assert_eq!(desk.texts(), ["new\n", "later\n"]);
    assert_eq!(desk.seen.values().next().unwrap().from, 4);
    desk.restart();
    desk.append("c.log", "while away\n");
    desk.settle();
    assert_eq!(desk.texts(), ["", "", "while away\n"]);
}

#[test]
fn rotations_while_away_are_caught_up_with() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    let known = desk.known();
    for (text, rotation) in [("three\n", 1), ("four\n", 2), ("five\n", 3)] {
        for number in (1..rotation).rev() {
            desk.rename(&format!("a.log.{number}"), &format!("a.log.{}", number + 1));
        }
        desk.rename("a.log", "a.log.1");
        desk.append("a.log", text);
    }
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.texts(), ["two\n", "three\n", "four\n", "five\n"]);
    assert_eq!(desk.lost_bytes(), 0);
}

#[test]
fn compressed_rotations_while_away_are_read_too() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    let known = desk.known();
    desk.rename("a.log", "a.log.1");
    desk.compress("a.log.1");
    desk.append("a.log", "three\n");
    desk.rename("a.log.1.gz", "a.log.2.gz");
    desk.rename("a.log", "a.log.1");
    desk.compress("a.log.1");
    desk.append("a.log", "four\n");
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.texts(), ["two\n", "three\n", "four\n"]);
    assert_eq!(desk.lost_bytes(), 0);
}

#[test]
fn dated_rotations_while_away_are_read_in_order() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    let known = desk.known();
    desk.rename("a.log", "a.log-20260101");
    desk.append("a.log", "two\n");
    desk.rename("a.log", "a.log-20260102");
    desk.compress("a.log-20260102");
    desk.append("a.log", "three\n");
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.texts(), ["", "two\n", "three\n"]);
}

#[test]
fn a_copytruncate_while_away_is_caught_up_with() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    let known = desk.known();
    desk.copy("a.log", "a.log.1");
    desk.truncate("a.log", 0);
    desk.append("a.log", "three and a long line\n");
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.texts(), ["two\n", "three and a long line\n"]);
}

#[test]
fn what_was_deleted_while_away_is_lost_to_the_byte() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "seen only\n");
    desk.look_later();
    let known = desk.known();
    desk.delete("a.log");
    desk.append("a.log", "new\n");
    desk.restart_with(known);
    desk.settle();
    let first = desk.seen.values().next().unwrap();
    assert_eq!(first.lost, [(4, 14, Lost::Deleted)]);
    assert_eq!(first.ended, Some(4));
    assert_eq!(desk.texts(), ["", "new\n"]);
}

#[test]
fn a_copy_in_a_format_that_cannot_be_read_is_said() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.look_later();
    let known = desk.known();
    desk.delete("a.log");
    fs::write(desk.path("a.log.1.xz"), "not really").unwrap();
    desk.append("a.log", "new\n");
    desk.restart_with(known);
    desk.settle();
    assert_eq!(
        desk.seen.values().next().unwrap().lost,
        [(4, 8, Lost::Unreadable)]
    );
    let trouble = &desk.troubles[&desk.path("a.log.1.xz")];
    assert!(trouble.contains("xz"), "{trouble}");
}

#[test]
fn a_damaged_compressed_copy_is_read_as_far_as_it_goes() {
    let mut desk = Desk::new(&["a.log"]);
    let text: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    desk.append("a.log", "first\n");
    desk.settle();
    desk.append("a.log", &text);
    desk.look_later();
    let known = desk.known();
    desk.rename("a.log", "a.log.1");
    desk.compress("a.log.1");
    let packed = fs::metadata(desk.path("a.log.1.gz")).unwrap().len();
    desk.truncate("a.log.1.gz", packed / 2);
    desk.restart_with(known);
    desk.settle();
    let first = desk.seen.values().next().unwrap();
    assert!(first.text.len() > 10_000 && text.as_bytes().starts_with(&first.text));
    assert_eq!(
        first.at + first.lost_bytes(),
        6 + text.len() as u64,
        "what is not read is lost"
    );
    assert!(desk.troubles.contains_key(&desk.path("a.log.1.gz")));
}

#[test]
fn a_file_cut_short_by_a_power_failure_is_not_read_again() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", &"0123456789\n".repeat(200));
    desk.settle();
    let known = desk.known();
    desk.truncate("a.log", 2000);
    desk.append("a.log", "added\n");
    desk.restart_with(known);
    desk.settle();
    // 2,006 bytes: what follows the cut can't be told from what was there, but nothing comes twice.
    let texts = desk.texts();
    assert_eq!(texts[0], "");
    assert!(texts[1].is_empty() || texts[1] == "added\n", "{texts:?}");
}

#[test]
fn an_old_writer_of_a_rotated_file_is_followed_after_a_restart_too() {
    use std::io::Write as _;
    let mut desk = Desk::new(&["a.log"]);
    let mut old = desk.writer("a.log");
    old.write_all(b"one\n").unwrap();
    desk.settle();
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "new\n");
    desk.settle();
    desk.restart();
    desk.settle();
    old.write_all(b"late\n").unwrap();
    desk.settle();
    assert_eq!(desk.texts(), ["late\n", ""]);
}

/// While the agent is stopped: moved to another path that is followed, or left with a second name that is.
#[test]
fn a_file_that_stands_under_another_followed_path_is_not_read_again() {
    for text in [String::new(), lines(3), lines(1000)] {
        for how in ["moved", "second name"] {
            let mut desk = Desk::new(&["*.log"]);
            desk.append("a.log", &text);
            desk.settle();
            if how == "second name" {
                fs::hard_link(desk.path("a.log"), desk.path("b.log")).unwrap();
                desk.settle();
                desk.delete("a.log");
            } else {
                desk.rename("a.log", "b.log");
            }
            desk.append("b.log", "more\n");
            desk.restart();
            desk.settle();
            assert_eq!(desk.texts().concat(), "more\n", "{how}");
            assert_eq!(desk.lost_bytes(), 0, "{how}");
        }
    }
}

/// A log with a second name that is followed is rotated: it goes on under that name, and is no copy that came while
/// nobody looked.
#[test]
fn a_rotated_copy_that_is_followed_under_another_name_is_no_news_after_a_restart() {
    let mut desk = Desk::new(&["*.log"]);
    desk.append("a.log", "oldest\n");
    desk.settle();
    desk.rename("a.log", "a.log.2");
    desk.append("a.log", "one\n");
    desk.settle();
    fs::hard_link(desk.path("a.log"), desk.path("b.log")).unwrap();
    desk.settle();
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "new\n");
    desk.settle();
    desk.restart();
    desk.settle();
    assert_eq!(desk.texts().concat(), "");
}

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("line {n}\n")).collect()
}

/// A cron job's log, deleted and made anew with the same text while the agent was stopped.
#[test]
fn a_short_file_that_was_made_anew_with_the_same_text_is_read_again() {
    for how in ["in the same inode", "in another", "in place"] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", "backup ok\n");
        desk.settle();
        let known = desk.known();
        std::thread::sleep(Duration::from_millis(20));
        match how {
            "in place" => fs::write(desk.path("a.log"), "backup ok\n").unwrap(),
            "in another" => {
                desk.append("new", "backup ok\n");
                desk.rename("new", "a.log");
            }
            _ => {
                desk.delete("a.log");
                desk.append("a.log", "backup ok\n");
            }
        }
        desk.restart_with(known);
        desk.settle();
        assert_eq!(desk.texts().concat(), "backup ok\n", "{how}");
        desk.restart();
        desk.settle();
        assert_eq!(desk.texts().concat(), "", "{how}");
    }
}

#[test]
fn a_file_made_anew_with_the_same_beginning_is_read_from_its_first_byte() {
    let banner = "# header of more than a kilobyte\n".repeat(60);
    let old = format!("{banner}{}", "old\n".repeat(100));
    let new = format!("{banner}{}", "new\n".repeat(200));
    for running in [true, false] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", &old);
        desk.settle();
        let known = desk.known();
        desk.delete("a.log");
        if running {
            desk.settle();
        }
        desk.append("a.log", &new);
        if !running {
            desk.restart_with(known);
        }
        desk.settle();
        assert_eq!(desk.texts().last(), Some(&new), "running: {running}");
    }
}

#[test]
fn a_restored_backup_is_not_read_again() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    let modified = fs::metadata(desk.path("a.log")).unwrap().modified();
    let known = desk.known();
    desk.append("restored", "one\n");
    let restored = File::options()
        .append(true)
        .open(desk.path("restored"))
        .unwrap();
    restored.set_modified(modified.unwrap()).unwrap();
    desk.rename("restored", "a.log");
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.texts().concat(), "");
    desk.append("a.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts().concat(), "two\n");
}

/// Nothing waits for a compressed copy that takes long to look through, but for what may be in it.
#[test]
fn other_files_are_read_while_a_large_compressed_copy_is_looked_through() {
    let large: String = (0..2_000_000).map(|n| format!("line {n}\n")).collect();
    let mut desk = Desk::new(&["*.log"]);
    desk.append("a.log", &large[..100_000]);
    desk.append("b.log", "one\n");
    desk.buffer_bytes = 1 << 20;
    desk.settle();
    let known = desk.known();
    desk.append("a.log", &large[100_000..]);
    desk.rename("a.log", "a.log.1");
    desk.compress("a.log.1");
    desk.append("a.log", "new\n");
    desk.append("b.log", "two\n");
    desk.restart_with(known);
    desk.look_later();
    assert!(desk.files.is_searching());
    assert_eq!(desk.files.next_look(), Duration::ZERO);
    let ids: Vec<_> = desk.seen.keys().copied().collect();
    for id in ids {
        desk.read(id);
    }
    assert_eq!(desk.texts().concat(), "two\n");
    while desk.files.is_searching() {
        desk.look();
    }
    desk.settle();
    let mut texts = desk.texts();
    texts.sort_by_key(|text| (text.len(), text.clone()));
    assert_eq!(texts[..2], ["new\n", "two\n"]);
    assert!(texts[2] == large[100_000..], "{} bytes", texts[2].len());
}

/// logrotate's `olddir`: copies are put into a folder that no pattern means, and shift there.
#[test]
fn a_copy_in_another_folder_is_no_news_after_a_restart_and_what_is_added_to_it_is_read() {
    for compressed in [false, true] {
        let mut desk = Desk::new(&["*.log"]);
        fs::create_dir(desk.path("old")).unwrap();
        let mut writer = None;
        let mut known = Vec::new();
        for turn in 0..4 {
            desk.append("a.log", &format!("turn {turn}\n"));
            desk.settle();
            writer = Some(desk.writer("a.log"));
            for number in (1..=turn).rev() {
                desk.rename(
                    &format!("old/a.log.{number}"),
                    &format!("old/a.log.{}", number + 1),
                );
            }
            desk.rename("a.log", "old/a.log.1");
            desk.settle();
            known = desk.known();
        }
        let mut writer = writer.unwrap();
        writer.write_all(b"late\n").unwrap();
        // One more rotation that nobody saw, after which the agent starts again.
        desk.append("a.log", "missed\n");
        for number in (1..=4).rev() {
            desk.rename(
                &format!("old/a.log.{number}"),
                &format!("old/a.log.{}", number + 1),
            );
        }
        desk.rename("a.log", "old/a.log.1");
        if compressed {
            desk.compress("old/a.log.2");
        }
        desk.append("a.log", "new\n");
        desk.restart_with(known);
        desk.settle();
        assert_eq!(desk.texts().concat(), "late\nmissed\nnew\n", "{compressed}");
        assert_eq!(desk.lost_bytes(), 0, "{compressed}");
        // What was found there is known as that log's, too.
        desk.restart();
        desk.rename("old/a.log.1", "old/a.log.2");
        desk.append("old/a.log.2", "later\n");
        desk.settle();
        assert_eq!(desk.texts().concat(), "later\n", "{compressed}");
    }
}

/// Moved to a folder that nothing leads to: what is known of it is gone, and what stands there is nobody's.
#[test]
fn what_stands_where_a_copy_was_in_another_folder_is_not_read() {
    let mut desk = Desk::new(&["a.log"]);
    fs::create_dir(desk.path("old")).unwrap();
    desk.append("a.log", "one\n");
    desk.settle();
    desk.rename("a.log", "old/kept");
    desk.append("a.log", "two\n");
    desk.settle();
    let known = desk.known();
    desk.rename("old/kept", "old/other");
    desk.append("old/kept", "a stranger's\n");
    desk.append("a.log", "three\n");
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.texts().concat(), "three\n");
}

/// copytruncate with one copy, twice while the agent is stopped: the copy of what it had read is gone.
#[test]
fn a_copy_that_was_made_after_the_one_of_what_was_read_is_read() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    let mut known = desk.known();
    known[0].last_ms = Some(1_000);
    for text in ["two\n", "three\n"] {
        desk.copy("a.log", "a.log.1");
        desk.truncate("a.log", 0);
        desk.append("a.log", text);
    }
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.texts().concat(), "two\nthree\n");
}

/// A copy of more than a piece takes several looks to be looked through.
#[test]
fn what_is_rotated_while_a_start_looks_through_a_large_copy_is_not_put_before_the_rest() {
    let mut desk = Desk::new(&["a.log"]);
    let large = |of: &str| -> String { (0..500_000).map(|n| format!("{of} {n:012}\n")).collect() };
    let (first, second) = (large("first"), large("second"));
    desk.buffer_bytes = 1 << 20;
    desk.append("a.log", &first);
    desk.settle();
    assert_eq!(desk.all_text().len(), first.len());
    let known = desk.known();
    let mut older = Vec::new();
    let rotate = |desk: &mut Desk, older: &mut Vec<String>, text: &str| {
        for (at, name) in older.iter_mut().enumerate().rev() {
            let ending = if name.ends_with(".gz") { ".gz" } else { "" };
            let shifted = format!("a.log.{}{ending}", at + 2);
            desk.rename(name, &shifted);
            *name = shifted;
        }
        desk.copy("a.log", "a.log.1");
        desk.truncate("a.log", 0);
        older.insert(0, "a.log.1".to_owned());
        desk.append("a.log", text);
    };
    rotate(&mut desk, &mut older, &second);
    desk.compress("a.log.1");
    older[0] = "a.log.1.gz".to_owned();
    rotate(&mut desk, &mut older, "three\n");
    desk.compress("a.log.1");
    older[0] = "a.log.1.gz".to_owned();
    desk.restart_with(known);
    desk.look_later();
    assert!(desk.files.is_searching(), "it is known too soon");
    rotate(&mut desk, &mut older, "four\n");
    let looks = (0..100).take_while(|_| {
        desk.look_later();
        desk.files.is_searching()
    });
    assert!(looks.count() < 100, "it is never known");
    desk.settle();
    let read = desk.texts().concat();
    assert!(read == second + "three\nfour\n", "{} bytes", read.len());
}

/// As a writer that does not append leaves them: all begin with a hole, which tells nothing.
#[test]
fn a_start_looks_through_no_copy_that_is_older_than_the_one_that_it_finds() {
    const HOLE_BYTES: u64 = 5 << 20;
    let mut desk = Desk::new(&["a.log"]);
    desk.buffer_bytes = 1 << 20;
    for n in 1..=6 {
        let name = format!("a.log.{n}");
        desk.append(&name, "");
        desk.truncate(&name, HOLE_BYTES - n * 1000);
        desk.append(&name, &format!("old {n}\n"));
        desk.compress(&name);
    }
    desk.append("a.log", "");
    desk.truncate("a.log", HOLE_BYTES);
    desk.append("a.log", &lines(400));
    desk.settle();
    for n in (1..=6).rev() {
        desk.rename(&format!("a.log.{n}.gz"), &format!("a.log.{}.gz", n + 1));
    }
    desk.copy("a.log", "a.log.1");
    desk.append("a.log", "in neither\n");
    desk.settle();
    assert_eq!(desk.all_text(), lines(400) + "in neither\n");
    let known = desk.known();
    desk.truncate("a.log", 0);
    desk.compress("a.log.1");
    desk.append("a.log", "two\n");
    desk.restart_with(known);
    let looks = (0..100).take_while(|_| {
        desk.look_later();
        desk.files.is_searching()
    });
    assert!(looks.count() < 5);
    desk.settle();
    assert_eq!(desk.texts().concat(), "two\n");
    assert_eq!(desk.lost_bytes(), 0);
}

/// Whoever held it when it was truncated and moved away writes on in it. Its time says nothing: it is what was known.
#[test]
fn a_file_that_was_truncated_and_then_rotated_while_away_is_followed() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    let mut known = desk.known();
    known[0].last_ms = Some(i64::MAX);
    let mut late = desk.writer("a.log");
    desk.truncate("a.log", 0);
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "two\n");
    desk.restart_with(known);
    desk.settle();
    writeln!(late, "late").unwrap();
    desk.settle();
    let mut texts = desk.texts();
    texts.sort_unstable();
    assert_eq!(texts.concat(), "late\ntwo\n");
}

/// Seen, not read, and cut away while the agent is stopped: that is lost, and what is written there afterwards is read.
#[test]
fn what_was_seen_and_cut_away_while_away_is_lost_to_the_byte() {
    let mut desk = Desk::new(&["a.log"]);
    let read = lines(400);
    desk.append("a.log", &read);
    desk.settle();
    desk.append("a.log", "seen, not read\n");
    desk.now += Duration::from_secs(1);
    desk.look();
    let known = desk.known();
    desk.truncate("a.log", read.len() as u64);
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.lost_bytes(), "seen, not read\n".len() as u64);
    desk.append("a.log", "more\n");
    desk.settle();
    assert_eq!(desk.texts().concat(), "more\n");
    desk.restart();
    desk.append("a.log", "and more\n");
    desk.settle();
    assert_eq!(desk.texts().concat(), "and more\n");
}

/// A restart between a copy and the truncation: more may be read before that than the copy holds.
#[test]
fn a_copy_that_is_made_during_a_restart_is_no_news_when_the_file_is_truncated() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "two\n");
    desk.settle();
    let known = desk.known();
    desk.rename("a.log.1", "a.log.2");
    desk.copy("a.log", "a.log.1");
    desk.append("a.log", "three\n");
    desk.restart_with(known);
    desk.settle();
    desk.truncate("a.log", 0);
    desk.settle();
    desk.append("a.log", "four\n");
    desk.settle();
    assert_eq!(desk.texts().concat(), "three\nfour\n");
}

/// The path is a link. What it led to has a name that leads nowhere, and is rotated beside the link.
#[test]
fn what_a_link_led_to_is_found_when_it_was_rotated_while_away() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("target-1", "one\n");
    symlink(desk.path("target-1"), desk.path("a.log")).unwrap();
    desk.settle();
    desk.append("target-2", "two\n");
    desk.delete("a.log");
    symlink(desk.path("target-2"), desk.path("a.log")).unwrap();
    desk.settle();
    let known = desk.known();
    desk.rename("target-1", "a.log.1");
    desk.append("a.log.1", "late\n");
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.texts().concat(), "late\n");
    assert_eq!(desk.lost_bytes(), 0);
}

/// The path is a link. It led elsewhere for a while, and what it led to was rotated.
#[test]
fn what_a_link_led_to_in_between_is_found_beside_it() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("target-1", "one\n");
    desk.append("a.log.1", "from before\n");
    symlink(desk.path("target-1"), desk.path("a.log")).unwrap();
    desk.settle();
    let mut known = desk.known();
    let before = fs::metadata(desk.path("a.log.1"))
        .unwrap()
        .modified()
        .unwrap();
    let before = before.duration_since(UNIX_EPOCH).unwrap();
    known[0].last_ms = Some(before.as_millis() as i64 + 1_000);
    desk.rename("a.log.1", "a.log.2");
    desk.append("a.log.1", "two\n");
    let two = File::options()
        .append(true)
        .open(desk.path("a.log.1"))
        .unwrap();
    two.set_modified(UNIX_EPOCH + before + Duration::from_secs(2))
        .unwrap();
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.texts().concat(), "two\n");
}

/// The same, and nothing was read yet: the known beginning reaches beyond the copy by then.
#[test]
fn a_copy_that_is_made_during_a_restart_is_read_if_nothing_was_read_before() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "");
    desk.settle();
    desk.append("a.log", "one");
    desk.look_later();
    let known = desk.known();
    desk.append("a.log", " and so on\n");
    desk.copy("a.log", "a.log.1");
    desk.append("a.log", "in neither\n");
    desk.restart_with(known);
    desk.look_later();
    desk.truncate("a.log", 0);
    desk.settle();
    assert_eq!(desk.texts().concat(), "one and so on\n");
    assert_eq!(desk.lost_bytes(), "in neither\n".len() as u64);
}

/// An empty copy that was compressed holds nothing to compare. What is older was read.
#[test]
fn an_empty_log_that_was_rotated_and_compressed_makes_nothing_look_new() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.copy("a.log", "a.log.1");
    desk.truncate("a.log", 0);
    desk.rename("a.log.1", "a.log.2");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "");
    desk.compress("a.log.1");
    desk.settle();
    assert_eq!(desk.all_text(), "one\n");
    let mut known = desk.known();
    let ended: Vec<_> = known
        .iter()
        .filter(|known| desk.seen[&known.id].ended.is_some())
        .map(|known| known.id)
        .collect();
    for id in ended {
        if desk.files.forget(id) {
            known.retain(|known| known.id != id);
        }
    }
    for known in &mut known {
        known.last_ms = Some(0);
    }
    desk.restart_with(known);
    desk.settle();
    assert_eq!(desk.texts().concat(), "");
}
