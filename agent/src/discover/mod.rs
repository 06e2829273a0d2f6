//! Which paths the globs mean just now, and a doorbell that rings when something may have changed.
//!
//! Directories are listed only when they changed. The doorbell is a hint and nothing more: whoever uses this module
//! looks again whether it rang or not, after a second where it may not ring.

mod asked;
mod births;
pub(crate) mod directories;

mod kinds;

pub mod links;

mod listing;
pub(crate) mod mounts;

pub mod patterns;

pub(crate) mod stat;

pub(crate) mod watch;

pub use patterns::{PatternError, Patterns};
