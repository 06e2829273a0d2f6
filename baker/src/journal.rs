//! What a bake has created, on disk before the call that creates it.
//!
//! One file per bake, a JSON record a line. An *intent* names what the next call will make and is flushed to the disk
//! before the call is sent; *created* follows with the id. So whenever the process dies, the file names everything that
//! may exist, and [`cleanup_plan`] derives from it alone what to remove. The file holds no secret. Its lock lives as
//! long as the bake: a sweep can tell a dead bake's journal from a running one's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The version of the format that this program writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// A kind of thing that a bake creates. An image's snapshots belong to the image: they are found by its mappings and
/// by the bake's tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A security group; its name is the group's name.
    SecurityGroup,
    /// An instance with its volumes; its name is the ClientToken of the launch.
    Instance,
    /// An image with its snapshots; its name is the image's name.
    Image,
}

impl Kind {
    /// As messages call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::SecurityGroup => "security group",
            Kind::Instance => "instance",
            Kind::Image => "image",
        }
    }
}

/// One line of a journal. `name` is what makes a thing findable before its id is known, and unique within a bake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The first line.
    Opened {
        /// The format's version.
        version: u32,
        /// The bake's id: the file's name, the tag's value, the root of all names.
        bake_id: String,
        /// Whose everything of this bake is.
        account: String,
        /// Where everything of this bake is.
        region: String,
        /// When the bake began, RFC 3339.
        at: String,
    },
    /// The next call may create this.
    Intent {
        /// What.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// It exists.
    Created {
        /// What.
        kind: Kind,
        /// The intent's name.
        name: String,
        /// Its AWS id.
        id: String,
    },
    /// AWS refused the call: the intent created nothing.
    Refused {
        /// What.
        kind: Kind,
        /// The intent's name.
        name: String,
    },
    /// It was handed to the user as the bake's result and is no longer the bake's to remove.
    Kept {
        /// What.
        kind: Kind,
        /// The intent's name.
        name: String,
    },
    /// It is known to be gone.
    Removed {
        /// What.
        kind: Kind,
        /// The intent's name.
        name: String,
    },
    /// The bake is over and nothing is outstanding.
    Done,
}

/// Something that may exist and belongs to the bake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// What.
    pub kind: Kind,
    /// The intent's name.
    pub name: String,
    /// Its AWS id; without one the process died between intent and answer, and it has to be looked up by its name.
    pub id: Option<String>,
}

/// Everything that may exist after these records, in the order of the intents.
#[must_use]
pub fn outstanding(records: &[Record]) -> Vec<Resource> {
    let mut resources: Vec<Resource> = Vec::new();
    let find = |resources: &[Resource], kind: Kind, name: &str| {
        resources
            .iter()
            .position(|resource| resource.kind == kind && resource.name == name)
    };
    for record in records {
        match record {
            Record::Intent { kind, name } => {
                if find(&resources, *kind, name).is_none() {
                    resources.push(Resource {
                        kind: *kind,
                        name: name.clone(),
                        id: None,
                    });
                }
            }
            Record::Created { kind, name, id } => match find(&resources, *kind, name) {
                Some(at) => resources[at].id = Some(id.clone()),
                // Never written by us without an intent; believing it is the safe side.
                None => resources.push(Resource {
                    kind: *kind,
                    name: name.clone(),
                    id: Some(id.clone()),
                }),
            },
            Record::Refused { kind, name }
            | Record::Kept { kind, name }
            | Record::Removed { kind, name } => {
                if let Some(at) = find(&resources, *kind, name) {
                    resources.remove(at);
                }
            }
            Record::Opened { .. } | Record::Done => {}
        }
    }
    resources
}

/// What to remove, in the order in which AWS allows it: instances first (they hold the security group and feed the
/// image), then images, then groups; within a kind the youngest first.
#[must_use]
pub fn cleanup_plan(records: &[Record]) -> Vec<Resource> {
    let mut plan = outstanding(records);
    plan.reverse();
    plan.sort_by_key(|resource| match resource.kind {
        Kind::Instance => 0,
        Kind::Image => 1,
        Kind::SecurityGroup => 2,
    });
    plan
}

/// A journal could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} the journal {}", .path.display())]
pub struct JournalError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The folder of all journals: `$XDG_STATE_HOME/baker/journal`, else `~/.local/state/baker/journal`. `variable` looks
/// up an environment variable. Nothing when neither variable is an absolute path.
pub fn directory(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("baker/journal"))
}

/// The open journal of a running bake.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    /// Also holds the lock.
    file: File,
    records: Vec<Record>,
}

