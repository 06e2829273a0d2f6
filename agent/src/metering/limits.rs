//! What CloudWatch takes in one PutMetricData.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>, API_MetricDatum, API_Dimension.

use std::time::Duration;

/// Data in one request.
pub const MAX_DATA: usize = 1_000;
/// Bytes of one request. The reference says 1 MB and not of what: this is the smaller one, before compression.
pub const MAX_BODY_BYTES: usize = 1_000_000;
/// Different values in one datum.
pub const MAX_VALUES: usize = 150;
/// Dimensions of one datum.
pub const MAX_DIMENSIONS: usize = 30;
/// Characters of a namespace, and of a dimension's name.
pub const MAX_NAME: usize = 255;
/// Points older than this are refused: two weeks, less what a request may take to arrive.
pub const MAX_AGE: Duration = Duration::from_secs(14 * 24 * 3600 - 600);
/// Of older points it may take hours until they can be read back; younger ones show soon.
pub const READABLE_AGE: Duration = Duration::from_secs(3 * 3600);

/// The largest magnitude is 2³⁶⁰, the smallest that is not zero 2⁻³⁶⁰.
const EXPONENT: i32 = 360;

/// The value as CloudWatch takes it; none if it does not.
#[must_use]
pub fn fitting(value: f64) -> Option<f64> {
    let (most, least) = (2_f64.powi(EXPONENT), 2_f64.powi(-EXPONENT));
    match value.abs() {
        // Not a number compares with nothing.
        magnitude if magnitude <= most => Some(if magnitude < least { 0.0 } else { value }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cloudwatch_refuses_are_none() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e109, -1e109] {
            assert_eq!(fitting(value), None, "{value}");
        }
        for value in [0.0, 1.5, -1.5, 1e108, -1e-108] {
            assert_eq!(fitting(value), Some(value));
        }
        assert_eq!(fitting(1e-109), Some(0.0));
    }
}
