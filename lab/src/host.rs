//! One host's life: carries out, one after another, what [`crate::reconcile`] decides for its instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::cgroup::Cgroup;
use crate::config::Timing;
use crate::disk::Disks;
use crate::hub::Hub;
use crate::layers::Layers;
use crate::log::Log;
use crate::machine::{Boot, Ended, Machine};
use crate::network::{Bridge, HostNetwork, parse_address};
use crate::reconcile::{Action, Found, Wanted, decide};
use crate::records::{
    ControlError, Instance, InstanceState as State, Records, Snapshot, StateReason,
};

/// What all hosts of a lab share.
pub(crate) struct Site {
    pub(crate) lab: String,
    pub(crate) hub: Arc<Hub>,
    pub(crate) disks: Disks,
    pub(crate) layers: Mutex<Layers>,
    pub(crate) bridge: Bridge,
    pub(crate) timing: Timing,
    /// Folder of the files that are bound into every host.
    pub(crate) bound: std::path::PathBuf,
    pub(crate) metadata_url: String,
    pub(crate) log: Log,
    /// systemd-nspawn's pid for each running host.
    pub(crate) pids: Mutex<BTreeMap<String, i32>>,
    /// Closed when the lab goes down: disk work that is under way is waited for, none begins after.
    pub(crate) gate: Gate,
}

/// Lets blocking work in until it is closed.
#[derive(Debug, Default)]
pub(crate) struct Gate(RwLock<bool>);

impl Gate {
    /// Waits for the work that is inside; lets no more in.
    pub(crate) fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = true;
    }

    fn enter(&self) -> Result<RwLockReadGuard<'_, bool>> {
        let closed = self.0.read().unwrap_or_else(PoisonError::into_inner);
        anyhow::ensure!(!*closed, "the lab is going down");
        Ok(closed)
    }
}

impl Site {
    pub(crate) fn layers(&self) -> std::sync::MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does blocking work away from the threads that answer requests.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let site = self.clone();
        tokio::task::spawn_blocking(move || {
            let _inside = site.gate.enter()?;
            work(&site)
        })
        .await?
    }

    /// Pid of a running host's process 1 on this machine.
    pub(crate) fn leader(&self, id: &str) -> Option<i32> {
        crate::machine::leader_of(*self.pids().get(id)?)
    }

    fn pids(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, i32>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes layers that nothing stands on any more.
    pub(crate) fn sweep_layers(&self) -> Result<()> {
        // Under the lock, so that no reading older than a freeze is used.
        let mut layers = self.layers();
        let records = self.hub.records();
        if records.images.is_empty() && records.snapshots.is_empty() {
            return Ok(());
        }
        let existing = records
            .snapshots
            .iter()
            .map(|snapshot| snapshot.id.clone())
            .collect();
        for layer in layers.garbage(&existing, &self.disks.layers()?) {
            self.disks.remove_layer(&layer)?;
        }
        Ok(())
    }

    /// systemd-nspawn's name for a host: unique on this machine, since instance ids repeat in no lab but lab names differ.
    pub(crate) fn machine_name(lab: &str, id: &str) -> String {
        format!("{lab}-{id}")
    }

    /// Where a host's console output goes.
    pub(crate) fn console(&self, id: &str) -> std::path::PathBuf {
        self.disks.host_dir(id).join("console.log")
    }
}

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

impl Site {
    /// Disk and network of a host, ready to boot.
    fn prepare(&self, instance: &Instance, stack: &[String]) -> Result<Boot> {
        let id = &instance.id;
        let start = Instant::now();
        self.disks.unmount(id)?;
        let root = self.disks.mount(id, stack)?;
        let disk = start.elapsed();
        let missing = |what: &str| format!("the instance has no {what}");
        let address = parse_address(
            instance
                .private_ip
                .as_deref()
                .with_context(|| missing("private address"))?,
        )?;
        let vpc = instance
            .vpc_cidr
            .as_deref()
            .with_context(|| missing("VPC"))?;
        let mac = instance
            .mac
            .as_deref()
            .with_context(|| missing("network card"))?;
        let network = self.bridge.attach(id, address, vpc, mac)?;
        let network_work = start.elapsed() - disk;
        self.log.line(&format!(
            "{id}: booting from {} on {} layers (disk {:.1} ms, network {:.1} ms)",
            instance.image_id,
            stack.len(),
            disk.as_secs_f64() * 1e3,
            network_work.as_secs_f64() * 1e3
        ));
        Ok(Boot {
            name: Self::machine_name(&self.lab, id),
            root,
            network: network.path(),
            console: self.console(id),
            resolv_conf: self.bound.join("resolv.conf"),
            system_conf: self.bound.join("endpoints.conf"),
            hypervisor_uuid: self.bound.join("hypervisor-uuid"),
            metadata_url: self.metadata_url.clone(),
        })
    }

    fn stack_for(&self, instance: &Instance, records: &Records) -> Result<Vec<String>> {
        let mut layers = self.layers();
        if let Some(stack) = layers.host(&instance.id) {
            return Ok(stack.clone());
        }
        let snapshot = instance.root_snapshot_id.as_deref().unwrap_or_default();
        let made_here = records
            .snapshots
            .iter()
            .any(|one| one.id == snapshot && one.instance_id.is_some());
        anyhow::ensure!(
            !made_here || layers.knows(snapshot),
            "the image's snapshot {snapshot} was never completed"
        );
        Ok(layers.launch(&instance.id, snapshot))
    }

    /// A copy stands on the layers of its source, which are kept for as long as either needs them.
    pub(crate) fn copy_snapshot(self: &Arc<Self>, copy: &Snapshot, source: &str) {
        self.layers().copy(&copy.id, source);
        self.finish_snapshot(copy, self.timing.image_pending(), Ok(()));
    }

    /// Announces a snapshot, and the image that waits for it, after the time that `pending` stays visible.
    fn finish_snapshot(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        pending: Duration,
        result: Result<()>,
    ) {
        let (site, snapshot) = (self.clone(), snapshot.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pending).await;
            if let Err(error) = &result {
                site.log.line(&format!("{}: {error:#}", snapshot.id));
            }
            if let Err(error) = site
                .announce_snapshot(&snapshot, result.err().map(|error| format!("{error:#}")))
                .await
            {
                site.log
                    .line(&format!("could not announce {}: {error:#}", snapshot.id));
            }
            site.hub.refreshed().await;
        });
    }

    async fn announce_snapshot(&self, snapshot: &Snapshot, failure: Option<String>) -> Result<()> {
        let control = self.hub.control();
        control
            .set_snapshot_completed(&snapshot.id, failure.is_none())
            .await?;
        match (&snapshot.image_id, failure) {
            (Some(image), None) => control.set_image_available(image).await?,
            (Some(image), Some(reason)) => control.set_image_failed(image, &reason).await?,
            (None, _) => {}
        }
        Ok(())
    }
}

async fn ended(machine: &mut Option<Machine>) -> Result<Ended> {
    match machine {
        Some(machine) => machine.ended().await,
        None => std::future::pending().await,
    }
}
