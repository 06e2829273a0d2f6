//! The calls to CloudWatch Logs. Each is tried once: what is tried again, and when, is decided elsewhere.

use std::error::Error;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::{LogGroupClass, RejectedLogEventsInfo};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use bytes::Bytes;

use super::access::Access;
use super::body::{Finished, Handed, Watch};
use super::call::{self, Outcome};
use super::clock::ServiceTime;
use super::explain::Place;
use super::failure::{Failure, RejectedInfo};
use super::http::{Http, HttpError, Proxy};
use crate::clock::Told;
use crate::target::{GroupClass, Target};

/// Enough for one lost SYN (the kernel sends the next after a second).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The service answers in well under a second.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A body gets more time: a link that is slower than this can't be told from one that hangs.
const SLOWEST_LINK_BYTES_PER_S: u64 = 64 * 1024;
/// For credentials alone, so that a dead metadata service is told as such, and not as a call that timed out.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(5);

/// For region and endpoint. The SDK asks the instance's metadata for the region where nothing else tells it, with a limit for each answer to
/// begin, and none for it to end.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Comes before `AWS_ENDPOINT_URL`. The SDK knows it by itself; messages name it.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS";

/// Where and how CloudWatch Logs is reached.
#[derive(Debug, Clone)]
pub struct Options {
    /// The region; else what the AWS variables, the profile, and the instance's metadata say, in that order.
    pub region: Option<String>,
    /// An address other than the region's own; else what `AWS_ENDPOINT_URL_CLOUDWATCH_LOGS`, `AWS_ENDPOINT_URL` and the profile say.
    pub endpoint_url: Option<String>,
    /// A profile of the AWS configuration files; else `AWS_PROFILE`.
    pub profile: Option<String>,
    /// A file of PEM certificates to trust instead of the system's; else `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// Which proxy.
    pub proxy: Proxy,
    /// How many connections are kept for later; as many as there are requests in flight.
    pub max_connections: usize,
    /// Whether events are compressed on their way: less traffic for more processor time.
    pub gzip: bool,
    /// How long is waited for what.
    pub timeouts: Timeouts,
}

/// Time limits. Nothing is ever waited for without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the TCP connection and the TLS handshake.
    pub connect: Duration,
    /// For a whole call, from credentials to the last byte of the answer. PutLogEvents gets more, by its size.
    pub call: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: CONNECT_TIMEOUT,
            call: CALL_TIMEOUT,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            region: None,
            endpoint_url: None,
            profile: None,
            ca_bundle: None,
            proxy: Proxy::Environment,
            max_connections: 4,
            gzip: false,
            timeouts: Timeouts::default(),
        }
    }
}

/// CloudWatch Logs can't be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing says which region.
    #[error("no AWS region is known: set `region` in the configuration, or AWS_REGION")]
    NoRegion,
    /// No connection could ever be made.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// CloudWatch Logs of one region.
#[derive(Debug, Clone)]
pub struct Logs {
    client: Client,
    region: String,
    endpoint: Option<String>,
    gzip: bool,
    timeouts: Timeouts,
    clock: ServiceTime,
}

impl Logs {
    /// Finds region, endpoint and credentials as every AWS tool does. CloudWatch Logs itself is not called, and that
    /// credentials are there is seen at the first call.
    ///
    /// # Errors
    /// When no region is known, or the file of certificate authorities or the proxy's URL can't be used.
    pub async fn connect(options: &Options) -> Result<Logs, ConnectError> {
        Access::find(options).await?.logs()
    }

    /// The same over a configuration that is loaded already: of `options`, only `gzip` and `timeouts` count.
    ///
    /// # Errors
    /// When it has no region.
    pub fn over(config: &SdkConfig, options: &Options) -> Result<Logs, ConnectError> {
        Logs::at(config, None, options, ServiceTime::default())
    }

