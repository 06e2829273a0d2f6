//! The `baker` command: what was typed, done, and the exit code that tells how it went.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use baker::aws::Choice;
use baker::cli::{self, Command, Output};
use baker::exit::Exit;
use baker::manifest::Manifest;
use baker::pipeline::{self, Bake, BakeError, Ground, Interrupts};
use baker::progress::{Mode, Progress, Timeline};
use baker::recipe::{self, Outside, Recipe};
use baker::{journal, report};

fn main() -> ExitCode {
    let exit = match cli::parse().command {
        Command::Check(check) => run_check(&check),
        Command::Build(build) => run_build(&build),
    };
    exit.into()
}

fn outside(vars: &cli::Vars, agent: &cli::Agent) -> Outside {
    let program = std::env::current_exe().ok();
    Outside {
        agent: agent.file.clone(),
        beside: program.and_then(|path| Some(path.parent()?.to_path_buf())),
        given: vars.to_map(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    }
}

fn run_check(check: &cli::Check) -> Exit {
    let outside = outside(&check.vars, &check.agent);
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
                    Err(problems) => eprint(&report::problems_text(problems, colours())),
                }
            }
        }
    }
    if failed { Exit::Usage } else { Exit::Ok }
}

fn run_build(build: &cli::Build) -> Exit {
    let recipe = match recipe::load(&build.recipe, &outside(&build.vars, &build.agent)) {
        Ok(recipe) => recipe,
        Err(problems) => {
            eprint(&report::problems_text(&problems, colours()));
            return Exit::Usage;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let started = runtime.and_then(|runtime| {
        let mode = match build.progress {
            cli::Progress::Auto => Mode::for_stderr(),
            cli::Progress::Plain => Mode::Plain,
            cli::Progress::Live => Mode::Live,
        };
        Ok((runtime, Progress::start(mode)?))
    });
    let (runtime, progress) = match started {
        Ok(started) => started,
        Err(error) => return fail(&error, Exit::Internal),
    };
    runtime.block_on(bake(build, &recipe, progress))
}

async fn bake(build: &cli::Build, recipe: &Recipe, progress: Progress) -> Exit {
    let variable = |name: &str| std::env::var(name).ok();
    let ground = Ground {
        choice: Choice {
            region: build.region.clone(),
            profile: build.profile.clone(),
        },
        journals: journal::directory(variable),
        started: jiff::Timestamp::now(),
    };
    let mut interrupts = match Interrupts::listen() {
        Ok(interrupts) => interrupts,
        Err(error) => return fail(&error, Exit::Internal),
    };
    let bake = pipeline::bake(recipe, &ground, &mut interrupts, &progress.events()).await;
    let timeline = progress.finish();
    match bake {
        Ok(bake) => conclude(build, &ground, &bake, &timeline),
        Err(error) => fail(&error, error.exit()),
    }
}

/// Tells how a bake ended that had begun to create things.
fn conclude(build: &cli::Build, ground: &Ground, bake: &Bake, timeline: &Timeline) -> Exit {
    let mut exit = match &bake.result {
        Ok(made) => {
            let span = (ground.started, jiff::Timestamp::now());
            let manifest = Manifest::new(&bake.plan, made, timeline, bake.aws.calls(), span);
            deliver(build, ground, &manifest, timeline)
        }
        Err(error) => fail(error, BakeError::exit(error)),
    };
    if let Some(left) = report::left_text(&bake.left) {
        eprint(&left);
        exit = Exit::LeftBehind;
    }
    exit
}

/// Hands the manifest over: to a file, and to stdout.
fn deliver(build: &cli::Build, ground: &Ground, manifest: &Manifest, timeline: &Timeline) -> Exit {
    let path = build.manifest.clone().or_else(|| {
        let state: PathBuf = ground.journals.as_ref()?.parent()?.to_path_buf();
        Some(
            state
                .join("manifests")
                .join(format!("{}.json", manifest.bake_id)),
        )
    });
    let written = path.as_ref().map(|path| manifest.write(path));
    match build.output {
        Output::Json => print(&manifest.to_json()),
        Output::Text => {
            print(&manifest.to_text(timeline));
            if let Some((path, Ok(()))) = path.as_ref().zip(written.as_ref()) {
                print(&format!("manifest   {}", path.display()));
            }
        }
    }
    match written {
        Some(Err(error)) => fail(&error, Exit::Environment),
        _ => Exit::Ok,
    }
}

/// Prints an error with its causes.
fn fail(error: &dyn std::error::Error, exit: Exit) -> Exit {
    eprint(&report::error_text(error));
    exit
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A reader that went away (`baker … | head`) is no reason to fail.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn eprint(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
