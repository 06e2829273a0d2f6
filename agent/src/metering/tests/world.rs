//! A host whose time is simulated: the line, its disk, and the service.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::service::Service;
use crate::clock::Now;
use crate::derive::{Rules, Wanted};
use crate::host::{Host, IdFrom, Tags};
use crate::metering::Settings;
use crate::metering::line::{Event, Line, Look, Order};
use crate::sample::{Collect, Cpu, Sample, Swap, Ticks, Trouble};
use crate::spool::Spool;
use crate::spool::memory::Memory;

/// A full minute.
pub(super) const BEGIN_MS: i64 = 1_700_000_040_000;
pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const LATENCY_MS: i64 = 50;

/// Shows when it was looked at: `swap_used` is the time in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Eyes;

impl Look for Eyes {
    fn look(&mut self, now: Now) -> (Sample, Vec<Trouble>) {
        let total_bytes = 1 << 50;
        let mut sample = Sample::empty(now);
        sample.swap = Some(Swap {
            total_bytes,
            free_bytes: total_bytes - now.unix_ms as u64,
        });
        // A quarter of the time is used.
        let ticks = now.unix_ms as u64 / 10;
        sample.cpu = Some(Cpu {
            total: Ticks {
                user: ticks,
                idle: 3 * ticks,
                ..Ticks::default()
            },
            cores: Vec::new(),
        });
        (sample, Vec::new())
    }

    fn turn_to(&mut self, _: &Collect) {}
}

pub(super) fn settings(interval_s: u64, resolution_s: u32) -> Settings {
    settings_of(["swap_used", "swap_free"], interval_s, resolution_s)
}

pub(super) fn settings_of(names: [&str; 2], interval_s: u64, resolution_s: u32) -> Settings {
    let wanted = Wanted::of(names).unwrap();
    Settings {
        interval: Duration::from_secs(interval_s),
        resolution_s,
        collect: Collect {
            families: wanted.families(),
            ..Collect::default()
        },
        rules: Rules { wanted },
        ..Settings::default()
    }
}

fn host() -> Host {
    let asg = ("aws:autoscaling:groupName".to_owned(), "web".to_owned());
    Host {
        instance_id: "i-1".into(),
        id_from: IdFrom::Metadata,
        hostname: "web-1".into(),
        ip: None,
        region: None,
        zone: None,
        image_id: Some("ami-1".into()),
        instance_type: None,
        tags: Tags::Known(BTreeMap::from([asg])),
    }
}

pub(super) struct World {
    pub(super) service: Service,
    pub(super) line: Line<Eyes>,
    pub(super) memory: Memory,
    pub(super) now_ms: i64,
    pub(super) settings: Settings,
    begun_ms: i64,
    /// What is under way, and when it is there.
    coming: Vec<(i64, Event)>,
    pub(super) random: StdRng,
}

