//! What must hold at the end of a history.

use std::collections::{BTreeMap, HashMap};

use baker_agent::status::{Account, Status};
use proptest::prelude::*;

use crate::books::{Count, Key, Line};
use crate::world::{Order, World};

/// How long after it was written a line may be stamped with the time of its reading: the longest back-off, and the longest time that
/// an agent is down in a history.
const READ_WITHIN_MS: i64 = 400_000;

/// A clock that is off by less is not corrected.
const CLOCK_TOLERANCE_MS: i64 = 60_000;

/// All of it.
pub(crate) fn all(world: &World, status: &Status) -> Result<(), TestCaseError> {
    let arrived = arrived(world);
    once_each(world, &arrived)?;
    account(world, &arrived, status)?;
    if let Some(of) = world.setting.order {
        order(world, of)?;
    }
    if world.setting.stamps_are_true {
        stamps(world)?;
    }
    Ok(())
}

/// How often each line came: by text and time, where it bears one.
fn arrived(world: &World) -> BTreeMap<Key, usize> {
    let mut arrived: BTreeMap<Key, usize> = BTreeMap::new();
    for event in world.service.shown().flatten() {
        let untimed = is_untimed(&event.message);
        let key = (event.message.clone(), (!untimed).then_some(event.unix_ms));
        *arrived.entry(key).or_default() += 1;
    }
    arrived
}

/// Every line that stands somewhere arrived as often as it was written; none came more often, and none that nobody wrote.
fn once_each(world: &World, arrived: &BTreeMap<Key, usize>) -> Result<(), TestCaseError> {
    let counts = world.host.books.counts();
    for (key, count) in &counts {
        let came = arrived.get(*key).copied().unwrap_or(0);
        prop_assert!(
            came <= count.written,
            "{key:?} was written {} times and arrived {came} times; on the disk: {:?}",
            count.written,
            world.host.inventory()
        );
        prop_assert!(
            came + count.excused >= count.written,
            "{key:?} was written {} times and arrived {came} times, {} excused; on the disk: {:?}",
            count.written,
            count.excused,
            world.host.inventory()
        );
    }
    for key in arrived.keys() {
        prop_assert!(counts.contains_key(key), "{key:?} was never written");
    }
    Ok(())
}

/// The account is conserved, and it is true: what it calls shipped is what arrived, what it calls lost is what did not, and whatever
/// was seen and did not arrive is called lost.
fn account(
    world: &World,
    arrived: &BTreeMap<Key, usize>,
    status: &Status,
) -> Result<(), TestCaseError> {
    let totals = &status.totals;
    let files: Vec<String> = status
        .files
        .iter()
        .map(|file| {
            let Account { seen_bytes, shipped_bytes, filtered_bytes, lost_bytes, pending_bytes, .. } = &file.account;
            format!(
                "\n  #{} {} seen {seen_bytes}, shipped {shipped_bytes}, filtered {filtered_bytes:?}, lost {lost_bytes:?}, pending {pending_bytes}, ended {}",
                file.generation, file.path, file.ended
            )
        })
        .collect();
    let told = format!(
        "status tells of {totals:?}, gone {:?}, complaints {:?}{}\n  on the disk {:?}",
        status.gone,
        status.complaints,
        files.concat(),
        world.host.inventory()
    );
    prop_assert!(status.conserved, "not conserved; {told}");
    prop_assert_eq!(totals.pending_bytes, 0, "pending; {}", told);
    let came: u64 = arrived
        .iter()
        .map(|((text, _), times)| (text.len() as u64 + 1) * *times as u64)
        .sum();
    // What was under way when the agent was killed, and is gone from the disk, may have arrived and be called lost.
    let doubtful = came.saturating_sub(totals.shipped_bytes);
    let twins = twins(world, arrived);
    let overstated = totals.shipped_bytes.saturating_sub(came);
    let optional = optional(world, arrived);
    prop_assert!(
        overstated <= twins && doubtful <= world.doubtful_bytes + optional,
        "{} bytes are called shipped, {came} arrived, {} were told to be in doubt; {told}",
        totals.shipped_bytes,
        world.doubtful_bytes
    );
    prop_assert!(totals.rejected_bytes.is_empty(), "rejected; {told}");
    // Of lines with one text and time, those that may be missing are missing.
    let mut left = arrived.clone();
    let (mut missing, mut seen) = (0, 0);
    let mut lines: Vec<&Line> = world.host.books.lines.iter().collect();
    lines.sort_by_key(|line| (line.excused || line.optional, !line.seen));
    for line in lines {
        match left.get_mut(&line.key).filter(|times| **times > 0) {
            Some(times) => *times -= 1,
            None if line.imagined => {}
            None => {
                missing += line.bytes();
                if line.seen && !line.optional {
                    seen += line.bytes();
                }
            }
        }
    }
    let recounted = world.host.books.lines.iter();
    let recounted = recounted.filter(|line| line.recounted);
    let recounted: u64 = recounted.map(Line::bytes).sum();
    let lost: u64 = totals.lost_bytes.values().sum();
    prop_assert!(
        lost <= missing + doubtful + recounted + world.host.hole_bytes,
        "{lost} bytes are called lost, but no more than {missing} did not arrive; {told}"
    );
    prop_assert!(
        lost + overstated >= seen,
        "{seen} bytes were there at a look and did not arrive, but no more than {lost} are called lost; {told}"
    );
    Ok(())
}

