//! One SSH connection: made, proven to end at our host, logged in.
//!
//! libssh2 runs in its non-blocking mode on the connection's own socket; whenever it would block, the task waits for
//! the socket in the direction that libssh2 names.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ssh2::{BlockDirections, ErrorCode, MethodType, Session};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::{NO_ANSWER, Target};

/// How long a SYN may stay unanswered. The kernel repeats it after one second; a fresh attempt takes over after the next.
const TCP_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For key exchange and login: a small instance that is still booting can take seconds for them.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(20);

/// libssh2's names for what went wrong (`libssh2.h`).
mod code {
    pub(super) const AUTHENTICATION_FAILED: i32 = -18;
    pub(super) const PUBLICKEY_UNVERIFIED: i32 = -19;
    pub(super) const EAGAIN: i32 = -37;
}

/// Algorithms by preference. All of them are in OpenSSH 7.6 and later; the host key's is the only one we made a key for.
const METHODS: [(MethodType, &str); 4] = [
    (MethodType::HostKey, "ssh-ed25519"),
    (
        MethodType::Kex,
        "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256",
    ),
    (
        MethodType::CryptCs,
        "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes256-ctr",
    ),
    (
        MethodType::CryptSc,
        "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes256-ctr",
    ),
];

/// Why a connection was not made.
#[derive(Debug)]
pub(super) enum LinkError {
    /// Another attempt may succeed: the host is still booting, or the network had a hiccup.
    NotYet(String),
    /// The host showed another key than the one made for it.
    WrongHostKey {
        /// `SHA256:…` of the key that it showed.
        shown: String,
    },
    /// This machine cannot do it at all.
    Unusable(io::Error),
}

/// A logged-in connection.
pub(super) struct Link {
    session: Session,
    socket: TcpStream,
    /// When the socket last had something for us.
    pub(super) last_heard: Instant,
}

impl Link {
    /// Makes one attempt.
    pub(super) async fn open(target: &Target) -> Result<Link, LinkError> {
        let socket = connect(target.address).await?;
        let mut link = Link::over(socket).map_err(LinkError::Unusable)?;
        match tokio::time::timeout(LOGIN_TIMEOUT, link.log_in(target)).await {
            Ok(result) => result.map(|()| link),
            Err(_) => Err(LinkError::NotYet(format!(
                "the port is open, but no SSH login within {} s",
                LOGIN_TIMEOUT.as_secs()
            ))),
        }
    }

    fn over(socket: TcpStream) -> io::Result<Link> {
        let mut session = Session::new()?;
        session.set_tcp_stream(socket.as_fd().try_clone_to_owned()?);
        session.set_blocking(false);
        for (kind, names) in METHODS {
            session.method_pref(kind, names)?;
        }
        Ok(Link {
            session,
            socket,
            last_heard: Instant::now(),
        })
    }

    async fn log_in(&mut self, target: &Target) -> Result<(), LinkError> {
        self.retry(|session| session.clone().handshake())
            .await
            .map_err(|error| LinkError::NotYet(format!("SSH handshake: {error}")))?;
        let shown = self.session.host_key().map_or(&[][..], |(blob, _)| blob);
        if shown != target.host_key.as_slice() {
            return Err(LinkError::WrongHostKey {
                shown: fingerprint(shown),
            });
        }
        let key = &target.user_key;
        self.retry(|session| {
            session.userauth_pubkey_memory(&target.user, None, key.private_openssh(), None)
        })
        .await
        .map_err(|error| {
            let known = error.get_ref().and_then(|inner| inner.downcast_ref());
            match known.map(ssh2::Error::code) {
                // The account or its authorized_keys is not there yet: cloud-init is still at it.
                Some(ErrorCode::Session(
                    code::AUTHENTICATION_FAILED | code::PUBLICKEY_UNVERIFIED,
                )) => LinkError::NotYet(format!("user {} is not let in yet", target.user)),
                _ => LinkError::NotYet(format!("SSH login: {error}")),
            }
        })
    }

    /// The session, for calls that [`Link::retry`] does not fit. They must be ready to see `WouldBlock`.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Repeats a libssh2 call until it no longer would block.
    pub(super) async fn retry<T>(
        &mut self,
        mut call: impl FnMut(&Session) -> Result<T, ssh2::Error>,
    ) -> io::Result<T> {
        loop {
            match call(&self.session) {
                Err(error) if error.code() == ErrorCode::Session(code::EAGAIN) => {
                    self.ready().await?;
                }
                other => return other.map_err(io::Error::other),
            }
        }
    }

    /// Whether a packet of ours is stuck half-sent; the call that sent it has to be repeated before any other sends.
    pub(super) fn is_sending(&self) -> bool {
        matches!(
            self.session.block_directions(),
            BlockDirections::Outbound | BlockDirections::Both
        )
    }

    /// Waits until the socket can do what libssh2 last waited for. Call it only after `WouldBlock`, and make the call
    /// again afterwards: readiness is cleared here, so what arrives in between is not missed.
    pub(super) async fn ready(&mut self) -> io::Result<()> {
        let wanted = if self.is_sending() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let ready = self.socket.ready(wanted).await?;
        if ready.is_readable() {
            self.last_heard = Instant::now();
            self.clear(Interest::READABLE);
        }
        if ready.is_writable() {
            self.clear(Interest::WRITABLE);
        }
        Ok(())
    }

    /// Forgets a readiness: libssh2 has found, or will find, on its own descriptor when it is over.
    fn clear(&self, readiness: Interest) {
        let blocked = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = self.socket.try_io(readiness, blocked);
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, LinkError> {
    match tokio::time::timeout(TCP_CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Err(_) => Err(LinkError::NotYet(NO_ANSWER.into())),
        Ok(Err(error)) => Err(LinkError::NotYet(match error.kind() {
            // The common ones in words without an error number.
            io::ErrorKind::ConnectionRefused => "connection refused".into(),
            io::ErrorKind::HostUnreachable => "no route to the host".into(),
            io::ErrorKind::NetworkUnreachable => "no route to the network".into(),
            _ => error.to_string(),
        })),
        Ok(Ok(stream)) => {
            stream.set_nodelay(true).map_err(LinkError::Unusable)?;
            Ok(stream)
        }
    }
}

/// As `ssh-keygen -l` shows it.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    match ssh_key::PublicKey::from_bytes(blob) {
        Ok(key) => key.fingerprint(ssh_key::HashAlg::Sha256).to_string(),
        Err(_) => String::from("a key of unknown form"),
    }
}
