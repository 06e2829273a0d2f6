//! Two tasks on the thread that talks to the network: one measures, one sends. The spool is between them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::Settings;
use super::courier::{Courier, Do};
use super::own;
use super::schedule::{Schedule, Turn};
use crate::aws::Metrics;
use crate::clock::Now;
use crate::derive::derive;
use crate::host::{Host, Search};
use crate::log::{Level, Log};
use crate::sample::{Family, Root, Sample, Sampler};
use crate::spool::{Folder, Found, Scope, Series, Spool};
use crate::status::{Metering, Status};

/// How long an Auto Scaling group's tag is waited for, which may come after the instance.
const TAG_PATIENCE: Duration = Duration::from_secs(300);
/// The log's own report is left out where it does not come.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);
/// A wait is no longer than this: a clock that is set meanwhile is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The subject under which trouble is told.
const SUBJECT: &str = "metrics";

/// Metrics of a running agent.
pub struct Meter {
    settings: Settings,
    metrics: Metrics,
    spool: RefCell<Spool>,
    courier: RefCell<Courier>,
    seen: RefCell<Seen>,
    more: Notify,
}

#[derive(Default)]
struct Seen {
    measured_ms: Option<i64>,
    requests: u64,
    /// What could not be read of the host.
    trouble: Option<String>,
}

impl Meter {
    /// Opens the spool in the state directory, whose lock the caller holds.
    #[must_use]
    pub fn open(
        settings: Settings,
        metrics: Metrics,
        state_dir: &Path,
        host: &Host,
        log: &Log,
    ) -> Rc<Self> {
        let shelf = Box::new(Folder::of(state_dir));
        let (spool, found) = Spool::open(shelf, &host.instance_id, settings.spool_bytes);
        for trouble in told(&found) {
            log.say(Level::Warning, &format!("{SUBJECT}: {trouble}"));
        }
        let mut seed = DefaultHasher::new();
        host.instance_id.hash(&mut seed);
        let courier = Courier::new(settings.namespace.clone(), settings.interval, seed.finish());
        Rc::new(Self {
            metrics,
            spool: RefCell::new(spool),
            courier: RefCell::new(courier),
            seen: RefCell::default(),
            more: Notify::new(),
            settings,
        })
    }

    /// How metrics stand.
    #[must_use]
    pub fn status(&self) -> Metering {
        let (spool, courier, seen) = (
            self.spool.borrow(),
            self.courier.borrow(),
            self.seen.borrow(),
        );
        let counts = spool.counts();
        let dropped = [
            ("overflow", counts.dropped.overflow),
            ("damaged", counts.dropped.damaged),
            ("other_instance", counts.dropped.other_instance),
            ("rejected", courier.rejected),
            ("too_old", courier.too_old),
        ];
        let dropped: BTreeMap<String, u64> = dropped
            .into_iter()
            .filter(|(_, points)| *points > 0)
            .map(|(reason, points)| (reason.to_owned(), points))
            .collect();
        let spool_trouble = spool.trouble().map(|why| {
            format!("the spool can't be written, so metrics are held in memory: {why}; make room on that disk")
        });
        Metering {
            measured_unix_ms: seen.measured_ms,
            spooled_points: counts.points,
            spool_bytes: counts.disk_bytes,
            oldest_unix_ms: counts.oldest_ms,
            sent: courier.taken,
            requests: seen.requests,
            dropped,
            last_error: courier
                .trouble
                .clone()
                .or(spool_trouble)
                .or_else(|| seen.trouble.clone()),
        }
    }

