//! The CloudWatch Logs endpoint by itself, over its wire: limits, faults, and what a harness asks. Needs no root and no lab.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::logs::{Config, Endpoint, Kind, Rule, Script, Settings, When};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value as Json, json};

/// No answer takes this long; it keeps a broken test from hanging.
const LIMIT: Duration = Duration::from_secs(20);

/// An HTTP client that shows exactly what came over the wire.
struct Client(TcpStream);

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(stream)
    }

    fn ask(&mut self, operation: &str, body: &Json) -> io::Result<Answer> {
        let head =
            format!("POST / HTTP/1.1\r\nHost: logs\r\nX-Amz-Target: Logs_20140328.{operation}\r\n");
        self.send(&head, body.to_string().as_bytes())
    }

    fn send(&mut self, head: &str, body: &[u8]) -> io::Result<Answer> {
        let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        self.0.write_all(head.as_bytes())?;
        self.0.write_all(body)?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap();
        let length = length.split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Answer {
            status: head[9..12].parse().unwrap(),
            head,
            body: String::from_utf8(body).unwrap(),
        })
    }
}

fn unsigned() -> Settings {
    Settings {
        credentials: None,
        ..Settings::default()
    }
}

fn start(settings: Settings) -> Endpoint {
    let config = Config {
        settings,
        ..Config::default()
    };
    Endpoint::start(config).unwrap()
}

/// An endpoint with the stream `s` in the group `g`, and a client of it.
fn with_stream(settings: Settings) -> (Endpoint, Client) {
    let endpoint = start(settings);
    let mut client = Client::new(endpoint.address());
    let group = client.ask("CreateLogGroup", &json!({"logGroupName": "g"}));
    assert_eq!(group.unwrap().status, 200);
    let names = json!({"logGroupName": "g", "logStreamName": "s"});
    assert_eq!(client.ask("CreateLogStream", &names).unwrap().status, 200);
    (endpoint, client)
}

fn batch(messages: &[&str]) -> Json {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let events = messages
        .iter()
        .map(|message| json!({"timestamp": now_ms, "message": message}));
    json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events.collect::<Vec<_>>()})
}

/// The endpoint after a PutLogEvents of `a` and `b` that met `kind`, and what the client saw.
fn put_under(kind: Kind) -> (Endpoint, io::Result<Answer>) {
    let (endpoint, mut client) = with_stream(unsigned());
    endpoint.set_faults(Script::put_log_events([(When::First(1), kind)]));
    let answer = client.ask("PutLogEvents", &batch(&["a", "b"]));
    (endpoint, answer)
}

