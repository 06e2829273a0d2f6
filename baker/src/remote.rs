//! The narrow door to a host: run one command line, feed it, hear its lines, learn its end.

use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::time::Duration;

/// One command for a host.
pub struct Command {
    /// A complete, quoted command line for the login user's shell.
    pub line: String,
    /// What it reads.
    pub stdin: Stdin,
    /// It must end within this time.
    pub timeout: Duration,
}

/// Writes a command's input; called once, on a thread that may block.
pub type StdinWriter = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// What a command reads.
pub enum Stdin {
    /// Nothing: end of file at once.
    Empty,
    /// These bytes, then end of file.
    Bytes(Vec<u8>),
    /// What the function writes, then end of file.
    Stream(StdinWriter),
}

impl fmt::Debug for Stdin {
    // Input may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes, not shown)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("line", &self.line)
            .field("stdin", &self.stdin)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// Which of a command's two outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line that a command wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    /// Where it was written.
    pub stream: OutputStream,
    /// The line without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    /// It returned this status.
    Code(i32),
    /// It was killed by this signal (`TERM`, `KILL`, …).
    Signal(String),
}

impl ExitStatus {
    /// The command returned 0.
    #[must_use]
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(name) => write!(f, "killed by SIG{name}"),
        }
    }
}

/// Why the end of a command is not known.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The connection broke.
    #[error("the connection to the host was lost")]
    Lost(#[source] io::Error),
    /// The command did not end in time.
    #[error("it did not end within {}", humantime::format_duration(*after))]
    TimedOut {
        /// How long it was given.
        after: Duration,
    },
    /// Its input could not be produced.
    #[error("its input could not be read on this machine")]
    Input(#[source] io::Error),
}

/// A host that runs commands. The order of lines within one of the two outputs is kept.
pub trait Host: Sync {
    /// Runs a command to its end, handing each line of output over as it comes.
    ///
    /// # Errors
    /// When the end of the command cannot be learnt; a command that ran and failed is not an error here.
    fn run(
        &self,
        command: Command,
        output: &mut (dyn FnMut(OutputLine) + Send),
    ) -> impl Future<Output = Result<ExitStatus, HostError>> + Send;
}

/// What a command printed, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Captured {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Its standard output, line by line.
    pub(crate) stdout: Vec<String>,
    /// Its standard error, line by line.
    pub(crate) stderr: Vec<String>,
}

/// Runs a command whose output is short and is the answer to a question.
pub(crate) async fn capture(host: &impl Host, command: Command) -> Result<Captured, HostError> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let status = host
        .run(command, &mut |line| match line.stream {
            OutputStream::Stdout => stdout.push(line.text),
            OutputStream::Stderr => stderr.push(line.text),
        })
        .await?;
    Ok(Captured {
        status,
        stdout,
        stderr,
    })
}

#[cfg(test)]
pub(crate) mod local;
