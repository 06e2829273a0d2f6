//! Placeholders in the names of groups and streams.
