//! The lab's AWS endpoint without hosts: moto and the front door, and the clients that the tests drive it with.
#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test binary uses another part of it"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use lab::front_door::{FrontDoor, Ledger};
use lab::moto::{Moto, MotoOptions};
use lab::python::Environment;
use lab::records::{Control, InstanceState, Records};
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// AWS CLI and boto3, as tests/requirements.in asks for them.
const CLIENTS: &str = include_str!("../requirements.txt");
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const UBUNTU: &str =
    "/aws/service/canonical/ubuntu/server/18.04/stable/current/amd64/hvm/ebs-gp2/ami-id";

/// A moto with a front door. No host boots: [`Endpoint::settle`] reports instead of them.
pub(crate) struct Endpoint {
    pub(crate) control: Control,
    pub(crate) on_change: Arc<Notify>,
    ledger: Arc<Ledger>,
    address: SocketAddr,
    clients: Environment,
    _moto: Moto,
    _door: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clients = Environment::prepare(&cache_dir(), "clients", CLIENTS, &|line| {
            eprintln!("{line}")
        })
        .await
        .unwrap();
        let options = MotoOptions {
            cache_dir: cache_dir(),
            log: folder.path().join("moto.log"),
            vpc_cidr: "10.77.0.0/16".into(),
            region: REGION.into(),
        };
        let moto = Moto::start(&options, &|line| eprintln!("{line}"))
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Arc::new(Ledger::create(&folder.path().join("requests.jsonl")).unwrap());
        let on_change = Arc::new(Notify::new());
        let door = FrontDoor {
            upstream: moto.address(),
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

    /// All that a client needs.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_DEFAULT_REGION", REGION.into()),
        ]
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        self.ledger.counts()
    }

    /// What the AWS CLI prints, or its error.
    pub(crate) async fn aws(&self, arguments: &[&str]) -> Result<Json, String> {
        // The program `aws` is a script; its interpreter is named so that the environment may be moved.
        let mut arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        arguments.splice(
            0..0,
            [
                self.clients.program("aws").into(),
                "--output".into(),
                "json".into(),
            ],
        );
        self.python(arguments).await
    }

    /// What a script prints as JSON, with `boto3`, `json`, `ec2` (a client) and `code(call, **arguments)` (the code of
    /// the error that the call answers) at hand; or its error.
    pub(crate) async fn boto3(&self, script: &str) -> Json {
        let script = format!(
            "import boto3, json, sys\nfrom botocore.exceptions import ClientError\nec2 = boto3.client('ec2')\n\
             def code(call, **arguments):\n    try:\n        call(**arguments)\n    \
             except ClientError as error:\n        return error.response['Error']['Code']\n\
             def show(value):\n    print(json.dumps(value, default=str))\n{script}"
        );
        self.python(vec!["-c".into(), script.into()]).await.unwrap()
    }

    async fn python(&self, arguments: Vec<OsString>) -> Result<Json, String> {
        let output = Command::new(self.clients.program("python"))
            .args(arguments)
            .env_clear()
            .envs(self.env())
            .env("HOME", "/nonexistent")
            .output()
            .await
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        if stdout.trim().is_empty() {
            return Ok(Json::Null);
        }
        Ok(serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {stdout}")))
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

/// Where virtual environments are kept between test runs: the lab's own cache.
fn cache_dir() -> PathBuf {
    std::env::var_os("LAB_CACHE_DIR").map_or_else(|| "/var/cache/baker-lab".into(), Into::into)
}
