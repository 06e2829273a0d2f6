//! Environments in which a bake cannot succeed: each ends with a message that says where and what to do, the exit code
//! that the help documents, and nothing left.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/bakery.rs"]
mod bakery;

use std::io::{BufRead, BufReader, Read};
use std::process::Child;

use bakery::{Bakery, Ended, Kitchen, run, text};

const ENVIRONMENT: i32 = 3;
const RECIPE: i32 = 4;
const HOST: i32 = 5;
const INTERRUPTED: i32 = 130;

/// A recipe with one step, from some source.
fn recipe(from: &str, build: &str, rest: &str) -> String {
    format!(
        "[image]\nname = \"small\"\nfrom = {from}\n[build]\ninstance_types = [\"t3.medium\"]\n{build}\n{rest}\n"
    )
}

fn step(run: &str) -> String {
    format!("[[layer]]\nname = \"one\"\n[[layer.step]]\nname = \"the step\"\nrun = '''{run}'''")
}

const UBUNTU: &str = "{ ubuntu = \"18.04\" }";

#[test]
fn without_credentials_the_message_says_how_to_get_some() {
    let kitchen = Kitchen::new();
    let path = kitchen.write("recipe.toml", &recipe(UBUNTU, "", &step("true")));
    let ended = run(kitchen
        .baker(&["build", text(&path)])
        .env("AWS_REGION", "us-east-1"));
    ended.failed_with(
        ENVIRONMENT,
        &["no AWS credentials found", "AWS_PROFILE", "aws sso login"],
    );
    assert!(kitchen.journals().is_empty());
}

#[test]
fn without_a_region_the_message_says_how_to_name_one() {
    let kitchen = Kitchen::new();
    let path = kitchen.write("recipe.toml", &recipe(UBUNTU, "", &step("true")));
    let ended = run(kitchen
        .baker(&["build", text(&path)])
        .env("AWS_ACCESS_KEY_ID", "lab")
        .env("AWS_SECRET_ACCESS_KEY", "lab"));
    ended.failed_with(ENVIRONMENT, &["no AWS region is set", "--region"]);
}

/// One lab for everything that is found out before anything is created.
#[tokio::test(flavor = "multi_thread")]
async fn what_look_ups_find_missing_is_said_before_anything_is_created() {
    let bakery = Bakery::open();
    let build = |name: &str, content: &str| -> Ended {
        let path = bakery
            .kitchen
            .write(&format!("{name}/recipe.toml"), content);
        run(&mut bakery.baker(&["build", text(&path)]))
    };

    let ami = recipe("{ ami = \"ami-0123456789abcdef0\" }", "", &step("true"));
    build("ami", &ami).failed_with(
        ENVIRONMENT,
        &[
            "ami-0123456789abcdef0 does not exist in us-east-1",
            "differ from region to region",
        ],
    );
    let release = recipe("{ ubuntu = \"99.04\" }", "", &step("true"));
    build("release", &release).failed_with(
        ENVIRONMENT,
        &[
            "no Ubuntu 99.04 image found in us-east-1",
            "099720109477",
            "ami = ",
        ],
    );
    let parameter = recipe("{ ssm = \"/no/such/parameter\" }", "", &step("true"));
    build("parameter", &parameter).failed_with(
        ENVIRONMENT,
        &["/no/such/parameter does not exist in us-east-1"],
    );
    let subnet = recipe(
        UBUNTU,
        "subnet = \"subnet-0123456789abcdef0\"",
        &step("true"),
    );
    build("subnet", &subnet).failed_with(
        ENVIRONMENT,
        &[
            "subnet-0123456789abcdef0 does not exist in us-east-1",
            "[build].subnet",
        ],
    );

    remove_default_vpc(&bakery).await;
    let plain = recipe(UBUNTU, "", &step("true"));
    build("vpc", &plain).failed_with(
        ENVIRONMENT,
        &[
            "us-east-1 has no default VPC",
            "[build] subnet = ",
            "create-default-vpc",
        ],
    );

    for operation in [
        "ec2:CreateSecurityGroup",
        "ec2:RunInstances",
        "ec2:CreateImage",
    ] {
        assert_eq!(bakery.lab.requests().get(operation), None, "{operation}");
    }
    assert!(bakery.kitchen.journals().is_empty());
}

