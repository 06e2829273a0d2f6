#![expect(clippy::unwrap_used, reason = "a test may panic")]

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

/// 2026-11-23T06:00:30Z: when the lines of these tests are read.
const READ_MS: i64 = 1_795_413_630_000;

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn zone(posix: &str) -> TimeZone {
    TimeZone::posix(posix).unwrap()
}

fn berlin() -> TimeZone {
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
}

fn preset(name: &str) -> Stamper {
    Stamper::new(Some(Arc::new(Format::preset(name).unwrap())), TimeZone::UTC)
}

fn stamper(format: &str, zone: TimeZone) -> Stamper {
    Stamper::new(Some(Arc::new(Format::parse(format).unwrap())), zone)
}

fn own(unix_ms: i64) -> Stamp {
    Stamp {
        unix_ms,
        origin: Origin::Own,
    }
}

#[test]
fn presets_understand_lines_of_the_wild() {
    let lines = [
        (
            "syslog",
            "Nov 23 06:00:11 ip-10-0-0-7 sshd[812]: Accepted publickey for ubuntu",
            "2026-11-23T06:00:11Z",
        ),
        (
            "syslog",
            "Nov  3 16:09:01 web CRON[1]: (root) CMD (run-parts)",
            "2026-11-03T16:09:01Z",
        ),
        (
            "syslog",
            "2026-11-23T06:00:11.123456+01:00 web kernel: [    0.0] Linux",
            "2026-11-23T05:00:11.123Z",
        ),
        (
            "syslog",
            "2026-11-23T06:00:11Z web systemd[1]: Started.",
            "2026-11-23T06:00:11Z",
        ),
        (
            "nginx-access",
            r#"10.1.2.3 - - [23/Nov/2026:06:00:11 +0000] "GET / HTTP/1.1" 200 612 "-" "curl/7.58.0""#,
            "2026-11-23T06:00:11Z",
        ),
        (
            "nginx-access",
            r#"2001:db8::1 - al [x] [01/Jan/2027:00:00:00 -0530] "GET /?[23/Nov/2026:06:00:11 +0000] HTTP/1.1" 200 1"#,
            "2027-01-01T05:30:00Z",
        ),
        (
            "nginx-error",
            "2026/11/23 06:00:11 [error] 7#7: *1 open() failed (2: No such file)",
            "2026-11-23T06:00:11Z",
        ),
        (
            "apache-error",
            "[Mon Nov 23 06:00:11.123456 2026] [core:notice] [pid 1] AH00094",
            "2026-11-23T06:00:11.123Z",
        ),
        (
            "apache-error",
            "[Mon Nov  2 06:00:11 2026] [error] [client 1.2.3.4] x",
            "2026-11-02T06:00:11Z",
        ),
        (
            "gunicorn",
            "[2026-11-23 06:00:11 +0000] [123] [INFO] Booting worker with pid: 123",
            "2026-11-23T06:00:11Z",
        ),
        (
            "gunicorn",
            r#"127.0.0.1 - - [23/Nov/2026:06:00:11 +0000] "GET / HTTP/1.0" 200 2"#,
            "2026-11-23T06:00:11Z",
        ),
        (
            "jenkins",
            "2026-11-23 06:00:11.123+0000 [id=1]\tINFO\thudson.WebAppMain$3#run: Jenkins is up",
            "2026-11-23T06:00:11.123Z",
        ),
        (
            "jenkins",
            "Nov 23, 2026 6:00:11 PM hudson.model.Run execute",
            "2026-11-23T18:00:11Z",
        ),
        (
            "jenkins",
            "Nov 23, 2026 12:00:11 AM jenkins.InitReactorRunner$1 onAttained",
            "2026-11-23T00:00:11Z",
        ),
        (
            "python",
            "2026-11-23 06:00:11,123 - app - ERROR - boom",
            "2026-11-23T06:00:11.123Z",
        ),
        (
            "python",
            "WARNING 2026-11-23 06:00:11,123 views 12 140",
            "2026-11-23T06:00:11.123Z",
        ),
        (
            "postgresql",
            "2026-11-23 06:00:11.123 UTC [99] LOG:  checkpoint starting",
            "2026-11-23T06:00:11.123Z",
        ),
        (
            "postgresql",
            "2026-07-01 06:00:11 CEST [99] LOG:  x",
            "2026-07-01T04:00:11Z",
        ),
        (
            "iso8601",
            "2026-11-23T06:00:11.123456789Z done",
            "2026-11-23T06:00:11.123Z",
        ),
        (
            "rfc3339",
            "level=info t=2026-11-23T06:00:11-08:00 x",
            "2026-11-23T14:00:11Z",
        ),
        (
            "iso8601",
            "2026-11-23 06:00:11.5 +0200 EET",
            "2026-11-23T04:00:11.5Z",
        ),
        (
            "iso8601",
            "2026-11-23 06:00:11 text",
            "2026-11-23T06:00:11Z",
        ),
        (
            "iso8601",
            "2026-11-23 06:00:11 -10 degrees",
            "2026-11-23T06:00:11Z",
        ),
        (
            "json",
            r#"{"level":"info","timestamp":"2026-11-23T06:00:11.1Z","msg":"at \"time\":\"x\""}"#,
            "2026-11-23T06:00:11.1Z",
        ),
        (
            "json",
            r#"{"@timestamp": "2026-11-23T06:00:11+01:00"}"#,
            "2026-11-23T05:00:11Z",
        ),
        (
            "json",
            r#"{"level":30,"time":1795413611123,"pid":1}"#,
            "2026-11-23T06:00:11.123Z",
        ),
        (
            "json",
            r#"{"level":"info","ts":1795413611.1234567,"msg":"x"}"#,
            "2026-11-23T06:00:11.123Z",
        ),
        (
            "epoch",
            "1795413611.123    200 TCP_MISS",
            "2026-11-23T06:00:11.123Z",
        ),
    ];
    for (name, line, expected) in lines {
        assert_eq!(
            preset(name).stamp(line, READ_MS),
            own(ms(expected)),
            "{name}: {line}"
        );
    }
    for name in Format::presets() {
        assert!(
            lines
                .iter()
                .any(|(tested, ..)| *tested == name || name == "apache-access"),
            "{name} has no line"
        );
        assert!(Format::preset(name).is_some(), "{name}");
    }
    assert!(Format::preset("nginx").is_none());
}

