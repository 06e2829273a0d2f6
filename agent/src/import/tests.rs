#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::config::{self, Settings};
use crate::stamp::Format;

fn imported(json: &Json) -> Imported {
    import("x.json", &json.to_string())
        .map_err(|problems| problems.render(false))
        .unwrap()
}

/// What the agent makes of what was imported.
fn settings(imported: &Imported) -> Settings {
    config::load_text("x.toml", &imported.toml)
        .map_err(|problems| format!("{}\n{}", problems.render(false), imported.toml))
        .unwrap()
}

fn files(list: &Json) -> Imported {
    imported(&json!({"logs": {"logs_collected": {"files": {"collect_list": list}}}}))
}

fn file(entry: &Json) -> Imported {
    files(&json!([entry]))
}

fn collected(metrics_collected: &Json) -> Imported {
    imported(&json!({
        "metrics": {"metrics_collected": metrics_collected},
        "logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/a"}]}}}
    }))
}

/// Paths of what was not carried over, without what they all begin with.
fn lost(imported: &Imported) -> Vec<&str> {
    let lost = imported.findings.iter().filter(|finding| !finding.carried);
    lost.map(|finding| {
        let path = finding.path.as_str();
        let path = path
            .strip_prefix("logs.logs_collected.files.collect_list")
            .unwrap_or(path);
        path.strip_prefix("metrics.metrics_collected.")
            .unwrap_or(path)
    })
    .collect()
}

fn said(imported: &Imported) -> String {
    let said = imported.findings.iter();
    said.map(|finding| {
        format!(
            "{}: {}: {}\n",
            finding.word(),
            finding.path,
            finding.message
        )
    })
    .collect()
}

#[test]
fn a_file_without_names_goes_where_it_went() {
    let imported = files(&json!([
        {"file_path": "/var/log/syslog"},
        {"file_path": "/tmp/TestLogFile.log.2017-07-11-14"},
        {"file_path": "/a.b/c"},
    ]));
    assert_eq!(imported.findings, []);
    let settings = settings(&imported);
    let names: Vec<String> = settings
        .files
        .iter()
        .map(|file| format!("{} {}", file.group, file.stream))
        .collect();
    assert_eq!(
        names,
        [
            "/var/log/syslog {instance_id}",
            "/tmp/TestLogFile.log {instance_id}",
            "/a.b/c {instance_id}"
        ]
    );
    // Lines that begin with white space go on with the one before.
    assert_eq!(settings.files[0].rules, {
        let text = "[[file]]\npath = \"/a\"\nmultiline = { start = '^\\S' }\n";
        config::load_text("", text).unwrap().files[0].rules.clone()
    });
}

#[test]
fn placeholders_are_this_agents_and_braces_are_themselves() {
    let imported = file(&json!({
        "file_path": "/a", "log_group_name": "g/{instance_id}",
        "log_stream_name": "{local_hostname}_{ip_address}_{x}",
    }));
    assert_eq!(imported.findings, []);
    let first = &settings(&imported).files[0];
    assert_eq!(first.group.to_string(), "g/{instance_id}");
    assert_eq!(first.stream.to_string(), "{hostname}_{ip}_{{x}}");

    let imported = file(&json!({"file_path": "/a", "log_stream_name": "{hostname}/{date}"}));
    assert_eq!(lost(&imported), ["[0].log_stream_name"]);
    assert!(
        said(&imported).contains("DATE stands there")
            && said(&imported).contains("host's own name")
    );
    assert_eq!(
        settings(&imported).files[0].stream.to_string(),
        "{hostname}/DATE"
    );

    let imported = imported_with_region();
    assert_eq!(imported.findings, []);
    assert_eq!(
        settings(&imported).files[0].group.to_string(),
        "eu-west-1/x"
    );
}

fn imported_with_region() -> Imported {
    imported(&json!({
        "agent": {"region": "eu-west-1", "debug": true},
        "logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/a", "log_group_name": "{aws_region}/x"}]}}},
    }))
}

