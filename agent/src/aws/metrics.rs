//! The calls to CloudWatch's metrics. Each is tried once: what is tried again, and when, is decided elsewhere.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use aws_smithy_types::DateTime;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use bytes::Bytes;

use super::access::Access;
use super::body::{Finished, Handed, Watch};
use super::call::{self, Outcome};
use super::clock::ServiceTime;
use super::explain::Place;
use super::failure::{Failure, FailureKind};
use super::logs::{self, ConnectError, Options};
use crate::target::{GroupClass, Target};

mod dashboards;

pub use self::dashboards::{PutFailure, Remark};

/// Comes before `AWS_ENDPOINT_URL`. The SDK knows it by itself; messages name it.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_CLOUDWATCH";

/// CloudWatch of one region.
#[derive(Debug, Clone)]
pub struct Metrics {
    client: Client,
    region: String,
    endpoint: Option<String>,
    limit: Duration,
}

impl Metrics {
    /// Finds region, endpoint and credentials as every AWS tool does, and calls nothing. The `endpoint_url` of `options` is that of
    /// logs and does not count here; `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_CLOUDWATCH` do.
    ///
    /// # Errors
    /// As of [`Logs::connect`](super::Logs::connect).
    pub async fn connect(
        options: &Options,
        endpoint_url: Option<&str>,
    ) -> Result<Metrics, ConnectError> {
        Access::find(options).await?.metrics(endpoint_url)
    }

    /// Over what is shared with other services. The `endpoint_url` of `options` is that of logs and does not count here.
    pub(super) fn at(
        config: &SdkConfig,
        endpoint_url: Option<&str>,
        options: &Options,
        time: &ServiceTime,
    ) -> Result<Metrics, ConnectError> {
        let region = config.region().ok_or(ConnectError::NoRegion)?.to_string();
        let mut builder = aws_sdk_cloudwatch::config::Builder::from(config)
            // Tries, time limits and compression are ours.
            .retry_config(RetryConfig::disabled())
            .disable_request_compression(true)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(options.timeouts.connect)
                    .build(),
            )
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(time.watch());
        if let Some(url) = endpoint_url {
            builder = builder.endpoint_url(url);
        }
        Ok(Metrics {
            client: Client::from_conf(builder.build()),
            region,
            endpoint: logs::told_endpoint(config, endpoint_url, ENDPOINT_VARIABLE),
            limit: options.timeouts.call,
        })
    }

    /// The region that is used.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// PutMetricData with a finished body, which is compressed and otherwise sent as it is.
    ///
    /// # Errors
    /// Every failure, with what it means.
    pub async fn put(&self, namespace: &str, body: Vec<u8>) -> Result<(), Failure> {
        let body = logs::compressed(&Bytes::from(body));
        self.call("PutMetricData", namespace, Some(body), |watch| {
            self.client
                .put_metric_data()
                .customize()
                .interceptor(watch)
                .send()
        })
        .await
        .map(drop)
    }

    /// Whether PutMetricData is allowed: asked without any data, which is refused for that alone and changes nothing.
    ///
    /// # Errors
    /// When it is not, or that can't be known.
    pub async fn may_put(&self, namespace: &str) -> Result<(), Failure> {
        let answer = self.call("PutMetricData", namespace, None, |watch| {
            self.client
                .put_metric_data()
                .namespace(namespace)
                .customize()
                .interceptor(watch)
                .send()
        });
        match answer.await {
            Err(failure) if failure.kind != FailureKind::Invalid => Err(failure),
            _ => Ok(()),
        }
    }

    /// GetMetricStatistics: how many samples a metric has from `at_ms` (since 1970 UTC) on, for `period_s` seconds.
    ///
    /// # Errors
    /// Every failure, with what it means.
    pub async fn samples(
        &self,
        namespace: &str,
        name: &str,
        dimensions: &[(String, String)],
        at_ms: i64,
        period_s: u32,
    ) -> Result<f64, Failure> {
        let dimensions = dimensions
            .iter()
            .map(|(name, value)| Dimension::builder().name(name).value(value).build())
            .collect();
        let end_ms = at_ms + i64::from(period_s) * 1_000;
        let output = self
            .call("GetMetricStatistics", namespace, None, |watch| {
                self.client
                    .get_metric_statistics()
                    .namespace(namespace)
                    .metric_name(name)
                    .set_dimensions(Some(dimensions))
                    .start_time(DateTime::from_millis(at_ms))
                    .end_time(DateTime::from_millis(end_ms))
                    .period(i32::try_from(period_s).unwrap_or(60))
                    .statistics(Statistic::SampleCount)
                    .customize()
                    .interceptor(watch)
                    .send()
            })
            .await?;
        let points = output.datapoints().iter();
        Ok(points.filter_map(|point| point.sample_count()).sum())
    }

    async fn call<T, E, F>(
        &self,
        action: &'static str,
        namespace: &str,
        body: Option<Finished>,
        call: impl FnOnce(Watch) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Outcome<T, E>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        // What messages name.
        let target = Target {
            group: namespace.to_owned(),
            stream: String::new(),
            retention_days: None,
            class: GroupClass::Standard,
        };
        let place = Place {
            action,
            target: &target,
            region: &self.region,
            endpoint: self.endpoint.as_deref(),
        };
        let handed = Handed::default();
        let watch = Watch::new(&handed, body);
        call::within(self.limit, place, &handed, call(watch)).await
    }
}
