//! One host's life: carries out, one after another, what [`crate::reconcile`] decides for its instance.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::cgroup::Cgroup;
use crate::machine::{Ended, Machine};
use crate::network::HostNetwork;
use crate::reconcile::{Action, Found, Wanted, decide};
use crate::records::{
    ControlError, Instance, InstanceState as State, Records, Snapshot, StateReason,
};
use crate::site::Site;

/// The keeper of one instance.
pub(crate) struct Host {
    id: String,
    site: Arc<Site>,
    machine: Option<Machine>,
    ended: Option<Ended>,
    /// Snapshots already taken, so that a reading that is older than their announcement does not repeat them.
    frozen: BTreeSet<String>,
    reboots_seen: u64,
    state: Option<State>,
    since: Instant,
}

impl Host {
    pub(crate) fn new(id: &str, site: Arc<Site>) -> Self {
        Self {
            id: id.to_owned(),
            site,
            machine: None,
            ended: None,
            frozen: BTreeSet::new(),
            reboots_seen: 0,
            state: None,
            since: Instant::now(),
        }
    }

    /// Keeps the host until its instance is terminated.
    pub(crate) async fn keep(mut self) {
        let mut readings = self.site.hub.subscribe();
        loop {
            let records = readings.borrow_and_update().records.clone();
            let Some(instance) = records.instances.iter().find(|one| one.id == self.id) else {
                // The record is gone altogether (moto was reset): so is the host.
                let _ = self.destroy().await;
                return;
            };
            let state = instance.state;
            if self.state != Some(state) {
                self.state = Some(state);
                self.since = Instant::now();
            }
            let waiting = self.waiting_snapshots(&records);
            let wanted = Wanted {
                state,
                reboot: instance.reboot_seq > self.reboots_seen,
                terminate_on_power_off: instance.shutdown_behavior == "terminate",
                freeze: !waiting.is_empty(),
            };
            let action = decide(wanted, self.found());
            if action == Action::Leave {
                let _ = self.destroy().await;
                return;
            }
            if action == Action::Wait {
                tokio::select! {
                    _ = readings.changed() => {}
                    ended = ended(&mut self.machine) => self.note_end(ended).await,
                }
                continue;
            }
            if let Err(error) = self.act(action, instance, &records, &waiting).await {
                self.site
                    .log
                    .line(&format!("{}: {action:?} failed: {error:#}", self.id));
                self.fail(&error).await;
            }
            self.site.hub.refreshed().await;
        }
    }

    fn found(&self) -> Found {
        match (self.ended, &self.machine) {
            (Some(ended), _) => Found::Ended(ended),
            (None, Some(_)) => Found::On,
            (None, None) => Found::Off,
        }
    }

    fn waiting_snapshots(&self, records: &Records) -> Vec<Snapshot> {
        let mine = |snapshot: &&Snapshot| {
            snapshot.state == "pending" && snapshot.instance_id.as_deref() == Some(self.id.as_str())
        };
        records
            .snapshots
            .iter()
            .filter(mine)
            .filter(|snapshot| !self.frozen.contains(&snapshot.id))
            .cloned()
            .collect()
    }

    async fn act(
        &mut self,
        action: Action,
        instance: &Instance,
        records: &Records,
        waiting: &[Snapshot],
    ) -> Result<()> {
        match action {
            Action::Boot => self.boot(instance, records).await,
            Action::Stop => self.stop().await,
            Action::Reboot => {
                self.reboots_seen = instance.reboot_seq;
                self.stop().await
            }
            Action::Freeze => self.freeze(records, waiting).await,
            Action::Destroy => {
                self.destroy().await?;
                self.visible_for(self.site.timing.shutting_down()).await;
                self.announce(State::Terminated, None).await.map(drop)
            }
            Action::Announce(state) => {
                match state {
                    State::Running => self.visible_for(self.site.timing.pending()).await,
                    State::Stopped => self.visible_for(self.site.timing.stopping()).await,
                    _ => {}
                }
                let by_itself = matches!(state, State::Stopping | State::ShuttingDown);
                let reason = by_itself.then_some("Client.InstanceInitiatedShutdown");
                // That it ended while it was pending is acted on once it counts as running.
                if self.announce(state, reason).await? && state != State::Running {
                    self.ended = None;
                }
                Ok(())
            }
            Action::Wait | Action::Leave => Ok(()),
        }
    }

    async fn boot(&mut self, instance: &Instance, records: &Records) -> Result<()> {
        self.ended = None;
        self.reboots_seen = instance.reboot_seq;
        let stack = self.site.stack_for(instance, records)?;
        let instance = instance.clone();
        let boot = self
            .site
            .blocking(move |site| site.prepare(&instance, &stack))
            .await?;
        let machine = Machine::start(
            &boot,
            Cgroup::new(&format!("{}/{}", self.site.lab, self.id))?,
        )?;
        self.site.pids().insert(self.id.clone(), machine.pid());
        self.machine = Some(machine);
        Ok(())
    }

