//! `lab` is an AWS on one machine: real API calls, real hosts that boot, real SSH, real systemd.
//!
//! Requests come in at the [front door](front_door) and go to moto, which keeps AWS's records. The hub reads those records;
//! each instance's keeper makes the machine agree with them: a disk of overlay layers, a network namespace on the lab's
//! bridge, a booted systemd-nspawn host that reads its metadata from the lab and reaches package registries through its relay.

// Leaves.
mod cbor;
mod cgroup;
mod command;
mod config;
mod disk;
mod layers;
mod lock;
mod log;
mod network;
mod preflight;

// AWS's records, and the doors to them.
pub mod endpoint;
pub mod front_door;
pub mod logs;
pub mod metrics;
pub mod moto;
pub mod python;
pub mod records;

// What hosts stand on and talk to.
mod base;
mod console;
mod egress;
mod hub;
mod machine;
mod metadata;
mod relay;
mod resolver;

// A host's life, and the lab's.
mod reconcile;

mod site;

mod host;

mod control;
mod registry;

mod lab;

pub mod cli;

pub use config::{BaseChoice, LabConfig, Timing};
pub use lab::Lab;
pub use metadata::{Notice, NoticeAction};
pub use registry::{Entry, Up};
