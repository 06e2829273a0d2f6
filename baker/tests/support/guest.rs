//! An instance booted from an image, as a user of the image would: with keys of its own, looked at over SSH.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test file uses its own part"
)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::{IamInstanceProfileSpecification, InstanceStateName, InstanceType};
use baker::events::Events;
use baker::keys::KeyPair;
use baker::plan::user_data::{self, Inputs};
use baker::remote::{Command, ExitStatus, Host, HostError, Stdin};
use baker::ssh::{Ssh, Target};
use base64::Engine;

use super::bakery::{Bakery, state, until};

const SOON: Duration = Duration::from_secs(60);
/// A guest ends by itself after this, whatever becomes of the test.
const LIFETIME: Duration = Duration::from_secs(900);

/// A running instance.
pub(crate) struct Guest {
    /// Its private address, which this machine can reach.
    pub(crate) address: IpAddr,
    /// `i-…`.
    pub(crate) id: String,
    user_key: Arc<KeyPair>,
    host_key: Vec<u8>,
    ssh: Ssh,
}

impl Guest {
    /// Launches the image and waits until the instance lets its user in.
    pub(crate) async fn boot(bakery: &Bakery, image_id: &str) -> Guest {
        Guest::boot_as(bakery, image_id, None).await
    }

    /// The same, with an instance profile.
    pub(crate) async fn boot_as(bakery: &Bakery, image_id: &str, profile: Option<&str>) -> Guest {
        Guest::boot_for(bakery, image_id, profile, LIFETIME).await
    }

    /// The same, for a test that takes longer than others.
    pub(crate) async fn boot_for(
        bakery: &Bakery,
        image_id: &str,
        profile: Option<&str>,
        lifetime: Duration,
    ) -> Guest {
        let profile = profile.map(|name| {
            IamInstanceProfileSpecification::builder()
                .name(name)
                .build()
        });
        let host_key = KeyPair::generate("host").unwrap();
        let user_key = Arc::new(KeyPair::generate("user").unwrap());
        let user_data = user_data::render(&Inputs {
            user: "ubuntu",
            authorized_key: user_key.public_openssh(),
            host_private_key: host_key.private_openssh(),
            host_public_key: host_key.public_openssh(),
            power_off_after: lifetime,
            hold_agent_back: false,
        });
        let launched = bakery
            .ec2
            .run_instances()
            .image_id(image_id)
            .instance_type(InstanceType::T3Micro)
            .min_count(1)
            .max_count(1)
            .set_iam_instance_profile(profile)
            .user_data(base64::engine::general_purpose::STANDARD.encode(user_data.expose()))
            .send()
            .await
            .unwrap();
        let id = launched.instances()[0].instance_id().unwrap().to_owned();
        let address = until("the instance to run", || async {
            let instances = bakery.instances().await;
            let found = instances
                .iter()
                .find(|instance| instance.instance_id() == Some(&id))?;
            (state(found) == InstanceStateName::Running)
                .then(|| found.private_ip_address().unwrap().parse().unwrap())
        })
        .await;
        let host_key = host_key.public_blob().to_vec();
        let ssh = connect(address, &user_key, &host_key).await;
        Guest {
            address,
            id,
            user_key,
            host_key,
            ssh,
        }
    }

    /// Connects anew, after a reboot or where the network was cut.
    pub(crate) async fn reconnect(&mut self) {
        self.ssh = connect(self.address, &self.user_key, &self.host_key).await;
    }

    /// What a command prints on the host; it must succeed.
    pub(crate) async fn ask(&self, line: &str) -> String {
        let (status, said) = self.run(line).await.unwrap();
        assert_eq!(status, ExitStatus::Code(0), "{line}: {said}");
        said
    }

    /// The same, if the host answers and the command succeeds.
    pub(crate) async fn try_ask(&self, line: &str) -> Option<String> {
        let (status, said) = self.run(line).await.ok()?;
        (status == ExitStatus::Code(0)).then_some(said)
    }

    async fn run(&self, line: &str) -> Result<(ExitStatus, String), HostError> {
        let mut lines = Vec::new();
        let command = Command {
            line: line.into(),
            stdin: Stdin::Empty,
            timeout: SOON,
        };
        let status = self
            .ssh
            .run(command, &mut |line| lines.push(line.text))
            .await?;
        Ok((status, lines.join("\n")))
    }
}

async fn connect(address: IpAddr, user_key: &Arc<KeyPair>, host_key: &[u8]) -> Ssh {
    let target = Target {
        address: SocketAddr::new(address, 22),
        user: "ubuntu".into(),
        user_key: Arc::clone(user_key),
        host_key: host_key.to_vec(),
    };
    Ssh::connect(target, SOON, &Events::discard())
        .await
        .unwrap()
}
