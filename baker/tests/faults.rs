//! An AWS throttle or hiccup is never a failed bake, and none of them makes a thing twice or leaves one behind.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/bakery.rs"]
mod bakery;
#[path = "support/fault_door.rs"]
mod fault_door;

use std::io::{BufRead, BufReader, Read};

use bakery::{Bakery, Ended, run, text};
use fault_door::{Fault, FaultDoor, Rule};

const RECIPE: &str = "[image]\nname = \"small\"\nfrom = { ubuntu = \"18.04\" }\n[build]\n\
                      instance_types = [\"m5.metal\", \"t3.medium\"]\n[[layer]]\nname = \"one\"\n[[layer.step]]\n\
                      run = \"true\"\n";

fn rule(texts: &'static [&'static str], times: usize, fault: Fault) -> Rule {
    Rule {
        texts,
        times,
        fault,
    }
}

fn build(bakery: &Bakery, door: &FaultDoor) -> Ended {
    let path = bakery.kitchen.write("recipe.toml", RECIPE);
    run(bakery
        .baker(&["build", text(&path), "--output", "json"])
        .env("AWS_ENDPOINT_URL", &door.endpoint))
}

/// The id of the image that a bake says it made, and the type of the instance that it was made on.
#[track_caller]
fn made(ended: &Ended) -> (String, String) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let manifest: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    (
        text(&manifest["image"]["id"]),
        text(&manifest["instance_type"]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_lost_after_aws_acted_make_nothing_twice() {
    let bakery = Bakery::open();
    let door = FaultDoor::open(
        bakery.lab.endpoint(),
        vec![
            rule(&["Action=CreateSecurityGroup"], 1, Fault::LoseAnswer),
            rule(
                &["Action=AuthorizeSecurityGroupIngress"],
                1,
                Fault::LoseAnswer,
            ),
            rule(&["Action=RunInstances"], 1, Fault::LoseAnswer),
            rule(&["Action=CreateImage"], 1, Fault::LoseAnswer),
            rule(&["Action=TerminateInstances"], 1, Fault::LoseAnswer),
            rule(&["Action=DeleteSecurityGroup"], 1, Fault::LoseAnswer),
        ],
    );
    let (image, _) = made(&build(&bakery, &door));
    door.all_happened();
    assert_eq!(
        bakery.instances().await.len(),
        1,
        "one launch, one instance"
    );
    bakery.holds_only(&[&image]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttles_and_server_errors_are_waited_out() {
    let bakery = Bakery::open();
    let throttled = Fault::Refuse(503, "RequestLimitExceeded");
    let door = FaultDoor::open(
        bakery.lab.endpoint(),
        vec![
            rule(&["Action=RunInstances"], 2, throttled),
            rule(&["Action=DescribeInstances"], 2, throttled),
            rule(
                &["Action=CreateImage"],
                1,
                Fault::Refuse(500, "InternalError"),
            ),
            rule(
                &["Action=DeleteSecurityGroup"],
                2,
                Fault::Refuse(400, "DependencyViolation"),
            ),
        ],
    );
    let (image, _) = made(&build(&bakery, &door));
    door.all_happened();
    bakery.holds_only(&[&image]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_visible_yet_is_not_missing() {
    let bakery = Bakery::open();
    let door = FaultDoor::open(
        bakery.lab.endpoint(),
        vec![
            rule(
                &["Action=AuthorizeSecurityGroupIngress"],
                2,
                Fault::Refuse(400, "InvalidGroup.NotFound"),
            ),
            rule(
                &["Action=RunInstances"],
                1,
                Fault::Refuse(400, "InvalidGroup.NotFound"),
            ),
            rule(
                &["Action=DescribeInstances"],
                3,
                Fault::Refuse(400, "InvalidInstanceID.NotFound"),
            ),
        ],
    );
    let (image, _) = made(&build(&bakery, &door));
    door.all_happened();
    bakery.holds_only(&[&image]).await;
}

/// No capacity for the preferred type, a number of times.
fn full(bakery: &Bakery, times: usize) -> FaultDoor {
    let metal = &["Action=RunInstances", "InstanceType=m5.metal"];
    let fault = Fault::Refuse(500, "InsufficientInstanceCapacity");
    FaultDoor::open(bakery.lab.endpoint(), vec![rule(metal, times, fault)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_without_capacity_gives_way_to_another_one() {
    let bakery = Bakery::open();
    let door = full(&bakery, 1);
    let ended = build(&bakery, &door);
    let (image, instance_type) = made(&ended);
    door.all_happened();
    assert_eq!(instance_type, "m5.metal");
    assert!(
        ended.stderr.contains("warning: no m5.metal in subnet-"),
        "{}",
        ended.stderr
    );
    bakery.holds_only(&[&image]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_without_capacity_anywhere_gives_way_to_the_next_type() {
    let bakery = Bakery::open();
    let subnets = bakery.ec2.describe_subnets().send().await.unwrap();
    let door = full(&bakery, subnets.subnets().len());
    let (image, instance_type) = made(&build(&bakery, &door));
    door.all_happened();
    assert_eq!(instance_type, "t3.medium");
    bakery.holds_only(&[&image]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_launch_names_the_permission_and_leaves_nothing() {
    let bakery = Bakery::open();
    let door = FaultDoor::open(
        bakery.lab.endpoint(),
        vec![rule(
            &["Action=RunInstances"],
            1,
            Fault::Refuse(403, "UnauthorizedOperation"),
        )],
    );
    build(&bakery, &door).failed_with(3, &["no permission for ec2:RunInstances", "policy"]);
    assert!(bakery.instances().await.is_empty());
    bakery.holds_only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_removed_is_named_with_the_command_that_removes_it() {
    let bakery = Bakery::open();
    let door = FaultDoor::open(
        bakery.lab.endpoint(),
        vec![rule(
            &["Action=DeleteSecurityGroup"],
            1,
            Fault::Refuse(403, "UnauthorizedOperation"),
        )],
    );
    let ended = build(&bakery, &door);
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("ami-"),
        "the image was made all the same: {}",
        ended.stdout
    );
    let command = "aws ec2 delete-security-group --region us-east-1 --group-id sg-";
    assert!(ended.stderr.contains(command), "{}", ended.stderr);
    let (_, records) = bakery.kitchen.journals().remove(0);
    assert_eq!(
        baker::journal::outstanding(&records).len(),
        1,
        "{records:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_wait_for_the_image_removes_image_and_snapshot() {
    let bakery = Bakery::open_with(|config| config.timing.image_pending_ms = 120_000);
    let path = bakery.kitchen.write("recipe.toml", RECIPE);
    let mut child = bakery.baker(&["build", text(&path)]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("to be available: pending") {
        let mut line = String::new();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "{seen}");
        seen.push_str(&line);
    }
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    stderr.read_to_string(&mut seen).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{seen}");
    assert!(seen.contains("removed image ami-"), "{seen}");
    assert!(seen.contains("removed snapshot snap-"), "{seen}");
    bakery.holds_only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_launch_call_is_found_by_its_tag() {
    let bakery = Bakery::open();
    // AWS acts on the launch, and every answer gets lost: only its tag tells whose the instance is.
    let door = FaultDoor::open(
        bakery.lab.endpoint(),
        vec![rule(&["Action=RunInstances"], 1000, Fault::LoseAnswer)],
    );
    let path = bakery.kitchen.write("recipe.toml", RECIPE);
    let mut child = bakery
        .baker(&["build", text(&path)])
        .env("AWS_ENDPOINT_URL", &door.endpoint)
        .spawn()
        .unwrap();
    bakery::until("the instance", || async {
        (!bakery.instances().await.is_empty()).then_some(())
    })
    .await;
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(stderr.contains("removed instance i-"), "{stderr}");
    bakery.holds_only(&[]).await;
}
