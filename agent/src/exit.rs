//! Exit codes: part of the interface.
