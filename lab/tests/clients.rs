//! AWS's own clients against a whole lab, with nothing but its address, a region and dummy credentials.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod python_clients;
mod support;

use lab::Lab;
use python_clients::{Clients, UBUNTU};
use serde_json::{Value as Json, json};
use support::until;

/// The four variables that any client needs, and no more.
fn least_env(lab: &Lab) -> Vec<(String, String)> {
    let needed = [
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
    ];
    let env: Vec<_> = lab
        .env()
        .into_iter()
        .filter(|(name, _)| needed.contains(&&**name))
        .collect();
    assert_eq!(env.len(), needed.len(), "{env:?}");
    env
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The AWS CLI, told of one lab.
struct Cli(Clients);

impl Cli {
    async fn ec2(&self, arguments: &[&str]) -> Json {
        let arguments = [&["ec2"], arguments].concat();
        self.0.aws(&arguments).await.unwrap()
    }

    async fn run(&self, image: &str) -> String {
        let run = [
            "run-instances",
            "--instance-type",
            "t3.micro",
            "--image-id",
            image,
        ];
        text(&self.ec2(&run).await["Instances"][0]["InstanceId"]).to_owned()
    }

    async fn until_instance(&self, id: &str, state: &str) {
        until(
            || format!("{id} {state}"),
            || async {
                let described = self
                    .ec2(&["describe-instances", "--instance-ids", id])
                    .await;
                let now = described["Reservations"][0]["Instances"][0]["State"]["Name"].clone();
                (now == state).then_some(())
            },
        )
        .await;
    }

    /// Waits until the image can be used; returns its root snapshot.
    async fn until_available(&self, image: &str) -> String {
        until(
            || format!("{image} available"),
            || async {
                let described = self.ec2(&["describe-images", "--image-ids", image]).await;
                let image = &described["Images"][0];
                (image["State"] == "available")
                    .then(|| text(&image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]).to_owned())
            },
        )
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_makes_copies_and_boots_images() {
    let lab = Lab::start().unwrap();
    let cli = Cli(Clients::start(&least_env(&lab)).await);
    let parameter = cli
        .0
        .aws(&["ssm", "get-parameter", "--name", UBUNTU])
        .await
        .unwrap();
    let source = cli.run(text(&parameter["Parameter"]["Value"])).await;
    cli.until_instance(&source, "running").await;

    let create = [
        "create-image",
        "--no-reboot",
        "--name",
        "from-cli",
        "--instance-id",
        &source,
    ];
    let image = text(&cli.ec2(&create).await["ImageId"]).to_owned();
    let snapshot = cli.until_available(&image).await;
    let copy = [
        "copy-image",
        "--name",
        "copy",
        "--source-image-id",
        &image,
        "--source-region",
        &lab.up().region,
    ];
    let copy = text(&cli.ec2(&copy).await["ImageId"]).to_owned();
    let copied = cli.until_available(&copy).await;
    assert_ne!(copied, snapshot);

    // The copy stands alone: its original may go.
    cli.ec2(&["deregister-image", "--image-id", &image]).await;
    cli.ec2(&["delete-snapshot", "--snapshot-id", &snapshot])
        .await;
    let booted = cli.run(&copy).await;
    cli.until_instance(&booted, "running").await;

    cli.ec2(&["terminate-instances", "--instance-ids", &source, &booted])
        .await;
    cli.until_instance(&source, "terminated").await;
    cli.until_instance(&booted, "terminated").await;
    let requests = lab.requests();
    assert_eq!(
        (
            requests["ec2:RunInstances"],
            requests["ec2:CopyImage"],
            requests["ssm:GetParameter"]
        ),
        (2, 1, 1)
    );
    lab.down().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_the_boot_and_the_keys_of_the_host_and_stays_after_a_reboot() {
    let lab = Lab::start().unwrap();
    let cli = Cli(Clients::start(&least_env(&lab)).await);
    let parameter = cli
        .0
        .aws(&["ssm", "get-parameter", "--name", UBUNTU])
        .await
        .unwrap();
    let id = cli.run(text(&parameter["Parameter"]["Value"])).await;
    let console = || async {
        let answer = cli
            .ec2(&["get-console-output", "--latest", "--instance-id", &id])
            .await;
        assert_eq!(answer["InstanceId"], id.as_str());
        // The CLI decodes it.
        answer["Output"].as_str().unwrap_or_default().to_owned()
    };
    let finished = |times: usize| {
        until(
            move || format!("the end of boot {times} on the console"),
            move || async move {
                let said = console().await;
                let ends = said.lines().filter(|line| {
                    line.contains("Cloud-init v. ") && line.contains(" finished at ")
                });
                (ends.count() == times).then_some(said)
            },
        )
    };

    let first = finished(1).await;
    for sign in [
        "Welcome to ",
        "Started OpenBSD Secure Shell server",
        "-----BEGIN SSH HOST KEY FINGERPRINTS-----",
        "(ED25519)",
        "-----END SSH HOST KEY KEYS-----",
    ] {
        assert!(first.contains(sign), "no `{sign}` in:\n{first}");
    }

    cli.until_instance(&id, "running").await;
    cli.ec2(&["reboot-instances", "--instance-ids", &id]).await;
    let second = finished(2).await;
    assert!(second.starts_with(&first[..first.find(" finished at ").unwrap()]));
    lab.down().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_powers_itself_off_shows_in_boto3_as_it_does_on_aws() {
    let lab = Lab::start().unwrap();
    let clients = Clients::start(&least_env(&lab)).await;
    let ends = clients
        .boto3(&format!(
                "import time\n\
                 image = boto3.client('ssm').get_parameter(Name='{UBUNTU}')['Parameter']['Value']\n\
                 def launch(behaviour):\n    \
                 return ec2.run_instances(ImageId=image, InstanceType='t3.micro', MinCount=1, MaxCount=1,\n        \
                 InstanceInitiatedShutdownBehavior=behaviour,\n        \
                 UserData='#cloud-config\\nruncmd: [[systemctl, poweroff]]\\n')['Instances'][0]['InstanceId']\n\
                 def end(id):\n    \
                 deadline = time.monotonic() + 60\n    \
                 while time.monotonic() < deadline:\n        \
                 instance = ec2.describe_instances(InstanceIds=[id])['Reservations'][0]['Instances'][0]\n        \
                 if instance['State']['Name'] in ('stopped', 'terminated'):\n            break\n        \
                 time.sleep(0.2)\n    \
                 return [instance['State']['Name'], instance.get('StateReason')]\n\
                 ids = [launch('stop'), launch('terminate')]\n\
                 show([end(id) for id in ids])"
            ),
        )
        .await;
    let reason = json!({
        "Code": "Client.InstanceInitiatedShutdown",
        "Message": "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
    });
    assert_eq!(ends, json!([["stopped", reason], ["terminated", reason]]));
    lab.down().unwrap();
}
