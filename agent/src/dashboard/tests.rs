#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde_json::Value as Json;

use super::*;
use crate::derive::metrics;
use crate::metering::{self, pack};
use crate::names::{Kind, Template};
use crate::spool::{Reading, Scope};
use crate::target::GroupClass;

/// A metric as CloudWatch knows it.
#[derive(Debug, PartialEq)]
struct Stored {
    name: String,
    dimensions: Vec<(String, String)>,
}

fn settings(toml: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("baker-agent.toml");
    std::fs::write(&path, toml).unwrap();
    crate::config::load(&path)
        .map_err(|problems| problems.render(false))
        .unwrap()
}

/// The configuration that is shipped.
fn shipped() -> Settings {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("baker-agent.toml");
    settings(&std::fs::read_to_string(path).unwrap())
}

fn everything() -> Settings {
    settings(
        "[metrics]\ncollect = [\"cpu\", \"mem\", \"swap\", \"disk\", \"diskio\", \"net\", \"netstat\", \"processes\", \"load\", \"agent\"]\n\
         per_core = true\n[[file]]\npath = \"/var/log/syslog\"\ngroup = \"g\"\n",
    )
}

fn group() -> Subject {
    Subject::Group("web".into())
}

fn instance() -> Subject {
    Subject::Instance("i-1".into())
}

fn own_names() -> impl Iterator<Item = &'static str> {
    [
        "baker_agent_oldest_unshipped_age",
        "baker_agent_lines_shipped",
        "baker_agent_bytes_shipped",
        "baker_agent_retries",
        "baker_agent_bytes_rejected",
        "baker_agent_bytes_lost",
    ]
    .into_iter()
}

/// Where a host is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// In the Auto Scaling group `web`.
    Group,
    Ec2,
    Elsewhere,
}

/// What a host of that configuration sends.
fn sent(settings: &metering::Settings, place: Place, id: &str, group: &str) -> Vec<Stored> {
    let value = |label: &str| match label {
        "cpu" => "cpu-total".to_owned(),
        label => format!("a {label}"),
    };
    let series = |name: &'static str, labels: &[&'static str]| crate::spool::Series {
        name: name.into(),
        unit: "None".into(),
        labels: labels
            .iter()
            .map(|label| ((*label).into(), value(label).into()))
            .collect(),
    };
    let wanted = &settings.rules.wanted;
    let derived = metrics().filter(|metric| wanted.has(metric.name));
    let mut values: Vec<_> = derived
        .map(|metric| (Arc::new(series(metric.name, metric.labels)), 1.0))
        .collect();
    if wanted.families().has(crate::sample::Family::Agent) {
        values.extend(own_names().map(|name| (Arc::new(series(name, &[])), 1.0)));
    }
    let of_host = |name: &String| {
        let value = match name.as_str() {
            "InstanceId" => id,
            "AutoScalingGroupName" if place != Place::Group => return None,
            "AutoScalingGroupName" => group,
            "ImageId" | "InstanceType" if place == Place::Elsewhere => return None,
            _ => "x",
        };
        Some((name.clone(), value.to_owned()))
    };
    let reading = Reading {
        seq: 1,
        at_ms: 60_000,
        scope: Arc::new(Scope {
            namespace: "CWAgent".into(),
            dimensions: settings.dimensions.iter().filter_map(of_host).collect(),
            rollups: settings.rollups.clone(),
            resolution_s: 60,
        }),
        values,
    };
    let data = pack::data(&[Arc::new(reading)]);
    data.into_iter()
        .map(|datum| Stored {
            name: datum.series.name.to_string(),
            dimensions: datum.dimensions,
        })
        .collect()
}

