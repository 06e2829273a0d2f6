//! The `baker-agent` command: what was typed, done, and the exit code that tells how it went.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use baker_agent::check;
use baker_agent::cli::{self, Command, Output};
use baker_agent::config::{self, Settings};
use baker_agent::descriptors;
use baker_agent::exit::Exit;
use baker_agent::ledger;
use baker_agent::log::{Level, Log, chain};
use baker_agent::run::{self, Ended};
use baker_agent::signals;
use baker_agent::status::{self, Status, socket};

fn main() -> ExitCode {
    let done = match cli::parse().command {
        Command::Run(run) => run_agent(&run),
        Command::Check(check) => run_check(&check),
        Command::Status(status) => run_status(&status),
    };
    done.unwrap_or_else(|exit| exit).into()
}

fn run_agent(asked: &cli::Run) -> Result<Exit, Exit> {
    signals::hold().map_err(|error| fail(&error, Exit::Internal))?;
    Ok(ship(&load(&asked.config.path)?))
}

/// Ships until the agent is asked to stop.
fn ship(settings: &Settings) -> Exit {
    let log = Log::to_stderr();
    descriptors::raise_limit();
    match run::run(settings, &log) {
        Ok(Ended::Drained) => {
            log.end(Level::Info, "stopped: all that was read has been sent");
            Exit::Ok
        }
        Ok(Ended::CutShort) => {
            log.end(
                Level::Warning,
                "stopped before all that was read had been sent: the next start goes on there",
            );
            Exit::Unfinished
        }
        Err(error) => {
            log.end(Level::Error, &chain(&error));
            error.exit()
        }
    }
}

/// The settings; what is wrong with them is shown.
fn load(path: &Path) -> Result<Settings, Exit> {
    config::load(path).map_err(|problems| {
        let count = match problems.count() {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        };
        eprint(&format!("{}\n\n{count}", problems.render(colours())));
        Exit::Usage
    })
}

fn run_check(asked: &cli::Check) -> Result<Exit, Exit> {
    let settings = load(&asked.config.path)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| fail(&error, Exit::Internal))?;
    let report = runtime.block_on(check::check(&settings, asked.offline, now_ms()));
    print(&match asked.output {
        Output::Json => report.to_json(),
        Output::Human => check::human(&report),
    });
    Ok(match report.problems() {
        0 => Exit::Ok,
        _ => Exit::Check,
    })
}

fn run_status(asked: &cli::Status) -> Result<Exit, Exit> {
    let state_dir: PathBuf = match &asked.state_dir {
        Some(directory) => directory.clone(),
        None => load(&asked.config.path)?.state_dir,
    };
    let report = match socket::ask(&state_dir) {
        Ok(Some(report)) => report,
        Ok(None) => report_of_ledger(&state_dir)?,
        Err(error) => return Err(fail(&error, Exit::State)),
    };
    print(&match asked.output {
        Output::Json => report.to_json(),
        Output::Human => status::human(&report),
    });
    Ok(match report.conserved {
        true => Exit::Ok,
        false => Exit::Account,
    })
}

/// What can be said while no agent runs.
fn report_of_ledger(state_dir: &Path) -> Result<Status, Exit> {
    match ledger::peek(state_dir) {
        Ok(Some(peeked)) => Ok(status::ledger::of_ledger(&peeked, now_ms())),
        Ok(None) => {
            eprint(&format!(
                "error: there is no ledger in {}: no agent has worked there yet, or it has another state directory (--state-dir)",
                state_dir.display()
            ));
            Err(Exit::State)
        }
        Err(error) => {
            eprint(&format!(
                "error: cannot read the ledger in {}: {error}; try `sudo baker-agent status`",
                state_dir.display()
            ));
            Err(Exit::State)
        }
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Prints an error with its causes.
fn fail(error: &dyn Error, exit: Exit) -> Exit {
    eprint(&format!("error: {}", chain(error)));
    exit
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A reader that went away (`baker-agent … | head`) is no reason to fail.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn eprint(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
