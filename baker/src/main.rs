//! The `baker` command.

fn main() {}
