//! Whether something was mounted or unmounted: then paths lead elsewhere, and no directory rings for it.

use std::fs::File;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The table of mounts that this process sees, watched as proc(5) describes it: a change shows as an exceptional condition,
/// once for each open file.
#[derive(Debug)]
pub(crate) struct Mounts {
    table: Option<File>,
}

impl Mounts {
    /// Where there is no such table, nothing is ever told.
    pub(crate) fn new() -> Mounts {
        Mounts {
            table: File::open("/proc/self/mountinfo").ok(),
        }
    }

    /// Whether it changed since it was last asked.
    pub(crate) fn changed(&self) -> bool {
        let Some(table) = &self.table else {
            return false;
        };
        let mut asked = [PollFd::new(table.as_fd(), PollFlags::POLLPRI)];
        let told = poll(&mut asked, PollTimeout::ZERO);
        told.is_ok_and(|count| count > 0)
            && asked[0]
                .revents()
                .is_some_and(|found| found.intersects(PollFlags::POLLPRI | PollFlags::POLLERR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_while_nothing_is_mounted() {
        let mounts = Mounts::new();
        // Another test, or the machine, may mount something: that is told once at most each time.
        let told = (0..1000).filter(|_| mounts.changed()).count();
        assert!(told < 1000, "{told}");
    }
}