static SEARCH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"SEARCH\('\{([^}]*)\} (.*)', '(\w+)', (\d+)\)").unwrap());
static TERM: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"(\w+)="([^"]*)""#).unwrap());

/// The metrics that a search finds: those of exactly its schema that have each of its terms.
fn found<'s>(expression: &str, namespace: &str, stored: &'s [Stored]) -> Vec<&'s Stored> {
    let parts = SEARCH.captures(expression).unwrap();
    let mut schema = parts[1].split(',').map(|name| name.trim_matches('"'));
    assert_eq!(schema.next(), Some(namespace), "{expression}");
    let schema: BTreeSet<&str> = schema.collect();
    let terms: Vec<(String, String)> = TERM
        .captures_iter(&parts[2])
        .map(|term| (term[1].to_owned(), term[2].to_owned()))
        .collect();
    let meant = |metric: &&Stored| {
        let names: BTreeSet<&str> = metric.dimensions.iter().map(|it| it.0.as_str()).collect();
        names == schema
            && terms.iter().all(|term| match term.0.as_str() {
                "MetricName" => term.1 == metric.name,
                _ => metric.dimensions.contains(term),
            })
    };
    stored.iter().filter(meant).collect()
}

fn of_type<'j>(dashboard: &'j Dashboard, kind: &str) -> Vec<&'j Json> {
    let widgets = dashboard.body["widgets"].as_array().unwrap().iter();
    let widgets = widgets.filter(|widget| widget["type"] == kind);
    widgets.map(|widget| &widget["properties"]).collect()
}

/// Names of metrics that are found by search, each once for each graph; the entries that are metrics must be there.
fn drawn(dashboard: &Dashboard, namespace: &str, stored: &[Stored]) -> Vec<String> {
    let mut names = Vec::new();
    for graph in of_type(dashboard, "metric") {
        for entry in graph["metrics"].as_array().unwrap() {
            let entry = entry.as_array().unwrap();
            if let [name_space, name, dimension, value, _] = &entry[..] {
                assert_eq!(name_space, namespace);
                let text = |part: &Json| part.as_str().unwrap().to_owned();
                let meant = Stored {
                    name: text(name),
                    dimensions: vec![(text(dimension), text(value))],
                };
                assert!(stored.contains(&meant), "{meant:?} is not sent");
                continue;
            }
            let expression = entry[0]["expression"].as_str().unwrap();
            if expression.contains("SEARCH") {
                let found = found(expression, namespace, stored);
                assert!(found.len() <= 1, "{expression} finds {found:?}");
                names.extend(found.iter().map(|metric| metric.name.clone()));
            }
        }
    }
    names
}

#[test]
fn every_line_finds_what_the_agents_send_and_nothing_else() {
    for settings in [shipped(), everything()] {
        let metrics = settings.metrics.as_ref().unwrap();
        for (subject, place) in [
            (group(), Place::Group),
            (instance(), Place::Group),
            (instance(), Place::Ec2),
            (instance(), Place::Elsewhere),
        ] {
            let dashboard = compose(&settings, &subject, "eu-west-1").unwrap();
            let mut stored = sent(metrics, place, "i-1", "web");
            // Another host of another group, which is none of the subject's.
            stored.extend(sent(metrics, Place::Group, "i-2", "db"));
            let drawn = drawn(&dashboard, &metrics.namespace, &stored);
            let known: BTreeSet<&String> = drawn.iter().collect();
            assert_eq!(known.len(), drawn.len(), "drawn twice: {drawn:?}");
            let graphs = of_type(&dashboard, "metric").len();
            assert!(graphs >= 8 && drawn.len() >= graphs, "{graphs} {drawn:?}");
            for name in ["cpu_usage_active", "mem_used_percent", "disk_used_percent"] {
                assert!(drawn.iter().any(|it| it == name), "{subject:?}: no {name}");
            }
        }
    }
}

#[test]
fn all_that_matters_is_on_it() {
    let dashboard = compose(&everything(), &group(), "eu-west-1").unwrap();
    assert_eq!(dashboard.notes, [""; 0]);
    let titles: Vec<&str> = of_type(&dashboard, "metric")
        .iter()
        .chain(&of_type(&dashboard, "log"))
        .map(|graph| graph["title"].as_str().unwrap())
        .collect();
    for title in [
        "CPU",
        "Memory in use",
        "Disk I/O",
        "Network",
        "Errors per minute",
        "Shipping delay: age of the oldest line that is not in CloudWatch",
        "Lines that were lost or rejected",
    ] {
        assert!(titles.contains(&title), "{title}: {titles:?}");
    }
}

