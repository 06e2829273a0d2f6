//! The instance's metadata (IMDSv2), asked through the SDK's client.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use aws_config::imds::Client;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;
use serde::Deserialize;

use super::Tags;
use crate::aws::{Http, causes};

/// The service is on the host's own link and answers in a millisecond or not at all.
const TIMEOUT: Duration = Duration::from_secs(1);
/// For a host that is just coming up, or a lost packet.
const ATTEMPTS: u32 = 2;
/// An instance has 50 tags at most, and each is a request.
const ALL_TIMEOUT: Duration = Duration::from_secs(5);

const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
const TAGS: &str = "/latest/meta-data/tags/instance";

/// Where metadata is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metadata {
    /// Where EC2 has it, or where the profile says.
    Usual,
    /// There, and it is expected to answer.
    At(String),
    /// Nowhere.
    Off,
}

impl Metadata {
    /// As `AWS_EC2_METADATA_DISABLED` and `AWS_EC2_METADATA_SERVICE_ENDPOINT` say.
    #[must_use]
    pub fn from_environment() -> Metadata {
        let variable = |name| std::env::var(name).ok().filter(|it| !it.is_empty());
        if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            return Metadata::Off;
        }
        match variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
            Some(url) => Metadata::At(url),
            None => Metadata::Usual,
        }
    }

    /// Whether somebody says that there is metadata.
    pub(super) fn is_expected(&self) -> bool {
        matches!(self, Metadata::At(_))
    }
}

/// What became of asking.
#[derive(Debug)]
pub(super) enum Answer {
    Given(Document),
    /// Nobody was asked.
    Off,
    /// No answer, or not a whole one.
    None {
        why: String,
    },
}

/// What the instance is told about itself.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) instance_id: String,
    pub(super) private_ip: Option<Ipv4Addr>,
    pub(super) region: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) image_id: Option<String>,
    pub(super) instance_type: Option<String>,
    pub(super) tags: Tags,
}

/// The identity document, as far as it matters. Source: EC2 user guide, "Instance identity documents".
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    instance_id: String,
    private_ip: Option<Ipv4Addr>,
    region: Option<String>,
    availability_zone: Option<String>,
    image_id: Option<String>,
    instance_type: Option<String>,
}

/// Asks, for a bounded time.
pub(super) async fn ask(metadata: &Metadata) -> Answer {
    if *metadata == Metadata::Off {
        return Answer::Off;
    }
    match tokio::time::timeout(ALL_TIMEOUT, read(metadata)).await {
        Ok(Ok(document)) => Answer::Given(document),
        Ok(Err(why)) => Answer::None { why },
        Err(_) => Answer::None {
            why: format!("not all was answered within {ALL_TIMEOUT:?}"),
        },
    }
}

async fn read(metadata: &Metadata) -> Result<Document, String> {
    let mut client = Client::builder()
        .configure(&ProviderConfig::without_region().with_http_client(Http::direct()))
        .connect_timeout(TIMEOUT)
        .read_timeout(TIMEOUT)
        .max_attempts(ATTEMPTS);
    if let Metadata::At(url) = metadata {
        client = client
            .endpoint(url)
            .map_err(|error| format!("{url} is no URL: {error}"))?;
    }
    let client = client.build();
    let identity = client
        .get(DOCUMENT)
        .await
        .map_err(|error| format!("{DOCUMENT}: {}", told(&error)))?;
    let identity: Identity = serde_json::from_str(identity.as_ref())
        .map_err(|error| format!("{DOCUMENT} is not understood: {error}"))?;
    Ok(Document {
        instance_id: identity.instance_id,
        private_ip: identity.private_ip,
        region: identity.region,
        zone: identity.availability_zone,
        image_id: identity.image_id,
        instance_type: identity.instance_type,
        tags: tags(&client).await?,
    })
}

async fn tags(client: &Client) -> Result<Tags, String> {
    let names = match client.get(TAGS).await {
        Ok(names) => names,
        Err(error) if status(&error) == Some(404) => {
            return Ok(Tags::Unknown(
                "this instance's tags are not in its metadata; allow it with `aws ec2 modify-instance-metadata-options \
                 --instance-metadata-tags enabled`"
                    .into(),
            ));
        }
        Err(error) => return Err(format!("{TAGS}: {}", told(&error))),
    };
    let mut tags = BTreeMap::new();
    for name in names.as_ref().lines().filter(|name| !name.is_empty()) {
        let path = format!("{TAGS}/{name}");
        match client.get(path.as_str()).await {
            Ok(value) => {
                tags.insert(name.to_owned(), value.as_ref().to_owned());
            }
            // Taken away between the two requests.
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => return Err(format!("{path}: {}", told(&error))),
        }
    }
    Ok(Tags::Known(tags))
}

fn status(error: &ImdsError) -> Option<u16> {
    match error {
        ImdsError::ErrorResponse(answer) => Some(answer.response().status().as_u16()),
        _ => None,
    }
}

fn told(error: &ImdsError) -> String {
    match status(error) {
        Some(status) => format!("status {status}"),
        None => causes(error),
    }
}
