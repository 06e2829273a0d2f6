//! What systemd is told: that the agent is ready, that it makes progress, that it ends (sd_notify(3)). Without systemd, nothing.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::oneshot;

use super::inbox::{Inbox, Message};

/// The configuration holds. Who this host is may take a while to find out; nothing needs to wait for that.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// It has begun to drain.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

/// A notice that does not get through is systemd's to miss: it would be the watchdog's.
fn tell(state: NotifyState<'_>) {
    let _ = sd_notify::notify(false, &[state]);
}

/// Pats the watchdog for as long as the agent goes round: this thread by running at all, the engine by answering once it is `going`.
/// An engine that hangs is not asked twice: then nothing is patted any more.
pub(super) async fn watchdog(inbox: Arc<Inbox>, going: Rc<Cell<bool>>) {
    let mut limit_us = 0;
    if !sd_notify::watchdog_enabled(false, &mut limit_us) {
        return;
    }
    // sd_watchdog_enabled(3) recommends half of the limit.
    let pace = Duration::from_micros(limit_us) / 2;
    loop {
        if going.get() {
            let (reply, answer) = oneshot::channel();
            inbox.push(Message::Report(reply));
            if answer.await.is_err() {
                return;
            }
        }
        tell(NotifyState::Watchdog);
        tokio::time::sleep(pace).await;
    }
}
