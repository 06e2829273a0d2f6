//! The doorbell: inotify on directories, as a hint that something may have changed.
//!
//! `notify`'s thread sleeps in the kernel until there is an event. Its handler must never wait for the engine, because
//! the engine waits for that thread when it adds a watch.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;

use super::asked::{ALL, Asked, BIRTHS};
use super::births::Births;
use notify::event::ModifyKind;
use notify::{EventKind, INotifyWatcher, RecursiveMode, Watcher};

/// More paths than this between two looks, and everything is looked at.
const PATHS_MAX: usize = 256;

/// What rang since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Rung {
    /// Files, or directories themselves.
    pub(crate) paths: BTreeSet<PathBuf>,
    /// Those of them that were written, or cut. A file of which only the times, the mode or a name changed is not among them.
    pub(crate) written: BTreeSet<PathBuf>,
    /// More than could be remembered, or the kernel's queue overflowed.
    pub(crate) everything: bool,
}

impl Rung {
    fn is_silent(&self) -> bool {
        self.paths.is_empty() && !self.everything
    }
}

/// Why a directory is not watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unwatched {
    /// There is no such directory just now.
    Absent,
    /// inotify refuses; what to say about it.
    Refused(String),
}

/// Rings when something may have changed in a watched directory.
pub(crate) struct Doorbell {
    watcher: Result<INotifyWatcher, String>,
    births: Births,
    /// In place of both, in a simulated world.
    asked: Option<(Asked, Asked)>,
    rung: Arc<Mutex<Rung>>,
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell")
            .field("works", &self.watcher.is_ok())
            .finish()
    }
}

impl Doorbell {
    /// `bell` is called from another thread, once per silence that is broken; it must not block.
    pub(crate) fn new(bell: Arc<dyn Fn() + Send + Sync>) -> Doorbell {
        let rung = Arc::new(Mutex::new(Rung::default()));
        let births = Births::new({
            let (rung, bell) = (Arc::clone(&rung), Arc::clone(&bell));
            Arc::new(move |names| {
                let mut rung = rung.lock().unwrap_or_else(PoisonError::into_inner);
                let was_silent = rung.is_silent();
                note_paths(&mut rung, names);
                let rings = was_silent && !rung.is_silent();
                drop(rung);
                if rings {
                    bell();
                }
            })
        });
        let theirs = Arc::clone(&rung);
        let watcher = INotifyWatcher::new(
            move |event: notify::Result<notify::Event>| {
                let mut rung = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                let was_silent = rung.is_silent();
                note(&mut rung, event);
                let rings = was_silent && !rung.is_silent();
                drop(rung);
                if rings {
                    bell();
                }
            },
            notify::Config::default(),
        )
        .map_err(|error| {
            format!(
                "inotify can't be used ({error}): new lines are found by looking once a second; to have them at once, raise \
                 the limit with `sysctl fs.inotify.max_user_instances=512`"
            )
        });
        Doorbell {
            watcher,
            births,
            asked: None,
            rung,
        }
    }

    /// From now on no thread tells what rang: `listen` does. For a new doorbell.
    pub(crate) fn ask(&mut self) -> std::io::Result<()> {
        self.asked = Some((Asked::new(ALL)?, Asked::new(BIRTHS)?));
        Ok(())
    }

    /// Hears all that happened before, where no thread does so. Whether something rang.
    pub(crate) fn listen(&self) -> bool {
        let Some((all, births)) = &self.asked else {
            return false;
        };
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        for heard in [all.heard(), births.heard()] {
            let written = heard.iter().flatten().filter(|(_, written)| *written);
            rung.written.extend(written.map(|(path, _)| path.clone()));
            let paths = heard.map(|heard| heard.into_iter().map(|(path, _)| path).collect());
            note_paths(&mut rung, paths);
        }
        !rung.is_silent()
    }

    /// What rang since the last call.
    pub(crate) fn take(&self) -> Rung {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if rung.is_silent() {
            return Rung::default();
        }
        std::mem::take(&mut rung)
    }

    /// Whether this path rang since the last call of [`Doorbell::take`].
    #[cfg(test)]
    pub(crate) fn has_rung(&self, path: &Path) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        rung.paths.contains(path)
    }

    /// Begins to watch a directory. What happened before the call is not told.
    pub(crate) fn watch(&mut self, directory: &Path) -> Result<(), Unwatched> {
        if let Some((all, _)) = &mut self.asked {
            return all.watch(directory).map_err(|error| match error {
                Errno::ENOENT => Unwatched::Absent,
                error => Unwatched::Refused(error.to_string()),
            });
        }
        let watcher = match &mut self.watcher {
            Ok(watcher) => watcher,
            Err(why) => return Err(Unwatched::Refused(why.clone())),
        };
        watcher
            .watch(directory, RecursiveMode::NonRecursive)
            .map_err(|error| match error.kind {
                notify::ErrorKind::PathNotFound => Unwatched::Absent,
                notify::ErrorKind::MaxFilesWatch => Unwatched::Refused(
                    "inotify's limit of watches is reached: new lines are found by looking once a second; to have them at \
                     once, raise it with `sysctl fs.inotify.max_user_watches=524288`"
                        .to_owned(),
                ),
                _ => Unwatched::Refused(format!(
                    "inotify can't watch it ({error}): new lines are found by looking once a second"
                )),
            })
    }

    /// Stops watching a directory; it may be gone already.
    pub(crate) fn unwatch(&mut self, directory: &Path) {
        if let Some((all, _)) = &mut self.asked {
            all.unwatch(directory);
        } else if let Ok(watcher) = &mut self.watcher {
            // Gone with its directory, or never watched: both are what was asked for.
            let _ = watcher.unwatch(directory);
        }
    }

    /// Rings for new names in a directory, and for nothing else. Where that is refused, it is only less prompt.
    pub(crate) fn watch_births(&mut self, directory: &Path) {
        match &mut self.asked {
            // Where it is refused, a look at each tick has to do.
            Some((_, births)) => _ = births.watch(directory),
            None => self.births.watch(directory),
        }
    }

    /// Undoes [`Doorbell::watch_births`].
    pub(crate) fn unwatch_births(&mut self, directory: &Path) {
        match &mut self.asked {
            Some((_, births)) => births.unwatch(directory),
            None => self.births.unwatch(directory),
        }
    }
}

/// Opening and closing change nothing; our own reading opens files too.
fn note(rung: &mut Rung, event: notify::Result<notify::Event>) {
    let Ok(event) = event else {
        rung.everything = true;
        return;
    };
    match event.kind {
        EventKind::Access(_) => return,
        _ if event.need_rescan() => rung.everything = true,
        EventKind::Modify(ModifyKind::Data(_)) if !rung.everything => {
            rung.written.extend(event.paths.iter().cloned());
        }
        _ => {}
    }
    note_paths(rung, Some(event.paths));
}

fn note_paths(rung: &mut Rung, paths: Option<Vec<PathBuf>>) {
    let Some(paths) = paths else {
        rung.everything = true;
        return;
    };
    if rung.everything {
        return;
    }
    for path in paths {
        if !rung.paths.contains(&path) {
            rung.paths.insert(path);
        }
    }
    if rung.paths.len() > PATHS_MAX {
        rung.paths.clear();
        rung.written.clear();
        rung.everything = true;
    }
}
