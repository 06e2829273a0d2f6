//! Finding a ledger, and what to do with one that can't be gone on with.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::ledger::State;
use crate::ledger::disk::{Disk, LockError};
use crate::ledger::medium::{Medium, Slot};
use crate::ledger::recover::{self, Found};
use crate::ledger::segment::{self, BODY, Header, MAX_INSTANCE_ID_BYTES};

use super::{Anew, SEGMENT_BYTES, Store};

/// The ledger can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The id of the instance does not fit.
    #[error(
        "the instance id has {0} bytes; a ledger takes 1 to {MAX_INSTANCE_ID_BYTES}: set a shorter one in the configuration"
    )]
    InstanceId(usize),
    /// The directory is not usable, or another agent uses it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A segment can't be read, written or made.
    #[error(
        "cannot {doing} {} in {}: check the disk and the directory's owner, then start again; nothing was changed",
        .slot.file(), .directory.display()
    )]
    Segment {
        /// What was tried.
        doing: &'static str,
        /// With which segment.
        slot: Slot,
        /// Where.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// An open ledger.
#[derive(Debug)]
pub struct Opened {
    /// Where to append.
    pub store: Store,
    /// The account as it stands. Empty when the ledger is fresh, or another instance's.
    pub state: State,
    /// How it was found.
    pub how: How,
}

/// How a ledger was found.
#[derive(Debug)]
pub enum How {
    /// There was none.
    Fresh,
    /// It was there, and whole.
    Resumed,
    /// It was there, and not to be trusted. The part that is certainly true was taken over: nothing is skipped because
    /// of it, but lines that were shipped after it was written may be shipped again. When nothing could be read the
    /// account is empty, and files are begun as on the first start.
    SetAside {
        /// Where its files are kept, from the first commit on.
        to: PathBuf,
        /// What is wrong with it, and what that means, for people.
        why: String,
    },
    /// It is another host's: this disk is a copy of that one's. Before anything else, append all that says which bytes
    /// of the files are that host's, and commit: until then the ledger stays that host's, and is found so again after a
    /// crash.
    OtherInstance {
        /// Whose it is.
        instance_id: String,
        /// That host's account.
        state: Box<State>,
        /// Where its files are kept, from the first commit on.
        to: PathBuf,
    },
}

impl Store {
    /// Opens the ledger in a directory of the disk, or begins one there. Directories are made for the owner alone.
    ///
    /// # Errors
    /// When the directory can't be used, another agent uses it, or a file in it can't be read or made.
    pub fn open(directory: &Path, instance_id: &str) -> Result<Opened, OpenError> {
        check_instance_id(instance_id)?;
        let disk = Disk::open(directory)?;
        Store::open_on(Box::new(disk), directory, instance_id)
    }

    /// The same on any medium; `directory` is for messages.
    ///
    /// # Errors
    /// As [`open`](Store::open).
    pub fn open_on(
        medium: Box<dyn Medium>,
        directory: &Path,
        instance_id: &str,
    ) -> Result<Opened, OpenError> {
        Store::open_sized(medium, directory, instance_id, SEGMENT_BYTES)
    }

    pub(super) fn open_sized(
        mut medium: Box<dyn Medium>,
        directory: &Path,
        instance_id: &str,
        segment_bytes: u64,
    ) -> Result<Opened, OpenError> {
        check_instance_id(instance_id)?;
        let failed = |doing, slot| {
            move |source| OpenError::Segment {
                doing,
                slot,
                directory: directory.to_owned(),
                source,
            }
        };
        let a = medium.read(Slot::A).map_err(failed("read", Slot::A))?;
        let b = medium.read(Slot::B).map_err(failed("read", Slot::B))?;
        let segments = [&a, &b].map(|bytes| bytes.as_deref().unwrap_or_default());
        let size = segments.map(|bytes| bytes.len() as u64);
        let found = recover::recover(a.as_deref(), b.as_deref());
        drop((a, b));

        let mut store = Store {
            medium,
            instance_id: instance_id.to_owned(),
            slot: Slot::A,
            epoch: 0,
            segment_bytes,
            snapshot_bytes: 0,
            size,
            // Where zeros are read, something else may be on the disk.
            used: size,
            synced_to: BODY,
            tail: Vec::new(),
            written: 0,
            pending: Vec::new(),
            anew: None,
            scrub: false,
        };
        match found {
            Found::Nothing => {
                store
                    .begin_with(Slot::A)
                    .and_then(|()| store.blank(Slot::B))
                    .map_err(failed("make", Slot::A))?;
                Ok(store.opened(State::default(), How::Fresh))
            }
            Found::Whole {
                slot,
                header,
                state,
            } if header.instance_id == instance_id => {
                store.slot = slot;
                store.epoch = header.epoch;
                store
                    .renew(&header, &state)
                    .map_err(failed("renew", slot.other()))?;
                Ok(store.opened(state, How::Resumed))
            }
            Found::Whole {
                slot,
                header,
                state,
                ..
            } => Ok(store.of_other(slot, header.epoch, header.instance_id, state)),
            Found::Damaged {
                state,
                instance_id: Some(owner),
                epoch,
                best,
                ..
            } if owner != instance_id => Ok(store.of_other(best, epoch, owner, state)),
            Found::Damaged {
                why,
                state,
                epoch,
                best,
                ..
            } => {
                let to = store
                    .medium
                    .aside(&format!("ledger.corrupt-{}", timestamp()));
                store.epoch = epoch;
                store.anew = Some(Anew {
                    aside: to.clone(),
                    first: best.other(),
                    begun: false,
                });
                segment::encode(&state.snapshot(), &mut store.pending);
                let why = format!("{why}; {}", consequence(&state));
                Ok(store.opened(state, How::SetAside { to, why }))
            }
        }
    }

    /// Brings what was read onto the disk. It may be in the system's memory only, in either segment: the last agent may
    /// have been killed between a write and its sync, or after a sync that failed, when what is read and what a power cut
    /// would leave are two things. So nothing that was read is relied upon before it has been written again.
    fn renew(&mut self, header: &Header, state: &State) -> io::Result<()> {
        // That this is the newer segment is not certain before its header is on the disk; what the header vouches for
        // was there before it. Only then may the other segment be given up.
        self.medium.write(self.slot, 0, &header.encode())?;
        self.medium.sync(self.slot)?;
        // And the other one may have a header on the disk that would vouch for a body which is only half written.
        self.scrub = true;
        self.compact(&state.snapshot())
    }

    fn opened(self, state: State, how: How) -> Opened {
        Opened {
            store: self,
            state,
            how,
        }
    }

    fn of_other(mut self, newest: Slot, epoch: u64, instance_id: String, state: State) -> Opened {
        let to = self
            .medium
            .aside(&format!("ledger.of-{}", file_name(&instance_id)));
        self.epoch = epoch;
        self.anew = Some(Anew {
            aside: to.clone(),
            first: newest.other(),
            begun: false,
        });
        let how = How::OtherInstance {
            instance_id,
            state: Box::new(state),
            to,
        };
        self.opened(State::default(), how)
    }
}

fn check_instance_id(instance_id: &str) -> Result<(), OpenError> {
    match instance_id.len() {
        1..=MAX_INSTANCE_ID_BYTES => Ok(()),
        bytes => Err(OpenError::InstanceId(bytes)),
    }
}

/// What a damaged ledger means for the lines.
fn consequence(state: &State) -> &'static str {
    if state.is_empty() {
        "nothing of it could be taken over, so every file is begun as on the agent's first start: lines may be shipped \
         twice, or skipped where the configuration begins at the end. An agent of the version that wrote the ledger can \
         go on with it: stop this one, move the files back, start that one"
    } else {
        "everything before the damage was taken over, so no line is skipped: those shipped after it was written may be \
         shipped twice. Nothing has to be done; the files are kept for whoever wants to look"
    }
}

/// The present time, as part of a file's name.
fn timestamp() -> String {
    jiff::Timestamp::try_from(SystemTime::now())
        .unwrap_or_default()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}

fn file_name(instance_id: &str) -> String {
    instance_id
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}
