//! The command line: what was typed, and what it asks for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::exit::Exit;

/// Bake AMIs from recipes
#[derive(Debug, Parser)]
#[command(name = "baker", version, about, long_about = None, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Parse and validate recipes, without AWS
    #[command(after_help = "Examples:\n  baker check provision/app\n  \
                            baker check provision/*  --output json")]
    Check(Check),
    /// Bake a recipe into an AMI
    #[command(after_help = "Examples:\n  baker build provision/app\n  \
                            baker build provision/app --var release=1.4 --output json --manifest app.json")]
    Build(Build),
}

/// `baker check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Directories that hold a recipe.toml, or recipe files
    #[arg(required = true, value_name = "RECIPE")]
    pub recipes: Vec<PathBuf>,
    /// Values for variables.
    #[command(flatten)]
    pub vars: Vars,
    /// Which agent.
    #[command(flatten)]
    pub agent: Agent,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `baker build`.
#[derive(Debug, Args)]
pub struct Build {
    /// A directory that holds a recipe.toml, or a recipe file
    #[arg(value_name = "RECIPE")]
    pub recipe: PathBuf,
    /// Values for variables.
    #[command(flatten)]
    pub vars: Vars,
    /// Which agent.
    #[command(flatten)]
    pub agent: Agent,
    /// How to print the manifest on stdout
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
    /// Also write the manifest, as JSON, to this file
    #[arg(long, value_name = "PATH")]
    pub manifest: Option<PathBuf>,
    /// How to show progress on stderr
    #[arg(long, value_enum, default_value_t)]
    pub progress: Progress,
    /// The region to bake in [default: AWS_REGION, then the profile's]
    #[arg(long)]
    pub region: Option<String>,
    /// The profile of the AWS configuration to use [default: AWS_PROFILE]
    #[arg(long)]
    pub profile: Option<String>,
}

/// `--var name=value`, any number of times.
#[derive(Debug, Args)]
pub struct Vars {
    /// Set a variable of the recipe's [vars]; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pairs: Vec<(String, String)>,
}

/// `--agent FILE`.
#[derive(Debug, Args)]
pub struct Agent {
    /// The baker-agent to install where a recipe's `[agent]` names none: a .deb, or the program [default: what lies beside baker]
    #[arg(long = "agent", value_name = "FILE", env = "BAKER_AGENT")]
    pub file: Option<PathBuf>,
}

impl Vars {
    /// Name and value of each; the last one of a name counts.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.pairs.iter().cloned().collect()
    }
}

/// How to print a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Progress {
    /// Live on a terminal, plain otherwise.
    #[default]
    Auto,
    /// One line for each thing that happens.
    Plain,
    /// One line for each stage, kept up to date.
    Live,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".into()),
    }
}

/// Reads the command line; prints help or an error and ends the process where that is all there is to do.
#[must_use]
pub fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The command with the exit codes in its help.
fn command() -> clap::Command {
    let mut codes = String::from("Exit codes:\n");
    for exit in Exit::ALL {
        // Writing to a String can't fail.
        let _ = writeln!(codes, "  {:>3}  {}", exit.code(), exit.meaning());
    }
    Cli::command().after_help(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn help_lists_every_exit_code() {
        let help = command().render_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("{:>3}  {}", exit.code(), exit.meaning())));
        }
    }

    #[test]
    fn a_variable_needs_a_name_and_may_hold_equal_signs() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("=b").is_err());
        assert!(pair("a").is_err());
    }
}