    /// The same at an address that comes before the configuration's.
    pub(super) fn at(
        config: &SdkConfig,
        endpoint_url: Option<&str>,
        options: &Options,
        clock: ServiceTime,
    ) -> Result<Logs, ConnectError> {
        let region = config.region().ok_or(ConnectError::NoRegion)?.to_string();
        let mut builder = aws_sdk_cloudwatchlogs::config::Builder::from(config)
            // Tries and time limits are ours; a second opinion inside the SDK would only hide what happens.
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(options.timeouts.connect)
                    .build(),
            )
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(clock.watch());
        if let Some(url) = endpoint_url {
            builder = builder.endpoint_url(url);
        }
        Ok(Logs {
            client: Client::from_conf(builder.build()),
            region,
            endpoint: told_endpoint(config, endpoint_url, ENDPOINT_VARIABLE),
            gzip: options.gzip,
            timeouts: options.timeouts,
            clock,
        })
    }

    /// The region that is used.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// By how much this host's clock is ahead of the service's, in milliseconds, as the last answer told (to about a
    /// second); `None` before the first.
    #[must_use]
    pub fn clock_ahead_ms(&self) -> Option<i64> {
        self.clock.ahead_ms()
    }

    /// Asks for nothing but the date of an answer: PutLogEvents without an event, which the service takes from nobody. It needs no
    /// permission that the agent does not need anyway, and a refusal tells the time as well.
    pub async fn ask_time(&self, target: &Target) -> Told {
        let before = self.clock.answers();
        let asked = self
            .client
            .put_log_events()
            .log_group_name(&target.group)
            .log_stream_name(&target.stream)
            .set_log_events(Some(Vec::new()))
            .send();
        // What it answers does not matter.
        let _ = tokio::time::timeout(self.timeouts.call, asked).await;
        self.clock.since(before)
    }

    /// PutLogEvents with a finished body, which is sent as it is and never copied.
    ///
    /// `sha256` is the body's; with it, the body is not hashed again. `target` is for messages only: the body names its own.
    ///
    /// # Errors
    /// Every failure, with what it means for these events.
    pub async fn put(
        &self,
        target: &Target,
        body: Bytes,
        sha256: Option<[u8; 32]>,
    ) -> Result<RejectedInfo, Failure> {
        let body = match self.gzip {
            true => compressed(&body),
            false => Finished {
                bytes: body,
                sha256,
                gzip: false,
            },
        };
        let limit = self.timeouts.call
            + Duration::from_secs(body.bytes.len() as u64 / SLOWEST_LINK_BYTES_PER_S);
        let output = self
            .call_within(limit, "PutLogEvents", target, Some(body), |watch| {
                self.client
                    .put_log_events()
                    .customize()
                    .interceptor(watch)
                    .send()
            })
            .await?;
        Ok(output
            .rejected_log_events_info()
            .map(rejected)
            .unwrap_or_default())
    }

    /// CreateLogGroup, with the target's class.
    ///
    /// # Errors
    /// Every failure; that the group is there already is one.
    pub async fn create_group(&self, target: &Target) -> Result<(), Failure> {
        let class = match target.class {
            // The default, and so not said: not everything that speaks this API knows classes.
            GroupClass::Standard => None,
            GroupClass::InfrequentAccess => Some(LogGroupClass::InfrequentAccess),
            // The SDK's model is older than the class.
            GroupClass::Essentials => Some(LogGroupClass::from("ESSENTIALS")),
        };
        self.call("CreateLogGroup", target, |watch| {
            self.client
                .create_log_group()
                .log_group_name(&target.group)
                .set_log_group_class(class)
                .customize()
                .interceptor(watch)
                .send()
        })
        .await
        .map(drop)
    }

    /// PutRetentionPolicy. Does nothing for a target without retention.
    ///
    /// # Errors
    /// Every failure.
    pub async fn set_retention(&self, target: &Target) -> Result<(), Failure> {
        let Some(days) = target.retention_days else {
            return Ok(());
        };
        self.call("PutRetentionPolicy", target, |watch| {
            self.client
                .put_retention_policy()
                .log_group_name(&target.group)
                .retention_in_days(i32::try_from(days).unwrap_or(i32::MAX))
                .customize()
                .interceptor(watch)
                .send()
        })
        .await
        .map(drop)
    }

    /// CreateLogStream.
    ///
    /// # Errors
    /// Every failure; that the stream is there already is one.
    pub async fn create_stream(&self, target: &Target) -> Result<(), Failure> {
        self.call("CreateLogStream", target, |watch| {
            self.client
                .create_log_stream()
                .log_group_name(&target.group)
                .log_stream_name(&target.stream)
                .customize()
                .interceptor(watch)
                .send()
        })
        .await
        .map(drop)
    }

    /// The client, for calls that have a file of their own.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// One call, watched, for as long as a call may take.
    pub(super) async fn call<T, E, F>(
        &self,
        action: &'static str,
        target: &Target,
        call: impl FnOnce(Watch) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Outcome<T, E>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.call_within(self.timeouts.call, action, target, None, call)
            .await
    }

    async fn call_within<T, E, F>(
        &self,
        limit: Duration,
        action: &'static str,
        target: &Target,
        body: Option<Finished>,
        call: impl FnOnce(Watch) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Outcome<T, E>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let place = Place {
            action,
            target,
            region: &self.region,
            endpoint: self.endpoint.as_deref(),
        };
        let handed = Handed::default();
        let watch = Watch::new(&handed, body);
        call::within(limit, place, &handed, call(watch)).await
    }
}

