//! The instance: where to try, and what to ask for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification, Instance,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceNetworkInterfaceSpecification, InstanceType, ResourceType, ShutdownBehavior,
    VolumeType,
};
use aws_smithy_types::retry::RetryConfig;
use base64::Engine;

use super::{LaunchError, tags};
use crate::aws::{Aws, CallError, Class, Explain};
use crate::events::{Event, Events};
use crate::journal::{Journal, Kind};
use crate::plan::user_data::UserData;
use crate::plan::{Launch, Plan, RootDevice};
use crate::wait::{self, Observation, Pace, WaitError};

/// RunInstances is repeated this long through throttles and server errors.
const LAUNCH_WITHIN: Duration = Duration::from_secs(180);
/// Metadata answers must not be routed on by the host: a bake runs no containers that would need a second hop.
const METADATA_HOP_LIMIT: i32 = 1;

/// A type and a subnet to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) instance_type: &'a str,
    pub(super) subnet_id: &'a str,
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
pub(super) async fn start<'a>(
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
    use std::collections::BTreeMap;

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
