//! Bytes into events: lines, and events of several lines.
