//! The tools of the storms and of the benchmark: who writes, who rotates, who looks, who measures, and the endpoint between.
//!
//! None of them knows the agent's insides. They see files, a process, a configuration, and what has arrived.

#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each user of these tools uses its own part"
)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

pub(crate) mod agent;
pub(crate) mod check;
pub(crate) mod endpoint;
pub(crate) mod ground;
pub(crate) mod lines;
pub(crate) mod meter;
pub(crate) mod rotate;
pub(crate) mod wait;
pub(crate) mod writer;
