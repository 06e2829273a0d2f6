//! An endpoint that speaks CloudWatch, [logs](crate::logs) and [metrics](crate::metrics), with the services' real limits; free-standing: no lab,
//! no moto, no root.
//!
//! A request comes in over a `connection`, and the `service` does with it, in this order: find out whom it is for (`call`), choose a
//! [fault](Script), read the body, check the `signature`, let the API `perform` it, answer. Faults, throttles and signatures are pure:
//! time and chance are handed in. What the two APIs keep and know of their operations is in modules of their own.

// Leaves.
mod error;
mod throttle;

// A request's way.
mod answer;
mod body;
mod call;
mod connection;
mod control;
mod door;
mod faults;
mod listen;
mod perform;
mod service;
mod settings;
mod signature;
mod stats;

pub(crate) mod command;

pub(crate) use body::is_form;
pub(crate) use call::Call;
pub(crate) use control::is_question;
pub use error::AwsError;
pub use faults::{Kind, Rule, Script, When};
pub use listen::{Config, Endpoint};
pub(crate) use service::{Buffers, Reset, Service};
pub use settings::{Latency, Settings};
pub use signature::Credentials;
pub use stats::{Note, Stats};

/// The account of all ARNs, as moto's.
pub(crate) const ACCOUNT: &str = "123456789012";
