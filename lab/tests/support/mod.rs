//! What the lab's tests share: clients, waits on conditions, and SSH into a host with a key of the test's own.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test file uses its own part"
)]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    HttpTokensState, InstanceMetadataOptionsRequest, InstanceMetadataTagsState, InstanceType,
    ShutdownBehavior,
};
use lab::Lab;

/// Nothing in the lab takes this long; a wait that does has found a fault.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// The SDK as an application would configure it, pointed at the lab by its environment's values.
pub(crate) async fn sdk(endpoint: &str) -> aws_config::SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(aws_config::Region::from_static("us-east-1"))
        .credentials_provider(aws_sdk_ec2::config::Credentials::for_tests())
        .load()
        .await
}

/// Says what was waited for, when the wait has failed.
pub(crate) trait What {
    fn say(&self) -> String;
}

impl What for &str {
    fn say(&self) -> String {
        (*self).to_owned()
    }
}

impl What for &String {
    fn say(&self) -> String {
        (*self).clone()
    }
}

impl<F: Fn() -> String> What for F {
    fn say(&self) -> String {
        self()
    }
}

/// Awaits a condition by asking again and again, bounded.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: impl What,
    mut ask: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(
            start.elapsed() < WAIT_LIMIT,
            "{}: not within {WAIT_LIMIT:?}",
            what.say()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A client, and the key that its hosts let in.
pub(crate) struct Rig {
    pub(crate) ec2: Client,
    key: PathBuf,
    lab_dir: Option<PathBuf>,
    _dir: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn new(lab: &Lab) -> Self {
        Self {
            lab_dir: Some(lab::LabConfig::default().state_dir.join(lab.name())),
            ..Self::at(lab.endpoint()).await
        }
    }

    /// For a lab that runs in another process.
    pub(crate) async fn at(endpoint: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status()
            .unwrap();
        assert!(made.success());
        let ec2 = Client::new(&sdk(endpoint).await);
        let public = std::fs::read(key.with_extension("pub")).unwrap();
        ec2.import_key_pair()
            .key_name("test")
            .public_key_material(public.into())
            .send()
            .await
            .unwrap();
        Self {
            ec2,
            key,
            lab_dir: None,
            _dir: dir,
        }
    }

    /// The newest Ubuntu 18.04 image of the catalog.
    pub(crate) async fn ubuntu(&self) -> String {
        let images = self
            .ec2
            .describe_images()
            .owners("099720109477")
            .send()
            .await
            .unwrap();
        images
            .images()
            .first()
            .unwrap()
            .image_id()
            .unwrap()
            .to_owned()
    }

    /// Starts one instance; returns its id.
    pub(crate) async fn launch(
        &self,
        image: &str,
        user_data: &str,
        on_power_off: ShutdownBehavior,
    ) -> String {
        let options = InstanceMetadataOptionsRequest::builder()
            .http_tokens(HttpTokensState::Required)
            .instance_metadata_tags(InstanceMetadataTagsState::Enabled);
        let run = self
            .ec2
            .run_instances()
            .image_id(image)
            .instance_type(InstanceType::T3Medium)
            .key_name("test")
            .min_count(1)
            .max_count(1)
            .metadata_options(options.build())
            .instance_initiated_shutdown_behavior(on_power_off)
            .user_data(base64::Engine::encode(
                &base64::engine::general_purpose::STANDARD,
                user_data,
            ));
        run.send().await.unwrap().instances()[0]
            .instance_id()
            .unwrap()
            .to_owned()
    }

    async fn describe(&self, id: &str) -> aws_sdk_ec2::types::Instance {
        let found = self
            .ec2
            .describe_instances()
            .instance_ids(id)
            .send()
            .await
            .unwrap();
        found.reservations()[0].instances()[0].clone()
    }

    pub(crate) async fn state(&self, id: &str) -> String {
        let instance = self.describe(id).await;
        instance
            .state()
            .unwrap()
            .name()
            .unwrap()
            .as_str()
            .to_owned()
    }

    pub(crate) async fn address(&self, id: &str) -> String {
        self.describe(id)
            .await
            .private_ip_address()
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn until_state(&self, id: &str, wanted: &str) {
        until(
            || format!("{id} {wanted}"),
            || async { (self.state(id).await == wanted).then_some(()) },
        )
        .await;
    }

    pub(crate) async fn until_image(&self, id: &str, wanted: &str) {
        until(
            || format!("{id} {wanted}"),
            || async {
                let found = self.ec2.describe_images().image_ids(id).send().await.ok()?;
                (found.images().first()?.state()?.as_str() == wanted).then_some(())
            },
        )
        .await;
    }

    /// Runs a command in the host over SSH as `ubuntu`, as soon as SSH lets us in; panics if it fails.
    pub(crate) async fn ssh(&self, id: &str, command: &str) -> String {
        let address = self.address(id).await;
        let what = || {
            let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
            let lab_dir = self.lab_dir.clone().unwrap_or_default();
            let console = read(lab_dir.join("hosts").join(id).join("console.log"));
            let last =
                String::from_utf8_lossy(&self.try_ssh(&address, command).stderr).into_owned();
            format!(
                "SSH to {id} ({address}): {last}\nlab.log: {}\nconsole: {console}",
                read(lab_dir.join("lab.log"))
            )
        };
        let output = until(what, || async {
            let output = self.try_ssh(&address, command);
            // 255 is ssh's own failure: not up yet.
            (output.status.code() != Some(255)).then_some(output)
        })
        .await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "`{command}` failed: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said.trim_end().to_owned()
    }

    pub(crate) fn try_ssh(&self, address: &str, command: &str) -> Output {
        Command::new("ssh")
            .args([
                "-o",
                "BatchMode=yes",
                "-o",
                "ConnectTimeout=2",
                "-o",
                "StrictHostKeyChecking=no",
            ])
            .args([
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "LogLevel=ERROR",
                "-i",
            ])
            .arg(&self.key)
            .arg(format!("ubuntu@{address}"))
            .arg(command)
            .output()
            .unwrap()
    }
}
