//! The plan: everything that a bake will do, with no choices left. Pure.

pub mod user_data;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::facts::{Address, Facts, SourceImage};
use crate::recipe::{Check, Digest, Layer, Recipe};

/// The tag that says which bake made a resource.
pub const BAKE_ID_TAG: &str = "baker:bake-id";
/// The tag that says which recipe a resource was made for.
pub const RECIPE_TAG: &str = "baker:recipe";
/// The tag of images that holds the recipe's whole digest.
pub const DIGEST_TAG: &str = "baker:recipe-digest";
/// The tag of images that holds the id of the image that they were baked from.
pub const SOURCE_TAG: &str = "baker:source-image";

/// SSH's port.
const SSH_PORT: u16 = 22;
/// gp3 is cheaper than gp2 and writes a snapshot as fast.
const DEFAULT_VOLUME_TYPE: &str = "gp3";
/// The instance ends itself this much after the bake's own timeout: the baker comes first, and
/// cleans up everything else too.
const DEADLINE_MARGIN: Duration = Duration::from_secs(10 * 60);
/// EC2's limit on an image's description.
const MAX_DESCRIPTION_CHARACTERS: usize = 255;

/// Names one bake. At most 64 characters of `[a-z0-9-]`, so that it can be an EC2 client token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BakeId(String);

impl BakeId {
    /// A bake id from the bake's start and four random bytes: `20261123-031500-9f86d081`.
    #[must_use]
    pub fn new(start: jiff::Timestamp, random: [u8; 4]) -> Self {
        Self(format!(
            "{}-{:08x}",
            start.strftime("%Y%m%d-%H%M%S"),
            u32::from_be_bytes(random)
        ))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BakeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that a bake will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Names this bake.
    pub bake_id: BakeId,
    /// The recipe's name.
    pub recipe_name: String,
    /// The recipe's digest.
    pub recipe_digest: Digest,
    /// The account that pays.
    pub account: String,
    /// The region of everything.
    pub region: String,
    /// The image that the bake starts from.
    pub source_image: SourceImage,
    /// The whole bake must be done in this time.
    pub timeout: Duration,
    /// The group around the instance.
    pub security_group: SecurityGroup,
    /// The instance.
    pub launch: Launch,
    /// How to get in.
    pub login: Login,
    /// What to do there, in order.
    pub layers: Vec<Layer>,
    /// What must hold there afterwards.
    pub checks: Vec<Check>,
    /// What comes of it.
    pub image: Image,
}

/// The security group that the bake makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `baker-<bake id>`.
    pub name: String,
    /// One line for the console.
    pub description: String,
    /// The VPC that it belongs to.
    pub vpc_id: String,
    /// The only TCP port that it opens.
    pub port: u16,
    /// The CIDR that it opens it to.
    pub cidr: String,
    /// Tags of the group.
    pub tags: BTreeMap<String, String>,
}

/// The instance to launch. IMDSv2 is required and a shutdown terminates it, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Makes the call idempotent: the bake id.
    pub client_token: String,
    /// Types to try in order when one has no capacity; never empty.
    pub instance_types: Vec<String>,
    /// Where to try each type, in order; never empty, all of one VPC.
    pub subnet_ids: Vec<String>,
    /// Ask for a public address, whatever the subnet's default is.
    pub public_address: bool,
    /// Its root disk.
    pub root_device: RootDevice,
    /// Name of the instance profile.
    pub instance_profile: Option<String>,
    /// The instance powers itself off when this has passed since boot.
    pub power_off_after: Duration,
    /// Tags of instance, volumes and network interfaces.
    pub tags: BTreeMap<String, String>,
}

/// The root disk of the instance; deleted with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDevice {
    /// As the source image names it (`/dev/sda1`).
    pub device_name: String,
    /// Size in GiB.
    pub size_gib: u32,
    /// `gp3`, …
    pub volume_type: String,
    /// Provisioned IOPS.
    pub iops: Option<u32>,
    /// Throughput in MiB/s.
    pub throughput_mibps: Option<u32>,
}

/// How to log in to the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// Which address to connect to.
    pub address: Address,
    /// The TCP port.
    pub port: u16,
}

/// The image that comes of the bake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Unique in account and region.
    pub name: String,
    /// At most 255 characters.
    pub description: String,
    /// Tags of the image and its snapshots.
    pub tags: BTreeMap<String, String>,
}

/// Why a recipe can't be baked on this ground.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// The disk that the recipe asks for can't hold the source image.
    #[error(
        "[build].root_volume.size_gib is {asked_gib}, but the root snapshot of {image} is {needed_gib} GiB; \
         ask for at least that, or leave size_gib out"
    )]
    RootVolumeTooSmall {
        /// The source image.
        image: String,
        /// What the recipe asks for.
        asked_gib: u32,
        /// What the snapshot needs.
        needed_gib: u32,
    },
}

