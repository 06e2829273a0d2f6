//! `baker` turns a recipe into an AMI: launch, provision over SSH, seal, image, clean up.
//!
//! The stages stand in the order in which a bake goes through them; what they stand on follows.

// What was typed, and what is answered.
pub mod cli;

pub mod exit;

pub mod report;

// The stages in one line, then each of them.
pub mod pipeline;

pub mod recipe;

pub mod facts;

pub mod plan;

pub mod launch;

pub mod connect;

pub mod provision;

pub mod verify;

pub mod packages;

pub mod seal;

pub mod image;

pub mod cleanup;

pub mod manifest;

// Adapters to the outside.
pub mod aws;

pub mod remote;

pub mod ssh;

pub mod archive;

// Leaves.
pub use diagnostics;

pub mod events;

pub mod journal;

pub mod keys;

pub mod progress;

mod terminal;

pub mod wait;
