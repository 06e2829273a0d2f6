//! What all hosts of a lab share: where their disks lie, which layers stand on which, and how what happens to them is announced.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::config::Timing;
use crate::disk::Disks;
use crate::hub::Hub;
use crate::layers::Layers;
use crate::log::Log;
use crate::machine::Boot;
use crate::network::{Bridge, parse_address};
use crate::records::{Instance, Records, Snapshot};

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

    pub(crate) fn pids(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, i32>> {
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

    /// Disk and network of a host, ready to boot.
    pub(crate) fn prepare(&self, instance: &Instance, stack: &[String]) -> Result<Boot> {
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

    pub(crate) fn stack_for(&self, instance: &Instance, records: &Records) -> Result<Vec<String>> {
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
    pub(crate) fn finish_snapshot(
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
