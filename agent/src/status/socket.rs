//! `status.sock` in the state directory: whoever connects is sent one JSON document, and that is all.
//!
//! Of very many files a report is long. It is written piece by piece while it is made, on a thread of its own, so that the document is never in memory
//! as a whole and no line waits for its reader. A document that breaks off is none, so a report is whole, or its reader is told that it is not.

use std::future::Future;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::net::UnixListener;

use super::Status;

/// The socket's name in the state directory.
pub const NAME: &str = "status.sock";

/// For a reader that does not read, or an agent that does not answer: so long it may take to go on.
const PATIENCE: Duration = Duration::from_secs(5);
/// For all of it, so that a reader that goes on by single bytes does not keep others from asking for ever.
const LONGEST: Duration = Duration::from_secs(60);
/// The document is written in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;

/// The socket of a running agent. It is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Opens the socket, for its owner only. The caller holds the state directory's lock, so one
    /// that is there already belongs to a process that is gone. Needs a tokio runtime.
    ///
    /// # Errors
    /// When it can't be made there.
    pub fn open(state_dir: &Path) -> Result<Self, SocketError> {
        let path = state_dir.join(NAME);
        let open = || {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        match open() {
            Ok(listener) => Ok(Self { listener, path }),
            Err(source) => Err(SocketError { path, source }),
        }
    }

    /// Answers whoever connects, one after the other, with what `report` tells; costs nothing in
    /// between. Never ends by itself.
    pub async fn serve<F: Future<Output = Option<Status>>>(self, report: impl Fn() -> F) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of descriptors: the next one may find some again.
                tokio::time::sleep(PATIENCE).await;
                continue;
            };
            let Ok(Some(status)) = tokio::time::timeout(PATIENCE, report()).await else {
                continue;
            };
            let Ok(stream) = stream.into_std() else {
                continue;
            };
            // A reader that went away is nobody's problem.
            let _ = tokio::task::spawn_blocking(move || send(stream, &status)).await;
        }
    }
}

/// Writes the document, as far as its reader takes it in time.
fn send(stream: UnixStream, status: &Status) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let until = Instant::now() + LONGEST;
    let mut out = BufWriter::with_capacity(PIECE_BYTES, Bounded { stream, until });
    serde_json::to_writer(&mut out, status)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// A stream that is given up at an instant.
struct Bounded {
    stream: UnixStream,
    until: Instant,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Instant::now() < self.until {
            true => self.stream.write(bytes),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The socket can't be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {}: `baker-agent status` will show the ledger on disk only", path.display())]
pub struct SocketError {
    path: PathBuf,
    source: io::Error,
}

/// Asks the agent that works in this state directory; `None` if none does.
///
/// # Errors
/// When one may be there but does not tell.
pub fn ask(state_dir: &Path) -> Result<Option<Status>, AskError> {
    let path = state_dir.join(NAME);
    let mut stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                // What a process leaves that was killed refuses connections.
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                io::ErrorKind::PermissionDenied => Err(AskError::Denied { path }),
                _ => Err(AskError::Silent {
                    path,
                    source: error,
                }),
            };
        }
    };
    let mut text = String::new();
    let read = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.read_to_string(&mut text));
    match read {
        Err(source) => Err(AskError::Silent { path, source }),
        Ok(bytes) => match serde_json::from_str(&text) {
            Ok(status) => Ok(Some(status)),
            Err(error) if error.is_eof() => Err(AskError::Cut { path, bytes }),
            Err(source) => Err(AskError::Garbled { path, source }),
        },
    }
}

/// Why a running agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The socket belongs to somebody else.
    #[error("{} is for the agent's user and root only: try `sudo baker-agent status`", path.display())]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// No answer.
    #[error("the agent at {} does not answer: look at its log (`journalctl -u baker-agent`)", path.display())]
    Silent {
        /// The socket.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// An answer that breaks off.
    #[error(
        "the answer of the agent at {} breaks off after {bytes} bytes: it has ended meanwhile, or this host is very busy; try again",
        path.display()
    )]
    Cut {
        /// The socket.
        path: PathBuf,
        /// How much came.
        bytes: usize,
    },
    /// An answer that this version does not understand.
    #[error("the agent at {} answers in a way unknown to this version: use the binary that runs", path.display())]
    Garbled {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
