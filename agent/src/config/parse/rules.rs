//! What a value must look like. Pure; each rule says what it expects.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::table::Expected;
use crate::discover::{PatternError, Patterns};
use crate::frame::Multiline;

/// A socket's path has at most 108 bytes with its final NUL (`sockaddr_un`, unix(7)); that of
/// `status.sock` in the state directory is one.
const MAX_STATE_DIR_BYTES: usize = 108 - 1 - "/status.sock".len();

/// The periods that CloudWatch Logs keeps events for, in days; 0 stands for ever.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
pub(super) const RETENTION_DAYS: [u32; 23] = [
    0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

fn holds(condition: bool, expected: &'static str) -> Result<(), &'static str> {
    if condition { Ok(()) } else { Err(expected) }
}

/// A place on this host.
pub(super) fn absolute_path(path: &str) -> Result<PathBuf, &'static str> {
    holds(path.starts_with('/'), "must be an absolute path: `/` first")?;
    holds(
        path.split('/').all(|part| part != ".." && part != "."),
        "must not hold `.` or `..`",
    )?;
    holds(
        !path.chars().any(char::is_control),
        "must not hold control characters",
    )?;
    Ok(PathBuf::from(path))
}

/// Where the ledger and the socket lie.
pub(super) fn state_dir(path: &str) -> Result<PathBuf, Expected> {
    let path = absolute_path(path)?;
    if path.as_os_str().len() > MAX_STATE_DIR_BYTES {
        return Err(format!(
            "must have at most {MAX_STATE_DIR_BYTES} bytes: a socket lies in it, and the system limits its path"
        )
        .into());
    }
    Ok(path)
}

/// A pattern of log files.
pub(super) fn glob(pattern: &str) -> Result<String, Expected> {
    absolute_path(pattern)?;
    holds(
        !pattern.ends_with('/'),
        "must name files, not their directory: end it with `/*.log`, for example",
    )?;
    usable(Patterns::compile(&[pattern.to_owned()], &[]))?;
    Ok(pattern.to_owned())
}

/// A pattern of paths to leave out, or of names where it has no slash.
pub(super) fn exclude(pattern: &str) -> Result<String, Expected> {
    if pattern.contains('/') {
        absolute_path(pattern)?;
    }
    holds(!pattern.is_empty(), "must not be empty")?;
    usable(Patterns::compile(&[], &[pattern.to_owned()]))?;
    Ok(pattern.to_owned())
}

fn usable(compiled: Result<Patterns, PatternError>) -> Result<(), Expected> {
    compiled
        .map(drop)
        .map_err(|error| format!("{}: {}", error.reason, error.remedy).into())
}

/// <https://docs.aws.amazon.com/general/latest/gr/rande.html>
pub(super) fn region(name: &str) -> Result<String, &'static str> {
    holds(
        (1..=63).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
        "must be a region's name, like eu-west-1",
    )?;
    Ok(name.to_owned())
}

/// Where the service answers.
pub(super) fn url(url: &str) -> Result<String, &'static str> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    holds(
        rest.is_some_and(|rest| {
            !rest.is_empty()
                && !rest.starts_with(['/', ':'])
                && rest.chars().all(|c| c.is_ascii_graphic())
        }),
        "must be a URL like https://logs.eu-west-1.amazonaws.com",
    )?;
    Ok(url.to_owned())
}

/// A section of the AWS configuration files.
pub(super) fn profile(name: &str) -> Result<String, &'static str> {
    holds(
        !name.is_empty() && !name.chars().any(|c| c.is_control() || c == ']'),
        "must be the name of a profile in the AWS configuration files",
    )?;
    Ok(name.to_owned())
}

/// It becomes part of names of streams and is written into the ledger.
pub(super) fn instance_id(id: &str) -> Result<String, &'static str> {
    holds(
        (1..=64).contains(&id.len())
            && id
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)),
        "must be up to 64 letters, digits and - _ .",
    )?;
    Ok(id.to_owned())
}

/// A period that the service knows.
pub(super) fn retention_days(days: u32) -> Result<Option<u32>, String> {
    match RETENTION_DAYS.iter().find(|known| **known == days) {
        Some(0) => Ok(None),
        Some(days) => Ok(Some(*days)),
        None => {
            let nearest = RETENTION_DAYS
                .iter()
                .find(|known| **known > days)
                .map_or_else(String::new, |next| format!("; the next one up is {next}"));
            Err(format!("CloudWatch Logs has no such period{nearest}"))
        }
    }
}

/// A regular expression on events.
pub(super) fn regex(pattern: &str) -> Result<(), Expected> {
    holds(
        !pattern.is_empty(),
        "must not be empty: it would match every line",
    )?;
    regex::bytes::Regex::new(pattern)
        .map(|_| ())
        .map_err(|error| reason(&error).into())
}

