//! What to send next, and what an answer means. No clock and no network: time and answers are handed in.
//!
//! PutMetricData can't be repeated safely: a point that is sent twice counts twice in `SampleCount` and `Sum`. So a request whose answer was lost is looked for,
//! by one point that only it holds, and sent again only when that is not there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::limits::{MAX_AGE, MAX_DATA, READABLE_AGE};
use super::pack::{self, Packed, Probe, stored_ms};
use crate::aws::{Failure, FailureKind};
use crate::clock::Now;
use crate::ship::backoff::Random;
use crate::spool::{Fate, Range, Reading, Spool};

/// When a request is looked for that may have arrived: points show within seconds, and are taken for missing after the last look.
const LOOKS: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(45),
    Duration::from_secs(90),
];
/// So many requests may be in doubt before nothing new is sent.
const MAX_PARCELS: usize = 8;
/// Points that are stored by the second are sent this often.
const FLUSH_MS: i64 = 10_000;
/// The longest pause between tries while nobody answers: catching up begins within it.
const CAP: Duration = Duration::from_secs(10);
/// The same where the service says no: too much, or not allowed.
const CAP_REFUSED: Duration = Duration::from_secs(60);
/// So many data in a row, each refused by itself: it is not them.
const MAX_REFUSED: u32 = 16;

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Do {
    /// Send this; it is written down.
    Put(Packed),
    /// Look whether this request has arrived.
    Look(Range, Probe),
    /// Nothing, for so long at most.
    Wait(Duration),
}

#[derive(Debug)]
struct Doubt {
    looks: usize,
    at: Duration,
}

/// Sends what the spool holds.
#[derive(Debug)]
pub struct Courier {
    namespace: String,
    interval: Duration,
    random: Random,
    attempts: u32,
    closed_until: Duration,
    doubts: BTreeMap<Range, Doubt>,
    most: usize,
    refused: u32,
    flushed_ms: i64,
    /// Data that CloudWatch took.
    pub taken: u64,
    /// Data that CloudWatch refused.
    pub rejected: u64,
    /// Points that became too old.
    pub too_old: u64,
    /// What went wrong last, until something goes well.
    pub trouble: Option<String>,
}

impl Courier {
    /// `seed` spreads the tries of many hosts.
    #[must_use]
    pub fn new(namespace: String, interval: Duration, seed: u64) -> Self {
        Self {
            namespace,
            interval,
            random: Random::new(seed),
            attempts: 0,
            closed_until: Duration::ZERO,
            doubts: BTreeMap::new(),
            most: MAX_DATA,
            refused: 0,
            flushed_ms: i64::MIN,
            taken: 0,
            rejected: 0,
            too_old: 0,
            trouble: None,
        }
    }

    /// What to do now.
    pub fn next(&mut self, spool: &mut Spool, now: Now) -> Do {
        if now.monotonic < self.closed_until {
            return Do::Wait(self.closed_until - now.monotonic);
        }
        let mut wait = Duration::MAX;
        for range in spool.open_ranges() {
            // Those of before the start are looked for at once.
            let doubt = self.doubts.entry(range).or_insert(Doubt {
                looks: 0,
                at: now.monotonic,
            });
            if doubt.at > now.monotonic {
                wait = wait.min(doubt.at - now.monotonic);
                continue;
            }
            let parcel = spool.parcel(range);
            let part = (range.from, range.to);
            let packed = pack::request(
                &self.namespace,
                &parcel,
                (range.first, range.last),
                part,
                MAX_DATA,
            );
            match packed
                .filter(|it| it.range == range)
                .and_then(|it| it.probe)
            {
                Some(probe) if age(probe.at_ms, now) < READABLE_AGE => {
                    return Do::Look(range, probe);
                }
                // It can't be seen: rather twice than not at all. Average and extremes are right either way.
                _ => self.again(range, spool),
            }
        }
        for gap in spool.gaps() {
            let parcel = spool.parcel(gap);
            let part = (gap.from, gap.to);
            let packed = pack::request(
                &self.namespace,
                &parcel,
                (gap.first, gap.last),
                part,
                self.most,
            );
            match packed {
                Some(packed) if packed.range.of == gap.of => return self.leave(packed, spool),
                // Its readings are not what they were: damaged on the disk.
                _ => {
                    spool.settle(gap, Fate::Rejected);
                    self.rejected += u64::from(gap.to - gap.from);
                }
            }
        }
        if spool.parcels() >= MAX_PARCELS {
            return Do::Wait(wait);
        }
        loop {
            let readings = spool.unpacked();
            let first = spool.packed_through() + 1;
            let old = readings
                .iter()
                .take_while(|it| age(it.at_ms, now) > MAX_AGE);
            let old = old.count();
            if let Some(last) = old.checked_sub(1).and_then(|at| readings.get(at)) {
                let points = readings.iter().take(old).map(|it| it.values.len() as u64);
                self.too_old += points.sum::<u64>();
                spool.settle(unit(first, last.seq), Fate::TooOld);
                continue;
            }
            let (due, later) = self.due(&readings, now);
            if due.is_empty() {
                return Do::Wait(wait.min(later));
            }
            let parcel = &due[..pack::parcel_of(due)];
            let Some(last) = parcel.last() else {
                return Do::Wait(wait);
            };
            let ends = (first, last.seq);
            match pack::request(&self.namespace, parcel, ends, (0, u32::MAX), self.most) {
                Some(packed) => return self.leave(packed, spool),
                // Nothing in it that CloudWatch takes.
                None => spool.settle(unit(first, last.seq), Fate::Rejected),
            }
        }
    }

