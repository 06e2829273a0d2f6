//! The line of metrics as a state machine: measures when it is time, and sends what the spool holds. Time, looks at the host and answers are handed in, so that
//! a test drives the same line through outages and kills with a simulated clock.

use std::sync::Arc;
use std::time::Duration;

use super::courier::{Courier, Do};
use super::own;
use super::pack::Packed;
use super::schedule::{Schedule, Turn};
use super::{Settings, pack::Probe};
use crate::aws::Failure;
use crate::clock::Now;
use crate::derive::{derive, dimension_value};
use crate::host::Host;
use crate::sample::{Collect, Family, Sample, Trouble};
use crate::spool::{Range, Scope, Series, Spool};
use crate::status::{Metering, Status};

/// How long an Auto Scaling group's tag is waited for, which may come after the instance.
const TAG_PATIENCE: Duration = Duration::from_secs(300);
/// The log's own report is left out where it does not come within three quarters of an interval, but within these: a machine that has other
/// work is no reason for a gap, and a reading that waits is not safe yet.
const REPORT_PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(20)];
/// A last look at the host is not worth it so soon after another.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// A wait is no longer than this: a clock that is set meanwhile is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Between the first look after a start, which later ones are compared with, and the next, if an interval waits for it already.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// The dimension that may come later.
const ASG: &str = "AutoScalingGroupName";

/// What looks at the host.
pub trait Look {
    /// What it shows now, and what could not be read of it.
    fn look(&mut self, now: Now) -> (Sample, Vec<Trouble>);

    /// From now on this is looked at.
    fn turn_to(&mut self, what: &Collect);
}

/// What somebody else has to do, and then to tell of by an [`Event`].
#[derive(Debug)]
pub enum Order {
    /// PutMetricData.
    Put(Packed),
    /// GetMetricStatistics: how many samples are there.
    Look(Probe),
    /// How the log pipeline stands.
    Report,
    /// Who this host is by now.
    Host,
}

/// What has happened.
#[derive(Debug)]
pub enum Event {
    /// [`Order::Put`] is answered.
    Put(Result<(), Failure>),
    /// [`Order::Look`] is answered.
    Looked(Result<f64, Failure>),
    /// [`Order::Report`] is, or can't be.
    Report(Option<Box<Status>>),
    /// [`Order::Host`] is, or can't be.
    Host(Option<Box<Host>>),
}

/// What is under way; one request at a time.
#[derive(Debug, Clone, Copy)]
enum UnderWay {
    Put(Range),
    Look(Range, u64),
}

/// A reading that waits for the log pipeline's report.
struct Pending {
    at_ms: i64,
    values: Vec<(Series, f64)>,
    until: Duration,
}

/// Measures and sends.
pub struct Line<L> {
    settings: Settings,
    /// Whether it goes on measuring.
    measures: bool,
    eyes: L,
    host: Host,
    spool: Spool,
    schedule: Schedule,
    courier: Courier,
    under_way: Option<UnderWay>,
    before: Option<Sample>,
    /// Nothing is measured before this: there is nothing to compare it with yet.
    compares_from: Duration,
    pending: Option<Pending>,
    reported: Option<Box<Status>>,
    begun: Duration,
    asks_for_host: bool,
    /// The last look is taken, and what there is leaves at once.
    drains: bool,
    /// What could not be read of the host.
    trouble: Option<String>,
}

impl<L: Look> Line<L> {
    /// Goes on with what the spool holds. `seed` tells this host from others.
    pub fn new(settings: Settings, eyes: L, host: Host, spool: Spool, seed: u64, now: Now) -> Self {
        Self {
            schedule: Schedule::new(settings.interval, spool.newest_ms()),
            courier: Courier::new(settings.interval, settings.settle, seed),
            settings,
            measures: true,
            eyes,
            host,
            spool,
            under_way: None,
            before: None,
            compares_from: Duration::ZERO,
            pending: None,
            reported: None,
            begun: now.monotonic,
            asks_for_host: false,
            drains: false,
            trouble: None,
        }
    }