/// A regular expression on lines.
pub(super) fn first_line(pattern: &str) -> Result<Multiline, Expected> {
    holds(
        !pattern.is_empty(),
        "must not be empty: every line would be the first of an event",
    )?;
    Multiline::parse(pattern).map_err(|error| reason(&error.source).into())
}

/// Why it is no regular expression, without the drawing that comes with it.
pub(super) fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let reason = last.strip_prefix("error: ").unwrap_or(last);
    format!("is not a valid regular expression: {reason}")
}

/// How stamps without a zone are meant; `None` by the host's.
pub(super) fn timezone(name: &str) -> Result<Option<jiff::tz::TimeZone>, Expected> {
    if name == "local" {
        return Ok(None);
    }
    jiff::tz::TimeZone::get(name).map(Some).map_err(|_| {
        "must be `local`, or a zone that this host's time zone database has, like Europe/Berlin"
            .into()
    })
}

/// A duration like `500ms`, within limits.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, Expected> {
    move |text| {
        let parsed = humantime::parse_duration(text)
            .map_err(|_| "must be a time span like 500ms, 10s or 1m30s")?;
        if range.contains(&parsed) {
            return Ok(parsed);
        }
        let [least, most] = [range.start(), range.end()].map(|d| humantime::format_duration(*d));
        Err(format!("must be from {least} to {most}").into())
    }
}

/// A number of bytes like `8MiB`, within limits.
pub(super) fn bytes(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<u64, Expected> {
    move |text| {
        let parsed =
            parse_bytes(text).ok_or("must be a number with its unit, like 512KiB, 8MiB or 2GiB")?;
        if range.contains(&parsed) {
            return Ok(parsed);
        }
        let [least, most] = [range.start(), range.end()].map(|b| shown_bytes(*b));
        Err(format!("must be from {least} to {most}").into())
    }
}

const UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1000 * 1000),
    ("GB", 1000 * 1000 * 1000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let (_, factor) = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The number in the largest unit that leaves it whole.
fn shown_bytes(bytes: u64) -> String {
    let unit = UNITS
        .iter()
        .rev()
        .find(|(name, factor)| {
            (name.contains('i') || *factor == 1) && bytes.is_multiple_of(*factor)
        })
        .filter(|_| bytes > 0);
    match unit {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn bytes_have_units_of_both_kinds_and_no_unit_is_guessed() {
        let any = bytes(0..=u64::MAX);
        assert_eq!(any("8MiB").unwrap(), 8 * 1024 * 1024);
        assert_eq!(any("8 MB").unwrap(), 8_000_000);
        assert_eq!(any("512kib").unwrap(), 512 * 1024);
        assert_eq!(any("7B").unwrap(), 7);
        for wrong in ["8", "MiB", "8M", "-1B", "1.5GiB", "99999999999TiB", ""] {
            assert!(any(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_told_in_the_units_that_people_write() {
        let error = bytes(1024..=8 << 20)("1B").unwrap_err();
        assert_eq!(error, "must be from 1KiB to 8MiB");
        let error = duration(Duration::from_millis(10)..=Duration::from_secs(90))("5ms");
        assert_eq!(error.unwrap_err(), "must be from 10ms to 1m 30s");
    }

    #[test]
    fn a_retention_the_service_does_not_know_is_told_the_next_it_does() {
        assert_eq!(retention_days(0), Ok(None));
        assert_eq!(retention_days(731), Ok(Some(731)));
        assert!(retention_days(100).unwrap_err().ends_with("up is 120"));
        assert!(retention_days(4000).unwrap_err().ends_with("period"));
    }

    #[test]
    fn a_pattern_names_files_by_an_absolute_path() {
        assert!(glob("/var/log/**/*.log").is_ok());
        assert!(glob("/var/log/[a-").is_err());
        assert!(glob("/var/log/").is_err());
        assert!(glob("var/log/syslog").is_err());
        assert!(glob("/var/log/../etc/shadow").is_err());
        assert!(exclude("debug*.log").is_ok());
        assert!(exclude("app/debug.log").is_err());
    }

    #[test]
    fn a_regular_expression_that_is_wrong_says_why_in_one_line() {
        let error = regex("^(\\d+").unwrap_err();
        assert_eq!(error, "is not a valid regular expression: unclosed group");
    }

    #[test]
    fn a_state_directory_leaves_room_for_its_socket() {
        let fits = format!("/{}", "d".repeat(MAX_STATE_DIR_BYTES - 1));
        assert!(state_dir(&fits).is_ok());
        assert!(state_dir(&format!("{fits}d")).is_err());
    }
}
