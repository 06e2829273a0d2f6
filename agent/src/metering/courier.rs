//! What to send next, and what an answer means. No clock and no network: time and answers are handed in.
//!
//! PutMetricData can't be repeated safely: a point that is sent twice counts twice in `SampleCount` and `Sum`. So a request whose answer was lost is looked for,
//! by one point that only it holds, and sent again only when that is not there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::limits::{MAX_AGE, MAX_DATA, READABLE_AGE};
use super::pack::{self, Packed, Probe};
use super::refusal;
use super::spread::Spread;
use crate::aws::{Failure, FailureKind};
use crate::clock::Now;
use crate::ship::backoff::Random;
use crate::spool::{Fate, Range, Reading, Spool};

/// When a request is looked for that may have arrived, as parts of the time after which a point that does not show is taken for missing.
const LOOKS: [f64; 4] = [1.0 / 36.0, 1.0 / 9.0, 1.0 / 3.0, 1.0];
/// So many requests may be in doubt before nothing new is sent.
const MAX_PARCELS: usize = 8;
/// The longest pause between tries while nobody answers: catching up begins within it.
const CAP: Duration = Duration::from_secs(10);
/// The same where the service says no: too much, or not allowed.
const CAP_REFUSED: Duration = Duration::from_secs(60);
/// So many data in a row, each refused by itself: perhaps it is not them, so the next ones are risked slowly.
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

/// What became of requests and data since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were sent or asked, of both kinds.
    pub requests: u64,
    /// Of them, those that failed; what they carried is tried again, or looked for.
    pub failed: u64,
    /// Of those, the ones that the service throttled.
    pub throttled: u64,
    /// Data that CloudWatch took.
    pub taken: u64,
    /// Data that CloudWatch refused.
    pub rejected: u64,
    /// Points that became too old.
    pub too_old: u64,
}

#[derive(Debug)]
struct Doubt {
    looks: usize,
    at: Duration,
}

/// Sends what the spool holds.
#[derive(Debug)]
pub struct Courier {
    spread: Spread,
    settle: Duration,
    random: Random,
    attempts: u32,
    closed_until: Duration,
    doubts: BTreeMap<Range, Doubt>,
    most: usize,
    refused: u32,
    /// Nothing has left yet, or there is no later: what there is leaves at once.
    hurry: Hurry,
    counts: Counts,
    trouble: Option<String>,
    /// The last failure is one that passes by itself.
    passing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hurry {
    /// A host that has just booted is to be seen.
    First,
    No,
    Last,
}

impl Courier {
    /// `seed` spreads the requests of many hosts. After `settle` a point that does not show has not arrived.
    #[must_use]
    pub fn new(interval: Duration, settle: Duration, seed: u64) -> Self {
        Self {
            spread: Spread::new(interval, seed),
            settle,
            random: Random::new(seed),
            attempts: 0,
            closed_until: Duration::ZERO,
            doubts: BTreeMap::new(),
            most: MAX_DATA,
            refused: 0,
            hurry: Hurry::First,
            counts: Counts::default(),
            trouble: None,
            passing: true,
        }
    }

    /// Other settings from now on; what is known of the service and of doubtful requests stays.
    pub fn reconfigure(&mut self, interval: Duration, settle: Duration) {
        self.spread = self.spread.with(interval);
        self.settle = settle;
    }

    /// From now on everything leaves at once: there is no later.
    pub fn drain(&mut self) {
        self.hurry = Hurry::Last;
        self.closed_until = Duration::ZERO;
        self.attempts = 0;
        self.passing = true;
    }

    /// What became of requests and data since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What went wrong last, until something goes well.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether the last failure may be over in a moment: nobody answered, or too much was asked. A missing permission is not.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.passing
    }

    /// What to do now.
    pub fn next(&mut self, spool: &mut Spool, now: Now) -> Do {
        if now.monotonic < self.closed_until {
            return Do::Wait(self.closed_until - now.monotonic);
        }
        let found = self.doubtful(spool, now);
        let wait = match found {
            Do::Wait(wait) => wait,
            found => return found,
        };
        if let Some(packed) = self.withdrawn(spool) {
            return self.leave(packed, spool);
        }
        if spool.parcels() >= MAX_PARCELS {
            return Do::Wait(wait);
        }
        match self.new_parcel(spool, now) {
            Ok(packed) => self.leave(packed, spool),
            Err(later) => Do::Wait(wait.min(later)),
        }
    }

