#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::facts::Subnet;
use crate::recipe::{Action, AddressMode, Apt, Build, RootVolume, Source, Step};

fn recipe() -> Recipe {
    Recipe {
        name: "app".into(),
        description: None,
        source: Source::Ubuntu("18.04".into()),
        tags: BTreeMap::from([("team".into(), "web".into())]),
        build: Build {
            instance_types: vec!["t3.medium".into(), "t3a.medium".into()],
            root_volume: RootVolume::default(),
            timeout: Duration::from_secs(2700),
            ssh_user: "ubuntu".into(),
            subnet: None,
            address: AddressMode::Auto,
            ssh_from: None,
            instance_profile: None,
        },
        layers: vec![Layer {
            name: "system".into(),
            recipe: "app".into(),
            steps: vec![Step {
                title: "apt: nginx".into(),
                timeout: None,
                action: Action::Apt(Apt {
                    packages: vec!["nginx".into()],
                    upgrade: None,
                }),
            }],
            key: Digest::of(b"system"),
        }],
        checks: Vec::new(),
        digest: Digest::of(b"app"),
    }
}

fn facts() -> Facts {
    Facts {
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        source_image: SourceImage {
            id: "ami-0123456789abcdef0".into(),
            name: "ubuntu/images/hvm-ssd/ubuntu-bionic-18.04-amd64-server-20230607".into(),
            architecture: "x86_64".into(),
            root_device_name: "/dev/sda1".into(),
            root_size_gib: 8,
        },
        subnet: Subnet {
            id: "subnet-12345678".into(),
            vpc_id: "vpc-12345678".into(),
            availability_zone: "eu-central-1a".into(),
        },
        spare_subnets: Vec::new(),
        address: Address::Public,
        ssh_from: "203.0.113.7/32".into(),
    }
}

fn start() -> jiff::Timestamp {
    "2026-11-23T03:15:09Z".parse().unwrap()
}

fn planned(recipe: &Recipe) -> Plan {
    let id = BakeId::new(start(), [0x9f, 0x86, 0xd0, 0x81]);
    plan(recipe, &facts(), id, start()).unwrap()
}

/// A plan for tests of what comes after it.
pub(crate) fn planned_app() -> Plan {
    planned(&recipe())
}

#[test]
fn names_come_from_time_and_digest() {
    let plan = planned(&recipe());
    let digest = recipe().digest.short();
    assert_eq!(plan.bake_id.as_str(), "20261123-031509-9f86d081");
    assert_eq!(plan.image.name, format!("app-20261123-031509-{digest}"));
    assert_eq!(plan.security_group.name, "baker-20261123-031509-9f86d081");
    assert!(plan.launch.client_token.len() <= 64 && plan.launch.client_token.is_ascii());
}

#[test]
fn the_longest_recipe_name_gives_a_name_that_ec2_takes() {
    let mut recipe = recipe();
    recipe.name = "n".repeat(103);
    recipe.description = Some("d".repeat(300));
    let plan = planned(&recipe);
    assert_eq!(plan.image.name.chars().count(), 128);
    assert_eq!(plan.image.description.chars().count(), 255);
}

#[test]
fn everything_that_is_made_bears_the_bake_id() {
    let plan = planned(&recipe());
    for tags in [
        &plan.security_group.tags,
        &plan.launch.tags,
        &plan.image.tags,
    ] {
        assert_eq!(tags.get(BAKE_ID_TAG).unwrap(), plan.bake_id.as_str());
        assert_eq!(tags.get("team").unwrap(), "web", "and the recipe's tags");
    }
}

#[test]
fn a_recipe_names_its_image_but_not_its_bake() {
    let mut recipe = recipe();
    recipe.tags.insert("Name".into(), "storefront".into());
    recipe.tags.insert(BAKE_ID_TAG.into(), "forged".into());
    let tags = planned(&recipe).image.tags;
    assert_eq!(tags["Name"], "storefront");
    assert_eq!(tags[BAKE_ID_TAG], "20261123-031509-9f86d081");
    assert_eq!(tags["team"], "web");
    assert_eq!(tags[SOURCE_TAG], "ami-0123456789abcdef0");
}

#[test]
fn only_the_caller_gets_in_and_only_to_ssh() {
    let group = planned(&recipe()).security_group;
    assert_eq!((group.port, group.cidr.as_str()), (22, "203.0.113.7/32"));
}

#[test]
fn the_instance_outlives_the_bake_by_a_little() {
    let plan = planned(&recipe());
    assert!(plan.launch.power_off_after > plan.timeout);
    assert!(plan.launch.power_off_after <= plan.timeout + Duration::from_secs(900));
}

#[test]
fn the_root_disk_is_as_large_as_the_source_unless_asked_larger() {
    let mut recipe = recipe();
    let device = planned(&recipe).launch.root_device;
    assert_eq!((device.size_gib, device.volume_type.as_str()), (8, "gp3"));
    recipe.build.root_volume.size_gib = Some(20);
    assert_eq!(planned(&recipe).launch.root_device.size_gib, 20);
    recipe.build.root_volume.size_gib = Some(7);
    let id = BakeId::new(start(), [0; 4]);
    let error = plan(&recipe, &facts(), id, start()).unwrap_err();
    assert!(error.to_string().contains("at least"), "{error}");
}
