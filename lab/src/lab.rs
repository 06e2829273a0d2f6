//! A running lab: brings its parts up in the order in which they need each other, and takes all of it down again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::config::LabConfig;
use crate::disk::Disks;
use crate::egress::{Egress, PipIndex};
use crate::front_door::{CloudWatch, FrontDoor, Ledger};
use crate::host::Host;
use crate::hub::Hub;
use crate::layers::Layers;
use crate::log::Log;
use crate::metadata::{Metadata, Notices};
use crate::moto::{Moto, MotoOptions};
use crate::network::{Bridge, Subnet};
use crate::records::Control;
use crate::registry::{Entry, Registry, Up};
use crate::relay::Relay;
use crate::resolver::{Resolver, Zone};
use crate::site::{Gate, Site};
use crate::{base, control, preflight};

/// The front door's port on the bridge, for hosts.
const HOST_ENDPOINT_PORT: u16 = 4566;

/// A lab that runs inside this process, on threads of its own. Dropping it removes everything it made.
pub struct Lab {
    entry: Entry,
    up: Up,
    requests: Arc<Ledger>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Lab {
    /// Starts a lab with the default settings; returns when clients can use it. Needs root.
    ///
    /// # Errors
    /// When this machine lacks something (the message says what and how to get it), or a part does not come up.
    pub fn start() -> Result<Self> {
        Self::start_with(LabConfig::default(), |_| ())
    }

    /// Starts a lab; `say` is told what takes long (the base disk and moto's environment are made on first use).
    ///
    /// # Errors
    /// As [`Lab::start`].
    pub fn start_with(
        config: LabConfig,
        say: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self> {
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("lab".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()?;
                let result = runtime.block_on(run(
                    config,
                    &say,
                    |entry, up, requests| drop(ready.send((entry, up, requests))),
                    async {
                        // An error means that the handle is gone, which ends the lab as well.
                        let _ = stopped.await;
                    },
                ));
                // A look-up of a name that never answers is not waited for.
                runtime.shutdown_background();
                result
            })?;
        match started.recv() {
            Ok((entry, up, requests)) => Ok(Self {
                entry,
                up,
                requests,
                stop: Some(stop),
                thread: Some(thread),
            }),
            Err(_) => match thread.join() {
                Ok(result) => Err(result
                    .err()
                    .unwrap_or_else(|| anyhow::anyhow!("the lab ended while starting"))),
                Err(_) => anyhow::bail!("the lab panicked while starting"),
            },
        }
    }

    /// Name of the lab on this machine.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// Address of the front door, for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.up.endpoint
    }

    /// What the lab offers.
    #[must_use]
    pub fn up(&self) -> &Up {
        &self.up
    }

    /// The environment with which any AWS client uses this lab.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        self.up.env()
    }

    /// How many requests the front door has answered, by `service:Operation`.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.requests.counts()
    }

    /// Takes the lab down and reports what could not be removed (which dropping it can't).
    ///
    /// # Errors
    /// When something was left behind.
    pub fn down(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => anyhow::bail!(
                "the lab's thread panicked; remove what is left with `lab down --all`"
            ),
            None => Ok(()),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("lab `{}`: {error:#}", self.entry.name);
        }
    }
}

