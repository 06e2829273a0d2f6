//! Readings made into the data of PutMetricData. Pure, and the same each time for the same readings: a part of a parcel is named by numbers.
//!
//! Points of one metric under one set of dimensions that CloudWatch would store at the same time become one datum with values and their
//! counts: what it shows of them (average, extremes, sum, percentiles) is that of the points by themselves.

use std::collections::HashMap;
use std::sync::Arc;

use super::body;
use super::limits::{MAX_BODY_BYTES, MAX_DATA, MAX_DIMENSIONS, MAX_VALUES, fitting};
use crate::spool::{Range, Reading, Scope, Series};

/// The dimension that no other host has the same value of.
const INSTANCE: &str = "InstanceId";

/// Names and values, in the order in which they are sent.
pub type Dimensions = Vec<(String, String)>;

/// One entry of MetricData.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// Its metric.
    pub series: Arc<Series>,
    /// With which dimensions.
    pub dimensions: Dimensions,
    /// Milliseconds since 1970 UTC, as coarse as it is stored.
    pub at_ms: i64,
    /// 1 or 60 seconds.
    pub resolution_s: u32,
    /// Different values, and how often each was measured.
    pub values: Vec<(f64, u32)>,
    /// Whether no other host sends under these dimensions.
    pub own: bool,
}

/// A request that is ready to leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// Under which its data are filed.
    pub namespace: String,
    /// What is in it.
    pub range: Range,
    /// Its body, not compressed.
    pub body: Vec<u8>,
    /// What to look for to see whether it arrived.
    pub probe: Option<Probe>,
}

/// A point that is there if, and only if, its request has arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Under which it is filed.
    pub namespace: String,
    /// The metric's name.
    pub name: String,
    /// Its dimensions.
    pub dimensions: Dimensions,
    /// When, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// For how long from then on, in seconds.
    pub period_s: u32,
    /// How many samples it has.
    pub samples: u64,
}

/// When a reading is stored.
#[must_use]
pub fn stored_ms(reading: &Reading) -> i64 {
    let step = i64::from(reading.scope.resolution_s.max(1)) * 1_000;
    reading.at_ms - reading.at_ms.rem_euclid(step)
}

/// The data of these readings, in order.
#[must_use]
pub fn data(readings: &[Arc<Reading>]) -> Vec<Datum> {
    let mut data: Vec<Datum> = Vec::new();
    let mut open: HashMap<(Arc<Series>, Dimensions), usize> = HashMap::new();
    let mut last = None;
    for reading in readings {
        let at_ms = stored_ms(reading);
        if last.replace(at_ms) != Some(at_ms) {
            open.clear();
        }
        for (series, value) in &reading.values {
            let Some(value) = fitting(*value) else {
                continue;
            };
            for (dimensions, own) in dimension_sets(&reading.scope, series) {
                // Under a rollup, metrics of one name are one metric, whatever else they were told apart by.
                let metric = match own {
                    true => Arc::clone(series),
                    false => Arc::new(Series {
                        labels: Vec::new(),
                        ..Series::clone(series)
                    }),
                };
                let key = (metric, dimensions);
                if let Some(datum) = open.get(&key).and_then(|at| data.get_mut(*at))
                    && add(&mut datum.values, value)
                {
                    continue;
                }
                data.push(Datum {
                    series: Arc::clone(series),
                    dimensions: key.1.clone(),
                    at_ms,
                    resolution_s: reading.scope.resolution_s,
                    values: vec![(value, 1)],
                    own,
                });
                open.insert(key, data.len() - 1);
            }
        }
    }
    data
}

/// Whether there was room.
fn add(values: &mut Vec<(f64, u32)>, value: f64) -> bool {
    if let Some((_, count)) = values.iter_mut().find(|(known, _)| *known == value) {
        *count += 1;
        return true;
    }
    let room = values.len() < MAX_VALUES;
    if room {
        values.push((value, 1));
    }
    room
}

