//! Connect: wait until the host lets us in, and until it has finished booting.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_ec2::types::InstanceStateName;
use base64::Engine;
use serde::Deserialize;

use crate::aws::{self, Aws, InstanceError};
use crate::events::{Event, Events};
use crate::facts::Address;
use crate::keys::KeyPair;
use crate::launch::Launched;
use crate::plan::Plan;
use crate::remote::{Command, ExitStatus, Host, HostError, OutputLine, OutputStream, Stdin};
use crate::ssh::{self, Ssh, Target};
use crate::terminal;
use crate::wait::{Pace, WaitError};

/// From launch to SSH: seconds on a lean image, minutes on a small instance with a busy first boot.
const REACHED_WITHIN: Duration = Duration::from_secs(600);
/// From SSH to the end of cloud-init: user-data of the source image may install packages.
const BOOTED_WITHIN: Duration = Duration::from_secs(900);
/// How often the wait for cloud-init is shown.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// Enough of the console to see why a boot got stuck.
const CONSOLE_LINES: usize = 15;

/// Waits for cloud-init's result, which exists once it has ended, and prints it; nothing where cloud-init does not run.
/// `cloud-init status --wait` would do the same, but each look of its costs a Python start on a host that is busy booting:
/// it is only asked every few seconds, for a cloud-init that ended without a result.
const CLOUD_INIT: &str = "\
result=/run/cloud-init/result.json looks=0
if command -v cloud-init >/dev/null 2>&1 && [ ! -e /run/cloud-init/disabled ] && [ ! -e /etc/cloud/cloud-init.disabled ]; then
  until [ -e $result ]; do
    looks=$((looks + 1))
    if [ $((looks % 50)) = 0 ]; then
      case $(cloud-init status 2>/dev/null) in
        *running* | *'not run'* | *'not started'*) ;;
        *) break ;;
      esac
    fi
    sleep 0.1
  done
  if [ -e $result ]; then cat $result; fi
fi";

