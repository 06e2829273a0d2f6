//! An image is exactly the disk that was frozen, and costs nothing to boot from.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::path::PathBuf;

use aws_sdk_ec2::types::ShutdownBehavior;
use lab::{Lab, LabConfig};
use support::{Rig, until};

fn layers(lab: &Lab) -> Vec<PathBuf> {
    let folder = LabConfig::default()
        .state_dir
        .join(lab.name())
        .join("layers");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_boots_exactly_the_disk_that_was_frozen_and_deleting_it_frees_the_disk() {
    let lab = Lab::start().unwrap();
    let rig = Rig::new(&lab).await;
    let source = rig
        .launch(&rig.ubuntu().await, "", ShutdownBehavior::Stop)
        .await;
    // Everything that an overlay could lose: modes, owners, links, a deletion and a renamed folder of the layer below.
    rig.ssh(
        &source,
        "sudo sh -ec 'mkdir -p /srv/app/sub; echo v1 > /srv/app/file; chmod 640 /srv/app/file; chown www-data:www-data /srv/app/file; \
         ln -s file /srv/app/link; rm /usr/bin/less; mv /usr/share/doc /usr/share/documents; sync'",
    )
    .await;
    rig.ec2
        .stop_instances()
        .instance_ids(&source)
        .send()
        .await
        .unwrap();
    rig.until_state(&source, "stopped").await;
    let image = rig
        .ec2
        .create_image()
        .instance_id(&source)
        .name("frozen")
        .send()
        .await
        .unwrap()
        .image_id()
        .unwrap()
        .to_owned();
    let described = rig
        .ec2
        .describe_images()
        .image_ids(&image)
        .send()
        .await
        .unwrap();
    assert_eq!(
        described.images()[0].state().unwrap().as_str(),
        "pending",
        "an image takes visible time"
    );
    rig.until_image(&image, "available").await;

    // What the source does afterwards is not in the image.
    rig.ec2
        .start_instances()
        .instance_ids(&source)
        .send()
        .await
        .unwrap();
    rig.ssh(&source, "sudo sh -c 'echo v2 > /srv/app/file'")
        .await;
    let look = "stat -c '%a %U %F' /srv/app/file; cat /srv/app/link 2>/dev/null || sudo cat /srv/app/link; test -e /usr/bin/less || echo deleted; ls -d /usr/share/doc /usr/share/documents 2>/dev/null || true";
    let expected = "640 www-data regular file\nv1\ndeleted\n/usr/share/documents";
    let first = rig.launch(&image, "", ShutdownBehavior::Stop).await;
    assert_eq!(rig.ssh(&first, look).await, expected);
    // Copy on write: a second boot does not see what the first one wrote.
    rig.ssh(&first, "sudo rm -r /srv/app").await;
    let second = rig.launch(&image, "", ShutdownBehavior::Stop).await;
    assert_eq!(rig.ssh(&second, look).await, expected);

    // Deregistered and deleted, the image's disk stays while hosts stand on it, and goes with the last of them.
    let snapshot = described.images()[0].block_device_mappings()[0]
        .ebs()
        .unwrap()
        .snapshot_id()
        .unwrap()
        .to_owned();
    rig.ec2
        .deregister_image()
        .image_id(&image)
        .send()
        .await
        .unwrap();
    rig.ec2
        .delete_snapshot()
        .snapshot_id(&snapshot)
        .send()
        .await
        .unwrap();
    assert_eq!(
        rig.ssh(
            &second,
            "cat /etc/os-release >/dev/null; sudo cat /srv/app/file"
        )
        .await,
        "v1"
    );
    assert_eq!(layers(&lab).len(), 1);
    rig.ec2
        .terminate_instances()
        .instance_ids(&first)
        .instance_ids(&second)
        .instance_ids(&source)
        .send()
        .await
        .unwrap();
    until("the layer to be freed", || async {
        layers(&lab).is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_running_host_reboots_it_unless_told_not_to() {
    let lab = Lab::start().unwrap();
    let rig = Rig::new(&lab).await;
    let source = rig
        .launch(&rig.ubuntu().await, "", ShutdownBehavior::Stop)
        .await;
    let started = "cut -d' ' -f22 /proc/1/stat";
    rig.ssh(
        &source,
        "cloud-init status --wait >/dev/null; echo one | sudo tee /srv/mark >/dev/null",
    )
    .await;
    let before = rig.ssh(&source, started).await;

    let running = rig
        .ec2
        .create_image()
        .instance_id(&source)
        .name("no-reboot")
        .no_reboot(true)
        .send()
        .await
        .unwrap();
    let running = running.image_id().unwrap().to_owned();
    rig.until_image(&running, "available").await;
    assert_eq!(
        rig.ssh(&source, started).await,
        before,
        "it went on running"
    );

    rig.ssh(&source, "echo two | sudo tee /srv/mark >/dev/null")
        .await;
    let rebooted = rig
        .ec2
        .create_image()
        .instance_id(&source)
        .name("with-reboot")
        .send()
        .await
        .unwrap();
    let rebooted = rebooted.image_id().unwrap().to_owned();
    rig.until_image(&rebooted, "available").await;
    assert_ne!(rig.ssh(&source, started).await, before, "it was rebooted");
    assert_eq!(rig.ssh(&source, "cat /srv/mark").await, "two");

    for (image, mark) in [(running, "one"), (rebooted, "two")] {
        let id = rig.launch(&image, "", ShutdownBehavior::Stop).await;
        assert_eq!(rig.ssh(&id, "cat /srv/mark").await, mark);
    }
}
