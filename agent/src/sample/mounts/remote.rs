//! Mounts that may not answer are asked by threads that may hang.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use super::Space;
use crate::sample::Trouble;

/// So long the agent waits for a file system that was answering so far. One that does not is asked again only after it has answered after
/// all, and nobody waits for that.
const PATIENCE: Duration = Duration::from_millis(50);
/// A thread that does nothing but one system call.
const STACK_BYTES: usize = 64 * 1024;

type Answer = Result<Space, String>;

/// What was asked and not answered yet: one thread a mount at most.
#[derive(Default)]
pub(in crate::sample) struct Remote {
    waiting: HashMap<PathBuf, Receiver<Answer>>,
}

impl Remote {
    /// What `question` says, if it does in time. `path` is the mount it asks.
    pub(super) fn ask(
        &mut self,
        path: &Path,
        question: impl FnOnce() -> Answer + Send + 'static,
    ) -> Result<Space, Trouble> {
        let silent = || Trouble::Silent { path: path.into() };
        let failed = |error| Trouble::Mount {
            path: path.into(),
            error,
        };
        if let Some(answer) = self.waiting.get(path) {
            // An answer to an earlier question is too old; that there is one tells that it can be asked again.
            match answer.try_recv() {
                Err(TryRecvError::Empty) => return Err(silent()),
                Ok(_) | Err(TryRecvError::Disconnected) => drop(self.waiting.remove(path)),
            }
        }
        let (say, answer) = channel();
        thread::Builder::new()
            .name("statvfs".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                // Who asked may have ended.
                let _ = say.send(question());
            })
            .map_err(|error| failed(error.to_string()))?;
        match answer.recv_timeout(PATIENCE) {
            Ok(answer) => answer.map_err(failed),
            Err(RecvTimeoutError::Timeout) => {
                self.waiting.insert(path.into(), answer);
                Err(silent())
            }
            Err(RecvTimeoutError::Disconnected) => Err(failed("the thread broke".into())),
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.waiting.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::Sender;

    use super::*;

    const SPACE: Space = Space {
        total_bytes: 3,
        free_bytes: 2,
        available_bytes: 1,
        inodes: 0,
        inodes_free: 0,
    };

    #[test]
    fn an_answer_is_an_answer() {
        let path = Path::new("/efs");
        let mut remote = Remote::default();
        assert_eq!(remote.ask(path, || Ok(SPACE)), Ok(SPACE));
        assert_eq!(
            remote.ask(path, || Err("Stale file handle".into())),
            Err(Trouble::Mount {
                path: path.into(),
                error: "Stale file handle".into()
            })
        );
    }

    /// Asks for a mount that does not answer before its sender says so; counts how often it was asked.
    fn hangs(asked: &Arc<AtomicUsize>) -> (Sender<()>, impl FnOnce() -> Answer + Send + use<>) {
        let (release, released) = channel();
        let asked = Arc::clone(asked);
        (release, move || {
            asked.fetch_add(1, Ordering::SeqCst);
            let _ = released.recv();
            Ok(SPACE)
        })
    }

    #[test]
    fn one_that_hangs_is_waited_for_once_and_asked_again_when_it_is_back() {
        let path = Path::new("/efs");
        let silent = Err(Trouble::Silent { path: path.into() });
        let asked = Arc::default();
        let mut remote = Remote::default();
        let (release, question) = hangs(&asked);
        assert_eq!(remote.ask(path, question), silent);
        for _ in 0..5 {
            let (_never, question) = hangs(&asked);
            assert_eq!(remote.ask(path, question), silent);
        }
        assert_eq!(
            asked.load(Ordering::SeqCst),
            1,
            "one thread hangs, not one a sample"
        );
        assert_eq!(remote.ask(Path::new("/other"), || Ok(SPACE)), Ok(SPACE));

        drop(release);
        // The thread that hung ends when it is scheduled; until then the mount counts as silent.
        let back = (0..10_000).any(|_| {
            thread::yield_now();
            remote.ask(path, || Ok(SPACE)) == Ok(SPACE)
        });
        assert!(back);
    }
}
