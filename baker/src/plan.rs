//! The plan: everything that a bake will do, with no choices left. Pure.

pub mod user_data;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::facts::{Address, SourceImage};
use crate::recipe::{Check, Digest, Layer};

/// The tag that says which bake made a resource.
pub const BAKE_ID_TAG: &str = "baker:bake-id";

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
    /// Where it goes.
    pub subnet_id: String,
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
