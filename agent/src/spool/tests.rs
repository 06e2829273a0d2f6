//! A spool through outages, full disks and damage; `crash` has kills and power cuts.

mod crash;

use super::memory::Memory;
use super::*;

const LIMIT: u64 = 16 * 1024 * 1024;

fn open(memory: &Memory) -> (Spool, Found) {
    Spool::open(Box::new(memory.clone()), "i-1", LIMIT)
}

fn scope() -> Arc<Scope> {
    Arc::new(Scope {
        namespace: "CWAgent".into(),
        dimensions: vec![("InstanceId".into(), "i-1".into())],
        rollups: Vec::new(),
        resolution_s: 60,
    })
}

fn values(seed: i64, count: usize) -> Vec<(Series, f64)> {
    (0..count)
        .map(|n| {
            let series = Series {
                name: format!("metric_{n}").into(),
                unit: "Count".into(),
                labels: Vec::new(),
            };
            (series, seed as f64 + n as f64 / 7.0)
        })
        .collect()
}

fn whole(reading: &Reading) -> Range {
    let of = reading.values.len() as u32;
    Range {
        first: reading.seq,
        last: reading.seq,
        from: 0,
        to: of,
        of,
    }
}

#[test]
fn while_everything_is_sent_the_same_room_is_used_again_and_again() {
    let memory = Memory::default();
    let mut spool = open(&memory).0;
    for minute in 1..=20_000_i64 {
        spool.append(minute * 60_000, &scope(), values(minute, 60));
        let reading = spool.unpacked().remove(0);
        assert_eq!(reading.at_ms, minute * 60_000);
        spool.intend(whole(&reading));
        spool.settle(whole(&reading), Fate::Taken);
        assert!(memory.len() <= 3, "{}", memory.len());
    }
    // One for each request, and two for each of the segments.
    assert!(memory.syncs() < 20_000 + 200, "{}", memory.syncs());
}

#[test]
fn an_outage_is_kept_up_to_the_limit_and_the_oldest_is_given_up_first() {
    let memory = Memory::default();
    let mut spool = Spool::open(Box::new(memory.clone()), "i-1", 1024 * 1024).0;
    for minute in 1..=4_000_i64 {
        spool.append(minute * 60_000, &scope(), values(minute, 60));
    }
    let counts = spool.counts();
    assert!(counts.disk_bytes <= 1024 * 1024, "{counts:?}");
    assert!(counts.dropped.overflow > 0 && counts.points > 0);
    assert_eq!(counts.points + counts.dropped.overflow, 4_000 * 60);
    drop(spool);
    let (mut spool, _) = Spool::open(Box::new(memory), "i-1", 1024 * 1024);
    let mut expected = spool.unpacked()[0].at_ms;
    assert_eq!(spool.counts().oldest_ms, Some(expected));
    while let Some(reading) = spool.unpacked().first().cloned() {
        assert_eq!(reading.at_ms, expected, "no hole behind the oldest");
        expected += 60_000;
        spool.intend(whole(&reading));
        spool.settle(whole(&reading), Fate::Taken);
    }
    assert_eq!(expected, 4_001 * 60_000);
}

#[test]
fn a_full_disk_is_waited_out_in_memory() {
    let memory = Memory::default();
    let mut spool = open(&memory).0;
    memory.fill(true);
    for minute in 1..=50_i64 {
        spool.append(minute, &scope(), values(minute, 60));
    }
    assert!(spool.trouble().is_some());
    assert_eq!(spool.unpacked().len(), 50);
    memory.fill(false);
    spool.append(51, &scope(), values(51, 60));
    assert!(spool.trouble().is_none());
    drop(spool);
    assert_eq!(open(&memory).0.unpacked().len(), 51);
}

#[test]
fn memory_is_bounded_while_the_disk_is_full() {
    let memory = Memory::default();
    memory.fill(true);
    let mut spool = open(&memory).0;
    for minute in 1..=1_000_i64 {
        spool.append(minute, &scope(), values(minute, 60));
    }
    let counts = spool.counts();
    assert_eq!(counts.points + counts.dropped.overflow, 60_000);
    assert!(counts.points < 26_000, "{counts:?}");
    let mut sent = 0;
    while let Some(reading) = spool.unpacked().first().cloned() {
        spool.intend(whole(&reading));
        spool.settle(whole(&reading), Fate::Taken);
        sent += reading.values.len() as u64;
    }
    assert_eq!(sent, counts.points);
}

#[test]
fn metrics_of_the_host_that_the_disk_is_a_copy_of_are_not_sent() {
    let memory = Memory::default();
    let mut spool = open(&memory).0;
    spool.append(1, &scope(), values(1, 60));
    drop(spool);
    let (mut spool, found) = Spool::open(Box::new(memory.clone()), "i-2", LIMIT);
    assert_eq!(found.other_instance.as_deref(), Some("i-1"));
    assert_eq!(spool.counts().dropped.other_instance, 60);
    assert!(spool.unpacked().is_empty());
}

#[test]
fn a_damaged_place_costs_what_is_there_and_no_more() {
    let memory = Memory::default();
    let mut spool = open(&memory).0;
    for minute in 1..=9_i64 {
        spool.append(minute, &scope(), values(minute, 60));
    }
    drop(spool);
    memory.damage(0, 4_000);
    let (mut spool, found) = open(&memory);
    assert_eq!(found.damaged, 1);
    assert_eq!(spool.unpacked().len(), 8);
    // What comes after it is safe.
    spool.append(10, &scope(), values(10, 60));
    drop(spool);
    assert_eq!(open(&memory).0.unpacked().len(), 9);
}

#[test]
fn a_parcel_that_is_given_up_in_part_is_given_up_whole_and_stays_so() {
    const SEGMENT: u64 = 4096;
    let open =
        |memory: &Memory| Spool::open_in(Box::new(memory.clone()), "i-1", 4 * SEGMENT, SEGMENT).0;
    let memory = Memory::default();
    let mut spool = open(&memory);
    for minute in 1..=2_i64 {
        spool.append(minute, &scope(), values(minute, 90));
    }
    // A request that is never answered, over readings of two segments.
    let parcel = spool.unpacked();
    let range = Range {
        last: parcel[1].seq,
        of: 180,
        to: 180,
        ..whole(&parcel[0])
    };
    spool.intend(range);
    for minute in 3..=9_i64 {
        spool.append(minute, &scope(), values(minute, 90));
    }
    let counts = spool.counts();
    assert_eq!(counts.points + counts.dropped.overflow, 9 * 90);
    assert!(counts.dropped.overflow >= 180 && spool.open_ranges().is_empty());
    let left: Vec<i64> = spool.unpacked().iter().map(|it| it.at_ms).collect();
    assert!(
        left.iter().all(|at| *at > 2) && left.ends_with(&[8, 9]),
        "{left:?}"
    );
    drop(spool);
    let mut again = open(&memory);
    let found: Vec<i64> = again.unpacked().iter().map(|it| it.at_ms).collect();
    assert_eq!((found, again.open_ranges()), (left, Vec::new()));
    assert_eq!(again.counts().points, counts.points);
}
