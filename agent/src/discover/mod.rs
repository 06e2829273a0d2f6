//! Which paths the globs mean just now, and a doorbell that rings when something may have changed.
//!
//! Directories are listed only when they changed. The doorbell is a hint and nothing more: whoever uses this module
//! looks again after a second whether it rang or not.

mod births;
pub(crate) mod directories;

pub mod patterns;

pub(crate) mod stat;

pub(crate) mod watch;

pub use patterns::{PatternError, Patterns};
