//! Who this host is: instance, address, tags.
//!
//! The ledger is bound to the instance's id, so an id that changes by accident would be worse than none. It comes, in this order, from:
//! 1. the configuration or `BAKER_AGENT_INSTANCE_ID`;
//! 2. the instance's metadata (IMDSv2);
//! 3. where metadata is turned off, the machine's firmware tables: Nitro instances carry their id there;
//! 4. off EC2, a hash of `/etc/machine-id`.
//!
//! An EC2 instance whose metadata does not answer is an error, to be tried again: with another id its ledger would be a stranger's, and with
//! no tags its lines would go to other streams.

mod metadata;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use sha2::{Digest, Sha256};

pub use metadata::Metadata;

use metadata::Answer;

/// The variable that gives the instance's id.
const ID_VARIABLE: &str = "BAKER_AGENT_INSTANCE_ID";
/// The tag that Auto Scaling puts on its instances.
const ASG_TAG: &str = "aws:autoscaling:groupName";
/// What the hash of the machine's id is made with, so that the id itself is not published (machine-id(5) asks for that).
const MACHINE_ID_SALT: &[u8] = b"baker-agent instance id\0";

/// Where the instance's id is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdFrom {
    /// The configuration, or `BAKER_AGENT_INSTANCE_ID`.
    Configuration,
    /// The instance's metadata.
    Metadata,
    /// The machine's firmware tables.
    Firmware,
    /// A hash of `/etc/machine-id`: this is no EC2 instance.
    MachineId,
}

/// The instance's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// All of them.
    Known(BTreeMap<String, String>),
    /// They can't be known, and why.
    Unknown(String),
}

/// This host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `i-…` on EC2, `m-…` elsewhere, or as configured. The same for as long as the host lives, another one on a clone.
    pub instance_id: String,
    /// Where that is from.
    pub id_from: IdFrom,
    /// The kernel's name for it.
    pub hostname: String,
    /// Its private IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// `eu-west-1`; known on EC2 only.
    pub region: Option<String>,
    /// `eu-west-1a`; known on EC2 only.
    pub zone: Option<String>,
    /// `ami-…`; known on EC2 only.
    pub image_id: Option<String>,
    /// `t3.micro`; known on EC2 only.
    pub instance_type: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// It is not known who this host is.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// This is an EC2 instance, and its metadata can't be had now.
    #[error(
        "instance metadata does not answer, so this instance's id is not known; it is tried again. If metadata is turned off on purpose, set instance_id or {ID_VARIABLE}: {why}"
    )]
    Metadata {
        /// What was tried and seen.
        why: String,
    },
    /// The machine has no id either.
    #[error("this is no EC2 instance, and {} names no machine; set instance_id or {ID_VARIABLE}", path.display())]
    NoMachineId {
        /// The file.
        path: PathBuf,
        /// Why it can't be read; `None` when there is no id in it.
        #[source]
        source: Option<io::Error>,
    },
}

/// Where to look.
#[derive(Debug, Clone)]
pub struct Search {
    /// The instance's id as configured.
    pub instance_id: Option<String>,
    /// Where metadata is.
    pub metadata: Metadata,
    /// The root of `/etc`, `/proc` and `/sys`.
    pub root: PathBuf,
}

impl Search {
    /// What the environment says, below what is configured.
    #[must_use]
    pub fn from_environment(configured_id: Option<String>) -> Search {
        Search {
            instance_id: configured_id
                .or_else(|| std::env::var(ID_VARIABLE).ok())
                .filter(|id| !id.is_empty()),
            metadata: Metadata::from_environment(),
            root: PathBuf::from("/"),
        }
    }

