//! A lab with a `baker` beside it: recipes in a folder of its own, a state directory of its own, and eyes of its own on
//! what is in AWS.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test file uses its own part"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ec2::types::{Filter, Image, Instance, InstanceStateName};
use baker::journal::{self, Record};
use lab::{Lab, LabConfig};

/// Nothing in the lab takes this long; a wait that does has found a fault.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// A folder with recipes and baker's state.
pub(crate) struct Kitchen {
    folder: tempfile::TempDir,
}

impl Kitchen {
    pub(crate) fn new() -> Kitchen {
        Kitchen {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// `baker` with nothing of this process's AWS settings: without the lab's environment it finds none.
    pub(crate) fn baker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baker"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The records of every journal.
    pub(crate) fn journals(&self) -> Vec<(PathBuf, Vec<Record>)> {
        let Ok(entries) = fs::read_dir(self.path("state/baker/journal")) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), journal::read(&path).unwrap()))
            .collect()
    }
}

/// How a command ended, as text.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ended {
    /// Asserts the exit code, and that the message has all these parts and fits on a screen.
    #[track_caller]
    pub(crate) fn failed_with(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "{part:?} is not in:\n{}",
                self.stderr
            );
        }
        let message = self.message();
        assert!(
            message.lines().count() <= 40,
            "more than one screen:\n{message}"
        );
        assert_eq!(self.stdout, "", "a failure prints no result");
    }

    /// What stands on stderr after the progress: the error itself.
    pub(crate) fn message(&self) -> String {
        let progress = |line: &str| {
            let stamp = line.get(..8).unwrap_or("").trim();
            stamp.ends_with(" s") && stamp.starts_with(|c: char| c.is_ascii_digit())
        };
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !progress(line)).collect();
        lines.join("\n")
    }
}

/// A lab, a kitchen, and a client of the test's own.
pub(crate) struct Bakery {
    /// What `[agent]` installs where it names nothing.
    agent: Option<PathBuf>,
    pub(crate) lab: Lab,
    pub(crate) kitchen: Kitchen,
    pub(crate) ec2: aws_sdk_ec2::Client,
}

impl Bakery {
    /// Starts a lab. Needs root.
    pub(crate) fn open() -> Bakery {
        Bakery::open_with(|_| ())
    }

    /// Starts a lab with other settings. Needs root.
    pub(crate) fn open_with(change: impl FnOnce(&mut LabConfig)) -> Bakery {
        let mut config = LabConfig::default();
        change(&mut config);
        let lab = Lab::start_with(config, |_| ()).unwrap_or_else(|error| panic!("{error:#}"));
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(lab.endpoint())
            .region(Region::new(lab.up().region.clone()))
            .credentials_provider(Credentials::new("lab", "lab", None, None, "test"))
            .build();
        Bakery {
            agent: None,
            lab,
            kitchen: Kitchen::new(),
            ec2: aws_sdk_ec2::Client::from_conf(config),
        }
    }

    /// Starts a lab whose hosts can run the agent: that of `make dist` on the lab's usual base, if it is as new as the program
    /// that cargo has built; else that program, on a base of this machine's own release. Needs root.
    pub(crate) fn with_agent() -> Bakery {
        let built = Path::new(env!("CARGO_BIN_EXE_baker")).with_file_name("baker-agent");
        let (agent, suite) = match packaged(&built) {
            Some(package) => (package, None),
            None => (built, Some(own_release())),
        };
        assert!(
            agent.is_file(),
            "there is no {}: cargo build --package baker-agent",
            agent.display()
        );
        println!(
            "agent: {} on {}",
            agent.display(),
            suite.as_deref().unwrap_or("the usual base")
        );
        let mut bakery = Bakery::open_with(|config| config.base.suite = suite);
        bakery.agent = Some(agent);
        bakery
    }

