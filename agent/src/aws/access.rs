//! Region, credentials and connections, found once and shared: each service's client is a thin thing above them.

use aws_config::SdkConfig;

use super::clock::ServiceTime;
use super::logs::{self, ConnectError, Logs, Options};
use super::metrics::Metrics;

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
