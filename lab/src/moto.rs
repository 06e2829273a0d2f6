//! The moto process: AWS's records, kept by a pinned moto with the lab's extension (`lab/moto/lab_moto`).

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::command::last_lines;
use crate::python::{Environment, Progress, PythonError};

const REQUIREMENTS: &str = include_str!("../moto/requirements.txt");

/// The extension's files: the binary carries them, so that a lab needs nothing but itself.
const EXTENSION: &[(&str, &str)] = &[
    ("__init__.py", include_str!("../moto/lab_moto/__init__.py")),
    ("__main__.py", include_str!("../moto/lab_moto/__main__.py")),
    ("catalog.py", include_str!("../moto/lab_moto/catalog.py")),
    ("console.py", include_str!("../moto/lab_moto/console.py")),
    ("control.py", include_str!("../moto/lab_moto/control.py")),
    ("failures.py", include_str!("../moto/lab_moto/failures.py")),
    ("groups.py", include_str!("../moto/lab_moto/groups.py")),
    ("images.py", include_str!("../moto/lab_moto/images.py")),
    (
        "instances.py",
        include_str!("../moto/lab_moto/instances.py"),
    ),
    ("launch.py", include_str!("../moto/lab_moto/launch.py")),
    ("metrics.py", include_str!("../moto/lab_moto/metrics.py")),
    ("network.py", include_str!("../moto/lab_moto/network.py")),
    ("patching.py", include_str!("../moto/lab_moto/patching.py")),
    ("records.py", include_str!("../moto/lab_moto/records.py")),
    ("server.py", include_str!("../moto/lab_moto/server.py")),
    ("states.py", include_str!("../moto/lab_moto/states.py")),
    ("volumes.py", include_str!("../moto/lab_moto/volumes.py")),
];

/// Starting takes about a second; a loaded machine may need many.
const START_LIMIT: Duration = Duration::from_secs(60);
/// moto ends as soon as its standard input closes; it has nothing to save.
const END_LIMIT: Duration = Duration::from_secs(2);
/// How much of moto's log goes into an error.
const LOG_LINES: usize = 12;

/// How to start moto.
#[derive(Debug, Clone)]
pub struct MotoOptions {
    /// Shared by all labs of the machine: the virtual environment and the extension's files.
    pub cache_dir: PathBuf,
    /// moto's output, for when something is wrong.
    pub log: PathBuf,
    /// The /16 network of every default VPC, such as `10.77.0.0/16`.
    pub vpc_cidr: String,
    /// Where each host has a folder, named by its instance id, with its `console.log`.
    pub hosts_dir: PathBuf,
    /// The region that is made ready before the first request; others are made when they are asked for.
    pub region: String,
}

/// Why moto does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MotoError {
    /// Its virtual environment could not be made.
    #[error("moto's virtual environment could not be prepared")]
    Environment(#[from] PythonError),
    /// A file could not be written, or the process not be started.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The process ended instead of listening.
    #[error("moto ended while starting ({status}); its log is {}\n{tail}", log.display())]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// Where its output is.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// The process runs but did not listen in time.
    #[error("moto did not listen within {} s; its log is {}\n{tail}", START_LIMIT.as_secs(), log.display())]
    Silent {
        /// Where its output is.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
}

/// A running moto. Dropping it ends the process; so does the end of this one, whatever the cause.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    /// moto ends when this closes. Kept apart, because waiting for the child would close it.
    stdin: Option<ChildStdin>,
    address: SocketAddr,
}

impl Moto {
    /// Prepares what moto needs (once per machine; `progress` hears about it), starts it and waits until it listens
    /// on the loopback address.
    ///
    /// # Errors
    /// [`MotoError`]; nothing is left running.
    pub async fn start(options: &MotoOptions, progress: Progress<'_>) -> Result<Self, MotoError> {
        let environment =
            Environment::prepare(&options.cache_dir, "moto", REQUIREMENTS, progress).await?;
        let extension = install_extension(&options.cache_dir.join("moto"))?;
        let mut child = spawn(&environment, &extension, options)?;
        match tokio::time::timeout(START_LIMIT, listening_port(&mut child)).await {
            Ok(Some(port)) => Ok(Self {
                stdin: child.stdin.take(),
                child,
                address: (Ipv4Addr::LOCALHOST, port).into(),
            }),
            Ok(None) => {
                let status = child
                    .wait()
                    .await
                    .map_err(io_error("wait for", &options.log))?;
                Err(MotoError::Ended {
                    status,
                    log: options.log.clone(),
                    tail: tail(&options.log),
                })
            }
            Err(_) => Err(MotoError::Silent {
                log: options.log.clone(),
                tail: tail(&options.log),
            }),
        }
    }