    /// `baker`, pointed at the lab.
    pub(crate) fn baker(&self, arguments: &[&str]) -> Command {
        let mut command = self.kitchen.baker(arguments);
        command.envs(self.agent.iter().map(|agent| ("BAKER_AGENT", agent)));
        command.envs(self.lab.env());
        command
    }

    /// Every instance that AWS knows of.
    pub(crate) async fn instances(&self) -> Vec<Instance> {
        self.ec2
            .describe_instances()
            .send()
            .await
            .unwrap()
            .reservations()
            .iter()
            .flat_map(|reservation| reservation.instances().to_vec())
            .collect()
    }

    /// The account's own images.
    pub(crate) async fn images(&self) -> Vec<Image> {
        let answer = self.ec2.describe_images().owners("self").send().await;
        answer.unwrap().images().to_vec()
    }

    /// Asserts that bakes left nothing but these images: no live instance, no group, no other image or snapshot, and
    /// journals that are done.
    pub(crate) async fn holds_only(&self, kept: &[&str]) {
        let alive: Vec<String> = self
            .instances()
            .await
            .iter()
            .filter(|instance| state(instance) != InstanceStateName::Terminated)
            .map(|instance| instance.instance_id().unwrap_or_default().to_owned())
            .collect();
        assert!(alive.is_empty(), "instances live on: {alive:?}");

        let named = Filter::builder()
            .name("group-name")
            .values("baker-*")
            .build();
        let groups = self
            .ec2
            .describe_security_groups()
            .filters(named)
            .send()
            .await;
        let groups = groups.unwrap().security_groups().to_vec();
        assert!(groups.is_empty(), "groups stay: {groups:?}");

        let images = self.images().await;
        let mut ids: Vec<&str> = images.iter().filter_map(Image::image_id).collect();
        let mut kept = kept.to_vec();
        ids.sort_unstable();
        kept.sort_unstable();
        assert_eq!(ids, kept, "images");

        let tagged = Filter::builder()
            .name("tag-key")
            .values("baker:bake-id")
            .build();
        let snapshots = self
            .ec2
            .describe_snapshots()
            .owner_ids("self")
            .filters(tagged)
            .send()
            .await
            .unwrap();
        let of_images: Vec<&str> = images
            .iter()
            .flat_map(Image::block_device_mappings)
            .filter_map(|mapping| mapping.ebs()?.snapshot_id())
            .collect();
        let orphans: Vec<&str> = snapshots
            .snapshots()
            .iter()
            .filter_map(|snapshot| snapshot.snapshot_id())
            .filter(|id| !of_images.contains(id))
            .collect();
        assert!(orphans.is_empty(), "snapshots stay: {orphans:?}");

        for (path, records) in self.kitchen.journals() {
            assert_eq!(records.last(), Some(&Record::Done), "{}", path.display());
            assert!(
                journal::outstanding(&records).is_empty(),
                "{}",
                path.display()
            );
        }
    }
}

/// The agent that was named, or the newest package of `make dist` that is no older than what cargo has built.
fn packaged(built: &Path) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("BAKER_AGENT") {
        return Some(named.into());
    }
    let age = |path: &Path| fs::metadata(path).and_then(|it| it.modified()).ok();
    let folder = built.parent()?.parent()?.join("dist");
    fs::read_dir(folder)
        .ok()?
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "deb") && age(path) >= age(built))
        .max_by_key(|path| age(path))
}

/// What this machine runs.
fn own_release() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    line.unwrap().trim_matches('"').to_owned()
}

/// An instance's state.
pub(crate) fn state(instance: &Instance) -> InstanceStateName {
    instance
        .state()
        .and_then(|state| state.name())
        .cloned()
        .unwrap()
}

/// Awaits a condition by asking again and again, bounded.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    ask: impl FnMut() -> F,
) -> T {
    until_within(WAIT_LIMIT, what, ask).await
}

/// The same, where something takes longer by its nature.
pub(crate) async fn until_within<T, F: Future<Output = Option<T>>>(
    limit: Duration,
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
