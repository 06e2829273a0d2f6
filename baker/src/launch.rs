//! Launch: the security group around the instance, and the instance.
//!
//! Each thing is in the journal before the call that makes it, and carries the bake's tag from its first moment. Every
//! call can be repeated: the group is adopted by its name, the instance by its client token.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, Filter, HttpTokensState, IamInstanceProfileSpecification,
    Instance, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceNetworkInterfaceSpecification, InstanceStateName, InstanceType, IpPermission, IpRange,
    ResourceType, ShutdownBehavior, Tag, TagSpecification, VolumeType,
};
use aws_smithy_types::retry::RetryConfig;
use base64::Engine;

use crate::aws::{self, Aws, CallError, Class, Explain, InstanceError};
use crate::events::{Event, Events};
use crate::facts::Address;
use crate::journal::{Journal, JournalError, Kind};
use crate::plan::user_data::UserData;
use crate::plan::{Launch, Plan, RootDevice, SecurityGroup};
use crate::wait::{self, Observation, Pace, WaitError};

/// A group that was just made may be unknown to the next call for some seconds.
const VISIBLE_WITHIN: Duration = Duration::from_secs(60);
/// RunInstances is repeated this long through throttles and server errors.
const LAUNCH_WITHIN: Duration = Duration::from_secs(180);
/// From `pending` to `running` takes some seconds, on bare metal minutes.
const RUNNING_WITHIN: Duration = Duration::from_secs(600);
/// Metadata answers must not be routed on by the host: a bake runs no containers that would need a second hop.
const METADATA_HOP_LIMIT: i32 = 1;

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
    let group_id = security_group(aws, &plan.security_group, journal, events).await?;
    let (instance, place) = instance(aws, plan, &group_id, user_data, journal, events).await?;
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

async fn security_group(
    aws: &Aws,
    group: &SecurityGroup,
    journal: &Journal,
    events: &Events,
) -> Result<String, LaunchError> {
    journal.intend(Kind::SecurityGroup, &group.name)?;
    let made = aws
        .ec2
        .create_security_group()
        .group_name(&group.name)
        .description(&group.description)
        .vpc_id(&group.vpc_id)
        .tag_specifications(tags(ResourceType::SecurityGroup, &group.tags))
        .send()
        .await
        .explain("ec2:CreateSecurityGroup");
    let id = match made {
        Ok(made) => made.group_id.unwrap_or_default(),
        // A repeated call, whose first answer was lost.
        Err(error) if error.class == Class::Exists => adopt_group(aws, group).await?,
        Err(error) => {
            if !error.class.passes() {
                journal.refused(Kind::SecurityGroup, &group.name)?;
            }
            return Err(error.into());
        }
    };
    journal.created(Kind::SecurityGroup, &group.name, &id)?;
    events.emit(Event::Created {
        kind: Kind::SecurityGroup.name(),
        id: id.clone(),
    });
    open_port(aws, group, &id, events).await?;
    Ok(id)
}

/// The group of that name, if it is this bake's.
async fn adopt_group(aws: &Aws, group: &SecurityGroup) -> Result<String, LaunchError> {
    let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let mut request = aws
        .ec2
        .describe_security_groups()
        .filters(filter("group-name", &group.name))
        .filters(filter("vpc-id", &group.vpc_id));
    if let Some(bake_id) = group.tags.get(crate::plan::BAKE_ID_TAG) {
        let tag = format!("tag:{}", crate::plan::BAKE_ID_TAG);
        request = request.filters(filter(&tag, bake_id));
    }
    let answer = request.send().await.explain("ec2:DescribeSecurityGroups")?;
    answer
        .security_groups
        .unwrap_or_default()
        .into_iter()
        .find_map(|found| found.group_id)
        .ok_or_else(|| LaunchError::GroupTaken {
            name: group.name.clone(),
            vpc: group.vpc_id.clone(),
        })
}

