//! SSH to the bake's host, behind [`Host`].
//!
//! The host is known before it exists: its key was made here and given to it through user-data, and no other key is
//! talked to, not even to authenticate. A connection carries one command at a time; whoever needs another at the same
//! time gets a connection of its own, and one that a command left half-way (cancelled, timed out, broken) is dropped
//! and never used again.

mod exec;
mod lines;
mod link;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::link::{Link, LinkError};
use crate::events::Events;
use crate::keys::KeyPair;
use crate::remote::{Command, ExitStatus, Host, HostError, OutputLine};
use crate::wait::{self, Observation, Pace, WaitError};

/// What is seen of a host that no packet comes back from.
pub const NO_ANSWER: &str = "no answer";

/// Whom to connect to, and as whom.
#[derive(Debug)]
pub struct Target {
    /// The host's address and port.
    pub address: SocketAddr,
    /// The user to log in as.
    pub user: String,
    /// The key to log in with.
    pub user_key: Arc<KeyPair>,
    /// The only host key that is accepted, as it goes over the wire.
    pub host_key: Vec<u8>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The bound was reached.
    #[error(transparent)]
    Unreachable(WaitError<std::convert::Infallible>),
    /// Whoever answers is not the host that was launched.
    #[error(
        "{address} shows the host key {shown}, not {expected}, which user-data gave it: either another machine \
         answers at this address, or cloud-init did not run; no login was attempted"
    )]
    WrongHostKey {
        /// Where.
        address: SocketAddr,
        /// What it showed.
        shown: String,
        /// What it was given.
        expected: String,
    },
    /// This machine cannot make SSH connections.
    #[error("an SSH session to {address} cannot be set up on this machine")]
    Unusable {
        /// Where to.
        address: SocketAddr,
        /// What this machine refused.
        #[source]
        source: io::Error,
    },
}

/// Connections to one host.
pub struct Ssh {
    target: Target,
    idle: Mutex<Vec<Link>>,
}

impl std::fmt::Debug for Ssh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ssh")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Ssh {
    /// Connects as soon as the host lets us in. Refused, unanswered, reset, or not let in yet: all that is a host that
    /// is still booting, until `bound` is over.
    ///
    /// # Errors
    /// [`ConnectError::Unreachable`] at the bound; [`ConnectError::WrongHostKey`] at once.
    pub async fn connect(
        target: Target,
        bound: Duration,
        events: &Events,
    ) -> Result<Ssh, ConnectError> {
        let what = format!("SSH on {}", target.address);
        let opened = wait::until(&what, Pace::HOST, bound, events, || async {
            match Link::open(&target).await {
                Ok(link) => Observation::Ready(link),
                Err(LinkError::NotYet(detail)) => Observation::NotYet(detail),
                Err(other) => Observation::Failed(other),
            }
        })
        .await;
        let address = target.address;
        match opened {
            Ok(link) => Ok(Ssh {
                target,
                idle: Mutex::new(vec![link]),
            }),
            Err(WaitError::Failed(LinkError::WrongHostKey { shown })) => {
                Err(ConnectError::WrongHostKey {
                    address,
                    shown,
                    expected: link::fingerprint(&target.host_key),
                })
            }
            Err(WaitError::Failed(LinkError::Unusable(source))) => {
                Err(ConnectError::Unusable { address, source })
            }
            Err(WaitError::Failed(LinkError::NotYet(detail))) => {
                unreachable!("a hiccup is waited out, not returned: {detail}")
            }
            Err(WaitError::TimedOut {
                what,
                bound,
                last_seen,
            }) => Err(ConnectError::Unreachable(WaitError::TimedOut {
                what,
                bound,
                last_seen,
            })),
        }
    }

    /// An idle connection, or a new one.
    async fn link(&self) -> Result<Link, HostError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(link) => Ok(link),
            None => Link::open(&self.target).await.map_err(|error| {
                HostError::Lost(match error {
                    LinkError::NotYet(detail) => io::Error::other(detail),
                    LinkError::WrongHostKey { shown } => {
                        io::Error::other(format!("the host now shows another key: {shown}"))
                    }
                    LinkError::Unusable(error) => error,
                })
            }),
        }
    }
}

impl Host for Ssh {
    async fn run(
        &self,
        command: Command,
        output: &mut (dyn FnMut(OutputLine) + Send),
    ) -> Result<ExitStatus, HostError> {
        let mut link = self.link().await?;
        let status = exec::run(&mut link, command, output).await?;
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(link);
        Ok(status)
    }
}
