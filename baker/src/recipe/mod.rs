//! What the user wants: a recipe, read from TOML and checked completely before anything is created.

mod digest;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use digest::Digest;

/// A recipe with every variable resolved, every file found, and the recipes that it stands on merged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// `[image].name`: the first part of the AMI's name.
    pub name: String,
    /// `[image].description`, at most 255 characters.
    pub description: Option<String>,
    /// The AMI that the bake starts from; of the bottom recipe, if recipes stand on each other.
    pub source: Source,
    /// `[image].tags`: go on the image and its snapshots.
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

/// A run of steps that belong together (`[[layer]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Unique within its recipe.
    pub name: String,
    /// Name of the recipe that it stands in.
    pub recipe: String,
    /// What to do, in order; never empty.
    pub steps: Vec<Step>,
    /// Hash of this layer and all below it, without the source AMI.
    pub key: Digest,
}

/// One step of a layer (`[[layer.step]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The step's `name`, or a line made from what it does.
    pub title: String,
    /// The step must be done in this time.
    pub timeout: Option<Duration>,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Install packages, or upgrade what is there.
    Apt(Apt),
    /// Run shell text or a script file.
    Run(Run),
    /// Copy a file or a tree to the host.
    Upload(Upload),
    /// Write one file whose text is already rendered.
    Template(Template),
    /// Install, enable and start a systemd unit.
    Service(Service),
}

/// `apt = ["nginx"], upgrade = "dist"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apt {
    /// Package names, perhaps with `=version`; may be empty if `upgrade` is set.
    pub packages: Vec<String>,
    /// Upgrade what is installed first.
    pub upgrade: Option<Upgrade>,
}

/// `upgrade = "dist"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// `apt-get dist-upgrade`.
    Dist,
}

/// `run = "…"` or `script = "…"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What to run.
    pub program: Program,
    /// Who runs it.
    pub user: String,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// Absolute directory to run in; the user's home if absent.
    pub cwd: Option<String>,
}

/// What a `run` or `script` step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// Bash text, run with `-euo pipefail`.
    Shell(String),
    /// A script file, run by the interpreter that its first line names.
    Script {
        /// The path as the recipe has it.
        path: String,
        /// The file's content.
        content: Vec<u8>,
        /// Arguments.
        args: Vec<String>,
    },
}

/// `upload = { from, to, owner, group, mode, exclude }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The local file, or the tree's local root.
    pub from: PathBuf,
    /// Absolute path on the host. A tree's content goes into it; a file is written as it.
    pub to: String,
    /// Who shall own what arrives, and its mode.
    pub access: Access,
    /// What is sent, in order of path; one entry with an empty path if `from` is a file.
    pub entries: Vec<Entry>,
}

/// One member of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the upload's root, `/` between parts; empty for the root itself.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What a member of an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// The file is executable by its owner: it gets mode 0755, any other 0644.
        executable: bool,
        /// Its length in bytes when the recipe was read.
        size_bytes: u64,
        /// SHA-256 of its content when the recipe was read.
        sha256: Digest,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, as it is written in the link.
        target: String,
    },
}

/// `template = { from, to, owner, group, mode }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The path as the recipe has it.
    pub from: String,
    /// Absolute path on the host.
    pub to: String,
    /// The text, rendered.
    pub content: String,
    /// Who shall own it, and its mode.
    pub access: Access,
}

/// Who owns what is put on the host, and its mode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// User name; root if absent.
    pub owner: Option<String>,
    /// Group name; the owner's own group if absent.
    pub group: Option<String>,
    /// Permission bits of files; directories of a tree also get search where they have read.
    pub mode: Option<u32>,
}

/// `service = { name, unit, enable, start }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Unit name; `.service` is understood if it has no suffix.
    pub name: String,
    /// The unit file to install, rendered like a template.
    pub unit: Option<Template>,
    /// Start it at boot.
    pub enable: bool,
    /// Start it, or restart it, now.
    pub start: bool,
}

/// Something that must hold on the host before it is sealed (`[[check]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Name of the recipe that it stands in.
    pub recipe: String,
    /// How long the condition may take to become true.
    pub timeout: Duration,
    /// The condition.
    pub condition: Condition,
}

/// What a check looks at, and what it must find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `path`.
    Path {
        /// Absolute path on the host.
        path: String,
        /// Its owner's name.
        owner: Option<String>,
        /// Its group's name.
        group: Option<String>,
        /// Its permission bits, exactly.
        mode: Option<u32>,
        /// What it must be; anything if absent.
        kind: Option<PathKind>,
    },
    /// `service`.
    Service {
        /// Unit name.
        name: String,
        /// It runs (or must not).
        active: bool,
        /// It starts at boot (or must not).
        enabled: bool,
    },
    /// `port`: something on the host accepts TCP connections on it.
    Port(u16),
    /// `http`: fetched on the host itself.
    Http {
        /// `http://…` or `https://…`.
        url: String,
        /// The status it must answer.
        status: u16,
        /// Text that the body must hold.
        contains: Option<String>,
    },
    /// `command`: Bash text that must end with status 0.
    Command {
        /// The text.
        command: String,
        /// Who runs it.
        user: String,
    },
}

/// What a checked path must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}