#[test]
fn variables_of_the_environment_are_named() {
    let imported = file(
        &json!({"file_path": "/a", "log_group_name": "${LOG_GROUP}/x", "log_stream_name": "${HOST}-{instance_id}"}),
    );
    assert_eq!(
        lost(&imported),
        ["[0].log_group_name", "[0].log_stream_name"]
    );
    let first = &settings(&imported).files[0];
    assert_eq!(first.group.to_string(), "LOG_GROUP/x");
    assert_eq!(first.stream.to_string(), "HOST-{instance_id}");
}

#[test]
fn times_and_events_of_several_lines_are_found_as_before() {
    let imported = file(&json!({
        "file_path": "/a", "timestamp_format": "%Y-%m-%d %H:%M:%S,%f", "timezone": "UTC",
        "multi_line_start_pattern": "{timestamp_format}",
    }));
    assert_eq!(imported.findings, []);
    let first = &settings(&imported).files[0];
    assert_eq!(
        first.format,
        Some(Format::parse("%Y-%m-%d %H:%M:%S,%f").unwrap())
    );
    assert_eq!(first.timezone, jiff::tz::TimeZone::UTC);
    assert!(
        imported
            .toml
            .contains(r"\d{4}-\s?\d{1,2}-\s?\d{1,2} \d{2}:\d{1,2}:\d{1,2},\d{1,9}")
    );

    // A brace that counts nothing is one, in Go's expressions.
    let imported = file(&json!({"file_path": "/a", "multi_line_start_pattern": "^{\"a{2}"}));
    assert_eq!(imported.findings, []);
    assert!(imported.toml.contains(r#"'^\{"a{2}'"#), "{}", imported.toml);

    let imported = file(&json!({
        "file_path": "/a", "timestamp_format": "%m/%d", "multi_line_start_pattern": "(",
    }));
    assert_eq!(
        lost(&imported),
        ["[0].timestamp_format", "[0].multi_line_start_pattern"]
    );
    assert!(said(&imported).contains("has no hour") && said(&imported).contains("unclosed group"));
}

#[test]
fn a_zone_that_is_named_is_said() {
    for (zone, lost_it, words) in [
        ("Local", false, ""),
        ("LOCAL", false, ""),
        ("UTC", false, ""),
        ("Europe/Berlin", true, "write timezone = \"Europe/Berlin\""),
        ("utc", true, "takes \"utc\" for the host's own zone"),
        ("CET-1CEST", true, "write the name of a zone"),
    ] {
        let imported = file(&json!({
            "file_path": "/a", "timestamp_format": "%Y-%m-%d %H:%M:%S", "timezone": zone,
        }));
        let expected = ["[0].timezone"];
        assert_eq!(lost(&imported), expected[usize::from(!lost_it)..], "{zone}");
        assert!(said(&imported).contains(words), "{}", said(&imported));
        // What is written means what it meant there.
        let own = settings(&imported).files[0].timezone.clone();
        assert_eq!(
            own == jiff::tz::TimeZone::UTC,
            zone == "UTC" || is_utc_here()
        );
    }
}

/// Whether this machine's own zone is UTC.
fn is_utc_here() -> bool {
    let text = "[[file]]\npath = \"/a\"\n";
    config::load_text("", text).unwrap().files[0].timezone == jiff::tz::TimeZone::UTC
}

#[test]
fn patterns_that_match_no_line_or_each_are_said() {
    let imported = files(&json!([
        {"file_path": "/a", "multi_line_start_pattern": "$^x"},
        {"file_path": "/b", "multi_line_start_pattern": ".*"},
        {"file_path": "/c", "multi_line_start_pattern": "^\\d{4}"},
        {"file_path": "/d", "filters": [
            {"type": "include", "expression": "x*"},
            {"type": "exclude", "expression": "a^"},
            {"type": "exclude", "expression": "."},
        ]},
        {"file_path": "/e", "filters": [{"type": "include", "expression": "b$a"}]},
    ]));
    assert_eq!(lost(&imported), [""; 0], "they mean what they meant there");
    let said: Vec<String> = imported
        .findings
        .iter()
        .map(|finding| {
            let path = finding.path.rsplit_once("collect_list").unwrap().1;
            format!("{path}: {}", finding.message.split(',').next().unwrap())
        })
        .collect();
    assert_eq!(
        said,
        [
            "[0].multi_line_start_pattern: it can match no line at all",
            "[1].multi_line_start_pattern: it matches every line",
            "[3].filters[0]: it matches every line",
            "[3].filters[1]: it can match no line at all",
            "[3].filters[2]: it matches every line",
            "[4].filters[0]: it can match no line at all",
        ]
    );
    settings(&imported);
}

#[test]
fn nothing_that_is_left_is_said_here_and_not_by_check_alone() {
    for (json, place) in [
        (json!({"agent": {"region": "eu-west-1"}}), "agent"),
        (json!({"logs": {"logs_collected": {}}}), "logs"),
        (
            json!({"logs": {"logs_collected": {"files": {"collect_list": []}}}}),
            "logs",
        ),
        (
            json!({"metrics": {"metrics_collected": {"statsd": {}}}}),
            "metrics",
        ),
        (
            json!({"logs": {"logs_collected": {"journald": {}}}, "metrics": {"metrics_collected": {}}}),
            "logs",
        ),
    ] {
        let imported = imported(&json);
        let last = imported.findings.last().unwrap();
        assert_eq!((&*last.path, last.carried), (place, false), "{json}");
        assert!(last.message.contains("nothing to do"), "{}", last.message);
        assert!(config::load_text("", &imported.toml).is_err());
        assert!(!imported.is_whole());
    }
}

#[test]
fn what_two_entries_mean_is_sent_once_and_that_is_said() {
    let imported = files(&json!([
        {"file_path": "/var/log/*.log", "publish_multi_logs": true, "log_group_name": "g"},
        {"file_path": "/var/log/app.log", "log_group_name": "h"},
        {"file_path": "/srv/x.txt", "log_group_name": "h"},
        {"file_path": "/srv/*.txt", "publish_multi_logs": true, "log_group_name": "g"},
    ]));
    let said = said(&imported);
    for words in [
        "[1].file_path: logs.logs_collected.files.collect_list[0] names /var/log/*.log",
        "[3].file_path: logs.logs_collected.files.collect_list[2] names /srv/x.txt",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(said.matches(" names ").count(), 2, "{said}");
}

#[test]
fn more_requests_at_a_time_than_there_may_be_are_said() {
    for (workers, said_it) in [(1, false), (64, false), (65, true), (0, true)] {
        let imported = imported(&json!({
            "logs": {"concurrency": workers, "logs_collected": {"files": {"collect_list": [{"file_path": "/a"}]}}}
        }));
        assert_eq!(
            said(&imported).contains("requests at a time"),
            said_it,
            "{workers}"
        );
    }
}

#[test]
fn classes_are_carried() {
    let imported = files(&json!([
        {"file_path": "/a", "log_group_name": "a", "log_group_class": "ESSENTIALS"},
        {"file_path": "/b", "log_group_name": "b", "log_group_class": "INFREQUENT_ACCESS"},
        {"file_path": "/c", "log_group_name": "c", "log_group_class": "STANDARD"},
        {"file_path": "/d", "log_group_name": "d", "log_group_class": "DELIVERY"},
        {"file_path": "/e", "log_group_name": "e", "log_group_class": "GOLD"},
        {"file_path": "/f", "log_group_name": "a", "log_group_class": "INFREQUENT_ACCESS"},
    ]));
    assert_eq!(
        lost(&imported),
        [
            "[3].log_group_class",
            "[4].log_group_class",
            "[5].log_group_class"
        ]
    );
    use crate::target::GroupClass::{Essentials, InfrequentAccess, Standard};
    let classes: Vec<_> = settings(&imported)
        .files
        .iter()
        .map(|file| file.class)
        .collect();
    assert_eq!(
        classes,
        [
            Essentials,
            InfrequentAccess,
            Standard,
            Standard,
            Standard,
            Essentials
        ]
    );
}

#[test]
fn what_is_imported_is_not_obeyed_by_a_terminal() {
    let odd = "g\u{202e}\x1b[2J\u{9b}2J\u{7f}";
    let path = "/a\u{202e}\u{200b}b\u{e0041}";
    let imported = file(&json!({
        "file_path": path, "log_stream_name": odd, "multi_line_start_pattern": odd, odd: odd,
    }));
    let harmful = |line: &str| line.contains(diagnostics::terminal::is_harmful);
    assert!(!imported.toml.lines().any(harmful), "{:?}", imported.toml);
    let files = settings(&imported).files;
    assert_eq!(files[0].set.patterns, [path]);
}

#[test]
fn filters_are_carried_as_far_as_they_mean_the_same() {
    let imported = file(&json!({"file_path": "/a", "filters": [
        {"type": "exclude", "expression": "health"},
        {"type": "include", "expression": "WARN|ERROR"},
        {"type": "exclude", "expression": "("},
        {"type": "include", "expression": "app"},
        {"type": "exclude", "expression": "ping"},
    ]}));
    assert_eq!(lost(&imported), ["[0].filters[3]", "[0].filters[2]"]);
    assert!(
        imported.toml.contains("include_lines = [\"WARN|ERROR\"]"),
        "{}",
        imported.toml
    );
    assert!(
        imported
            .toml
            .contains("exclude_lines = [\"health\", \"ping\"]"),
        "{}",
        imported.toml
    );
    settings(&imported);
}

#[test]
fn a_file_is_sent_once_and_a_group_made_once() {
    let imported = files(&json!([
        {"file_path": "/a", "log_group_name": "g", "retention_in_days": 30},
        {"file_path": "/a", "log_group_name": "h"},
        {"file_path": "/b", "log_group_name": "g", "retention_in_days": 7, "log_group_class": "INFREQUENT_ACCESS"},
        {"file_path": "/c", "log_group_name": "g", "retention_in_days": -1},
        {"file_path": "/d", "log_group_name": "k", "retention_in_days": 6},
    ]));
    assert_eq!(
        lost(&imported),
        [
            "[1].file_path",
            "[2].retention_in_days",
            "[2].log_group_class",
            "[3].retention_in_days",
            "[4].retention_in_days"
        ]
    );
    let files = settings(&imported).files;
    let kept: Vec<Option<u32>> = files.iter().map(|file| file.retention_days).collect();
    assert_eq!(kept, [Some(30), Some(30), Some(30), None]);
    assert!(said(&imported).contains("the next one up is 7"));
}

#[test]
fn what_one_file_says_of_a_group_need_not_be_said_again() {
    let imported = files(&json!([
        {"file_path": "/a", "log_group_name": "g", "retention_in_days": 30},
        {"file_path": "/b", "log_group_name": "g"},
    ]));
    assert_eq!(lost(&imported), Vec::<&str>::new());
    let files = settings(&imported).files;
    assert_eq!(files[1].retention_days, Some(30));
}

#[test]
fn which_files_is_carried_and_where_it_is_not_the_same_that_is_said() {
    let imported = file(&json!({"file_path": "/var/log/**.log", "blacklist": r"debug|\.gz$"}));
    assert_eq!(lost(&imported), ["[0].log_group_name"]);
    assert!(said(&imported).contains("every file that matches is followed"));
    assert!(said(&imported).contains("each file has a group of its own"));
    let first = &settings(&imported).files[0];
    assert_eq!(first.set.patterns, ["/var/log/**/*.log"]);
    assert_eq!(first.set.exclude, ["*debug*", "*.gz"]);

    let imported = file(
        &json!({"file_path": "/a/*.log", "publish_multi_logs": true, "log_group_name": "g", "blacklist": "(a|b)+"}),
    );
    assert_eq!(lost(&imported), ["[0].blacklist"]);
    assert_eq!(
        settings(&imported).files[0].stream.to_string(),
        "{instance_id}_{file}"
    );

    let imported = file(&json!({"file_path": "c:\\logs\\a.log"}));
    assert_eq!(lost(&imported), ["[0].file_path", "logs"]);
    assert!(!imported.toml.contains("\n[[file]]"));
}

#[test]
fn what_this_agent_does_not_do_is_named() {
    let imported = imported(&json!({
        "agent": {"credentials": {"role_arn": "arn:aws:iam::1:role/x"}, "run_as_user": "cwagent", "service.name": "s"},
        "logs": {
            "log_stream_name": "s", "force_flush_interval": 60, "concurrency": 100, "novel": 1,
            "metrics_collected": {"emf": {}},
            "logs_collected": {
                "windows_events": {"collect_list": []},
                "files": {"collect_list": [{"file_path": "/a", "auto_removal": true, "encoding": "utf-16", "trim_timestamp": false}]}
            }
        },
        "traces": {"traces_collected": {"xray": {}}},
        "csm": {}
    }));
    assert_eq!(
        lost(&imported),
        [
            "agent.credentials",
            "agent.\"service.name\"",
            "logs.metrics_collected",
            "[0].encoding",
            "[0].auto_removal",
            "logs.logs_collected.windows_events",
            "logs.novel",
            "traces",
            "csm"
        ]
    );
    let settings = settings(&imported);
    assert_eq!(settings.ship.flush_interval, Duration::from_secs(30));
    assert_eq!(settings.limits.in_flight, 64);
    // Each is a comment, too.
    for finding in &imported.findings {
        let name = finding
            .path
            .rsplit_once('.')
            .map_or(&*finding.path, |(_, name)| name);
        assert!(imported.toml.contains(name.trim_matches('"')), "{name}");
    }
}

#[test]
fn metrics_go_on_under_their_names() {
    let imported = collected(&json!({
        "cpu": {"measurement": ["usage_idle", "cpu_usage_iowait", {"name": "cpu_usage_user", "unit": "Percent"}], "resources": ["*"], "totalcpu": true},
        "disk": {"measurement": ["used_percent"], "resources": ["*"], "ignore_file_system_types": ["tmpfs", "fuse.sshfs"]},
        "diskio": {"measurement": ["reads"]},
        "swap": {"measurement": ["swap_used_percent"]},
    }));
    assert_eq!(imported.findings, []);
    let metrics = settings(&imported).metrics.unwrap();
    for name in [
        "cpu_usage_idle",
        "cpu_usage_iowait",
        "cpu_usage_user",
        "disk_used_percent",
        "diskio_reads",
        "swap_used_percent",
    ] {
        assert!(metrics.rules.wanted.has(name), "{name}");
    }
    assert!(!metrics.rules.wanted.has("cpu_usage_system"));
    assert!(metrics.collect.per_core);
    assert_eq!(metrics.interval, Duration::from_secs(60));
    // Without append_dimensions, that agent says the host's name, and no rollups.
    assert_eq!(metrics.dimensions, ["host"]);
    assert_eq!(metrics.rollups, [[""; 0]; 0]);
}

#[test]
fn metrics_that_are_not_there_and_what_is_said_of_some_are_named() {
    let imported = collected(&json!({
        "cpu": {"measurement": ["time_active", {"name": "usage_idle", "rename": "IDLE", "unit": "None"}, {"rename": "x"}], "append_dimensions": {"d": "1"}},
        "disk": {"measurement": ["used"], "drop_device": true, "ignore_file_system_types": ["ext4"], "resources": ["/"]},
        "mem": {"resources": []},
        "statsd": {},
        "Memory": {"measurement": ["x"]},
    }));
    assert_eq!(
        lost(&imported),
        [
            "cpu.measurement[0]",
            "cpu.measurement[1].rename",
            "cpu.measurement[1].unit",
            "cpu.measurement[2]",
            "cpu.append_dimensions",
            "mem",
            "mem.resources",
            "disk.ignore_file_system_types",
            "disk.drop_device",
            "statsd",
            "Memory"
        ]
    );
    assert!(said(&imported).contains("not only / but every file system"));
}

#[test]
fn load_averages_go_by_other_names() {
    let imported =
        collected(&json!({"load": {"measurement": ["load_average_1m", "load_average_15m"]}}));
    assert_eq!(
        lost(&imported),
        ["load.measurement[0]", "load.measurement[1]"]
    );
    assert!(said(&imported).contains("system_load1 goes by that name"));
    let wanted = settings(&imported).metrics.unwrap().rules.wanted;
    assert!(
        wanted.has("system_load1") && wanted.has("system_load15") && !wanted.has("system_load5")
    );
}

#[test]
fn one_interval_is_the_shortest_that_there_is() {
    let of = |seconds: i64| {
        let imported = imported(&json!({
            "agent": {"metrics_collection_interval": 300},
            "metrics": {"metrics_collected": {
                "cpu": {"measurement": ["usage_idle"], "metrics_collection_interval": seconds},
                "mem": {"measurement": ["used"]},
            }},
            "logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/a"}]}}}
        }));
        let interval = settings(&imported).metrics.unwrap().interval;
        (interval.as_secs(), said(&imported))
    };
    let (interval, said) = of(10);
    assert_eq!(interval, 10);
    assert!(
        said.contains("agent.metrics_collection_interval: measured every 10s instead of 300s"),
        "{said}"
    );
    let (interval, said) = of(45);
    assert_eq!(interval, 30);
    assert!(
        said.contains(
            "metrics_collected.cpu.metrics_collection_interval: measured every 30s instead of 45s"
        ),
        "{said}"
    );
    assert_eq!(of(90).0, 60);
    assert_eq!(of(300), (300, String::new()));
}

