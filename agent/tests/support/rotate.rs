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

/// Which logrotate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// This machine's.
    Today,
    /// 3.11, which Ubuntu 18.04 has; `scripts/deps.sh` fetches it.
    Bionic,
}

impl Version {
    /// The program, where there is one.
    pub(crate) fn program(self) -> Option<PathBuf> {
        let here = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let places = match self {
            Version::Today => vec![
                "/usr/sbin/logrotate".into(),
                "/usr/bin/logrotate".into(),
                "/sbin/logrotate".into(),
            ],
            Version::Bionic => vec![
                here.with_file_name("logrotate-3.11")
                    .join("usr/sbin/logrotate"),
            ],
        };
        places.into_iter().find(|path: &PathBuf| {
            // Its libraries may be of other versions here.
            let said = Command::new(path).arg("--version").output();
            said.is_ok_and(|said| said.status.success())
        })
    }
}

/// A configuration and a state file of their own for a logrotate.
#[derive(Debug)]
pub(crate) struct Logrotate {
    program: PathBuf,
    config: PathBuf,
    state: PathBuf,
}

impl Logrotate {
    /// This machine's. `options` are lines of a logrotate block, such as `copytruncate`.
    pub(crate) fn new(folder: &Path, pattern: &str, options: &[&str]) -> Self {
        let program = Version::Today
            .program()
            .expect("logrotate is not installed; `make test` installs it");
        let text = format!("  rotate {KEPT}\n  missingok\n  {}", options.join("\n  "));
        Self::of(&program, folder, pattern, &text)
    }

    /// Of one program, with this block.
    pub(crate) fn of(program: &Path, folder: &Path, pattern: &str, block: &str) -> Self {
        let config = folder.join("logrotate.conf");
        let text = format!("{pattern} {{\n  su root root\n{block}\n}}\n");
        fs::write(&config, text).unwrap();
        let state = folder.join("logrotate.state");
        let program = program.to_owned();
        Self {
            program,
            config,
            state,
        }
    }

    /// Rotates now, whatever the age.
    pub(crate) fn force(&self) {
        let said = self.run(true);
        assert!(said.is_ok(), "logrotate failed: {said:?}");
    }

    /// Rotates what is to be rotated, or all of it, and tells what it complained about.
    pub(crate) fn run(&self, force: bool) -> Result<(), String> {
        let output = Command::new(&self.program)
            .args(force.then_some("--force"))
            .arg("--state")
            .arg(&self.state)
            .arg(&self.config)
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}
