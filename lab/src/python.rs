//! Virtual environments with pinned, hashed packages, made once per machine and shared by every lab.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::command::last_lines;

/// The oldest Python that moto 5.2 takes.
const OLDEST_PYTHON: (u32, u32) = (3, 10);
/// A first installation fetches some 60 packages; past this the index is not answering.
const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Written last: an environment without it was interrupted halfway, and is made anew.
const COMPLETE: &str = "complete";
/// How much of a failed command's output goes into its error.
const OUTPUT_LINES: usize = 12;

/// Tells the caller what takes long, one line at a time.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// Why there is no virtual environment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PythonError {
    /// No usable `python3`.
    #[error("python3 could not be started; install it (apt-get install python3 python3-venv)")]
    Missing(#[source] io::Error),
    /// A Python that moto does not take.
    #[error(
        "{found} is too old: moto, which keeps the lab's records, needs Python 3.10 or newer as `python3` on the PATH"
    )]
    TooOld {
        /// What `python3` says of itself.
        found: String,
    },
    /// Python without the part that makes virtual environments.
    #[error(
        "python3 cannot make a virtual environment; install its venv module (apt-get install python3-venv)\n{output}"
    )]
    NoVenv {
        /// The end of what it said.
        output: String,
    },
    /// `pip` could not reach the index that it is configured for.
    #[error(
        "pip could not fetch the pinned packages; check that its package index can be reached from here \
         (`pip config list`, proxy settings) and try again\n{output}"
    )]
    IndexUnreachable {
        /// The end of what it said.
        output: String,
    },
    /// `pip` fetched a file that is not the pinned one.
    #[error("a package is not the one whose hash is pinned; nothing was installed\n{output}")]
    HashMismatch {
        /// The end of what it said.
        output: String,
    },
    /// Any other failure of one of the commands.
    #[error("`{command}` failed ({status})\n{output}")]
    Failed {
        /// The command as it was run.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        output: String,
    },
    /// Installing took longer than it may.
    #[error("`{command}` did not end within {} minutes and was stopped", INSTALL_LIMIT.as_secs() / 60)]
    TimedOut {
        /// The command as it was run.
        command: String,
    },
    /// A file or folder of the cache could not be read or written.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A complete virtual environment.
#[derive(Debug, Clone)]
pub struct Environment {
    root: PathBuf,
}

impl Environment {
    /// The environment holding exactly `requirements` (the text of a requirements file with hashes), made under
    /// `cache_dir` if it is not there yet. `name` tells apart what the cache holds.
    ///
    /// Several processes may ask at once: one makes it, the others wait.
    ///
    /// # Errors
    /// [`PythonError`], each with what to do about it.
    pub async fn prepare(
        cache_dir: &Path,
        name: &str,
        requirements: &str,
        progress: Progress<'_>,
    ) -> Result<Self, PythonError> {
        let python = interpreter().await?;
        let root = cache_dir
            .join("python")
            .join(format!("{name}-{}", key(requirements, &python)));
        let environment = Self { root };
        if environment.is_complete() {
            return Ok(environment);
        }
        let parent = environment.root.parent().unwrap_or(cache_dir);
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        let _lock = lock(environment.root.with_extension("lock")).await?;
        if !environment.is_complete() {
            progress(&format!(
                "installing {name} into a virtual environment (once)"
            ));
            environment.make(requirements).await?;
        }
        Ok(environment)
    }

    /// A program of the environment, such as `python` or `aws`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    fn is_complete(&self) -> bool {
        self.root.join(COMPLETE).is_file()
    }

    // Made in its final place, because the scripts in `bin` name it; the marker says that it is whole.
    async fn make(&self, requirements: &str) -> Result<(), PythonError> {
        if self.root.exists() {
            fs::remove_dir_all(&self.root)
                .map_err(io_error("remove the incomplete", &self.root))?;
        }
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(&self.root);
        run(&mut venv).await.map_err(|error| match error {
            PythonError::Failed { output, .. }
                if output.contains("ensurepip") || output.contains("No module named venv") =>
            {
                PythonError::NoVenv { output }
            }
            other => other,
        })?;

        let file = self.root.join("requirements.txt");
        fs::write(&file, requirements).map_err(io_error("write", &file))?;
        let mut pip = Command::new(self.program("python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
        ]);
        // The file is complete: a dependency that it does not pin must not come in.
        pip.args(["--require-hashes", "--no-deps", "-r"]).arg(&file);
        run(&mut pip).await.map_err(explain_pip)?;

        let marker = self.root.join(COMPLETE);
        File::create(&marker)
            .and_then(|file| file.sync_all())
            .map_err(io_error("write", &marker))
    }
}

