//! What stays behind: named, with the reason and the command that removes it.

use std::fmt;

use crate::aws::{CallError, InstanceError};
use crate::journal::{Kind, Resource};
use crate::wait::WaitError;

/// Something that may still exist.
#[derive(Debug)]
pub struct LeftBehind {
    /// What.
    pub resource: Resource,
    /// Its region.
    pub region: String,
    /// Why it could not be removed.
    pub why: RemoveError,
}

/// Why something could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// AWS refused a call.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The instance did not end.
    #[error(transparent)]
    NotEnded(WaitError<InstanceError>),
    /// It stayed in use.
    #[error(transparent)]
    InUse(WaitError<CallError>),
}

impl LeftBehind {
    /// The command that removes it, or, without an id, that finds it.
    #[must_use]
    pub fn remedy(&self) -> String {
        remedy(&self.resource, &self.region)
    }
}

/// The command that removes a resource, or, without an id, that finds it.
#[must_use]
pub fn remedy(resource: &Resource, region: &str) -> String {
    let name = &resource.name;
    match (resource.kind, &resource.id) {
        (Kind::Instance, Some(id)) => {
            format!("aws ec2 terminate-instances --region {region} --instance-ids {id}")
        }
        (Kind::Instance, None) => format!(
            "aws ec2 describe-instances --region {region} --filters Name=client-token,Values={name}"
        ),
        (Kind::Image, Some(id)) => format!(
            "aws ec2 deregister-image --region {region} --delete-associated-snapshots --image-id {id}"
        ),
        (Kind::Image, None) => format!(
            "aws ec2 describe-images --region {region} --owners self --filters 'Name=name,Values={name}'"
        ),
        (Kind::SecurityGroup, Some(id)) => {
            format!("aws ec2 delete-security-group --region {region} --group-id {id}")
        }
        (Kind::SecurityGroup, None) => format!(
            "aws ec2 describe-security-groups --region {region} --filters Name=group-name,Values={name}"
        ),
    }
}

impl fmt::Display for LeftBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resource { kind, name, id } = &self.resource;
        write!(
            f,
            "{} {} in {}: {}; remove it with `{}`",
            kind.name(),
            id.as_deref().unwrap_or(name),
            self.region,
            self.why,
            self.remedy()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Class;

    #[test]
    fn what_is_left_behind_is_named_with_the_command_that_removes_it() {
        let behind = LeftBehind {
            resource: Resource {
                kind: Kind::SecurityGroup,
                name: "baker-b".into(),
                id: Some("sg-1".into()),
            },
            region: "eu-west-1".into(),
            why: RemoveError::Call(CallError {
                operation: "ec2:DeleteSecurityGroup",
                class: Class::Unauthorized,
                code: Some("UnauthorizedOperation".into()),
                message: "You may not.".into(),
            }),
        };
        assert_eq!(
            behind.to_string(),
            "security group sg-1 in eu-west-1: no permission for ec2:DeleteSecurityGroup: You may not; ask for \
             ec2:DeleteSecurityGroup in the caller's policy; remove it with `aws ec2 delete-security-group --region \
             eu-west-1 --group-id sg-1`"
        );
    }
}
