//! `baker-agent` whose configuration is a parameter of Systems Manager: begun with, followed, and gone on without. The service is a small server
//! of the test's own that answers as it is told to.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use support::agent::{Program as _, Running, quiet};
use support::ground::Ground;
use support::writer;

const NAME: &str = "/app/baker-agent";
const SOURCE: &str = "ssm:/app/baker-agent";

/// Not a test: this program again, as the endpoint of the others.
#[test]
fn endpoint_process() {
    support::endpoint::serve_if_asked();
}

/// What the service says of the parameter.
#[derive(Debug, Clone)]
enum Says {
    Value(i64, String),
    Secret,
    Error(u16, &'static str),
    /// Closes the connection without a word.
    Nothing,
}

/// Systems Manager with one parameter.
struct Service {
    url: String,
    says: Arc<Mutex<(Says, usize)>>,
    serving: Option<JoinHandle<()>>,
}

impl Service {
    fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new((says, 0)));
        let told = Arc::downgrade(&says);
        let serving = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some(told) = told.upgrade() else { return };
                let says = {
                    let mut told = told.lock().unwrap();
                    told.1 += 1;
                    told.0.clone()
                };
                // A client that goes away is its own affair.
                let _ = answer(&mut stream.unwrap(), &says);
            }
        });
        Self {
            url,
            says,
            serving: Some(serving),
        }
    }

    fn say(&self, says: Says) {
        self.says.lock().unwrap().0 = says;
    }

    /// How often it was asked.
    fn asked(&self) -> usize {
        self.says.lock().unwrap().1
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.says = Arc::new(Mutex::new((Says::Nothing, 0)));
        // The last connection is the one that tells that there is nobody left.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        let _ = self.serving.take().unwrap().join();
    }
}

fn answer(stream: &mut TcpStream, says: &Says) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    assert!(
        head.contains("x-amz-target: amazonssm.getparameter"),
        "{head}"
    );
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body)?;
    let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(asked["Name"], NAME);
    let (status, body) = match says {
        Says::Value(version, value) => (
            200,
            json!({"Parameter": {"Name": NAME, "Type": "String", "Version": version, "Value": value}}),
        ),
        Says::Secret => (
            200,
            json!({"Parameter": {"Name": NAME, "Type": "SecureString", "Version": 1, "Value": "AQICAHh"}}),
        ),
        Says::Error(status, code) => (*status, json!({"__type": code, "message": "It is so."})),
        Says::Nothing => return Ok(()),
    };
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What the configuration of the ground says, as a parameter's value.
fn value(ground: &Ground, version: i64) -> Says {
    let _ = ground.agent.command(&ground.setup);
    let text = fs::read_to_string(ground.folder().join("agent.toml")).unwrap();
    Says::Value(version, text)
}

/// `baker-agent` with its configuration in `service`, its copies in the ground's state directory.
fn command(ground: &Ground, service: &Service, words: &[&str]) -> Command {
    let mut command = quiet(&ground.agent.program);
    command
        .args(words)
        .args(["--config", SOURCE, "--config-copies"])
        .arg(&ground.setup.state_dir)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL_SSM", &service.url);
    command
}

fn start(ground: &mut Ground, service: &Service) {
    start_looking(ground, service, "1s");
}

fn start_looking(ground: &mut Ground, service: &Service, every: &str) {
    let run = command(ground, service, &["run", "--config-every", every]);
    ground.running = Some(Running::spawn(run, &ground.setup));
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat()
}

fn copy(state_dir: &Path) -> Option<String> {
    fs::read_to_string(state_dir.join("parameter.toml")).ok()
}

/// How often it has said this, since the first start.
fn times(ground: &Ground, words: &str) -> usize {
    let said = fs::read_to_string(ground.folder().join("said.log")).unwrap();
    said.matches(words).count()
}

fn fill(ground: &Ground, log: &str, writer: u16) -> writer::Written {
    writer::fill(&ground.log(log), writer, 50, Duration::from_secs(5), 10)
}

