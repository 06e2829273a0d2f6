//! Why a host was never reached: what was seen, what to look at, and what its console says.

use std::fmt;

use base64::Engine;

use crate::aws::Aws;
use crate::facts::Address;
use crate::{ssh, terminal};

/// Enough of the console to see why a boot got stuck.
const CONSOLE_LINES: usize = 15;

/// What a reader needs to find out why a host was never reached.
#[derive(Debug)]
pub struct Report {
    pub(super) instance_id: String,
    pub(super) subnet: String,
    pub(super) port: u16,
    pub(super) cidr: String,
    pub(super) address: Address,
    pub(super) last_seen: String,
    pub(super) console: Vec<String>,
}

impl Report {
    /// What to look at. A host that answers, if only to refuse, can be reached: then it is not the network.
    fn reasons(&self) -> Vec<String> {
        let Report {
            subnet, port, cidr, ..
        } = self;
        if self.last_seen != ssh::NO_ANSWER {
            return vec![
                format!("the image: does it start sshd, on port {port}? its console may tell"),
                "the user-data: does the image run cloud-init, which installs the keys?".into(),
            ];
        }
        vec![
            format!(
                "the source: {cidr} may reach port {port}; is that the address that this machine shows to the host? \
                 else set [build].ssh_from"
            ),
            match self.address {
                Address::Public => format!(
                    "the way: does {subnet} route to an internet gateway? else name another subnet, or set \
                     [build].address = \"private\""
                ),
                Address::Private => format!(
                    "the way: does this machine have a route to {subnet} (VPN, peering)? else set [build].address = \
                     \"public\""
                ),
            },
            format!("the network ACL of {subnet}, and firewalls on the way"),
            "the image: does it bring up its network?".into(),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; look at:", self.last_seen)?;
        for reason in self.reasons() {
            write!(f, "\n  - {reason}")?;
        }
        if self.console.is_empty() {
            return write!(f, "\nthe console of {} shows nothing yet", self.instance_id);
        }
        write!(f, "\nthe console of {} ended with:", self.instance_id)?;
        self.console
            .iter()
            .try_for_each(|line| write!(f, "\n  | {line}"))
    }
}

/// The last lines of the console, or none when AWS has none.
pub(super) async fn console(aws: &Aws, id: &str) -> Vec<String> {
    let answer = aws.ec2.get_console_output().instance_id(id).send().await;
    let encoded = answer
        .ok()
        .and_then(|answer| answer.output)
        .unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(CONSOLE_LINES)..]
        .iter()
        .map(|line| terminal::clean(line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(last_seen: &str) -> String {
        Report {
            instance_id: "i-1".into(),
            subnet: "subnet-1".into(),
            port: 22,
            cidr: "10.0.0.1/32".into(),
            address: Address::Private,
            last_seen: last_seen.into(),
            console: vec!["Kernel panic".into()],
        }
        .to_string()
    }

    #[test]
    fn silence_points_at_the_network() {
        let shown = report(ssh::NO_ANSWER);
        for part in [
            "10.0.0.1/32",
            "subnet-1",
            "ssh_from",
            "address = \"public\"",
            "  | Kernel panic",
        ] {
            assert!(shown.contains(part), "{part} is not in:\n{shown}");
        }
    }

    #[test]
    fn a_refusal_points_at_the_host() {
        let shown = report("connection refused");
        assert!(shown.contains("does it start sshd"), "{shown}");
        assert!(!shown.contains("ssh_from"), "{shown}");
    }
}
