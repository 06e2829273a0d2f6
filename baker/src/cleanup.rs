//! Clean up: remove whatever the journal says may exist and is not kept.
//!
//! It works from the journal's records alone, so that it is the same after a success, a failure, Ctrl-C, and, one day,
//! for a bake whose process is gone. One thing that resists does not stop the rest; what stays behind is named, with
//! the command that removes it.

mod left;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_ec2::types::{Filter, InstanceStateName};

pub use left::{LeftBehind, RemoveError, remedy};

use crate::aws::{self, Aws, CallError, Class, Explain};
use crate::events::{Event, Events};
use crate::image;
use crate::journal::{self, Journal, JournalError, Kind, Record, Resource};
use crate::plan::BAKE_ID_TAG;
use crate::wait::{self, Observation, Pace, WaitError};

/// A shutdown may take a minute or two; AWS ends it by force after some more.
const TERMINATED_WITHIN: Duration = Duration::from_secs(600);
/// A group can go when the last interface in it is gone, which lags behind the instance's end.
const GROUP_GONE_WITHIN: Duration = Duration::from_secs(300);
/// A snapshot is held by its image for a moment after the image is gone.
const SNAPSHOT_GONE_WITHIN: Duration = Duration::from_secs(120);
/// How long something whose creation was never confirmed may take to become visible.
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);

/// Removes what the journal names, and writes down what is gone. Returns what is left.
///
/// # Errors
/// When the journal cannot be written; everything has been tried then nevertheless.
pub async fn clean_up(
    aws: &Aws,
    bake_id: &str,
    journal: &Journal,
    events: &Events,
) -> Result<Vec<LeftBehind>, JournalError> {
    let mut left: Vec<LeftBehind> = Vec::new();
    let mut written = Ok(());
    for resource in journal::cleanup_plan(&journal.records()) {
        let removed = match resource.kind {
            Kind::Instance => remove_instance(aws, &resource, bake_id, events).await,
            Kind::Image => remove_image(aws, &resource, bake_id, events).await,
            Kind::SecurityGroup => {
                // A group cannot go before the instance in it: one look is enough then.
                let held = left.iter().any(|left| left.resource.kind == Kind::Instance);
                let bound = if held {
                    Duration::ZERO
                } else {
                    GROUP_GONE_WITHIN
                };
                remove_group(aws, &resource, bake_id, bound, events).await
            }
        };
        match removed {
            Ok(()) => {
                written = written.and(journal.removed(resource.kind, &resource.name));
            }
            Err(why) => {
                let behind = LeftBehind {
                    resource,
                    region: aws.region.clone(),
                    why,
                };
                events.warn(format!("left behind: {behind}"));
                left.push(behind);
            }
        }
    }
    written?;
    if left.is_empty() {
        journal.write(Record::Done)?;
    }
    Ok(left)
}