/// Makes the plan of a bake that begins now. The same arguments give the same plan.
///
/// # Errors
/// When recipe and facts don't fit together.
pub fn plan(
    recipe: &Recipe,
    facts: &Facts,
    bake_id: BakeId,
    now: jiff::Timestamp,
) -> Result<Plan, PlanError> {
    let image_name = image_name(&recipe.name, now, &recipe.digest);
    let own_tags = BTreeMap::from([
        (BAKE_ID_TAG.to_owned(), bake_id.to_string()),
        (RECIPE_TAG.to_owned(), recipe.name.clone()),
    ]);
    // The recipe's tags go on everything: accounts with tag policies refuse a launch without theirs.
    let mut tags = recipe.tags.clone();
    tags.extend(own_tags.clone());
    tags.insert("Name".into(), format!("baker {image_name}"));
    let root_device = root_device(recipe, facts)?;
    Ok(Plan {
        recipe_name: recipe.name.clone(),
        recipe_digest: recipe.digest,
        account: facts.account.clone(),
        region: facts.region.clone(),
        source_image: facts.source_image.clone(),
        timeout: recipe.build.timeout,
        security_group: SecurityGroup {
            name: format!("baker-{bake_id}"),
            description: format!("SSH to the host of bake {bake_id}, removed when it ends"),
            vpc_id: facts.subnet.vpc_id.clone(),
            port: SSH_PORT,
            cidr: facts.ssh_from.clone(),
            tags: tags.clone(),
        },
        launch: Launch {
            client_token: bake_id.to_string(),
            instance_types: recipe.build.instance_types.clone(),
            subnet_ids: std::iter::once(&facts.subnet)
                .chain(&facts.spare_subnets)
                .map(|subnet| subnet.id.clone())
                .collect(),
            public_address: facts.address == Address::Public,
            root_device,
            instance_profile: recipe.build.instance_profile.clone(),
            power_off_after: recipe.build.timeout + DEADLINE_MARGIN,
            tags,
        },
        login: Login {
            user: recipe.build.ssh_user.clone(),
            address: facts.address,
            port: SSH_PORT,
        },
        layers: recipe.layers.clone(),
        checks: recipe.checks.clone(),
        image: Image {
            description: image_description(recipe, &facts.source_image),
            tags: image_tags(recipe, &facts.source_image, own_tags),
            name: image_name,
        },
        bake_id,
    })
}

/// `<recipe>-<yyyymmdd-hhmmss, UTC>-<eight digits of the digest>`: sorts by time, tells recipes
/// apart, and can't be taken already by another bake of another second.
fn image_name(recipe: &str, now: jiff::Timestamp, digest: &Digest) -> String {
    let time = now.strftime("%Y%m%d-%H%M%S");
    format!("{recipe}-{time}-{}", digest.short())
}

fn image_description(recipe: &Recipe, source: &SourceImage) -> String {
    let description = recipe
        .description
        .clone()
        .unwrap_or_else(|| format!("{} baked from {}", recipe.name, source.name));
    description
        .chars()
        .take(MAX_DESCRIPTION_CHARACTERS)
        .collect()
}

/// The recipe's tags and the baker's own; a recipe can set `Name` itself.
fn image_tags(
    recipe: &Recipe,
    source: &SourceImage,
    own: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::from([("Name".to_owned(), recipe.name.clone())]);
    tags.extend(recipe.tags.clone());
    tags.extend(own);
    tags.insert(DIGEST_TAG.into(), recipe.digest.to_string());
    tags.insert(SOURCE_TAG.into(), source.id.clone());
    tags
}

fn root_device(recipe: &Recipe, facts: &Facts) -> Result<RootDevice, PlanError> {
    let asked = &recipe.build.root_volume;
    let needed_gib = facts.source_image.root_size_gib;
    let size_gib = asked.size_gib.unwrap_or(needed_gib);
    if size_gib < needed_gib {
        return Err(PlanError::RootVolumeTooSmall {
            image: facts.source_image.id.clone(),
            asked_gib: size_gib,
            needed_gib,
        });
    }
    Ok(RootDevice {
        device_name: facts.source_image.root_device_name.clone(),
        size_gib,
        volume_type: asked
            .volume_type
            .clone()
            .unwrap_or_else(|| DEFAULT_VOLUME_TYPE.to_owned()),
        iops: asked.iops,
        throughput_mibps: asked.throughput_mibps,
    })
}

#[cfg(test)]
pub(crate) mod tests;
