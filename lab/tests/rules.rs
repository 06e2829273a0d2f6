//! AWS's rules in the records, asked by the AWS CLI and boto3; hosts are stood for by the test (`Endpoint::settle`).
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod endpoint;
mod python_clients;

use endpoint::Endpoint;
use lab::records::{InstanceState, StateReason};
use python_clients::UBUNTU;
use serde_json::{Value as Json, json};

const CANONICAL: &str = "099720109477";
const BIONIC: &str = "Name=name,Values=ubuntu/images/hvm-ssd/ubuntu-bionic-18.04-amd64-server-*";

async fn ubuntu(endpoint: &Endpoint) -> String {
    let parameter = endpoint
        .aws(&["ssm", "get-parameter", "--name", UBUNTU])
        .await
        .unwrap();
    parameter["Parameter"]["Value"].as_str().unwrap().to_owned()
}

async fn launch(endpoint: &Endpoint, more: &[&str]) -> Json {
    let image = ubuntu(endpoint).await;
    let mut arguments = vec![
        "ec2",
        "run-instances",
        "--image-id",
        &image,
        "--instance-type",
        "t3.micro",
    ];
    arguments.extend(more);
    endpoint.aws(&arguments).await.unwrap()["Instances"][0].clone()
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[tokio::test]
async fn both_clients_find_ubuntu_by_owner_and_by_parameter() {
    let endpoint = Endpoint::start().await;
    let describe = [
        "ec2",
        "describe-images",
        "--owners",
        CANONICAL,
        "--filters",
        BIONIC,
    ];
    let current = endpoint.aws(&describe).await.unwrap();
    let all = endpoint
        .aws(&[&describe[..], &["--include-deprecated"]].concat())
        .await
        .unwrap();

    assert_eq!(current["Images"].as_array().unwrap().len(), 1);
    assert_eq!(all["Images"].as_array().unwrap().len(), 2);
    let image = &current["Images"][0];
    assert_eq!(text(&image["ImageId"]), ubuntu(&endpoint).await);
    assert_eq!(text(&image["Architecture"]), "x86_64");
    assert_eq!(text(&image["RootDeviceType"]), "ebs");
    assert_eq!(image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"], 8);

    // Every region has its own ids, as on AWS.
    let seen = endpoint
        .boto3(&format!(
            "found = []\n\
             for region in ('us-east-1', 'eu-west-1', 'ap-southeast-2'):\n    \
             id = boto3.client('ssm', region_name=region).get_parameter(Name='{UBUNTU}')['Parameter']['Value']\n    \
             image = boto3.client('ec2', region_name=region).describe_images(ImageIds=[id])['Images'][0]\n    \
             found.append([id, image['OwnerId'], image['Name'], image['State']])\n\
             show(found)"
        ))
        .await;
    let seen = seen.as_array().unwrap();
    assert!(
        seen.iter().all(|image| image[1] == CANONICAL
            && image[2] == seen[0][2]
            && image[3] == "available")
    );
    assert!(
        seen[0][0] == ubuntu(&endpoint).await
            && seen[0][0] != seen[1][0]
            && seen[1][0] != seen[2][0]
    );
}

#[tokio::test]
async fn a_client_token_launches_once() {
    let endpoint = Endpoint::start().await;
    let first = launch(
        &endpoint,
        &["--client-token", "bake-1", "--user-data", "hello"],
    )
    .await;
    let again = launch(
        &endpoint,
        &["--client-token", "bake-1", "--user-data", "hello"],
    )
    .await;
    assert_eq!(first["InstanceId"], again["InstanceId"]);
    let other = launch(
        &endpoint,
        &["--client-token", "bake-2", "--user-data", "hello"],
    )
    .await;
    assert_ne!(first["InstanceId"], other["InstanceId"]);
    assert_eq!(endpoint.records().await.instances.len(), 2);

    let image = ubuntu(&endpoint).await;
    let changed = [
        "ec2",
        "run-instances",
        "--image-id",
        &image,
        "--client-token",
        "bake-1",
        "--instance-type",
        "t3.nano",
    ];
    let error = endpoint.aws(&changed).await.unwrap_err();
    assert!(error.contains("(IdempotentParameterMismatch)"), "{error}");
}

#[tokio::test]
async fn transitions_wait_for_the_host_and_refuse_what_does_not_fit() {
    let endpoint = Endpoint::start().await;
    let id = text(&launch(&endpoint, &[]).await["InstanceId"]).to_owned();
    let state = async || {
        let described = endpoint
            .aws(&["ec2", "describe-instances", "--instance-ids", &id])
            .await
            .unwrap();
        text(&described["Reservations"][0]["Instances"][0]["State"]["Name"]).to_owned()
    };
    let ask = async |operation: &str| {
        endpoint
            .aws(&["ec2", operation, "--instance-ids", &id])
            .await
    };

    assert_eq!(state().await, "pending");
    assert!(
        ask("stop-instances")
            .await
            .unwrap_err()
            .contains("(IncorrectInstanceState)")
    );
    endpoint.settle().await;
    assert_eq!(state().await, "running");
    ask("reboot-instances").await.unwrap();
    assert_eq!(endpoint.records().await.instances[0].reboot_seq, 1);
    assert_eq!(state().await, "running");

    let stopping = ask("stop-instances").await.unwrap();
    assert_eq!(
        stopping["StoppingInstances"][0]["CurrentState"]["Name"],
        "stopping"
    );
    assert!(
        ask("start-instances")
            .await
            .unwrap_err()
            .contains("(IncorrectInstanceState)")
    );
    endpoint.settle().await;
    assert_eq!(state().await, "stopped");
    assert!(
        ask("reboot-instances")
            .await
            .unwrap_err()
            .contains("(IncorrectInstanceState)")
    );
    ask("start-instances").await.unwrap();
    assert_eq!(state().await, "pending");
    endpoint.settle().await;

    ask("terminate-instances").await.unwrap();
    assert_eq!(state().await, "shutting-down");
    // The host's report that it runs comes too late and must not bring it back.
    let late = endpoint
        .control
        .set_instance_state(&id, InstanceState::Running, None)
        .await;
    assert!(
        matches!(late, Err(lab::records::ControlError::Conflict { .. })),
        "{late:?}"
    );
    endpoint.settle().await;
    assert_eq!(state().await, "terminated");
    assert!(
        ask("start-instances")
            .await
            .unwrap_err()
            .contains("(IncorrectInstanceState)")
    );
    let image = [
        "ec2",
        "create-image",
        "--name",
        "too-late",
        "--instance-id",
        &id,
    ];
    assert!(
        endpoint
            .aws(&image)
            .await
            .unwrap_err()
            .contains("(IncorrectState)")
    );
}

#[tokio::test]
async fn a_shutdown_from_inside_is_told_from_one_by_request() {
    let endpoint = Endpoint::start().await;
    let id = text(&launch(&endpoint, &[]).await["InstanceId"]).to_owned();
    endpoint.settle().await;
    let reason = StateReason {
        code: "Client.InstanceInitiatedShutdown".into(),
        message: "Instance initiated shutdown".into(),
    };
    endpoint
        .control
        .set_instance_state(&id, InstanceState::Stopped, Some(&reason))
        .await
        .unwrap();
    let described = endpoint
        .aws(&["ec2", "describe-instances", "--instance-ids", &id])
        .await
        .unwrap();
    let instance = &described["Reservations"][0]["Instances"][0];
    assert_eq!(instance["State"]["Name"], "stopped");
    assert_eq!(
        instance["StateReason"]["Code"],
        "Client.InstanceInitiatedShutdown"
    );
    assert_eq!(
        instance["StateReason"]["Message"],
        "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
    );
}

#[tokio::test]
async fn an_image_is_pending_until_frozen_and_tagged_with_its_snapshots_at_once() {
    let endpoint = Endpoint::start().await;
    let root = "DeviceName=/dev/sda1,Ebs={VolumeSize=12,VolumeType=gp3,Throughput=250}";
    let id =
        text(&launch(&endpoint, &["--block-device-mappings", root]).await["InstanceId"]).to_owned();
    endpoint.settle().await;
    let create = [
        "ec2",
        "create-image",
        "--instance-id",
        &id,
        "--name",
        "app/2026-01-01",
        "--tag-specifications",
        "ResourceType=image,Tags=[{Key=kind,Value=image}]",
        "ResourceType=snapshot,Tags=[{Key=kind,Value=snapshot}]",
    ];
    let image_id = text(&endpoint.aws(&create).await.unwrap()["ImageId"]).to_owned();
    let image = async || {
        let filters = [
            "Name=state,Values=pending,available",
            "Name=name,Values=app/*",
        ];
        let found = endpoint
            .aws(&[
                "ec2",
                "describe-images",
                "--owners",
                "self",
                "--filters",
                filters[0],
                filters[1],
            ])
            .await
            .unwrap();
        found["Images"][0].clone()
    };

    let pending = image().await;
    assert_eq!(pending["State"], "pending");
    assert_eq!(pending["Tags"], json!([{"Key": "kind", "Value": "image"}]));
    assert_eq!(pending["Architecture"], "x86_64");
    assert_eq!(pending["RootDeviceName"], "/dev/sda1");
    let device = &pending["BlockDeviceMappings"][0]["Ebs"];
    assert_eq!(
        (&device["VolumeSize"], &device["VolumeType"]),
        (&json!(12), &json!("gp3"))
    );
    let snapshot_id = text(&device["SnapshotId"]).to_owned();
    let describe = ["ec2", "describe-snapshots", "--snapshot-ids", &snapshot_id];
    let snapshot = endpoint.aws(&describe).await.unwrap()["Snapshots"][0].clone();
    assert_eq!(
        (&snapshot["State"], &snapshot["VolumeSize"]),
        (&json!("pending"), &json!(12))
    );
    assert_eq!(
        snapshot["Tags"],
        json!([{"Key": "kind", "Value": "snapshot"}])
    );
    let run = [
        "ec2",
        "run-instances",
        "--image-id",
        &image_id,
        "--instance-type",
        "t3.micro",
    ];
    assert!(
        endpoint
            .aws(&run)
            .await
            .unwrap_err()
            .contains("(InvalidAMIID.Unavailable)")
    );

    let records = endpoint.records().await;
    let record = records
        .images
        .iter()
        .find(|record| record.id == image_id)
        .unwrap();
    assert_eq!(record.source_instance_id.as_deref(), Some(&*id));
    assert_eq!(record.root_snapshot_id.as_deref(), Some(&*snapshot_id));
    assert!(!record.no_reboot);

    endpoint.settle().await;
    assert_eq!(image().await["State"], "available");
    assert_eq!(
        endpoint.aws(&describe).await.unwrap()["Snapshots"][0]["State"],
        "completed"
    );
    let launched = endpoint.aws(&run).await.unwrap()["Instances"][0].clone();
    let records = endpoint.records().await;
    let instance = records
        .instances
        .iter()
        .find(|record| record.id == text(&launched["InstanceId"]))
        .unwrap();
    assert_eq!(
        instance.root_snapshot_id.as_deref(),
        Some(&*snapshot_id),
        "it boots what was frozen"
    );

    assert!(
        endpoint
            .aws(&create)
            .await
            .unwrap_err()
            .contains("(InvalidAMIName.Duplicate)")
    );
    let delete = ["ec2", "delete-snapshot", "--snapshot-id", &snapshot_id];
    assert!(
        endpoint
            .aws(&delete)
            .await
            .unwrap_err()
            .contains("(InvalidSnapshot.InUse)")
    );
    endpoint
        .aws(&["ec2", "deregister-image", "--image-id", &image_id])
        .await
        .unwrap();
    endpoint.aws(&delete).await.unwrap();
    assert!(
        endpoint
            .aws(&describe)
            .await
            .unwrap_err()
            .contains("(InvalidSnapshot.NotFound)")
    );
}

#[tokio::test]
async fn an_image_that_could_not_be_made_says_so() {
    let endpoint = Endpoint::start().await;
    let id = text(&launch(&endpoint, &[]).await["InstanceId"]).to_owned();
    endpoint.settle().await;
    let created = endpoint
        .aws(&[
            "ec2",
            "create-image",
            "--instance-id",
            &id,
            "--name",
            "doomed",
        ])
        .await
        .unwrap();
    let image_id = text(&created["ImageId"]);
    endpoint
        .control
        .set_image_failed(image_id, "the disk is full")
        .await
        .unwrap();
    let described = endpoint
        .aws(&["ec2", "describe-images", "--image-ids", image_id])
        .await
        .unwrap();
    let image = &described["Images"][0];
    assert_eq!(
        (&image["State"], &image["StateReason"]["Message"]),
        (&json!("failed"), &json!("the disk is full"))
    );
}

#[tokio::test]
async fn a_snapshot_can_be_registered_once_it_is_complete() {
    let endpoint = Endpoint::start().await;
    let id = text(&launch(&endpoint, &[]).await["InstanceId"]).to_owned();
    endpoint.settle().await;
    let steps = |stage: &str| {
        format!(
            "volume = ec2.describe_volumes(Filters=[{{'Name': 'attachment.instance-id', 'Values': ['{id}']}}])['Volumes'][0]\n\
             mapping = lambda id: dict(Name='from-snapshot', RootDeviceName='/dev/sda1', Architecture='x86_64',\n    \
             VirtualizationType='hvm', BlockDeviceMappings=[{{'DeviceName': '/dev/sda1', 'Ebs': {{'SnapshotId': id}}}}])\n\
             {stage}"
        )
    };
    let early = endpoint
        .boto3(&steps(
            "snapshot = ec2.create_snapshot(VolumeId=volume['VolumeId'])['SnapshotId']\n\
             show([snapshot, code(ec2.register_image, **mapping(snapshot))])",
        ))
        .await;
    assert_eq!(early[1], "IncorrectState");
    let snapshot_id = text(&early[0]);
    let records = endpoint.records().await;
    let snapshot = records
        .snapshots
        .iter()
        .find(|record| record.id == snapshot_id)
        .unwrap();
    assert_eq!(
        (snapshot.state.as_str(), snapshot.instance_id.as_deref()),
        ("pending", Some(&*id))
    );

    endpoint.settle().await;
    let image = endpoint
        .boto3(&steps(&format!(
            "id = ec2.register_image(**mapping('{snapshot_id}'))['ImageId']\n\
             show(ec2.describe_images(ImageIds=[id])['Images'][0])"
        )))
        .await;
    assert_eq!(
        (&image["State"], &image["Architecture"]),
        (&json!("available"), &json!("x86_64"))
    );
    assert_eq!(
        image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"],
        snapshot_id
    );
    assert_eq!(image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"], 8);
}

#[tokio::test]
async fn a_launch_that_cannot_work_is_refused_with_awss_code() {
    let endpoint = Endpoint::start().await;
    let image = ubuntu(&endpoint).await;
    let codes = endpoint
        .boto3(&format!(
            "def refused(**changed):\n    \
             return code(ec2.run_instances, **dict(dict(ImageId='{image}', InstanceType='t3.micro', MinCount=1, MaxCount=1), **changed))\n\
             small = [{{'DeviceName': '/dev/sda1', 'Ebs': {{'VolumeSize': 4}}}}]\n\
             show([refused(ImageId='ami-00000000000000000'), refused(KeyName='nobody'), refused(InstanceType='t3.huge'),\n    \
             refused(IamInstanceProfile={{'Name': 'nobody'}}), refused(BlockDeviceMappings=small),\n    \
             refused(SubnetId='subnet-0'), refused(SecurityGroupIds=['sg-0']), refused(PrivateIpAddress='192.0.2.1'),\n    \
             refused(DryRun=True)])"
        ))
        .await;
    assert_eq!(
        codes,
        json!([
            "InvalidAMIID.NotFound",
            "InvalidKeyPair.NotFound",
            "InvalidInstanceType.NotFound",
            "InvalidParameterValue",
            "InvalidBlockDeviceMapping",
            "InvalidSubnetID.NotFound",
            "InvalidGroup.NotFound",
            "InvalidParameterValue",
            "DryRunOperation",
        ])
    );
    assert_eq!(endpoint.records().await.instances, []);
}

#[tokio::test]
async fn addresses_are_the_bridges_and_never_the_internets() {
    let endpoint = Endpoint::start().await;
    let seen = endpoint
        .boto3(&format!(
            "seen = []\n\
             for region in ('us-east-1', 'eu-west-1'):\n    \
             client = boto3.client('ec2', region_name=region)\n    \
             image = boto3.client('ssm', region_name=region).get_parameter(Name='{UBUNTU}')['Parameter']['Value']\n    \
             subnet = client.describe_subnets()['Subnets'][0]['SubnetId']\n    \
             launch = lambda **more: client.run_instances(ImageId=image, InstanceType='t3.micro', MinCount=1, MaxCount=1, **more)['Instances'][0]\n    \
             plain, public = launch(), launch(NetworkInterfaces=[dict(DeviceIndex=0, SubnetId=subnet, AssociatePublicIpAddress=True)])\n    \
             seen += [[i['PrivateIpAddress'], i.get('PublicIpAddress')] for i in (plain, public)]\n\
             seen.append([None, ec2.allocate_address()['PublicIp']])\n\
             show(seen)"
        ))
        .await;
    let seen = seen.as_array().unwrap();
    let mut private: Vec<&str> = seen.iter().filter_map(|pair| pair[0].as_str()).collect();
    assert!(
        private.iter().all(|address| address.starts_with("10.77.")),
        "{private:?}"
    );
    private.sort_unstable();
    private.dedup();
    assert_eq!(
        private.len(),
        4,
        "two regions share the bridge, so they must not share an address"
    );
    assert_eq!([&seen[0][1], &seen[2][1]], [&Json::Null, &Json::Null]);
    assert_eq!(
        [&seen[1][1], &seen[3][1]],
        [&seen[1][0], &seen[3][0]],
        "a public address is one that can be reached"
    );
    assert!(text(&seen[4][1]).starts_with("198.18."), "{}", seen[4][1]);
}

#[tokio::test]
async fn interfaces_have_addresses_of_their_subnet_and_none_is_given_out_twice() {
    let endpoint = Endpoint::start().await;
    let seen = endpoint
        .boto3(
            "vpc = ec2.create_vpc(CidrBlock='10.20.0.0/16')['Vpc']['VpcId']\n\
             subnet = ec2.create_subnet(VpcId=vpc, CidrBlock='10.20.1.0/28')['Subnet']['SubnetId']\n\
             make = lambda **more: ec2.create_network_interface(SubnetId=subnet, **more)['NetworkInterface']\n\
             def refused(**more):\n    \
                 try:\n        return make(**more)\n    \
                 except Exception as error:\n        return error.response['Error']['Code']\n\
             asked = make(PrivateIpAddress='10.20.1.9')\n\
             made = [asked, make(), make(SecondaryPrivateIpAddressCount=2)]\n\
             addresses = [a['PrivateIpAddress'] for nic in made for a in nic['PrivateIpAddresses']]\n\
             errors = [refused(PrivateIpAddress=ip) for ip in ('10.20.1.9', '10.20.2.4')]\n\
             full = None\n\
             while isinstance(full := refused(), dict): addresses.append(full['PrivateIpAddress'])\n\
             ec2.delete_network_interface(NetworkInterfaceId=asked['NetworkInterfaceId'])\n\
             show(dict(addresses=addresses, errors=[*errors, full], again=make()['PrivateIpAddress']))",
        )
        .await;
    // AWS keeps the first four addresses of a subnet and its last.
    let mut addresses: Vec<&str> = seen["addresses"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    addresses.sort_unstable();
    let mut all: Vec<String> = (4..=14).map(|host| format!("10.20.1.{host}")).collect();
    all.sort_unstable();
    assert_eq!(addresses, all);
    assert_eq!(
        seen["errors"],
        json!([
            "InvalidIPAddress.InUse",
            "InvalidParameterValue",
            "InsufficientFreeAddressesInSubnet"
        ])
    );
    assert_eq!(seen["again"], "10.20.1.9");
}

#[tokio::test]
async fn a_security_group_stays_until_its_last_instance_is_terminated() {
    let endpoint = Endpoint::start().await;
    let group = [
        "ec2",
        "create-security-group",
        "--group-name",
        "baker-1",
        "--description",
        "one bake",
    ];
    let group = text(&endpoint.aws(&group).await.unwrap()["GroupId"]).to_owned();
    let instance = launch(&endpoint, &["--security-group-ids", &group]).await;
    let id = text(&instance["InstanceId"]);
    let delete = ["ec2", "delete-security-group", "--group-id", &group];
    let terminate = ["ec2", "terminate-instances", "--instance-ids", id];

    assert!(
        endpoint
            .aws(&delete)
            .await
            .unwrap_err()
            .contains("(DependencyViolation)")
    );
    endpoint.aws(&terminate).await.unwrap();
    assert!(
        endpoint
            .aws(&delete)
            .await
            .unwrap_err()
            .contains("(DependencyViolation)"),
        "still shutting down"
    );
    endpoint.settle().await;
    endpoint.aws(&delete).await.unwrap();

    let described = endpoint
        .aws(&["ec2", "describe-instances", "--instance-ids", id])
        .await
        .unwrap();
    let gone = &described["Reservations"][0]["Instances"][0];
    assert_eq!(gone["State"]["Name"], "terminated");
    assert_eq!(
        gone["PrivateIpAddress"],
        Json::Null,
        "a terminated instance gives its address back"
    );
}

#[tokio::test]
async fn attributes_can_be_read_and_changed() {
    let endpoint = Endpoint::start().await;
    let id = text(&launch(&endpoint, &["--user-data", "before"]).await["InstanceId"]).to_owned();
    endpoint.settle().await;
    let modify = ["ec2", "modify-instance-attribute", "--instance-id", &id];
    let behaviour = ["--instance-initiated-shutdown-behavior", "Value=terminate"];
    endpoint
        .aws(&[&modify[..], &behaviour].concat())
        .await
        .unwrap();
    let user_data = ["--user-data", "Value=YWZ0ZXI="];
    let running = endpoint
        .aws(&[&modify[..], &user_data].concat())
        .await
        .unwrap_err();
    assert!(running.contains("(IncorrectInstanceState)"), "{running}");
    endpoint
        .aws(&["ec2", "stop-instances", "--instance-ids", &id])
        .await
        .unwrap();
    endpoint.settle().await;
    let script = format!(
        "ec2.modify_instance_attribute(InstanceId='{id}', UserData={{'Value': b'after'}})\nshow(None)"
    );
    endpoint.boto3(&script).await;

    let attribute = async |name: &str| {
        let describe = [
            "ec2",
            "describe-instance-attribute",
            "--instance-id",
            &id,
            "--attribute",
            name,
        ];
        endpoint.aws(&describe).await.unwrap()
    };
    assert_eq!(attribute("userData").await["UserData"]["Value"], "YWZ0ZXI=");
    endpoint
        .boto3(&format!(
            "ec2.modify_instance_metadata_options(InstanceId='{id}', HttpTokens='required', HttpPutResponseHopLimit=2)\n\
             ec2.modify_instance_metadata_options(InstanceId='{id}', InstanceMetadataTags='enabled')\n\
             show(None)"
        ))
        .await;
    let record = &endpoint.records().await.instances[0];
    assert_eq!(
        (
            &*record.http_tokens,
            record.http_hop_limit,
            &*record.instance_metadata_tags
        ),
        ("required", 2, "enabled"),
        "a change leaves alone what it does not name"
    );
    let behaviour = attribute("instanceInitiatedShutdownBehavior").await;
    assert_eq!(
        behaviour["InstanceInitiatedShutdownBehavior"]["Value"],
        "terminate"
    );
    assert_eq!(
        endpoint.records().await.instances[0].shutdown_behavior,
        "terminate"
    );
}

#[tokio::test]
async fn an_auto_scaling_group_launches_by_the_same_rules_and_replaces_what_goes_down() {
    let endpoint = Endpoint::start().await;
    let image = ubuntu(&endpoint).await;
    endpoint
        .boto3(&format!(
            "iam = boto3.client('iam')\n\
             iam.create_role(RoleName='app-role', AssumeRolePolicyDocument='{{}}')\n\
             iam.create_instance_profile(InstanceProfileName='app')\n\
             iam.add_role_to_instance_profile(InstanceProfileName='app', RoleName='app-role')\n\
             ec2.create_launch_template(LaunchTemplateName='app', LaunchTemplateData=dict(ImageId='{image}',\n    \
             InstanceType='t3.small', UserData='aGVsbG8=', IamInstanceProfile={{'Name': 'app'}}, MetadataOptions={{'HttpTokens': 'required'}}))\n\
             boto3.client('autoscaling').create_auto_scaling_group(AutoScalingGroupName='app', MinSize=1, MaxSize=2,\n    \
             DesiredCapacity=1, LaunchTemplate={{'LaunchTemplateName': 'app'}}, AvailabilityZones=['us-east-1b'])\n\
             show(None)"
        ))
        .await;
    let lifecycle = async || {
        let groups = endpoint
            .aws(&["autoscaling", "describe-auto-scaling-groups"])
            .await
            .unwrap();
        let members = groups["AutoScalingGroups"][0]["Instances"].clone();
        members
            .as_array()
            .unwrap()
            .iter()
            .map(|member| text(&member["LifecycleState"]).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(lifecycle().await, ["Pending"]);
    let records = endpoint.records().await;
    let [member] = &records.instances[..] else {
        panic!("{:?}", records.instances)
    };
    assert_eq!(member.state, InstanceState::Pending);
    assert_eq!(member.availability_zone, "us-east-1b");
    assert!(
        member
            .private_ip
            .as_deref()
            .unwrap()
            .starts_with("10.77.16."),
        "the second default subnet"
    );
    assert_eq!(
        (&*member.instance_type, &*member.http_tokens),
        ("t3.small", "required")
    );
    assert_eq!(
        (
            member.user_data_base64.as_deref(),
            member.role_name.as_deref()
        ),
        (Some("aGVsbG8="), Some("app-role"))
    );
    assert!(
        endpoint
            .control
            .credentials(member)
            .await
            .unwrap()
            .access_key_id
            .starts_with("ASIA")
    );

    endpoint.settle().await;
    assert_eq!(lifecycle().await, ["InService"]);
    endpoint
        .control
        .set_instance_state(&member.id, InstanceState::Stopped, None)
        .await
        .unwrap();
    let records = endpoint.records().await;
    let states: Vec<_> = records
        .instances
        .iter()
        .map(|instance| instance.state)
        .collect();
    assert_eq!(
        states,
        [InstanceState::ShuttingDown, InstanceState::Pending],
        "terminated and replaced"
    );
    assert_eq!(lifecycle().await, ["Pending"]);

    // Terminated while it is still on its way into service, it is replaced too.
    let id = records.instances[1].id.as_str();
    endpoint
        .aws(&["ec2", "terminate-instances", "--instance-ids", id])
        .await
        .unwrap();
    assert_eq!(lifecycle().await, ["Pending"]);
    assert_eq!(endpoint.records().await.instances.len(), 3);
}

#[tokio::test]
async fn long_answers_come_in_pages() {
    let endpoint = Endpoint::start().await;
    let image = ubuntu(&endpoint).await;
    let pages = endpoint
        .boto3(&format!(
            "for n in range(5):\n    ec2.run_instances(ImageId='{image}', InstanceType='t3.micro', MinCount=1, MaxCount=2)\n\
             pages = ec2.get_paginator('describe_instances').paginate(PaginationConfig={{'PageSize': 2}})\n\
             show([[i['InstanceId'] for r in page['Reservations'] for i in r['Instances']] for page in pages])"
        ))
        .await;
    let sizes: Vec<_> = pages
        .as_array()
        .unwrap()
        .iter()
        .map(|page| page.as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [4, 4, 2]);
}

#[tokio::test]
async fn requests_are_counted_by_operation_and_wake_the_lab_only_if_they_may_change_hosts() {
    let endpoint = Endpoint::start().await;
    let woken = async || {
        let short = std::time::Duration::from_millis(200);
        tokio::time::timeout(short, endpoint.on_change.notified())
            .await
            .is_ok()
    };
    endpoint.aws(&["ec2", "describe-instances"]).await.unwrap();
    assert!(!woken().await);
    launch(&endpoint, &[]).await;
    assert!(woken().await);
    endpoint
        .aws(&["ec2", "run-instances", "--image-id", "ami-0"])
        .await
        .unwrap_err();
    endpoint.aws(&["sts", "get-caller-identity"]).await.unwrap();
    let counted: Vec<_> = endpoint.requests().into_iter().collect();
    let expected = [
        ("ec2:DescribeInstances", 1),
        ("ec2:RunInstances", 2),
        ("ssm:GetParameter", 1),
        ("sts:GetCallerIdentity", 1),
    ];
    assert_eq!(
        counted,
        expected.map(|(operation, count)| (operation.to_owned(), count))
    );
}

#[tokio::test]
async fn what_the_lab_does_not_have_is_refused_in_words() {
    let endpoint = Endpoint::start().await;
    for command in [
        &["ec2", "get-console-screenshot", "--instance-id", "i-0"][..],
        &["lightsail", "get-bundles"],
    ] {
        let error = endpoint.aws(command).await.unwrap_err();
        assert!(
            error.contains("(NotImplemented)") && error.contains("The lab does not have"),
            "{error}"
        );
    }
    // Refused once and for good: a client does not try again.
    assert_eq!(endpoint.requests()["ec2:GetConsoleScreenshot"], 1);
}

#[tokio::test]
async fn the_labs_own_control_is_not_offered_to_clients() {
    let endpoint = Endpoint::start().await;
    let statuses = endpoint
        .boto3(&format!(
            "import urllib.request, urllib.error\n\
             def status(path):\n    \
             try:\n        return urllib.request.urlopen('{}' + path).status\n    \
             except urllib.error.HTTPError as error:\n        return error.code\n\
             show([status(path) for path in ('/_lab/records', '/moto-api/data.json', '/latest/meta-data/')])",
            endpoint.url()
        ))
        .await;
    assert_eq!(statuses, json!([403, 403, 403]));
    assert!(endpoint.requests().is_empty());
}