fn is_reset(answer: io::Result<Answer>) -> bool {
    answer.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

#[test]
fn a_fault_takes_the_request_or_does_not_just_as_it_says() {
    for (taken, expected) in [(false, vec![]), (true, vec!["a", "b"])] {
        let (endpoint, answer) = put_under(Kind::Reset { taken });
        assert!(is_reset(answer));
        assert_eq!(endpoint.messages("g", "s"), expected);
        let (endpoint, answer) = put_under(Kind::Fail { status: 503, taken });
        assert_eq!(answer.unwrap().status, 503);
        assert_eq!(endpoint.messages("g", "s"), expected);
        let (endpoint, answer) = put_under(Kind::Stall { limit_ms: 1, taken });
        assert!(is_reset(answer));
        assert_eq!(endpoint.messages("g", "s"), expected);
    }
    let (endpoint, answer) = put_under(Kind::TakeFirst {
        events: 1,
        status: 500,
    });
    assert_eq!(answer.unwrap().status, 500);
    assert_eq!(endpoint.messages("g", "s"), ["a"]);
}

/// An endpoint on which a PutLogEvents of `a` is under way that met `kind`, and its client.
fn put_and_go(kind: Kind) -> (Endpoint, Client) {
    let (endpoint, mut first) = with_stream(unsigned());
    endpoint.set_faults(Script::put_log_events([(When::First(1), kind)]));
    let body = batch(&["a"]).to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: logs\r\nX-Amz-Target: Logs_20140328.PutLogEvents\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    first.0.write_all(head.as_bytes()).unwrap();
    let started = Instant::now();
    while endpoint.faults_met() != [1] {
        assert!(started.elapsed() < LIMIT);
        std::thread::yield_now();
    }
    (endpoint, first)
}

#[test]
fn a_request_that_is_delayed_before_it_is_taken_is_overtaken_and_one_whose_answer_is_delayed_is_not()
 {
    const LONG_MS: u64 = 3_600_000;
    let before = Kind::DelayBefore {
        ms: LONG_MS,
        to_ms: None,
    };
    for (kind, expected) in [
        (before, vec!["b"]),
        (Kind::Delay { ms: LONG_MS }, vec!["a", "b"]),
    ] {
        let (endpoint, _first) = put_and_go(kind);
        let mut second = Client::new(endpoint.address());
        let answer = second.ask("PutLogEvents", &batch(&["b"])).unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(endpoint.messages("g", "s"), expected);
    }
}

#[test]
fn what_was_read_is_taken_even_if_its_client_has_gone() {
    let (endpoint, first) = put_and_go(Kind::DelayBefore {
        ms: 200,
        to_ms: None,
    });
    drop(first);
    let started = Instant::now();
    while endpoint.messages("g", "s") != ["a"] {
        assert!(started.elapsed() < LIMIT);
        std::thread::yield_now();
    }
}

#[test]
fn a_fault_is_answered_with_the_code_of_its_name_and_takes_nothing() {
    for (kind, code) in [
        (Kind::Throttle, "ThrottlingException"),
        (Kind::AccessDenied, "AccessDeniedException"),
        (Kind::ExpiredToken, "ExpiredTokenException"),
        (Kind::NotFound, "ResourceNotFoundException"),
    ] {
        let (endpoint, answer) = put_under(kind);
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status, &answer.json()["__type"]),
            (400, &json!(code))
        );
        assert_eq!(endpoint.messages("g", "s"), [""; 0]);
        assert_eq!(endpoint.faults_met(), [1]);
        assert_eq!(endpoint.stats().faults[kind.name()], 1);
    }
}

#[test]
fn a_broken_answer_comes_after_the_request_was_taken() {
    for (kind, whole) in [
        (Kind::Garbage, true),
        (Kind::WrongLength, true),
        (Kind::Truncated, false),
    ] {
        let (endpoint, answer) = put_under(kind);
        assert_eq!(answer.is_ok(), whole, "{kind:?}");
        if let Ok(answer) = answer {
            assert!(
                serde_json::from_str::<Json>(&answer.body).is_err(),
                "{}",
                answer.body
            );
        }
        assert_eq!(endpoint.messages("g", "s"), ["a", "b"]);
    }
}