#[test]
fn without_a_year_it_is_the_one_around_the_time_of_reading() {
    let cases = [
        (
            "2027-01-01T00:00:05Z",
            "Dec 31 23:59:59",
            "2026-12-31T23:59:59Z",
        ),
        (
            "2026-12-31T23:59:59.9Z",
            "Jan  1 00:00:00",
            "2027-01-01T00:00:00Z",
        ),
        (
            "2026-11-23T06:00:00Z",
            "Nov 24 07:00:00",
            "2026-11-24T07:00:00Z",
        ),
        (
            "2026-11-23T06:00:00Z",
            "Feb  1 00:00:00",
            "2026-02-01T00:00:00Z",
        ),
        // So far ahead is not believed.
        (
            "2026-11-23T06:00:00Z",
            "Nov 24 10:00:00",
            "2025-11-24T10:00:00Z",
        ),
        (
            "2026-11-30T06:00:00Z",
            "Dec 10 06:00:00",
            "2025-12-10T06:00:00Z",
        ),
        (
            "2028-03-01T00:00:00Z",
            "Feb 29 12:00:00",
            "2028-02-29T12:00:00Z",
        ),
        (
            "2028-02-20T00:00:00Z",
            "Feb 29 12:00:00",
            "2024-02-29T12:00:00Z",
        ),
        (
            "2027-03-01T00:00:00Z",
            "Feb 29 12:00:00",
            "2024-02-29T12:00:00Z",
        ),
        (
            "1903-03-01T00:00:00Z",
            "Feb 29 12:00:00",
            "1896-02-29T12:00:00Z",
        ),
    ];
    for (read, line, expected) in cases {
        assert_eq!(
            preset("syslog").stamp(line, ms(read)),
            own(ms(expected)),
            "{line} read at {read}"
        );
    }
    // The same bytes, a year later.
    let mut stamper = preset("syslog");
    assert_eq!(
        stamper.stamp("Dec 31 23:59:59 a", ms("2026-12-31T23:59:59Z")),
        own(ms("2026-12-31T23:59:59Z"))
    );
    assert_eq!(
        stamper.stamp("Dec 31 23:59:59 a", ms("2027-12-31T23:59:59Z")),
        own(ms("2027-12-31T23:59:59Z"))
    );
}

