//! The rules for names, tags and retention, as the service model states them.

use std::collections::BTreeMap;

use super::limits::{NAME_CHARS, RETENTION_DAYS, TAGS};
use super::store::CLASSES;
use crate::endpoint::AwsError;

/// Reserved for the service (`CreateLogGroup`: "can't start with the string aws/").
const RESERVED_PREFIX: &str = "aws/";
/// Model: `TagKey`, `TagValue`.
const TAG_KEY_CHARS: usize = 128;
const TAG_VALUE_CHARS: usize = 256;

/// Checks a group's name (model: `LogGroupName`).
pub(crate) fn group(name: &str) -> Result<(), AwsError> {
    length("logGroupName", name, 1, NAME_CHARS)?;
    let legal = |char: char| char.is_ascii_alphanumeric() || ".-_/#".contains(char);
    if !name.chars().all(legal) {
        return Err(pattern("logGroupName", name, r"[\.\-_/#A-Za-z0-9]+"));
    }
    Ok(())
}

/// Checks the name of a group that is to be made.
pub(crate) fn new_group(name: &str) -> Result<(), AwsError> {
    group(name)?;
    if name.starts_with(RESERVED_PREFIX) {
        return Err(AwsError::invalid(
            "Log groups starting with aws/ are reserved for AWS.",
        ));
    }
    Ok(())
}

/// Checks a stream's name (model: `LogStreamName`).
pub(crate) fn stream(name: &str) -> Result<(), AwsError> {
    stream_at("logStreamName", name)
}

/// As [`stream`], for a member of another name (a prefix).
pub(crate) fn stream_at(member: &str, name: &str) -> Result<(), AwsError> {
    length(member, name, 1, NAME_CHARS)?;
    if name.contains([':', '*']) {
        return Err(pattern(member, name, "[^:*]*"));
    }
    Ok(())
}

/// Checks a group's class (model: `LogGroupClass`).
pub(crate) fn class(class: &str) -> Result<(), AwsError> {
    if CLASSES.contains(&class) {
        return Ok(());
    }
    Err(AwsError::constraint(
        "logGroupClass",
        Some(class),
        &format!(
            "Member must satisfy enum value set: [{}]",
            CLASSES.join(", ")
        ),
    ))
}

/// Checks a number of days.
pub(crate) fn retention(days: i64) -> Result<u16, AwsError> {
    let known = u16::try_from(days)
        .ok()
        .filter(|days| RETENTION_DAYS.contains(days));
    known.ok_or_else(|| {
        let values: Vec<String> = RETENTION_DAYS.iter().map(u16::to_string).collect();
        AwsError::constraint(
            "retentionInDays",
            Some(&days.to_string()),
            &format!(
                "Member must satisfy enum value set: [{}]",
                values.join(", ")
            ),
        )
    })
}

/// Checks the tags that a group is to get.
pub(crate) fn tags(tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
    if tags.is_empty() {
        return Err(length_error("tags", None, false, 1));
    }
    if tags.len() > TAGS {
        return Err(length_error("tags", None, true, TAGS));
    }
    for (key, value) in tags {
        length("tags.key", key, 1, TAG_KEY_CHARS)?;
        length("tags.value", value, 0, TAG_VALUE_CHARS)?;
        let legal = |char: char| char.is_alphanumeric() || char == ' ' || "_.:/=+-@".contains(char);
        if let Some(text) = [key, value]
            .into_iter()
            .find(|text| !text.chars().all(legal))
        {
            return Err(pattern("tags", text, r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$"));
        }
        if key.starts_with("aws:") {
            return Err(AwsError::invalid(
                "aws: prefixed tag key names are not allowed for external use.",
            ));
        }
    }
    Ok(())
}

/// Checks a member's length in characters.
pub(crate) fn length(member: &str, value: &str, min: usize, max: usize) -> Result<(), AwsError> {
    // Counting characters is for the few values that are longer than they may be in bytes.
    if value.len() > max && value.chars().count() > max {
        return Err(length_error(member, Some(value), true, max));
    }
    if value.len() < min {
        return Err(length_error(member, Some(value), false, min));
    }
    Ok(())
}

/// A member is longer (`over`) or shorter than `bound`.
pub(crate) fn length_error(
    member: &str,
    value: Option<&str>,
    over: bool,
    bound: usize,
) -> AwsError {
    let relation = if over { "less" } else { "greater" };
    AwsError::constraint(
        member,
        value,
        &format!("Member must have length {relation} than or equal to {bound}"),
    )
}

fn pattern(member: &str, value: &str, pattern: &str) -> AwsError {
    AwsError::constraint(
        member,
        Some(value),
        &format!("Member must satisfy regular expression pattern: {pattern}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_with_few_characters_and_not_as_aws_does() {
        for good in ["a", "/aws/lambda/x", "cname.domain.com", "a_b-c#1"] {
            assert_eq!(new_group(good), Ok(()), "{good}");
        }
        for bad in ["", "a b", "a:b", "ä", "a*", "aws/x", &"x".repeat(513)] {
            assert!(new_group(bad).is_err(), "{bad}");
        }
        assert_eq!(new_group(&"x".repeat(512)), Ok(()));
    }

    #[test]
    fn streams_are_named_with_anything_but_colon_and_star_in_characters_not_bytes() {
        for good in ["a", "i-1/var/log/syslog", "ä b", &"ä".repeat(512)] {
            assert_eq!(stream(good), Ok(()), "{good}");
        }
        for bad in ["", "a:b", "a*", &"x".repeat(513)] {
            assert!(stream(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn retention_is_one_of_a_fixed_set() {
        for days in [1, 14, 3653] {
            assert!(retention(days).is_ok(), "{days}");
        }
        for days in [-1, 0, 2, 4, 366, 65_537] {
            assert!(retention(days).is_err(), "{days}");
        }
    }
}
