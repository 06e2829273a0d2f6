//! Ephemeral ed25519 key pairs: one for the host, one for the user, made before the launch and gone with the process.

use std::fmt;

use rand::TryRngCore;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};
use zeroize::{Zeroize, Zeroizing};

/// A key pair could not be made or written out.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system gave no randomness.
    #[error("the operating system's random generator failed")]
    Random(#[source] rand::rand_core::OsError),
    /// The encoding failed; does not happen for ed25519.
    #[error("an ed25519 key could not be encoded")]
    Encode(#[source] ssh_key::Error),
}

/// An ed25519 key pair in the forms that cloud-init and libssh2 take. The private half is wiped from memory on drop and
/// never shown by `Debug`.
pub struct KeyPair {
    private_openssh: Zeroizing<String>,
    public_openssh: String,
    public_blob: Vec<u8>,
}

impl KeyPair {
    /// A new pair; `comment` goes into the public line (`baker-host`).
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate(comment: &str) -> Result<KeyPair, KeyError> {
        let mut seed = [0u8; 32];
        rand::rngs::OsRng
            .try_fill_bytes(&mut seed)
            .map_err(KeyError::Random)?;
        let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        seed.zeroize();
        key.set_comment(comment);
        let public = key.public_key();
        Ok(KeyPair {
            private_openssh: key.to_openssh(LineEnding::LF).map_err(KeyError::Encode)?,
            public_openssh: public.to_openssh().map_err(KeyError::Encode)?,
            public_blob: public.to_bytes().map_err(KeyError::Encode)?,
        })
    }

    /// The private key as OpenSSH writes it to a file (`-----BEGIN OPENSSH PRIVATE KEY-----`).
    #[must_use]
    pub fn private_openssh(&self) -> &str {
        &self.private_openssh
    }

    /// The public line: `ssh-ed25519 AAAA… comment`.
    #[must_use]
    pub fn public_openssh(&self) -> &str {
        &self.public_openssh
    }

    /// The public key as it goes over the wire in a key exchange.
    #[must_use]
    pub fn public_blob(&self) -> &[u8] {
        &self.public_blob
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("public", &self.public_openssh)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_pair_reads_back_as_one_ed25519_key() {
        let pair = KeyPair::generate("baker-user").unwrap();
        let read = PrivateKey::from_openssh(pair.private_openssh()).unwrap();
        assert_eq!(
            read.public_key().to_openssh().unwrap(),
            pair.public_openssh()
        );
        assert_eq!(read.public_key().to_bytes().unwrap(), pair.public_blob());
        assert!(pair.public_openssh().starts_with("ssh-ed25519 AAAA"));
        assert!(pair.public_openssh().ends_with(" baker-user"));
    }

    #[test]
    fn two_pairs_differ() {
        let (one, other) = (
            KeyPair::generate("").unwrap(),
            KeyPair::generate("").unwrap(),
        );
        assert_ne!(one.public_blob(), other.public_blob());
    }

    #[test]
    fn debug_shows_nothing_of_the_private_half() {
        let pair = KeyPair::generate("x").unwrap();
        let shown = format!("{pair:?}");
        assert!(shown.contains("ssh-ed25519"));
        for line in pair.private_openssh().lines() {
            assert!(!shown.contains(line), "{line}");
        }
    }
}
