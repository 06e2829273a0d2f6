//! Storms over the real binary: real files, a real logrotate, SIGKILL, a full disk, and an endpoint at its worst.
//!
//! Each fault stands alone in a test named after the promise it holds up; `storm::everything_at_once` is all of them at
//! random. `STORM_SECONDS=600 STORM_SEED=7 cargo test -p baker-agent --test storm everything -- --nocapture` is the long one.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "storm/combinations.rs"]
mod combinations;
#[path = "storm/faults.rs"]
mod faults;
#[path = "storm/files.rs"]
mod files;
#[path = "storm/host.rs"]
mod host;
#[path = "storm/left.rs"]
mod left;
#[path = "storm/rotations.rs"]
mod rotations;
#[path = "storm/scribe.rs"]
mod scribe;
#[path = "storm/storm.rs"]
mod storm;
mod support;

/// Not a test: this program again, as the endpoint of the others.
#[test]
fn endpoint_process() {
    support::endpoint::serve_if_asked();
}