#[test]
fn a_closed_door_refuses_and_resets_and_opens_on_the_same_port() {
    let (endpoint, mut client) = with_stream(unsigned());
    endpoint.set_open(false);
    let mut byte = [0];
    let ended = client.0.read(&mut byte);
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let refused = TcpStream::connect(endpoint.address());
    assert_eq!(
        refused.unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
    // The harness's own questions go on.
    let control = endpoint.control_url();
    let mut control = Client::new(control.strip_prefix("http://").unwrap().parse().unwrap());
    let opened = control.send(
        "PUT /_logs/door HTTP/1.1\r\nHost: logs\r\n",
        b"{\"open\": true}",
    );
    assert_eq!(opened.unwrap().status, 200);
    let mut client = Client::new(endpoint.address());
    assert_eq!(
        client.ask("PutLogEvents", &batch(&["a"])).unwrap().status,
        200
    );
}

#[test]
fn a_refusal_ends_by_itself() {
    let (endpoint, answer) = put_under(Kind::Refuse { for_ms: 50 });
    assert!(is_reset(answer));
    let begun = Instant::now();
    while TcpStream::connect(endpoint.address()).is_err() {
        assert!(begun.elapsed() < LIMIT, "the door stays closed");
        std::thread::yield_now();
    }
    assert_eq!(endpoint.messages("g", "s"), [""; 0]);
}

#[test]
fn a_connection_is_reset_when_it_is_accepted() {
    let endpoint = start(unsigned());
    endpoint.set_faults(Script {
        seed: 0,
        rules: vec![Rule {
            operation: None,
            when: When::First(1),
            kind: Kind::ResetOnAccept,
        }],
    });
    let mut first = Client::new(endpoint.address());
    assert!(first.0.read(&mut [0]).is_err());
    let mut second = Client::new(endpoint.address());
    assert_eq!(
        second.ask("DescribeLogGroups", &json!({})).unwrap().status,
        200
    );
}

#[test]
fn errors_are_shaped_as_the_service_shapes_them() {
    let (_endpoint, mut client) = with_stream(unsigned());
    let answer = client.ask("PutQueryDefinition", &json!({})).unwrap();
    assert_eq!(
        (answer.status, &answer.json()["__type"]),
        (400, &json!("UnknownOperationException"))
    );
    assert!(
        answer.json()["message"]
            .as_str()
            .unwrap()
            .starts_with("PutQueryDefinition ")
    );
    assert!(
        answer
            .head
            .contains("content-type: application/x-amz-json-1.1\r\n")
    );
    assert!(answer.head.contains("x-amzn-requestid: "));
    let unsigned = start(Settings::default());
    let answer = Client::new(unsigned.address())
        .ask("DescribeLogGroups", &json!({}))
        .unwrap();
    assert_eq!(
        answer.json()["__type"],
        "MissingAuthenticationTokenException"
    );
}

#[test]
fn a_body_may_be_gzip_but_not_larger_than_any_legal_batch() {
    let (endpoint, mut client) = with_stream(unsigned());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(batch(&["a"]).to_string().as_bytes())
        .unwrap();
    let head = "POST / HTTP/1.1\r\nHost: logs\r\nX-Amz-Target: Logs_20140328.PutLogEvents\r\nContent-Encoding: gzip\r\n";
    let answer = client.send(head, &gzip.finish().unwrap()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(endpoint.messages("g", "s"), ["a"]);
    let answer = client.send(head, b"no gzip").unwrap();
    assert_eq!(answer.json()["__type"], "SerializationException");
    let head = "POST / HTTP/1.1\r\nHost: logs\r\nX-Amz-Target: Logs_20140328.PutLogEvents\r\nContent-Length: 99999999\r\n\r\n";
    client.0.write_all(head.as_bytes()).unwrap();
    assert_eq!(client.answer().unwrap().status, 413);
}

#[test]
fn a_request_that_ends_early_takes_nothing() {
    let (endpoint, mut client) = with_stream(unsigned());
    let body = batch(&["a"]).to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: logs\r\nX-Amz-Target: Logs_20140328.PutLogEvents\r\nContent-Length: {}\r\n\r\n{body}",
        body.len() + 1
    );
    client.0.write_all(head.as_bytes()).unwrap();
    client.0.shutdown(Shutdown::Write).unwrap();
    assert!(client.answer().is_err());
    assert_eq!(endpoint.messages("g", "s"), [""; 0]);
}

#[test]
fn streams_are_made_at_a_limited_rate_fifty_a_second_if_nothing_else_is_said() {
    assert_eq!(Settings::default().create_stream_per_second, Some(50));
    let one_a_second = Settings {
        create_stream_per_second: Some(1),
        ..unsigned()
    };
    let (endpoint, mut client) = with_stream(one_a_second);
    let mut create = |name: &str| {
        let names = json!({"logGroupName": "g", "logStreamName": name});
        let answer = client.ask("CreateLogStream", &names).unwrap();
        (answer.status, answer.json()["__type"].clone())
    };
    // On a clock that was set back no time passes.
    endpoint.set_clock_offset_ms(-60_000);
    assert_eq!(create("t"), (400, json!("ThrottlingException")));
    endpoint.set_clock_offset_ms(0);
    assert_eq!(create("t"), (200, Json::Null));
}

#[test]
fn a_harness_in_another_process_steers_and_counts() {
    let (endpoint, mut client) = with_stream(unsigned());
    let script =
        br#"{"rules": [{"operation": "PutLogEvents", "when": {"first": 1}, "kind": "throttle"}]}"#;
    let put = client
        .send("PUT /_logs/faults HTTP/1.1\r\nHost: logs\r\n", script)
        .unwrap();
    assert_eq!(put.status, 200);
    assert_eq!(
        client.ask("PutLogEvents", &batch(&["a"])).unwrap().status,
        400
    );
    assert_eq!(
        client
            .ask("PutLogEvents", &batch(&["a", "b"]))
            .unwrap()
            .status,
        200
    );
    let mut get = |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: logs\r\n");
        client.send(&head, b"").unwrap()
    };
    assert_eq!(get("/_logs/faults").json()["met"], json!([1]));
    let stats = get("/_logs/stats").json();
    assert_eq!(stats["stats"]["operations"]["PutLogEvents"], 2);
    assert_eq!(stats["stats"]["errors"]["ThrottlingException"], 1);
    assert_eq!(stats["stats"]["events"], 2);
    assert_eq!(stats["held"]["events"], 2);
    let events = get("/_logs/events?group=g&stream=s").body;
    let messages: Vec<Json> = events
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((messages.len(), &messages[1]["message"]), (2, &json!("b")));
    let arrivals = get("/_logs/arrivals?group=g&stream=s&from=1").body;
    let ingested_us = endpoint.events("g", "s")[1].ingested_us;
    assert_eq!(arrivals, format!("{} {ingested_us}\n", messages[1]["ts"]));
    assert_eq!(get("/_logs/nothing").status, 404);
}