#[test]
fn without_a_date_it_is_the_day_around_the_time_of_reading() {
    let mut stamper = stamper("^%H:%M:%S", berlin());
    assert_eq!(
        stamper.stamp("23:59:59 x", ms("2026-11-22T23:00:02Z")),
        own(ms("2026-11-22T22:59:59Z"))
    );
    assert_eq!(
        stamper.stamp("00:00:01 x", ms("2026-11-22T22:59:59Z")),
        own(ms("2026-11-22T23:00:01Z"))
    );
    assert_eq!(
        stamper.stamp("00:00:01 x", ms("2026-11-23T22:59:59Z")),
        own(ms("2026-11-23T23:00:01Z"))
    );
}

#[test]
fn the_hour_that_comes_twice_is_the_first_until_time_would_go_back() {
    let mut stamper = stamper("%F %T", berlin());
    let mut at = |line: &str| stamper.stamp(line, READ_MS).unix_ms;
    assert_eq!(at("2026-10-25 01:59:59"), ms("2026-10-24T23:59:59Z"));
    assert_eq!(at("2026-10-25 02:30:00"), ms("2026-10-25T00:30:00Z"));
    assert_eq!(
        at("2026-10-25 02:29:58"),
        ms("2026-10-25T00:29:58Z"),
        "out of order a little"
    );
    assert_eq!(at("2026-10-25 02:59:59"), ms("2026-10-25T00:59:59Z"));
    assert_eq!(at("2026-10-25 02:00:00"), ms("2026-10-25T01:00:00Z"));
    assert_eq!(
        at("2026-10-25 02:30:00"),
        ms("2026-10-25T01:30:00Z"),
        "the same bytes as before"
    );
    assert_eq!(at("2026-10-25 03:00:00"), ms("2026-10-25T02:00:00Z"));
}

/// Nobody wrote anything while the hour passed for the first time.
#[test]
fn after_a_quiet_first_pass_the_time_of_reading_tells_which_of_the_two_hours_it_is() {
    let second_ms = ms("2026-10-25T01:30:00Z");
    let mut live = stamper("%F %T", berlin());
    let _ = live.stamp("2026-10-25 01:50:00", ms("2026-10-24T23:50:00Z"));
    assert_eq!(
        live.stamp("2026-10-25 02:30:00", second_ms + 200),
        own(second_ms)
    );
    assert_eq!(
        live.stamp("2026-10-25 02:30:00", second_ms + 900),
        own(second_ms),
        "the same second"
    );
    let mut first = stamper("%F %T", berlin());
    assert_eq!(
        first.stamp("2026-10-25 02:30:00", second_ms + 200),
        own(second_ms),
        "nothing before"
    );
    let mut early = stamper("%F %T", berlin());
    let _ = early.stamp("2026-10-25 01:50:00", ms("2026-10-24T23:50:00Z"));
    let first_ms = second_ms - 3_600_000;
    assert_eq!(
        early.stamp("2026-10-25 02:30:00", first_ms + 200),
        own(first_ms)
    );
    assert_eq!(
        early.stamp("2026-10-25 02:30:00", second_ms + 200),
        own(second_ms),
        "the same bytes an hour later"
    );
}

#[test]
fn a_clock_that_is_known_to_be_ahead_does_not_make_a_stamp_last_years() {
    let mut stamper = preset("syslog");
    stamper.set_ahead(15 * 86_400_000);
    assert_eq!(
        stamper.stamp("Dec 15 06:00:00 x", ms("2026-11-30T06:00:00Z")),
        own(ms("2026-12-15T06:00:00Z"))
    );
    stamper.set_ahead(0);
    assert_eq!(
        stamper.stamp("Dec 15 06:00:00 x", ms("2026-11-30T06:00:00Z")),
        own(ms("2025-12-15T06:00:00Z"))
    );
}

#[test]
fn another_zone_is_meant_from_the_next_line_on() {
    let mut stamper = stamper("%F %T", TimeZone::UTC);
    let (line, utc_ms) = ("2026-11-23 06:00:11 x", ms("2026-11-23T06:00:11Z"));
    assert_eq!(stamper.stamp(line, READ_MS), own(utc_ms));
    stamper.set_zone(berlin());
    assert_eq!(stamper.stamp(line, READ_MS), own(utc_ms - 3_600_000));
}

