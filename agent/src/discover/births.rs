//! New names in busy directories.
//!
//! A busy directory is looked at each tick rather than watched, for every write would ring. A copy that is made of a
//! file in it is another matter: it has to be noticed at once, because the file will be truncated next. So new names,
//! and nothing else, still ring. That costs nothing while there are none.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

/// A line of the directory's own path and a name fit many times; the thread does no more than pass them on.
const STACK_BYTES: usize = 64 * 1024;

/// Told from another thread: new names, or `None` when some were missed.
pub(crate) type Told = Arc<dyn Fn(Option<Vec<PathBuf>>) + Send + Sync>;

/// Tells new names in the directories it watches.
pub(crate) struct Births {
    /// None until it is needed, and where the system refuses: then a look at each tick has to do.
    watch: Option<Arc<Watch>>,
    told: Told,
}

/// Directories by what inotify calls them, and the other way round.
#[derive(Default)]
struct Watched {
    paths: HashMap<WatchDescriptor, PathBuf>,
    descriptors: HashMap<PathBuf, WatchDescriptor>,
}

struct Watch {
    inotify: Inotify,
    directories: Mutex<Watched>,
    /// A watch that is never told; taking it away wakes the thread.
    end: WatchDescriptor,
    ended: AtomicBool,
}

impl fmt::Debug for Births {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Births")
            .field("runs", &self.watch.is_some())
            .finish()
    }
}

impl Births {
    pub(crate) fn new(told: Told) -> Births {
        Births { watch: None, told }
    }

    /// Begins to tell new names in a directory. Where the system refuses, nothing is told.
    pub(crate) fn watch(&mut self, directory: &Path) {
        if self.watch.is_none() {
            self.watch = Watch::start(&self.told).ok();
        }
        let Some(watch) = &self.watch else {
            return;
        };
        let events =
            AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
        // Held meanwhile, so that the first name is not told before the directory is known.
        let mut directories = watch.directories();
        if let Ok(descriptor) = watch.inotify.add_watch(directory, events) {
            directories
                .paths
                .insert(descriptor, directory.to_path_buf());
            let path = directory.to_path_buf();
            directories.descriptors.insert(path, descriptor);
        }
    }

    /// Tells no more of a directory.
    pub(crate) fn unwatch(&mut self, directory: &Path) {
        let Some(watch) = &self.watch else {
            return;
        };
        let mut directories = watch.directories();
        if let Some(descriptor) = directories.descriptors.remove(directory) {
            directories.paths.remove(&descriptor);
            // It is gone already where its directory is.
            let _ = watch.inotify.rm_watch(descriptor);
        }
    }
}

impl Drop for Births {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.ended.store(true, Ordering::Release);
            // Nothing else is to be done if it fails: the thread holds nothing but the watch itself.
            let _ = watch.inotify.rm_watch(watch.end);
        }
    }
}

impl Watch {
    fn start(told: &Told) -> nix::Result<Arc<Watch>> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
        let end = inotify.add_watch("/", AddWatchFlags::IN_DELETE_SELF)?;
        let watch = Arc::new(Watch {
            inotify,
            directories: Mutex::default(),
            end,
            ended: AtomicBool::new(false),
        });
        let (theirs, told) = (Arc::clone(&watch), Arc::clone(told));
        std::thread::Builder::new()
            .name("new-names".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || theirs.run(&told))
            .map_err(|_| Errno::EAGAIN)?;
        Ok(watch)
    }

    fn directories(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, told: &Told) {
        loop {
            let events = match self.inotify.read_events() {
                Err(Errno::EINTR) => continue,
                Err(_) => return,
                Ok(events) => events,
            };
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            if events
                .iter()
                .any(|event| event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW))
            {
                told(None);
                continue;
            }
            let names: Vec<PathBuf> = events.iter().filter_map(|event| self.path(event)).collect();
            if !names.is_empty() {
                told(Some(names));
            }
        }
    }

    fn path(&self, event: &InotifyEvent) -> Option<PathBuf> {
        let name = event.name.as_ref()?;
        Some(self.directories().paths.get(&event.wd)?.join(name))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;
    use std::io::Write as _;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn new_names_are_told_and_writes_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = fs::File::create(folder.path().join("a.log")).unwrap();
        let (sender, told) = mpsc::channel();
        let mut births = Births::new(Arc::new(move |names| {
            let _ = sender.send(names);
        }));
        births.watch(folder.path());
        writeln!(log, "a line").unwrap();
        fs::write(folder.path().join("a.log.1"), "").unwrap();
        let first = told.recv().unwrap().unwrap();
        assert_eq!(first, [folder.path().join("a.log.1")]);
        fs::rename(folder.path().join("a.log.1"), folder.path().join("a.log.2")).unwrap();
        let second = told.recv().unwrap().unwrap();
        assert_eq!(second, [folder.path().join("a.log.2")]);
        births.unwatch(folder.path());
        fs::write(folder.path().join("a.log.3"), "").unwrap();
        drop(births);
        // The thread has ended, and let go of its end of the channel, without another word.
        assert!(told.recv().is_err());
    }
}