/// The address that messages name: what is configured, what the service's own `variable` says, or what is said for all.
pub(super) fn told_endpoint(
    config: &SdkConfig,
    endpoint_url: Option<&str>,
    variable: &str,
) -> Option<String> {
    let configured = endpoint_url.map(str::to_owned);
    let own = || std::env::var(variable).ok();
    let all = || config.endpoint_url().map(str::to_owned);
    configured.or_else(own).or_else(all)
}

/// Region, endpoint and credentials, as every AWS tool finds them.
pub(super) async fn load(
    options: &Options,
    endpoint_url: Option<&str>,
) -> Result<SdkConfig, ConnectError> {
    let http = Http::new(
        options.ca_bundle.as_deref(),
        &options.proxy,
        options.max_connections,
    )?;
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .identity_cache(
            IdentityCache::lazy()
                .load_timeout(CREDENTIALS_TIMEOUT)
                .build(),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(options.timeouts.connect)
                .build(),
        );
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    tokio::time::timeout(LOAD_TIMEOUT, loader.load())
        .await
        .map_err(|_| ConnectError::NoRegion)
}

/// "The index of the last log event that is too old. This field is exclusive."
fn rejected(info: &RejectedLogEventsInfo) -> RejectedInfo {
    let index = |index: Option<i32>| index.and_then(|index| usize::try_from(index).ok());
    RejectedInfo {
        too_old_end: index(info.too_old_log_event_end_index()),
        expired_end: index(info.expired_log_event_end_index()),
        too_new_start: index(info.too_new_log_event_start_index()),
    }
}

/// The body as gzip; as it is, should that fail, which writing to memory does not.
pub(super) fn compressed(body: &Bytes) -> Finished {
    // Lines compress about tenfold at the fastest level already.
    let mut gzip = flate2::write::GzEncoder::new(
        Vec::with_capacity(body.len() / 8),
        flate2::Compression::fast(),
    );
    match gzip.write_all(body).and_then(|()| gzip.finish()) {
        Ok(bytes) => Finished {
            bytes: bytes.into(),
            sha256: None,
            gzip: true,
        },
        Err(_) => Finished {
            bytes: body.clone(),
            sha256: None,
            gzip: false,
        },
    }
}