#[test]
fn what_is_not_collected_is_not_drawn_and_said() {
    let few = settings(
        "[metrics]\ncollect = [\"cpu_usage_idle\"]\n[[file]]\npath = \"/a\"\ngroup = \"g\"\n",
    );
    let dashboard = compose(&few, &group(), "eu-west-1").unwrap();
    let graphs = of_type(&dashboard, "metric");
    assert_eq!(graphs.len(), 1);
    // What is not idle is in use.
    let first = graphs[0]["metrics"][0][0]["expression"].as_str().unwrap();
    assert!(first.starts_with("100-SEARCH("), "{first}");
    let notes = dashboard.notes.join("\n");
    assert!(
        notes.contains("no memory") && notes.contains("\"agent\""),
        "{notes}"
    );
    assert!(!notes.contains("no CPU"), "{notes}");
}

#[test]
fn without_metrics_there_are_logs_and_without_both_nothing() {
    let logs = settings("[[file]]\npath = \"/a\"\ngroup = \"g\"\n");
    let dashboard = compose(&logs, &group(), "eu-west-1").unwrap();
    assert!(of_type(&dashboard, "metric").is_empty());
    assert_eq!(of_type(&dashboard, "log").len(), 2);
    assert!(dashboard.notes[0].contains("no [metrics]"));
    let nowhere = settings("[[file]]\npath = \"/a\"\ngroup = \"{hostname}\"\n");
    assert_eq!(
        compose(&nowhere, &group(), "eu-west-1"),
        Err(DashboardError::Empty)
    );
}

#[test]
fn a_group_that_no_metric_names_is_refused_with_what_to_do() {
    let with = |dimensions: &str, rollups: &str| {
        let toml = format!(
            "[metrics]\ndimensions = {dimensions}\nrollups = {rollups}\n[[file]]\npath = \"/a\"\n"
        );
        compose(&settings(&toml), &group(), "eu-west-1")
    };
    let error = with("[\"InstanceId\"]", "[]").unwrap_err();
    assert!(
        error.to_string().contains("AutoScalingGroupName")
            && error.to_string().contains("--instance"),
        "{error}"
    );
    // A rollup alone is the hosts together.
    let dashboard = with("[\"InstanceId\"]", "[[\"AutoScalingGroupName\"]]").unwrap();
    let text = dashboard.body.to_string();
    assert!(
        !text.contains("SEARCH") && text.contains("\"m1/60\""),
        "{text}"
    );
}

#[test]
fn a_name_that_a_search_can_not_hold_is_refused() {
    let odd = Subject::Group("a\"b".into());
    let error = compose(&shipped(), &odd, "eu-west-1").unwrap_err();
    assert!(
        matches!(error, DashboardError::Unsearchable { .. }),
        "{error}"
    );
    for name in ["web", "Web-1_x"] {
        assert_eq!(check_name(name), Ok(()));
    }
    for name in ["", "a b", "ä", &"x".repeat(256)] {
        assert!(check_name(name).is_err(), "{name}");
    }
}

