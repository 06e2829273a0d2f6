//! The `lab` command: what was typed, what it means, and what it prints.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::config::{BaseChoice, LabConfig};
use crate::metadata::{Notice, NoticeAction};
use crate::records::InstanceState;
use crate::registry::{Entry, Registry, Up};
use crate::{control, endpoint, lab, preflight};

/// Name of the lab where none is given.
const DEFAULT_NAME: &str = "lab";

/// What `lab down` grants a lab to end by itself before it is ended.
const DOWN_LIMIT: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "Examples:
  sudo lab up                          start it (the first time makes a base disk, about two minutes)
  eval \"$(sudo lab env)\"               point any AWS client of this shell at it
  aws ec2 describe-images --owners 099720109477 --include-deprecated
  sudo lab status                      hosts, images, requests
  sudo lab ssh i-0123… -- uptime       a root shell, or a command, inside a host
  sudo lab faults set faults.json      let requests of CloudWatch fail
  lab endpoint                         CloudWatch alone, logs and metrics, without a lab
  sudo lab down                        remove everything it made

Exit codes: 0 done, 1 failed (the message says what to do), 2 wrong usage; `lab ssh` ends with the command's own.";

/// An AWS on one machine: real API calls, real hosts that boot, real SSH.
#[derive(Debug, Parser)]
#[command(name = "lab", version, after_help = EXAMPLES)]
struct Cli {
    /// Name of the lab, where several run.
    #[arg(long, global = true, default_value = DEFAULT_NAME, env = "LAB_NAME")]
    name: String,
    /// Folder of the running labs' disks and logs.
    #[arg(long, global = true, env = "LAB_STATE_DIR", default_value_os_t = LabConfig::default().state_dir)]
    state_dir: PathBuf,
    #[command(subcommand)]
    command: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Start a lab in the background.
    Up(Box<UpArgs>),
    /// Print the environment for AWS clients, as shell commands.
    Env,
    /// Show labs, hosts, images and requests.
    Status {
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Open a root shell in a host, or run a command in it (through its namespaces: needs no key and works without a network).
    Ssh {
        /// Instance id.
        id: String,
        /// The command; a login shell if left out.
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Show a host's console output.
    Logs {
        /// Instance id.
        id: String,
        /// Go on showing what comes.
        #[arg(long, short)]
        follow: bool,
    },
    /// Announce to a host, in its metadata, that AWS is about to take it away.
    Notice {
        /// Instance id.
        id: String,
        /// What is announced.
        #[arg(long, value_enum, default_value_t = NoticeAction::Terminate)]
        action: NoticeAction,
        /// How long from now.
        #[arg(long = "in", value_parser = humantime::parse_duration, default_value = "2m")]
        after: Duration,
    },
    /// Make what is shared by all labs (base disk, moto's environment) and start none.
    Prepare(Box<UpArgs>),
    /// End a lab and remove everything it made; also what a killed one left behind.
    Down {
        /// Every lab of this machine.
        #[arg(long)]
        all: bool,
    },
    /// Run an endpoint that speaks CloudWatch, logs and metrics, with its real limits, by itself: no lab, no root.
    #[command(alias = "logs-endpoint", alias = "metrics-endpoint", after_help = endpoint::command::ENDPOINT_HELP)]
    Endpoint(Box<endpoint::command::EndpointArgs>),
    /// Show, set or clear what goes wrong in CloudWatch's logs and metrics: of the lab, or of a `lab endpoint`.
    Faults {
        /// The endpoint; the lab's front door if left out.
        #[arg(long, global = true)]
        url: Option<String>,
        #[command(subcommand)]
        order: endpoint::command::FaultsOrder,
    },
    /// Run a lab in the foreground until interrupted.
    #[command(hide = true)]
    Serve {
        /// Settings as JSON.
        #[arg(long)]
        config: String,
    },
}

#[derive(Debug, Args)]
struct UpArgs {
    /// Port of the front door on 127.0.0.1.
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// Regions that exist; the first is the default.
    #[arg(long = "region", default_values_t = LabConfig::default().regions)]
    regions: Vec<String>,
    /// Distribution release that hosts boot (default: bionic where its archive answers, otherwise this machine's own).
    #[arg(long)]
    suite: Option<String>,
    /// Mirror of that release.
    #[arg(long)]
    mirror: Option<String>,
    /// Another name that hosts may reach on ports 80 and 443.
    #[arg(long = "allow-host", value_name = "NAME")]
    allow_hosts: Vec<String>,
    /// Folder of what all labs share.
    #[arg(long, env = "LAB_CACHE_DIR", default_value_os_t = LabConfig::default().cache_dir)]
    cache_dir: PathBuf,
    /// How long an instance is visibly `pending`, at least.
    #[arg(long, default_value_t = LabConfig::default().timing.pending_ms)]
    pending_ms: u64,
    /// How long an instance is visibly `stopping`, at least.
    #[arg(long, default_value_t = LabConfig::default().timing.stopping_ms)]
    stopping_ms: u64,
    /// How long an instance is visibly `shutting-down`, at least.
    #[arg(long, default_value_t = LabConfig::default().timing.shutting_down_ms)]
    shutting_down_ms: u64,
    /// How long an image is visibly `pending`, at least.
    #[arg(long, default_value_t = LabConfig::default().timing.image_pending_ms)]
    image_pending_ms: u64,
    /// Stay in the foreground.
    #[arg(long)]
    foreground: bool,
    /// How to print what is up.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// Does what was typed; returns the exit code.
///
/// # Errors
/// With what went wrong and what to do about it.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Result<u8> {
    let cli = Cli::parse_from(args);
    match cli.command {
        Order::Up(args) if args.foreground => serve(args.config(&cli.name, &cli.state_dir)),
        Order::Up(args) => up(&args, &args.config(&cli.name, &cli.state_dir)),
        Order::Serve { config } => {
            serve(serde_json::from_str(&config).context("--config holds no settings")?)
        }
        Order::Prepare(args) => prepare(&args.config(&cli.name, &cli.state_dir)),
        Order::Env => env(&cli.state_dir, &cli.name),
        Order::Status { output } => status(&cli.state_dir, output),
        Order::Ssh { id, command } => ssh(&cli.state_dir, &cli.name, &id, &command),
        Order::Logs { id, follow } => show_console(&cli.state_dir, &cli.name, &id, follow),
        Order::Notice { id, action, after } => {
            notice(&cli.state_dir, &cli.name, &id, action, after)
        }
        Order::Endpoint(args) => endpoint::command::serve(*args),
        Order::Faults { url, order } => {
            let url = match url {
                Some(url) => url,
                None => running(&cli.state_dir, &cli.name)?.1.endpoint,
            };
            endpoint::command::faults(&url, order)
        }
        Order::Down { all } => down(&cli.state_dir, (!all).then_some(cli.name.as_str())),
    }
}

impl UpArgs {
    fn config(&self, name: &str, state_dir: &Path) -> LabConfig {
        let mut config = LabConfig {
            name: Some(name.to_owned()),
            state_dir: state_dir.to_owned(),
            cache_dir: self.cache_dir.clone(),
            port: self.port,
            regions: self.regions.clone(),
            base: BaseChoice {
                suite: self.suite.clone(),
                mirror: self.mirror.clone(),
            },
            allow_hosts: self.allow_hosts.clone(),
            ..LabConfig::default()
        };
        config.timing.pending_ms = self.pending_ms;
        config.timing.stopping_ms = self.stopping_ms;
        config.timing.shutting_down_ms = self.shutting_down_ms;
        config.timing.image_pending_ms = self.image_pending_ms;
        config
    }
}

/// Starts `lab serve` in a session of its own and waits until it says that it is ready.
fn up(args: &UpArgs, config: &LabConfig) -> Result<u8> {
    preflight::check()?;
    let mut child = Command::new("setsid")
        .arg(std::env::current_exe()?)
        .args(["serve", "--config", &serde_json::to_string(config)?])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("could not start the lab's process")?;
    let said = child
        .stdout
        .take()
        .context("the lab's process has no output")?;
    for line in BufReader::new(said).lines() {
        let line = line?;
        match line.strip_prefix("ready ") {
            None => eprintln!("{line}"),
            Some(up) => {
                print_up(&serde_json::from_str(up)?, config, args.output)?;
                return Ok(0);
            }
        }
    }
    let output = child.wait_with_output()?;
    bail!(
        "{}",
        String::from_utf8_lossy(&output.stderr)
            .trim()
            .trim_start_matches("error: ")
    )
}

fn print_up(up: &Up, config: &LabConfig, output: Output) -> Result<()> {
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(up)?);
        return Ok(());
    }
    println!(
        "The lab is up: {} ({}, hosts boot {} from {})",
        up.endpoint, up.region, up.base_suite, up.base_mirror
    );
    let name = config.name.as_deref().unwrap_or(DEFAULT_NAME);
    let named = if name == DEFAULT_NAME {
        String::new()
    } else {
        format!("--name {name} ")
    };
    println!("Use it from this shell:  eval \"$(lab {named}env)\"");
    println!(
        "Its logs:                {}",
        config.state_dir.join(name).display()
    );
    Ok(())
}

