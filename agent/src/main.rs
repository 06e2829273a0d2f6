//! The `baker-agent` command: what was typed, done, and the exit code that tells how it went.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use baker_agent::check;
use baker_agent::cli::{self, Command, Output};
use baker_agent::config::diagnostics::{Problems, terminal};
use baker_agent::config::{self, Copies, Remote, Settings, Source};
use baker_agent::dashboard::{self, Ask, Subject};
use baker_agent::descriptors;
use baker_agent::exit::Exit;
use baker_agent::import;
use baker_agent::ledger;
use baker_agent::log::{Level, Log, chain};
use baker_agent::run::{self, Ended, Origin};
use baker_agent::signals;
use baker_agent::status::{self, Status, socket};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let done = match cli::parse().command {
        Command::Run(run) => run_agent(&run),
        Command::Check(check) => {
            as_service(check).and_then(|(check, user)| run_check(&check, user))
        }
        Command::Status(status) => run_status(&status),
        Command::Dashboard(dashboard) => run_dashboard(dashboard),
        Command::Import(asked) => run_import(&asked),
    };
    done.unwrap_or_else(|exit| exit).into()
}

fn run_agent(asked: &cli::Run) -> Result<Exit, Exit> {
    signals::hold().map_err(|error| fail(&error, Exit::Internal))?;
    Ok(ship(origin(asked)?))
}

/// Where the configuration of `run` is from. A file has to hold from the start.
fn origin(run: &cli::Run) -> Result<Origin, Exit> {
    let config = &run.config;
    Ok(match &config.source {
        Source::File(path) => Origin::File {
            settings: Box::new(valid(config::load(path))?),
            path: path.clone(),
        },
        Source::Parameter(name) => Origin::Parameter {
            name: name.clone(),
            copies: Copies::within(config.copies.clone()),
            every: run.every,
        },
    })
}

/// Ships until the agent is asked to stop.
fn ship(origin: Origin) -> Exit {
    let log = Log::to_stderr();
    descriptors::raise_limit();
    match run::run(origin, &log) {
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

/// The settings that stand in the file, or now in the parameter.
fn load(config: &cli::Config) -> Result<Settings, Exit> {
    match &config.source {
        Source::File(path) => valid(config::load(path)),
        Source::Parameter(name) => {
            let mut remote = Remote::new(name.clone());
            let value = runtime()?
                .block_on(remote.fetch())
                .map_err(|error| fail(&error, Exit::Check))?;
            valid(remote.read(&value))
        }
    }
}

/// The same without asking anybody: of a parameter, the copy that `run` keeps. `None` if there is none.
fn load_here(config: &cli::Config) -> Result<Option<Settings>, Exit> {
    match &config.source {
        Source::File(path) => valid(config::load(path)).map(Some),
        Source::Parameter(name) => match Copies::within(config.copies.clone()).find(name) {
            Some(value) => valid(Remote::new(name.clone()).read(&value)).map(Some),
            None => Ok(None),
        },
    }
}

/// What was read; what is wrong with it is shown.
fn valid<T>(read: Result<T, Problems>) -> Result<T, Exit> {
    read.map_err(|problems| {
        let count = match problems.count() {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        };
        // Its colours are for the terminal; the rest of it is harmless already.
        let _ = writeln!(
            std::io::stderr(),
            "{}\n\n{count}",
            problems.render(colours())
        );
        Exit::Usage
    })
}

fn runtime() -> Result<Runtime, Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| fail(&error, Exit::Internal))
}

/// Becomes the service's user, if that is who is to be looked as, and says who that is. Its variables stand for options, too.
#[expect(
    clippy::disallowed_methods,
    reason = "the SDK reads its variables where it likes, and nothing else runs yet"
)]
fn as_service(asked: cli::Check) -> Result<(cli::Check, check::Subject), Exit> {
    let assumed =
        check::assume(asked.user.as_deref()).map_err(|error| fail(&error, Exit::Usage))?;
    if assumed.environment.is_empty() {
        return Ok((asked, assumed.subject));
    }
    for (name, value) in assumed.environment {
        // SAFETY: nothing else runs in this process yet that could read the environment meanwhile: `main` has only read the
        // command line, which starts no thread.
        unsafe { std::env::set_var(name, value) };
    }
    match cli::parse().command {
        Command::Check(asked) => Ok((asked, assumed.subject)),
        // The same words give the same command.
        _ => Err(Exit::Internal),
    }
}

