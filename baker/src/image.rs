//! Image: stop the instance, freeze its disk as an AMI, wait until the AMI can be launched.

use std::time::Duration;

use aws_sdk_ec2::types::{Filter, Image, ImageState, InstanceStateName, ResourceType};

use crate::aws::{self, Aws, CallError, Class, Explain, InstanceError};
use crate::events::{Event, Events};
use crate::journal::{Journal, JournalError, Kind};
use crate::launch::tags;
use crate::plan::{BAKE_ID_TAG, Plan};
use crate::wait::{self, Observation, Pace, WaitError};

/// A stop includes the host's own shutdown, which systemd lets take 90 s for each stubborn unit.
const STOPPED_WITHIN: Duration = Duration::from_secs(600);

/// What the bake is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baked {
    /// `ami-…`.
    pub image_id: String,
    /// The snapshots that it stands on.
    pub snapshot_ids: Vec<String>,
}

/// There is no image, or none that can be launched. What was made by then is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Without a journal nothing is created.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// AWS refused a call.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The instance did not stop.
    #[error(transparent)]
    NotStopped(WaitError<InstanceError>),
    /// Another image has the name.
    #[error(
        "an image named {name} exists in {region} and is not of this bake; build again for another name"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Where.
        region: String,
    },
    /// AWS gave up on the image.
    #[error("image {id} is {state}: {reason}; build again")]
    Failed {
        /// Its id.
        id: String,
        /// The state that it is in.
        state: String,
        /// AWS's reason.
        reason: String,
    },
    /// The image did not become available within its bound.
    #[error(transparent)]
    GaveUp(WaitError<std::convert::Infallible>),
}

/// Stops the instance, makes the image, and waits until it is available.
///
/// # Errors
/// See [`ImageError`].
pub async fn create(
    aws: &Aws,
    plan: &Plan,
    instance_id: &str,
    journal: &Journal,
    events: &Events,
) -> Result<Baked, ImageError> {
    stop(aws, instance_id, events).await?;
    let name = &plan.image.name;
    journal.intend(Kind::Image, name)?;
    let made = aws
        .ec2
        .create_image()
        .instance_id(instance_id)
        .name(name)
        .description(&plan.image.description)
        // It is stopped: there is nothing to reboot, and it shall not start again.
        .no_reboot(true)
        .tag_specifications(tags(ResourceType::Image, &plan.image.tags))
        .tag_specifications(tags(ResourceType::Snapshot, &plan.image.tags))
        .send()
        .await
        .explain("ec2:CreateImage");
    let image_id = match made {
        Ok(made) => made.image_id.unwrap_or_default(),
        // A repeated call, whose first answer was lost.
        Err(error) if error.class == Class::Exists => adopt(aws, plan, journal).await?,
        Err(error) => {
            if !error.class.passes() {
                journal.refused(Kind::Image, name)?;
            }
            return Err(error.into());
        }
    };
    journal.created(Kind::Image, name, &image_id)?;
    events.emit(Event::Created {
        kind: Kind::Image.name(),
        id: image_id.clone(),
    });
    let image = available(aws, &image_id, plan, events).await?;
    Ok(Baked {
        snapshot_ids: snapshot_ids(&image),
        image_id,
    })
}

async fn stop(aws: &Aws, instance_id: &str, events: &Events) -> Result<(), ImageError> {
    aws.ec2
        .stop_instances()
        .instance_ids(instance_id)
        .send()
        .await
        .explain("ec2:StopInstances")?;
    let stopped = InstanceStateName::Stopped;
    aws::wait_for_state(aws, instance_id, stopped, Pace::AWS, STOPPED_WITHIN, events)
        .await
        .map(|_| ())
        .map_err(ImageError::NotStopped)
}

/// The image of that name, if it is this bake's.
async fn adopt(aws: &Aws, plan: &Plan, journal: &Journal) -> Result<String, ImageError> {
    let found = find_by_name(aws, &plan.image.name, plan.bake_id.as_str()).await?;
    match found.and_then(|image| image.image_id) {
        Some(id) => Ok(id),
        None => {
            journal.refused(Kind::Image, &plan.image.name)?;
            Err(ImageError::NameTaken {
                name: plan.image.name.clone(),
                region: aws.region.clone(),
            })
        }
    }
}

