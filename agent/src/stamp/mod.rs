//! When an event happened, as its own text says.
