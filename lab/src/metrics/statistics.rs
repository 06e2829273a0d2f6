//! What a period's data amount to.

use super::store::Sampled;

/// A statistic that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
    /// From 0 to 100.
    Percentile(f64),
}

impl Statistic {
    /// Reads `Average`, `p99.9` and so on; `None` for what is none, and for trimmed means and their like, which this endpoint does not compute.
    pub(super) fn read(name: &str) -> Option<Self> {
        Some(match name {
            "SampleCount" => Self::SampleCount,
            "Average" => Self::Average,
            "Sum" => Self::Sum,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            other => {
                let digits = other.strip_prefix('p')?;
                let plain = digits
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.');
                let percent: f64 = plain.then(|| digits.parse().ok())??;
                (percent <= 100.0).then_some(Self::Percentile(percent))?
            }
        })
    }
}

/// The data of one period, added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Bucket {
    count: f64,
    sum: f64,
    range: Option<(f64, f64)>,
    /// (value, how often).
    values: Vec<(f64, f64)>,
    /// There is a statistic set in it that does not show its values.
    opaque: bool,
}

impl Bucket {
    pub(super) fn add(&mut self, sampled: &Sampled) {
        match sampled {
            Sampled::One(value) => self.add_value(*value, 1.0),
            Sampled::Values(values) => {
                for (value, count) in values {
                    self.add_value(*value, *count);
                }
            }
            Sampled::Set(set) if set.minimum == set.maximum => {
                self.add_value(set.minimum, set.sample_count);
            }
            Sampled::Set(set) => {
                self.count += set.sample_count;
                self.sum += set.sum;
                self.widen(set.minimum);
                self.widen(set.maximum);
                self.opaque = true;
            }
        }
    }

    fn add_value(&mut self, value: f64, count: f64) {
        self.count += count;
        self.sum += value * count;
        self.widen(value);
        self.values.push((value, count));
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        for value in other
            .range
            .map_or_else(Vec::new, |(low, high)| vec![low, high])
        {
            self.widen(value);
        }
        self.values.extend(other.values);
        self.opaque |= other.opaque;
    }

    fn widen(&mut self, value: f64) {
        let (low, high) = self.range.unwrap_or((value, value));
        self.range = Some((low.min(value), high.max(value)));
    }

    /// The statistic; `None` where the data do not show it: percentiles of statistic sets, averages of nothing.
    pub(super) fn get(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::SampleCount => Some(self.count),
            Statistic::Sum => Some(self.sum),
            Statistic::Average => (self.count > 0.0).then(|| self.sum / self.count),
            Statistic::Minimum => self.range.map(|(low, _)| low),
            Statistic::Maximum => self.range.map(|(_, high)| high),
            Statistic::Percentile(percent) => self.percentile(percent),
        }
    }

    /// By nearest rank; the service's own estimate may lie a little beside it.
    fn percentile(&self, percent: f64) -> Option<f64> {
        if self.opaque {
            return None;
        }
        let mut values = self.values.clone();
        values.sort_by(|one, other| one.0.total_cmp(&other.0));
        let rank = percent / 100.0 * self.count;
        let mut seen = 0.0;
        let reached = values.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        reached.or(values.last()).map(|(value, _)| *value)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::super::store::StatisticSet;
    use super::*;

    fn get(bucket: &Bucket, name: &str) -> Option<f64> {
        bucket.get(Statistic::read(name).unwrap())
    }

    #[test]
    fn values_and_counts_amount_to_what_they_say() {
        let mut bucket = Bucket::default();
        bucket.add(&Sampled::One(5.0));
        bucket.add(&Sampled::Values(vec![(1.0, 3.0), (10.0, 1.0)]));
        let all = ["SampleCount", "Sum", "Average", "Minimum", "Maximum"];
        let expected = [5.0, 18.0, 3.6, 1.0, 10.0];
        assert_eq!(all.map(|name| get(&bucket, name).unwrap()), expected);
        let percentiles = ["p0", "p50", "p60", "p60.1", "p80", "p99.9", "p100"];
        let expected = [1.0, 1.0, 1.0, 5.0, 5.0, 10.0, 10.0];
        assert_eq!(
            percentiles.map(|name| get(&bucket, name).unwrap()),
            expected
        );
    }

    #[test]
    fn a_statistic_set_shows_percentiles_only_if_all_its_values_are_one() {
        let set = |minimum, maximum| {
            Sampled::Set(StatisticSet {
                sample_count: 2.0,
                sum: minimum + maximum,
                minimum,
                maximum,
            })
        };
        let mut bucket = Bucket::default();
        bucket.add(&set(3.0, 3.0));
        assert_eq!(get(&bucket, "p99"), Some(3.0));
        bucket.add(&set(1.0, 9.0));
        assert_eq!(get(&bucket, "p99"), None);
        assert_eq!(get(&bucket, "Average"), Some(4.0));
        assert_eq!(get(&bucket, "Maximum"), Some(9.0));
    }

    #[test]
    fn what_is_no_statistic_is_not_read() {
        for name in [
            "", "average", "p", "p101", "p-1", "pinf", "pNaN", "tm90", "p1e1",
        ] {
            assert_eq!(Statistic::read(name), None, "{name}");
        }
    }
}
