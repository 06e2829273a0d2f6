//! What AWS says about the ground that a bake stands on: read-only look-ups.

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
