//! CloudWatch, as far as the line can tell: takes requests or not, answers or not, shows points late, and counts what comes twice.

use std::collections::BTreeMap;

use ciborium::Value;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::aws::{Failure, FailureKind};
use crate::metering::limits::{MAX_BODY_BYTES, MAX_DATA, MAX_VALUES};
use crate::metering::pack::{Packed, Probe};

/// What goes wrong, each with its probability.
#[derive(Debug, Clone, Default)]
pub(super) struct Weather {
    /// No connection.
    pub(super) not_sent: f64,
    /// Taken, and the answer is lost.
    pub(super) lost_taken: f64,
    /// The request is lost, and nobody says so.
    pub(super) lost: f64,
    /// 5xx, and taken all the same.
    pub(super) failed_taken: f64,
    /// 5xx.
    pub(super) failed: f64,
    /// Too much.
    pub(super) throttled: f64,
    /// Not allowed.
    pub(super) denied: f64,
    /// Statistics may not be read.
    pub(super) unreadable: bool,
    /// Metrics of this name are refused, and whether the message names them.
    pub(super) refuses: Option<(&'static str, bool)>,
}

/// Namespace, metric, dimensions, and when it is stored.
pub(super) type Key = (String, String, Vec<(String, String)>, i64);

/// A value that has arrived.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Taken {
    pub(super) value: f64,
    pub(super) count: f64,
    pub(super) at_ms: i64,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) weather: Weather,
    pub(super) points: BTreeMap<Key, Vec<Taken>>,
    /// Requests that arrived, with how many data each.
    pub(super) requests: Vec<usize>,
    /// Requests that were taken without an answer.
    pub(super) lost_taken: u64,
    /// Data of them.
    pub(super) lost_taken_data: usize,
    random: StdRng,
}

/// It takes up to so long until a point shows.
const LATEST_SHOWN_MS: i64 = 60_000;

impl Service {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            weather: Weather::default(),
            points: BTreeMap::new(),
            requests: Vec::new(),
            lost_taken: 0,
            lost_taken_data: 0,
            random: StdRng::seed_from_u64(seed),
        }
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    /// A request is on its way at `now_ms`.
    pub(super) fn put(&mut self, packed: &Packed, now_ms: i64) -> Result<(), Failure> {
        let weather = self.weather.clone();
        for (probability, kind) in [
            (weather.not_sent, FailureKind::NotSent),
            (weather.throttled, FailureKind::Throttled),
            (weather.denied, FailureKind::Denied),
            (weather.lost, FailureKind::Unknown),
            (weather.failed, FailureKind::Service),
        ] {
            if self.happens(probability) {
                return Err(failure(kind, "no"));
            }
        }
        let data = data(&packed.body, &packed.namespace);
        assert!((1..=MAX_DATA).contains(&data.len()) && packed.body.len() <= MAX_BODY_BYTES);
        if let Some((name, named)) = weather.refuses {
            let places: Vec<String> = (1..)
                .zip(&data)
                .filter(|(_, (key, _))| key.1 == name)
                .map(|(place, _)| format!("The value of MetricData.member.{place}.Value is bad."))
                .collect();
            if !places.is_empty() {
                let message = if named {
                    places.join("\n")
                } else {
                    "bad".into()
                };
                return Err(failure(FailureKind::Invalid, &message));
            }
        }
        self.requests.push(data.len());
        let count = data.len();
        for (key, values) in data {
            let at_ms = now_ms + self.random.random_range(0..LATEST_SHOWN_MS);
            let taken = values.into_iter().map(|(value, count)| Taken {
                value,
                count,
                at_ms,
            });
            self.points.entry(key).or_default().extend(taken);
        }
        let lost = self.happens(weather.lost_taken);
        if lost || self.happens(weather.failed_taken) {
            self.lost_taken += 1;
            self.lost_taken_data += count;
            return Err(match lost {
                true => failure(FailureKind::Unknown, "no answer"),
                false => failure(FailureKind::Service, "500"),
            });
        }
        Ok(())
    }

    pub(super) fn samples(&mut self, probe: &Probe, now_ms: i64) -> Result<f64, Failure> {
        let weather = self.weather.clone();
        if weather.unreadable {
            return Err(failure(FailureKind::Denied, "GetMetricStatistics"));
        }
        if self.happens(weather.not_sent) || self.happens(weather.lost) {
            return Err(failure(FailureKind::Unknown, "no answer"));
        }
        let mut dimensions = probe.dimensions.clone();
        dimensions.sort();
        let (from, to) = (probe.at_ms, probe.at_ms + i64::from(probe.period_s) * 1_000);
        let asked = |key: &Key| {
            (&key.0, &key.1, &key.2) == (&probe.namespace, &probe.name, &dimensions)
                && (from..to).contains(&key.3)
        };
        let points = self.points.iter().filter(|(key, _)| asked(key));
        let shown = points
            .flat_map(|(_, taken)| taken)
            .filter(|it| it.at_ms <= now_ms);
        Ok(shown.map(|it| it.count).sum())
    }

    /// When the host's own metric of that name was measured, and how often each: (value, samples) by stored time.
    pub(super) fn own(&self, name: &str) -> BTreeMap<i64, (Vec<f64>, f64)> {
        let own = |key: &&Key| key.1 == name && key.2.iter().any(|(name, _)| name == "InstanceId");
        let mut all = BTreeMap::new();
        for key in self.points.keys().filter(own) {
            let (values, samples): &mut (Vec<f64>, f64) = all.entry(key.3).or_default();
            for taken in &self.points[key] {
                values.push(taken.value);
                *samples += taken.count;
            }
        }
        all
    }
}

fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure {
        kind,
        code: None,
        message: message.to_owned(),
        retry_after: None,
    }
}

/// Reads a request as the service does.
fn data(body: &[u8], namespace: &str) -> Vec<(Key, Vec<(f64, f64)>)> {
    let body: Value = ciborium::from_reader(body).unwrap();
    assert_eq!(
        field(&body, "Namespace").unwrap().as_text(),
        Some(namespace)
    );
    let all = field(&body, "MetricData").unwrap().as_array().unwrap();
    all.iter()
        .map(|datum| {
            let text =
                |value: &Value, name| field(value, name).unwrap().as_text().unwrap().to_owned();
            let dimensions = field(datum, "Dimensions").unwrap().as_array().unwrap();
            let mut dimensions: Vec<_> = dimensions
                .iter()
                .map(|it| (text(it, "Name"), text(it, "Value")))
                .collect();
            dimensions.sort();
            let Some(Value::Tag(1, seconds)) = field(datum, "Timestamp") else {
                panic!("{datum:?}")
            };
            let at_ms = (seconds.as_float().unwrap() * 1_000.0).round() as i64;
            let fine = field(datum, "StorageResolution").is_some();
            let step_ms = if fine { 1_000 } else { 60_000 };
            let numbers = |name| {
                let list = field(datum, name)?.as_array().unwrap().iter();
                Some(list.map(|it| it.as_float().unwrap()).collect::<Vec<_>>())
            };
            let values = match (field(datum, "Value"), numbers("Values"), numbers("Counts")) {
                (Some(value), None, None) => vec![(value.as_float().unwrap(), 1.0)],
                (None, Some(values), Some(counts)) => {
                    assert!(values.len() == counts.len() && values.len() <= MAX_VALUES);
                    values.into_iter().zip(counts).collect()
                }
                other => panic!("{other:?}"),
            };
            let key = (
                namespace.to_owned(),
                text(datum, "MetricName"),
                dimensions,
                at_ms - at_ms.rem_euclid(step_ms),
            );
            (key, values)
        })
        .collect()
}

fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let map = value.as_map().unwrap();
    let found = map.iter().find(|(key, _)| key.as_text() == Some(name));
    found.map(|(_, value)| value)
}
