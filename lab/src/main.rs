//! The `lab` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    match lab::cli::run(std::env::args_os()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
