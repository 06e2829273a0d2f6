//! A host for tests: this machine. Command lines run in a shell of their own.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::{Command, ExitStatus, Host, HostError, OutputLine, OutputStream, Stdin};

/// Runs what a host would run, as whoever runs the tests.
pub(crate) struct LocalHost {
    /// Programs in here are found before the machine's own.
    pub(crate) programs: PathBuf,
}

impl LocalHost {
    /// A host whose programs can be replaced by files in `programs`.
    pub(crate) fn new(programs: &Path) -> Self {
        Self {
            programs: programs.to_path_buf(),
        }
    }

    /// Replaces a program by shell text.
    pub(crate) fn replace(&self, program: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.programs.join(program);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

impl Host for LocalHost {
    async fn run(
        &self,
        command: Command,
        output: &mut (dyn FnMut(OutputLine) + Send),
    ) -> Result<ExitStatus, HostError> {
        let path = std::env::var("PATH").unwrap();
        let mut child = tokio::process::Command::new("bash")
            .args(["-c", &command.line])
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = match command.stdin {
            Stdin::Empty => Vec::new(),
            Stdin::Bytes(bytes) => bytes,
            Stdin::Stream(write) => {
                let mut bytes = Vec::new();
                write(&mut bytes as &mut dyn Write).map_err(HostError::Input)?;
                bytes
            }
        };
        let mut stdin = child.stdin.take().unwrap();
        let feed = tokio::spawn(async move {
            // A program that does not read to the end is no failure.
            let _ = stdin.write_all(&input).await;
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let deadline = Instant::now() + command.timeout;
        let work = async {
            let (mut more_out, mut more_err) = (true, true);
            while more_out || more_err {
                let (stream, line) = tokio::select! {
                    line = stdout.next_line(), if more_out => (OutputStream::Stdout, line.unwrap()),
                    line = stderr.next_line(), if more_err => (OutputStream::Stderr, line.unwrap()),
                };
                match line {
                    Some(text) => output(OutputLine { stream, text }),
                    None if stream == OutputStream::Stdout => more_out = false,
                    None => more_err = false,
                }
            }
            child.wait().await.unwrap()
        };
        let status = tokio::time::timeout_at(deadline.into(), work)
            .await
            .map_err(|_| HostError::TimedOut {
                after: command.timeout,
            })?;
        feed.abort();
        Ok(match status.code() {
            Some(code) => ExitStatus::Code(code),
            None => ExitStatus::Signal(status.signal().unwrap().to_string()),
        })
    }
}
