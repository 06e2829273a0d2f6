//! Connect: wait until the host lets us in, and until it has finished booting.

mod cloud_init;
mod report;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::InstanceStateName;

pub use report::Report;

use crate::aws::{self, Aws, InstanceError};
use crate::events::Events;
use crate::keys::KeyPair;
use crate::launch::Launched;
use crate::plan::Plan;
use crate::remote::HostError;
use crate::ssh::{self, Ssh, Target};
use crate::wait::{Pace, WaitError};

/// From launch to SSH: seconds on a lean image, minutes on a small instance with a busy first boot.
const REACHED_WITHIN: Duration = Duration::from_secs(600);

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
                console: report::console(aws, id).await,
            };
            return Err(ConnectError::NeverReached(Box::new(report), error));
        }
        Err(other) => return Err(ConnectError::Ssh(other)),
    };
    cloud_init::ended(&ssh, events)
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