    /// Does what is due. What others have to do is returned, and how long to wait for an event before the next call.
    pub fn step(&mut self, now: Now) -> (Vec<Order>, Duration) {
        let mut orders = Vec::new();
        let mut wait = LONGEST_WAIT;
        if self.measures && !self.drains {
            wait = wait.min(self.measure_in_time(now, &mut orders));
        }
        if let Some(pending) = &self.pending {
            match pending.until.checked_sub(now.monotonic) {
                Some(left) if !left.is_zero() => wait = wait.min(left),
                _ => self.complete(None),
            }
        }
        if self.under_way.is_none() {
            match self.courier.next(&mut self.spool, now) {
                Do::Put(packed) => {
                    self.under_way = Some(UnderWay::Put(packed.range));
                    orders.push(Order::Put(packed));
                }
                Do::Look(range, probe) => {
                    self.under_way = Some(UnderWay::Look(range, probe.samples));
                    orders.push(Order::Look(probe));
                }
                Do::Wait(next) => wait = wait.min(next),
            }
        }
        (orders, wait.max(SHORTEST_WAIT))
    }

    /// Something has happened.
    pub fn event(&mut self, event: Event, now: Now) {
        match event {
            Event::Put(answer) => {
                if let Some(UnderWay::Put(range)) = self.under_way.take() {
                    self.courier.answered(range, answer, &mut self.spool, now);
                }
            }
            Event::Looked(seen) => {
                if let Some(UnderWay::Look(range, samples)) = self.under_way.take() {
                    let seen = (seen, samples);
                    self.courier.looked(range, seen, &mut self.spool, now);
                }
            }
            Event::Report(status) => self.complete(status),
            Event::Host(host) => {
                self.asks_for_host = false;
                if let Some(host) = host.filter(|it| it.instance_id == self.host.instance_id) {
                    self.host = *host;
                }
            }
        }
    }

    /// Other settings hold from now on; `None`: nothing is measured any more, and what was is sent. Points that wait keep what was said with them.
    pub fn reconfigure(&mut self, settings: Option<Settings>) {
        let measured = self.measures;
        self.measures = settings.is_some();
        let Some(settings) = settings else {
            self.before = None;
            return;
        };
        if settings.collect != self.settings.collect || !measured {
            self.eyes.turn_to(&settings.collect);
            // It showed something else.
            self.before = None;
        }
        if settings.interval != self.settings.interval {
            self.schedule = Schedule::new(settings.interval, self.spool.newest_ms());
        }
        self.courier.reconfigure(settings.interval, settings.settle);
        self.settings = settings;
    }

    /// The agent ends: looks a last time, and sends what there is at once.
    pub fn drain(&mut self, now: Now) -> Vec<Order> {
        let mut orders = Vec::new();
        let measured = self.before.as_ref().map(|it| it.at.monotonic);
        let worth = measured.is_none_or(|at| now.monotonic.saturating_sub(at) >= LAST_LOOK);
        if self.measures && !self.drains && worth {
            self.measure(now.unix_ms, now, &mut orders);
        }
        self.drains = true;
        self.courier.drain();
        orders
    }

    /// Whether there is nothing left to do before the end: all is sent, or what is not has to be asked for later, or is not taken now.
    pub fn drained(&mut self) -> bool {
        if !self.drains || self.under_way.is_some() || self.pending.is_some() {
            return false;
        }
        let left = !self.spool.unpacked().is_empty() || !self.spool.gaps().is_empty();
        !left || !self.courier.may_pass()
    }

    /// How metrics stand.
    #[must_use]
    pub fn status(&self) -> Metering {
        let (spool, sent) = (self.spool.counts(), self.courier.counts());
        let dropped = [
            ("overflow", spool.dropped.overflow),
            ("damaged", spool.dropped.damaged),
            ("other_instance", spool.dropped.other_instance),
            ("rejected", sent.rejected),
            ("too_old", sent.too_old),
        ];
        let dropped = dropped.into_iter().filter(|(_, points)| *points > 0);
        Metering {
            namespace: self.settings.namespace.clone(),
            interval_ms: u64::try_from(self.settings.interval.as_millis()).unwrap_or(u64::MAX),
            measures: self.measures,
            measured_unix_ms: self.spool.newest_ms(),
            spooled_points: spool.points,
            spool_bytes: spool.disk_bytes,
            oldest_unix_ms: spool.oldest_ms,
            in_doubt: self.spool.open_ranges().len() as u64
                - u64::from(matches!(self.under_way, Some(UnderWay::Put(_)))),
            sent: sent.taken,
            requests: sent.requests,
            failed: sent.failed,
            throttled: sent.throttled,
            dropped: dropped
                .map(|(reason, points)| (reason.to_owned(), points))
                .collect(),
            last_error: self.last_error(),
        }
    }

    fn last_error(&self) -> Option<String> {
        let spool = self.spool.trouble().map(|why| {
            format!("the spool can't be written, so metrics are held in memory: {why}; make room on that disk")
        });
        let sending = self.courier.trouble().map(str::to_owned);
        sending.or(spool).or_else(|| self.trouble.clone())
    }

