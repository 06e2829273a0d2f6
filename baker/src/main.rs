//! The `baker` command: what was typed, done, and the exit code that tells how it went.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use baker::cli::{self, Command, Output};
use baker::exit::Exit;
use baker::recipe::{self, Outside};
use baker::report;

fn main() -> ExitCode {
    let exit = match cli::parse().command {
        Command::Check(check) => run_check(&check),
        Command::Build(_) => Exit::Internal,
    };
    exit.into()
}

fn outside(vars: &cli::Vars) -> Outside {
    Outside {
        given: vars.to_map(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    }
}

fn run_check(check: &cli::Check) -> Exit {
    let outside = outside(&check.vars);
    let results: Vec<_> = check
        .recipes
        .iter()
        .map(|path| (path.as_path(), recipe::load(path, &outside)))
        .collect();
    let failed = results.iter().any(|(_, result)| result.is_err());
    match check.output {
        Output::Json => print(&report::check_json(&results)),
        Output::Text => {
            for (path, result) in &results {
                match result {
                    Ok(recipe) => print(&report::check_text(path, recipe)),
                    Err(problems) => eprint(&report::problems_text(
                        problems,
                        std::io::stderr().is_terminal(),
                    )),
                }
            }
        }
    }
    if failed { Exit::Usage } else { Exit::Ok }
}

/// A reader that went away (`baker … | head`) is no reason to fail.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn eprint(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
