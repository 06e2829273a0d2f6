//! What ends a bake, and the exit code that tells it.

use crate::aws::{AwsError, CallError, Class};
use crate::connect::ConnectError;
use crate::exit::Exit;
use crate::facts::FactsError;
use crate::image::ImageError;
use crate::journal::JournalError;
use crate::keys::KeyError;
use crate::launch::LaunchError;
use crate::plan::PlanError;
use crate::provision::ProvisionError;
use crate::remote::HostError;
use crate::seal::SealError;
use crate::verify::VerifyError;

/// The first thing that went wrong.
#[derive(Debug, thiserror::Error)]
pub enum BakeError {
    /// AWS can't be used.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The ground does not carry the bake.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// Recipe and ground do not fit together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is no place for a journal.
    #[error(
        "no directory to keep the journal in, and nothing is created without one: set HOME or XDG_STATE_HOME"
    )]
    NoStateDirectory,
    /// The journal could not be begun.
    #[error("nothing was created, because that could not have been written down")]
    NoJournal(#[source] JournalError),
    /// The journal could not be written later on.
    #[error(transparent)]
    Journal(JournalError),
    /// No keys could be made.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// There is no instance.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The host can't be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A step failed.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// A check failed.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The host can't say what is installed.
    #[error("the host could not be asked for its packages")]
    Packages(#[source] HostError),
    /// The host is not clean.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is no image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The user, or the system, had enough.
    #[error("interrupted by {0}")]
    Interrupted(&'static str),
}

impl BakeError {
    /// What the process returns for it, if nothing is left behind.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Plan(_) => Exit::Usage,
            Self::Aws(_) | Self::Facts(_) | Self::NoStateDirectory | Self::NoJournal(_) => {
                Exit::Environment
            }
            Self::Journal(_) => Exit::Environment,
            Self::Keys(_) => Exit::Internal,
            Self::Launch(error) => match error {
                LaunchError::Call(call) => of_call(call),
                LaunchError::Journal(_) => Exit::Environment,
                _ => Exit::Aws,
            },
            Self::Image(error) => match error {
                ImageError::Call(call) => of_call(call),
                ImageError::Journal(_) => Exit::Environment,
                _ => Exit::Aws,
            },
            Self::Connect(_) | Self::Packages(_) => Exit::Host,
            Self::Provision(error) if error.host_was_lost() => Exit::Host,
            Self::Provision(_) => Exit::Recipe,
            Self::Verify(VerifyError::Host { .. }) | Self::Seal(SealError::Host(_)) => Exit::Host,
            Self::Verify(_) | Self::Seal(_) => Exit::Recipe,
            Self::Interrupted(_) => Exit::Interrupted,
        }
    }
}

/// A missing permission is the environment's matter, whatever the call.
fn of_call(error: &CallError) -> Exit {
    match error.class {
        Class::Unauthorized | Class::BadCredentials => Exit::Environment,
        _ => Exit::Aws,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn call(class: Class) -> CallError {
        CallError {
            operation: "ec2:RunInstances",
            class,
            code: None,
            message: "no".into(),
        }
    }

    fn lost() -> HostError {
        HostError::Lost(io::Error::other("gone"))
    }

    #[test]
    fn a_missing_permission_is_the_environments_matter_and_a_refusal_is_awss() {
        let launch = |class| BakeError::from(LaunchError::Call(call(class))).exit();
        assert_eq!(launch(Class::Unauthorized), Exit::Environment);
        assert_eq!(launch(Class::BadCredentials), Exit::Environment);
        assert_eq!(launch(Class::Refused), Exit::Aws);
        assert_eq!(launch(Class::Quota), Exit::Aws);
        let image = BakeError::from(ImageError::Call(call(Class::Throttled)));
        assert_eq!(image.exit(), Exit::Aws);
    }

    #[test]
    fn a_lost_host_is_told_from_a_recipe_that_fails() {
        let check = VerifyError::Host {
            subject: "port 80".into(),
            source: lost(),
        };
        assert_eq!(BakeError::from(check).exit(), Exit::Host);
        let findings = VerifyError::Failed {
            findings: Vec::new(),
            of: 1,
        };
        assert_eq!(BakeError::from(findings).exit(), Exit::Recipe);
        assert_eq!(BakeError::from(SealError::Host(lost())).exit(), Exit::Host);
        let remnants = SealError::Remnants(Vec::new());
        assert_eq!(BakeError::from(remnants).exit(), Exit::Recipe);
        assert_eq!(BakeError::Packages(lost()).exit(), Exit::Host);
    }

    #[test]
    fn before_the_launch_it_is_recipe_or_environment() {
        let plan = PlanError::RootVolumeTooSmall {
            image: "ami-1".into(),
            asked_gib: 4,
            needed_gib: 8,
        };
        assert_eq!(BakeError::from(plan).exit(), Exit::Usage);
        assert_eq!(
            BakeError::from(AwsError::NoRegion).exit(),
            Exit::Environment
        );
        assert_eq!(BakeError::NoStateDirectory.exit(), Exit::Environment);
        assert_eq!(BakeError::Interrupted("SIGINT").exit(), Exit::Interrupted);
    }
}