    /// Measures, for ever. `report` asks the log pipeline how it stands.
    pub async fn measure<F: Future<Output = Option<Status>>>(
        self: Rc<Self>,
        host: Arc<Host>,
        search: Search,
        clock: impl Fn() -> Now,
        report: impl Fn() -> F,
    ) -> Infallible {
        let mut sampler = Sampler::new(self.settings.collect.clone(), Root::host());
        let own = self.settings.collect.families.has(Family::Agent);
        let mut schedule = Schedule::new(self.settings.interval, self.measured_before());
        let (mut host, begun) = ((*host).clone(), clock().monotonic);
        let mut before: Option<Sample> = None;
        let mut reported: Option<Status> = None;
        loop {
            let at_ms = match schedule.turn(clock().unix_ms) {
                Turn::Wait(wait) => {
                    tokio::time::sleep(wait.min(LONGEST_WAIT).max(Duration::from_millis(1))).await;
                    continue;
                }
                Turn::Measure(at_ms) => at_ms,
            };
            let (sample, troubles) = sampler.sample(clock());
            self.seen.borrow_mut().trouble = troubles.first().map(ToString::to_string);
            let points = derive(before.as_ref(), &sample, &self.settings.rules);
            before = Some(sample);
            let mut values: Vec<(Series, f64)> = points
                .into_iter()
                .map(|point| {
                    let labels = point.labels.iter();
                    let labels = labels.map(|(name, value)| (name.into(), value.to_owned().into()));
                    let series = Series {
                        name: point.name.into(),
                        unit: point.unit.word().into(),
                        labels: labels.collect(),
                    };
                    (series, point.value)
                })
                .collect();
            if own && let Ok(Some(status)) = tokio::time::timeout(REPORT_PATIENCE, report()).await {
                values.extend(own::points(reported.as_ref(), &status));
                reported = Some(status);
            }
            let scope = Arc::new(self.settings.scope(&host));
            self.spool.borrow_mut().append(at_ms, &scope, values);
            self.seen.borrow_mut().measured_ms = Some(at_ms);
            self.more.notify_one();
            let waits_for_tag = self.settings.dimensions.iter().any(|it| it == ASG)
                && host.asg().is_err()
                && clock().monotonic.saturating_sub(begun) < TAG_PATIENCE;
            if waits_for_tag
                && let Ok(now) = search.run().await
                && now.instance_id == host.instance_id
            {
                host = now;
            }
        }
    }

    fn measured_before(&self) -> Option<i64> {
        self.spool.borrow().newest_ms()
    }

    /// Sends, for ever.
    pub async fn send(self: Rc<Self>, clock: impl Fn() -> Now) -> Infallible {
        loop {
            let next = {
                let (mut spool, mut courier) = (self.spool.borrow_mut(), self.courier.borrow_mut());
                courier.next(&mut spool, clock())
            };
            match next {
                Do::Put(packed) => {
                    self.seen.borrow_mut().requests += 1;
                    let answer = self
                        .metrics
                        .put(&self.settings.namespace, packed.body)
                        .await;
                    let (mut spool, mut courier) =
                        (self.spool.borrow_mut(), self.courier.borrow_mut());
                    courier.answered(packed.range, answer, &mut spool, clock());
                }
                Do::Look(range, probe) => {
                    self.seen.borrow_mut().requests += 1;
                    let seen = self
                        .metrics
                        .samples(
                            &self.settings.namespace,
                            &probe.name,
                            &probe.dimensions,
                            probe.at_ms,
                            probe.period_s,
                        )
                        .await;
                    let (mut spool, mut courier) =
                        (self.spool.borrow_mut(), self.courier.borrow_mut());
                    courier.looked(range, seen, &mut spool, clock());
                }
                Do::Wait(wait) => {
                    let wait = wait.clamp(Duration::from_millis(1), LONGEST_WAIT);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.more.notified() => {}
                    }
                }
            }
        }
    }
}

const ASG: &str = "AutoScalingGroupName";

impl Settings {
    /// What is said of the host with each metric; what it does not have is left out.
    fn scope(&self, host: &Host) -> Scope {
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
            dimensions: names
                .filter_map(|name| Some((name.clone(), value(name)?)))
                .collect(),
            rollups: self.rollups.clone(),
            resolution_s: self.resolution_s,
        }
    }
}

fn told(found: &Found) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(other) = &found.other_instance {
        told.push(format!(
            "this disk is a copy of {other}'s: what that host had measured is not sent"
        ));
    }
    for path in &found.set_aside {
        told.push(format!(
            "a part of the spool is of a later version, or none; it is kept as {}",
            path.display()
        ));
    }
    if found.damaged > 0 {
        told.push(format!(
            "the spool is damaged in {} places: what was there is lost",
            found.damaged
        ));
    }
    if let Some(why) = &found.unusable {
        told.push(format!(
            "the spool can't be read, so metrics are held in memory: {why}"
        ));
    }
    told
}
