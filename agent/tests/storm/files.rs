//! What happens to files: every line once, whatever rotates them.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::time::Duration;

use crate::support::ground::Ground;
use crate::support::lines::{ACCESS_BYTES, Shape, TRACEBACK_START};
use crate::support::rotate::{self, Logrotate};
use crate::support::writer::{self, Plan, Turn};

const LOG: &str = "access.log";

#[test]
fn every_line_arrives_once_through_renames() {
    let mut ground = Ground::started("renames", &[LOG]);
    let turns = (1..=8).map(|n| (n * 1000, Turn::Rename)).collect();
    let plan = Plan::new(ground.log(LOG), 0, 5000)
        .lines(10_000)
        .rotations(turns);
    let written = plan.start().finish();
    ground.assert_exact(&[written]);
}

#[test]
fn every_line_arrives_once_through_copytruncates_between_lines() {
    let mut ground = Ground::started("copytruncates", &[LOG]);
    let turns = (1..=8).map(|n| (n * 1000, Turn::CopyTruncate)).collect();
    let plan = Plan::new(ground.log(LOG), 0, 5000)
        .lines(10_000)
        .rotations(turns);
    let written = plan.start().finish();
    ground.assert_exact(&[written]);
}

#[test]
fn a_writer_may_go_on_in_the_renamed_file_for_a_while() {
    let mut ground = Ground::started("late-reopen", &[LOG]);
    let writer = Plan::new(ground.log(LOG), 0, 3000).lines(9000).start();
    for turn in 1..=3 {
        ground.until("lines", || writer.lines() > turn * 2000);
        rotate::rename(&ground.log(LOG));
        // As rsyslog and nginx do until their signal comes.
        let then = writer.lines() + 600;
        ground.until("more lines", || writer.lines() > then || writer.is_done());
        writer.reopen();
    }
    let written = writer.finish();
    ground.assert_exact(&[written]);
}

#[test]
fn every_line_arrives_once_through_logrotate_with_compression() {
    let mut ground = Ground::started("logrotate", &[LOG]);
    let pattern = ground.log(LOG).display().to_string();
    let options = ["nocreate", "compress", "delaycompress"];
    let logrotate = Logrotate::new(ground.folder(), &pattern, &options);
    let writer = Plan::new(ground.log(LOG), 0, 3000).lines(9000).start();
    for turn in 1..=4 {
        ground.until("lines", || writer.lines() > turn * 1500);
        logrotate.force();
        let before = writer.reopened();
        writer.reopen();
        ground.until("the reopening", || writer.reopened() > before);
    }
    let written = writer.finish();
    ground.assert_exact(&[written]);
}

#[test]
fn what_copytruncate_cuts_away_is_counted_to_the_byte() {
    let mut ground = Ground::started("cut", &[LOG]);
    let log = ground.log(LOG);
    // More than the agent holds in memory, so that the file is its buffer.
    ground.endpoint.refuse(Duration::from_secs(3600));
    let copied = writer::fill(&log, 1, 120_000, Duration::from_secs(80), 10_000);
    fs::copy(&log, rotate::numbered(&log, 1)).unwrap();
    let cut = writer::fill(&log, 2, 100, Duration::from_secs(40), 10_000);
    let written = ground.greeting_bytes() + copied.bytes + cut.bytes;
    ground.until("the bytes to be seen", || ground.account().seen == written);
    rotate::truncate(&log);
    let after = writer::fill(&log, 3, 1000, Duration::from_secs(30), 10_000);
    ground.endpoint.accept();

    let verdict = ground.verdict(&[copied, after]);
    assert!(verdict.is_exact(), "{verdict}; {}", ground.said());
    ground.terminate();
    let account = ground.account();
    assert_eq!(account.lost_copytruncate, cut.bytes, "{account:?}");
    assert_eq!(account.pending, 0, "{account:?}");
    let arrived = ground.greeting_bytes() + copied.bytes + after.bytes;
    assert_eq!(account.shipped, arrived, "{account:?}");
}

#[test]
fn what_logrotate_cuts_away_is_lost_and_nothing_else() {
    let mut ground = Ground::started("logrotate-cut", &[LOG]);
    let pattern = ground.log(LOG).display().to_string();
    let logrotate = Logrotate::new(ground.folder(), &pattern, &["copytruncate"]);
    let writer = Plan::new(ground.log(LOG), 0, 3000).lines(9000).start();
    for turn in 1..=4 {
        ground.until("lines", || writer.lines() > turn * 1500);
        logrotate.force();
    }
    let written = writer.finish();
    ground.verdict_at_the_last_line(written);
    ground.terminate();
    let verdict = ground.verdict_at_the_last_line(written);
    let account = ground.account();
    let written_bytes = written.bytes + ground.greeting_bytes();
    println!("copytruncate by logrotate, {written_bytes} bytes written: {verdict}; {account:?}");
    assert_eq!(verdict.twice + verdict.foreign, 0, "{verdict}");
    // What was written after the last look, and cut away before the next, nobody can know of.
    assert_eq!(account.shipped + account.lost_copytruncate, account.seen);
    assert!(account.seen <= written_bytes, "{account:?}");
    if verdict.garbled == 0 {
        let lost = verdict.lost * ACCESS_BYTES as u64;
        assert_eq!(account.shipped + lost, written_bytes, "{verdict}");
    }
}