/// The host could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It never let us in.
    #[error("the host was never reachable over SSH: {0}")]
    NeverReached(Box<Report>, #[source] ssh::ConnectError),
    /// Somebody else answered, or this machine cannot connect.
    #[error(transparent)]
    Ssh(ssh::ConnectError),
    /// It ended while it was waited for.
    #[error("the host ended before it could be reached")]
    Ended(#[source] InstanceError),
    /// It was lost, or cloud-init did not end.
    #[error("instance {instance_id} answers SSH, but waiting for cloud-init to end failed")]
    Booting {
        /// Its id.
        instance_id: String,
        /// How.
        #[source]
        source: HostError,
    },
}

/// What a reader needs to find out why a host was never reached.
#[derive(Debug)]
pub struct Report {
    instance_id: String,
    subnet: String,
    port: u16,
    cidr: String,
    address: Address,
    last_seen: String,
    console: Vec<String>,
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

/// Connects to the host as soon as it lets us in, and waits until it has booted.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(
    aws: &Aws,
    plan: &Plan,
    launched: &Launched,
    user_key: Arc<KeyPair>,
    host_key: &KeyPair,
    events: &Events,
) -> Result<Ssh, ConnectError> {
    let target = Target {
        address: SocketAddr::new(launched.address, plan.login.port),
        user: plan.login.user.clone(),
        user_key,
        host_key: host_key.public_blob().to_vec(),
    };
    let id = &launched.instance_id;
    // Nobody needs to wait ten minutes for a host that is gone after one.
    let ended = ends(aws, id);
    let bound = REACHED_WITHIN.min(plan.timeout);
    let connected = tokio::select! {
        connected = Ssh::connect(target, bound, events) => connected,
        error = ended => return Err(ConnectError::Ended(error)),
    };
    let ssh = match connected {
        Ok(ssh) => ssh,
        Err(ssh::ConnectError::Unreachable(wait)) => {
            let last_seen = match &wait {
                WaitError::TimedOut { last_seen, .. } => last_seen.clone(),
                WaitError::Failed(never) => match *never {},
            };
            let error = ssh::ConnectError::Unreachable(wait);
            let report = Report {
                last_seen,
                instance_id: id.clone(),
                subnet: launched.subnet_id.clone(),
                port: plan.security_group.port,
                cidr: plan.security_group.cidr.clone(),
                address: plan.login.address,
                console: console(aws, id).await,
            };
            return Err(ConnectError::NeverReached(Box::new(report), error));
        }
        Err(other) => return Err(ConnectError::Ssh(other)),
    };
    booted(&ssh, events)
        .await
        .map_err(|source| ConnectError::Booting {
            instance_id: id.clone(),
            source,
        })?;
    Ok(ssh)
}

/// Ends when the instance has ended.
async fn ends(aws: &Aws, id: &str) -> InstanceError {
    let quiet = Events::discard();
    // A host that is reached is never seen `stopped` here: the wait ends only by the instance's own end.
    let stopped = InstanceStateName::Stopped;
    match aws::wait_for_state(aws, id, stopped, Pace::ASIDE, REACHED_WITHIN * 2, &quiet).await {
        Ok(_) => InstanceError::Ended {
            id: id.to_owned(),
            state: "stopped".into(),
            reason: "no reason given".into(),
        },
        Err(WaitError::Failed(error @ InstanceError::Ended { .. })) => error,
        // Whether it still runs cannot be told; the SSH side has its own bound.
        Err(_) => std::future::pending().await,
    }
}

/// The last lines of the console, or none when AWS has none.
async fn console(aws: &Aws, id: &str) -> Vec<String> {
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

/// Waits for the end of cloud-init. What it could not do is a warning: the recipe's own checks decide.
async fn booted(host: &impl Host, events: &Events) -> Result<(), HostError> {
    let started = Instant::now();
    let mut result = String::new();
    let mut keep = |line: OutputLine| {
        if line.stream == OutputStream::Stdout {
            result.push_str(&line.text);
            result.push('\n');
        }
    };
    let command = Command {
        line: CLOUD_INIT.to_owned(),
        stdin: Stdin::Empty,
        timeout: BOOTED_WITHIN,
    };
    let status = {
        let running = host.run(command, &mut keep);
        tokio::pin!(running);
        loop {
            tokio::select! {
                status = &mut running => break status?,
                () = tokio::time::sleep(SHOW_EVERY) => events.emit(Event::Waiting {
                    what: "cloud-init to end".into(),
                    detail: "the host answers SSH and is still booting".into(),
                    elapsed: started.elapsed(),
                }),
            }
        }
    };
    if status != ExitStatus::Code(0) {
        events.warn(format!(
            "cloud-init could not be asked how it ended: {status}"
        ));
    }
    for error in cloud_init_errors(&result) {
        events.warn(format!("cloud-init on the host reported: {error}"));
    }
    Ok(())
}

/// The errors in cloud-init's `result.json`; none when there is no such file.
fn cloud_init_errors(result: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Result {
        v1: V1,
    }
    #[derive(Deserialize)]
    struct V1 {
        #[serde(default)]
        errors: Vec<String>,
    }
    serde_json::from_str::<Result>(result)
        .map(|result| result.v1.errors)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::sync::Mutex;

    /// A host on which cloud-init has ended in some way.
    struct Scripted {
        line: &'static str,
        asked: Mutex<Option<String>>,
    }

    impl Host for Scripted {
        async fn run(
            &self,
            command: Command,
            output: &mut (dyn FnMut(OutputLine) + Send),
        ) -> Result<ExitStatus, HostError> {
            *self.asked.lock().unwrap() = Some(command.line);
            for text in self.line.lines() {
                output(OutputLine {
                    stream: OutputStream::Stdout,
                    text: text.into(),
                });
            }
            Ok(ExitStatus::Code(0))
        }
    }

    async fn warnings(result: &'static str) -> Vec<String> {
        let host = Scripted {
            line: result,
            asked: Mutex::new(None),
        };
        let (events, seen) = Events::channel();
        booted(&host, &events).await.unwrap();
        assert!(host.asked.lock().unwrap().is_some());
        seen.try_iter()
            .filter_map(|stamped| match stamped.event {
                Event::Warning { message } => Some(message),
                _ => None,
            })
            .collect()
    }

    #[tokio::test]
    async fn what_cloud_init_could_not_do_is_a_warning() {
        let result = "{\n \"v1\": {\n  \"datasource\": \"DataSourceEc2\",\n  \"errors\": [\"('ssh', KeyError())\"]\n }\n}";
        assert_eq!(
            warnings(result).await,
            ["cloud-init on the host reported: ('ssh', KeyError())"]
        );
    }

    #[tokio::test]
    async fn a_host_without_cloud_init_or_without_errors_is_fine() {
        assert!(warnings("").await.is_empty());
        assert!(
            warnings("{\"v1\": {\"datasource\": null, \"errors\": []}}")
                .await
                .is_empty()
        );
    }

    #[test]
    fn the_script_asks_only_where_cloud_init_runs() {
        let run = |path: &str| {
            std::process::Command::new("/bin/sh")
                .args(["-c", CLOUD_INIT])
                .env("PATH", path)
                .output()
                .unwrap()
        };
        let output = run("/nonexistent");
        assert!(output.status.success());
        assert!(output.stdout.is_empty());
    }

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
