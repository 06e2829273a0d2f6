//! The group that lets one address in.

use std::time::Duration;

use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, ResourceType};

use super::{LaunchError, gave_up, tags};
use crate::aws::{Aws, Class, Explain};
use crate::events::{Event, Events};
use crate::journal::{Journal, Kind};
use crate::plan::{BAKE_ID_TAG, SecurityGroup};
use crate::wait::{self, Observation, Pace};

/// A group that was just made may be unknown to the next call for some seconds.
const VISIBLE_WITHIN: Duration = Duration::from_secs(60);

/// Makes or adopts the group, and opens its port.
pub(super) async fn make(
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
        Err(error) if error.class == Class::Exists => adopt(aws, group).await?,
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
async fn adopt(aws: &Aws, group: &SecurityGroup) -> Result<String, LaunchError> {
    let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let mut request = aws
        .ec2
        .describe_security_groups()
        .filters(filter("group-name", &group.name))
        .filters(filter("vpc-id", &group.vpc_id));
    if let Some(bake_id) = group.tags.get(BAKE_ID_TAG) {
        let tag = format!("tag:{}", BAKE_ID_TAG);
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