impl World {
    pub(super) fn new(settings: Settings, seed: u64) -> Self {
        let memory = Memory::default();
        Self {
            service: Service::new(seed),
            line: line(&memory, &settings, BEGIN_MS),
            memory,
            now_ms: BEGIN_MS,
            settings,
            begun_ms: BEGIN_MS,
            coming: Vec::new(),
            random: StdRng::seed_from_u64(seed ^ 0x5eed),
        }
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Duration::from_millis((self.now_ms - self.begun_ms) as u64),
            unix_ms: self.now_ms,
        }
    }

    /// Lets so much time go by.
    pub(super) fn run(&mut self, time_ms: i64) {
        let end_ms = self.now_ms + time_ms;
        loop {
            let now_ms = self.now_ms;
            let due = |(at_ms, _): &mut (i64, Event)| *at_ms <= now_ms;
            let due: Vec<_> = self.coming.extract_if(.., due).collect();
            for (_, event) in due {
                self.line.event(event, self.now());
            }
            let (orders, wait) = self.line.step(self.now());
            for order in orders {
                self.order(order);
            }
            let next_ms = self.coming.iter().map(|(at_ms, _)| *at_ms).min();
            let wake_ms = now_ms + i64::try_from(wait.as_millis()).unwrap().max(1);
            self.now_ms = wake_ms.min(next_ms.unwrap_or(wake_ms)).min(end_ms);
            if now_ms >= end_ms {
                return;
            }
        }
    }

    pub(super) fn order(&mut self, order: Order) {
        let event = match order {
            Order::Put(packed) => Event::Put(self.service.put(&packed, self.now_ms)),
            Order::Look(probe) => Event::Looked(self.service.samples(&probe, self.now_ms)),
            Order::Report => Event::Report(None),
            Order::Host => Event::Host(None),
        };
        self.coming.push((self.now_ms + LATENCY_MS, event));
    }

    /// SIGTERM, and what follows until there is nothing left to do, or for so long; whether it came to an end by itself.
    pub(super) fn drain(&mut self, limit_ms: i64) -> bool {
        let end_ms = self.now_ms + limit_ms;
        let orders = self.line.drain(self.now());
        orders.into_iter().for_each(|order| self.order(order));
        while !self.line.drained() {
            if self.now_ms >= end_ms {
                return false;
            }
            self.run(10);
        }
        true
    }

    /// SIGKILL, at any instant, and the start after `down_ms`.
    pub(super) fn kill(&mut self, down_ms: i64) {
        self.now_ms += down_ms;
        self.coming.clear();
        self.begun_ms = self.now_ms;
        self.line = line(&self.memory, &self.settings, self.now_ms);
    }

    /// The same, and the disk forgets of what was not synced as much as it likes.
    pub(super) fn power_cut(&mut self, down_ms: i64) {
        let random = &mut self.random;
        self.memory.crash(|| random.random());
        self.kill(down_ms);
    }

    /// Every interval since the beginning has its reading, measured at its beginning or up to `late_ms` later, and as often as it was measured: once.
    #[track_caller]
    pub(super) fn assert_each_interval_once(&self, late_ms: i64) {
        self.assert_each_interval(late_ms, 1.0);
    }

    #[track_caller]
    pub(super) fn assert_each_interval(&self, late_ms: i64, most: f64) {
        let step_ms = i64::try_from(self.settings.interval.as_millis()).unwrap();
        for name in ["swap_used", "swap_free"] {
            let own = self.service.own(name);
            let mut at_ms = BEGIN_MS;
            while at_ms < self.now_ms - step_ms - 30_000 {
                let Some((values, samples)) = own.get(&at_ms) else {
                    panic!("{name} of {} ms is missing", at_ms - BEGIN_MS)
                };
                assert!((1.0..=most).contains(samples), "{name}: {samples} times");
                if name == "swap_used" {
                    let late = values[0] as i64 - at_ms;
                    assert!((0..=late_ms).contains(&late), "measured {late} ms late");
                }
                at_ms += step_ms;
            }
        }
    }

    /// Nothing waits but, for its turn, the newest reading.
    #[track_caller]
    pub(super) fn assert_nothing_waits(&self) {
        let status = self.line.status();
        let newest = self.now_ms - 2 * i64::try_from(status.interval_ms).unwrap();
        let waits = status.oldest_unix_ms.is_some_and(|at| at < newest);
        assert!(!waits && status.spooled_points <= 2, "{status:?}");
        assert_eq!(status.in_doubt, 0, "{status:?}");
    }
}

fn line(memory: &Memory, settings: &Settings, now_ms: i64) -> Line<Eyes> {
    let (spool, found) = Spool::open(Box::new(memory.clone()), "i-1", settings.spool_bytes);
    assert!(found.set_aside.is_empty() && found.unusable.is_none());
    let now = Now {
        monotonic: Duration::ZERO,
        unix_ms: now_ms,
    };
    Line::new(settings.clone(), Eyes, host(), spool, 7, now)
}