#[test]
fn behind_a_colon_stand_milliseconds_without_zeros_in_front() {
    let mut stamper = stamper("^%F %T:%f", TimeZone::UTC);
    let second_ms = ms("2026-11-23T06:00:11Z");
    for (text, ms) in [
        ("2026-11-23 06:00:11:7 x", 7),
        ("2026-11-23 06:00:11:11 x", 11),
        ("2026-11-23 06:00:11:110 x", 110),
        ("2026-11-23 06:00:11:011 x", 11),
        ("2026-11-23 06:00:11:110999 x", 110),
    ] {
        assert_eq!(stamper.stamp(text, READ_MS), own(second_ms + ms), "{text}");
    }
    let mut point = self::stamper("^%F %T.%f", TimeZone::UTC);
    assert_eq!(
        point.stamp("2026-11-23 06:00:11.11 x", READ_MS),
        own(second_ms + 110)
    );
}

#[test]
fn clocks_may_be_put_back_within_a_quarter_of_an_hour() {
    let mut stamper = stamper("%F %T", zone("AAA0BBB,M3.2.0/2:07,M11.1.0/2:07"));
    let mut at = |line: &str| stamper.stamp(line, READ_MS).unix_ms;
    assert_eq!(at("2026-11-01 01:00:00"), ms("2026-11-01T00:00:00Z"));
    assert_eq!(at("2026-11-01 02:06:59"), ms("2026-11-01T01:06:59Z"));
    assert_eq!(at("2026-11-01 01:10:00"), ms("2026-11-01T01:10:00Z"));
}

#[test]
fn a_time_that_clocks_skip_is_taken_as_if_they_had_not() {
    let mut stamper = stamper("%F %T", berlin());
    assert_eq!(
        stamper.stamp("2026-03-29 02:30:00", READ_MS),
        own(ms("2026-03-29T01:30:00Z"))
    );
    assert_eq!(
        stamper.stamp("2026-03-29 03:00:00", READ_MS),
        own(ms("2026-03-29T01:00:00Z"))
    );
}

#[test]
fn zone_names_are_those_of_the_zone_that_is_meant_then_those_that_all_know() {
    let mut stamper = stamper("%F %T %Z", zone("CST-8"));
    assert_eq!(
        stamper.stamp("2026-11-23 06:00:11 CST", READ_MS),
        own(ms("2026-11-22T22:00:11Z"))
    );
    assert_eq!(
        stamper.stamp("2026-11-23 06:00:11 EST", READ_MS),
        own(ms("2026-11-23T11:00:11Z"))
    );
    assert_eq!(
        stamper.stamp("2026-11-23 06:00:11 XYZ", READ_MS),
        own(ms("2026-11-22T22:00:11Z"))
    );
    assert_eq!(
        stamper.stamp("2026-11-23 06:00:11 +03", READ_MS),
        own(ms("2026-11-23T03:00:11Z"))
    );
    let mut berlin = self::stamper("%F %T %Z", berlin());
    assert_eq!(
        berlin.stamp("2026-10-25 02:30:00 CET", READ_MS),
        own(ms("2026-10-25T01:30:00Z"))
    );
    assert_eq!(
        berlin.stamp("2026-10-25 02:30:00 CEST", READ_MS),
        own(ms("2026-10-25T00:30:00Z"))
    );
}

#[test]
fn what_is_no_time_gets_that_of_the_line_before_or_of_reading() {
    let read = Stamp {
        unix_ms: READ_MS,
        origin: Origin::Read,
    };
    for line in [
        "2026-13-01 00:00:00",
        "2026-02-29 00:00:00",
        "2026-00-01 00:00:00",
        "2026-01-00 00:00:00",
        "2026-01-32 00:00:00",
        "2026-01-01 24:00:00",
        "2026-01-01 00:60:00",
        "2026-01-01 00:00:61",
        "2026-01-01 00:00",
        "",
        "  at java.lang.Thread",
    ] {
        assert_eq!(
            stamper("%F %T", TimeZone::UTC).stamp(line, READ_MS),
            read,
            "{line}"
        );
    }
    let mut stamper = stamper("%F %T", TimeZone::UTC);
    let first = stamper.stamp("2026-11-23 06:00:60 leap", READ_MS);
    assert_eq!(first, own(ms("2026-11-23T06:01:00Z")));
    let previous = Stamp {
        origin: Origin::Previous,
        ..first
    };
    assert_eq!(stamper.stamp("Traceback", READ_MS + 5), previous);
    assert_eq!(stamper.follow(READ_MS + 5), previous);
    let late = READ_MS + PREVIOUS_LASTS_MS + 1;
    assert_eq!(
        stamper.stamp("Traceback", late),
        Stamp {
            unix_ms: late,
            origin: Origin::Read
        }
    );
    assert_eq!(
        Stamper::new(None, TimeZone::UTC).stamp("2026-11-23 06:00:11", READ_MS),
        read
    );
}