impl Journal {
    /// Starts the journal of a new bake in `directory`, which is made if it is missing. Returns once the file, its
    /// first record and its directory entry are on the disk.
    ///
    /// # Errors
    /// When a journal of that bake exists already, or the file system refuses.
    pub fn create(
        directory: &Path,
        bake_id: &str,
        account: &str,
        region: &str,
    ) -> Result<Journal, JournalError> {
        let path = directory.join(format!("{bake_id}.jsonl"));
        let create = || -> io::Result<File> {
            create_durably(directory)?;
            let file = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.try_lock()?;
            File::open(directory)?.sync_all()?;
            Ok(file)
        };
        let file = create().map_err(|source| JournalError {
            doing: "create",
            path: path.clone(),
            source,
        })?;
        let journal = Journal {
            path,
            open: Mutex::new(Open {
                file,
                records: Vec::new(),
            }),
        };
        journal.write(Record::Opened {
            version: VERSION,
            bake_id: bake_id.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            at: jiff::Timestamp::now().to_string(),
        })?;
        Ok(journal)
    }

    /// Appends a record and returns once it is on the disk. One write a record, so that only the last line of a
    /// journal can be torn.
    ///
    /// # Errors
    /// When the file system refuses. After a failed intent the creating call must not be made.
    pub fn write(&self, record: Record) -> Result<(), JournalError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut write = || -> io::Result<()> {
            let mut line = serde_json::to_vec(&record)?;
            line.push(b'\n');
            open.file.write_all(&line)?;
            open.file.sync_data()
        };
        write().map_err(|source| JournalError {
            doing: "write to",
            path: self.path.clone(),
            source,
        })?;
        open.records.push(record);
        Ok(())
    }

    /// Writes that the next call may create this.
    ///
    /// # Errors
    /// As [`Journal::write`]; the call must not be made then.
    pub fn intend(&self, kind: Kind, name: &str) -> Result<(), JournalError> {
        self.write(Record::Intent {
            kind,
            name: name.to_owned(),
        })
    }

    /// Writes that it exists.
    ///
    /// # Errors
    /// As [`Journal::write`].
    pub fn created(&self, kind: Kind, name: &str, id: &str) -> Result<(), JournalError> {
        self.write(Record::Created {
            kind,
            name: name.to_owned(),
            id: id.to_owned(),
        })
    }

    /// Writes that the intent certainly created nothing.
    ///
    /// # Errors
    /// As [`Journal::write`].
    pub fn refused(&self, kind: Kind, name: &str) -> Result<(), JournalError> {
        self.write(Record::Refused {
            kind,
            name: name.to_owned(),
        })
    }

    /// Writes that it is the bake's result and stays.
    ///
    /// # Errors
    /// As [`Journal::write`].
    pub fn kept(&self, kind: Kind, name: &str) -> Result<(), JournalError> {
        self.write(Record::Kept {
            kind,
            name: name.to_owned(),
        })
    }

    /// Writes that it is gone.
    ///
    /// # Errors
    /// As [`Journal::write`].
    pub fn removed(&self, kind: Kind, name: &str) -> Result<(), JournalError> {
        self.write(Record::Removed {
            kind,
            name: name.to_owned(),
        })
    }

    /// Everything written so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .records
            .clone()
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder and its missing parents, each for its owner only and each entry flushed to the disk.
fn create_durably(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        create_durably(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        // Another bake made it just now.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// The records of a journal. A torn last line (the process or the machine died while writing it) is left out: its call
/// was never made.
///
/// # Errors
/// When the file cannot be read, when any other line is not a record, or when another version wrote it.
pub fn read(path: &Path) -> Result<Vec<Record>, JournalError> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let parse = || -> io::Result<Vec<Record>> {
        let bytes = fs::read(path)?;
        let mut records = Vec::new();
        let whole = bytes.iter().rposition(|&byte| byte == b'\n');
        let whole = &bytes[..whole.map_or(0, |at| at + 1)];
        for (index, line) in whole.split(|&byte| byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let record = serde_json::from_slice(line)
                .map_err(|error| invalid(format!("line {}: {error}", index + 1)))?;
            if let Record::Opened { version, .. } = &record
                && *version != VERSION
            {
                return Err(invalid(format!(
                    "it has version {version}; this baker reads version {VERSION}"
                )));
            }
            records.push(record);
        }
        Ok(records)
    };
    parse().map_err(|source| JournalError {
        doing: "read",
        path: path.to_owned(),
        source,
    })
}

/// Whether the bake that writes this journal still runs.
///
/// # Errors
/// When the file cannot be opened or locked.
pub fn is_alive(path: &Path) -> Result<bool, JournalError> {
    let probe = || match File::open(path)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    };
    probe().map_err(|source| JournalError {
        doing: "lock",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