impl Up {
    /// The environment with which any AWS client uses this lab: the endpoint, a region, credentials that nobody checks,
    /// and no look-up of credentials on the network.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_REGION", &self.region),
            ("AWS_DEFAULT_REGION", &self.region),
            ("AWS_ACCESS_KEY_ID", "lab"),
            ("AWS_SECRET_ACCESS_KEY", "lab"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

/// Runs a lab until `stop` completes; calls `ready` once clients can use it. Removes everything before it returns, whatever happened.
pub(crate) async fn run(
    config: LabConfig,
    say: &(dyn Fn(&str) + Send + Sync),
    ready: impl FnOnce(Entry, Up, Arc<Ledger>),
    stop: impl Future<Output = ()>,
) -> Result<()> {
    preflight::check()?;
    let registry = Registry::open(&config.state_dir)?;
    let name = config.name.clone().unwrap_or_else(fresh_name);
    preflight::check_name(&name)?;
    // What takes minutes comes before the network is picked: until its bridge is there, nobody else can see that it is taken.
    let shared = shared(&config, say).await?;
    let (entry, subnet) = registry.enter(&name)?;
    let mut parts = JoinSet::new();
    let result = match bring_up(&config, shared, entry, subnet, &registry, say, &mut parts).await {
        Ok(mut running) => {
            ready(running.entry, running.up, running.requests);
            tokio::pin!(stop);
            tokio::select! {
                () = &mut stop => {}
                ended = running.moto.ended() => {
                    // Nothing can be asked of the lab any more, but its hosts and logs are there to be looked at.
                    running.site.log.line(&match ended {
                        Ok(status) => format!("moto ended by itself ({status}); moto.log says why, and only `lab down` is left"),
                        Err(error) => format!("moto cannot be waited for: {error}"),
                    });
                    stop.await;
                }
            }
            parts.shutdown().await;
            let site = running.site;
            tokio::task::spawn_blocking(move || site.gate.close()).await?;
            running.moto.stop().await;
            Ok(())
        }
        Err(error) => {
            parts.shutdown().await;
            Err(error)
        }
    };
    let removed = tokio::task::spawn_blocking(move || registry.remove(&name)).await?;
    result.and(removed)
}

/// A lab whose parts are up.
struct Running {
    entry: Entry,
    up: Up,
    requests: Arc<Ledger>,
    moto: Moto,
    site: Arc<Site>,
}

async fn bring_up(
    config: &LabConfig,
    (base, pip): (base::Base, PipIndex),
    mut entry: Entry,
    subnet: Subnet,
    registry: &Registry,
    say: &(dyn Fn(&str) + Send + Sync),
    parts: &mut JoinSet<()>,
) -> Result<Running> {
    let dir = registry.lab_dir(&entry.name);
    let log = Log::open(&dir.join("lab.log"))?;
    let region = config
        .regions
        .first()
        .context("a lab needs at least one region")?
        .clone();
    let gateway = subnet.gateway();
    let bridge = Bridge::create(&entry.name, subnet)?;
    let disks = Disks::new(&base.root, &dir)?;
    let moto = Moto::start(
        &MotoOptions {
            cache_dir: config.cache_dir.clone(),
            log: dir.join("moto.log"),
            vpc_cidr: subnet.cidr(),
            hosts_dir: disks.hosts_dir().to_owned(),
            region: region.clone(),
        },
        say,
    )
    .await?;

    let sources = fs::read_to_string(base.root.join("etc/apt/sources.list")).unwrap_or_default();
    let egress = Arc::new(Egress::of_this_machine(&sources, &pip, &config.allow_hosts));
    let up = Up {
        endpoint: String::new(),
        host_endpoint: format!("http://{gateway}:{HOST_ENDPOINT_PORT}"),
        metadata: format!("http://{gateway}:{}", crate::metadata::PORT),
        region,
        base_suite: base.suite.clone(),
        base_mirror: base.mirror.clone(),
        reachable: egress.names(),
    };
    let bound = dir.join("bound");
    write_bound_files(&bound, gateway, &up)?;

    let wake = Arc::new(Notify::new());
    let hub = Arc::new(Hub::new(Control::new(moto.address()), wake.clone()));
    let notices = Arc::new(Notices::default());
    let site = Arc::new(Site {
        lab: entry.name.clone(),
        hub: hub.clone(),
        disks,
        layers: Mutex::new(Layers::default()),
        bridge,
        timing: config.timing.clone(),
        bound,
        metadata_url: up.metadata.clone(),
        log: log.clone(),
        pids: Mutex::new(BTreeMap::new()),
        gate: Gate::default(),
    });

    parts.spawn(
        Resolver::bind(Zone {
            gateway,
            egress: egress.clone(),
        })
        .await?
        .serve(),
    );
    for port in [80, 443] {
        parts.spawn(Relay::bind(gateway, port, egress.clone()).await?.serve());
    }
    parts.spawn(
        Metadata::bind(gateway, hub.clone(), notices.clone())
            .await?
            .serve(),
    );
    parts.spawn({
        let (hub, log) = (hub.clone(), log.clone());
        async move { hub.run(|text| log.line(text)).await }
    });
    parts.spawn(keep_hosts(site.clone()));

    let local = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))
        .await
        .with_context(|| {
            format!(
                "could not listen on 127.0.0.1:{}; choose another port with `lab up --port`",
                config.port
            )
        })?;
    let up = Up {
        endpoint: format!("http://{}", local.local_addr()?),
        ..up
    };
    let on_bridge = TcpListener::bind((gateway, HOST_ENDPOINT_PORT))
        .await
        .with_context(|| format!("could not listen on {gateway}:{HOST_ENDPOINT_PORT}"))?;
    let requests = Arc::new(Ledger::create(&dir.join("requests.jsonl"))?);
    let door = FrontDoor {
        upstream: moto.address(),
        cloudwatch: CloudWatch::default(),
        ledger: requests.clone(),
        on_change: wake,
    };
    parts.spawn(door.serve(vec![local, on_bridge], std::future::pending()));
    let control = control::Server::bind(
        &dir.join("control.sock"),
        site.clone(),
        notices,
        requests.clone(),
    )?;
    parts.spawn(control.serve());