/// This bake's image of that name.
pub(crate) async fn find_by_name(
    aws: &Aws,
    name: &str,
    bake_id: &str,
) -> Result<Option<Image>, CallError> {
    let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let answer = aws
        .ec2
        .describe_images()
        .owners("self")
        .filters(filter("name", name))
        .filters(filter(&format!("tag:{BAKE_ID_TAG}"), bake_id))
        .send()
        .await
        .explain("ec2:DescribeImages")?;
    Ok(answer.images.unwrap_or_default().pop())
}

/// The snapshots that an image stands on.
pub(crate) fn snapshot_ids(image: &Image) -> Vec<String> {
    image
        .block_device_mappings()
        .iter()
        .filter_map(|mapping| mapping.ebs()?.snapshot_id().map(str::to_owned))
        .collect()
}

async fn available(aws: &Aws, id: &str, plan: &Plan, events: &Events) -> Result<Image, ImageError> {
    let bake_id = plan.bake_id.as_str();
    let what = format!("image {id} to be available");
    let looked = wait::until(&what, Pace::AWS, plan.timeout, events, || async {
        let answer = aws
            .ec2
            .describe_images()
            .image_ids(id)
            .send()
            .await
            .explain("ec2:DescribeImages")
            .map(|answer| answer.images.unwrap_or_default().pop());
        match observe(id, answer) {
            Observation::NotYet(state) => Observation::NotYet(progress(aws, bake_id, state).await),
            other => other,
        }
    })
    .await;
    looked.map_err(|error| match error {
        WaitError::Failed(error) => error,
        WaitError::TimedOut {
            what,
            bound,
            last_seen,
        } => ImageError::GaveUp(WaitError::TimedOut {
            what,
            bound,
            last_seen,
        }),
    })
}

/// What one look says about an image that shall become available.
fn observe(id: &str, look: Result<Option<Image>, CallError>) -> Observation<Image, ImageError> {
    let image = match look {
        Ok(Some(image)) => image,
        Ok(None) => return Observation::NotYet("not visible yet".into()),
        Err(error) if error.class == Class::NotFound => {
            return Observation::NotYet("not visible yet".into());
        }
        Err(error) if error.class.passes() => return Observation::Hiccup(error.to_string()),
        Err(error) => return Observation::Failed(error.into()),
    };
    match image.state() {
        Some(ImageState::Available) => Observation::Ready(image),
        Some(ImageState::Pending | ImageState::Transient) | None => {
            Observation::NotYet("pending".into())
        }
        Some(other) => Observation::Failed(ImageError::Failed {
            id: id.to_owned(),
            state: other.as_str().to_owned(),
            reason: image
                .state_reason()
                .and_then(|reason| reason.message())
                .unwrap_or("no reason given")
                .to_owned(),
        }),
    }
}

/// How far the snapshots are, for the eyes only: without it the state is shown.
async fn progress(aws: &Aws, bake_id: &str, state: String) -> String {
    let answer = aws
        .ec2
        .describe_snapshots()
        .owner_ids("self")
        .filters(
            Filter::builder()
                .name(format!("tag:{BAKE_ID_TAG}"))
                .values(bake_id)
                .build(),
        )
        .send()
        .await;
    let percent = answer
        .ok()
        .and_then(|answer| answer.snapshots?.pop()?.progress)
        .filter(|percent| !percent.is_empty());
    match percent {
        Some(percent) => format!("{state}, snapshot {percent}"),
        None => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::StateReason;

    fn look(state: ImageState) -> Result<Option<Image>, CallError> {
        Ok(Some(
            Image::builder()
                .state(state)
                .state_reason(
                    StateReason::builder()
                        .message("Snapshot snap-1 failed")
                        .build(),
                )
                .build(),
        ))
    }

    #[test]
    fn a_failed_image_ends_the_wait_with_its_reason() {
        let seen = observe("ami-1", look(ImageState::Failed));
        let Observation::Failed(error) = seen else {
            panic!("{seen:?}");
        };
        assert_eq!(
            error.to_string(),
            "image ami-1 is failed: Snapshot snap-1 failed; build again"
        );
    }

    #[test]
    fn a_pending_or_unseen_image_is_waited_for() {
        for look in [look(ImageState::Pending), Ok(None)] {
            assert!(matches!(observe("ami-1", look), Observation::NotYet(_)));
        }
        assert!(matches!(
            observe("ami-1", look(ImageState::Available)),
            Observation::Ready(_)
        ));
    }
}
