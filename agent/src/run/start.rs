//! What comes before the engine: a configuration to begin with.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::inbox::Inbox;
use super::origin::{Followed, Origin, SUBJECT, Watched};
use super::pulse::Pulse;
use super::{Ended, RunError, patted, serve};
use crate::exit::Exit;
use crate::log::{Level, Log, chain};
use crate::service;

/// What signals ask for.
#[derive(Clone)]
pub(super) struct Wishes {
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) reload: Arc<Notify>,
}

/// Serves with the configuration of `origin`, and where that is a parameter which can't be begun with, with the next that can.
pub(super) async fn serve_with(
    origin: Origin,
    log: &Log,
    inbox: Arc<Inbox>,
    mut wishes: Wishes,
    pulse: Arc<Pulse>,
) -> Result<Ended, RunError> {
    // Nothing that waits for the agent should wait for a metadata service, or for the network.
    let survey = origin.survey();
    service::ready("asks the instance's metadata who this host is");
    let (mut followed, mut settings) = match origin {
        Origin::File { path, settings } => (Followed::File(path), *settings),
        Origin::Parameter {
            name,
            copies,
            every,
        } => {
            let mut watched = Watched::new(name, copies, every);
            let asked = Arc::clone(&wishes.reload);
            let begun = watched.begin(log, &asked);
            let first = before_stop(log, &pulse, &mut wishes, begun).await?;
            let Some(settings) = first else {
                return Ok(Ended::CutShort);
            };
            (Followed::Parameter(Box::new(watched)), settings)
        }
    };
    loop {
        let (inbox, pulse) = (Arc::clone(&inbox), Arc::clone(&pulse));
        let ended = serve(
            &settings,
            &mut followed,
            log,
            inbox,
            wishes.clone(),
            Arc::clone(&pulse),
            survey.as_ref(),
        )
        .await;
        let Err(error) = ended else {
            return ended;
        };
        if error.exit() != Exit::Usage || matches!(followed, Followed::File(_)) {
            return Err(error);
        }
        log.trouble(Level::Error, SUBJECT, &chain(&error));
        service::status("waits for a configuration that it can begin with (see the log)");
        let reload = Arc::clone(&wishes.reload);
        let next = before_stop(log, &pulse, &mut wishes, async {
            loop {
                let read = tokio::select! {
                    read = followed.changed(log) => read,
                    () = reload.notified() => followed.read(log).await,
                };
                if let Some(settings) = read {
                    return settings;
                }
            }
        });
        match next.await? {
            Some(next) => settings = next,
            None => return Ok(Ended::CutShort),
        }
    }
}

/// What `awaited` gives; `None` if the agent is to end before. Nothing else goes round yet, so this thread alone pats the watchdog.
pub(super) async fn before_stop<T>(
    log: &Log,
    pulse: &Pulse,
    wishes: &mut Wishes,
    awaited: impl Future<Output = T>,
) -> Result<Option<T>, RunError> {
    tokio::select! {
        () = patted(log, None, pulse) => Err(RunError::Broken),
        given = awaited => Ok(Some(given)),
        _ = wishes.stopping.wait_for(|stop| *stop) => Ok(None),
    }
}