/// Under which dimensions a metric is sent, and whether they are this host's alone.
fn dimension_sets(scope: &Scope, series: &Series) -> Vec<(Dimensions, bool)> {
    let labels = series.labels.iter();
    let mut all: Dimensions = labels
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .chain(scope.dimensions.iter().cloned())
        .collect();
    all.truncate(MAX_DIMENSIONS);
    let own = all.iter().any(|(name, _)| name == INSTANCE);
    let mut sets = Vec::with_capacity(1 + scope.rollups.len());
    for names in &scope.rollups {
        let of = |name: &String| all.iter().find(|(known, _)| known == name).cloned();
        // What the host or the metric does not have all of is not rolled up.
        if let Some(rolled) = names.iter().map(of).collect::<Option<Dimensions>>()
            && rolled.len() < all.len()
        {
            sets.push((rolled, false));
        }
    }
    sets.insert(0, (all, own));
    sets
}

/// How many of the readings, which are in no parcel yet, go into the next one: as many as one request takes of one namespace; more only where
/// those of one instant are more.
#[must_use]
pub fn parcel_of(readings: &[Arc<Reading>]) -> usize {
    let (mut taken, mut count, mut bytes) = (0, 0, body::ENVELOPE_BYTES);
    while taken < readings.len() {
        let rest = &readings[taken..];
        if rest[0].scope.namespace != readings[0].scope.namespace {
            break;
        }
        let key = |it: &Arc<Reading>| (stored_ms(it), it.scope.namespace.clone());
        let together = key(&rest[0]);
        let together = rest.iter().take_while(|it| key(it) == together).count();
        let data = data(&rest[..together]);
        count += data.len();
        bytes += data.iter().map(body::datum_bytes).sum::<usize>();
        if taken > 0 && (count > MAX_DATA || bytes > MAX_BODY_BYTES) {
            break;
        }
        taken += together;
    }
    taken
}

