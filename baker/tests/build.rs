//! `baker build` in a lab: real API calls, a real host, a real image, and nothing left.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/bakery.rs"]
mod bakery;
#[path = "support/guest.rs"]
mod guest;

use std::os::unix::fs::PermissionsExt;

use aws_sdk_ec2::types::InstanceStateName;

use bakery::{Bakery, run, state, text, until};
use guest::Guest;

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_becomes_an_image_that_boots_as_it_was_baked() {
    let bakery = Bakery::open();
    let kitchen = &bakery.kitchen;
    kitchen.write("tree/conf/app.toml", "port = 8000\n");
    let script = kitchen.write("tree/bin/start", "#!/bin/sh\necho started\n");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("app.toml", kitchen.path("tree/conf/current")).unwrap();
    let recipe = kitchen.write(
        "recipe.toml",
        r#"
[image]
name = "small"
from = { ubuntu = "18.04" }
tags = { Team = "web" }

[build]
instance_types = ["t3.medium"]

[[layer]]
name = "code"
[[layer.step]]
upload = { from = "tree", to = "/srv/app", owner = "www-data" }
[[layer.step]]
run = "id -un > /srv/ran-as; hostname > /srv/baked-on"

[[check]]
path = "/srv/app/conf/app.toml"
owner = "www-data"
mode = "0644"
[[check]]
command = "/srv/app/bin/start | grep -qx started"
"#,
    );
    let manifest_path = kitchen.path("manifest.json");
    let ended = run(&mut bakery.baker(&[
        "build",
        text(&recipe),
        "--output",
        "json",
        "--manifest",
        text(&manifest_path),
    ]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    // The manifest is the only thing on stdout, and the same in the file.
    let manifest: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let written = std::fs::read_to_string(&manifest_path).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&written).unwrap(),
        manifest
    );
    let image_id = manifest["image"]["id"].as_str().unwrap();
    // What the baker counted is what the lab's front door saw.
    let counted = manifest["api_calls"]["ec2:CreateImage"].as_u64();
    assert_eq!(
        counted,
        bakery.lab.requests().get("ec2:CreateImage").copied()
    );
    bakery.holds_only(&[image_id]).await;

    // Tags are on image and snapshot, the bake's own among them.
    let image = bakery.images().await.remove(0);
    let tag = |key: &str| {
        let found = image.tags().iter().find(|tag| tag.key() == Some(key));
        found.and_then(|tag| tag.value()).map(str::to_owned)
    };
    assert_eq!(tag("Team").as_deref(), Some("web"));
    assert_eq!(
        tag("baker:bake-id").as_deref(),
        manifest["bake_id"].as_str()
    );

    let guest = Guest::boot(&bakery, image_id).await;
    assert_eq!(
        guest.ask("sudo cat /srv/app/conf/current").await,
        "port = 8000"
    );
    assert_eq!(guest.ask("cat /srv/ran-as").await, "root");
    assert_eq!(
        guest.ask("stat -c '%U %a' /srv/app/bin/start").await,
        "www-data 755"
    );
    // It is a host of its own, not the one that it was baked on.
    assert_ne!(
        guest.ask("hostname").await,
        guest.ask("cat /srv/baked-on").await
    );
    let keys = guest.ask("sudo cat /home/ubuntu/.ssh/authorized_keys /root/.ssh/authorized_keys 2>/dev/null || true",
    )
    .await;
    assert!(
        !keys.contains("baker"),
        "the bake's key is still let in: {keys}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_launch_opens_one_port_to_one_address_and_asks_for_imdsv2() {
    let bakery = Bakery::open();
    let recipe = bakery.kitchen.write(
        "recipe.toml",
        "[image]\nname = \"slow\"\nfrom = { ubuntu = \"18.04\" }\n[build]\ninstance_types = [\"t3.medium\"]\n\
         [[layer]]\nname = \"wait\"\n[[layer.step]]\nrun = \"echo waiting; sleep 300\"\n",
    );
    let mut child = bakery.baker(&["build", text(&recipe)]).spawn().unwrap();
    let instance = until("the bake's instance", || async {
        let instances = bakery.instances().await;
        instances
            .into_iter()
            .find(|instance| state(instance) == InstanceStateName::Running)
    })
    .await;
    let metadata = instance.metadata_options().unwrap();
    assert_eq!(metadata.http_tokens().unwrap().as_str(), "required");
    assert_eq!(metadata.http_put_response_hop_limit(), Some(1));
    assert_eq!(instance.key_name(), None);
    let groups = instance.security_groups();
    assert_eq!(groups.len(), 1);
    let group = bakery
        .ec2
        .describe_security_groups()
        .group_ids(groups[0].group_id().unwrap())
        .send()
        .await
        .unwrap();
    let rules = group.security_groups()[0].ip_permissions();
    assert_eq!(rules.len(), 1, "{rules:?}");
    assert_eq!(
        (rules[0].from_port(), rules[0].to_port()),
        (Some(22), Some(22))
    );
    let cidrs: Vec<&str> = rules[0]
        .ip_ranges()
        .iter()
        .filter_map(|range| range.cidr_ip())
        .collect();
    assert_eq!(cidrs.len(), 1, "{cidrs:?}");
    assert!(cidrs[0].ends_with("/32"), "{cidrs:?}");

    // A crash leaves a journal that names everything that lives.
    child.kill().unwrap();
    child.wait().unwrap();
    let (path, records) = bakery.kitchen.journals().remove(0);
    assert!(!baker::journal::is_alive(&path).unwrap());
    let plan = baker::journal::cleanup_plan(&records);
    let ids: Vec<&str> = plan
        .iter()
        .filter_map(|resource| resource.id.as_deref())
        .collect();
    assert_eq!(
        ids,
        [
            instance.instance_id().unwrap(),
            groups[0].group_id().unwrap()
        ]
    );
}
