//! Metrics and their data, each datum as it came.

use std::collections::BTreeMap;

use serde::Serialize;

use super::statistics::Bucket;

/// A metric: the same name with other dimensions is another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Metric {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Sorted by name.
    pub(crate) dimensions: Vec<(String, String)>,
}

/// What a request puts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Put {
    pub(crate) namespace: String,
    pub(crate) data: Vec<Datum>,
}

/// A datum of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Datum {
    pub(crate) name: String,
    pub(crate) dimensions: Vec<(String, String)>,
    pub(crate) unit: &'static str,
    pub(crate) unix_ms: i64,
    pub(crate) high_resolution: bool,
    pub(crate) sampled: Sampled,
}

/// What a datum says of its time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sampled {
    One(f64),
    /// (value, how often).
    Values(Vec<(f64, f64)>),
    Set(StatisticSet),
}

/// Statistics that were computed before they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StatisticSet {
    /// How many values there were.
    pub sample_count: f64,
    /// Their sum.
    pub sum: f64,
    /// The lowest.
    pub minimum: f64,
    /// The highest.
    pub maximum: f64,
}

/// A datum that has arrived, exactly as it was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arrived {
    /// When, by the service's clock, in microseconds since the epoch.
    pub arrived_us: i64,
    /// The PutMetricData that brought it, counted from 1 within its region.
    pub request: u64,
    /// Namespace of the metric.
    pub namespace: String,
    /// Name of the metric.
    pub name: String,
    /// Dimensions of the metric, sorted by name: (name, value).
    pub dimensions: Vec<(String, String)>,
    /// Unit; `None` (the word) where none was said.
    pub unit: &'static str,
    /// The datum's own time, in milliseconds since the epoch.
    pub unix_ms: i64,
    /// 1 or 60.
    pub storage_resolution_s: u32,
    /// (value, how often), as sent; empty if statistics were sent instead.
    pub values: Vec<(f64, f64)>,
    /// Statistics that were sent instead of values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<StatisticSet>,
}

impl Arrived {
    /// How many values the datum stands for: what it adds to the metric's SampleCount.
    #[must_use]
    pub fn sample_count(&self) -> f64 {
        let values: f64 = self.values.iter().map(|(_, count)| count).sum();
        values + self.statistics.map_or(0.0, |set| set.sample_count)
    }

    /// The value of a dimension.
    #[must_use]
    pub fn dimension(&self, name: &str) -> Option<&str> {
        let found = self.dimensions.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }
}

/// A datum of a metric.
#[derive(Debug, Clone)]
struct Stored {
    arrived_us: i64,
    request: u64,
    /// Orders the data of all metrics by arrival.
    order: u64,
    unit: &'static str,
    unix_ms: i64,
    high_resolution: bool,
    sampled: Sampled,
}

/// The metrics of one region.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    metrics: BTreeMap<Metric, Vec<Stored>>,
    requests: u64,
    data: u64,
}

/// Which data of a metric a question is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'s> {
    /// Start and (exclusive) end, in milliseconds since the epoch.
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) period_s: i64,
    /// Data in this unit; in any if `None`.
    pub(super) unit: Option<&'s str>,
    /// What arrived later is not shown yet.
    pub(super) visible_us: i64,
    /// Data of before this shows no seconds any more.
    pub(super) seconds_since_ms: i64,
}

impl Store {
    /// Takes all data of a request, which arrives at `now_us`.
    pub(crate) fn put(&mut self, put: Put, now_us: i64) {
        self.requests += 1;
        for datum in put.data {
            self.data += 1;
            let metric = Metric {
                namespace: put.namespace.clone(),
                name: datum.name,
                dimensions: datum.dimensions,
            };
            self.metrics.entry(metric).or_default().push(Stored {
                arrived_us: now_us,
                request: self.requests,
                order: self.data,
                unit: datum.unit,
                unix_ms: datum.unix_ms,
                high_resolution: datum.high_resolution,
                sampled: datum.sampled,
            });
        }
    }

    /// Every datum that `wanted` names by namespace and name, in the order of arrival.
    pub(crate) fn arrived(&self, wanted: impl Fn(&str, &str) -> bool) -> Vec<Arrived> {
        let metrics = self.metrics.iter();
        let metrics = metrics.filter(|(metric, _)| wanted(&metric.namespace, &metric.name));
        let mut all: Vec<(u64, Arrived)> = metrics
            .flat_map(|(metric, data)| {
                data.iter()
                    .map(|stored| (stored.order, show(metric, stored)))
            })
            .collect();
        all.sort_unstable_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, arrived)| arrived).collect()
    }

    /// All metrics, each with when its last datum arrived.
    pub(super) fn metrics(&self) -> impl Iterator<Item = (&Metric, i64)> {
        self.metrics.iter().map(|(metric, data)| {
            let last_us = data.iter().map(|stored| stored.arrived_us).max();
            (metric, last_us.unwrap_or(i64::MIN))
        })
    }

    /// A metric's data, added up by unit and by period; periods are counted from the span's start and named by their first second.
    pub(super) fn buckets(
        &self,
        metric: &Metric,
        span: &Span<'_>,
    ) -> BTreeMap<(i64, &'static str), Bucket> {
        let mut buckets: BTreeMap<(i64, &'static str), Bucket> = BTreeMap::new();
        let data = self.metrics.get(metric).map_or(&[][..], Vec::as_slice);
        let period_ms = span.period_s * 1000;
        for stored in data {
            // A datum is kept at its second or at its minute.
            let fine = stored.high_resolution && stored.unix_ms >= span.seconds_since_ms;
            let grain_ms = if fine { 1000 } else { 60_000 };
            let at_ms = stored.unix_ms.div_euclid(grain_ms) * grain_ms;
            let asked = (span.from_ms..span.to_ms).contains(&at_ms)
                && stored.arrived_us <= span.visible_us
                && span.unit.is_none_or(|unit| unit == stored.unit);
            if asked {
                let periods = (at_ms - span.from_ms).div_euclid(period_ms);
                let start_s = (span.from_ms + periods * period_ms).div_euclid(1000);
                let bucket = buckets.entry((start_s, stored.unit)).or_default();
                bucket.add(&stored.sampled);
            }
        }
        buckets
    }
}

fn show(metric: &Metric, stored: &Stored) -> Arrived {
    let (values, statistics) = match &stored.sampled {
        Sampled::One(value) => (vec![(*value, 1.0)], None),
        Sampled::Values(values) => (values.clone(), None),
        Sampled::Set(set) => (Vec::new(), Some(*set)),
    };
    Arrived {
        arrived_us: stored.arrived_us,
        request: stored.request,
        namespace: metric.namespace.clone(),
        name: metric.name.clone(),
        dimensions: metric.dimensions.clone(),
        unit: stored.unit,
        unix_ms: stored.unix_ms,
        storage_resolution_s: if stored.high_resolution { 1 } else { 60 },
        values,
        statistics,
    }
}
