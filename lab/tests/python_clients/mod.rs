//! AWS's clients in Python, pinned: the AWS CLI and boto3.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test binary uses another part of it"
)]

use std::path::PathBuf;
use std::process::Stdio;

use lab::LabConfig;
use lab::python::Environment;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// As requirements.in asks for them.
const REQUIREMENTS: &str = include_str!("../requirements.txt");
const DRIVER: &str = include_str!("driver.py");
/// Where Canonical publishes the id of the newest Ubuntu 18.04 image.
pub(crate) const UBUNTU: &str =
    "/aws/service/canonical/ubuntu/server/18.04/stable/current/amd64/hvm/ebs-gp2/ami-id";

/// Where virtual environments are kept between test runs: the lab's own cache.
pub(crate) fn cache_dir() -> PathBuf {
    LabConfig::default().cache_dir
}

/// Both clients, in a process whose environment is exactly the given one.
pub(crate) struct Clients {
    pipes: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    _process: Child,
}

#[derive(Deserialize)]
struct Answer {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Clients {
    pub(crate) async fn start(env: &[(String, String)]) -> Self {
        let say = |line: &str| eprintln!("{line}");
        let environment = Environment::prepare(&cache_dir(), "clients", REQUIREMENTS, &say)
            .await
            .unwrap();
        let mut process = Command::new(environment.program("python"))
            .args(["-c", DRIVER])
            .env_clear()
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (stdin, stdout) = (
            process.stdin.take().unwrap(),
            process.stdout.take().unwrap(),
        );
        let pipes = Mutex::new((stdin, BufReader::new(stdout).lines()));
        Self {
            pipes,
            _process: process,
        }
    }

    /// What the AWS CLI prints, or its error.
    pub(crate) async fn aws(&self, arguments: &[&str]) -> Result<Json, String> {
        self.run(&json!(["aws", arguments])).await
    }

    /// What a script `show`s, with `boto3`, `json`, `ec2` (a client) and `code(call, **arguments)` (the code of the
    /// error that the call answers) at hand.
    pub(crate) async fn boto3(&self, script: &str) -> Json {
        self.run(&json!(["boto3", script]))
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    async fn run(&self, order: &Json) -> Result<Json, String> {
        let (stdin, stdout) = &mut *self.pipes.lock().await;
        stdin
            .write_all(format!("{order}\n").as_bytes())
            .await
            .unwrap();
        let line = stdout
            .next_line()
            .await
            .unwrap()
            .expect("the clients' process has ended");
        let answer: Answer = serde_json::from_str(&line).unwrap();
        if answer.status != 0 {
            return Err(answer.stderr);
        }
        if answer.stdout.trim().is_empty() {
            return Ok(Json::Null);
        }
        Ok(serde_json::from_str(&answer.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", answer.stdout)))
    }
}