fn run_check(asked: &cli::Check, user: check::Subject) -> Result<Exit, Exit> {
    let settings = match asked.offline {
        true => load_here(&asked.config)?.ok_or_else(|| {
            eprint(&format!(
                "error: there is no copy of {} in {}: leave --offline out, or name a file",
                asked.config.source,
                asked.config.copies.display()
            ));
            Exit::Check
        })?,
        false => load(&asked.config)?,
    };
    let report = runtime()?.block_on(check::check(&settings, user, asked.offline, now_ms()));
    match asked.output {
        Output::Json => print_json(&report.to_json()),
        Output::Human => print(&check::human(&report)),
    }
    Ok(match report.problems() {
        0 => Exit::Ok,
        _ => Exit::Check,
    })
}

fn run_status(asked: &cli::Status) -> Result<Exit, Exit> {
    let state_dir = match &asked.state_dir {
        Some(directory) => directory.clone(),
        // Without a copy, `run` has not begun with any configuration yet, or keeps its state where its copies would be.
        None => match load_here(&asked.config)? {
            Some(settings) => settings.state_dir,
            None => asked.config.copies.clone(),
        },
    };
    let report = match socket::ask(&state_dir) {
        Ok(Some(report)) => report,
        Ok(None) => report_of_ledger(&state_dir)?,
        Err(error) => return Err(fail(&error, Exit::State)),
    };
    match asked.output {
        Output::Json => print_json(&report.to_json()),
        Output::Human => print(&status::human(&report)),
    }
    Ok(match report.conserved {
        true => Exit::Ok,
        false => Exit::Account,
    })
}

fn run_dashboard(asked: cli::Dashboard) -> Result<Exit, Exit> {
    let settings = load(&asked.config)?;
    let group = asked.group.map(Subject::Group);
    let ask = Ask {
        subject: group.or(asked.instance.map(Subject::Instance)),
        region: asked.region,
        put: asked.put,
    };
    let outcome = runtime()?
        .block_on(dashboard::fulfil(&settings, &ask))
        .map_err(|error| {
            let exit = fail(&error, error.exit());
            for remark in error.remarks() {
                eprint(&format!("  {}: {}", remark.path, remark.message));
            }
            exit
        })?;
    match asked.output {
        Output::Json => print_json(&outcome.to_json()),
        Output::Human => {
            print_json(&outcome.human());
            for note in &outcome.notes {
                eprint(&format!("note: {note}"));
            }
            for remark in &outcome.remarks {
                eprint(&format!(
                    "note: CloudWatch says of {}: {}",
                    remark.path, remark.message
                ));
            }
        }
    }
    Ok(Exit::Ok)
}

fn run_import(asked: &cli::Import) -> Result<Exit, Exit> {
    let shown = asked.path.display().to_string();
    let read = match shown.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(&asked.path),
    };
    let text = read.map_err(|error| {
        eprint(&format!("error: cannot read {shown}: {error}"));
        Exit::Usage
    })?;
    let imported = valid(import::import(&shown, &text))?;
    match asked.output {
        Output::Json => print_json(&imported.to_json()),
        Output::Human => {
            print(imported.toml.trim_end());
            for finding in &imported.findings {
                eprint(&format!(
                    "{}: {}: {}",
                    finding.word(),
                    finding.path,
                    finding.message
                ));
            }
        }
    }
    Ok(match imported.is_whole() {
        true => Exit::Ok,
        false => Exit::Partial,
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

/// A document of JSON: what is harmful in its strings is escaped, so that it means the same.
fn print_json(document: &str) {
    print(&terminal::json(document));
}

/// One line, whatever is in it.
fn eprint(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", terminal::inline(text));
}
