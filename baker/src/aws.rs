//! The way to AWS: credentials and region as every AWS tool finds them, clients with time limits and patience, a count
//! of every call, and errors that say what to do.

mod errors;
mod instance;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_ec2::config::ProvideCredentials;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{
    Intercept, SharedInterceptor, dyn_dispatch_hint,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

pub use errors::{CallError, Class, Explain};
pub use instance::{InstanceError, wait_for_state};

use crate::events::{Event, Events};

/// The SDK sets no time limit by itself: a dead connection would hang a bake for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(180);
/// The SDK's default is 3; parallel bakes in one account are throttled for longer than that.
const MAX_ATTEMPTS: u32 = 10;

/// What the command line says about where to work.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// `--region`; else environment and profile decide.
    pub region: Option<String>,
    /// `--profile`; else environment decides.
    pub profile: Option<String>,
}

/// AWS cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// Nothing says which region.
    #[error("no AWS region is set: pass --region, set AWS_REGION, or give the profile a region")]
    NoRegion,
    /// Nothing gives credentials.
    #[error(
        "no AWS credentials found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with \
         `aws sso login`"
    )]
    NoCredentials {
        /// Where was looked, and what was seen there.
        #[source]
        source: BoxError,
    },
}

/// Clients for one region.
#[derive(Debug, Clone)]
pub struct Aws {
    /// The region's EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// The region's SSM.
    pub ssm: aws_sdk_ssm::Client,
    /// The region's STS.
    pub sts: aws_sdk_sts::Client,
    /// The region's name.
    pub region: String,
    calls: Calls,
}

impl Aws {
    /// Finds region and credentials and makes the clients. No AWS service is called, except where the credentials
    /// themselves come from one.
    ///
    /// # Errors
    /// When no region or no credentials are found.
    pub async fn connect(choice: &Choice, events: &Events) -> Result<Aws, AwsError> {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .read_timeout(ATTEMPT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(OPERATION_TIMEOUT)
                    .build(),
            );
        if let Some(profile) = &choice.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &choice.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        let region = config.region().ok_or(AwsError::NoRegion)?.to_string();
        let credentials = config
            .credentials_provider()
            .ok_or_else(|| AwsError::NoCredentials {
                source: "no provider is configured".into(),
            })?;
        credentials
            .provide_credentials()
            .await
            .map_err(|error| AwsError::NoCredentials {
                source: error.into(),
            })?;
        let calls = Calls::default();
        let watch = SharedInterceptor::new(Watch {
            calls: calls.clone(),
            events: events.clone(),
        });
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf(
                    $sdk::config::Builder::from(&config)
                        .interceptor(watch.clone())
                        .build(),
                )
            };
        }
        Ok(Aws {
            ec2: client!(aws_sdk_ec2),
            ssm: client!(aws_sdk_ssm),
            sts: client!(aws_sdk_sts),
            region,
            calls,
        })
    }

    /// How often each operation was sent so far, retries included: `ec2:RunInstances` → 1.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.calls.lock().clone()
    }
}

/// Requests by operation.
#[derive(Debug, Clone, Default)]
struct Calls(Arc<Mutex<BTreeMap<String, u64>>>);

impl Calls {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts every request and reports the repeated ones.
#[derive(Debug)]
struct Watch {
    calls: Calls,
    events: Events,
}

#[dyn_dispatch_hint]
impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "baker::Watch"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = bag.load::<Metadata>() {
            let operation = format!("{}:{}", call.service().to_ascii_lowercase(), call.name());
            if let Some(attempts) = bag.load::<RequestAttempts>()
                && attempts.attempts() > 1
            {
                self.events.emit(Event::Retried {
                    operation: operation.clone(),
                    attempt: attempts.attempts(),
                });
            }
            *self.calls.lock().entry(operation).or_default() += 1;
        }
        Ok(())
    }
}
