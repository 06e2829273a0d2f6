//! A spool through crashes, outages and full disks.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::memory::Memory;
use super::*;

const LIMIT: u64 = 16 * 1024 * 1024;

fn open(memory: &Memory) -> (Spool, Found) {
    Spool::open(Box::new(memory.clone()), "i-1", LIMIT)
}

fn scope() -> Arc<Scope> {
    Arc::new(Scope {
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

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// The next request leaves.
    Intend,
    /// One of the open requests is answered.
    Settle(usize),
    Withdraw(usize),
    Kill,
    PowerCut(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        // Large ones, so that segments change.
        6 => (1_usize..4_000).prop_map(Step::Append),
        4 => Just(Step::Intend),
        4 => any::<usize>().prop_map(Step::Settle),
        1 => any::<usize>().prop_map(Step::Withdraw),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerCut),
    ];
    prop::collection::vec(step, 0..80)
}

/// What there was, by when it was measured.
#[derive(Default)]
struct Model {
    /// Not settled: its values, and whether it may be gone after a power cut.
    pending: BTreeMap<i64, usize>,
    /// Safe from a power cut.
    synced: Vec<i64>,
    settled: Vec<i64>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn what_was_measured_is_there_until_it_is_settled_and_what_was_intended_is_known(steps in steps()) {
        let memory = Memory::default();
        let mut spool = open(&memory).0;
        let mut model = Model::default();
        let mut at_ms = 0;
        let mut open_of: BTreeMap<u64, (Range, i64)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Append(count) => {
                    at_ms += 60_000;
                    // Not split into several, so that a time names a reading.
                    let count = count % 90 + 1;
                    spool.append(at_ms, &scope(), values(at_ms, count));
                    model.pending.insert(at_ms, count);
                }
                Step::Intend => {
                    let gap = spool.gaps().first().copied();
                    let next = match gap {
                        Some(range) => spool.parcel(range).first().cloned(),
                        None => spool.unpacked().first().cloned(),
                    };
                    if let Some(reading) = next {
                        spool.intend(whole(&reading));
                        open_of.insert(reading.seq, (whole(&reading), reading.at_ms));
                        model.synced = model.pending.keys().copied().collect();
                    }
                }
                Step::Settle(which) if !open_of.is_empty() => {
                    let seq = *open_of.keys().nth(which % open_of.len()).unwrap_or(&0);
                    if let Some((range, at)) = open_of.remove(&seq) {
                        spool.settle(range, Fate::Taken);
                        model.pending.remove(&at);
                        model.settled.push(at);
                    }
                }
                Step::Withdraw(which) if !open_of.is_empty() => {
                    let seq = *open_of.keys().nth(which % open_of.len()).unwrap_or(&0);
                    if let Some((range, _)) = open_of.remove(&seq) {
                        spool.withdraw(range);
                    }
                }
                Step::Settle(_) | Step::Withdraw(_) => {}
                Step::Kill => {
                    drop(spool);
                    let (again, found) = open(&memory);
                    spool = again;
                    prop_assert!(found.set_aside.is_empty() && found.unusable.is_none());
                    let known: Vec<Range> = open_of.values().map(|(range, _)| *range).collect();
                    prop_assert_eq!(spool.open_ranges(), known);
                    let points: usize = model.pending.values().sum();
                    // What is settled behind an open one is let go with it.
                    prop_assert!(spool.counts().points >= points as u64);
                }
                Step::PowerCut(seed) => {
                    drop(spool);
                    let mut random = StdRng::seed_from_u64(seed);
                    memory.crash(|| random.random());
                    spool = open(&memory).0;
                    // Nothing that was intended may be taken for what never left.
                    let known = spool.open_ranges();
                    let gone = |range: &Range| range.last <= spool.packed_through();
                    for (range, _) in open_of.values() {
                        prop_assert!(known.contains(range) && gone(range));
                    }
                    open_of = known
                        .iter()
                        .filter_map(|range| {
                            let reading = spool.parcel(*range).first().cloned()?;
                            Some((reading.seq, (*range, reading.at_ms)))
                        })
                        .collect();
                    // What was settled may have to be asked for again; it is never sent without asking.
                    let mut left = all(&mut spool);
                    for (_, at) in open_of.values() {
                        left.entry(*at).or_default();
                    }
                    for at in &model.synced {
                        prop_assert!(!model.pending.contains_key(at) || left.contains_key(at));
                    }
                    for at in left.keys() {
                        let asked = open_of.values().any(|(_, open)| open == at)
                            || spool.gaps().iter().any(|gap| gap.first > 0);
                        prop_assert!(model.pending.contains_key(at) || asked);
                    }
                    model.pending = left;
                    at_ms += 1;
                }
            }
        }
        // In the end everything can be sent, once.
        for range in spool.open_ranges() {
            spool.withdraw(range);
        }
        let mut sent = Vec::new();
        loop {
            let gap = spool.gaps().first().copied();
            let next = match gap {
                Some(range) => spool.parcel(range).first().cloned(),
                None => spool.unpacked().first().cloned(),
            };
            let Some(reading) = next else { break };
            prop_assert_eq!(&reading.values, &values_of(&reading));
            spool.intend(whole(&reading));
            spool.settle(whole(&reading), Fate::Taken);
            sent.push(reading.at_ms);
        }
        for at in model.pending.keys() {
            prop_assert!(sent.contains(at), "{at} is missing");
        }
        let once: std::collections::BTreeSet<_> = sent.iter().collect();
        prop_assert_eq!(once.len(), sent.len());
        prop_assert_eq!(spool.counts().points, 0);
        prop_assert!(memory.len() <= 3, "{} segments for nothing", memory.len());
    }
}

fn values_of(reading: &Reading) -> Vec<(Arc<Series>, f64)> {
    let expected = values(reading.at_ms, reading.values.len());
    expected
        .into_iter()
        .map(|(series, value)| (Arc::new(series), value))
        .collect()
}

/// Everything that is in no parcel, or in a part that has to be sent.
fn all(spool: &mut Spool) -> BTreeMap<i64, usize> {
    let mut readings = spool.unpacked();
    for gap in spool.gaps() {
        readings.extend(spool.parcel(gap));
    }
    readings
        .iter()
        .map(|reading| (reading.at_ms, reading.values.len()))
        .collect()
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
