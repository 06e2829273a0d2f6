//! Who rotates: by hand, one way each, and the real logrotate with a configuration.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Copies kept before the oldest would go; none goes in a test, so that whatever is lost was lost by the agent.
const KEPT: u32 = 1000;

/// `access.log` → `access.log.3`.
pub(crate) fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name: OsString = path.into();
    name.push(format!(".{number}"));
    name.into()
}

/// Moves `.1` to `.2` and so on, compressed ones too, the highest first.
pub(crate) fn make_room(path: &Path) {
    let gz = |number| {
        let mut name: OsString = numbered(path, number).into();
        name.push(".gz");
        PathBuf::from(name)
    };
    let mut last = 0;
    while numbered(path, last + 1).exists() || gz(last + 1).exists() {
        last += 1;
    }
    for number in (1..=last).rev() {
        for (from, to) in [
            (numbered(path, number), numbered(path, number + 1)),
            (gz(number), gz(number + 1)),
        ] {
            if from.exists() {
                fs::rename(from, to).unwrap();
            }
        }
    }
}

/// Renames the file to `.1`. Its writer goes on in the renamed file until it is told to open the path again.
pub(crate) fn rename(path: &Path) {
    make_room(path);
    if path.exists() {
        fs::rename(path, numbered(path, 1)).unwrap();
    }
}

/// Copies and truncates while the writer writes: what it writes in between is gone.
pub(crate) fn copy_truncate(path: &Path) {
    make_room(path);
    fs::copy(path, numbered(path, 1)).unwrap();
    truncate(path);
}

/// Cuts the file to nothing, without a copy.
pub(crate) fn truncate(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(0).unwrap();
}

/// A configuration and a state file of their own for the machine's logrotate.
#[derive(Debug)]
pub(crate) struct Logrotate {
    config: PathBuf,
    state: PathBuf,
}

impl Logrotate {
    /// `options` are lines of a logrotate block, such as `copytruncate`.
    pub(crate) fn new(folder: &Path, pattern: &str, options: &[&str]) -> Self {
        let config = folder.join("logrotate.conf");
        let text = format!(
            "{pattern} {{\n  rotate {KEPT}\n  su root root\n  missingok\n  {}\n}}\n",
            options.join("\n  ")
        );
        fs::write(&config, text).unwrap();
        let state = folder.join("logrotate.state");
        Self { config, state }
    }

    /// The program, where there is one.
    pub(crate) fn program() -> Option<PathBuf> {
        [
            "/usr/sbin/logrotate",
            "/usr/bin/logrotate",
            "/sbin/logrotate",
        ]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
    }

    /// Rotates now, whatever the age.
    pub(crate) fn force(&self) {
        let program = Self::program().expect("logrotate is not installed; `make test` installs it");
        let output = Command::new(program)
            .arg("--force")
            .arg("--state")
            .arg(&self.state)
            .arg(&self.config)
            .output()
            .unwrap();
        assert!(output.status.success(), "logrotate failed: {output:?}");
    }
}
