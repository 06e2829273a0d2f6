//! A bake from recipe to image: the table of contents of this crate.
//!
//! facts → plan → launch → connect → provision → verify → seal → image → clean up. Only this module
//! knows the stages. From the launch on, whatever happens, what is not the bake's result is removed.

mod failure;
mod signals;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rand::RngCore;

use crate::aws::{Aws, Choice};
use crate::cleanup::{self, LeftBehind};
use crate::events::{Events, Stage};
use crate::journal::{self, Journal, JournalError, Kind};
use crate::keys::KeyPair;
use crate::manifest::Made;
use crate::plan::{BakeId, Plan, user_data};
use crate::recipe::Recipe;
use crate::{connect, facts, image, launch, packages, plan, provision, seal, verify};

pub use failure::BakeError;
pub use signals::Interrupts;

/// What a bake needs besides its recipe.
#[derive(Debug)]
pub struct Ground {
    /// Region and profile.
    pub choice: Choice,
    /// Where journals are kept; nothing is created without one.
    pub journals: Option<PathBuf>,
    /// When the bake began.
    pub started: jiff::Timestamp,
}

/// A bake that went as far as creating something.
#[derive(Debug)]
pub struct Bake {
    /// The plan.
    pub plan: Plan,
    /// The way to AWS, for its count of calls.
    pub aws: Aws,
    /// What was made, or the first thing that went wrong.
    pub result: Result<Made, BakeError>,
    /// What could not be removed.
    pub left: Left,
}

/// What a bake leaves behind besides its image.
#[derive(Debug)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// These things, each with the command that removes it.
    Things(Vec<LeftBehind>),
    /// It was told to stop cleaning up, or could not write its journal: what this journal names may still exist.
    Unknown {
        /// The journal.
        journal: PathBuf,
        /// Why it is not known, unless the user asked for it.
        why: Option<JournalError>,
        /// Where it may exist.
        region: String,
        /// What may still exist.
        things: Vec<journal::Resource>,
    },
}

/// Bakes a recipe.
///
/// # Errors
/// What went wrong before anything was created. From then on, the result is in the [`Bake`].
pub async fn bake(
    recipe: &Recipe,
    ground: &Ground,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Bake, BakeError> {
    let clock = Instant::now();
    let (aws, plan) = tokio::select! {
        ready = prepare(recipe, ground, events) => ready?,
        signal = interrupts.next() => return Err(BakeError::Interrupted(signal)),
    };
    let directory = ground
        .journals
        .as_ref()
        .ok_or(BakeError::NoStateDirectory)?;
    let journal = Journal::create(
        directory,
        plan.bake_id.as_str(),
        &plan.account,
        &plan.region,
    )
    .map_err(BakeError::NoJournal)?;

    let deadline = clock + plan.timeout;
    let mut result = tokio::select! {
        made = make(&aws, &plan, deadline, &journal, events) => made,
        signal = interrupts.next() => Err(BakeError::Interrupted(signal)),
    };
    if result.is_ok()
        && let Err(error) = journal.kept(Kind::Image, &plan.image.name)
    {
        // Not written down as kept, it would be removed by the next sweep: better now, and said.
        result = Err(BakeError::Journal(error));
    }
    if let Err(BakeError::Interrupted(signal)) = &result {
        events.warn(format!(
            "{signal}: removing what was made; a second signal leaves it as it is"
        ));
    }
    let left = clean_up(&aws, &plan, &journal, interrupts, events).await;
    Ok(Bake {
        plan,
        aws,
        result,
        left,
    })
}

/// Looks around and decides everything; creates nothing.
async fn prepare(
    recipe: &Recipe,
    ground: &Ground,
    events: &Events,
) -> Result<(Aws, Plan), BakeError> {
    let (aws, facts) = events
        .stage(Stage::Facts, async {
            let aws = Aws::connect(&ground.choice, events).await?;
            let facts = facts::look_up(&aws, recipe, events).await?;
            Ok::<_, BakeError>((aws, facts))
        })
        .await?;
    let plan = events
        .stage(Stage::Plan, async {
            let mut random = [0; 4];
            rand::rng().fill_bytes(&mut random);
            let bake_id = BakeId::new(ground.started, random);
            plan::plan(recipe, &facts, bake_id, ground.started)
        })
        .await?;
    Ok((aws, plan))
}

/// Makes the image. What it creates on the way is in the journal; this function removes nothing.
async fn make(
    aws: &Aws,
    plan: &Plan,
    deadline: Instant,
    journal: &Journal,
    events: &Events,
) -> Result<Made, BakeError> {
    let host_key = KeyPair::generate("baker-host")?;
    let user_key = Arc::new(KeyPair::generate("baker")?);
    let user_data = user_data::render(&user_data::Inputs {
        user: &plan.login.user,
        authorized_key: user_key.public_openssh(),
        host_private_key: host_key.private_openssh(),
        host_public_key: host_key.public_openssh(),
        power_off_after: plan.launch.power_off_after,
        hold_agent_back: true,
    });

    let launched = events
        .stage(
            Stage::Launch,
            launch::launch(aws, plan, &user_data, journal, events),
        )
        .await?;
    let host = events
        .stage(
            Stage::Connect,
            connect::connect(aws, plan, &launched, user_key, &host_key, events),
        )
        .await?;
    let steps = events
        .stage(
            Stage::Provision,
            provision::provision(plan, &host, deadline, events),
        )
        .await?;
    events
        .stage(Stage::Verify, verify::verify(plan, &host, deadline, events))
        .await?;
    let packages = events
        .stage(Stage::Seal, async {
            let packages = packages::installed(&host)
                .await
                .map_err(BakeError::Packages)?;
            seal::seal(plan, &host, deadline, events).await?;
            Ok::<_, BakeError>(packages)
        })
        .await?;
    let baked = events
        .stage(
            Stage::Image,
            image::create(aws, plan, &launched.instance_id, journal, events),
        )
        .await?;
    Ok(Made {
        baked,
        instance_type: launched.instance_type,
        steps,
        packages,
    })
}

/// Removes what the journal names; a second signal ends that too.
async fn clean_up(
    aws: &Aws,
    plan: &Plan,
    journal: &Journal,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Left {
    let unknown = |why| Left::Unknown {
        journal: journal.path().to_path_buf(),
        why,
        region: plan.region.clone(),
        things: journal::cleanup_plan(&journal.records()),
    };
    let removal = cleanup::clean_up(aws, plan.bake_id.as_str(), journal, events);
    tokio::select! {
        left = events.stage(Stage::CleanUp, removal) => match left {
            Ok(left) if left.is_empty() => Left::Nothing,
            Ok(left) => Left::Things(left),
            Err(error) => unknown(Some(error)),
        },
        _ = interrupts.next() => unknown(None),
    }
}
