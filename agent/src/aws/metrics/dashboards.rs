//! PutDashboard.

use std::cell::RefCell;

use aws_sdk_cloudwatch::operation::put_dashboard::PutDashboardError;
use aws_sdk_cloudwatch::types::DashboardValidationMessage;
use aws_smithy_runtime_api::client::result::SdkError;
use serde::Serialize;

use super::Metrics;
use crate::aws::failure::Failure;

/// What CloudWatch says of a place in a dashboard's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Where: a JSON pointer, `/widgets/0/properties`.
    pub path: String,
    /// What it says.
    pub message: String,
}

/// A dashboard that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutFailure {
    /// What happened, and what can be done.
    pub failure: Failure,
    /// What is wrong with the body, where that is why.
    pub remarks: Vec<Remark>,
}

impl Metrics {
    /// PutDashboard: makes the dashboard, or replaces the one of that name. Returns what CloudWatch does not understand of the body and keeps all the
    /// same.
    ///
    /// # Errors
    /// Every failure, with what it means and what is wrong with the body.
    pub async fn put_dashboard(&self, name: &str, body: &str) -> Result<Vec<Remark>, PutFailure> {
        let wrong = RefCell::new(Vec::new());
        let put = self.call("PutDashboard", name, None, |watch| {
            let sent = self
                .client
                .put_dashboard()
                .dashboard_name(name)
                .dashboard_body(body)
                .customize()
                .interceptor(watch)
                .send();
            async {
                let outcome = sent.await;
                if let Err(SdkError::ServiceError(error)) = &outcome
                    && let PutDashboardError::DashboardInvalidInputError(error) = error.err()
                {
                    wrong.replace(remarks(error.dashboard_validation_messages()));
                }
                outcome
            }
        });
        match put.await {
            Ok(output) => Ok(remarks(output.dashboard_validation_messages())),
            Err(failure) => Err(PutFailure {
                failure,
                remarks: wrong.take(),
            }),
        }
    }
}

fn remarks(messages: &[DashboardValidationMessage]) -> Vec<Remark> {
    messages
        .iter()
        .map(|message| Remark {
            path: message.data_path().unwrap_or_default().to_owned(),
            message: message.message().unwrap_or_default().to_owned(),
        })
        .collect()
}
