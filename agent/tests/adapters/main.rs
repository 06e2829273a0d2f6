//! The adapters to the outside, against small servers of the tests' own on loopback.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bounds;
mod failures;
mod logs;
mod metadata;
mod metrics;
mod routes;
mod server;
mod signature;

use std::path::Path;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use baker_agent::aws::{Http, Logs, Options, Proxy};
use baker_agent::target::{GroupClass, Target};

const REGION: &str = "eu-west-1";

fn credentials() -> Credentials {
    Credentials::new("AKIDEXAMPLE", "a secret key", None, None, "test")
}

fn target() -> Target {
    Target {
        group: "app".into(),
        stream: "i-1/syslog".into(),
        retention_days: Some(30),
        class: GroupClass::Standard,
    }
}

fn config(url: &str, http: Http) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials()))
        .http_client(http)
        .build()
}

/// CloudWatch Logs at that address, reached directly.
fn logs_at(url: &str) -> Logs {
    logs_with(url, &Proxy::Direct, None, &Options::default())
}

fn logs_with(url: &str, proxy: &Proxy, ca_bundle: Option<&Path>, options: &Options) -> Logs {
    let http = Http::new(ca_bundle, proxy, 4).unwrap();
    Logs::over(&config(url, http), options).unwrap()
}
