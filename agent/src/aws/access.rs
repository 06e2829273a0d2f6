//! Region, credentials and connections, found once and shared: each service's client is a thin thing above them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_smithy_async::time::TimeSource;

use super::clock::ServiceTime;
use super::logs::{self, ConnectError, Logs, Options};
use super::metrics::Metrics;
use crate::clock::Now;

/// Time for the SDK.
struct Clock<F>(F);

impl<F> fmt::Debug for Clock<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl<F: Fn() -> Now + Send + Sync> TimeSource for Clock<F> {
    fn now(&self) -> SystemTime {
        let unix_ms = u64::try_from((self.0)().unix_ms).unwrap_or(0);
        UNIX_EPOCH + Duration::from_millis(unix_ms)
    }
}

/// Access to AWS as this host has it. A clone shares credentials and connections.
#[derive(Debug, Clone)]
pub struct Access {
    config: SdkConfig,
    options: Options,
    time: ServiceTime,
}

impl Access {
    /// Finds region and credentials as every AWS tool does, and calls nothing: that credentials are there is seen at the first call.
    ///
    /// # Errors
    /// When the file of certificate authorities or the proxy's URL can't be used.
    pub async fn find(options: &Options) -> Result<Self, ConnectError> {
        Ok(Self::over(logs::load(options, None).await?, options))
    }

    /// The same over a configuration that is loaded already.
    #[must_use]
    pub fn over(config: SdkConfig, options: &Options) -> Self {
        Self {
            config,
            options: options.clone(),
            time: ServiceTime::default(),
        }
    }

    /// CloudWatch Logs, at the address that the options give.
    ///
    /// # Errors
    /// When no region is known.
    pub fn logs(&self) -> Result<Logs, ConnectError> {
        Logs::at(
            &self.config,
            self.options.endpoint_url.as_deref(),
            &self.options,
            self.time.clone(),
        )
    }

    /// Signs, and judges whether credentials have expired, by this clock alone. By itself the SDK corrects the host's by what the last answer
    /// told, so that the first request after a jump of that clock is refused.
    #[must_use]
    pub fn by(self, clock: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        let config = self.config.into_builder();
        Self {
            config: config
                .time_source(Clock(clock))
                .disable_clock_skew_correction(true)
                .build(),
            ..self
        }
    }

    /// What all answers tell of the time.
    #[must_use]
    pub fn time(&self) -> &ServiceTime {
        &self.time
    }

    /// CloudWatch's metrics; `endpoint_url` comes before `AWS_ENDPOINT_URL_CLOUDWATCH` and `AWS_ENDPOINT_URL`.
    ///
    /// # Errors
    /// When no region is known.
    pub fn metrics(&self, endpoint_url: Option<&str>) -> Result<Metrics, ConnectError> {
        Metrics::at(&self.config, endpoint_url, &self.options, &self.time)
    }
}
