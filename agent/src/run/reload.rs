//! The configuration, read anew while the agent runs: what is wrong is told and the old one stays, what is right holds at once.

use std::sync::Arc;

use tokio::sync::{Notify, oneshot, watch};

use super::inbox::{Inbox, Message};
use super::origin::{Followed, SUBJECT};
use crate::config::{self, Settings};
use crate::log::{Level, Log, chain};
use crate::service;

/// Reads the configuration anew whenever it is `asked` to or sees a change by itself, for as long as the agent runs. Whoever follows `current` sees
/// what holds.
pub(super) async fn keep(
    log: &Log,
    inbox: &Inbox,
    current: &watch::Sender<Arc<Settings>>,
    asked: &Notify,
    followed: &mut Followed,
    status: &str,
) {
    loop {
        let read = tokio::select! {
            read = followed.changed(log) => {
                service::reloading();
                read
            }
            () = asked.notified() => {
                service::reloading();
                followed.read(log).await
            }
        };
        let settled = match read {
            Some(settings) => settle(log, inbox, current, settings).await,
            None => false,
        };
        if settled {
            followed.holds(log);
        }
        service::ready(if settled {
            status
        } else {
            "the configuration does not hold: goes on with the one before (see the log)"
        });
    }
}

/// True if the engine goes on with these settings.
async fn settle(
    log: &Log,
    inbox: &Inbox,
    current: &watch::Sender<Arc<Settings>>,
    settings: Settings,
) -> bool {
    let (old, settings) = (Arc::clone(&current.borrow()), Arc::new(settings));
    let (reply, answer) = oneshot::channel();
    inbox.push(Message::Reconfigure(Arc::clone(&settings), reply));
    match answer.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            log.trouble(Level::Error, SUBJECT, &chain(&error));
            return false;
        }
        // The agent is ending.
        Err(_) => return true,
    }
    log.cleared(SUBJECT);
    log.say(Level::Info, &changes(&old, &settings));
    let fixed = old.fixed(&settings);
    if !fixed.is_empty() {
        log.say(
            Level::Warning,
            &format!(
                "{} will hold after a restart only (systemctl restart baker-agent)",
                fixed.join(", ")
            ),
        );
    }
    // What stands until a restart is compared with what stands, however often the file changes.
    let mut settled = Settings::clone(&settings);
    settled.state_dir.clone_from(&old.state_dir);
    settled.instance_id.clone_from(&old.instance_id);
    settled.aws = old.aws.clone();
    current.send_replace(Arc::new(settled));
    true
}

/// What became of the `[[file]]`s, by their names.
fn changes(old: &Settings, new: &Settings) -> String {
    let names = |settings: &Settings| -> Vec<String> {
        let first = |file: &config::FileSettings| file.set.patterns.first().cloned();
        settings.files.iter().filter_map(first).collect()
    };
    let (before, after) = (names(old), names(new));
    let list = |what: &str, names: Vec<&String>| match names.len() {
        0 => String::new(),
        _ => format!(
            "; {what} {}",
            names
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let added = after.iter().filter(|name| !before.contains(name)).collect();
    let removed = before.iter().filter(|name| !after.contains(name)).collect();
    let settings = match after.len() {
        1 => "1 file setting".to_owned(),
        n => format!("{n} file settings"),
    };
    format!(
        "configuration read anew: {settings}{}{}",
        list("new:", added),
        list("no longer followed:", removed)
    )
}
