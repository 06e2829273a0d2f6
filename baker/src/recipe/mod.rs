//! What the user wants: a recipe, read from TOML and checked completely before anything is created.
//!
//! `parse` turns one file into its parts, `compose` follows `from` and puts the parts together,
//! `digest` hashes what decides the image. What comes out has no variables, no open paths and no
//! mistakes that can be found without AWS.

mod agent;
mod checks;
mod compose;
mod digest;
mod parse;
mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

pub use checks::{Check, Condition, PathKind};
pub use compose::{FILE_NAME, load};
pub use digest::Digest;
pub use parse::Outside;
pub use steps::{
    Access, Action, Apt, Entry, EntryKind, Layer, Program, Run, Service, Step, Template, Upgrade,
    Upload,
};

/// `[build].instance_types` if no recipe of the chain says it.
pub const DEFAULT_INSTANCE_TYPES: [&str; 2] = ["t3.medium", "t3a.medium"];
/// `[build].timeout` if no recipe of the chain says it.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// `[build].ssh_user` if no recipe of the chain says it.
pub const DEFAULT_SSH_USER: &str = "ubuntu";

/// A recipe with every variable resolved, every file found, and the recipes that it stands on merged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// `[image].name`: the first part of the AMI's name.
    pub name: String,
    /// `[image].description`, at most 255 characters.
    pub description: Option<String>,
    /// The AMI that the bake starts from; of the bottom recipe, if recipes stand on each other.
    pub source: Source,
    /// `[image].tags`: go on the image and its snapshots, and on what the bake makes on the way.
    pub tags: BTreeMap<String, String>,
    /// `[build]`: how and where to bake.
    pub build: Build,
    /// What to do on the host, in order; the layers of a base recipe come first.
    pub layers: Vec<Layer>,
    /// What must hold on the host before it is sealed; the checks of a base recipe come first.
    pub checks: Vec<Check>,
    /// Everything above that decides the image's content, hashed. Independent of the recipe's
    /// place, of times of modification, and of the machine it is read on.
    pub digest: Digest,
}

/// Where the bake starts from (`[image].from`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `{ ubuntu = "18.04" }`: Canonical's current image of that release.
    Ubuntu(String),
    /// `{ ami = "ami-…" }`.
    Ami(String),
    /// `{ ssm = "/path" }`: an SSM parameter whose value is an AMI id.
    Ssm(String),
}

/// How and where to bake (`[build]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Types to try in order when one has no capacity; never empty.
    pub instance_types: Vec<String>,
    /// The disk that becomes the image.
    pub root_volume: RootVolume,
    /// The whole bake must be done in this time; the instance powers itself off soon after.
    pub timeout: Duration,
    /// The user that SSH logs in as, and that user-data authorises.
    pub ssh_user: String,
    /// `subnet-…`; the default VPC's if absent.
    pub subnet: Option<String>,
    /// Which of the instance's addresses to connect to.
    pub address: AddressMode,
    /// The CIDR that may reach port 22; the caller's own address if absent.
    pub ssh_from: Option<String>,
    /// Name of the instance profile to launch with.
    pub instance_profile: Option<String>,
}

/// The disk that becomes the image (`[build].root_volume`). What is absent is as the source image has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RootVolume {
    /// Size in GiB; at least the source snapshot's.
    pub size_gib: Option<u32>,
    /// `gp3`, `gp2`, `io1`, `io2`, `st1`, `sc1` or `standard`.
    pub volume_type: Option<String>,
    /// Provisioned IOPS.
    pub iops: Option<u32>,
    /// Throughput in MiB/s (gp3 only).
    pub throughput_mibps: Option<u32>,
}

/// Which of the instance's addresses to connect to (`[build].address`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressMode {
    /// The public address where the subnet gives one, else the private one.
    Auto,
    /// The public address.
    Public,
    /// The private address.
    Private,
}

#[cfg(test)]
mod tests;
