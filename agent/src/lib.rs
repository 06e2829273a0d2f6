//! `baker-agent` ships a host's logs to CloudWatch Logs: every line once, at once, for almost nothing.
//!
//! The stages stand in the order in which a byte goes through them; what they stand on follows.

// What was typed, and what is answered.
pub mod cli;

pub mod exit;

pub mod log;

pub mod signals;

pub mod service;

// The stages in one line, then each of them.
pub mod pipeline;

pub mod run;

pub mod config;

pub mod discover;

pub mod tail;

pub mod frame;

pub mod stamp;

pub mod batch;

pub mod ship;

pub mod ledger;

// The second line, of metrics, in the same order.
pub mod sample;

pub mod derive;

pub mod spool;

pub mod metering;

// What both lines tell of themselves.
pub mod status;

pub mod check;

pub mod dashboard;

pub mod import;

// Adapters to the outside.
pub mod aws;

pub mod host;

// Leaves.
pub mod account;

pub mod clock;

pub mod descriptors;

pub mod expressions;

pub mod memory;

pub mod names;

pub mod target;
