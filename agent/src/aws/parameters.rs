//! Parameters of Systems Manager. Each call is tried once: what is tried again, and when, is decided elsewhere.

use std::time::Duration;

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_ssm::Client;
use aws_smithy_types::retry::RetryConfig;

use super::body::{Handed, Watch};
use super::call;
use super::explain::Place;
use super::failure::Failure;
use super::logs::{self, ConnectError, Options};
use crate::target::{GroupClass, Target};

/// Comes before `AWS_ENDPOINT_URL`. The SDK knows it by itself; messages name it.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_SSM";

/// Systems Manager of one region.
#[derive(Debug, Clone)]
pub struct Parameters {
    client: Client,
    region: String,
    endpoint: Option<String>,
    limit: Duration,
}

/// A parameter, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// What it says; in cipher if it is a secret.
    pub value: String,
    /// Counts up with each change.
    pub version: i64,
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
}

impl Parameters {
    /// Finds region, endpoint and credentials as every AWS tool does, and calls nothing. The `endpoint_url` of `options` is that of
    /// logs and does not count here.
    ///
    /// # Errors
    /// As of [`Logs::connect`](super::Logs::connect).
    pub async fn connect(options: &Options) -> Result<Parameters, ConnectError> {
        let config = logs::load(options, None).await?;
        let region = config.region().ok_or(ConnectError::NoRegion)?.to_string();
        let client = Client::from_conf(
            aws_sdk_ssm::config::Builder::from(&config)
                // Tries and time limits are ours.
                .retry_config(RetryConfig::disabled())
                .timeout_config(
                    TimeoutConfig::builder()
                        .connect_timeout(options.timeouts.connect)
                        .build(),
                )
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                .build(),
        );
        Ok(Parameters {
            client,
            region,
            endpoint: std::env::var(ENDPOINT_VARIABLE)
                .ok()
                .or_else(|| config.endpoint_url().map(str::to_owned)),
            limit: options.timeouts.call,
        })
    }

    /// GetParameter. Nothing is decrypted: a secret comes as what it is stored as.
    ///
    /// # Errors
    /// Every failure, with what it means.
    pub async fn get(&self, name: &str) -> Result<Parameter, Failure> {
        // What messages name.
        let target = Target {
            group: name.to_owned(),
            stream: String::new(),
            retention_days: None,
            class: GroupClass::Standard,
        };
        let place = Place {
            action: "GetParameter",
            target: &target,
            region: &self.region,
            endpoint: self.endpoint.as_deref(),
        };
        let handed = Handed::default();
        let call = self
            .client
            .get_parameter()
            .name(name)
            .customize()
            .interceptor(Watch::new(&handed, None))
            .send();
        let output = call::within(self.limit, place, &handed, call).await?;
        let parameter = output.parameter.as_ref();
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Ok(Parameter {
            value: text(parameter.and_then(|it| it.value())),
            version: parameter.map_or(0, |it| it.version()),
            kind: text(parameter.and_then(|it| it.r#type()).map(|it| it.as_str())),
        })
    }
}
