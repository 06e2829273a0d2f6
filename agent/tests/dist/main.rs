//! What `make dist` makes, looked at from outside: the binary, the package, the tarball, and the package on a host.
//!
//! What can be told of a stand-in is told of one. What needs the true binary is ignored until `make dist` has made it: `make test-dist`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod artefacts;
mod binary;
mod host;
mod installed;
mod licences;
mod package;
mod scripts;
mod service;
mod stand_in;
mod tarball;
