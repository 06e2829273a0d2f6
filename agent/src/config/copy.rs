//! The last configuration of a parameter that held, kept in a file: a host that boots without a network goes on with it.
//!
//! The first line is a comment that names the parameter and its version; what follows is the parameter's value as it was.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file's name.
const FILE: &str = "parameter.toml";
const NEW: &str = "parameter.toml.new";
/// Before the parameter's name in the first line; behind that, ` version ` and its number.
const HEAD: &str = "# ssm:";
const VERSION: &str = " version ";

/// A parameter's value at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Which version of the parameter.
    pub version: i64,
    /// What it says.
    pub text: String,
}

/// Where copies are kept.
#[derive(Debug, Clone)]
pub struct Copies {
    directory: PathBuf,
}

/// A copy that can't be kept.
#[derive(Debug, thiserror::Error)]
#[error(
    "can't keep a copy of the configuration in {}, so a boot without a network would wait for one: make room there, or let the agent's user write",
    directory.display()
)]
pub struct CopyError {
    directory: PathBuf,
    source: io::Error,
}

impl Copies {
    /// In that directory, which is made for the owner alone when it is needed.
    #[must_use]
    pub fn within(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The copy of this parameter; `None` if there is none, or none that can be read.
    #[must_use]
    pub fn find(&self, parameter: &str) -> Option<Value> {
        let kept = fs::read_to_string(self.directory.join(FILE)).ok()?;
        let (head, text) = kept.split_once('\n')?;
        let (name, version) = head.strip_prefix(HEAD)?.rsplit_once(VERSION)?;
        (name == parameter).then_some(Value {
            version: version.parse().ok()?,
            text: text.to_owned(),
        })
    }

    /// Keeps this value in place of the one before, durably: after a crash one of the two is there, whole.
    ///
    /// # Errors
    /// When it can't be written; the copy before stays.
    pub fn keep(&self, parameter: &str, value: &Value) -> Result<(), CopyError> {
        if self.find(parameter).as_ref() == Some(value) {
            return Ok(());
        }
        let text = format!(
            "{HEAD}{parameter}{VERSION}{}\n{}",
            value.version, value.text
        );
        write(&self.directory, &text).map_err(|source| CopyError {
            directory: self.directory.clone(),
            source,
        })
    }
}

fn write(directory: &Path, text: &str) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let new = directory.join(NEW);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn value(version: i64, text: &str) -> Value {
        Value {
            version,
            text: text.into(),
        }
    }

    #[test]
    fn what_was_kept_is_found_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let copies = Copies::within(directory.path().join("state"));
        assert_eq!(copies.find("/a"), None);
        for value in [value(1, "[agent]\n\n# é"), value(12, ""), value(3, "x\r\n")] {
            copies.keep("/a", &value).unwrap();
            assert_eq!(copies.find("/a"), Some(value));
        }
        let file = directory.path().join("state").join(FILE);
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn another_parameters_copy_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let copies = Copies::within(directory.path().to_owned());
        copies.keep("/a version 1", &value(7, "x")).unwrap();
        assert_eq!(copies.find("/a"), None);
        assert_eq!(copies.find("/a version 1"), Some(value(7, "x")));
    }

    #[test]
    fn what_is_no_copy_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let copies = Copies::within(directory.path().to_owned());
        for text in ["", "[agent]\n", "# ssm:/a\n", "# ssm:/a version x\n"] {
            fs::write(directory.path().join(FILE), text).unwrap();
            assert_eq!(copies.find("/a"), None, "{text:?}");
        }
    }

    #[test]
    fn a_half_written_copy_leaves_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let copies = Copies::within(directory.path().to_owned());
        copies.keep("/a", &value(1, "x")).unwrap();
        // The place of the new one is taken by something that can't be written.
        fs::create_dir(directory.path().join(NEW)).unwrap();
        let error = copies.keep("/a", &value(2, "y")).unwrap_err();
        assert!(error.to_string().contains("make room"), "{error}");
        assert_eq!(copies.find("/a"), Some(value(1, "x")));
    }
}
