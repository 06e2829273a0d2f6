//! A VPC of the user's own: its hosts have its addresses, this machine and they themselves reach each other, others do not.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::process::Command;

use aws_sdk_ec2::types::{InstanceNetworkInterfaceSpecification, InstanceType, ShutdownBehavior};
use lab::Lab;
use support::Rig;

/// A range that no other lab of this machine uses: beside the one that this lab has to itself.
fn own_range(lab: &Lab) -> u8 {
    let octet = lab.up().host_endpoint.split('.').nth(1).unwrap();
    octet.parse::<u8>().unwrap() + 64
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_of_a_users_own_vpc_have_its_addresses_and_reach_each_other() {
    let lab = Lab::start().unwrap();
    let rig = Rig::new(&lab).await;
    let second = own_range(&lab);
    let vpc = rig
        .ec2
        .create_vpc()
        .cidr_block(format!("10.{second}.0.0/16"))
        .send()
        .await
        .unwrap();
    let vpc_id = vpc.vpc().unwrap().vpc_id().unwrap();
    let subnet = async |third: u8| {
        let made = rig
            .ec2
            .create_subnet()
            .vpc_id(vpc_id)
            .cidr_block(format!("10.{second}.{third}.0/24"))
            .send()
            .await
            .unwrap();
        made.subnet().unwrap().subnet_id().unwrap().to_owned()
    };
    let (front, back) = (subnet(1).await, subnet(2).await);
    let image = rig.ubuntu().await;
    let run = || {
        rig.ec2
            .run_instances()
            .image_id(&image)
            .instance_type(InstanceType::T3Micro)
            .key_name("test")
            .min_count(1)
            .max_count(1)
    };
    let first_of = |answer: aws_sdk_ec2::operation::run_instances::RunInstancesOutput| {
        answer.instances()[0].instance_id().unwrap().to_owned()
    };

    // One by its subnet, one with an interface that was there before.
    let web = first_of(run().subnet_id(&front).send().await.unwrap());
    let interface = rig
        .ec2
        .create_network_interface()
        .subnet_id(&back)
        .send()
        .await
        .unwrap();
    let interface = interface.network_interface().unwrap();
    let nic = InstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .network_interface_id(interface.network_interface_id().unwrap());
    let data = first_of(run().network_interfaces(nic.build()).send().await.unwrap());
    let stranger = rig.launch(&image, "", ShutdownBehavior::Stop).await;

    let (web_ip, data_ip) = (rig.address(&web).await, rig.address(&data).await);
    assert!(web_ip.starts_with(&format!("10.{second}.1.")), "{web_ip}");
    assert!(data_ip.starts_with(&format!("10.{second}.2.")), "{data_ip}");
    assert_eq!(Some(data_ip.as_str()), interface.private_ip_address());

    // This machine reaches both over SSH, and they have the addresses that EC2 says.
    let own_address = "ip -4 -o addr show dev eth0 | awk '{print $4}'";
    assert_eq!(rig.ssh(&web, own_address).await, format!("{web_ip}/32"));
    assert_eq!(rig.ssh(&data, own_address).await, format!("{data_ip}/32"));

    let greeting =
        |ip: &str| format!("timeout 5 bash -c 'exec 3<>/dev/tcp/{ip}/22; head -n 1 <&3'");
    assert!(
        rig.ssh(&web, &greeting(&data_ip))
            .await
            .starts_with("SSH-2.0-")
    );
    assert!(
        rig.ssh(&data, &greeting(&web_ip))
            .await
            .starts_with("SSH-2.0-")
    );
    let from_outside = format!("! {}", greeting(&web_ip));
    assert_eq!(
        rig.ssh(&stranger, &from_outside).await,
        "",
        "another VPC is another network"
    );
    // The lab's own services are as near as in the default VPC.
    let metadata = format!(
        "curl -s -o /dev/null -w '%{{http_code}}' {}/latest/meta-data/local-ipv4",
        lab.up().metadata
    );
    assert_eq!(rig.ssh(&web, &metadata).await, "200");

    // A host that is gone leaves no route: its address may be another lab's next.
    let route = || {
        let shown = Command::new("ip")
            .args(["-4", "route", "show", &web_ip])
            .output()
            .unwrap();
        String::from_utf8(shown.stdout).unwrap()
    };
    assert!(route().contains(&web_ip));
    rig.ec2
        .terminate_instances()
        .instance_ids(&web)
        .send()
        .await
        .unwrap();
    rig.until_state(&web, "terminated").await;
    assert_eq!(route(), "");
    lab.down().unwrap();
}