fn serve(config: LabConfig) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let say = |text: &str| {
        let mut out = std::io::stdout();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    };
    let result = runtime.block_on(async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let stop = async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        let ready = |_, up, _| match serde_json::to_string::<Up>(&up) {
            Ok(up) => say(&format!("ready {up}")),
            Err(error) => say(&error.to_string()),
        };
        lab::run(config, &say, ready, stop).await
    });
    // A look-up of a name that never answers is not waited for.
    runtime.shutdown_background();
    result.map(|()| 0)
}

fn prepare(config: &LabConfig) -> Result<u8> {
    preflight::check()?;
    let base = lab::prepare(config, &|text| eprintln!("{text}"))?;
    println!("base disk: {} from {}", base.suite, base.mirror);
    Ok(0)
}

fn env(state_dir: &Path, name: &str) -> Result<u8> {
    let up = running(state_dir, name)?.1;
    for (variable, value) in up.env() {
        println!("export {variable}={value}");
    }
    Ok(0)
}

fn status(state_dir: &Path, output: Output) -> Result<u8> {
    let registry = Registry::open(state_dir)?;
    let mut labs = Vec::new();
    for entry in registry.entries()? {
        let socket = registry.lab_dir(&entry.name).join("control.sock");
        // A lab that is going down at this moment no longer answers; the others are shown all the same.
        let asked = (entry.alive() && entry.up.is_some()).then(|| control::status(&socket));
        let status = asked.and_then(Result::ok);
        labs.push((entry, status));
    }
    if output == Output::Json {
        let all: Vec<_> = labs.iter().map(|(entry, status)| serde_json::json!({"lab": entry, "alive": entry.alive(), "status": status})).collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(0);
    }
    if labs.is_empty() {
        println!("no lab is up; start one with `lab up`");
    }
    for (entry, status) in &labs {
        print!("{}", describe(entry, status.as_ref()));
    }
    Ok(0)
}