    /// Finds out. Takes a few seconds at most, and those only where metadata should answer and does not.
    ///
    /// # Errors
    /// When no id is sure. [`HostError::Metadata`] may pass: try again.
    pub async fn run(&self) -> Result<Host, HostError> {
        let answer = metadata::ask(&self.metadata).await;
        let (instance_id, id_from) = self.id(&answer)?;
        let hostname = read_line(&self.root.join("proc/sys/kernel/hostname"))
            .ok()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "localhost".into());
        let (image_id, instance_type) = match &answer {
            Answer::Given(document) => (document.image_id.clone(), document.instance_type.clone()),
            _ => (None, None),
        };
        let (ip, region, zone, tags) = match answer {
            Answer::Given(document) => (
                document.private_ip,
                document.region,
                document.zone,
                document.tags,
            ),
            Answer::Off => (
                None,
                None,
                None,
                Tags::Unknown("instance metadata is turned off (AWS_EC2_METADATA_DISABLED)".into()),
            ),
            Answer::None { .. } => (
                None,
                None,
                None,
                Tags::Unknown("instance metadata does not answer".into()),
            ),
        };
        Ok(Host {
            instance_id,
            id_from,
            hostname,
            ip: ip.or_else(first_address),
            region,
            zone,
            image_id,
            instance_type,
            tags,
        })
    }

    fn id(&self, answer: &Answer) -> Result<(String, IdFrom), HostError> {
        if let Some(id) = &self.instance_id {
            return Ok((id.clone(), IdFrom::Configuration));
        }
        if let Answer::Given(document) = answer {
            return Ok((document.instance_id.clone(), IdFrom::Metadata));
        }
        let firmware = Firmware::read(&self.root);
        if let Answer::None { why } = answer
            && (firmware.is_ec2 || self.metadata.is_expected())
        {
            return Err(HostError::Metadata { why: why.clone() });
        }
        if let Some(id) = firmware.instance_id {
            return Ok((id, IdFrom::Firmware));
        }
        Ok((machine_id(&self.root)?, IdFrom::MachineId))
    }
}

impl Host {
    /// The name of its Auto Scaling group; else why there is none.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn asg(&self) -> Result<&str, String> {
        self.tag(ASG_TAG)
    }

    /// One of its tags; else why there is none.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn tag(&self, name: &str) -> Result<&str, String> {
        match &self.tags {
            Tags::Known(tags) => match tags.get(name) {
                Some(value) => Ok(value),
                None => Err(format!("the instance has no tag {name}")),
            },
            Tags::Unknown(why) => Err(why.clone()),
        }
    }
}

/// What the machine itself says about being an EC2 instance.
///
/// Source: EC2 user guide, "Detect whether a host is an EC2 instance"; on Nitro the asset tag is the instance's id.
struct Firmware {
    is_ec2: bool,
    instance_id: Option<String>,
}

impl Firmware {
    fn read(root: &Path) -> Firmware {
        let dmi = |name: &str| read_line(&root.join("sys/devices/virtual/dmi/id").join(name)).ok();
        let xen = read_line(&root.join("sys/hypervisor/uuid"))
            .is_ok_and(|uuid| uuid.to_ascii_lowercase().starts_with("ec2"));
        let nitro = dmi("sys_vendor").is_some_and(|vendor| vendor == "Amazon EC2");
        Firmware {
            is_ec2: xen || nitro,
            instance_id: dmi("board_asset_tag")
                .filter(|tag| nitro && tag.starts_with("i-") && tag.len() > 2),
        }
    }
}

/// `m-` and 17 hexadecimal digits, the same at each start of one system.
fn machine_id(root: &Path) -> Result<String, HostError> {
    let path = root.join("etc/machine-id");
    let id = read_line(&path).map_err(|source| HostError::NoMachineId {
        path: path.clone(),
        source: Some(source),
    })?;
    // Sealed images have an empty file, or "uninitialized", until their first boot is over.
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(HostError::NoMachineId { path, source: None });
    }
    let hash = Sha256::new()
        .chain_update(MACHINE_ID_SALT)
        .chain_update(id.to_ascii_lowercase())
        .finalize();
    let mut text: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(17);
    Ok(format!("m-{text}"))
}

