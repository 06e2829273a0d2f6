//! A private sshd on a loopback port: its own keys, its own configuration, gone with the value.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use baker::keys::KeyPair;
use baker::ssh::Target;

/// A sshd that can be started late; it ends when the value is dropped.
pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    address: SocketAddr,
    host_key: KeyPair,
    user_key: Arc<KeyPair>,
    child: Option<Child>,
}

impl Sshd {
    /// Reserves a port and writes the configuration; nothing listens yet.
    pub(crate) fn prepare() -> Sshd {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let sshd = Sshd {
            address: port,
            host_key: KeyPair::generate("host").unwrap(),
            user_key: Arc::new(KeyPair::generate("user").unwrap()),
            child: None,
            folder,
        };
        fs::write(sshd.path("authorized_keys"), sshd.user_key.public_openssh()).unwrap();
        sshd.write_private("host_key", sshd.host_key.private_openssh());
        sshd
    }

    /// One that listens already, or will in a moment.
    pub(crate) fn start() -> Sshd {
        let mut sshd = Sshd::prepare();
        sshd.listen("host_key");
        sshd
    }

    /// Starts it with a host key file of its folder.
    pub(crate) fn listen(&mut self, host_key: &str) {
        if is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let config = format!(
            "ListenAddress {}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
             LogLevel VERBOSE\nMaxStartups 100\n",
            self.address,
            self.path(host_key).display(),
            self.path("authorized_keys").display(),
        );
        fs::write(self.path("sshd_config"), config).unwrap();
        let log = fs::File::create(self.path("log")).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd (package openssh-server) starts");
        self.child = Some(child);
    }

    /// The target as baker would have it.
    pub(crate) fn target(&self) -> Target {
        Target {
            address: self.address,
            user: user_name(),
            user_key: Arc::clone(&self.user_key),
            host_key: self.host_key.public_blob().to_vec(),
        }
    }

    /// A file of its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a private key file into its folder.
    pub(crate) fn write_private(&self, name: &str, content: &str) {
        use std::io::Write;
        fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(name))
            .unwrap()
            .write_all(content.as_bytes())
            .unwrap();
    }

    /// What sshd logged.
    #[allow(
        dead_code,
        clippy::allow_attributes,
        reason = "the benchmark does not read it"
    )]
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn is_root() -> bool {
    Path::new("/root").metadata().is_ok() && user_name() == "root"
}

fn user_name() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