#[test]
fn a_group_with_an_odd_name_is_found_by_the_value_that_is_sent() {
    let subject = Subject::Group("Größe".into());
    let body = compose(&shipped(), &subject, "r").unwrap().body.to_string();
    assert!(
        body.contains(r#"AutoScalingGroupName=\"Gr%C3%B6%C3%9Fe\""#),
        "{body}"
    );
    assert!(
        body.contains(r#""AutoScalingGroupName","Gr%C3%B6%C3%9Fe""#),
        "{body}"
    );
}

#[test]
fn a_namespace_with_other_characters_is_quoted() {
    let toml = "[metrics]\nnamespace = \"My App\"\n[[file]]\npath = \"/a\"\n";
    let body = compose(&settings(toml), &group(), "r").unwrap().body;
    assert!(body.to_string().contains(r#"{\"My App\","#), "{body}");
}

#[test]
fn rates_are_told_by_the_second_of_the_graphs_own_period() {
    for (interval, period) in [("10s", 60), ("60s", 60), ("5m", 300)] {
        let toml = format!(
            "[metrics]\ninterval = \"{interval}\"\ncollect = [\"diskio\"]\n[[file]]\npath = \"/a\"\n"
        );
        let dashboard = compose(&settings(&toml), &group(), "r").unwrap();
        let graph = of_type(&dashboard, "metric")[0];
        assert_eq!(graph["period"], period);
        let expression = graph["metrics"][0][0]["expression"].as_str().unwrap();
        assert!(
            expression.ends_with(&format!("'Sum', {period})/{period}")),
            "{expression}"
        );
    }
}

#[test]
fn widgets_lie_side_by_side_and_never_on_each_other() {
    let dashboard = compose(&everything(), &instance(), "eu-west-1").unwrap();
    let mut taken = BTreeSet::new();
    for widget in dashboard.body["widgets"].as_array().unwrap() {
        let number = |name: &str| widget[name].as_u64().unwrap();
        assert!(number("x") + number("width") <= 24);
        for x in number("x")..number("x") + number("width") {
            for y in number("y")..number("y") + number("height") {
                assert!(taken.insert((x, y)), "{widget}");
            }
        }
    }
}

fn queries(toml: &str, subject: &Subject) -> Vec<String> {
    let dashboard = compose(&settings(toml), subject, "eu-west-1").unwrap();
    of_type(&dashboard, "log")
        .iter()
        .map(|log| log["query"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn errors_of_an_access_log_are_its_statuses_and_of_others_their_words() {
    let toml = "[[file]]\npath = \"/var/log/nginx/access.log\"\nformat = \"nginx-access\"\ngroup = \"app\"\nstream = \"{instance_id}/access\"\n\
                [[file]]\npath = \"/var/log/syslog\"\nformat = \"syslog\"\ngroup = \"app\"\nstream = \"{instance_id}/syslog\"\n";
    let all = queries(toml, &group());
    assert!(all[0].starts_with("SOURCE 'app' | filter "), "{}", all[0]);
    assert!(all[0].ends_with("\n| stats count(*) as errors by bin(1m)"));
    assert!(all[0].contains(r#"@logStream like /^(.*\/access)$/ and (@message like /" 5\d\d "#));
    assert!(all[0].contains(r"@logStream like /^(.*\/syslog)$/ and (@message like /(?i)"));
    let one = queries(toml, &instance());
    assert!(one[0].contains(r"/^(i\-1\/access)$/"), "{}", one[0]);
}

#[test]
fn groups_are_named_as_far_as_they_are_known() {
    let toml = "[[file]]\npath = \"/a.log\"\ngroup = \"{asg}/app\"\n[[file]]\npath = \"/b.log\"\n[[file]]\npath = \"/c/*.log\"\n\
                [[file]]\npath = \"/d\"\ngroup = \"ia\"\nclass = \"infrequent_access\"\n";
    let dashboard = compose(&settings(toml), &group(), "r").unwrap();
    let logs = of_type(&dashboard, "log");
    let query = |at: usize| logs[at]["query"].as_str().unwrap();
    assert!(
        query(0).starts_with("SOURCE '/b.log' | SOURCE 'web/app' |"),
        "{}",
        query(0)
    );
    assert!(query(2).starts_with("SOURCE 'ia' |"), "{}", query(2));
    let notes = dashboard.notes.join("\n");
    assert!(notes.contains("no errors of /c/*.log"), "{notes}");
}

#[test]
fn a_file_without_a_stream_of_its_own_is_asked_for_both_kinds() {
    let file = |path: &str, format: &str| crate::config::FileSettings {
        set: crate::tail::FileSet {
            links: crate::tail::Links::default(),
            patterns: vec![path.into()],
            exclude: Vec::new(),
            start: crate::tail::Start::Beginning,
        },
        group: Template::parse(Kind::Group, "g").unwrap(),
        stream: Template::parse(Kind::Stream, "{instance_id}").unwrap(),
        retention_days: None,
        class: GroupClass::Standard,
        rules: crate::frame::Rules::default(),
        format: crate::stamp::Format::preset(format),
        timezone: jiff::tz::TimeZone::UTC,
        follows_host_zone: false,
    };
    let mut grid = Grid::new("r");
    let files = [file("/a", "nginx-access"), file("/b", "syslog")];
    logs::draw(&files, &group(), &mut grid, &mut Vec::new());
    let widgets = grid.into_widgets();
    let query = widgets[0]["properties"]["query"].as_str().unwrap();
    assert!(
        !query.contains("@logStream like") && query.contains(r"5\d\d"),
        "{query}"
    );
}
