//! Every way in which log files are rotated, truncated and lost, on real files, with time handed in.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod desk;

mod bounds;
mod copytruncate;
mod discovery;
mod logrotate;
mod property;
mod renames;
mod restarts;
mod truncations;
mod turns;