/// Bytes of lines that are missing beside one of the same text and time that stood in bytes which are gone: where an answer was lost, nobody can
/// tell which of them the one in the stream is. guarantees.md lists that limit.
fn twins(world: &World, arrived: &BTreeMap<Key, usize>) -> u64 {
    let counts = world.host.books.counts();
    let missing = |(key, count): (&&Key, &Count)| {
        let came = arrived.get(*key).copied().unwrap_or(0);
        let missing = count.written.saturating_sub(came).min(count.excused);
        let missing = if came > 0 { missing } else { 0 };
        (key.0.len() as u64 + 1) * missing as u64
    };
    counts.iter().map(missing).sum()
}

/// Bytes of lines that arrived and need not: of which nobody can tell whether they are others than those that stood there before.
fn optional(world: &World, arrived: &BTreeMap<Key, usize>) -> u64 {
    let lines = world.host.books.lines.iter();
    let came = lines.filter(|line| line.optional && arrived.contains_key(&line.key));
    came.map(Line::bytes).sum()
}

/// Lines of one file (or of one log) whose stamps do not fall come back in the order in which they were written.
fn order(world: &World, of: Order) -> Result<(), TestCaseError> {
    let counts = world.host.books.counts();
    // Where each line stands in what its stream shows.
    let mut places: HashMap<(&str, Option<i64>), (usize, i64)> = HashMap::new();
    for stream in world.service.shown() {
        for (place, event) in stream.into_iter().enumerate() {
            let time = (!is_untimed(&event.message)).then_some(event.unix_ms);
            places.insert((&event.message, time), (place, event.unix_ms));
        }
    }
    let lines = &world.host.books.lines;
    let mut files: BTreeMap<usize, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        // One that reads as another can't be told from it.
        // Nor can one be waited for that was under way when the agent was killed, and whose bytes are gone.
        if counts[&line.key].written == 1 && !line.adrift {
            let file = match of {
                Order::OfFiles => line.body,
                Order::OfLogs => line.log,
            };
            files.entry(file).or_default().push(line);
        }
    }
    for lines in files.values() {
        let mut last: Option<(&Line, usize, i64)> = None;
        for line in lines {
            let (text, time) = (&line.key.0, line.key.1);
            let Some(&(place, stamp)) = places.get(&(text.as_str(), time)) else {
                continue;
            };
            if let Some((before, at, earlier)) = last {
                // Where the time of reading is the stamp, it falls with the clock that was read.
                let falls = match time {
                    Some(_) => stamp < earlier,
                    None => stamp < earlier && world.jumped,
                };
                prop_assert!(
                    falls || place > at,
                    "{:?} was written before {:?} and stands behind it",
                    before.key,
                    line.key
                );
            }
            last = Some((line, place, stamp));
        }
    }
    Ok(())
}

/// Lines that bear no time are stamped with that of their reading, by a clock that is right.
fn stamps(world: &World) -> Result<(), TestCaseError> {
    let mut written: HashMap<&str, i64> = HashMap::new();
    for line in &world.host.books.lines {
        written.insert(&line.key.0, line.true_ms);
    }
    for event in world.service.shown().flatten() {
        let Some(&true_ms) = written.get(event.message.as_str()) else {
            continue;
        };
        if is_untimed(&event.message) {
            let (first, last) = (
                true_ms - CLOCK_TOLERANCE_MS,
                event.taken_ms + CLOCK_TOLERANCE_MS,
            );
            prop_assert!(
                (first..=last.min(true_ms + READ_WITHIN_MS)).contains(&event.unix_ms),
                "{:?} was written at {true_ms}, taken at {} and is stamped {}",
                event.message,
                event.taken_ms,
                event.unix_ms
            );
        }
    }
    Ok(())
}

/// A line that bears no time.
fn is_untimed(message: &str) -> bool {
    message.starts_with("line ")
}