    /// Prepares the environment that moto needs, and starts nothing.
    ///
    /// # Errors
    /// [`MotoError::Environment`].
    pub async fn prepare(
        cache_dir: &Path,
        progress: Progress<'_>,
    ) -> Result<Environment, MotoError> {
        Ok(Environment::prepare(cache_dir, "moto", REQUIREMENTS, progress).await?)
    }

    /// Where moto listens: its AWS endpoint and its control API.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// moto's process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until moto ends by itself, which it should not do.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends moto and waits until it is gone.
    pub async fn stop(mut self) {
        drop(self.stdin.take());
        if tokio::time::timeout(END_LIMIT, self.child.wait())
            .await
            .is_err()
        {
            // An error means that it is gone already.
            let _ = self.child.kill().await;
        }
    }
}

fn spawn(
    environment: &Environment,
    extension: &Path,
    options: &MotoOptions,
) -> Result<Child, MotoError> {
    let log = File::create(&options.log).map_err(io_error("write", &options.log))?;
    let python = environment.program("python");
    let mut command = Command::new(&python);
    command
        .args([
            "-m",
            "lab_moto",
            "--vpc-cidr",
            &options.vpc_cidr,
            "--region",
            &options.region,
            "--hosts-dir",
        ])
        .arg(&options.hosts_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        // A Ctrl-C in the terminal is for the lab, which still needs moto to go down in order.
        .process_group(0)
        .kill_on_drop(true)
        // Nothing of the caller's AWS configuration: botocore, inside moto, would obey it.
        .env_clear()
        .env("PYTHONPATH", extension)
        .env("PYTHONNOUSERSITE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("LANG", "C.UTF-8")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.spawn().map_err(io_error("start", &python))
}

/// The port in moto's first line, `listening PORT`; `None` if its output ended without one.
async fn listening_port(child: &mut Child) -> Option<u16> {
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(port) = line.strip_prefix("listening ") {
            return port.parse().ok();
        }
    }
    None
}

/// Writes the extension's files under `parent`, in a folder named after their content, and returns that folder.
fn install_extension(parent: &Path) -> Result<PathBuf, MotoError> {
    let mut digest = Sha256::new();
    for (name, text) in EXTENSION {
        digest.update(name);
        digest.update([0]);
        digest.update(text);
        digest.update([0]);
    }
    let key: String = digest.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let folder = parent.join(key);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(parent).map_err(io_error("create", parent))?;
    let fresh = tempfile::Builder::new()
        .prefix("new-")
        .tempdir_in(parent)
        .map_err(io_error("create a folder in", parent))?;
    let package = fresh.path().join("lab_moto");
    fs::create_dir(&package).map_err(io_error("create", &package))?;
    for (name, text) in EXTENSION {
        let file = package.join(name);
        fs::write(&file, text).map_err(io_error("write", &file))?;
    }
    match fs::rename(fresh.path(), &folder) {
        // Another lab has put the same files there meanwhile.
        Err(_) if folder.is_dir() => {}
        renamed => renamed.map_err(io_error("write", &folder))?,
    }
    Ok(folder)
}

fn tail(log: &Path) -> String {
    last_lines(
        &String::from_utf8_lossy(&fs::read(log).unwrap_or_default()),
        LOG_LINES,
    )
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MotoError {
    let path = path.to_owned();
    move |source| MotoError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_binary_carries_every_file_of_the_extension() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("moto/lab_moto");
        let mut there: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".py"))
            .collect();
        there.sort();
        let carried: Vec<_> = EXTENSION.iter().map(|(name, _)| *name).collect();
        assert_eq!(there, carried);
    }

    #[test]
    fn the_extension_is_installed_once_and_whole() {
        let cache = tempfile::tempdir().unwrap();
        let first = install_extension(cache.path()).unwrap();
        assert_eq!(install_extension(cache.path()).unwrap(), first);
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
        assert_eq!(
            fs::read_dir(first.join("lab_moto")).unwrap().count(),
            EXTENSION.len()
        );
    }
}
