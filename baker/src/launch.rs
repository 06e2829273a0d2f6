//! Launch: the security group around the instance, and the instance.
//!
//! Each thing is in the journal before the call that makes it, and carries the bake's tag from its first moment. Every
//! call can be repeated: the group is adopted by its name, the instance by its client token.

mod instance;
mod security_group;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use aws_sdk_ec2::types::{InstanceStateName, ResourceType, Tag, TagSpecification};

use crate::aws::{self, Aws, CallError, InstanceError};
use crate::events::Events;
use crate::facts::Address;
use crate::journal::{Journal, JournalError};
use crate::plan::Plan;
use crate::plan::user_data::UserData;
use crate::wait::{Pace, WaitError};

/// From `pending` to `running` takes some seconds, on bare metal minutes.
const RUNNING_WITHIN: Duration = Duration::from_secs(600);

/// The running instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// `i-…`.
    pub instance_id: String,
    /// The type that had capacity.
    pub instance_type: String,
    /// The subnet that had it.
    pub subnet_id: String,
    /// Where to connect to.
    pub address: IpAddr,
}

/// The launch failed. What it had made by then is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Without a journal nothing is created.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// AWS refused a call.
    #[error(transparent)]
    Call(#[from] CallError),
    /// AWS has none of the wanted types.
    #[error(
        "none of the instance types {} can be had in {} now; name more [build].instance_types, or a subnet in another \
         zone", .types.join(", "), .subnets.join(", ")
    )]
    NoCapacity {
        /// In the order tried.
        types: Vec<String>,
        /// In the order tried.
        subnets: Vec<String>,
        /// What AWS said to the last one.
        #[source]
        source: CallError,
    },
    /// The group's name is taken by something that is not of this bake.
    #[error(
        "a security group named {name} exists in {vpc} and is not of this bake; remove it or build again"
    )]
    GroupTaken {
        /// Its name.
        name: String,
        /// Its VPC.
        vpc: String,
    },
    /// The instance did not come to run.
    #[error(transparent)]
    NotRunning(WaitError<InstanceError>),
    /// A call was repeated until its bound.
    #[error(transparent)]
    GaveUp(WaitError<CallError>),
    /// The instance has no address to connect to.
    #[error(
        "instance {instance_id} in {subnet} has no {kind} address; set [build].address, or use a subnet that gives one"
    )]
    NoAddress {
        /// Its id.
        instance_id: String,
        /// Where it is.
        subnet: String,
        /// `public` or `private`.
        kind: &'static str,
    },
}

/// Makes the group and the instance, and waits until the instance runs.
///
/// # Errors
/// See [`LaunchError`].
pub async fn launch(
    aws: &Aws,
    plan: &Plan,
    user_data: &UserData,
    journal: &Journal,
    events: &Events,
) -> Result<Launched, LaunchError> {
    let group_id = security_group::make(aws, &plan.security_group, journal, events).await?;
    let (instance, place) =
        instance::start(aws, plan, &group_id, user_data, journal, events).await?;
    let instance_id = instance.instance_id.unwrap_or_default();
    let running = aws::wait_for_state(
        aws,
        &instance_id,
        InstanceStateName::Running,
        Pace::AWS,
        RUNNING_WITHIN,
        events,
    )
    .await
    .map_err(LaunchError::NotRunning)?;
    let (kind, address) = match plan.login.address {
        Address::Public => ("public", running.public_ip_address),
        Address::Private => ("private", running.private_ip_address),
    };
    match address.and_then(|address| address.parse().ok()) {
        Some(address) => Ok(Launched {
            instance_id,
            instance_type: place.instance_type.to_owned(),
            subnet_id: place.subnet_id.to_owned(),
            address,
        }),
        None => Err(LaunchError::NoAddress {
            instance_id,
            subnet: place.subnet_id.to_owned(),
            kind,
        }),
    }
}

pub(crate) fn tags(kind: ResourceType, tags: &BTreeMap<String, String>) -> TagSpecification {
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build());
    TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(tags.collect()))
        .build()
}

fn gave_up(error: WaitError<CallError>) -> LaunchError {
    match error {
        WaitError::Failed(error) => error.into(),
        bound => LaunchError::GaveUp(bound),
    }
}