    entry.up = Some(up.clone());
    registry.write(&entry)?;
    Ok(Running {
        entry,
        up,
        requests,
        moto,
        site,
    })
}

/// Makes what all labs share, and no lab.
pub(crate) fn prepare(
    config: &LabConfig,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<base::Base> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(shared(config, say))?.0)
}

/// What all labs share: the base disk, and (by way of moto's environment) what pip knows.
async fn shared(
    config: &LabConfig,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<(base::Base, PipIndex)> {
    let environment = Moto::prepare(&config.cache_dir, say).await?;
    let pip = PipIndex::of(&environment.program("python"))?;
    let base = base::prepare(&config.cache_dir, &config.base, &pip.index_url, say)?;
    Ok((base, pip))
}

/// Files that are bound into hosts, so that an image baked here holds nothing of the lab.
fn write_bound_files(dir: &std::path::Path, gateway: Ipv4Addr, up: &Up) -> Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(
        dir.join("resolv.conf"),
        format!("nameserver {gateway}\nsearch ec2.internal\n"),
    )?;
    fs::write(
        dir.join("hypervisor-uuid"),
        "ec2ab000-0000-4000-8000-000000000000\n",
    )?;
    let environment = [
        ("AWS_ENDPOINT_URL", &up.host_endpoint),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &up.metadata),
    ];
    let words: Vec<String> = environment
        .iter()
        .map(|(name, value)| format!("\"{name}={value}\""))
        .collect();
    fs::write(
        dir.join("endpoints.conf"),
        format!("[Manager]\nDefaultEnvironment={}\n", words.join(" ")),
    )?;
    Ok(())
}

/// Gives every instance a keeper, completes copies of snapshots, and removes layers that nothing stands on.
async fn keep_hosts(site: Arc<Site>) {
    let mut readings = site.hub.subscribe();
    let mut kept = BTreeSet::new();
    let mut copied = BTreeSet::new();
    let mut keepers = JoinSet::new();
    loop {
        let records = readings.borrow_and_update().records.clone();
        for instance in &records.instances {
            if instance.state != crate::records::InstanceState::Terminated
                && kept.insert(instance.id.clone())
            {
                keepers.spawn(Host::new(&instance.id, site.clone()).keep());
            }
        }
        for snapshot in &records.snapshots {
            if let Some(source) = &snapshot.source_snapshot_id
                && snapshot.state == "pending"
                && copied.insert(snapshot.id.clone())
            {
                site.copy_snapshot(snapshot, source);
            }
        }
        while keepers.try_join_next().is_some() {}
        if let Err(error) = site.blocking(Site::sweep_layers).await {
            site.log.line(&format!("could not free a layer: {error:#}"));
        }
        if readings.changed().await.is_err() {
            return;
        }
    }
}

fn fresh_name() -> String {
    format!("lab-{:08x}", rand::random::<u32>())
}