#[test]
fn the_ends_of_time_are_times() {
    let mut stamper = stamper("%F %T %z", TimeZone::UTC);
    assert_eq!(
        stamper.stamp("9999-12-31 23:59:60 -2359", READ_MS).unix_ms,
        253_402_387_140_000
    );
    assert_eq!(
        stamper.stamp("0000-01-01 00:00:00 +2359", READ_MS).unix_ms,
        -62_167_305_540_000
    );
    for read in [i64::MIN, i64::MAX] {
        let _ = preset("syslog").stamp("Feb 29 00:00:00", read);
        let _ = self::stamper("%H:%M", berlin()).stamp("12:00", read);
        let _ = self::stamper("%F %H", berlin()).stamp("9999-12-31 23", read);
        let _ = preset("syslog").follow(read);
    }
}

#[test]
fn a_stamp_is_found_where_the_last_one_was_or_anywhere_in_sight() {
    let mut stamper = stamper("%F %T", TimeZone::UTC);
    let at = |second: u8| format!("2026-11-23 06:00:{second:02}");
    assert_eq!(
        stamper.stamp(&format!("a {}", at(1)), READ_MS).origin,
        Origin::Own
    );
    let both = format!("a {} {}", at(2), at(3));
    assert_eq!(
        stamper.stamp(&both, READ_MS),
        own(ms("2026-11-23T06:00:02Z"))
    );
    assert_eq!(
        stamper.stamp(&format!("{} {}", "x".repeat(900), at(4)), READ_MS),
        own(ms("2026-11-23T06:00:04Z"))
    );
    assert_eq!(
        stamper
            .stamp(&format!("{} {}", "x".repeat(SEARCH_BYTES), at(5)), READ_MS)
            .origin,
        Origin::Previous
    );
    assert_eq!(
        stamper.stamp("12026-11-23 06:00:11", READ_MS).origin,
        Origin::Previous,
        "inside a number"
    );
    let mut pinned = self::stamper("^%F %T", TimeZone::UTC);
    assert_eq!(
        pinned.stamp(&format!(" {}", at(1)), READ_MS).origin,
        Origin::Read
    );
}

#[test]
fn bytes_that_only_begin_like_the_last_stamp_are_another() {
    let mut stamper = preset("iso8601");
    assert_eq!(
        stamper.stamp("2026-11-23T06:00:11", READ_MS),
        own(ms("2026-11-23T06:00:11Z"))
    );
    assert_eq!(
        stamper.stamp("2026-11-23T06:00:11+01:00", READ_MS),
        own(ms("2026-11-23T05:00:11Z"))
    );
    assert_eq!(
        stamper.stamp("2026-11-23T06:00:11.1", READ_MS),
        own(ms("2026-11-23T06:00:11.1Z"))
    );
    assert_eq!(
        stamper.stamp("2026-11-23T06:00:11.12", READ_MS),
        own(ms("2026-11-23T06:00:11.12Z"))
    );
    assert_eq!(
        stamper.stamp("2026-11-23T06:00:11.1 x", READ_MS),
        own(ms("2026-11-23T06:00:11.1Z"))
    );
}

#[test]
fn a_format_that_can_not_be_used_says_where_and_what_to_do() {
    let cases = [
        ("%Y-%m-%d %H:%M:%E", 16, "the directive %E is not known"),
        ("^%H %!", 5, "the directive %! is not known"),
        ("%H %", 4, "a directive that breaks off"),
        ("%F", 1, "the format has no hour"),
        ("nginx", 1, "the format has no hour"),
        ("", 1, "the format has no hour"),
        ("%I:%M", 1, "%I and %p need each other"),
        ("%H %S", 1, "the format has a second but no minute"),
        ("%m %H", 1, "a month and a day need each other"),
        ("%Y %H", 1, "the format has a year but no day"),
        ("%j %H", 1, "%j needs a year, and no month"),
        ("ä%H %T", 5, "%T gives the hour a second time"),
    ];
    for (format, column, message) in cases {
        let error = Format::parse(format).unwrap_err();
        assert_eq!(
            (error.column, error.message.as_str()),
            (column, message),
            "{format}"
        );
        assert!(!error.help.is_empty());
    }
}

