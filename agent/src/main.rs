//! `baker-agent` ships a host's logs and metrics to CloudWatch.

fn main() {}
