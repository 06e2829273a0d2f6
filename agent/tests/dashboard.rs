//! `baker-agent dashboard`: what it writes, word for word, and that CloudWatch, with its rules of a dashboard's body, takes it.
//!
//! Each directory in `tests/dashboards` is a case. To accept new words: `BAKER_AGENT_ACCEPT=1 cargo test -p baker-agent --test dashboard`, then read the
//! diff.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};

use baker_agent::aws::{Access, FailureKind, Http, Options, Proxy};
use lab::endpoint::{Config, Endpoint, Kind, Rule, Script, When};
use serde_json::{Value as Json, json};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dashboards")
}

/// The command on the case's configuration.
fn dashboard(arguments: &[&str], endpoint: Option<&Endpoint>) -> Output {
    let mut command = agent(endpoint);
    command
        .args(["dashboard", "--config", "app/baker-agent.toml"])
        .args(arguments)
        .current_dir(cases());
    command.output().unwrap()
}

/// The agent, with credentials of its own and nothing else from this machine.
fn agent(endpoint: Option<&Endpoint>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baker-agent"));
    command
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
    if let Some(endpoint) = endpoint {
        command.env("AWS_ENDPOINT_URL", endpoint.url());
    }
    command
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn golden(file: &str, found: &str) {
    let path = cases().join(file);
    if std::env::var_os("BAKER_AGENT_ACCEPT").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{file} says something else now.\n--- expected\n{expected}\n--- found\n{found}"
    );
}

