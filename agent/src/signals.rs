//! SIGTERM and Ctrl-C: the first asks the agent to end, the second ends it.

use std::io;
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::exit::Exit;

/// A stack for a thread that waits and calls one function.
const STACK_BYTES: usize = 64 * 1024;

/// From now on, the first SIGTERM or SIGINT calls `drain` and the second ends the process at once with
/// [`Exit::Interrupted`]. Nothing is lost by either: the ledger is always as durable as it has to be.
///
/// To be called before any other thread is started: each inherits that it is not interrupted.
///
/// # Errors
/// When the thread that waits for signals can't be started.
pub fn listen(drain: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    thread::Builder::new()
        .name("signals".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            // Waiting for signals that exist does not fail.
            if signals.wait().is_ok() {
                drain();
            }
            if signals.wait().is_ok() {
                std::process::exit(Exit::Interrupted.code().into());
            }
        })?;
    Ok(())
}
