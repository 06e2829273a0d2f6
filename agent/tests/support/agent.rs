//! The process under test: its configuration, its start, and every way in which it ends.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::meter::{self, Reading};
use super::wait;

/// What the agent is told to do.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Where the endpoint listens.
    pub(crate) endpoint: String,
    /// Configuration, state and output go here.
    pub(crate) folder: PathBuf,
    /// The agent's own memory of what it has shipped. Most often in `folder`.
    pub(crate) state_dir: PathBuf,
    pub(crate) files: Vec<Followed>,
    /// `None` is the agent's default.
    pub(crate) flush: Option<Duration>,
    /// How long a stream may take to show what was sent; `None` is the agent's default.
    pub(crate) settle: Option<Duration>,
    /// What stands in `[limits]`.
    pub(crate) limits: &'static str,
    /// What stands in `[metrics]` besides the endpoint; `None` measures nothing.
    pub(crate) metrics: Option<&'static str>,
}

/// A `[[file]]` of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    /// A path or a glob.
    pub(crate) path: PathBuf,
    pub(crate) group: String,
    pub(crate) stream: String,
    /// A preset of time stamps.
    pub(crate) format: &'static str,
    /// The start pattern of multi-line events.
    pub(crate) multiline: Option<&'static str>,
}

impl Followed {
    /// An nginx access log.
    pub(crate) fn access(path: impl Into<PathBuf>, group: &str, stream: &str) -> Self {
        Self {
            path: path.into(),
            group: group.to_owned(),
            stream: stream.to_owned(),
            format: "nginx-access",
            multiline: None,
        }
    }
}

impl Setup {
    /// Everything in `folder`, defaults for the rest.
    pub(crate) fn new(endpoint: &str, folder: &Path, files: Vec<Followed>) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            folder: folder.to_owned(),
            state_dir: folder.join("state"),
            files,
            flush: None,
            settle: None,
            limits: "",
            metrics: None,
        }
    }

    pub(crate) fn flush(mut self, flush: Duration) -> Self {
        self.flush = Some(flush);
        self
    }

    fn config(&self) -> String {
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        let mut text = "[agent]\n".to_owned();
        writeln!(text, "state_dir = {}", quoted(&self.state_dir)).unwrap();
        writeln!(text, "region = \"us-east-1\"").unwrap();
        writeln!(text, "endpoint_url = {:?}", self.endpoint).unwrap();
        writeln!(text, "instance_id = \"i-0123456789abcdef0\"").unwrap();
        writeln!(text, "[ship]").unwrap();
        if let Some(flush) = self.flush {
            writeln!(text, "flush_interval = \"{}ms\"", flush.as_millis()).unwrap();
        }
        if let Some(settle) = self.settle {
            writeln!(text, "settle = \"{}ms\"", settle.as_millis()).unwrap();
        }
        writeln!(text, "[limits]\n{}", self.limits).unwrap();
        if let Some(metrics) = self.metrics {
            writeln!(text, "[metrics]\nendpoint_url = {:?}", self.endpoint).unwrap();
            writeln!(text, "{metrics}").unwrap();
        }
        for file in &self.files {
            writeln!(text, "[[file]]\npath = {}", quoted(&file.path)).unwrap();
            writeln!(text, "group = {:?}\nstream = {:?}", file.group, file.stream).unwrap();
            writeln!(text, "start = \"beginning\"\nformat = {:?}", file.format).unwrap();
            if let Some(start) = file.multiline {
                writeln!(text, "multiline = {{ start = '{start}' }}").unwrap();
            }
        }
        text
    }
}

/// Whatever can be told to ship files: ours, or another to compare it with.
pub(crate) trait Program {
    /// The name in tables.
    fn name(&self) -> &str;

    /// The command that ships what `setup` says until it is ended. It writes what it needs into the setup's folder.
    fn command(&self, setup: &Setup) -> Command;
}

