//! Hosts that nobody launched by hand, and what only a host can see of its role and its end.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod python_clients;
mod support;

use lab::Lab;
use python_clients::{Clients, UBUNTU};
use serde_json::Value as Json;
use support::{Rig, until};

/// Reads one path of the metadata service, version 2, from inside.
fn metadata(lab: &Lab, path: &str) -> String {
    let at = &lab.up().metadata;
    format!(
        "curl -s -H \"X-aws-ec2-metadata-token: $(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {at}/latest/api/token)\" {at}/latest/{path}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_boots_its_hosts_with_their_role_and_takes_them_away_after_notice() {
    let lab = Lab::start().unwrap();
    let rig = Rig::new(&lab).await;
    let clients = Clients::start(&lab.env()).await;
    clients
        .boto3(&format!(
            "iam = boto3.client('iam')\n\
             iam.create_role(RoleName='app-role', AssumeRolePolicyDocument='{{}}')\n\
             iam.create_instance_profile(InstanceProfileName='app')\n\
             iam.add_role_to_instance_profile(InstanceProfileName='app', RoleName='app-role')\n\
             image = boto3.client('ssm').get_parameter(Name='{UBUNTU}')['Parameter']['Value']\n\
             ec2.create_launch_template(LaunchTemplateName='app', LaunchTemplateData=dict(ImageId=image, InstanceType='t3.small',\n    \
             KeyName='test', IamInstanceProfile={{'Name': 'app'}}, MetadataOptions={{'HttpTokens': 'required'}}))\n\
             boto3.client('autoscaling').create_auto_scaling_group(AutoScalingGroupName='app', MinSize=0, MaxSize=2, DesiredCapacity=2,\n    \
             LaunchTemplate={{'LaunchTemplateName': 'app'}}, AvailabilityZones=['us-east-1a'])\n\
             show(None)"
        ))
        .await;
    let members = async || {
        let script = "show([i['InstanceId'] for g in boto3.client('autoscaling').describe_auto_scaling_groups()['AutoScalingGroups'] for i in g['Instances']])";
        let members: Vec<String> = serde_json::from_value(clients.boto3(script).await).unwrap();
        members
    };
    let ids = members().await;
    assert_eq!(ids.len(), 2);
    for id in &ids {
        assert_eq!(
            rig.ssh(id, &metadata(&lab, "meta-data/instance-id")).await,
            *id
        );
    }
    let host = &ids[0];
    assert_eq!(
        rig.ssh(
            host,
            &metadata(&lab, "meta-data/autoscaling/target-lifecycle-state")
        )
        .await,
        "InService"
    );

    // The role's credentials are real to the lab: whoever uses them is that role.
    let role = rig
        .ssh(host, &metadata(&lab, "meta-data/iam/security-credentials/"))
        .await;
    assert_eq!(role, "app-role");
    let credentials = rig
        .ssh(
            host,
            &metadata(&lab, &format!("meta-data/iam/security-credentials/{role}")),
        )
        .await;
    let credentials: Json = serde_json::from_str(&credentials).unwrap();
    assert_eq!(credentials["Code"], "Success");
    let field = |name: &str| credentials[name].as_str().unwrap().to_owned();
    let mut env = lab.env();
    env.retain(|(name, _)| !name.contains("KEY"));
    env.push(("AWS_ACCESS_KEY_ID".into(), field("AccessKeyId")));
    env.push(("AWS_SECRET_ACCESS_KEY".into(), field("SecretAccessKey")));
    env.push(("AWS_SESSION_TOKEN".into(), field("Token")));
    let caller = Clients::start(&env)
        .await
        .aws(&["sts", "get-caller-identity"])
        .await
        .unwrap();
    assert!(
        caller["Arn"]
            .as_str()
            .unwrap()
            .contains("assumed-role/app-role"),
        "{caller}"
    );

    // A notice of the end, as a spot host gets it.
    assert!(
        rig.ssh(host, &metadata(&lab, "meta-data/spot/instance-action"))
            .await
            .is_empty()
    );
    let given = std::process::Command::new(env!("CARGO_BIN_EXE_lab"))
        .args([
            "--name",
            lab.name(),
            "notice",
            host,
            "--action",
            "terminate",
            "--in",
            "2m",
        ])
        .output()
        .unwrap();
    assert!(
        given.status.success(),
        "{}",
        String::from_utf8_lossy(&given.stderr)
    );
    let action: Json = serde_json::from_str(
        &rig.ssh(host, &metadata(&lab, "meta-data/spot/instance-action"))
            .await,
    )
    .unwrap();
    assert_eq!(action["action"], "terminate");

    // Scaling in ends hosts; one that ends by itself is replaced.
    rig.ssh(
        &ids[1],
        "(sleep 0.2; sudo systemctl poweroff) >/dev/null 2>&1 &",
    )
    .await;
    let replaced = until("a replacement", || async {
        let now = members().await;
        (now.len() == 2 && !now.contains(&ids[1])).then_some(now)
    })
    .await;
    for id in &replaced {
        assert!(!rig.ssh(id, "uptime").await.is_empty());
    }
    clients
        .boto3("boto3.client('autoscaling').update_auto_scaling_group(AutoScalingGroupName='app', DesiredCapacity=0)\nshow(None)")
        .await;
    for id in &replaced {
        rig.until_state(id, "terminated").await;
    }
}
