//! A stranger bakes in the lab: Debian's Packer, which knows only AWS.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::process::Stdio;

use aws_sdk_ec2::types::ShutdownBehavior;
use lab::Lab;
use serde_json::json;
use support::Rig;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn packer_bakes_an_image_that_boots_with_what_it_put_there() {
    let lab = Lab::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let template = json!({
        "builders": [{
            "type": "amazon-ebs",
            "custom_endpoint_ec2": lab.endpoint(),
            "region": lab.up().region,
            "access_key": "lab",
            "secret_key": "lab",
            "skip_metadata_api_check": true,
            "source_ami_filter": {
                "owners": ["099720109477"],
                "filters": {
                    "name": "ubuntu/images/hvm-ssd/ubuntu-bionic-18.04-amd64-server-*",
                    "root-device-type": "ebs",
                    "virtualization-type": "hvm",
                },
                "most_recent": true,
            },
            "instance_type": "t3.micro",
            "ssh_username": "ubuntu",
            "ssh_interface": "private_ip",
            "ami_name": "by-packer",
            "tags": {"maker": "packer"},
        }],
        "provisioners": [{"type": "shell", "inline": ["echo packer | sudo tee /etc/was-here"]}],
    });
    std::fs::write(folder.path().join("template.json"), template.to_string()).unwrap();
    let packer = Command::new("packer")
        .args(["build", "-color=false", "template.json"])
        .current_dir(&folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder.path())
        .env("CHECKPOINT_DISABLE", "1")
        // It asks every 15 s otherwise.
        .env("AWS_POLL_DELAY_SECONDS", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("Packer is needed: apt-get install packer");
    let said = String::from_utf8_lossy(&packer.stdout);
    assert!(
        packer.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&packer.stderr)
    );

    let rig = Rig::new(&lab).await;
    let images = rig
        .ec2
        .describe_images()
        .owners("self")
        .send()
        .await
        .unwrap();
    let [image] = images.images() else {
        panic!("{images:?}\n{said}")
    };
    assert_eq!(
        (image.name(), image.tags()[0].value()),
        (Some("by-packer"), Some("packer"))
    );
    let id = rig
        .launch(image.image_id().unwrap(), "", ShutdownBehavior::Stop)
        .await;
    assert_eq!(rig.ssh(&id, "cat /etc/was-here").await, "packer");

    // It tidied up, and the lab let it: of its instance there is only the record, of its key and its group nothing.
    let keys = rig.ec2.describe_key_pairs().send().await.unwrap();
    assert_eq!(
        keys.key_pairs()
            .iter()
            .map(|key| key.key_name())
            .collect::<Vec<_>>(),
        [Some("test")]
    );
    let groups = rig.ec2.describe_security_groups().send().await.unwrap();
    let left: Vec<_> = groups
        .security_groups()
        .iter()
        .filter_map(|group| group.group_name())
        .collect();
    assert_eq!(left, ["default"]);
    lab.down().unwrap();
}
