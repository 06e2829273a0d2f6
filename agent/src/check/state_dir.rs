//! Whether the ledger could be kept.

use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::{Finding, Subject};

/// Whether this process's user could write there.
pub(super) fn look(state_dir: &Path) -> Subject {
    Subject {
        name: state_dir.display().to_string(),
        findings: finding(state_dir).into_iter().collect(),
    }
}

fn finding(state_dir: &Path) -> Option<Finding> {
    if state_dir.is_dir() {
        return (!writable(state_dir)).then(|| {
            Finding::problem("this user can't write there: the directory must be the agent's own")
        });
    }
    if state_dir.symlink_metadata().is_ok() {
        return Some(Finding::problem("is no directory"));
    }
    let parent = state_dir.ancestors().skip(1).find(|path| path.exists())?;
    Some(if parent.is_dir() && writable(parent) {
        Finding::note("will be made")
    } else {
        Finding::problem(format!(
            "is not there, and this user can't make it in {}: make it, and give it to the agent's user",
            parent.display()
        ))
    })
}

fn writable(directory: &Path) -> bool {
    let wanted = AccessFlags::W_OK | AccessFlags::X_OK;
    faccessat(AT_FDCWD, directory, wanted, AtFlags::AT_EACCESS).is_ok()
}
