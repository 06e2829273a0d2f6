//! `baker-agent`: the command.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("baker-agent: not written yet; nothing is shipped from this host");
    ExitCode::FAILURE
}