#[test]
fn a_rotation_while_the_agent_is_down_loses_nothing() {
    for compressed in [false, true] {
        let mut ground = Ground::started("down", &[LOG]);
        let log = ground.log(LOG);
        let mut all = vec![writer::fill(&log, 0, 2000, Duration::from_secs(60), 100)];
        ground.until_arrived(1000);
        ground.kill();
        // Two generations that the agent has not seen, one that it knows in part, and the one that is written to.
        for writer in 1..=3 {
            rotate::rename(&log);
            let ago = Duration::from_secs(50 - 10 * u64::from(writer));
            all.push(writer::fill(&log, writer, 2000, ago, 500));
        }
        if compressed {
            for number in 2..=3 {
                gzip(&rotate::numbered(&log, number));
            }
        }
        ground.start();
        ground.assert_exact(&all);
    }
}

fn gzip(path: &std::path::Path) {
    let done = std::process::Command::new("gzip").arg(path).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut ground = Ground::started("deleted", &[LOG]);
    let log = ground.log(LOG);
    let writer = Plan::new(&log, 0, 2000).lines(4000).start();
    ground.until("lines", || writer.lines() > 1000);
    // The agent has it open; the writer goes on in it.
    ground.until_arrived(500);
    fs::remove_file(&log).unwrap();
    ground.until("lines", || writer.lines() > 2000);
    writer.reopen();
    let written = writer.finish();
    ground.assert_exact(&[written]);
}

#[test]
fn a_truncation_without_a_copy_goes_on_with_what_is_new() {
    let mut ground = Ground::started("truncated", &[LOG]);
    let log = ground.log(LOG);
    let first = writer::fill(&log, 0, 1000, Duration::from_secs(60), 100);
    ground.until_arrived(first.lines);
    rotate::truncate(&log);
    // Longer than before: what grew past the old end is not taken for a continuation.
    let second = writer::fill(&log, 1, 3000, Duration::from_secs(30), 100);
    ground.assert_exact(&[first, second]);
}

#[test]
fn a_switched_symlink_is_followed() {
    let mut ground = Ground::new("symlink", &[LOG]);
    let (one, two) = (ground.log("one.txt"), ground.log("two.txt"));
    File::create(&one).unwrap();
    symlink(&one, ground.log(LOG)).unwrap();
    ground.start();
    let first = Plan::new(&one, 0, 2000).lines(2000).start();
    ground.until("lines", || first.lines() > 1000);
    File::create(&two).unwrap();
    let second = Plan::new(&two, 1, 2000).lines(2000).start();
    symlink(&two, ground.log("next")).unwrap();
    fs::rename(ground.log("next"), ground.log(LOG)).unwrap();
    let written = [first.finish(), second.finish()];
    ground.assert_exact(&written);
}

#[test]
fn a_file_that_is_replaced_by_a_rename_is_begun_anew() {
    let mut ground = Ground::started("replaced", &[LOG]);
    let log = ground.log(LOG);
    let mut all = Vec::new();
    for writer in 0..4 {
        let next = ground.log("next");
        all.push(writer::fill(
            &next,
            writer,
            1000,
            Duration::from_secs(40 - 10 * u64::from(writer)),
            500,
        ));
        fs::rename(&next, &log).unwrap();
        ground.until_arrived(all.iter().map(|written| written.lines).sum());
    }
    ground.assert_exact(&all);
}

#[test]
fn torn_and_odd_lines_and_tracebacks_arrive_as_they_were_meant() {
    let mut ground = Ground::new("odd", &[LOG, "odd.log", "error.log"]);
    ground.setup.files[2].format = "gunicorn";
    ground.setup.files[2].multiline = Some(TRACEBACK_START);
    ground.start();
    let writers = [
        Plan::new(ground.log(LOG), 0, 500)
            .lines(1500)
            .torn_every(50)
            .start(),
        Plan::new(ground.log("odd.log"), 1, 500)
            .lines(1500)
            .shape(Shape::Odd)
            .torn_every(70)
            .start(),
        Plan::new(ground.log("error.log"), 2, 200)
            .lines(600)
            .shape(Shape::Traceback)
            .torn_every(70)
            .start(),
    ];
    let written = writers.map(writer::Writer::finish);
    ground.assert_exact(&written);
}

#[test]
fn a_last_line_without_an_end_is_shipped_after_a_while_and_never_twice() {
    let mut ground = Ground::new("unended", &[LOG]);
    ground.start();
    let log = ground.log(LOG);
    let written = writer::fill(&log, 0, 10, Duration::from_secs(5), 10);
    // Cut the last line's end off before anybody has seen it.
    let text = fs::read(&log).unwrap();
    let mut file = File::create(ground.log("next")).unwrap();
    file.write_all(&text[..text.len() - 1]).unwrap();
    ground.until_arrived(10);
    rotate::rename(&log);
    fs::rename(ground.log("next"), &log).unwrap();
    ground.until_arrived(20);
    ground.terminate();
    let verdict = ground.verdict(&[written]);
    assert_eq!((verdict.lost, verdict.twice), (0, 10), "{verdict}");
    assert_eq!(verdict.garbled + verdict.foreign, 0, "{verdict}");
}