fn describe(entry: &Entry, status: Option<&control::Status>) -> String {
    let mut text = format!("{} (pid {}, {})\n", entry.name, entry.pid, entry.cidr);
    match (&entry.up, entry.alive()) {
        (_, false) => text += "  its process is gone: remove what is left with `lab down`\n",
        (None, true) => text += "  starting\n",
        (Some(up), true) => {
            text += &format!(
                "  front door  {}  (hosts: {})\n  metadata    {}\n",
                up.endpoint, up.host_endpoint, up.metadata
            );
            text += &format!(
                "  base        {} from {}\n  reachable   {}\n",
                up.base_suite,
                up.base_mirror,
                up.reachable.join(" ")
            );
            let Some(status) = status else {
                return text + "  does not answer: it is going down, or see its lab.log\n";
            };
            for host in &status.hosts {
                let name = host.name.as_deref().unwrap_or("-");
                let address = host.address.as_deref().unwrap_or("-");
                text += &format!(
                    "  host        {} {:13} {:15} {} {}\n",
                    host.id,
                    host.state.name(),
                    address,
                    host.image,
                    name
                );
            }
            for image in &status.images {
                text += &format!(
                    "  image       {} {:13} {}\n",
                    image.id, image.state, image.name
                );
            }
            text += &format!("  requests    {}\n", status.requests.values().sum::<u64>());
        }
    }
    text
}

