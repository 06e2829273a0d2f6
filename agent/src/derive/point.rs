//! One value of one metric.

use std::fmt;
use std::sync::Arc;

/// A value of a metric at the time of its sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The metric's name, as the CloudWatch agent's: `cpu_usage_active`.
    pub name: &'static str,
    /// What the value counts.
    pub unit: Unit,
    /// What of the host it is about.
    pub labels: Labels,
    /// Never NaN, never infinite.
    pub value: f64,
}

/// Dimensions that a metric has of itself, in the order of its documentation: `[("cpu", "cpu-total")]`. A clone shares them.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Option<Arc<[Label]>>);

/// Name and value.
type Label = (&'static str, Arc<str>);

impl Labels {
    /// Of names and values.
    #[must_use]
    pub fn new<const N: usize>(labels: [(&'static str, &Arc<str>); N]) -> Self {
        Self(Some(
            labels.map(|(name, value)| (name, Arc::clone(value))).into(),
        ))
    }

    /// Name and value of each.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, &str)> {
        let labels = self.0.as_deref().unwrap_or_default();
        labels.iter().map(|(name, value)| (*name, &**value))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What a value counts, of the units that CloudWatch knows (`StandardUnit`, MetricDatum, API reference).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Nothing in particular.
    None,
    /// Hundredths of a whole.
    Percent,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Percent,
        Self::Bytes,
        Self::Count,
        Self::Milliseconds,
        Self::Seconds,
    ];

    /// CloudWatch's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Percent => "Percent",
            Self::Bytes => "Bytes",
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
        }
    }

    /// The unit of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.word() == word)
    }
}