#[test]
fn a_groups_dashboard_is_what_it_was() {
    let output = dashboard(&["--group", "web"], None);
    let said = text(output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    golden("app/group.json", &text(output.stdout));
    golden("app/group.notes", &said);
}

#[test]
fn an_instances_dashboard_is_what_it_was() {
    let output = dashboard(
        &["--instance", "i-0123456789abcdef0", "--output", "json"],
        None,
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(output.stderr), "");
    golden("app/instance.json", &text(output.stdout));
}

#[test]
fn cloudwatch_takes_the_dashboard_as_it_is_written_and_finds_nothing_to_say() {
    let endpoint = Endpoint::start(Config::default()).unwrap();
    let written = dashboard(&["--group", "web"], None);
    let written: Json = serde_json::from_slice(&written.stdout).unwrap();
    let arguments = ["--group", "web", "--put", "web-1", "--output", "json"];
    // Twice: the second time it is replaced.
    for _ in 0..2 {
        let output = dashboard(&arguments, Some(&endpoint));
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let outcome: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(outcome["remarks"], json!([]));
        assert_eq!(
            (&outcome["put"], &outcome["group"]),
            (&json!("web-1"), &json!("web"))
        );
        let kept: Json = serde_json::from_str(&endpoint.dashboard("web-1").unwrap()).unwrap();
        assert_eq!(kept, written);
    }
    let output = dashboard(&["--instance", "i-1", "--put", "one"], Some(&endpoint));
    assert!(text(output.stdout).starts_with("put the dashboard one ("));
    assert!(
        endpoint
            .dashboard("one")
            .unwrap()
            .contains("InstanceId=\\\"i-1\\\"")
    );
}

#[test]
fn what_cloudwatch_refuses_is_told_with_what_to_do() {
    let endpoint = Endpoint::start(Config::default()).unwrap();
    endpoint.set_faults(Script {
        seed: 1,
        rules: vec![Rule {
            operation: None,
            when: When::Always,
            kind: Kind::AccessDenied,
        }],
    });
    let output = dashboard(&["--group", "web", "--put", "web"], Some(&endpoint));
    let said = text(output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(
        said.contains("allow cloudwatch:PutDashboard on web"),
        "{said}"
    );
    assert_eq!(text(output.stdout), "");
    assert_eq!(endpoint.dashboard("web"), None);
}

#[tokio::test]
async fn what_cloudwatch_says_of_a_body_is_told_at_its_place() {
    let endpoint = Endpoint::start(Config::default()).unwrap();
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-west-1"))
        .endpoint_url(endpoint.url())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .http_client(Http::new(None, &Proxy::Direct, 1).unwrap())
        .build();
    let metrics = Access::over(config, &Options::default())
        .metrics(None)
        .unwrap();
    let text = |properties: Json| {
        json!({"widgets": [{"type": "text", "properties": properties}]}).to_string()
    };

    let taken = metrics
        .put_dashboard("a", &text(json!({"markdown": "x", "colour": "red"})))
        .await;
    let [remark] = &taken.unwrap()[..] else {
        panic!("one remark");
    };
    assert_eq!(remark.path, "/widgets/0/properties");
    assert!(remark.message.contains("colour"), "{}", remark.message);
    assert!(endpoint.dashboard("a").is_some());

    let refused = metrics
        .put_dashboard("b", &text(json!({})))
        .await
        .unwrap_err();
    assert_eq!(refused.failure.kind, FailureKind::Invalid);
    assert_eq!(refused.remarks[0].path, "/widgets/0/properties");
    assert!(
        refused.remarks[0].message.contains("markdown"),
        "{refused:?}"
    );
    assert_eq!(endpoint.dashboard("b"), None);
}

#[test]
fn what_can_not_be_asked_for_is_refused_before_anything_is_sent() {
    for (arguments, why) in [
        (
            &["--group", "web", "--put", "a b"][..],
            "can't be a dashboard's name",
        ),
        (&["--group", "a'b"], "can't be searched for"),
        (
            &["--group", "a", "--instance", "i-1"],
            "cannot be used with",
        ),
    ] {
        let output = dashboard(arguments, None);
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

/// A process that ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// No agent takes so long to send what it has measured; it keeps a broken test from waiting for ever.
const LIMIT: Duration = Duration::from_secs(60);

fn await_data(endpoint: &Endpoint, names: &[&str]) -> BTreeSet<String> {
    let begun = Instant::now();
    loop {
        let data = endpoint.metric_data("CWAgent");
        let arrived: BTreeSet<String> = data.into_iter().map(|datum| datum.name).collect();
        if names.iter().all(|name| arrived.contains(*name)) {
            return arrived;
        }
        assert!(begun.elapsed() < LIMIT, "only {arrived:?} arrived");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The queries that draw a graph: its entries as GetMetricData takes them.
fn queries(graph: &Json) -> Vec<MetricDataQuery> {
    let period = i32::try_from(graph["period"].as_i64().unwrap()).unwrap();
    let entries = graph["metrics"].as_array().unwrap().iter().enumerate();
    entries
        .map(|(at, entry)| {
            let parts = entry.as_array().unwrap();
            let rendering = parts.last().unwrap();
            let text = |value: &Json| value.as_str().unwrap().to_owned();
            let id = rendering["id"]
                .as_str()
                .map_or(format!("q{at}"), str::to_owned);
            let query = MetricDataQuery::builder().id(id);
            if let Some(expression) = rendering["expression"].as_str() {
                return query
                    .expression(expression)
                    .label(text(&rendering["label"]))
                    .build();
            }
            let dimensions = parts[2..parts.len() - 1].chunks(2).map(|pair| {
                Dimension::builder()
                    .name(text(&pair[0]))
                    .value(text(&pair[1]))
                    .build()
            });
            let metric = Metric::builder()
                .namespace(text(&parts[0]))
                .metric_name(text(&parts[1]))
                .set_dimensions(Some(dimensions.collect()));
            let stat = MetricStat::builder()
                .metric(metric.build())
                .period(period)
                .stat(text(&rendering["stat"]));
            query
                .metric_stat(stat.build())
                .return_data(rendering["visible"] != json!(false))
                .build()
        })
        .collect()
}

/// A host's dashboard, drawn as CloudWatch does, shows what that host's agent has sent.
#[tokio::test]
async fn what_is_drawn_is_what_an_agent_has_sent() {
    let endpoint = Endpoint::start(Config::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("baker-agent.toml");
    let at = folder.path().display();
    fs::write(folder.path().join("a.log"), "an error\n").unwrap();
    fs::write(
        &config,
        format!(
            "[agent]\nstate_dir = \"{at}\"\nregion = \"eu-west-1\"\ninstance_id = \"m-1\"\n\
             [metrics]\ninterval = \"1s\"\n\
             collect = [\"cpu\", \"mem\", \"swap\", \"disk\", \"diskio\", \"net\", \"netstat\", \"processes\", \"load\", \"agent\"]\n\
             [[file]]\npath = \"{at}/a.log\"\ngroup = \"app\"\n"
        ),
    )
    .unwrap();
    let process = agent(Some(&endpoint))
        .arg("run")
        .arg("--config")
        .arg(&config)
        .stderr(Stdio::null())
        .spawn();
    let _running = Running(process.unwrap());
    let names = [
        "cpu_usage_active",
        "mem_used_percent",
        "baker_agent_lines_shipped",
        "baker_agent_cpu",
    ];
    let arrived = await_data(&endpoint, &names);

    let written = agent(None)
        .args(["dashboard", "--instance", "m-1", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let body: Json = serde_json::from_slice(&written.stdout).unwrap();
    let client = aws_sdk_cloudwatch::Client::from_conf(
        aws_sdk_cloudwatch::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-west-1"))
            .endpoint_url(endpoint.url())
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .build(),
    );
    let now = jiff::Timestamp::now().as_second();
    let widgets = body["widgets"].as_array().unwrap().iter();
    let graphs = widgets.filter(|widget| widget["type"] == "metric");
    let mut drawn = 0;
    for graph in graphs.map(|widget| &widget["properties"]) {
        let answer = client
            .get_metric_data()
            .start_time(DateTime::from_secs(now - 600))
            .end_time(DateTime::from_secs(now + 60))
            .set_metric_data_queries(Some(queries(graph)))
            .send()
            .await
            .unwrap();
        let results = answer.metric_data_results();
        let lines = results.iter().filter(|line| !line.values().is_empty());
        let text = graph.to_string();
        let sent = arrived
            .iter()
            .filter(|name| text.contains(&format!("MetricName=\\\"{name}\\\"")));
        // What a machine does not have (a disk, an interface) is not sent, and so not drawn.
        assert!(
            lines.clone().count() >= sent.count(),
            "{graph}\n{results:?}"
        );
        for line in lines {
            drawn += 1;
            let label = line.label().unwrap();
            assert!(!label.contains('$'), "{label}");
            assert!(line.values().iter().all(|value| *value >= 0.0), "{line:?}");
        }
    }
    assert!(drawn >= 12, "{drawn}");
}
