//! Instances are hosts: what a client asks of EC2 happens to a booted machine, and what happens in the machine shows in EC2.
//! Everything goes through the official SDK and real SSH.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use aws_sdk_ec2::types::ShutdownBehavior;
use base64::Engine as _;
use lab::{Lab, LabConfig};
use support::{Rig, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_boots_with_its_user_data_and_sees_its_own_metadata() {
    let lab = Lab::start().unwrap();
    let rig = Rig::new(&lab).await;
    let user_data = "#cloud-config\nwrite_files:\n- path: /etc/from-user-data\n  content: hello\n";
    let id = rig
        .launch(&rig.ubuntu().await, user_data, ShutdownBehavior::Stop)
        .await;
    assert_eq!(
        rig.state(&id).await,
        "pending",
        "the launch is visible before the host runs"
    );
    rig.until_state(&id, "running").await;

    assert_eq!(
        rig.ssh(
            &id,
            "cloud-init status --wait >/dev/null; cat /etc/from-user-data"
        )
        .await,
        "hello"
    );
    let address = rig.address(&id).await;
    assert_eq!(
        rig.ssh(&id, "hostname").await,
        format!("ip-{}", address.replace('.', "-"))
    );
    assert_eq!(rig.ssh(&id, "systemctl is-system-running --wait 2>/dev/null || systemctl is-system-running; systemctl --failed --no-legend").await, "running");
    assert_eq!(rig.ssh(&id, "cat /proc/1/comm").await, "systemd");

    // IMDSv2, by hand: no answer without a token, because the launch required one.
    let metadata = &lab.up().metadata;
    let without =
        format!("curl -s -o /dev/null -w '%{{http_code}}' {metadata}/latest/meta-data/instance-id");
    assert_eq!(rig.ssh(&id, &without).await, "401");
    let with = |path: &str| {
        format!(
            "curl -s -H \"X-aws-ec2-metadata-token: $(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' \
             {metadata}/latest/api/token)\" {metadata}/latest/{path}"
        )
    };
    assert_eq!(rig.ssh(&id, &with("meta-data/instance-id")).await, id);
    let document = rig
        .ssh(&id, &with("dynamic/instance-identity/document"))
        .await;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["instanceId"], id.as_str());
    assert_eq!(document["privateIp"], address.as_str());
    rig.ec2
        .create_tags()
        .resources(&id)
        .tags(
            aws_sdk_ec2::types::Tag::builder()
                .key("Role")
                .value("web one")
                .build(),
        )
        .send()
        .await
        .unwrap();
    until("the tag in the metadata", || async {
        (rig.ssh(&id, &with("meta-data/tags/instance/Role")).await == "web one").then_some(())
    })
    .await;
    // This machine's own address is not a host's: the service answers nobody else.
    let outside = std::process::Command::new("curl")
        .args([
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &format!("{metadata}/latest/meta-data/"),
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&outside.stdout), "404");

    // Nothing in the host's environment names AWS but the lab.
    let environment = rig.ssh(&id, "systemctl show-environment").await;
    assert!(
        environment.contains(&format!("AWS_ENDPOINT_URL={}", lab.up().host_endpoint)),
        "{environment}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_start_reboot_and_terminate_do_what_they_do_on_aws() {
    let lab = Lab::start().unwrap();
    let rig = Rig::new(&lab).await;
    let id = rig
        .launch(&rig.ubuntu().await, "", ShutdownBehavior::Stop)
        .await;
    rig.ssh(
        &id,
        "echo kept | sudo tee /var/lib/kept >/dev/null; echo gone > /run/user/$(id -u)/gone",
    )
    .await;
    let boot_id = rig
        .ssh(&id, "cat /run/systemd/../../proc/1/stat | cut -d' ' -f22")
        .await;

    rig.ec2
        .reboot_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    until("another boot", || async {
        let address = rig.address(&id).await;
        let output = rig.try_ssh(&address, "cut -d' ' -f22 /proc/1/stat");
        let now = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && now != boot_id).then_some(())
    })
    .await;
    assert_eq!(
        rig.state(&id).await,
        "running",
        "a reboot never leaves `running`"
    );
    assert_eq!(rig.ssh(&id, "cat /var/lib/kept").await, "kept");

    rig.ec2
        .stop_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(rig.state(&id).await, "stopping");
    rig.until_state(&id, "stopped").await;
    let address = rig.address(&id).await;
    assert_eq!(
        rig.try_ssh(&address, "true").status.code(),
        Some(255),
        "a stopped host answers nobody"
    );

    rig.ec2
        .start_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(rig.state(&id).await, "pending");
    rig.until_state(&id, "running").await;
    assert_eq!(rig.address(&id).await, address, "the private address stays");
    assert_eq!(rig.ssh(&id, "cat /var/lib/kept").await, "kept");

    rig.ec2
        .terminate_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(rig.state(&id).await, "shutting-down");
    rig.until_state(&id, "terminated").await;
    assert_eq!(rig.try_ssh(&address, "true").status.code(), Some(255));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_inside_stops_or_terminates_as_the_launch_said() {
    let lab = Lab::start().unwrap();
    let rig = Rig::new(&lab).await;
    let image = rig.ubuntu().await;
    let stops = rig.launch(&image, "", ShutdownBehavior::Stop).await;
    let terminates = rig.launch(&image, "", ShutdownBehavior::Terminate).await;
    let reboots = rig.launch(&image, "", ShutdownBehavior::Terminate).await;
    for (id, command) in [
        (&stops, "sudo systemctl poweroff"),
        (&terminates, "sudo shutdown -h now"),
        (&reboots, "sudo systemctl reboot"),
    ] {
        // The connection may be cut before the command's status arrives.
        rig.ssh(id, &format!("(sleep 0.2; {command}) >/dev/null 2>&1 &"))
            .await;
    }
    rig.until_state(&stops, "stopped").await;
    rig.until_state(&terminates, "terminated").await;
    let found = rig
        .ec2
        .describe_instances()
        .instance_ids(&terminates)
        .send()
        .await
        .unwrap();
    let reason = found.reservations()[0].instances()[0]
        .state_reason()
        .unwrap()
        .code()
        .unwrap()
        .to_owned();
    assert_eq!(reason, "Client.InstanceInitiatedShutdown");
    assert_eq!(
        rig.state(&reboots).await,
        "running",
        "a reboot inside is none of EC2's business"
    );
    assert!(!rig.ssh(&reboots, "uptime").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_powers_itself_off_while_pending_is_stopped_and_not_booted_again() {
    let mut config = LabConfig::default();
    config.timing.pending_ms = 5000;
    let lab = Lab::start_with(config, |_| ()).unwrap();
    let rig = Rig::new(&lab).await;
    let user_data = "#cloud-config\nbootcmd: [[poweroff, --force]]\n";
    let id = rig
        .launch(&rig.ubuntu().await, user_data, ShutdownBehavior::Stop)
        .await;
    rig.until_state(&id, "stopped").await;
    let answer = rig
        .ec2
        .get_console_output()
        .instance_id(&id)
        .send()
        .await
        .unwrap();
    let console = base64::engine::general_purpose::STANDARD
        .decode(answer.output().unwrap())
        .unwrap();
    let console = String::from_utf8_lossy(&console);
    assert_eq!(console.matches("Welcome to ").count(), 1, "{console}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_reaches_package_registries_and_nothing_else() {
    let lab = Lab::start().unwrap();
    let rig = Rig::new(&lab).await;
    let id = rig
        .launch(&rig.ubuntu().await, "", ShutdownBehavior::Stop)
        .await;
    rig.ssh(&id, "cloud-init status --wait >/dev/null; sudo apt-get update -qq && sudo apt-get install -qq --yes python3-venv >/dev/null").await;
    rig.ssh(&id, "python3 -m venv /tmp/venv && /tmp/venv/bin/pip install --quiet --disable-pip-version-check six==1.16.0").await;
    assert_eq!(
        rig.ssh(
            &id,
            "/tmp/venv/bin/python -c 'import six; print(six.__version__)'"
        )
        .await,
        "1.16.0"
    );
    let gateway = lab
        .up()
        .host_endpoint
        .trim_start_matches("http://")
        .split(':')
        .next()
        .unwrap()
        .to_owned();
    // A name that is not allowed does not resolve, and asking the relay for it anyway is refused.
    assert_eq!(
        rig.ssh(&id, "getent hosts not-a-registry.test || echo unknown")
            .await,
        "unknown"
    );
    let asked = rig
        .ssh(
            &id,
            &format!("curl -s -H 'Host: not-a-registry.test' http://{gateway}/ || true"),
        )
        .await;
    assert!(asked.contains("allow-host not-a-registry.test"), "{asked}");
    assert_eq!(
        rig.ssh(&id, "ip -4 route show default").await,
        "",
        "there is no way out but the relay"
    );
}