#[test]
fn dimensions_and_rollups_are_those_that_an_instance_has() {
    let imported = imported(&json!({
        "metrics": {
            "namespace": "My App",
            "append_dimensions": {"InstanceId": "${aws:InstanceId}", "ImageId": "x", "team": "a"},
            "aggregation_dimensions": [["InstanceId"], ["InstanceId", "cpu"], ["d1"], []],
            "endpoint_override": "monitoring.eu-west-1.amazonaws.com",
            "force_flush_interval": 30,
            "metrics_collected": {"cpu": {"measurement": ["usage_idle"]}},
        },
        "logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/a"}]}}, "endpoint_override": "https://x"}
    }));
    assert_eq!(
        lost(&imported),
        [
            "metrics.append_dimensions.ImageId",
            "metrics.append_dimensions.team",
            "metrics.aggregation_dimensions[2]"
        ]
    );
    let settings = settings(&imported);
    assert_eq!(settings.aws.endpoint_url.as_deref(), Some("https://x"));
    let metrics = settings.metrics.unwrap();
    assert_eq!(metrics.namespace, "My App");
    assert_eq!(metrics.dimensions, ["InstanceId"]);
    let rollups: Vec<usize> = metrics.rollups.iter().map(Vec::len).collect();
    assert_eq!(rollups, [1, 2, 0]);
    assert_eq!(
        metrics.endpoint_url.as_deref(),
        Some("https://monitoring.eu-west-1.amazonaws.com")
    );
}

