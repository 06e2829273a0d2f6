//! Waiting for an instance to reach a state.

use std::time::Duration;

use aws_sdk_ec2::types::{Instance, InstanceStateName};

use super::{Aws, CallError, Class, Explain};
use crate::events::Events;
use crate::wait::{self, Observation, Pace, WaitError};

/// Why an instance will not reach the state.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// AWS refused to tell.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It ended, or is ending, by itself or by someone else's hand.
    #[error("instance {id} is {state} ({reason}); the bake did not ask for that")]
    Ended {
        /// Its id.
        id: String,
        /// The state that it is in.
        state: String,
        /// AWS's reason, with its code.
        reason: String,
    },
}

/// Waits until the instance is in the wanted state, and returns its description.
///
/// # Errors
/// At the bound; when AWS refuses to tell; when the instance has ended and that was not what was wanted.
pub async fn wait_for_state(
    aws: &Aws,
    id: &str,
    wanted: InstanceStateName,
    pace: Pace,
    bound: Duration,
    events: &Events,
) -> Result<Instance, WaitError<InstanceError>> {
    let what = format!("instance {id} to be {}", wanted.as_str());
    wait::until(&what, pace, bound, events, || async {
        let answer = aws.ec2.describe_instances().instance_ids(id).send().await;
        observe(
            id,
            &wanted,
            answer.explain("ec2:DescribeInstances").map(|answer| {
                answer
                    .reservations
                    .unwrap_or_default()
                    .into_iter()
                    .flat_map(|reservation| reservation.instances.unwrap_or_default())
                    .next()
            }),
        )
    })
    .await
}

/// What one look says about the wanted state. That an instance is not found proves neither that it never was nor that
/// it is gone: EC2 is eventually consistent.
fn observe(
    id: &str,
    wanted: &InstanceStateName,
    look: Result<Option<Instance>, CallError>,
) -> Observation<Instance, InstanceError> {
    let instance = match look {
        Ok(Some(instance)) => instance,
        Ok(None) => return Observation::NotYet("not visible yet".into()),
        Err(error) if error.class == Class::NotFound => {
            return Observation::NotYet("not visible yet".into());
        }
        Err(error) if error.class.passes() => return Observation::Hiccup(error.to_string()),
        Err(error) => return Observation::Failed(error.into()),
    };
    let Some(state) = instance.state().and_then(|state| state.name()).cloned() else {
        return Observation::NotYet("without a state".into());
    };
    if state == *wanted {
        return Observation::Ready(instance);
    }
    let ended = [
        InstanceStateName::ShuttingDown,
        InstanceStateName::Terminated,
    ];
    if ended.contains(&state) && *wanted != InstanceStateName::Terminated {
        let reason = instance
            .state_reason()
            .and_then(|reason| reason.message())
            .or(instance.state_transition_reason())
            .filter(|reason| !reason.is_empty())
            .unwrap_or("no reason given");
        return Observation::Failed(InstanceError::Ended {
            id: id.to_owned(),
            state: state.as_str().to_owned(),
            reason: reason.to_owned(),
        });
    }
    Observation::NotYet(state.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::{InstanceState, StateReason};

    fn look(state: InstanceStateName) -> Result<Option<Instance>, CallError> {
        Ok(Some(
            Instance::builder()
                .state(InstanceState::builder().name(state).build())
                .state_reason(
                    StateReason::builder()
                        .message("Client.VolumeLimitExceeded: Volume limit exceeded")
                        .build(),
                )
                .build(),
        ))
    }

    fn refused(class: Class) -> Result<Option<Instance>, CallError> {
        Err(CallError {
            operation: "ec2:DescribeInstances",
            class,
            code: None,
            message: String::new(),
        })
    }

    #[test]
    fn an_instance_that_is_not_visible_is_waited_for_in_both_directions() {
        for wanted in [InstanceStateName::Running, InstanceStateName::Terminated] {
            for look in [Ok(None), refused(Class::NotFound)] {
                assert!(matches!(
                    observe("i-1", &wanted, look),
                    Observation::NotYet(_)
                ));
            }
        }
    }

    #[test]
    fn a_launch_that_ends_by_itself_fails_with_the_reason() {
        let seen = observe(
            "i-1",
            &InstanceStateName::Running,
            look(InstanceStateName::Terminated),
        );
        let Observation::Failed(error) = seen else {
            panic!("{seen:?}");
        };
        assert_eq!(
            error.to_string(),
            "instance i-1 is terminated (Client.VolumeLimitExceeded: Volume limit exceeded); the bake did not ask for that"
        );
    }

    #[test]
    fn ending_is_what_a_termination_waits_for() {
        let wanted = InstanceStateName::Terminated;
        assert!(matches!(
            observe("i-1", &wanted, look(InstanceStateName::ShuttingDown)),
            Observation::NotYet(_)
        ));
        assert!(matches!(
            observe("i-1", &wanted, look(InstanceStateName::Terminated)),
            Observation::Ready(_)
        ));
    }

    #[test]
    fn a_throttle_passes_and_a_missing_permission_does_not() {
        let wanted = InstanceStateName::Running;
        assert!(matches!(
            observe("i-1", &wanted, refused(Class::Throttled)),
            Observation::Hiccup(_)
        ));
        assert!(matches!(
            observe("i-1", &wanted, refused(Class::Unauthorized)),
            Observation::Failed(InstanceError::Call(_))
        ));
    }
}
