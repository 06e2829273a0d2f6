//! Who the host is, as instance metadata tells it.

use std::time::Duration;

use baker_agent::host::{Host, HostError, IdFrom, Metadata, Search, Tags};
use serde_json::json;

use crate::server::{Reply, Request, Server};

pub(crate) const TOKEN: &str = "a token";

/// Metadata of an instance with these tags; `None`: tags are not allowed in it.
fn instance(tags: Option<&'static [(&str, &str)]>) -> Server {
    Server::start(move |request: &Request| {
        if request.target == "/latest/api/token" && request.method == "PUT" {
            let ttl = vec![("x-aws-ec2-metadata-token-ttl-seconds", "21600".to_owned())];
            return Reply::Answer(200, ttl, TOKEN.into());
        }
        if request.header("x-aws-ec2-metadata-token") != Some(TOKEN) {
            return Reply::status(401, "");
        }
        let tags_at = "/latest/meta-data/tags/instance";
        match (request.target.as_str(), tags) {
            ("/latest/dynamic/instance-identity/document", _) => Reply::json(
                &json!({
                    "accountId": "123456789012",
                    "availabilityZone": "eu-west-1b",
                    "imageId": "ami-1",
                    "instanceId": "i-0123456789abcdef0",
                    "privateIp": "10.1.2.3",
                    "region": "eu-west-1",
                    "devpayProductCodes": null,
                })
                .to_string(),
            ),
            (path, Some(tags)) if path == tags_at => {
                let names: Vec<_> = tags.iter().map(|(name, _)| *name).collect();
                Reply::json(&names.join("\n"))
            }
            (path, Some(tags)) => {
                let name = path.strip_prefix(&format!("{tags_at}/"));
                match tags.iter().find(|(known, _)| Some(*known) == name) {
                    Some((_, value)) => Reply::json(value),
                    None => Reply::status(404, ""),
                }
            }
            _ => Reply::status(404, ""),
        }
    })
}

pub(crate) async fn search(metadata: Metadata) -> Result<Host, HostError> {
    let root = tempfile::tempdir().unwrap();
    let files = [
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ("proc/sys/kernel/hostname", "web-1\n"),
    ];
    for (path, content) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    Search {
        instance_id: None,
        metadata,
        root: root.path().to_owned(),
    }
    .run()
    .await
}

#[tokio::test]
async fn an_instance_knows_its_id_address_and_tags() {
    let server = instance(Some(&[
        ("Name", "shop"),
        ("aws:autoscaling:groupName", "web"),
    ]));
    let host = search(Metadata::At(server.url())).await.unwrap();
    assert_eq!(host.instance_id, "i-0123456789abcdef0");
    assert_eq!(host.id_from, IdFrom::Metadata);
    assert_eq!(host.hostname, "web-1");
    assert_eq!(host.ip, Some([10, 1, 2, 3].into()));
    assert_eq!(host.region.as_deref(), Some("eu-west-1"));
    assert_eq!(host.zone.as_deref(), Some("eu-west-1b"));
    assert_eq!(host.asg(), Ok("web"));
    assert_eq!(host.tag("Name"), Ok("shop"));
    assert!(host.tag("Stage").unwrap_err().contains("no tag Stage"));
}

#[tokio::test]
async fn tags_that_are_not_allowed_in_metadata_are_told_as_such() {
    let server = instance(None);
    let host = search(Metadata::At(server.url())).await.unwrap();
    assert!(matches!(host.tags, Tags::Unknown(_)));
    assert!(
        host.asg()
            .unwrap_err()
            .contains("--instance-metadata-tags enabled")
    );
}

#[tokio::test]
async fn metadata_that_should_answer_and_does_not_is_no_reason_for_another_id() {
    for reply in [
        Reply::Close,
        Reply::status(500, ""),
        Reply::status(404, ""),
        Reply::Silence,
    ] {
        let server = Server::start({
            let reply = reply.clone();
            move |_| reply.clone()
        });
        // Bounded from outside as well: a test that hangs tells nothing.
        let found =
            tokio::time::timeout(Duration::from_secs(60), search(Metadata::At(server.url())))
                .await
                .unwrap();
        let error = found.unwrap_err();
        assert!(
            matches!(error, HostError::Metadata { .. }),
            "{reply:?}: {error}"
        );
    }
}

#[tokio::test]
async fn off_ec2_the_machine_s_id_is_used() {
    let host = search(Metadata::Off).await.unwrap();
    assert_eq!(host.id_from, IdFrom::MachineId);
    assert!(host.asg().unwrap_err().contains("turned off"));
}