/// The next request of a parcel: its data from `from` on, at most up to `to` and at most `most` of them. None if there is nothing to send.
#[must_use]
pub fn request(
    parcel: &[Arc<Reading>],
    (first, last): (u64, u64),
    (from, to): (u32, u32),
    most: usize,
) -> Option<Packed> {
    let namespace = &parcel.first()?.scope.namespace;
    let data = data(parcel);
    let of = u32::try_from(data.len()).ok()?;
    let wanted = data.get(from as usize..to.min(of) as usize)?;
    let mut bytes = body::ENVELOPE_BYTES;
    let fits = |datum: &&Datum| {
        bytes += body::datum_bytes(datum);
        bytes <= MAX_BODY_BYTES
    };
    let limit = most.min(MAX_DATA);
    let count = wanted.iter().take(limit).take_while(fits).count();
    // One datum alone is far below the limit.
    let sent = wanted.get(..count.max(1))?;
    // The last one: what was sent before of the same minute, before a restart, is not taken for it.
    let probe = sent.iter().rev().find(|datum| datum.own);
    Some(Packed {
        namespace: namespace.clone(),
        range: Range {
            first,
            last,
            from,
            to: from + sent.len() as u32,
            of,
        },
        body: body::put_metric_data(namespace, sent),
        probe: probe.map(|datum| Probe {
            namespace: namespace.clone(),
            name: datum.series.name.to_string(),
            dimensions: datum.dimensions.clone(),
            at_ms: datum.at_ms,
            period_s: datum.resolution_s,
            samples: datum
                .values
                .iter()
                .map(|(_, count)| u64::from(*count))
                .sum(),
        }),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn scope(resolution_s: u32) -> Arc<Scope> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Arc::new(Scope {
            namespace: "CWAgent".into(),
            dimensions: vec![
                pair("InstanceId", "i-1"),
                pair("AutoScalingGroupName", "web"),
            ],
            rollups: vec![vec!["AutoScalingGroupName".into()], vec!["ImageId".into()]],
            resolution_s,
        })
    }

    fn reading(seq: u64, at_ms: i64, resolution_s: u32, values: &[(String, f64)]) -> Arc<Reading> {
        let series = |path: &str| {
            Arc::new(Series {
                name: "disk_used_percent".into(),
                unit: "Percent".into(),
                labels: vec![("path".into(), path.to_owned().into())],
            })
        };
        Arc::new(Reading {
            seq,
            at_ms,
            scope: scope(resolution_s),
            values: values.iter().map(|(path, v)| (series(path), *v)).collect(),
        })
    }

    fn many(count: usize) -> Vec<(String, f64)> {
        (0..count).map(|n| (format!("/{n}"), n as f64)).collect()
    }

    fn names(datum: &Datum) -> Vec<&str> {
        datum.dimensions.iter().map(|(name, _)| &**name).collect()
    }

    #[test]
    fn a_metric_is_sent_under_its_own_dimensions_and_under_each_rollup_that_it_has() {
        let data = data(&[reading(1, 60_000, 60, &many(2))]);
        let shown: Vec<_> = data.iter().map(|it| (names(it), it.values.len())).collect();
        let own = vec!["path", "InstanceId", "AutoScalingGroupName"];
        assert_eq!(
            shown,
            [
                (own.clone(), 1),
                (vec!["AutoScalingGroupName"], 2),
                (own, 1)
            ],
        );
    }

    #[test]
    fn values_of_a_minute_become_one_datum_with_counts_and_fine_ones_stay_apart() {
        let at = |resolution_s| -> Vec<_> {
            (0..60)
                .map(|n| {
                    let value = vec![("/".to_owned(), (n / 20) as f64)];
                    reading(n, 60_000 + n as i64 * 1_000, resolution_s, &value)
                })
                .collect()
        };
        let coarse = data(&at(60));
        assert_eq!(coarse.len(), 2);
        assert_eq!(coarse[0].values, [(0.0, 20), (1.0, 20), (2.0, 20)]);
        assert_eq!(data(&at(1)).len(), 120);
    }

    #[test]
    fn more_values_than_a_datum_takes_go_into_another() {
        let data = data(&[reading(1, 0, 60, &many(400))]);
        let rolled = data.iter().filter(|it| !it.own);
        let sizes: Vec<_> = rolled.map(|it| it.values.len()).collect();
        assert_eq!(sizes, [150, 150, 100]);
    }

    #[test]
    fn what_is_not_a_number_is_never_sent() {
        let values = [("/".to_owned(), f64::NAN), ("/a".to_owned(), 1e200)];
        assert_eq!(data(&[reading(1, 0, 60, &values)]), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn every_datum_is_in_exactly_one_request_and_every_request_within_its_limits(
            sizes in prop::collection::vec(1_usize..600, 1..5),
            most in 1_usize..1_100,
        ) {
            let readings: Vec<_> = sizes
                .iter()
                .enumerate()
                .map(|(at, size)| reading(at as u64 + 1, at as i64 * 60_000, 60, &many(*size)))
                .collect();
            let (mut rest, mut sent) = (readings.as_slice(), 0);
            while !rest.is_empty() {
                let taken = parcel_of(rest);
                prop_assert!(taken > 0);
                let (parcel, behind) = rest.split_at(taken);
                let of = data(parcel).len() as u32;
                let mut from = 0;
                // A few steps show what many would.
                let most = most.max(of as usize / 8);
                while from < of {
                    let packed = request(parcel, (1, 2), (from, of), most).unwrap();
                    prop_assert_eq!((packed.range.from, packed.range.of), (from, of));
                    prop_assert!(packed.range.to > from);
                    prop_assert!((packed.range.to - from) as usize <= most.min(MAX_DATA));
                    prop_assert!(packed.body.len() <= MAX_BODY_BYTES);
                    sent += packed.range.to - from;
                    from = packed.range.to;
                }
                rest = behind;
            }
            prop_assert_eq!(sent as usize, data(&readings).len());
        }
    }
}