    fn leave(&mut self, packed: Packed, spool: &mut Spool) -> Do {
        spool.intend(packed.range);
        Do::Put(packed)
    }

    /// Which of the readings may leave, and when the others may.
    fn due<'r>(
        &mut self,
        readings: &'r [Arc<Reading>],
        now: Now,
    ) -> (&'r [Arc<Reading>], Duration) {
        let Some(newest) = readings.last() else {
            return (&[], Duration::MAX);
        };
        let step_ms = i64::from(newest.scope.resolution_s.max(1)) * 1_000;
        let interval_ms = self.interval.as_millis() as i64;
        if interval_ms < step_ms {
            // What is stored together leaves together.
            let end = stored_ms(newest) + step_ms;
            let closed = readings.partition_point(|it| stored_ms(it) + step_ms <= end - step_ms);
            if now.unix_ms >= end || now.unix_ms < end - step_ms {
                return (readings, Duration::ZERO);
            }
            let later = Duration::from_millis((end - now.unix_ms).unsigned_abs());
            return (&readings[..closed], later);
        }
        if interval_ms < FLUSH_MS
            && (self.flushed_ms..self.flushed_ms.saturating_add(FLUSH_MS)).contains(&now.unix_ms)
        {
            let later = self.flushed_ms + FLUSH_MS - now.unix_ms;
            return (&[], Duration::from_millis(later.unsigned_abs()));
        }
        self.flushed_ms = now.unix_ms;
        (readings, Duration::ZERO)
    }

    /// The service has answered a request, or not.
    pub fn answered(
        &mut self,
        range: Range,
        answer: Result<(), Failure>,
        spool: &mut Spool,
        now: Now,
    ) {
        let count = range.to - range.from;
        let Err(failure) = answer else {
            spool.settle(range, Fate::Taken);
            self.taken += u64::from(count);
            self.fine();
            self.refused = 0;
            self.most = (self.most * 2).min(MAX_DATA);
            return;
        };
        match failure.kind {
            FailureKind::Unknown | FailureKind::Service => {
                let at = now.monotonic + LOOKS[0];
                self.doubts.insert(range, Doubt { looks: 0, at });
                self.failed(failure, now);
            }
            FailureKind::Invalid if count > 1 && self.refused < MAX_REFUSED => {
                spool.withdraw(range);
                self.most = (count as usize / 2).max(1);
                self.trouble = Some(failure.message);
            }
            FailureKind::Invalid => {
                spool.settle(range, Fate::Rejected);
                self.rejected += u64::from(count);
                self.refused += 1;
                self.trouble = Some(failure.message);
                if self.refused >= MAX_REFUSED {
                    self.most = MAX_DATA;
                }
            }
            _ => {
                spool.withdraw(range);
                self.failed(failure, now);
            }
        }
    }

    /// A request that was in doubt was looked for: so many samples were there.
    pub fn looked(
        &mut self,
        range: Range,
        seen: Result<f64, Failure>,
        spool: &mut Spool,
        now: Now,
    ) {
        let looks = self.doubts.get(&range).map_or(0, |doubt| doubt.looks);
        match seen {
            Ok(samples) if samples > 0.0 => {
                self.doubts.remove(&range);
                spool.settle(range, Fate::Taken);
                self.taken += u64::from(range.to - range.from);
                self.fine();
            }
            Ok(_) => match LOOKS.get(looks + 1) {
                Some(next) => {
                    let at = now.monotonic + *next - LOOKS[looks];
                    self.doubts.insert(
                        range,
                        Doubt {
                            looks: looks + 1,
                            at,
                        },
                    );
                }
                None => self.again(range, spool),
            },
            Err(failure) => match failure.kind {
                FailureKind::Denied
                | FailureKind::Invalid
                | FailureKind::NotFound
                | FailureKind::Other => {
                    self.trouble = Some(failure.message);
                    self.again(range, spool);
                }
                _ => self.failed(failure, now),
            },
        }
    }

    fn again(&mut self, range: Range, spool: &mut Spool) {
        self.doubts.remove(&range);
        spool.withdraw(range);
    }

    fn fine(&mut self) {
        self.attempts = 0;
        self.trouble = None;
    }

    fn failed(&mut self, failure: Failure, now: Now) {
        let cap = match failure.kind {
            FailureKind::Throttled | FailureKind::Denied | FailureKind::Other => CAP_REFUSED,
            _ => CAP,
        };
        let asked = failure.retry_after.unwrap_or_default().min(CAP_REFUSED);
        let pause = self.random.backoff(self.attempts.saturating_add(3), cap);
        self.attempts = self.attempts.saturating_add(1);
        self.closed_until = now.monotonic + pause.max(asked);
        self.trouble = Some(failure.message);
    }
}

fn age(at_ms: i64, now: Now) -> Duration {
    Duration::from_millis(u64::try_from(now.unix_ms - at_ms).unwrap_or(0))
}

/// A parcel of which nothing is sent.
fn unit(first: u64, last: u64) -> Range {
    Range {
        first,
        last,
        from: 0,
        to: 1,
        of: 1,
    }
}