#[test]
fn what_is_of_the_wrong_type_is_shown_where_it_stands() {
    let text = r#"{"agent": {"region": 7}, "logs": {"logs_collected": {"files": {"collect_list": [{"file_path": ["/a"]}, 8]}}}}"#;
    let problems = import("x.json", text).unwrap_err();
    let columns: Vec<_> = problems
        .iter()
        .map(|it| it.to_record().column.unwrap())
        .collect();
    assert_eq!(columns, [22, 95, 104]);
    let shown = problems.render(false);
    assert!(
        shown.contains("collect_list[0].file_path must be a string"),
        "{shown}"
    );
    for text in ["[]", "7", "{}", "{\"widgets\": []}"] {
        assert_eq!(import("x.json", text).unwrap_err().count(), 1, "{text}");
    }
}

#[test]
fn nothing_in_the_json_can_end_a_comment_or_a_string() {
    let odd = "a\n[[file]]\npath = \"/etc/shadow\"\n'''\"\"\"#";
    for (path, count) in [("/a".to_owned(), 1), (format!("/{odd}"), 0)] {
        let imported = file(&json!({
            "file_path": path, "log_group_name": odd, "log_stream_name": odd, "encoding": odd,
            "multi_line_start_pattern": odd, "blacklist": odd, odd: odd,
        }));
        let files = config::load_text("", &imported.toml).map(|it| it.files.len());
        assert_eq!(files.unwrap_or_default(), count, "{}", imported.toml);
        let mut lines = imported.toml.lines();
        assert!(!lines.any(|line| line.contains("shadow") && line.starts_with("path")));
    }
}