#[test]
fn a_changed_parameter_is_taken_up_by_itself_and_a_broken_one_changes_nothing() {
    let mut ground = Ground::new("parameter", &["a.log", "b.log"]);
    let both = ground.setup.files.clone();
    ground.setup.files.truncate(1);
    let service = Service::start(value(&ground, 1));
    start(&mut ground, &service);
    ground.greet();
    let first = copy(&ground.setup.state_dir).unwrap();
    assert!(
        first.starts_with("# ssm:/app/baker-agent version 1\n"),
        "{first}"
    );

    let Says::Value(_, good) = value(&ground, 1) else {
        panic!("a value")
    };
    service.say(Says::Value(2, format!("{good}\nnonsense = 1\n")));
    ground.until("the complaint", || {
        let said = ground.said();
        said.contains("version 2: it does not hold") && said.contains("nonsense")
    });
    let one = fill(&ground, "a.log", 1);
    let asked = service.asked();
    ground.until("some more looks", || service.asked() > asked + 2);
    assert_eq!(times(&ground, "it does not hold"), 1, "told once");
    assert_eq!(copy(&ground.setup.state_dir).unwrap(), first);

    ground.setup.files = both;
    service.say(value(&ground, 3));
    ground.until("the change", || {
        ground.said().contains("configuration read anew")
    });
    let said = ground.said();
    assert!(said.contains("new: ") && said.contains("b.log"), "{said}");
    assert!(said.contains("configuration: fine again"), "{said}");
    let asked = service.asked();
    ground.until("some more looks", || service.asked() > asked + 2);
    assert_eq!(
        times(&ground, "configuration read anew"),
        1,
        "what has not changed is not read anew"
    );
    let two = fill(&ground, "b.log", 2);
    ground.assert_exact(&[one, two]);
    let third = copy(&ground.setup.state_dir).unwrap();
    assert!(
        third.starts_with("# ssm:/app/baker-agent version 3\n"),
        "{third}"
    );
}

#[test]
fn without_a_network_it_begins_with_the_copy_and_takes_up_what_is_new_later() {
    let mut ground = Ground::new("copy", &["a.log", "b.log"]);
    let both = ground.setup.files.clone();
    ground.setup.files.truncate(1);
    let service = Service::start(value(&ground, 7));
    start(&mut ground, &service);
    ground.greet();
    ground.kill();

    service.say(Says::Nothing);
    start(&mut ground, &service);
    ground.until("the copy", || {
        ground
            .said()
            .contains("begins with the copy of ssm:/app/baker-agent, version 7")
    });
    let one = fill(&ground, "a.log", 1);
    ground.until_arrived(50);

    ground.setup.files = both;
    service.say(value(&ground, 8));
    ground.until("the change", || {
        ground.said().contains("configuration read anew")
    });
    assert!(ground.said().contains("ssm:/app/baker-agent: fine again"));
    let two = fill(&ground, "b.log", 2);
    ground.assert_exact(&[one, two]);
}

#[test]
fn a_broken_parameter_at_the_start_leaves_the_copy_and_its_lines_alone() {
    let mut ground = Ground::new("broken", &["a.log"]);
    let service = Service::start(value(&ground, 1));
    start(&mut ground, &service);
    ground.greet();
    ground.kill();
    let kept = copy(&ground.setup.state_dir).unwrap();

    service.say(Says::Value(2, "nonsense = 1\n".into()));
    start(&mut ground, &service);
    ground.until("the copy", || {
        let said = ground.said();
        said.contains("version 2: it does not hold") && said.contains("begins with the copy")
    });
    let one = fill(&ground, "a.log", 1);
    ground.assert_exact(&[one]);
    assert_eq!(copy(&ground.setup.state_dir).unwrap(), kept);
    assert_eq!(
        times(&ground, "version 2: it does not hold"),
        1,
        "told once"
    );
}

