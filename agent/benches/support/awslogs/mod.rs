//! awslogs 1.4.6 (awscli-cwlogs, from PyPI): the agent that AWS gave out before its present one. Still on many hosts.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use lab::LabConfig;
use lab::python::Environment;

use crate::support::agent::{Program, Setup, quiet};

/// As requirements.in asks for them.
const REQUIREMENTS: &str = include_str!("requirements.txt");
/// Its smallest and its default `buffer_duration`: it has no faster flush.
const BUFFER: Duration = Duration::from_secs(5);

/// In a virtual environment of its own.
#[derive(Debug)]
pub(crate) struct Awslogs {
    environment: Environment,
}

impl Awslogs {
    /// Installs it, once a machine.
    pub(crate) fn prepare() -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let cache = LabConfig::default().cache_dir;
        let say = |line: &str| eprintln!("{line}");
        let environment = runtime
            .block_on(Environment::prepare(&cache, "awslogs", REQUIREMENTS, &say))
            .map_err(|error| error.to_string())?;
        Ok(Self { environment })
    }
}

impl Program for Awslogs {
    fn name(&self) -> &str {
        "awslogs"
    }

    // What its own setup script writes: the plug-in, a state file, and the largest batches it takes.
    fn command(&self, setup: &Setup) -> Command {
        let path = |name: &str| setup.folder.join(name);
        fs::write(
            path("aws.conf"),
            "[plugins]\ncwlogs = cwlogs\n[default]\nregion = us-east-1\n",
        )
        .unwrap();
        let mut config = format!(
            "[general]\nstate_file = {}\n",
            path("awslogs.state").display()
        );
        for (index, file) in setup.files.iter().enumerate() {
            write!(
                config,
                "[file-{index}]\nfile = {}\nlog_group_name = {}\nlog_stream_name = {}\n\
                 datetime_format = %d/%b/%Y:%H:%M:%S %z\ninitial_position = start_of_file\n\
                 batch_count = 10000\nbatch_size = 1048576\nbuffer_duration = {}\n",
                file.path.display(),
                file.group,
                file.stream,
                BUFFER.as_millis(),
            )
            .unwrap();
        }
        fs::write(path("awslogs.conf"), config).unwrap();
        // By the interpreter: the script's first line breaks where the path is long.
        let mut command = quiet(&self.environment.program("python"));
        command
            .arg(self.environment.program("aws"))
            .args([
                "logs",
                "push",
                "--endpoint-url",
                &setup.endpoint,
                "--config-file",
            ])
            .arg(path("awslogs.conf"))
            .env("AWS_CONFIG_FILE", path("aws.conf"))
            .env("HOME", &setup.folder);
        command
    }
}
