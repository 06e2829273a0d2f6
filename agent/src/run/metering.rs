//! Metrics beside the engine: begun once they are configured, told of other settings, and drained at the end.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;

use super::engine::Clock;
use super::inbox::Inbox;
use super::report;
use crate::aws::Access;
use crate::config::Settings;
use crate::host::{Host, Search};
use crate::log::{Level, Log, chain};
use crate::metering::{self, Base, Meter, StartError};
use crate::status;

/// The subject under which it is told that metrics can't be begun.
const SUBJECT: &str = "metrics configuration";

/// The second line of the agent, if there is one.
pub(super) struct Metering {
    meter: OnceCell<Meter>,
    access: Access,
    state_dir: PathBuf,
    host: Host,
    instance_id: Option<String>,
    clock: Clock,
    inbox: Arc<Inbox>,
}

impl Metering {
    /// Begins nothing yet.
    pub(super) fn new(
        settings: &Settings,
        access: Access,
        host: Host,
        clock: Clock,
        inbox: &Arc<Inbox>,
    ) -> Self {
        Self {
            meter: OnceCell::new(),
            access,
            state_dir: settings.state_dir.clone(),
            host,
            instance_id: settings.instance_id.clone(),
            clock,
            inbox: Arc::clone(inbox),
        }
    }

    /// How metrics stand; none if there were never any.
    pub(super) fn status(&self) -> Option<status::Metering> {
        self.meter.get().map(Meter::status)
    }

    /// Does what the settings say, for as long as the agent runs. What goes wrong with metrics is no reason not to ship lines.
    pub(super) async fn keep(
        &self,
        log: &Log,
        mut current: watch::Receiver<Arc<Settings>>,
    ) -> Infallible {
        loop {
            let wanted = current.borrow_and_update().metrics.clone();
            match self.follow(wanted) {
                Ok(()) => log.cleared(SUBJECT),
                Err(error) => log.trouble(Level::Error, SUBJECT, &chain(&error)),
            }
            tokio::select! {
                // Without a sender the agent is ending.
                Ok(()) = current.changed() => {}
                never = self.tell(log) => match never {},
            }
        }
    }

    fn follow(&self, wanted: Option<metering::Settings>) -> Result<(), StartError> {
        match (self.meter.get(), wanted) {
            (Some(meter), wanted) => meter.reconfigure(wanted)?,
            (None, Some(wanted)) => {
                let (clock, inbox) = (self.clock.clone(), Arc::clone(&self.inbox));
                let base = Base {
                    access: self.access.clone(),
                    state_dir: self.state_dir.clone(),
                    host: self.host.clone(),
                    search: Search::from_environment(self.instance_id.clone()),
                    clock: move || clock.service_now(),
                    report: move || report(&inbox),
                };
                let _ = self.meter.set(Meter::start(wanted, base)?);
            }
            (None, None) => {}
        }
        Ok(())
    }

    async fn tell(&self, log: &Log) -> Infallible {
        match self.meter.get() {
            Some(meter) => meter.tell(log).await,
            None => std::future::pending().await,
        }
    }

    /// Once the agent is to stop: sends what there is, within the limit that is configured.
    pub(super) async fn drain(
        self: Rc<Self>,
        mut stopping: watch::Receiver<bool>,
        current: watch::Receiver<Arc<Settings>>,
    ) {
        // Without a sender nobody can ask any more.
        let _ = stopping.wait_for(|stop| *stop).await;
        let limit = current.borrow().ship.drain;
        if let Some(meter) = self.meter.get() {
            meter.drain(limit).await;
        }
    }

    /// At the end: what the next start has to send.
    pub(super) fn tell_what_is_left(&self, log: &Log) {
        let left = self.status().map_or(0, |status| status.spooled_points);
        if left > 0 {
            log.say(
                Level::Info,
                &format!("metrics: {left} points wait in the spool; the next start sends them"),
            );
        }
    }
}
