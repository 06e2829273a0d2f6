//! `baker` turns a recipe into an AMI: launch, provision over SSH, seal, image, clean up.
//!
//! The stages stand in the order in which a bake goes through them; what they stand on follows.

pub mod recipe;

pub mod facts;

pub mod plan;

pub mod remote;

pub mod events;

pub mod journal;

pub mod keys;

pub mod wait;

pub mod ssh;

pub mod archive;
