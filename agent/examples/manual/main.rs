//! Writes the agent's manual pages and shell completions, from the command line's own definition and from
//! `docs/agent/configuration.md`. `make dist` runs it; it is no part of the agent.
//!
//!     cargo run --package baker-agent --example manual -- DIRECTORY YYYY-MM-DD
//!
//! The date is that of the pages. What comes out: `DIRECTORY/man/*.8`, `*.5` and `DIRECTORY/completions/*`.

mod commands;
mod markdown;
mod settings;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use baker_agent::cli::Cli;
use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, date] = arguments.as_slice() else {
        eprintln!("usage: manual DIRECTORY YYYY-MM-DD");
        return ExitCode::from(2);
    };
    match write(Path::new(directory), date) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("manual: cannot write below {directory}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(directory: &Path, date: &str) -> std::io::Result<()> {
    let (pages, completions) = (directory.join("man"), directory.join("completions"));
    fs::create_dir_all(&pages)?;
    fs::create_dir_all(&completions)?;
    for page in commands::pages(Cli::command(), date) {
        fs::write(pages.join(&page.file), page.text)?;
    }
    let page = settings::page(date);
    fs::write(pages.join(&page.file), page.text)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), "baker-agent", &completions)?;
    }
    Ok(())
}

/// A manual page in roff.
struct Page {
    /// Name with its section, such as `baker-agent.8`.
    file: String,
    text: String,
}

/// What stands in the middle of every page's head.
const MANUAL: &str = "System administration";
/// What stands in every page's foot.
const SOURCE: &str = concat!("baker-agent ", env!("CARGO_PKG_VERSION"));
