//! The `baker-agent` command: what was typed, done, and the exit code that tells how it went.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use baker_agent::cli::{self, Command};
use baker_agent::config::{self, Settings};
use baker_agent::exit::Exit;

fn main() -> ExitCode {
    let exit = match cli::parse().command {
        Command::Run(run) => with_settings(&run.config.path, |_| {
            eprint("baker-agent: not written yet; nothing is shipped from this host");
            Exit::Internal
        }),
        Command::Check(check) => with_settings(&check.config.path, |_| Exit::Ok),
        Command::Status(_) => Exit::Internal,
    };
    exit.into()
}

/// Loads the configuration and goes on with it, or shows what is wrong with it.
fn with_settings(path: &Path, go_on: impl FnOnce(Settings) -> Exit) -> Exit {
    match config::load(path) {
        Ok(settings) => go_on(settings),
        Err(problems) => {
            let count = match problems.count() {
                1 => "1 problem".to_owned(),
                n => format!("{n} problems"),
            };
            eprint(&format!("{}\n\n{count}", problems.render(colours())));
            Exit::Usage
        }
    }
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

fn eprint(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
