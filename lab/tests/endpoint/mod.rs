//! The lab's AWS endpoint without hosts: moto and the front door, and the clients that the tests drive it with.
#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test binary uses another part of it"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use lab::front_door::{CloudWatch, FrontDoor, Ledger};
use lab::moto::{Moto, MotoOptions};
use lab::records::{Control, InstanceState, Records};
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::python_clients::{Clients, cache_dir};

pub(crate) const REGION: &str = "us-east-1";

/// A moto with a front door. No host boots: [`Endpoint::settle`] reports instead of them.
pub(crate) struct Endpoint {
    pub(crate) control: Control,
    pub(crate) on_change: Arc<Notify>,
    ledger: Arc<Ledger>,
    address: SocketAddr,
    clients: Clients,
    _moto: Moto,
    _door: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = MotoOptions {
            cache_dir: cache_dir(),
            log: folder.path().join("moto.log"),
            vpc_cidr: "10.77.0.0/16".into(),
            hosts_dir: folder.path().join("hosts"),
            region: REGION.into(),
        };
        let moto = Moto::start(&options, &|line| eprintln!("{line}"))
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let env = [
            ("AWS_ENDPOINT_URL", &*format!("http://{address}")),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", REGION),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let clients = Clients::start(&env).await;
        let ledger = Arc::new(Ledger::create(&folder.path().join("requests.jsonl")).unwrap());
        let on_change = Arc::new(Notify::new());
        let door = FrontDoor {
            upstream: moto.address(),
            cloudwatch: CloudWatch::default(),
            ledger: Arc::clone(&ledger),
            on_change: Arc::clone(&on_change),
        };
        Self {
            control: Control::new(moto.address()),
            on_change,
            ledger,
            address,
            clients,
            _moto: moto,
            _door: tokio::spawn(door.serve(vec![listener], std::future::pending())),
            _folder: folder,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        self.ledger.counts()
    }

    /// What the AWS CLI prints, or its error.
    pub(crate) async fn aws(&self, arguments: &[&str]) -> Result<Json, String> {
        self.clients.aws(arguments).await
    }

    /// What a script prints; see [`Clients::boto3`].
    pub(crate) async fn boto3(&self, script: &str) -> Json {
        self.clients.boto3(script).await
    }

    pub(crate) async fn records(&self) -> Records {
        self.control.records().await.unwrap()
    }

    /// Completes every transition under way, as hosts do.
    pub(crate) async fn settle(&self) {
        let records = self.records().await;
        for instance in &records.instances {
            let next = match instance.state {
                InstanceState::Pending => InstanceState::Running,
                InstanceState::Stopping => InstanceState::Stopped,
                InstanceState::ShuttingDown => InstanceState::Terminated,
                InstanceState::Running | InstanceState::Stopped | InstanceState::Terminated => {
                    continue;
                }
            };
            self.control
                .set_instance_state(&instance.id, next, None)
                .await
                .unwrap();
        }
        for image in records
            .images
            .iter()
            .filter(|image| image.state == "pending")
        {
            self.control.set_image_available(&image.id).await.unwrap();
        }
        for snapshot in records
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.state == "pending")
        {
            self.control
                .set_snapshot_completed(&snapshot.id, true)
                .await
                .unwrap();
        }
    }
}