#[tokio::test]
async fn what_stopped_is_gone() {
    let endpoint = start(unsigned());
    let address = endpoint.address();
    endpoint.stop().await;
    assert!(TcpStream::connect(address).is_err());
}

/// `lab` with arguments; what it printed, if it ended well.
fn lab(arguments: &[&str], stdin: &str) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = command.stdin.take().unwrap();
    input.write_all(stdin.as_bytes()).unwrap();
    drop(input);
    let output = command.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
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

#[test]
fn the_command_says_where_it_listens_takes_faults_and_ends_when_told() {
    let process = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args([
            "logs-endpoint",
            "--any-credentials",
            "--latency-before",
            "1ms..2ms",
        ])
        .stdout(Stdio::piped())
        .spawn();
    let mut process = Running(process.unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let said: Json = serde_json::from_str(&line).unwrap();
    let url = said["url"].as_str().unwrap();
    let control = said["control_url"].as_str().unwrap();

    let script = r#"{"rules": [{"kind": "throttle"}]}"#;
    lab(&["faults", "set", "-", "--url", control], script).unwrap();
    let mut client = Client::new(url.strip_prefix("http://").unwrap().parse().unwrap());
    let throttled = client.ask("DescribeLogGroups", &json!({})).unwrap();
    assert_eq!(throttled.json()["__type"], "ThrottlingException");
    let shown = lab(&["faults", "show", "--url", url], "").unwrap();
    assert_eq!(
        serde_json::from_str::<Json>(&shown).unwrap()["met"],
        json!([1])
    );
    let error = lab(&["faults", "set", "-", "--url", control], "{}").unwrap_err();
    assert!(error.contains("lab endpoint --help"), "{error}");
    lab(&["faults", "clear", "--url", control], "").unwrap();
    let answer = client.ask("DescribeLogGroups", &json!({})).unwrap();
    assert_eq!(answer.json(), json!({"logGroups": []}));

    let pid = Pid::from_raw(i32::try_from(process.0.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert!(process.0.wait().unwrap().success());
}

/// Asks until a query has ended.
fn results(client: &mut Client, ask: &Json) -> Json {
    let started = Instant::now();
    loop {
        let answer = client.ask("GetQueryResults", ask).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer = answer.json();
        if answer["status"] == "Complete" {
            return answer;
        }
        assert!(["Scheduled", "Running"].contains(&answer["status"].as_str().unwrap()));
        assert!(answer.get("nextToken").is_none(), "{answer}");
        assert!(started.elapsed() < LIMIT);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_group_that_gives_no_streams_is_searched() {
    let endpoint = start(unsigned());
    let mut client = Client::new(endpoint.address());
    for class in ["INFREQUENT_ACCESS", "ESSENTIALS"] {
        let group = json!({"logGroupName": class, "logGroupClass": class});
        assert_eq!(client.ask("CreateLogGroup", &group).unwrap().status, 200);
        for stream in ["s", "t"] {
            let names = json!({"logGroupName": class, "logStreamName": stream});
            assert_eq!(client.ask("CreateLogStream", &names).unwrap().status, 200);
        }
        let now_ms = jiff::Timestamp::now().as_millisecond();
        for (stream, count) in [("s", 12_000), ("t", 3)] {
            let events: Vec<_> = (0..count)
                .map(|n| json!({"timestamp": now_ms, "message": format!("{stream} {n}")}))
                .collect();
            for events in events.chunks(10_000) {
                let put =
                    json!({"logGroupName": class, "logStreamName": stream, "logEvents": events});
                assert_eq!(client.ask("PutLogEvents", &put).unwrap().status, 200);
            }
        }
        for (operation, ask) in [
            (
                "GetLogEvents",
                json!({"logGroupName": class, "logStreamName": "s"}),
            ),
            ("FilterLogEvents", json!({"logGroupName": class})),
        ] {
            let refused = client.ask(operation, &ask).unwrap();
            assert_eq!(refused.json()["__type"], "InvalidOperationException");
            let message = refused.json()["message"].as_str().unwrap().to_owned();
            assert_eq!(
                message,
                format!(
                    "The log group {class} is of log-group-class {class}. {operation} is not supported for this log class."
                )
            );
        }
        let mut query = json!({
            "logGroupName": class,
            "startTime": now_ms / 1000,
            "endTime": now_ms / 1000 + 1,
            "limit": 100_000,
            "queryString": "fields @timestamp, @message | filter @logStream = \"s\" | sort @timestamp asc",
        });
        let id = client.ask("StartQuery", &query).unwrap().json()["queryId"].clone();
        let mut found = Vec::new();
        let mut ask = json!({ "queryId": id });
        loop {
            let page = results(&mut client, &ask);
            let rows = page["results"].as_array().unwrap();
            assert!(rows.len() <= 10_000);
            for row in rows {
                assert_eq!(row[0]["field"], "@timestamp");
                assert_eq!(row[1]["field"], "@message");
                assert_eq!(row[2]["field"], "@ptr");
                found.push(row[1]["value"].as_str().unwrap().to_owned());
            }
            match page.get("nextToken") {
                Some(token) => ask["nextToken"] = token.clone(),
                None => break,
            }
        }
        let expected: Vec<String> = (0..12_000).map(|n| format!("s {n}")).collect();
        assert!(found == expected, "{} found", found.len());
        // What it does not know it does not answer.
        query["queryString"] = json!("fields @message | filter @message like /x/");
        let refused = client.ask("StartQuery", &query).unwrap();
        assert_eq!(
            (refused.status, &refused.json()["__type"]),
            (400, &json!("MalformedQueryException"))
        );
    }
    let both = client.ask("DescribeLogGroups", &json!({"logGroupClass": "ESSENTIALS"}));
    assert_eq!(
        both.unwrap().json()["logGroups"].as_array().unwrap().len(),
        2
    );
    let unknown = client
        .ask("GetQueryResults", &json!({"queryId": "x"}))
        .unwrap();
    assert_eq!(unknown.json()["__type"], "ResourceNotFoundException");
}
