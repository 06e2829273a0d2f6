//! `baker-agent run` from its start to its end: status while it runs, signals, exit codes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;
use tempfile::TempDir;

/// For what takes milliseconds; only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service that takes everything.
fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(stream.unwrap()));
        }
    });
    url
}

/// Answers the requests of one connection until it ends.
fn answer(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: 2";
        write!(&stream, "{head}\r\n\r\n{{}}").ok()?;
    }
}

/// A URL that nobody listens at.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A directory with a configuration and a log of one line.
fn stage(endpoint_url: &str, drain: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    fs::write(directory.path().join("a.log"), "one\n").unwrap();
    let text = format!(
        "[agent]\nstate_dir = \"{at}/state\"\ninstance_id = \"i-1\"\nregion = \"eu-west-1\"\nendpoint_url = \"{endpoint_url}\"\n\
         [ship]\ndrain = \"{drain}\"\n[[file]]\npath = \"{at}/a.log\"\n"
    );
    fs::write(directory.path().join("baker-agent.toml"), text).unwrap();
    directory
}

fn agent(directory: &Path, command: &str) -> Command {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_baker-agent"));
    agent
        .arg(command)
        .arg("--config")
        .arg(directory.join("baker-agent.toml"))
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "example")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    agent
}

/// What a running agent of [`stage`] says first.
const GREETING: &str = "ships 1 file setting to CloudWatch Logs in eu-west-1";

