//! inotify without a thread: whoever asks hears all that happened before. For a simulated world, where what is heard must not depend on
//! how busy the machine is.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// What is told of a directory that is watched: the same as by `notify`, but for what only opens and closes.
pub(super) const ALL: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVE_SELF);
/// What is told of one that is busy: new names.
pub(super) const BIRTHS: AddWatchFlags = AddWatchFlags::IN_CREATE.union(AddWatchFlags::IN_MOVED_TO);

/// One inotify instance.
pub(super) struct Asked {
    inotify: Inotify,
    events: AddWatchFlags,
    paths: HashMap<WatchDescriptor, PathBuf>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}

impl Asked {
    pub(super) fn new(events: AddWatchFlags) -> nix::Result<Asked> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        Ok(Asked {
            inotify: Inotify::init(flags)?,
            events,
            paths: HashMap::new(),
        })
    }

    pub(super) fn watch(&mut self, directory: &Path) -> nix::Result<()> {
        let descriptor = self.inotify.add_watch(directory, self.events)?;
        self.paths.insert(descriptor, directory.to_path_buf());
        Ok(())
    }

    pub(super) fn unwatch(&mut self, directory: &Path) {
        let inotify = &self.inotify;
        self.paths.retain(|&descriptor, path| {
            let stays = path != directory;
            if !stays {
                // It is gone already where its directory is.
                let _ = inotify.rm_watch(descriptor);
            }
            stays
        });
    }

    /// What happened since the last call: paths, and whether they were written. `None` where some of it was missed.
    pub(super) fn heard(&self) -> Option<Vec<(PathBuf, bool)>> {
        let mut heard = Vec::new();
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return Some(heard),
                Err(_) => return None,
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    return None;
                }
                let Some(directory) = self.paths.get(&event.wd) else {
                    continue;
                };
                let path = event
                    .name
                    .map_or_else(|| directory.clone(), |name| directory.join(name));
                heard.push((path, event.mask.contains(AddWatchFlags::IN_MODIFY)));
            }
        }
    }
}
