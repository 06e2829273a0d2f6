//! SIGTERM and Ctrl-C: the first asks the agent to end, the second ends it. SIGHUP: read the configuration anew.

use std::io;
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::exit::Exit;

/// A stack for a thread that waits and calls one function.
const STACK_BYTES: usize = 64 * 1024;

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Read the configuration anew.
    Reload,
    /// Send what was read, and end.
    Stop,
}

/// From now on, signals that ask for something wait until [`listen`] takes them: one that comes before, while the configuration is
/// read for the first time, would otherwise end the process.
///
/// To be called before any other thread is started: each inherits that it is not interrupted.
///
/// # Errors
/// When the system refuses it.
pub fn hold() -> io::Result<()> {
    Ok(held().thread_block()?)
}

fn held() -> SigSet {
    [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT]
        .into_iter()
        .collect()
}

/// From now on, each SIGHUP and the first SIGTERM or SIGINT call `act`, and the second of these ends the process at once with
/// [`Exit::Interrupted`]. Nothing is lost by that: the ledger is always as durable as it has to be.
///
/// To be called before any other thread is started: each inherits that it is not interrupted.
///
/// # Errors
/// When the thread that waits for signals can't be started.
pub fn listen(act: impl Fn(Asked) + Send + 'static) -> io::Result<()> {
    let signals = held();
    signals.thread_block()?;
    thread::Builder::new()
        .name("signals".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let mut stopping = false;
            // Waiting for signals that exist does not fail.
            while let Ok(signal) = signals.wait() {
                match signal {
                    Signal::SIGHUP => act(Asked::Reload),
                    _ if stopping => std::process::exit(Exit::Interrupted.code().into()),
                    _ => {
                        stopping = true;
                        act(Asked::Stop);
                    }
                }
            }
        })?;
    Ok(())
}