fn explain_pip(error: PythonError) -> PythonError {
    match error {
        PythonError::Failed { output, .. } if output.contains("DO NOT MATCH THE HASHES") => {
            PythonError::HashMismatch { output }
        }
        PythonError::Failed { output, .. }
            if [
                "Connection",
                "Max retries",
                "ProxyError",
                "No matching distribution",
                "Name or service not known",
            ]
            .iter()
            .any(|sign| output.contains(sign)) =>
        {
            PythonError::IndexUnreachable { output }
        }
        other => other,
    }
}

/// What `python3` says of itself: version, build and place. Another interpreter needs another environment.
async fn interpreter() -> Result<String, PythonError> {
    let output = Command::new("python3")
        .args(["-I", "-c", "import sys; print(*sys.version_info[:3], sys.implementation.cache_tag, sys.base_prefix)"])
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(PythonError::Missing)?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if is_new_enough(&said) {
        Ok(said)
    } else {
        Err(PythonError::TooOld {
            found: format!("Python {said}"),
        })
    }
}

fn is_new_enough(said: &str) -> bool {
    let mut numbers = said.split(' ').map_while(|word| word.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(OLDEST_PYTHON.0), Some(OLDEST_PYTHON.1))
}

fn key(requirements: &str, python: &str) -> String {
    let digest = Sha256::new()
        .chain_update(requirements)
        .chain_update([0])
        .chain_update(python)
        .finalize();
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn lock(path: PathBuf) -> Result<Flock<File>, PythonError> {
    let taking = tokio::task::spawn_blocking({
        let path = path.clone();
        move || {
            Flock::lock(File::create(path)?, FlockArg::LockExclusive)
                .map_err(|(_, errno)| io::Error::from(errno))
        }
    });
    taking
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(io_error("lock", &path))
}

async fn run(command: &mut Command) -> Result<(), PythonError> {
    let shown = show(command);
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(INSTALL_LIMIT, running)
        .await
        .map_err(|_| PythonError::TimedOut {
            command: shown.clone(),
        })?
        .map_err(PythonError::Missing)?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let output = (String::from_utf8_lossy(&said).into_owned(), output.status);
    Err(PythonError::Failed {
        command: shown,
        status: output.1,
        output: last_lines(&output.0, OUTPUT_LINES),
    })
}

fn show(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PythonError {
    let path = path.to_owned();
    move |source| PythonError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_python_that_moto_cannot_use_is_refused() {
        assert!(!is_new_enough("3 9 18 cpython-39 /usr"));
        assert!(!is_new_enough("2 7 18"));
        assert!(!is_new_enough(""));
        assert!(is_new_enough("3 10 0 cpython-310 /usr"));
        assert!(is_new_enough("3 13 1 cpython-313 /usr"));
    }

    #[test]
    fn another_interpreter_or_other_requirements_need_another_environment() {
        let keys = [
            key("a==1", "3 11 2"),
            key("a==2", "3 11 2"),
            key("a==1", "3 12 0"),
        ];
        assert_eq!(
            keys.iter().collect::<std::collections::BTreeSet<_>>().len(),
            keys.len()
        );
        assert_eq!(key("a==1", "3 11 2"), keys[0]);
    }

    #[test]
    fn a_failure_of_pip_says_whether_the_index_or_the_package_is_at_fault() {
        let failed = |output: &str| PythonError::Failed {
            command: "pip".into(),
            status: ExitStatus::default(),
            output: output.into(),
        };
        assert!(matches!(
            explain_pip(failed(
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE"
            )),
            PythonError::HashMismatch { .. }
        ));
        assert!(matches!(
            explain_pip(failed(
                "ERROR: No matching distribution found for moto==5.2.5"
            )),
            PythonError::IndexUnreachable { .. }
        ));
        assert!(matches!(
            explain_pip(failed("disk full")),
            PythonError::Failed { .. }
        ));
    }

    #[tokio::test]
    async fn a_half_made_environment_is_replaced_once_however_many_want_it() {
        let cache = tempfile::tempdir().unwrap();
        let key = key("", &interpreter().await.unwrap());
        let root = cache.path().join("python").join(format!("none-{key}"));
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/python"), "interrupted here").unwrap();

        let said = AtomicUsize::new(0);
        let count = |_: &str| {
            said.fetch_add(1, Ordering::Relaxed);
        };
        let prepare = || Environment::prepare(cache.path(), "none", "", &count);
        let (one, other) = tokio::join!(prepare(), prepare());
        assert_eq!(said.into_inner(), 1);
        assert_eq!(one.unwrap().root, root);
        let python = std::process::Command::new(other.unwrap().program("python"))
            .args(["-c", "import sys; print(sys.prefix)"])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8(python.stdout).unwrap().trim(),
            root.to_str().unwrap()
        );
    }
}
