//! Bounds on descriptors and on what is unread.

use std::fs;
use std::time::Duration;

use super::desk::{Desk, limits};
use crate::account::Lost;
use crate::discover::stat::asked;
use crate::tail::Start;

#[test]
fn few_descriptors_serve_many_files() {
    let mut limits = limits();
    limits.open_files = 8;
    let mut desk = Desk::with(&["*.log"], Start::Beginning, limits, |_| {});
    for round in 0..3 {
        for file in 0..100 {
            desk.append(&format!("{file}.log"), &format!("{file} {round}\n"));
        }
        desk.settle();
        let held = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .filter(|path| path.starts_with(desk.folder.path()))
            .count();
        assert!(held <= 8, "{held} descriptors");
    }
    assert_eq!(desk.seen.len(), 100);
    for seen in desk.seen.values() {
        let name = seen.path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(seen.text(), format!("{name} 0\n{name} 1\n{name} 2\n"));
    }
}

#[test]
fn a_closed_file_that_is_rotated_is_found_under_its_new_name() {
    let mut limits = limits();
    limits.open_files = 1;
    let mut desk = Desk::with(&["*.log"], Start::Beginning, limits, |_| {});
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("b.log", "other\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "three\n");
    desk.settle();
    let mut texts = desk.texts();
    texts.sort();
    assert_eq!(texts, ["one\ntwo\n", "other\n", "three\n"]);
}

#[test]
fn beyond_the_backlog_the_oldest_is_given_up_to_the_byte() {
    let mut limits = limits();
    limits.backlog_files = 2;
    let mut desk = Desk::with(&["a.log"], Start::Beginning, limits, |_| {});
    desk.append("a.log", "zero\n");
    desk.look_later();
    for round in 1..=4 {
        for number in (1..round).rev() {
            desk.rename(&format!("a.log.{number}"), &format!("a.log.{}", number + 1));
        }
        desk.rename("a.log", "a.log.1");
        desk.append("a.log", &format!("line {round}\n"));
        desk.look_later();
    }
    let lost: Vec<_> = desk.seen.values().map(|seen| seen.lost.clone()).collect();
    assert_eq!(lost[0], [(0, 5, Lost::Backlog)]);
    assert_eq!(lost[1], [(0, 7, Lost::Backlog)]);
    assert!(lost[2..].iter().all(Vec::is_empty));
    assert!(
        desk.troubles
            .values()
            .any(|message| message.contains("limits.backlog"))
    );
    desk.settle();
    assert_eq!(desk.texts(), ["", "", "line 2\n", "line 3\n", "line 4\n"]);
    desk.settle();
    assert!(desk.troubles.is_empty(), "{:?}", desk.troubles);
}

#[test]
fn beyond_the_backlogs_bytes_the_oldest_is_given_up() {
    let mut limits = limits();
    limits.backlog_bytes = 10;
    let mut desk = Desk::with(&["a.log"], Start::Beginning, limits, |_| {});
    desk.append("a.log", "eleven bytes\n");
    desk.look_later();
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "and a live file of any size\n");
    desk.look_later();
    assert_eq!(desk.lost_bytes(), 13);
    desk.settle();
    assert_eq!(desk.texts(), ["", "and a live file of any size\n"]);
}

#[test]
fn nothing_is_due_before_the_poll_when_all_is_quiet() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    for _ in 0..5 {
        desk.settle();
    }
    assert_eq!(desk.files.next_look(), desk.now + Duration::from_secs(1));
}

/// How many files are asked about while a log with so many rotated copies is rotated once more, and after a restart.
fn asked_about(copies: usize, compressed: bool) -> (u64, u64) {
    let ending = if compressed { ".gz" } else { "" };
    let mut desk = Desk::new(&["a.log"]);
    for n in 1..=copies {
        desk.append(&format!("a.log.{n}"), &format!("old line {n}\n"));
        if compressed {
            desk.compress(&format!("a.log.{n}"));
        }
    }
    desk.append("a.log", "one\n");
    desk.settle();
    let rotated = asked::during(|| {
        for n in (1..=copies).rev() {
            let (from, to) = (
                format!("a.log.{n}{ending}"),
                format!("a.log.{}{ending}", n + 1),
            );
            desk.rename(&from, &to);
        }
        desk.rename("a.log", "a.log.1");
        if compressed {
            desk.compress("a.log.1");
        }
        desk.append("a.log", "two\n");
        desk.settle();
    });
    let restarted = asked::during(|| {
        desk.restart_keeping();
        desk.append("a.log", "three\n");
        desk.settle();
    });
    assert_eq!(desk.all_text(), "one\ntwo\nthree\n");
    (rotated, restarted)
}

#[test]
fn a_log_with_four_times_the_copies_costs_four_times_the_looks() {
    for compressed in [true, false] {
        let (few, many) = (asked_about(50, compressed), asked_about(200, compressed));
        assert!(many.0 < few.0 * 5, "rotated: {few:?}, {many:?}");
        assert!(many.1 < few.1 * 5, "restarted: {few:?}, {many:?}");
        // Nothing is opened for a new name alone.
        assert!(many.0 < 200 * 15 / 2, "rotated: {many:?}");
    }
}

#[test]
fn what_is_added_to_the_newest_64_rotated_files_of_a_log_is_read_and_to_older_ones_is_not() {
    let mut desk = Desk::new(&["a.log"]);
    for n in 1..=66 {
        desk.append("a.log", &format!("line of the {n}th file\n"));
        desk.settle();
        // Dated, so that each keeps its name.
        desk.rename("a.log", &format!("a.log-{}", 20_260_100 + n));
        desk.settle();
    }
    // An older one is let go when it was quiet for a minute.
    for _ in 0..61 {
        desk.look_later();
    }
    let over = desk.seen.iter().filter(|(_, seen)| seen.ended.is_some());
    let over: Vec<_> = over.map(|(&id, _)| id).collect();
    assert!(over.iter().all(|&id| desk.files.forget(id)), "{over:?}");
    let expected = desk.all_text();
    for n in [1, 2, 3, 66] {
        desk.append(&format!("a.log-{}", 20_260_100 + n), &format!("late {n}\n"));
    }
    desk.settle();
    let late: Vec<String> = desk
        .texts()
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.starts_with("late"))
        .map(str::to_owned)
        .collect();
    assert_eq!(late, ["late 3", "late 66"]);
    assert_eq!(
        desk.all_text().len(),
        expected.len() + "late 3\nlate 66\n".len()
    );
}
