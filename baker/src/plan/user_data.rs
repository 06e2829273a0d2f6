//! The user-data that gives a fresh instance its host key, the bake's key, and an end.

use std::fmt;
use std::time::Duration;

/// What user-data is made of.
pub struct Inputs<'a> {
    /// The user that SSH logs in as.
    pub user: &'a str,
    /// The bake's public key, as one `authorized_keys` line.
    pub authorized_key: &'a str,
    /// The host's private key in OpenSSH's PEM form.
    pub host_private_key: &'a str,
    /// The host's public key, `ssh-ed25519 AAAA…`.
    pub host_public_key: &'a str,
    /// The instance powers itself off when this has passed since boot.
    pub power_off_after: Duration,
}

/// A rendered cloud-config. It holds the host's private key, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData(String);

impl UserData {
    /// The text, for the launch call (which wants it in base64).
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserData({} bytes, not shown)", self.0.len())
    }
}

/// Renders the cloud-config; understood by cloud-init 18 and later.
#[must_use]
pub fn render(inputs: &Inputs<'_>) -> UserData {
    let minutes = inputs.power_off_after.as_secs().div_ceil(60).max(1);
    let mut key = String::new();
    for line in inputs.host_private_key.lines() {
        key.push_str("    ");
        key.push_str(line.trim_end());
        key.push('\n');
    }
    UserData(format!(
        "#cloud-config\n\
         ssh_deletekeys: true\n\
         ssh_pwauth: false\n\
         disable_root: true\n\
         ssh_keys:\n  ed25519_private: |\n{key}  ed25519_public: {host_public}\n\
         users:\n  - default\n  - name: {user}\n    shell: /bin/bash\n    lock_passwd: true\n    \
         sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n    ssh_authorized_keys:\n      - {authorized}\n\
         bootcmd:\n  - [ sh, -c, \"shutdown -P +{minutes}\" ]\n",
        host_public = inputs.host_public_key.trim(),
        user = inputs.user,
        authorized = inputs.authorized_key.trim(),
    ))
}
