//! One value of one metric.

use std::borrow::Cow;
use std::fmt::{self, Write};
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
///
/// Their values are such as CloudWatch takes: what is not printable ASCII (in the path of a mount, say) is written as its bytes in hexadecimal after
/// `%`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Option<Arc<[Label]>>);

/// Name and value.
type Label = (&'static str, Arc<str>);

impl Labels {
    /// Of names and values.
    #[must_use]
    pub fn new<const N: usize>(labels: [(&'static str, &Arc<str>); N]) -> Self {
        Self(Some(
            labels.map(|(name, value)| (name, fitting(value))).into(),
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

/// A dimension's value has at most so many characters (Dimension, API reference).
const MAX_VALUE_BYTES: usize = 1024;
/// Stands for what has no name; a value must not be blank.
const NAMELESS: &str = "none";

/// The value as CloudWatch takes it, which nearly always is the value itself.
fn fitting(value: &Arc<str>) -> Arc<str> {
    match dimension_value(value) {
        Cow::Borrowed(_) => Arc::clone(value),
        Cow::Owned(fitting) => fitting.into(),
    }
}

/// A dimension's value as CloudWatch takes it, which nearly always is the value itself: what is not printable ASCII (in the name of an Auto Scaling
/// group, say, which may be any Unicode) is written as its bytes in hexadecimal after `%`. A single value that it does not take would cost the
/// whole request.
///
/// Source: Dimension, API reference.
#[must_use]
pub fn dimension_value(value: &str) -> Cow<'_, str> {
    let printable = |byte: u8| matches!(byte, b' '..=b'~');
    if value.trim().is_empty() {
        return Cow::Owned(NAMELESS.into());
    }
    if value.len() <= MAX_VALUE_BYTES && value.bytes().all(printable) {
        return Cow::Borrowed(value);
    }
    let mut fitting = String::new();
    for byte in value.bytes() {
        match printable(byte) {
            true => fitting.push(char::from(byte)),
            // Writing to a string can't fail.
            false => drop(write!(fitting, "%{byte:02X}")),
        }
    }
    fitting.truncate(MAX_VALUE_BYTES);
    Cow::Owned(fitting)
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn label(value: &str) -> String {
        let labels = Labels::new([("path", &value.into())]);
        labels.iter().next().unwrap().1.to_owned()
    }

    #[test]
    fn a_value_is_told_as_it_is_where_it_can_be() {
        for value in ["/", "/mnt/my disk", "nvme0n1p1", "fs-1.efs:/ (100%)"] {
            assert_eq!(label(value), value);
        }
        assert_eq!(label("/mnt/Größe\t"), "/mnt/Gr%C3%B6%C3%9Fe%09");
        assert_eq!(label(""), "none");
        assert_eq!(label(" \u{a0}"), "none");
        assert_eq!(label(&"/x".repeat(2_000)).len(), 1024);
    }

    proptest! {
        #[test]
        fn a_value_is_one_that_cloudwatch_takes(value in any::<String>()) {
            let label = label(&value);
            prop_assert!((1..=1024).contains(&label.len()));
            prop_assert!(label.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert!(!label.trim().is_empty());
        }
    }

    #[test]
    fn a_unit_is_one_that_cloudwatch_knows() {
        use aws_sdk_cloudwatch::types::StandardUnit;
        for unit in Unit::ALL {
            assert!(StandardUnit::values().contains(&unit.word()), "{unit:?}");
            assert_eq!(Unit::of(unit.word()), Some(unit));
        }
    }
}