/// Formats that jiff writes and reads as we do.
const FORMATS: &[&str] = &[
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%F %T.%3f",
    "%F %T,%6f",
    "%d/%b/%Y:%H:%M:%S %z",
    "%a %b %e %T %Y",
    "%A, %d %B %Y %I:%M:%S %p",
    "%Y %j %R",
    "%m/%d/%y %H:%M %%",
    "%D %k:%M",
    "%H:%M:%S %d.%m.%Y %:z",
    "^%B %d %Y %l:%M %P",
];

fn zones() -> Vec<TimeZone> {
    let posix = [
        "EST5EDT,M3.2.0,M11.1.0",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "IST-5:30",
        "CET-1CEST,M3.5.0,M10.5.0/3",
    ];
    let mut zones: Vec<TimeZone> = posix.into_iter().map(zone).collect();
    zones.push(TimeZone::UTC);
    zones
}

/// What jiff makes of it, with the earlier of two possible instants.
fn model(format: &str, text: &str, zone: &TimeZone) -> i64 {
    let time = strtime::parse(format.trim_start_matches('^'), text).unwrap();
    let instant = match time.offset() {
        Some(offset) => offset.to_timestamp(time.to_datetime().unwrap()).unwrap(),
        None => zone
            .to_ambiguous_timestamp(time.to_datetime().unwrap())
            .compatible()
            .unwrap(),
    };
    instant
        .as_millisecond()
        .max(instant.as_nanosecond().div_euclid(1_000_000) as i64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_time_is_what_jiff_says(
        nanosecond in 0_i64..4_000_000_000_000_000_000,
        format in proptest::sample::select(FORMATS),
        zone in proptest::sample::select(zones()),
    ) {
        let at = Timestamp::from_nanosecond(i128::from(nanosecond)).unwrap().to_zoned(zone.clone());
        let text = strtime::format(format.trim_start_matches('^'), &at).unwrap();
        let expected = model(format, &text, &zone);
        prop_assert_eq!(stamper(format, zone).stamp(&text, READ_MS), own(expected), "{}", text);
    }

    #[test]
    fn what_is_remembered_changes_nothing(
        seconds in proptest::collection::vec((0_i64..3, 0_u16..3, 0_usize..3), 1..30),
        start in 0_i64..4_000_000_000,
        format in proptest::sample::select(FORMATS),
        zone in proptest::sample::select(zones()),
    ) {
        let mut remembering = stamper(format, zone.clone());
        let mut second = start;
        for (step, fraction, blanks) in seconds {
            second += step;
            let at = Timestamp::new(second, i32::from(fraction) * 1_100_000).unwrap();
            let blanks = if format.starts_with('^') { 0 } else { blanks };
            let stamp = strtime::format(format.trim_start_matches('^'), &at.to_zoned(zone.clone())).unwrap();
            let line = format!("{}{stamp} text", " ".repeat(blanks));
            let offset = zone.to_ambiguous_timestamp(at.to_zoned(zone.clone()).datetime());
            // In the hour that comes twice the line before counts.
            if !offset.is_ambiguous() || format.contains('z') {
                let afresh = stamper(format, zone.clone()).stamp(&line, READ_MS);
                prop_assert_eq!(remembering.stamp(&line, READ_MS), afresh, "{}", line);
            }
        }
    }

    #[test]
    fn the_year_is_found_again(
        second in 4_000_000_000_i64..8_000_000_000,
        behind_s in -26 * 3_600_i64..330 * 86_400,
        zone in proptest::sample::select(zones()),
    ) {
        let at = Timestamp::from_second(second).unwrap();
        let local = at.to_zoned(zone.clone());
        prop_assume!(!zone.to_ambiguous_timestamp(local.datetime()).is_ambiguous());
        let line = format!("{} host x[1]: y", strtime::format("%b %e %H:%M:%S", &local).unwrap());
        let mut stamper = Stamper::new(Format::preset("syslog").map(Arc::new), zone);
        prop_assert_eq!(stamper.stamp(&line, (second + behind_s) * 1000), own(second * 1000));
    }

    #[test]
    fn no_text_and_no_format_is_too_strange(
        format in "(\\^)?([%][a-zA-Z.?:3%]{1,2}|[ -~]|ä){0,12}",
        text in "([0-9]{1,4}|[-:/T ]|Nov|Mon|[+]0000|PM|\\PC){0,30}",
        read_ms: i64,
    ) {
        if let Ok(format) = Format::parse(&format) {
            let mut stamper = Stamper::new(Some(Arc::new(format)), berlin());
            let first = stamper.stamp(&text, read_ms);
            prop_assert_eq!(stamper.stamp(&text, read_ms).unix_ms, first.unix_ms);
        }
    }
}