    fn look(&mut self, now: Now) -> Sample {
        let (sample, troubles) = self.eyes.look(now);
        self.trouble = troubles.first().map(ToString::to_string);
        sample
    }

    /// Measures if it is time, and returns how long that is not the case.
    fn measure_in_time(&mut self, now: Now, orders: &mut Vec<Order>) -> Duration {
        // The first reading of a host does not wait for anything. After a restart no interval is to be without what counters grew by.
        if self.before.is_none()
            && let Some(left) = self.schedule.left(now.unix_ms)
        {
            self.before = Some(self.look(now));
            self.compares_from = now.monotonic + FIRST_LOOK.min(left / 2);
        }
        match self.compares_from.checked_sub(now.monotonic) {
            Some(wait) if !wait.is_zero() => return wait,
            _ => {}
        }
        match self.schedule.turn(now.unix_ms) {
            Turn::Wait(wait) => wait,
            Turn::Measure(at_ms) => {
                self.measure(at_ms, now, orders);
                SHORTEST_WAIT
            }
        }
    }

    fn measure(&mut self, at_ms: i64, now: Now, orders: &mut Vec<Order>) {
        self.complete(None);
        let sample = self.look(now);
        let points = derive(self.before.as_ref(), &sample, &self.settings.rules);
        self.before = Some(sample);
        let values = points.into_iter().map(|point| {
            let labels = point.labels.iter();
            let labels = labels.map(|(name, value)| (name.into(), value.to_owned().into()));
            let series = Series {
                name: point.name.into(),
                unit: point.unit.word().into(),
                labels: labels.collect(),
            };
            (series, point.value)
        });
        self.pending = Some(Pending {
            at_ms,
            values: values.collect(),
            until: now.monotonic
                + (self.settings.interval * 3 / 4).clamp(REPORT_PATIENCE[0], REPORT_PATIENCE[1]),
        });
        match self.settings.collect.families.has(Family::Agent) {
            true => orders.push(Order::Report),
            false => self.complete(None),
        }
        let waits_for_tag = self.settings.dimensions.iter().any(|it| it == ASG)
            && self.host.asg().is_err()
            && now.monotonic.saturating_sub(self.begun) < TAG_PATIENCE;
        if waits_for_tag && !self.asks_for_host {
            self.asks_for_host = true;
            orders.push(Order::Host);
        }
    }

    /// The reading that waits is taken down, with the log pipeline's report if there is one.
    fn complete(&mut self, status: Option<Box<Status>>) {
        let Some(mut pending) = self.pending.take() else {
            return;
        };
        if let Some(status) = status {
            let own = own::points(self.reported.as_deref(), &status);
            pending.values.extend(own);
            self.reported = Some(status);
        }
        let scope = Arc::new(self.settings.scope(&self.host));
        self.spool.append(pending.at_ms, &scope, pending.values);
    }
}

impl Settings {
    /// What is said of the host with each metric; what it does not have is left out.
    pub(crate) fn scope(&self, host: &Host) -> Scope {
        let value = |name: &str| match name {
            "InstanceId" => Some(host.instance_id.clone()),
            "ImageId" => host.image_id.clone(),
            "InstanceType" => host.instance_type.clone(),
            "host" => Some(host.hostname.clone()),
            ASG => host.asg().ok().map(str::to_owned),
            _ => None,
        };
        let names = self.dimensions.iter();
        Scope {
            namespace: self.namespace.clone(),
            dimensions: names
                .filter_map(|name| {
                    let value = value(name)?;
                    Some((name.clone(), dimension_value(&value).into_owned()))
                })
                .collect(),
            rollups: self.rollups.clone(),
            resolution_s: self.resolution_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{IdFrom, Tags};

    #[test]
    fn a_host_is_told_in_values_that_cloudwatch_takes() {
        let host = Host {
            instance_id: "i-1".into(),
            id_from: IdFrom::Metadata,
            hostname: "web-1".into(),
            ip: None,
            region: None,
            zone: None,
            image_id: None,
            instance_type: None,
            // An Auto Scaling group's name may be any Unicode, a dimension's value may not.
            tags: Tags::Known([(ASG_TAG.to_owned(), "Größe".to_owned())].into()),
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            Settings::default().scope(&host).dimensions,
            [
                pair("InstanceId", "i-1"),
                pair("AutoScalingGroupName", "Gr%C3%B6%C3%9Fe")
            ]
        );
    }

    const ASG_TAG: &str = "aws:autoscaling:groupName";
}
