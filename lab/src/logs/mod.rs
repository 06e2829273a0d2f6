//! An endpoint that speaks CloudWatch Logs with the service's real limits, free-standing: no lab, no moto, no root.
//!
//! A request comes in over a `connection`, and the `service` does with it, in this order: choose a [fault](Script), read the
//! body, check the `signature`, read the request (`wire`), change or ask the [store](Store), answer. Store, faults, throttles,
//! signatures and patterns are pure: time and chance are handed in.
//!
//! Events are kept in memory, at little more than the bytes of their messages, until the endpoint ends.

// Leaves.
mod error;
pub mod limits;
mod names;
mod pattern;
mod throttle;
mod tokens;

// What the service keeps, and what it is asked.
mod operations;
mod stats;
mod store;
mod wire;

// A request's way.
mod answer;
mod body;
mod connection;
mod control;
mod door;
mod endpoint;
mod faults;
mod service;
mod settings;
mod signature;

pub(crate) mod command;

pub(crate) use control::PREFIX as CONTROL_PREFIX;
pub use endpoint::{Config, Endpoint};
pub use error::AwsError;
pub use faults::{Kind, Rule, Script, When};
pub(crate) use service::{Buffers, Reset, Service, operation};
pub use settings::Settings;
pub use signature::Credentials;
pub use stats::{Note, Stats};
pub use store::{Batch, Held, Put, Rejected, Store, StoredEvent};