async fn remove_default_vpc(bakery: &Bakery) {
    let subnets = bakery.ec2.describe_subnets().send().await.unwrap();
    for subnet in subnets.subnets() {
        let id = subnet.subnet_id().unwrap();
        bakery
            .ec2
            .delete_subnet()
            .subnet_id(id)
            .send()
            .await
            .unwrap();
    }
    let vpcs = bakery.ec2.describe_vpcs().send().await.unwrap();
    for vpc in vpcs.vpcs() {
        let id = vpc.vpc_id().unwrap();
        bakery.ec2.delete_vpc().vpc_id(id).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_step_or_check_shows_itself_and_leaves_nothing() {
    let bakery = Bakery::open();
    let failing = step("echo the last words; echo and an oops >&2; exit 7");
    let path = bakery
        .kitchen
        .write("step/recipe.toml", &recipe(UBUNTU, "", &failing));
    let ended = run(&mut bakery.baker(&["build", text(&path)]));
    ended.failed_with(
        RECIPE,
        &["the step", "exit status 7", "the last words", "and an oops"],
    );
    assert!(
        ended.message().contains("exit 7"),
        "the command is not shown:\n{}",
        ended.message()
    );
    bakery.holds_only(&[]).await;

    let checks = format!(
        "{}\n[[check]]\npath = \"/etc/passwd\"\nmode = \"0600\"\n[[check]]\nport = 4711\ntimeout = \"1s\"",
        step("true")
    );
    let path = bakery
        .kitchen
        .write("check/recipe.toml", &recipe(UBUNTU, "", &checks));
    let ended = run(&mut bakery.baker(&["build", text(&path)]));
    ended.failed_with(RECIPE, &["/etc/passwd", "0600", "4711"]);
    bakery.holds_only(&[]).await;
}

/// Reads a child's stderr up to the line that has a text in it.
fn read_until(child: &mut Child, wanted: &str) -> BufReader<std::process::ChildStderr> {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(
            stderr.read_line(&mut line).unwrap(),
            0,
            "{wanted:?} never came:\n{seen}"
        );
        seen.push_str(&line);
        if line.contains(wanted) {
            return stderr;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_the_middle_of_a_step_cleans_up() {
    let bakery = Bakery::open();
    let slow = step("echo now it runs; sleep 300");
    let path = bakery
        .kitchen
        .write("recipe.toml", &recipe(UBUNTU, "", &slow));
    let mut child = bakery.baker(&["build", text(&path)]).spawn().unwrap();
    let mut stderr = read_until(&mut child, "| now it runs");
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(INTERRUPTED), "{rest}");
    assert!(rest.contains("removed instance i-"), "{rest}");
    bakery.holds_only(&[]).await;
}

/// An image whose hosts run no sshd is a host that is never reached.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_ssh_is_given_up_with_its_console_and_hints() {
    let bakery = Bakery::open();
    let mute = step(
        "systemctl disable ssh.service ssh.socket 2>/dev/null || systemctl disable ssh.service\nsystemctl mask ssh.service",
    );
    let path = bakery
        .kitchen
        .write("mute/recipe.toml", &recipe(UBUNTU, "", &mute));
    let baked = run(&mut bakery.baker(&["build", text(&path), "--output", "json"]));
    assert_eq!(baked.code, Some(0), "{}", baked.stderr);
    let manifest: serde_json::Value = serde_json::from_str(&baked.stdout).unwrap();
    let image = manifest["image"]["id"].as_str().unwrap();

    let from = format!("{{ ami = \"{image}\" }}");
    let content = recipe(&from, "timeout = \"20s\"", &step("true"));
    let path = bakery.kitchen.write("deaf/recipe.toml", &content);
    let ended = run(&mut bakery.baker(&["build", text(&path)]));
    ended.failed_with(
        HOST,
        &[
            "never reachable over SSH",
            "connection refused",
            "does it start sshd",
            "the console of i-",
        ],
    );
    bakery.holds_only(&[image]).await;
}