#[test]
fn without_a_copy_it_waits_for_one_that_it_can_begin_with() {
    let mut ground = Ground::new("wait", &["a.log"]);
    let service = Service::start(Says::Error(400, "ParameterNotFound"));
    start(&mut ground, &service);
    ground.until("the remedy", || {
        ground
            .said()
            .contains("aws ssm put-parameter --name /app/baker-agent")
    });
    service.say(Says::Secret);
    ground.until("the refusal", || {
        ground
            .said()
            .contains("is a SecureString, and a configuration is a String")
    });
    let Says::Value(_, good) = value(&ground, 2) else {
        panic!("a value")
    };
    let unusable = good.replace("[agent]\n", "[agent]\nca_bundle = \"/nonexistent.pem\"\n");
    service.say(Says::Value(2, unusable));
    ground.until("the complaint", || {
        ground.said().contains("/nonexistent.pem")
    });
    assert_eq!(copy(&ground.setup.state_dir), None);
    assert!(ground.running.as_mut().unwrap().is_running());
    service.say(Says::Value(3, good));
    ground.greet();
    assert!(copy(&ground.setup.state_dir).is_some());
    ground.terminate();
}

#[test]
fn an_agent_that_waits_for_its_configuration_ends_when_it_is_asked_to() {
    let mut ground = Ground::new("end", &["a.log"]);
    let service = Service::start(Says::Nothing);
    start(&mut ground, &service);
    ground.until("a question", || service.asked() > 0);
    let running = ground.running.take().unwrap();
    let ended = running.terminate(Duration::from_secs(20));
    assert_eq!(ended.status.code(), Some(7), "{:?}", ended.status);
}

#[test]
fn sighup_asks_at_once_also_before_there_is_any_configuration() {
    let mut ground = Ground::new("hangup", &["a.log"]);
    let service = Service::start(Says::Value(1, "nonsense = 1\n".into()));
    start_looking(&mut ground, &service, "1h");
    ground.until("the complaint", || ground.said().contains("nonsense"));
    service.say(value(&ground, 2));
    ground.running.as_ref().unwrap().reload();
    ground.greet();
}

#[test]
fn whoever_is_throttled_goes_on_and_sighup_asks_at_once() {
    let mut ground = Ground::new("throttled", &["a.log", "b.log"]);
    let both = ground.setup.files.clone();
    ground.setup.files.truncate(1);
    let service = Service::start(value(&ground, 1));
    start(&mut ground, &service);
    ground.greet();
    service.say(Says::Error(400, "ThrottlingException"));
    ground.until("the complaint", || {
        ground.said().contains("ThrottlingException")
    });
    let one = fill(&ground, "a.log", 1);
    ground.setup.files = both;
    service.say(value(&ground, 2));
    ground.running.as_ref().unwrap().reload();
    ground.until("the change", || {
        ground.said().contains("configuration read anew")
    });
    let two = fill(&ground, "b.log", 2);
    ground.assert_exact(&[one, two]);
}

#[test]
fn check_and_status_know_parameters_too() {
    let mut ground = Ground::new("check", &["a.log"]);
    let service = Service::start(value(&ground, 4));
    let offline = command(&ground, &service, &["check", "--offline"])
        .output()
        .unwrap();
    assert_eq!(offline.status.code(), Some(4));
    assert!(
        text(&offline).contains("there is no copy of ssm:/app/baker-agent"),
        "{}",
        text(&offline)
    );

    start(&mut ground, &service);
    ground.greet();
    let status = command(&ground, &service, &["status"]).output().unwrap();
    assert!(status.status.success(), "{}", text(&status));
    ground.terminate();
    let asked = service.asked();
    let offline = command(&ground, &service, &["check", "--offline"])
        .output()
        .unwrap();
    assert!(
        text(&offline).starts_with("configuration  ssm:/app/baker-agent\n"),
        "{}",
        text(&offline)
    );
    assert_eq!(service.asked(), asked, "offline asks nobody");

    service.say(Says::Value(5, "[agent]\nnonsense = 1\n".into()));
    let check = command(&ground, &service, &["check"]).output().unwrap();
    assert_eq!(check.status.code(), Some(2));
    assert!(
        text(&check).contains("ssm:/app/baker-agent:2:1"),
        "{}",
        text(&check)
    );
    service.say(Says::Error(400, "AccessDeniedException"));
    let check = command(&ground, &service, &["check"]).output().unwrap();
    assert_eq!(check.status.code(), Some(4));
    assert!(
        text(&check).contains("allow ssm:GetParameter on /app/baker-agent"),
        "{}",
        text(&check)
    );
}
