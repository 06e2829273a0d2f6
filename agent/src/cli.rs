//! The command line: what was typed, and what it asks for.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::{DEFAULT_PATH, DEFAULT_STATE_DIR, Source};
use crate::exit::Exit;

/// Ship this host's logs to CloudWatch Logs: every line once, at once
#[derive(Debug, Parser)]
#[command(name = "baker-agent", version, about, long_about = None, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ship, until SIGTERM or Ctrl-C; then send what was read and end
    #[command(after_help = "Examples:\n  baker-agent run\n  \
                            baker-agent run --config ./baker-agent.toml\n  \
                            baker-agent run --config ssm:/app/baker-agent")]
    Run(Run),
    /// Say what `run` would do: files, names, times of their last lines, and whether AWS lets it
    #[command(after_help = "Examples:\n  baker-agent check\n  \
                            sudo baker-agent check              # as the service's user, with its groups and variables\n  \
                            baker-agent check --offline --config ./baker-agent.toml\n  \
                            baker-agent check --output json")]
    Check(Check),
    /// Say what became of every byte: of the running agent, or else by its ledger
    #[command(after_help = "Examples:\n  baker-agent status\n  \
                            baker-agent status --output json\n  \
                            baker-agent status --state-dir /var/lib/baker-agent")]
    Status(Status),
    /// Write a CloudWatch dashboard of a group of hosts, or of one; and put it there, if asked to
    #[command(
        after_help = "Examples:\n  baker-agent dashboard > dashboard.json        # of this host's group, or else of this host\n  \
                            baker-agent dashboard --group web --put web\n  \
                            baker-agent dashboard --instance i-0123456789abcdef0 --region eu-west-1\n  \
                            baker-agent dashboard --group web --output json | jq .notes"
    )]
    Dashboard(Dashboard),
    /// Turn a configuration of the CloudWatch agent into one of this agent, and name what it can't carry over
    #[command(after_help = "Examples:\n  \
                            baker-agent import amazon-cloudwatch-agent.json > baker-agent.toml\n  \
                            aws ssm get-parameter --name cwagent --query Parameter.Value --output text | baker-agent import -\n  \
                            baker-agent import config.json --output json | jq '.findings[] | select(.carried | not)'\n\n\
                            Exit code 8: it was written, and something of the other configuration is not in it.")]
    Import(Import),
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct Config {
    /// The main file, beside which `conf.d/*.toml` is read, too; or ssm:NAME, a parameter of Systems Manager, which `run` follows
    #[arg(
        long = "config",
        short = 'c',
        value_name = "FILE",
        env = "BAKER_AGENT_CONFIG",
        default_value = DEFAULT_PATH
    )]
    pub source: Source,
    /// Where `run` keeps a copy of the last parameter that held, for a start without a network
    #[arg(
        long = "config-copies",
        value_name = "DIRECTORY",
        env = "BAKER_AGENT_CONFIG_COPIES",
        default_value = DEFAULT_STATE_DIR
    )]
    pub copies: PathBuf,
}

/// `baker-agent run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Which configuration.
    #[command(flatten)]
    pub config: Config,
    /// How often a parameter is looked at, 1s to 1h; a little more or less, so that hosts do not all ask at once
    #[arg(
        long = "config-every",
        value_name = "TIME",
        env = "BAKER_AGENT_CONFIG_EVERY",
        default_value = "60s",
        value_parser = every
    )]
    pub every: Duration,
}

/// Oftener would be noticed by the account's quota of GetParameter, less often by who waits for a change.
fn every(text: &str) -> Result<Duration, String> {
    let every = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&every) {
        true => Ok(every),
        false => Err("must be between 1s and 1h".to_owned()),
    }
}

/// `baker-agent check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Which configuration.
    #[command(flatten)]
    pub config: Config,
    /// Ask neither AWS nor the instance metadata service
    #[arg(long)]
    pub offline: bool,
    /// As whom to look, if root does. Default: the service's user, with the groups and variables of its unit
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `baker-agent status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Which configuration.
    #[command(flatten)]
    pub config: Config,
    /// The state directory itself, so that no configuration is needed
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "source")]
    pub state_dir: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `baker-agent dashboard`.
#[derive(Debug, Args)]
pub struct Dashboard {
    /// Which configuration.
    #[command(flatten)]
    pub config: Config,
    /// The hosts of this Auto Scaling group
    #[arg(long, value_name = "NAME", conflicts_with = "instance")]
    pub group: Option<String>,
    /// This host
    #[arg(long, value_name = "ID")]
    pub instance: Option<String>,
    /// Make the dashboard of this name in CloudWatch, or replace it (cloudwatch:PutDashboard)
    #[arg(long, value_name = "NAME")]
    pub put: Option<String>,
    /// Where metrics and logs are [default: as for every other call]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// How to print the result: the body alone, or in a document with notes about it
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `baker-agent import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The other agent's JSON; `-` reads stdin
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
    /// How to print the result: the configuration, or a document with it and with what is not as it was
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// How to print a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    #[value(alias = "text")]
    Human,
    /// For programs: one JSON document on stdout.
    Json,
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
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

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
    fn a_state_directory_needs_no_configuration_and_goes_with_none() {
        let typed = |arguments: &[&str]| {
            Cli::try_parse_from([&["baker-agent", "status"], arguments].concat())
        };
        let Command::Status(status) = typed(&["--state-dir", "/s"]).unwrap().command else {
            panic!("another command");
        };
        assert_eq!(status.state_dir, Some(PathBuf::from("/s")));
        assert!(typed(&["--state-dir", "/s", "--config", "/c"]).is_err());
    }
}