fn running(state_dir: &Path, name: &str) -> Result<(Entry, Up)> {
    let entries = Registry::open(state_dir)?.entries()?;
    let entry = entries
        .into_iter()
        .find(|entry| entry.name == name && entry.alive());
    let entry = entry.with_context(|| {
        format!("no lab named `{name}` is up; start one with `lab up`, or see `lab status`")
    })?;
    let up = entry
        .up
        .clone()
        .with_context(|| format!("the lab `{name}` is still starting"))?;
    Ok((entry, up))
}

fn ssh(state_dir: &Path, name: &str, id: &str, command: &[OsString]) -> Result<u8> {
    running(state_dir, name)?;
    let status = control::status(&state_dir.join(name).join("control.sock"))?;
    let host = status.hosts.iter().find(|host| host.id == id);
    let host =
        host.with_context(|| format!("the lab `{name}` has no instance {id}; see `lab status`"))?;
    let leader = host
        .leader
        .filter(|_| matches!(host.state, InstanceState::Pending | InstanceState::Running));
    let leader =
        leader.with_context(|| format!("{id} is {}, so nothing runs in it", host.state.name()))?;
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &leader.to_string(), "--all", "--"]);
    // `env -i` keeps this machine's environment out of the host.
    enter.args([
        "env",
        "-i",
        "HOME=/root",
        "USER=root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]);
    enter.arg(format!(
        "TERM={}",
        std::env::var("TERM").unwrap_or_else(|_| "dumb".into())
    ));
    if command.is_empty() {
        enter.args(["bash", "--login"]);
    } else {
        enter.args(command);
    }
    // Only returns if it could not be started.
    Err(enter.exec()).context("could not run nsenter; is the package util-linux installed?")
}

fn show_console(state_dir: &Path, name: &str, id: &str, follow: bool) -> Result<u8> {
    let console = state_dir
        .join(name)
        .join("hosts")
        .join(id)
        .join("console.log");
    if !console.is_file() {
        bail!("{id} has no console output in the lab `{name}`; see `lab status`");
    }
    let mut tail = Command::new("tail");
    tail.args(["--lines", "+1"])
        .args(follow.then_some("--follow"))
        .arg(console);
    Err(tail.exec()).context("could not run tail")
}

fn notice(
    state_dir: &Path,
    name: &str,
    id: &str,
    action: NoticeAction,
    after: Duration,
) -> Result<u8> {
    running(state_dir, name)?;
    let at = jiff::Timestamp::now() + after;
    control::give_notice(
        &state_dir.join(name).join("control.sock"),
        id,
        Notice { action, at },
    )?;
    Ok(0)
}

fn down(state_dir: &Path, name: Option<&str>) -> Result<u8> {
    let registry = Registry::open(state_dir)?;
    let entries: Vec<Entry> = registry
        .entries()?
        .into_iter()
        .filter(|entry| name.is_none_or(|name| entry.name == name))
        .collect();
    if entries.is_empty() {
        eprintln!("nothing to take down");
    }
    for entry in entries {
        if entry.alive() {
            let _ = kill(Pid::from_raw(entry.pid), Signal::SIGTERM);
            wait_for_end(&entry)?;
        }
        registry.remove(&entry.name)?;
        eprintln!("{} is down", entry.name);
    }
    Ok(0)
}

fn wait_for_end(entry: &Entry) -> Result<()> {
    let start = Instant::now();
    while entry.alive() {
        if start.elapsed() > DOWN_LIMIT {
            let _ = kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
            bail!(
                "the lab `{}` did not end within {DOWN_LIMIT:?} and was killed; run `lab down` again to remove what it left",
                entry.name
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
