//! What the benchmark is made of: the rows, how they are printed, and the other agent that can be measured.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

pub(crate) mod args;
pub(crate) mod awslogs;
pub(crate) mod chorus;
pub(crate) mod rows;
pub(crate) mod table;
pub(crate) mod versus;