    /// Requests of which nobody knows whether they arrived.
    fn doubtful(&mut self, spool: &mut Spool, now: Now) -> Do {
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
            let packed = packed(&spool.parcel(range), range, MAX_DATA);
            match packed
                .filter(|it| it.range == range)
                .and_then(|it| it.probe)
            {
                Some(probe) if age(probe.at_ms, now) < READABLE_AGE => {
                    self.counts.requests += 1;
                    return Do::Look(range, probe);
                }
                // It can't be seen: rather twice than not at all. Average and extremes are right either way.
                _ => self.again(range, spool),
            }
        }
        Do::Wait(wait)
    }

    /// The next request of data that were in one before.
    fn withdrawn(&mut self, spool: &mut Spool) -> Option<Packed> {
        for gap in spool.gaps() {
            match packed(&spool.parcel(gap), gap, self.most) {
                Some(packed) if packed.range.of == gap.of => return Some(packed),
                // Its readings are not what they were: damaged on the disk.
                _ => {
                    spool.settle(gap, Fate::Rejected);
                    self.counts.rejected += u64::from(gap.to - gap.from);
                }
            }
        }
        None
    }

    /// The first request of readings that were in none; else how long to wait for one.
    fn new_parcel(&mut self, spool: &mut Spool, now: Now) -> Result<Packed, Duration> {
        loop {
            let readings = spool.unpacked();
            let first = spool.packed_through() + 1;
            let old = readings
                .iter()
                .take_while(|it| age(it.at_ms, now) > MAX_AGE);
            let old = old.count();
            if let Some(last) = old.checked_sub(1).and_then(|at| readings.get(at)) {
                let points = readings.iter().take(old).map(|it| it.values.len() as u64);
                self.counts.too_old += points.sum::<u64>();
                spool.settle(unit(first, last.seq), Fate::TooOld);
                continue;
            }
            let due = self.due(&readings, now)?;
            let parcel = &due[..pack::parcel_of(due)];
            let last = parcel.last().ok_or(Duration::MAX)?;
            let ends = (first, last.seq);
            match pack::request(parcel, ends, (0, u32::MAX), self.most) {
                Some(packed) => return Ok(packed),
                // Nothing in it that CloudWatch takes.
                None => spool.settle(unit(first, last.seq), Fate::Rejected),
            }
        }
    }

    /// Which of the readings may leave; else when the first of them may.
    fn due<'r>(
        &self,
        readings: &'r [Arc<Reading>],
        now: Now,
    ) -> Result<&'r [Arc<Reading>], Duration> {
        let leaves = |it: &Arc<Reading>| match self.hurry {
            Hurry::No => self.spread.leaves(it, now.unix_ms),
            Hurry::First | Hurry::Last => Duration::ZERO,
        };
        let due = readings.iter().take_while(|it| leaves(it).is_zero());
        match (due.count(), readings.first()) {
            (0, None) => Err(Duration::MAX),
            (0, Some(first)) => Err(leaves(first)),
            (count, _) => Ok(&readings[..count]),
        }
    }

    fn leave(&mut self, packed: Packed, spool: &mut Spool) -> Do {
        spool.intend(packed.range);
        self.counts.requests += 1;
        if self.hurry == Hurry::First {
            self.hurry = Hurry::No;
        }
        Do::Put(packed)
    }

    /// The service has answered a request, or not.
    pub fn answered(
        &mut self,
        range: Range,
        answer: Result<(), Failure>,
        spool: &mut Spool,
        now: Now,
    ) {
        let Err(failure) = answer else {
            self.taken(range, spool);
            self.refused = 0;
            self.most = (self.most * 2).min(MAX_DATA);
            return;
        };
        match failure.kind {
            FailureKind::Unknown | FailureKind::Service => {
                let at = now.monotonic + self.settle.mul_f64(LOOKS[0]);
                self.doubts.insert(range, Doubt { looks: 0, at });
                self.failed(failure, now);
            }
            FailureKind::Invalid => self.invalid(range, failure, spool, now),
            _ => {
                spool.withdraw(range);
                self.failed(failure, now);
            }
        }
    }

    /// The service finds something wrong in a request: only the data that it names are given up, or those that it refuses by themselves.
    fn invalid(&mut self, range: Range, failure: Failure, spool: &mut Spool, now: Now) {
        self.counts.failed += 1;
        let count = range.to - range.from;
        spool.withdraw(range);
        let named = refusal::named(&failure.message, count);
        if named.is_empty() && count > 1 {
            self.most = (count as usize / 2).max(1);
            self.trouble = Some(failure.message);
            return;
        }
        let refused = if named.is_empty() { vec![0] } else { named };
        self.counts.rejected += refused.len() as u64;
        for at in refused {
            let from = range.from + at;
            let to = from + 1;
            spool.settle(Range { from, to, ..range }, Fate::Rejected);
        }
        self.trouble = Some(failure.message);
        if count == 1 {
            self.refused += 1;
            if self.refused >= MAX_REFUSED {
                self.close(CAP_REFUSED, Duration::ZERO, now);
            }
        }
    }

    /// A request that was in doubt was looked for: so many samples of its probe were there, of as many as there are if it arrived.
    pub fn looked(
        &mut self,
        range: Range,
        (seen, samples): (Result<f64, Failure>, u64),
        spool: &mut Spool,
        now: Now,
    ) {
        let looks = self.doubts.get(&range).map_or(0, |doubt| doubt.looks);
        match seen {
            Ok(seen) if seen >= samples as f64 => {
                self.doubts.remove(&range);
                self.taken(range, spool);
            }
            Ok(_) => {
                self.attempts = 0;
                let Some(next) = LOOKS.get(looks + 1) else {
                    return self.again(range, spool);
                };
                let at = now.monotonic + self.settle.mul_f64(next - LOOKS[looks]);
                let looks = looks + 1;
                self.doubts.insert(range, Doubt { looks, at });
            }
            Err(failure) => match failure.kind {
                FailureKind::Denied
                | FailureKind::Invalid
                | FailureKind::NotFound
                | FailureKind::Other => {
                    self.counts.failed += 1;
                    self.trouble = Some(failure.message);
                    self.again(range, spool);
                }
                _ => self.failed(failure, now),
            },
        }
    }

    /// It has not arrived, or that can't be known: it is sent again.
    fn again(&mut self, range: Range, spool: &mut Spool) {
        self.doubts.remove(&range);
        spool.withdraw(range);
    }

    fn taken(&mut self, range: Range, spool: &mut Spool) {
        spool.settle(range, Fate::Taken);
        self.counts.taken += u64::from(range.to - range.from);
        self.attempts = 0;
        self.trouble = None;
        self.passing = true;
    }

    fn failed(&mut self, failure: Failure, now: Now) {
        self.counts.failed += 1;
        self.counts.throttled += u64::from(failure.kind == FailureKind::Throttled);
        self.passing = !matches!(failure.kind, FailureKind::Denied | FailureKind::Other);
        let cap = match failure.kind {
            FailureKind::Throttled | FailureKind::Denied | FailureKind::Other => CAP_REFUSED,
            _ => CAP,
        };
        let asked = failure.retry_after.unwrap_or_default().min(CAP_REFUSED);
        self.trouble = Some(failure.message);
        self.close(cap, asked, now);
    }

    fn close(&mut self, cap: Duration, at_least: Duration, now: Now) {
        let pause = self.random.backoff(self.attempts.saturating_add(3), cap);
        self.attempts = self.attempts.saturating_add(1);
        self.closed_until = now.monotonic + pause.max(at_least);
    }
}

fn packed(parcel: &[Arc<Reading>], range: Range, most: usize) -> Option<Packed> {
    let ends = (range.first, range.last);
    pack::request(parcel, ends, (range.from, range.to), most)
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