/// `baker-agent`.
#[derive(Debug, Clone)]
pub(crate) struct BakerAgent {
    pub(crate) program: PathBuf,
}

impl BakerAgent {
    /// The one that cargo built for this test or benchmark.
    pub(crate) fn built() -> Self {
        Self {
            program: env!("CARGO_BIN_EXE_baker-agent").into(),
        }
    }

    /// The ledger's account, as `baker-agent status` tells it.
    pub(crate) fn status(&self, setup: &Setup) -> Result<Value, String> {
        let output = quiet(&self.program)
            .args(["status", "--output", "json", "--config"])
            .arg(config_path(setup))
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }
}

impl Program for BakerAgent {
    fn name(&self) -> &str {
        "baker-agent"
    }

    fn command(&self, setup: &Setup) -> Command {
        // A running agent may read it at any time.
        let path = config_path(setup);
        fs::write(path.with_extension("new"), setup.config()).unwrap();
        fs::rename(path.with_extension("new"), &path).unwrap();
        let mut command = quiet(&self.program);
        command.args(["run", "--config"]).arg(config_path(setup));
        command
    }
}

fn config_path(setup: &Setup) -> PathBuf {
    setup.folder.join("agent.toml")
}

/// A command that knows nothing of the environment of this machine: dummy credentials, no metadata service, no proxy.
pub(crate) fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    command
}

/// A program that does not wait for signals by then never will.
const LISTENS: Duration = Duration::from_secs(20);

/// A running agent. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    said: PathBuf,
}

/// What it had cost by its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
}

impl Running {
    /// Starts the program. What it says goes to `said.log` in the setup's folder, after what earlier ones said.
    pub(crate) fn start(program: &dyn Program, setup: &Setup) -> Self {
        fs::create_dir_all(&setup.folder).unwrap();
        Self::spawn(program.command(setup), setup)
    }

    /// Starts a command of one's own, such as one with limits.
    pub(crate) fn spawn(mut command: Command, setup: &Setup) -> Self {
        let said = setup.folder.join("said.log");
        let log = File::options()
            .create(true)
            .append(true)
            .open(&said)
            .unwrap();
        let child = command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
        Self { child, said }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// What it has cost so far.
    ///
    /// # Panics
    /// When it is gone, with what it said last.
    pub(crate) fn reading(&self) -> Reading {
        meter::read(self.pid()).unwrap_or_else(|| panic!("the agent is gone; {}", self.said()))
    }

    /// The last lines of what it said.
    pub(crate) fn said(&self) -> String {
        let said = fs::read(&self.said).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<_> = said.lines().rev().take(20).collect();
        let lines: Vec<_> = lines.into_iter().rev().collect();
        format!("it said:\n{}", lines.join("\n"))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGHUP, as soon as it is not the end of a program that has only just begun.
    pub(crate) fn reload(&self) {
        let status = format!("/proc/{}/status", self.pid());
        let listens = || {
            let status = fs::read_to_string(&status).ok()?;
            let blocked = status.lines().find_map(|it| it.strip_prefix("SigBlk:"))?;
            let blocked = u64::from_str_radix(blocked.trim(), 16).ok()?;
            (blocked & (1 << (Signal::SIGHUP as u64 - 1)) != 0).then_some(())
        };
        wait::until(LISTENS, Duration::from_millis(1), listens)
            .unwrap_or_else(|| panic!("it does not wait for signals; {}", self.said()));
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGHUP);
    }

    /// SIGTERM, and waits for the end; SIGKILL after `limit`, which the status then shows.
    pub(crate) fn terminate(mut self, limit: Duration) -> Ended {
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        let ended = wait::until(limit, Duration::from_millis(5), || {
            self.child.try_wait().unwrap()
        });
        let status = ended.unwrap_or_else(|| {
            let _ = self.child.kill();
            self.child.wait().unwrap()
        });
        Ended { status }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
