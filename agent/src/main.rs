//! `baker-agent` will ship a host's logs and metrics to CloudWatch. It is not written yet, and says so.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("baker-agent: not written yet; nothing is shipped from this host");
    ExitCode::FAILURE
}