/// The address of the first interface that is up and leads out.
fn first_address() -> Option<Ipv4Addr> {
    getifaddrs()
        .ok()?
        .filter(|interface| {
            interface.flags.contains(InterfaceFlags::IFF_UP)
                && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
        })
        .find_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
}

fn read_line(path: &Path) -> io::Result<String> {
    Ok(std::fs::read_to_string(path)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// A root folder with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        root
    }

    fn id(
        files: &[(&str, &str)],
        configured: Option<&str>,
        metadata: Metadata,
        answer: &Answer,
    ) -> Result<(String, IdFrom), HostError> {
        let root = root(files);
        Search {
            instance_id: configured.map(str::to_owned),
            metadata,
            root: root.path().to_owned(),
        }
        .id(answer)
    }

    const MACHINE: (&str, &str) = ("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    const NITRO: (&str, &str) = ("sys/devices/virtual/dmi/id/sys_vendor", "Amazon EC2\n");
    const ASSET: (&str, &str) = (
        "sys/devices/virtual/dmi/id/board_asset_tag",
        "i-0123456789abcdef0\n",
    );
    const XEN: (&str, &str) = (
        "sys/hypervisor/uuid",
        "ec2e1916-9099-7caf-fd21-012345abcdef\n",
    );

    fn silent() -> Answer {
        Answer::None {
            why: "connection refused".into(),
        }
    }

    #[test]
    fn an_ec2_instance_never_takes_another_id_because_metadata_is_silent() {
        for files in [
            &[MACHINE, NITRO, ASSET][..],
            &[MACHINE, NITRO],
            &[MACHINE, XEN],
        ] {
            let error = id(files, None, Metadata::Usual, &silent()).unwrap_err();
            assert!(matches!(error, HostError::Metadata { .. }), "{error}");
        }
        let there = Metadata::At("http://127.0.0.1:1".into());
        let error = id(&[MACHINE], None, there, &silent()).unwrap_err();
        assert!(matches!(error, HostError::Metadata { .. }), "{error}");
    }

    #[test]
    fn without_metadata_the_firmware_tells_the_id() {
        let found = id(&[MACHINE, NITRO, ASSET], None, Metadata::Off, &Answer::Off).unwrap();
        assert_eq!(found, ("i-0123456789abcdef0".into(), IdFrom::Firmware));
    }

    #[test]
    fn an_asset_tag_of_another_maker_is_no_instance_id() {
        let files = [MACHINE, ASSET];
        let found = id(&files, None, Metadata::Usual, &silent()).unwrap();
        assert_eq!(found.1, IdFrom::MachineId);
    }

    #[test]
    fn off_ec2_the_id_is_the_same_each_time_and_does_not_show_the_machine_s() {
        let one = id(&[MACHINE], None, Metadata::Usual, &silent()).unwrap();
        let two = id(&[MACHINE], None, Metadata::Off, &Answer::Off).unwrap();
        assert_eq!(one, two);
        assert_eq!(one.1, IdFrom::MachineId);
        assert!(one.0.starts_with("m-") && one.0.len() == 19, "{}", one.0);
        assert!(!MACHINE.1.contains(&one.0[2..10]), "{}", one.0);
    }

    #[test]
    fn what_is_configured_comes_first() {
        let found = id(&[], Some("here"), Metadata::Usual, &silent()).unwrap();
        assert_eq!(found, ("here".into(), IdFrom::Configuration));
    }

    #[test]
    fn an_image_that_was_never_booted_has_no_id() {
        for content in ["", "uninitialized\n"] {
            let files = [("etc/machine-id", content)];
            let error = id(&files, None, Metadata::Off, &Answer::Off).unwrap_err();
            assert!(
                matches!(error, HostError::NoMachineId { source: None, .. }),
                "{error}"
            );
        }
    }
}
