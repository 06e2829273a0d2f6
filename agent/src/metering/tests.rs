//! The line through outages, kills and a service at its worst, in simulated time: line, schedule, spool, packing and courier are the real ones, disk and
//! service are models.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod drains;
mod faults;
mod intervals;
mod outage;
mod service;
mod world;
