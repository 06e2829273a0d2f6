//! What AWS says about the ground that a bake stands on: read-only look-ups, run at the same time.

mod caller;
mod network;
mod source_image;

use std::io;

use crate::aws::{Aws, CallError, Explain};
use crate::events::Events;
use crate::recipe::Recipe;

/// Everything that [`crate::plan`] needs to know of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The caller's account number.
    pub account: String,
    /// The region of the bake.
    pub region: String,
    /// The image to start from.
    pub source_image: SourceImage,
    /// Where the instance goes.
    pub subnet: Subnet,
    /// Where it may go as well when there is no capacity: of the same VPC, with the same kind of addresses. Best first.
    pub spare_subnets: Vec<Subnet>,
    /// The address to connect to; `auto` is decided.
    pub address: Address,
    /// The CIDR that may reach port 22.
    pub ssh_from: String,
}

/// The image to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceImage {
    /// `ami-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// Device name of its root volume (`/dev/sda1`).
    pub root_device_name: String,
    /// Size of its root snapshot in GiB.
    pub root_size_gib: u32,
}

/// Where the instance goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// `vpc-…`.
    pub vpc_id: String,
    /// Zone name, `us-east-1a`.
    pub availability_zone: String,
}

/// Which of the instance's addresses to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// The public IPv4 address.
    Public,
    /// The private IPv4 address.
    Private,
}

/// The ground does not carry the bake. Nothing has been created.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// AWS refused a look-up, or could not be reached.
    #[error(transparent)]
    Call(#[from] CallError),
    /// No image of that Ubuntu release.
    #[error(
        "no Ubuntu {release} image found in {region}, neither by Canonical's SSM parameters nor among the images of \
         Canonical's account {}, deprecated ones included; check the release, or name an image of your own with \
         `from = {{ ami = \"ami-…\" }}`",
        source_image::CANONICAL
    )]
    NoUbuntu {
        /// As the recipe has it.
        release: String,
        /// Where was looked.
        region: String,
    },
    /// No image of that id.
    #[error(
        "the source image {id} does not exist in {region}, or this account may not use it; image ids differ from \
         region to region"
    )]
    NoImage {
        /// As the recipe has it, or as the SSM parameter says.
        id: String,
        /// Where was looked.
        region: String,
    },
    /// No parameter of that name.
    #[error("the SSM parameter {name} does not exist in {region}; check its name and the region")]
    NoParameter {
        /// As the recipe has it.
        name: String,
        /// Where was looked.
        region: String,
    },
    /// The parameter holds something else.
    #[error("the SSM parameter {name} holds {value:?}, not an image id (ami-…)")]
    NotAnImageId {
        /// As the recipe has it.
        name: String,
        /// What it holds.
        value: String,
    },
    /// The image cannot be baked from.
    #[error("the source image {id} {why}; name another one")]
    UnusableImage {
        /// Its id.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// The region has no default VPC, and the recipe names no subnet.
    #[error(
        "{region} has no default VPC: name a subnet with `[build] subnet = \"subnet-…\"`, or make a default VPC with \
         `aws ec2 create-default-vpc --region {region}`"
    )]
    NoDefaultVpc {
        /// Where was looked.
        region: String,
    },
    /// The default VPC has no default subnet.
    #[error(
        "the default VPC {vpc_id} of {region} has no default subnet: name a subnet with `[build] subnet = \
         \"subnet-…\"`, or make one with `aws ec2 create-default-subnet --region {region} --availability-zone …`"
    )]
    NoDefaultSubnet {
        /// Where was looked.
        region: String,
        /// The default VPC.
        vpc_id: String,
    },
    /// No subnet of that id.
    #[error("the subnet {id} does not exist in {region}; check [build].subnet and the region")]
    NoSubnet {
        /// As the recipe has it.
        id: String,
        /// Where was looked.
        region: String,
    },
    /// The caller's own address is not known.
    #[error(
        "cannot tell from which address this machine will reach the instance ({tried}); give it as a CIDR with \
         `[build] ssh_from = \"…\"`"
    )]
    NoCallerAddress {
        /// How it was tried.
        tried: &'static str,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

/// Looks up everything that the plan needs.
///
/// # Errors
/// The first look-up that fails.
pub async fn look_up(aws: &Aws, recipe: &Recipe, events: &Events) -> Result<Facts, FactsError> {
    let build = &recipe.build;
    let account = async {
        let identity = aws
            .sts
            .get_caller_identity()
            .send()
            .await
            .explain("sts:GetCallerIdentity")?;
        Ok(identity.account.unwrap_or_default())
    };
    let ground = async {
        let (found, spare) =
            network::find(aws, build.subnet.as_deref(), &build.instance_types).await?;
        let address = found.address(build.address);
        let ssh_from = match &build.ssh_from {
            Some(cidr) => cidr.clone(),
            None => caller::cidr(address, found.host_inside()).await?,
        };
        Ok(((found.subnet, spare), address, ssh_from))
    };
    let (account, source_image, ((subnet, spare_subnets), address, ssh_from)) =
        tokio::try_join!(account, source_image::find(aws, &recipe.source), ground)?;
    events.note(format!(
        "source image {} ({})",
        source_image.id, source_image.name
    ));
    events.note(format!(
        "{} in {}, {} address, SSH from {ssh_from}",
        subnet.id,
        subnet.availability_zone,
        match address {
            Address::Public => "public",
            Address::Private => "private",
        }
    ));
    Ok(Facts {
        account,
        region: aws.region.clone(),
        source_image,
        subnet,
        spare_subnets,
        address,
        ssh_from,
    })
}
