//! The account of a ledger without opening it: nothing is locked, changed or repaired.

use std::fs;
use std::io;
use std::path::Path;

use super::State;
use super::medium::Slot;
use super::recover::{self, Found};

/// A ledger as it lies on the disk.
#[derive(Debug)]
pub struct Peeked {
    /// Whose it is; `None` if that can't be read.
    pub instance_id: Option<String>,
    /// The account; of a damaged ledger the part that is certainly true.
    pub state: State,
    /// What is wrong with it, if anything is.
    pub damage: Option<String>,
}

/// Whether there is a ledger in a directory, whole or not.
#[must_use]
pub fn is_there(directory: &Path) -> bool {
    [Slot::A, Slot::B]
        .into_iter()
        .any(|slot| directory.join(slot.file()).exists())
}

/// Reads the ledger in a directory; `None` if there is none. While an agent works there, the account may be older than
/// that agent's, and seem damaged at its end.
///
/// # Errors
/// When a file is there and can't be read.
pub fn peek(directory: &Path) -> io::Result<Option<Peeked>> {
    let read = |slot: Slot| match fs::read(directory.join(slot.file())) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let (a, b) = (read(Slot::A)?, read(Slot::B)?);
    Ok(match recover::recover(a.as_deref(), b.as_deref()) {
        Found::Nothing => None,
        Found::Whole { header, state, .. } => Some(Peeked {
            instance_id: Some(header.instance_id),
            state,
            damage: None,
        }),
        Found::Damaged {
            why,
            state,
            instance_id,
            ..
        } => Some(Peeked {
            instance_id,
            state,
            damage: Some(why),
        }),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::ledger::Store;

    #[test]
    fn a_ledger_is_seen_without_being_touched_even_while_it_is_open() {
        let directory = tempfile::tempdir().unwrap();
        assert!(peek(directory.path()).unwrap().is_none());
        let opened = Store::open(directory.path(), "i-1").unwrap();
        let before = fs::read(directory.path().join("ledger.a")).unwrap();
        let peeked = peek(directory.path()).unwrap().unwrap();
        assert_eq!(peeked.instance_id.as_deref(), Some("i-1"));
        assert_eq!((peeked.state, peeked.damage), (opened.state, None));
        assert_eq!(fs::read(directory.path().join("ledger.a")).unwrap(), before);
    }

    #[test]
    fn damage_is_told_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        drop(Store::open(directory.path(), "i-1").unwrap());
        fs::write(directory.path().join("ledger.a"), b"no ledger").unwrap();
        let peeked = peek(directory.path()).unwrap().unwrap();
        assert!(peeked.damage.is_some());
        assert_eq!(
            fs::read(directory.path().join("ledger.a")).unwrap(),
            b"no ledger"
        );
    }
}