    /// Ends the machine in order and takes its disk off line.
    async fn stop(&mut self) -> Result<()> {
        self.ended = None;
        self.site.pids().remove(&self.id);
        if let Some(machine) = self.machine.take()
            && !machine.stop(self.site.timing.shutdown_limit()).await?
        {
            self.site.log.line(&format!(
                "{}: did not shut down in time and was cut off",
                self.id
            ));
        }
        let id = self.id.clone();
        self.site
            .blocking(move |site| {
                site.disks.unmount(&id)?;
                HostNetwork::of(&site.lab, &id).remove()
            })
            .await
    }

    async fn destroy(&mut self) -> Result<()> {
        self.stop().await?;
        self.site.layers().forget_host(&self.id);
        let id = self.id.clone();
        self.site.blocking(move |site| site.disks.remove(&id)).await
    }

    /// Takes the snapshots that are waiting. Where an image allows a reboot, the host goes down for it (and the table boots it again).
    async fn freeze(&mut self, records: &Records, waiting: &[Snapshot]) -> Result<()> {
        for snapshot in waiting {
            self.frozen.insert(snapshot.id.clone());
            let image = snapshot
                .image_id
                .as_ref()
                .and_then(|id| records.images.iter().find(|image| image.id == *id));
            let keep_running = image.is_none_or(|image| image.no_reboot);
            let result = self.freeze_one(&snapshot.id, keep_running).await;
            self.site
                .finish_snapshot(snapshot, self.site.timing.image_pending(), result);
        }
        Ok(())
    }

    async fn freeze_one(&mut self, snapshot: &str, keep_running: bool) -> Result<()> {
        if self.machine.is_some() && keep_running {
            let (id, layer) = (self.id.clone(), snapshot.to_owned());
            let frozen = self
                .machine
                .as_ref()
                .map(Machine::freezer)
                .context("the host is running")?;
            self.site
                .blocking(move |site| frozen.during(|| site.disks.copy_upper(&id, &layer)))
                .await?;
            let mut layers = self.site.layers();
            self.site.disks.publish_copy(snapshot)?;
            layers.freeze(&self.id, snapshot, false);
            return Ok(());
        }
        self.stop().await?;
        // A folder among the layers that no stack names is garbage: both happen under the lock.
        let mut layers = self.site.layers();
        self.site.disks.freeze_by_move(&self.id, snapshot)?;
        layers.freeze(&self.id, snapshot, true);
        Ok(())
    }

    async fn note_end(&mut self, ended: Result<Ended>) {
        if let Some(machine) = self.machine.take() {
            let _ = machine.clean_up().await;
        }
        match ended {
            Ok(ended) => self.ended = Some(ended),
            Err(error) => {
                self.site.log.line(&format!("{}: {error:#}", self.id));
                self.ended = Some(Ended::PowerOff);
            }
        }
    }

    /// Waits until the present state has been visible for `least`.
    async fn visible_for(&self, least: Duration) {
        tokio::time::sleep(least.saturating_sub(self.since.elapsed())).await;
    }

    /// Whether the record took it.
    async fn announce(&self, state: State, reason_code: Option<&str>) -> Result<bool> {
        let reason = reason_code.map(|code| StateReason {
            code: code.to_owned(),
            message: "Instance initiated shutdown".to_owned(),
        });
        let control = self.site.hub.control();
        match control
            .set_instance_state(&self.id, state, reason.as_ref())
            .await
        {
            // The record has moved on meanwhile (a client terminated the instance, say), or nobody can be told: not the host's
            // fault. The next reading tells what to do.
            Err(
                error @ (ControlError::Conflict { .. }
                | ControlError::NotFound { .. }
                | ControlError::Unreachable { .. }),
            ) => {
                self.site.log.line(&format!(
                    "{}: could not be announced as {}: {error:#}",
                    self.id,
                    state.name()
                ));
                Ok(false)
            }
            other => Ok(other.map(|()| true)?),
        }
    }

    /// As on AWS, an instance that can't be started terminates and says why.
    async fn fail(&mut self, error: &anyhow::Error) {
        if let Err(error) = self.destroy().await {
            self.site
                .log
                .line(&format!("{}: could not be removed: {error:#}", self.id));
        }
        let reason = StateReason {
            code: "Server.InternalError".into(),
            message: format!("{error:#}"),
        };
        if let Err(error) = self
            .site
            .hub
            .control()
            .set_instance_state(&self.id, State::Terminated, Some(&reason))
            .await
        {
            self.site.log.line(&format!(
                "{}: could not say that it failed: {error:#}",
                self.id
            ));
        }
    }
}

async fn ended(machine: &mut Option<Machine>) -> Result<Ended> {
    match machine {
        Some(machine) => machine.ended().await,
        None => std::future::pending().await,
    }
}