fn filter(name: impl Into<String>, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn removed(kind: &'static str, id: &str, events: &Events) {
    events.emit(Event::Removed {
        kind,
        id: id.to_owned(),
    });
}

/// Something that is gone, or never was, is removed.
fn unless_gone<T>(result: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.class == Class::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ids of something that was intended and never confirmed: none only when none has appeared for a while.
async fn unconfirmed<L>(
    what: &str,
    events: &Events,
    mut look: impl FnMut() -> L,
) -> Result<Vec<String>, RemoveError>
where
    L: Future<Output = Result<Vec<String>, CallError>>,
{
    let what = format!("{what}, in case it was made");
    // Whether the last look was answered, with nothing.
    let absent = AtomicBool::new(false);
    let found = wait::until(&what, Pace::AWS, VISIBLE_WITHIN, events, || {
        absent.store(false, Ordering::Relaxed);
        let (look, absent) = (look(), &absent);
        async move {
            match look.await {
                Ok(ids) if ids.is_empty() => {
                    absent.store(true, Ordering::Relaxed);
                    Observation::NotYet("not there".into())
                }
                Ok(ids) => Observation::Ready(ids),
                Err(error) if error.class.passes() => Observation::Hiccup(error.to_string()),
                Err(error) => Observation::Failed(error),
            }
        }
    })
    .await;
    match found {
        Err(WaitError::TimedOut { .. }) if absent.load(Ordering::Relaxed) => Ok(Vec::new()),
        found => found.map_err(in_use),
    }
}

async fn remove_instance(
    aws: &Aws,
    resource: &Resource,
    bake_id: &str,
    events: &Events,
) -> Result<(), RemoveError> {
    let ids = match &resource.id {
        Some(id) => vec![id.clone()],
        None => {
            let what = format!("an instance with the token {}", resource.name);
            unconfirmed(&what, events, || tagged_instances(aws, bake_id)).await?
        }
    };
    for id in ids {
        let ended = aws.ec2.terminate_instances().instance_ids(&id).send().await;
        if unless_gone(ended.explain("ec2:TerminateInstances"))?.is_some() {
            let terminated = InstanceStateName::Terminated;
            aws::wait_for_state(aws, &id, terminated, Pace::AWS, TERMINATED_WITHIN, events)
                .await
                .map_err(RemoveError::NotEnded)?;
        }
        removed(Kind::Instance.name(), &id, events);
    }
    Ok(())
}

/// The bake's instances. The tag came with the launch call, so whatever that made has it.
async fn tagged_instances(aws: &Aws, bake_id: &str) -> Result<Vec<String>, CallError> {
    let answer = aws
        .ec2
        .describe_instances()
        .filters(filter(format!("tag:{BAKE_ID_TAG}"), bake_id))
        .send()
        .await
        .explain("ec2:DescribeInstances")?;
    Ok(answer
        .reservations
        .unwrap_or_default()
        .into_iter()
        .flat_map(|reservation| reservation.instances.unwrap_or_default())
        .filter_map(|instance| instance.instance_id)
        .collect())
}

/// The image and its snapshots; those also when the image itself is gone already.
async fn remove_image(
    aws: &Aws,
    resource: &Resource,
    bake_id: &str,
    events: &Events,
) -> Result<(), RemoveError> {
    let ids = match &resource.id {
        Some(id) => vec![id.clone()],
        None => {
            let what = format!("an image named {}", resource.name);
            unconfirmed(&what, events, || async {
                let found = image::find_by_name(aws, &resource.name, bake_id).await?;
                Ok(found.and_then(|image| image.image_id).into_iter().collect())
            })
            .await?
        }
    };
    let mut snapshots = tagged_snapshots(aws, bake_id).await?;
    for id in ids {
        let looked = aws.ec2.describe_images().image_ids(&id).send().await;
        if let Some(answer) = unless_gone(looked.explain("ec2:DescribeImages"))? {
            for image in answer.images.unwrap_or_default() {
                snapshots.extend(image::snapshot_ids(&image));
            }
        }
        let gone = aws.ec2.deregister_image().image_id(&id).send().await;
        // AWS says `Unavailable` of an image that is deregistered already.
        unless_gone(gone.explain("ec2:DeregisterImage"))?;
        removed(Kind::Image.name(), &id, events);
    }
    snapshots.sort_unstable();
    snapshots.dedup();
    for id in snapshots {
        remove_snapshot(aws, &id, events).await?;
    }
    Ok(())
}

async fn tagged_snapshots(aws: &Aws, bake_id: &str) -> Result<Vec<String>, CallError> {
    let answer = aws
        .ec2
        .describe_snapshots()
        .owner_ids("self")
        .filters(filter(format!("tag:{BAKE_ID_TAG}"), bake_id))
        .send()
        .await
        .explain("ec2:DescribeSnapshots")?;
    Ok(answer
        .snapshots
        .unwrap_or_default()
        .into_iter()
        .filter_map(|snapshot| snapshot.snapshot_id)
        .collect())
}

async fn remove_snapshot(aws: &Aws, id: &str, events: &Events) -> Result<(), RemoveError> {
    let what = format!("snapshot {id} to be free");
    wait::until(&what, Pace::AWS, SNAPSHOT_GONE_WITHIN, events, || async {
        let gone = aws.ec2.delete_snapshot().snapshot_id(id).send().await;
        settle(gone.explain("ec2:DeleteSnapshot"))
    })
    .await
    .map_err(in_use)?;
    removed("snapshot", id, events);
    Ok(())
}

async fn remove_group(
    aws: &Aws,
    resource: &Resource,
    bake_id: &str,
    bound: Duration,
    events: &Events,
) -> Result<(), RemoveError> {
    let ids = match &resource.id {
        Some(id) => vec![id.clone()],
        None => {
            let what = format!("a security group named {}", resource.name);
            unconfirmed(&what, events, || {
                by_group_name(aws, &resource.name, bake_id)
            })
            .await?
        }
    };
    for id in ids {
        let what = format!("security group {id} to be free");
        wait::until(&what, Pace::AWS, bound, events, || async {
            let gone = aws.ec2.delete_security_group().group_id(&id).send().await;
            settle(gone.explain("ec2:DeleteSecurityGroup"))
        })
        .await
        .map_err(in_use)?;
        removed(Kind::SecurityGroup.name(), &id, events);
    }
    Ok(())
}

async fn by_group_name(aws: &Aws, name: &str, bake_id: &str) -> Result<Vec<String>, CallError> {
    let answer = aws
        .ec2
        .describe_security_groups()
        .filters(filter("group-name", name))
        .filters(filter(format!("tag:{BAKE_ID_TAG}"), bake_id))
        .send()
        .await
        .explain("ec2:DescribeSecurityGroups")?;
    Ok(answer
        .security_groups
        .unwrap_or_default()
        .into_iter()
        .filter_map(|group| group.group_id)
        .collect())
}

/// What a deletion's answer means: gone, still in use, passing, or refused.
fn settle<T>(result: Result<T, CallError>) -> Observation<(), CallError> {
    match result {
        Ok(_) => Observation::Ready(()),
        Err(error) if error.class == Class::NotFound => Observation::Ready(()),
        Err(error) if error.class == Class::Busy => Observation::NotYet("still in use".into()),
        Err(error) if error.class.passes() => Observation::Hiccup(error.to_string()),
        Err(error) => Observation::Failed(error),
    }
}

fn in_use(error: WaitError<CallError>) -> RemoveError {
    match error {
        WaitError::Failed(error) => error.into(),
        bound => RemoveError::InUse(bound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(class: Class) -> Result<(), CallError> {
        Err(CallError {
            operation: "ec2:DeleteSecurityGroup",
            class,
            code: None,
            message: "no".into(),
        })
    }

    #[test]
    fn a_deletion_is_repeated_while_it_is_in_use_and_done_when_it_is_gone() {
        assert_eq!(settle(Ok(())).kind(), "ready");
        assert_eq!(settle(refused(Class::NotFound)).kind(), "ready");
        assert_eq!(settle(refused(Class::Busy)).kind(), "not yet");
        assert_eq!(settle(refused(Class::Throttled)).kind(), "hiccup");
        assert_eq!(settle(refused(Class::Unauthorized)).kind(), "failed");
    }

    impl Observation<(), CallError> {
        fn kind(&self) -> &'static str {
            match self {
                Observation::Ready(()) => "ready",
                Observation::NotYet(_) => "not yet",
                Observation::Hiccup(_) => "hiccup",
                Observation::Failed(_) => "failed",
            }
        }
    }
}