async fn open_port(
    aws: &Aws,
    group: &SecurityGroup,
    id: &str,
    events: &Events,
) -> Result<(), LaunchError> {
    let port = i32::from(group.port);
    let what = format!("security group {id} to be visible");
    wait::until(&what, Pace::AWS, VISIBLE_WITHIN, events, || async {
        let opened = aws
            .ec2
            .authorize_security_group_ingress()
            .group_id(id)
            .ip_permissions(
                IpPermission::builder()
                    .ip_protocol("tcp")
                    .from_port(port)
                    .to_port(port)
                    .ip_ranges(IpRange::builder().cidr_ip(&group.cidr).build())
                    .build(),
            )
            .send()
            .await
            .explain("ec2:AuthorizeSecurityGroupIngress");
        match opened {
            Ok(_) => Observation::Ready(()),
            Err(error) if error.class == Class::Exists => Observation::Ready(()),
            Err(error) if error.class == Class::NotFound => {
                Observation::NotYet("not visible yet".into())
            }
            Err(error) => Observation::Failed(error),
        }
    })
    .await
    .map_err(gave_up)
}

fn gave_up(error: WaitError<CallError>) -> LaunchError {
    match error {
        WaitError::Failed(error) => error.into(),
        bound => LaunchError::GaveUp(bound),
    }
}

/// A type and a subnet to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place<'a> {
    instance_type: &'a str,
    subnet_id: &'a str,
}

/// Every type in every subnet: a lack of capacity is one of a zone, so the preferred type is tried everywhere first.
fn places(launch: &Launch) -> impl Iterator<Item = Place<'_>> {
    launch.instance_types.iter().flat_map(|instance_type| {
        launch.subnet_ids.iter().map(move |subnet_id| Place {
            instance_type,
            subnet_id,
        })
    })
}

/// Tries places in order, each under a token of its own: EC2 refuses a token that comes with other parameters.
async fn instance<'a>(
    aws: &Aws,
    plan: &'a Plan,
    group_id: &str,
    user_data: &UserData,
    journal: &Journal,
    events: &Events,
) -> Result<(Instance, Place<'a>), LaunchError> {
    let launch = &plan.launch;
    let mut last = None;
    for (attempt, place) in places(launch).enumerate() {
        let token = match attempt {
            0 => launch.client_token.clone(),
            again => format!("{}-{}", launch.client_token, again + 1),
        };
        journal.intend(Kind::Instance, &token)?;
        let request = self::place(request(aws, plan, user_data), launch, place, group_id);
        let unanswered = AtomicBool::new(false);
        match run(request.client_token(&token), &unanswered, events).await {
            Ok(instance) => {
                let id = instance.instance_id.clone().unwrap_or_default();
                journal.created(Kind::Instance, &token, &id)?;
                events.emit(Event::Created {
                    kind: Kind::Instance.name(),
                    id,
                });
                return Ok((instance, place));
            }
            Err(WaitError::Failed(error)) => {
                // After a call without an answer, a refused one does not prove that there is nothing.
                if !unanswered.load(Ordering::Relaxed) {
                    journal.refused(Kind::Instance, &token)?;
                }
                if !matches!(error.class, Class::Capacity | Class::Unsupported) {
                    return Err(error.into());
                }
                let Place {
                    instance_type,
                    subnet_id,
                } = place;
                events.warn(format!(
                    "no {instance_type} in {subnet_id}: {}",
                    error.message
                ));
                last = Some(error);
            }
            // Perhaps AWS made it and the answer was lost: the intent stays, and the tag finds it.
            Err(timed_out) => return Err(LaunchError::GaveUp(timed_out)),
        }
    }
    Err(LaunchError::NoCapacity {
        types: launch.instance_types.clone(),
        subnets: launch.subnet_ids.clone(),
        source: last.unwrap_or_else(|| CallError {
            operation: "ec2:RunInstances",
            class: Class::Refused,
            code: None,
            message: "the plan names no instance type".into(),
        }),
    })
}

