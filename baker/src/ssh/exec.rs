//! One command on one connection: input, output and end, all in one loop.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use ssh2::Channel;
use tokio::sync::mpsc;

use super::lines::Lines;
use super::link::Link;
use crate::remote::{Command, ExitStatus, HostError, OutputLine, OutputStream, Stdin, StdinWriter};

/// How much of one output is taken at a time: as much as an SSH packet carries.
const READ_BYTES: usize = 32 * 1024;
/// A pipe to the producer of a command's input: a few pieces of this size, so that memory stays bounded.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES: usize = 4;
/// A host that is silent this long is asked whether it is still there …
const KEEPALIVE: Duration = Duration::from_secs(15);
/// … and given up when it has not answered after this.
const SILENCE: Duration = Duration::from_secs(90);

/// Runs a command to its end. The link is fit for another command only after `Ok`.
pub(super) async fn run(
    link: &mut Link,
    command: Command,
    output: &mut (dyn FnMut(OutputLine) + Send),
) -> Result<ExitStatus, HostError> {
    let timeout = command.timeout;
    tokio::time::timeout(timeout, run_unbounded(link, command, output))
        .await
        .unwrap_or(Err(HostError::TimedOut { after: timeout }))
}

async fn run_unbounded(
    link: &mut Link,
    command: Command,
    output: &mut (dyn FnMut(OutputLine) + Send),
) -> Result<ExitStatus, HostError> {
    let lost = HostError::Lost;
    let mut channel = link
        .retry(ssh2::Session::channel_session)
        .await
        .map_err(lost)?;
    link.retry(|_| channel.exec(&command.line))
        .await
        .map_err(lost)?;
    let mut input = Input::of(command.stdin);
    let mut outputs = [
        Output::of(OutputStream::Stdout, &channel),
        Output::of(OutputStream::Stderr, &channel),
    ];
    link.session()
        .set_keepalive(true, u32::try_from(KEEPALIVE.as_secs()).unwrap_or(u32::MAX));
    link.last_heard = Instant::now();
    loop {
        // A half-sent packet of input goes first: until it is out, libssh2 sends nothing else.
        let mut moved = input.pump(&mut channel).map_err(lost)?;
        for one in &mut outputs {
            moved |= one.pump(output).map_err(lost)?;
        }
        if channel.eof() {
            break;
        }
        if moved {
            // A command that never stops printing must not keep the timeout and its neighbours waiting.
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            // Pieces of input first: an idle socket is the common case while they are made.
            fed = input.feed(), if input.is_hungry() => fed.map_err(HostError::Input)?,
            ready = link.ready() => ready.map_err(lost)?,
            () = tokio::time::sleep(KEEPALIVE) => ask(link).map_err(lost)?,
        }
    }
    for one in &mut outputs {
        one.end(output);
    }
    link.retry(|_| channel.close()).await.map_err(lost)?;
    link.retry(|_| channel.wait_close()).await.map_err(lost)?;
    let signal = channel.exit_signal().map_err(|error| lost(error.into()))?;
    match signal.exit_signal {
        Some(name) => Ok(ExitStatus::Signal(name)),
        None => Ok(ExitStatus::Code(
            channel.exit_status().map_err(|error| lost(error.into()))?,
        )),
    }
}

/// Asks a silent host for a sign of life; gives it up after [`SILENCE`].
fn ask(link: &mut Link) -> io::Result<()> {
    let silent = link.last_heard.elapsed();
    if silent >= SILENCE {
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("nothing heard from the host for {} s", silent.as_secs()),
        ));
    }
    if !link.is_sending() {
        match link.session().keepalive_send().map_err(io::Error::from) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// One of the command's outputs.
struct Output {
    stream: OutputStream,
    source: ssh2::Stream,
    lines: Lines,
    buffer: Vec<u8>,
}

impl Output {
    fn of(stream: OutputStream, channel: &Channel) -> Output {
        Output {
            stream,
            source: match stream {
                OutputStream::Stdout => channel.stream(0),
                OutputStream::Stderr => channel.stderr(),
            },
            lines: Lines::default(),
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Hands on what has arrived; whether anything had.
    fn pump(&mut self, output: &mut (dyn FnMut(OutputLine) + Send)) -> io::Result<bool> {
        match self.source.read(&mut self.buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                let stream = self.stream;
                self.lines.push(&self.buffer[..count], &mut |text| {
                    output(OutputLine { stream, text });
                });
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn end(&mut self, output: &mut (dyn FnMut(OutputLine) + Send)) {
        let stream = self.stream;
        self.lines
            .end(&mut |text| output(OutputLine { stream, text }));
    }
}

/// The command's input.
struct Input {
    /// Being sent, from `sent` on. Never touched while it is half-sent: libssh2 wants the same bytes again.
    piece: Vec<u8>,
    sent: usize,
    source: Source,
    closed: bool,
}

enum Source {
    /// More pieces come; an error says that they cannot be made.
    Pieces(mpsc::Receiver<io::Result<Vec<u8>>>),
    /// All there is has been taken.
    Exhausted,
}

impl Input {
    fn of(stdin: Stdin) -> Input {
        let (piece, source) = match stdin {
            Stdin::Empty => (Vec::new(), Source::Exhausted),
            Stdin::Bytes(bytes) => (bytes, Source::Exhausted),
            Stdin::Stream(writer) => (Vec::new(), Source::Pieces(produce(writer))),
        };
        Input {
            piece,
            sent: 0,
            source,
            closed: false,
        }
    }

    fn is_hungry(&self) -> bool {
        self.sent == self.piece.len() && matches!(self.source, Source::Pieces(_))
    }

    /// Takes the next piece when it is there.
    async fn feed(&mut self) -> io::Result<()> {
        if let Source::Pieces(pieces) = &mut self.source {
            match pieces.recv().await {
                Some(piece) => {
                    self.piece = piece?;
                    self.sent = 0;
                }
                None => self.source = Source::Exhausted,
            }
        }
        Ok(())
    }

    /// Sends what can be sent; whether anything was.
    fn pump(&mut self, channel: &mut Channel) -> io::Result<bool> {
        if self.sent < self.piece.len() {
            return match channel.write(&self.piece[self.sent..]) {
                Ok(count) => {
                    self.sent += count;
                    Ok(count > 0)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
                // The command ended or closed its input without reading all of it: its status will tell.
                Err(_) if channel.eof() => Ok(false),
                Err(error) => Err(error),
            };
        }
        if self.closed || matches!(self.source, Source::Pieces(_)) {
            return Ok(false);
        }
        match channel.send_eof().map_err(io::Error::from) {
            Ok(()) => {
                self.closed = true;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(_) if channel.eof() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Starts the producer on a thread that may block. When nobody takes its pieces any more, its next write fails.
fn produce(writer: StdinWriter) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe {
            sender,
            piece: Vec::with_capacity(PIECE_BYTES),
        };
        let result = writer(&mut pipe).and_then(|()| pipe.flush());
        if let Err(error) = result {
            let _ = pipe.sender.blocking_send(Err(error));
        }
    });
    receiver
}

/// The producer's end.
struct Pipe {
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE_BYTES {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.sender
            .blocking_send(Ok(piece))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