/// Any JSON, with the names that matter.
fn any_json() -> impl Strategy<Value = Json> {
    let name = prop_oneof![
        8 => prop::sample::select(vec![
            "agent", "metrics", "logs", "region", "metrics_collected", "logs_collected", "files", "collect_list", "file_path",
            "log_group_name", "log_stream_name", "timestamp_format", "multi_line_start_pattern", "filters", "type", "expression",
            "retention_in_days", "measurement", "name", "rename", "unit", "cpu", "disk", "resources", "append_dimensions",
            "aggregation_dimensions", "metrics_collection_interval", "blacklist", "encoding", "force_flush_interval",
        ]).prop_map(str::to_owned),
        1 => ".{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        prop::sample::select(vec![
            "/var/log/*.log",
            "/a",
            "g",
            "{instance_id}",
            "%b %d %H:%M:%S",
            "^\\d",
            "include",
            "exclude",
            "usage_idle",
            "*",
            "é",
            "",
        ])
        .prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(7, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::hash_map(name.clone(), inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "/var/log/*.log", "/var/log/a", "/var/**.log", "g", "{instance_id}", "{date}", "%b %d %H:%M:%S", "%T", r"^\d", "(", r"\.gz$", "UTC",
            "{timestamp_format}", "aws/x", "include", "exclude", "utf-8", "INFREQUENT_ACCESS",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// A configuration of the right shape, with odd values.
fn config() -> impl Strategy<Value = Json> {
    let entry = (
        text(),
        prop::collection::hash_map(
            prop::sample::select(vec![
                "log_group_name",
                "log_stream_name",
                "timestamp_format",
                "multi_line_start_pattern",
                "blacklist",
                "timezone",
                "encoding",
                "log_group_class",
            ]),
            text(),
            0..6,
        ),
        prop::option::of(any::<i16>()),
        prop::option::of(any::<bool>()),
        prop::collection::vec((text(), text()), 0..3),
    )
        .prop_map(|(path, texts, days, multi, filters)| {
            let mut entry = json!({"file_path": path});
            for (name, value) in texts {
                entry[name] = json!(value);
            }
            if let Some(days) = days {
                entry["retention_in_days"] = json!(days);
            }
            if let Some(multi) = multi {
                entry["publish_multi_logs"] = json!(multi);
            }
            let filters = filters
                .iter()
                .map(|(kind, it)| json!({"type": kind, "expression": it}));
            entry["filters"] = filters.collect();
            entry
        });
    let family = (
        prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec!["usage_idle", "used_percent", "free", "cpu_usage_user"])
                    .prop_map(Json::from),
                text().prop_map(Json::from),
                (text(), text()).prop_map(|(name, unit)| json!({"name": name, "unit": unit})),
            ],
            0..4,
        ),
        prop::option::of(any::<i32>()),
    )
        .prop_map(|(measurement, interval)| match interval {
            Some(interval) => {
                json!({"measurement": measurement, "metrics_collection_interval": interval})
            }
            None => json!({"measurement": measurement}),
        });
    let families = prop::collection::hash_map(
        prop::sample::select(vec!["cpu", "mem", "disk", "swap", "net", "other"]),
        family,
        0..4,
    );
    (
        prop::collection::vec(entry, 0..5),
        families,
        text(),
        prop::option::of(any::<i16>()),
        prop::collection::vec(prop::collection::vec(text(), 0..3), 0..3),
    )
        .prop_map(|(list, families, odd, number, sets)| {
            json!({
                "agent": {"region": odd.clone(), "metrics_collection_interval": number.unwrap_or(60)},
                "metrics": {"namespace": odd.clone(), "metrics_collected": families, "aggregation_dimensions": sets, "endpoint_override": odd.clone()},
                "logs": {
                    "logs_collected": {"files": {"collect_list": list}},
                    "log_stream_name": odd, "force_flush_interval": number.unwrap_or(5), "concurrency": number.unwrap_or(1),
                },
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_json_is_too_odd(value in any_json()) {
        if let Ok(imported) = import("x.json", &value.to_string()) {
            prop_assert!(imported.toml.starts_with("# Made of x.json"));
        }
    }

    #[test]
    fn what_is_written_is_a_configuration_of_this_agent(value in config()) {
        let imported = import("x.json", &value.to_string()).map_err(|it| it.render(false)).unwrap();
        match config::load_text("", &imported.toml) {
            Ok(_) => {}
            // Nothing was left to do.
            Err(problems) => prop_assert!(
                !imported.toml.contains("\n[[file]]") && problems.count() == 1,
                "{}\n{}", problems.render(false), imported.toml
            ),
        }
    }
}