/// Sends the launch until AWS takes or refuses it. The SDK's own retries are off: it would repeat a lack of capacity,
/// which EC2 reports as a server error. Tells whether a call got no answer on the way.
async fn run(
    request: RunInstancesFluentBuilder,
    unanswered: &AtomicBool,
    events: &Events,
) -> Result<Instance, WaitError<CallError>> {
    let once = || aws_sdk_ec2::config::Builder::new().retry_config(RetryConfig::disabled());
    wait::until(
        "EC2 to take the launch",
        Pace::AWS,
        LAUNCH_WITHIN,
        events,
        || async {
            let answer = request
                .clone()
                .customize()
                .config_override(once())
                .send()
                .await
                .explain("ec2:RunInstances");
            match answer.map(|launched| launched.instances.unwrap_or_default().pop()) {
                Ok(Some(instance)) => Observation::Ready(instance),
                Ok(None) => Observation::Hiccup("an answer without an instance".into()),
                Err(error) if error.class.passes() => {
                    unanswered.fetch_or(error.code.is_none(), Ordering::Relaxed);
                    Observation::Hiccup(error.to_string())
                }
                Err(error) if error.code.as_deref() == Some("InvalidGroup.NotFound") => {
                    Observation::NotYet("the security group is not visible yet".into())
                }
                Err(error) => Observation::Failed(error),
            }
        },
    )
    .await
}

/// The launch without its place and token.
fn request(aws: &Aws, plan: &Plan, user_data: &UserData) -> RunInstancesFluentBuilder {
    let launch = &plan.launch;
    let encoded = base64::engine::general_purpose::STANDARD.encode(user_data.expose());
    aws.ec2
        .run_instances()
        .image_id(&plan.source_image.id)
        .min_count(1)
        .max_count(1)
        .user_data(encoded)
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
        .block_device_mappings(root_device(&launch.root_device))
        .metadata_options(
            InstanceMetadataOptionsRequest::builder()
                .http_endpoint(InstanceMetadataEndpointState::Enabled)
                .http_tokens(HttpTokensState::Required)
                .http_put_response_hop_limit(METADATA_HOP_LIMIT)
                .build(),
        )
        .set_iam_instance_profile(launch.instance_profile.as_ref().map(|name| {
            IamInstanceProfileSpecification::builder()
                .name(name)
                .build()
        }))
        .tag_specifications(tags(ResourceType::Instance, &launch.tags))
        .tag_specifications(tags(ResourceType::Volume, &launch.tags))
        .tag_specifications(tags(ResourceType::NetworkInterface, &launch.tags))
}

/// Type, subnet and group; the latter as an interface only where a public address is asked for, because only an interface can ask. A
/// private bake leaves the subnet's default alone: its host may need a public address for the way out.
fn place(
    request: RunInstancesFluentBuilder,
    launch: &Launch,
    place: Place<'_>,
    group_id: &str,
) -> RunInstancesFluentBuilder {
    let request = request.instance_type(InstanceType::from(place.instance_type));
    if launch.public_address {
        request.network_interfaces(
            InstanceNetworkInterfaceSpecification::builder()
                .device_index(0)
                .subnet_id(place.subnet_id)
                .groups(group_id)
                .associate_public_ip_address(true)
                .delete_on_termination(true)
                .build(),
        )
    } else {
        request
            .subnet_id(place.subnet_id)
            .security_group_ids(group_id)
    }
}

fn root_device(device: &RootDevice) -> BlockDeviceMapping {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    BlockDeviceMapping::builder()
        .device_name(&device.device_name)
        .ebs(
            EbsBlockDevice::builder()
                .volume_size(number(device.size_gib))
                .volume_type(VolumeType::from(device.volume_type.as_str()))
                .set_iops(device.iops.map(number))
                .set_throughput(device.throughput_mibps.map(number))
                .delete_on_termination(true)
                .build(),
        )
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_type_is_tried_in_every_subnet_before_the_next() {
        let launch = Launch {
            client_token: "b".into(),
            instance_types: vec!["t3.medium".into(), "t3a.medium".into()],
            subnet_ids: vec!["subnet-a".into(), "subnet-b".into()],
            public_address: false,
            root_device: RootDevice {
                device_name: "/dev/sda1".into(),
                size_gib: 8,
                volume_type: "gp3".into(),
                iops: None,
                throughput_mibps: None,
            },
            instance_profile: None,
            power_off_after: Duration::from_secs(60),
            tags: BTreeMap::new(),
        };
        let tried: Vec<(&str, &str)> = places(&launch)
            .map(|place| (place.instance_type, place.subnet_id))
            .collect();
        assert_eq!(
            tried,
            [
                ("t3.medium", "subnet-a"),
                ("t3.medium", "subnet-b"),
                ("t3a.medium", "subnet-a"),
                ("t3a.medium", "subnet-b"),
            ]
        );
    }
}
