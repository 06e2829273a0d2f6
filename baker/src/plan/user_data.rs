//! The user-data that gives a fresh instance its host key, the bake's key, and an end.

use std::fmt;
use std::time::Duration;

use serde_json::json;

/// EC2 takes this much user-data, before base64.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html>
pub const MAX_BYTES: usize = 16 * 1024;

/// Keeps the agent from starting until the next boot. A setting in /run, so that no image has it; a condition rather than a
/// mask, so that the unit can be installed and enabled.
const HOLD_AGENT_BACK: &str = "mkdir -p /run/systemd/system/baker-agent.service.d && \
    printf '[Unit]\\nConditionPathExists=/run/baker-agent-may-run\\n' >/run/systemd/system/baker-agent.service.d/90-baking.conf && \
    systemctl daemon-reload";

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
    /// The host is there to be baked: its agent, if the source image has one, ships nothing.
    pub hold_agent_back: bool,
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

/// Renders the cloud-config, for cloud-init 18 and later.
///
/// `bootcmd` runs before any ordinary service, so an agent that is held back has not begun.
///
/// It is written as JSON, which is YAML with only one way to quote. `default` stays among the
/// users, so that the image has the distribution's own user as its other hosts do; if that is the
/// one that logs in, cloud-init merges the two. The end of the host is a timer that `bootcmd` sets
/// up before anything else can go wrong, on every boot; it must not be waited for, because timers
/// start only after the boot stage that `bootcmd` is part of.
#[must_use]
pub fn render(inputs: &Inputs<'_>) -> UserData {
    let deadline = json!([
        "systemd-run",
        "--no-block",
        "--unit=baker-deadline",
        // A timer waits for sysinit.target by default, sysinit.target for this command, and Ubuntu 18.04's
        // systemd-run for the timer, --no-block or not: the host would never finish booting.
        "--timer-property=DefaultDependencies=no",
        format!("--on-active={}", inputs.power_off_after.as_secs()),
        "systemctl",
        "poweroff",
    ]);
    let mut bootcmd = vec![deadline];
    if inputs.hold_agent_back {
        bootcmd.push(json!(["sh", "-c", HOLD_AGENT_BACK]));
    }
    let pem = format!("{}\n", inputs.host_private_key.trim_end());
    let config = json!({
        "ssh_deletekeys": true,
        "ssh_keys": {
            "ed25519_private": pem,
            "ed25519_public": inputs.host_public_key.trim_end(),
        },
        "ssh_pwauth": false,
        "disable_root": true,
        "users": [
            "default",
            {
                "name": inputs.user,
                "shell": "/bin/bash",
                "lock_passwd": true,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [inputs.authorized_key.trim_end()],
            },
        ],
        "bootcmd": bootcmd,
    });
    UserData(format!("#cloud-config\n{config:#}\n"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const SECRET: &str =
        "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n";

    fn rendered() -> UserData {
        render(&Inputs {
            user: "ubuntu",
            authorized_key: "ssh-ed25519 AAAAuser baker: \"20261123\"\n",
            host_private_key: SECRET,
            host_public_key: "ssh-ed25519 AAAAhost",
            power_off_after: Duration::from_secs(2700),
            hold_agent_back: true,
        })
    }

    #[test]
    fn keys_and_deadline_arrive_unchanged() {
        let data = rendered();
        let body = data.expose().strip_prefix("#cloud-config\n").unwrap();
        let config: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(config["ssh_keys"]["ed25519_private"], SECRET);
        assert_eq!(
            config["users"][1]["ssh_authorized_keys"][0],
            "ssh-ed25519 AAAAuser baker: \"20261123\""
        );
        assert_eq!(config["users"][0], "default");
        assert_eq!(config["bootcmd"][0][4], "--on-active=2700");
        assert_eq!(config["ssh_pwauth"], false);
        let held_back = config["bootcmd"][1][2].as_str().unwrap();
        assert!(held_back.contains("/run/systemd/system/baker-agent.service.d/"));
        assert!(
            held_back.contains(r"'[Unit]\nConditionPathExists="),
            "{held_back}"
        );
    }

    #[test]
    fn a_real_key_pair_fits() {
        let host = crate::keys::KeyPair::generate("host").unwrap();
        let user = crate::keys::KeyPair::generate("baker").unwrap();
        let data = render(&Inputs {
            user: "ubuntu",
            authorized_key: user.public_openssh(),
            host_private_key: host.private_openssh(),
            host_public_key: host.public_openssh(),
            power_off_after: Duration::from_secs(86_400),
            hold_agent_back: true,
        });
        assert!(data.expose().len() < MAX_BYTES / 4);
        assert!(data.expose().is_ascii());
    }

    #[test]
    fn the_private_key_is_not_shown() {
        assert!(!format!("{:?}", rendered()).contains("c2VjcmV0"));
    }
}