/// A running agent; killed if a test fails before it ends.
struct Running {
    child: Child,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Running {
    fn start(directory: &Path) -> Self {
        let mut running = Self::spawn(directory);
        running.says(GREETING);
        running
    }

    fn spawn(directory: &Path) -> Self {
        let mut child = agent(directory, "run").spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Box::new(stderr.lines().map_while(Result::ok));
        Self { child, lines }
    }

    /// Waits for a line that holds these words.
    fn says(&mut self, words: &str) {
        let mut said = Vec::new();
        for line in self.lines.by_ref() {
            if line.contains(words) {
                return;
            }
            said.push(line);
        }
        panic!("it never said {words:?}, but {said:#?}");
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn exit_code(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(directory: &Path) -> Value {
    let output = agent(directory, "status")
        .args(["--output", "json"])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Asks for the status until it is as wanted.
fn await_status(directory: &Path, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = status(directory);
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "it stays at {status:#}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_running_agent_tells_what_it_shipped_and_its_ledger_tells_the_same_when_it_has_stopped() {
    let directory = stage(&service(), "20s");
    let mut running = Running::start(directory.path());
    let mut log = OpenOptions::new()
        .append(true)
        .open(directory.path().join("a.log"))
        .unwrap();
    log.write_all(b"two\n").unwrap();
    let live = await_status(directory.path(), |status| {
        status["totals"]["shipped_bytes"] == 8
    });
    assert_eq!(live["running"]["pid"], running.child.id());
    assert_eq!(live["running"]["events_shipped"], 2);
    assert_eq!(live["files"][0]["oldest_unshipped_ms"], Value::Null);
    assert_eq!(live["conserved"], true);
    assert_eq!(
        live["files"][0]["group"],
        directory.path().join("a.log").to_str().unwrap()
    );

    log.write_all(b"three\n").unwrap();
    running.signal(Signal::SIGTERM);
    running.says("stopped: all that was read has been sent");
    assert_eq!(running.exit_code(), Some(0));
    let stopped = status(directory.path());
    assert_eq!(stopped["running"], Value::Null);
    assert_eq!(stopped["totals"]["shipped_bytes"], 14);
    assert!(!directory.path().join("state/status.sock").exists());
}

#[test]
fn on_a_copied_disk_it_ships_only_what_was_written_since() {
    let directory = stage(&service(), "20s");
    let log = directory.path().join("a.log");
    let original = Running::start(directory.path());
    await_status(directory.path(), |status| {
        status["totals"]["shipped_bytes"] == 4
    });
    original.signal(Signal::SIGKILL);
    original.exit_code();
    // What the original wrote while nobody followed it.
    append(&log, "two\n");
    fs::write(directory.path().join("b.log"), "three\n").unwrap();
    let path = directory.path().join("baker-agent.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text
        .replace("\"i-1\"", "\"i-2\"")
        .replace("/a.log", "/?.log");
    fs::write(&path, text).unwrap();

    let mut copy = Running::spawn(directory.path());
    copy.says("this disk is a copy of i-1's");
    copy.says(GREETING);
    append(&log, "four\n");
    let status = await_status(directory.path(), |status| {
        status["totals"]["shipped_bytes"] == 5
    });
    assert_eq!(status["totals"]["filtered_bytes"]["other_instance"], 14);
    assert_eq!(status["totals"]["pending_bytes"], 0);
    copy.signal(Signal::SIGTERM);
    assert_eq!(copy.exit_code(), Some(0));
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn an_agent_that_can_not_send_says_so_and_ends_within_its_drain() {
    let directory = stage(&nobody(), "0s");
    let mut running = Running::start(directory.path());
    let live = await_status(directory.path(), |status| {
        !status["complaints"].as_array().unwrap().is_empty()
    });
    assert_eq!(live["totals"]["pending_bytes"], 4);
    assert!(live["running"]["oldest_unshipped_ms"].is_u64(), "{live:#}");
    assert!(live["files"][0]["oldest_unshipped_ms"].is_u64(), "{live:#}");
    running.signal(Signal::SIGTERM);
    running.says("the next start goes on there");
    assert_eq!(running.exit_code(), Some(7));
    assert_eq!(status(directory.path())["totals"]["pending_bytes"], 4);
}

/// The last line has no end yet: it is not sent, and that is said.
#[test]
fn an_agent_that_leaves_an_unfinished_line_says_so_when_it_stops() {
    let directory = stage(&service(), "10s");
    fs::write(directory.path().join("a.log"), "one\ntw").unwrap();
    let config = directory.path().join("baker-agent.toml");
    let text = fs::read_to_string(&config).unwrap();
    // Longer than the test takes.
    fs::write(&config, format!("{text}hold = \"60s\"\n")).unwrap();
    let mut running = Running::start(directory.path());
    await_status(directory.path(), |status| {
        status["totals"]["shipped_bytes"] == 4
    });
    running.signal(Signal::SIGTERM);
    running.says("the next start goes on there");
    assert_eq!(running.exit_code(), Some(7));
    assert_eq!(status(directory.path())["totals"]["pending_bytes"], 2);
}

/// A stream that this host has no name for: its lines wait, and that is said.
#[test]
fn an_agent_that_has_no_name_for_a_stream_says_so_when_it_stops() {
    let directory = stage(&service(), "10s");
    let config = directory.path().join("baker-agent.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}stream = \"{{asg}}/{{file}}\"\n")).unwrap();
    let mut running = Running::start(directory.path());
    let live = await_status(directory.path(), |status| {
        status["totals"]["pending_bytes"] == 4
    });
    assert_eq!(live["conserved"], true);
    assert!(
        live["complaints"][0].as_str().unwrap().contains("{asg}"),
        "{live:#}"
    );
    running.signal(Signal::SIGTERM);
    running.says("the next start goes on there");
    assert_eq!(running.exit_code(), Some(7));
}

#[test]
fn a_reload_that_is_asked_for_during_the_start_waits_for_its_end() {
    let directory = stage(&nobody(), "1s");
    let path = directory.path().join("baker-agent.toml");
    let text = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut running = Running::spawn(directory.path());
    // Open as soon as the agent reads its configuration; and that does not end before this is closed.
    let mut first = OpenOptions::new().write(true).open(&path).unwrap();
    running.signal(Signal::SIGHUP);
    first.write_all(&text).unwrap();
    drop(first);
    running.says(GREETING);
    let mut second = OpenOptions::new().write(true).open(&path).unwrap();
    second.write_all(&text).unwrap();
    drop(second);
    running.says("configuration read anew");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let directory = stage(&nobody(), "10m");
    let running = Running::start(directory.path());
    await_status(directory.path(), |status| {
        status["totals"]["pending_bytes"] == 4
    });
    running.signal(Signal::SIGTERM);
    // Another signal than the first: two of a kind may become one.
    running.signal(Signal::SIGINT);
    assert_eq!(running.exit_code(), Some(130));
}

#[test]
fn one_state_directory_is_for_one_agent() {
    let directory = stage(&service(), "20s");
    let running = Running::start(directory.path());
    let second = agent(directory.path(), "run").output().unwrap();
    assert_eq!(second.status.code(), Some(3));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        said.contains(&format!("process {}", running.child.id())),
        "{said}"
    );
    assert_eq!(
        status(directory.path())["running"]["pid"],
        running.child.id()
    );
}
