//! Which data of a request the service finds something wrong with. Pure.
//!
//! It names them by their place, counted from 1, as in its first protocol: "The value NaN for parameter MetricData.member.11.Value is invalid."
//! (API reference: "MetricData.member.N").

const MEMBER: &str = "MetricData.member.";

/// The places, counted from 0, that a message names of a request of `count` data; none where it names none, or one that is not there.
pub(super) fn named(message: &str, count: u32) -> Vec<u32> {
    let mut named = Vec::new();
    for (at, _) in message.match_indices(MEMBER) {
        let digits = &message[at + MEMBER.len()..];
        let end = digits.find(|c: char| !c.is_ascii_digit());
        let number = digits[..end.unwrap_or(digits.len())].parse::<u32>();
        match number {
            Ok(number) if (1..=count).contains(&number) => named.push(number - 1),
            // Whoever counts differently does not say which.
            _ => return Vec::new(),
        }
    }
    named.sort_unstable();
    named.dedup();
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_named_are_found_once() {
        let message = "PutMetricData for CWAgent (eu-west-1): InvalidParameterValue: The value NaN for parameter MetricData.member.11.Value is invalid.\n\
             The parameter MetricData.member.2.Dimensions.member.1.Value is required.\nThe parameter MetricData.member.2.Unit must be a value";
        assert_eq!(named(message, 20), [1, 10]);
    }

    #[test]
    fn who_names_none_or_one_that_is_not_there_says_nothing() {
        for message in [
            "",
            "The collection MetricData must not have a size greater than 1000.",
            "MetricData.member.",
            "MetricData.member.0.Value",
            "MetricData.member.21.Value",
            "MetricData.member.1.Value and MetricData.member.99999999999.Value",
        ] {
            assert!(named(message, 20).is_empty(), "{message}");
        }
    }
}
