//! What moto has on record, and the lab's reports of what its hosts have done: a client of moto's control API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

/// moto answers from memory; past this it hangs.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// All records of all accounts and regions, as of one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Records {
    /// Terminated ones too.
    pub instances: Vec<Instance>,
    /// Those of the catalog too.
    pub images: Vec<Image>,
    /// Those of the catalog's images too.
    pub snapshots: Vec<Snapshot>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Instance {
    /// 12 digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// `i-…`
    pub id: String,
    /// What DescribeInstances shows.
    pub state: InstanceState,
    /// `ami-…`
    pub image_id: String,
    /// The snapshot that its root disk is made from; none once the root volume is gone.
    pub root_snapshot_id: Option<String>,
    /// Such as `t3.micro`.
    pub instance_type: String,
    /// Its address in the VPC; none once terminated.
    pub private_ip: Option<String>,
    /// None once terminated.
    pub subnet_id: Option<String>,
    /// None once terminated.
    pub vpc_id: Option<String>,
    /// Network of that VPC, such as `10.77.0.0/16`.
    pub vpc_cidr: Option<String>,
    /// Of its first interface; none once terminated.
    pub mac: Option<String>,
    /// Such as `us-east-1a`.
    pub availability_zone: String,
    /// As it was given, still encoded.
    pub user_data_base64: Option<String>,
    /// `required` or `optional`.
    pub http_tokens: String,
    /// `enabled` or `disabled`.
    pub http_endpoint: String,
    /// Of answers to PUT requests for a token.
    pub http_hop_limit: u32,
    /// `enabled` or `disabled`.
    pub instance_metadata_tags: String,
    /// Key to value.
    pub tags: BTreeMap<String, String>,
    /// Of its instance profile.
    pub instance_profile_arn: Option<String>,
    /// Of the role in that profile.
    pub role_name: Option<String>,
    /// `stop` or `terminate`: what a shutdown from inside does.
    pub shutdown_behavior: String,
    /// Names.
    pub security_groups: Vec<String>,
    /// `sg-…`
    pub security_group_ids: Vec<String>,
    /// `r-…`
    pub reservation_id: String,
    /// RFC 3339, whole seconds; of the last start.
    pub launch_time: String,
    /// Position in its reservation.
    pub ami_launch_index: u32,
    /// Empty once terminated.
    pub private_dns_name: String,
    /// Of its EC2 key pair.
    pub key_name: Option<String>,
    /// Of that key pair, in OpenSSH's format.
    pub public_key: Option<String>,
    /// How often RebootInstances was called for it.
    pub reboot_seq: u64,
}

/// The states of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "AWS's names say it")]
pub enum InstanceState {
    Pending,
    Running,
    Stopping,
    Stopped,
    ShuttingDown,
    Terminated,
}

impl InstanceState {
    /// AWS's name of the state.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// In whose records it is; the owner of a catalog image is another.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// `ami-…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// Account that it belongs to.
    pub owner_id: String,
    /// `pending`, `available`, `failed`, `disabled`.
    pub state: String,
    /// Of its root device.
    pub root_snapshot_id: Option<String>,
    /// The instance that CreateImage was called for.
    pub source_instance_id: Option<String>,
    /// Whether that call asked not to reboot it.
    pub no_reboot: bool,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    /// 12 digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// `snap-…`
    pub id: String,
    /// `pending`, `completed`, `error`.
    pub state: String,
    /// The volume it is of, which may be gone.
    pub volume_id: String,
    /// The instance whose root volume it froze.
    pub instance_id: Option<String>,
    /// The image it was made for.
    pub image_id: Option<String>,
    /// The snapshot it is a copy of (CopySnapshot, CopyImage), possibly of another region.
    pub source_snapshot_id: Option<String>,
}

/// Why an instance changed its state, as DescribeInstances shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateReason {
    /// Such as `Client.InstanceInitiatedShutdown`.
    pub code: String,
    /// Such as `Instance initiated shutdown`.
    pub message: String,
}

/// Temporary credentials of a role, in the form in which the metadata service gives them out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RoleCredentials {
    /// `ASIA…`
    pub access_key_id: String,
    /// Secret.
    pub secret_access_key: String,
    /// Secret.
    pub token: String,
    /// RFC 3339, whole seconds.
    pub expiration: String,
}

/// Why a call of the control API failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The record is in a state that the report does not fit: it has moved on meanwhile, and the report is obsolete.
    #[error("{message}")]
    Conflict {
        /// Which record, in which state.
        message: String,
    },
    /// There is no such record (any more).
    #[error("{message}")]
    NotFound {
        /// Which one.
        message: String,
    },
    /// moto answered something else.
    #[error("moto answered {method} {path} with {status}: {body}")]
    Answer {
        /// Of the request.
        method: Method,
        /// Of the request.
        path: String,
        /// Of the answer.
        status: StatusCode,
        /// Of the answer.
        body: String,
    },
    /// moto's answer has another form than this version expects.
    #[error("moto's answer to {path} cannot be read")]
    Malformed {
        /// Of the request.
        path: String,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// moto cannot be reached: it has ended, or is about to.
    #[error("moto at {address} did not answer {path}; its log says why")]
    Unreachable {
        /// Where it listened.
        address: SocketAddr,
        /// Of the request.
        path: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A client of the control API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    address: SocketAddr,
}

impl Control {
    /// A client of the moto that listens at `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// All records as of one instant.
    ///
    /// # Errors
    /// [`ControlError`], never `Conflict` or `NotFound`.
    pub async fn records(&self) -> Result<Records, ControlError> {
        self.call(Method::GET, "/_lab/records", Bytes::new()).await
    }

    /// Reports that an instance is in `state` now.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] if a request has changed the instance's course meanwhile.
    pub async fn set_instance_state(
        &self,
        id: &str,
        state: InstanceState,
        reason: Option<&StateReason>,
    ) -> Result<(), ControlError> {
        let mut body = serde_json::json!({ "state": state });
        if let Some(reason) = reason {
            body["reason_code"] = reason.code.as_str().into();
            body["reason"] = reason.message.as_str().into();
        }
        self.post(&format!("/_lab/instances/{id}/state"), &body)
            .await
    }

    /// Reports that an image and all its snapshots are complete.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if it has been deregistered meanwhile.
    pub async fn set_image_available(&self, id: &str) -> Result<(), ControlError> {
        self.post(
            &format!("/_lab/images/{id}/state"),
            &serde_json::json!({ "state": "available" }),
        )
        .await
    }

    /// Reports that an image cannot be made.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if it has been deregistered meanwhile.
    pub async fn set_image_failed(&self, id: &str, reason: &str) -> Result<(), ControlError> {
        let body = serde_json::json!({ "state": "failed", "reason": reason });
        self.post(&format!("/_lab/images/{id}/state"), &body).await
    }

    /// Reports that a snapshot is complete, or (`false`) cannot be made.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if it has been deleted meanwhile.
    pub async fn set_snapshot_completed(
        &self,
        id: &str,
        completed: bool,
    ) -> Result<(), ControlError> {
        let state = if completed { "completed" } else { "error" };
        self.post(
            &format!("/_lab/snapshots/{id}/state"),
            &serde_json::json!({ "state": state }),
        )
        .await
    }

    /// Credentials of `instance`'s role, valid at the front door.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if the instance has no role.
    pub async fn credentials(&self, instance: &Instance) -> Result<RoleCredentials, ControlError> {
        let Some(role_name) = &instance.role_name else {
            return Err(ControlError::NotFound {
                message: format!("{} has no role", instance.id),
            });
        };
        let body = serde_json::json!({
            "account": instance.account,
            "region": instance.region,
            "role_name": role_name,
            "instance_id": instance.id,
        });
        self.call(Method::POST, "/_lab/credentials", body.to_string().into())
            .await
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Result<(), ControlError> {
        let _: serde_json::Value = self
            .call(Method::POST, path, body.to_string().into())
            .await?;
        Ok(())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ControlError> {
        let (status, answer) =
            tokio::time::timeout(CALL_LIMIT, self.exchange(method.clone(), path, body))
                .await
                .map_err(Into::into)
                .flatten()
                .map_err(|source| ControlError::Unreachable {
                    address: self.address,
                    path: path.to_owned(),
                    source,
                })?;
        let message = || {
            let document: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
            document["error"].as_str().unwrap_or_default().to_owned()
        };
        match status {
            StatusCode::OK => {
                serde_json::from_slice(&answer).map_err(|source| ControlError::Malformed {
                    path: path.to_owned(),
                    source,
                })
            }
            StatusCode::CONFLICT => Err(ControlError::Conflict { message: message() }),
            StatusCode::NOT_FOUND => Err(ControlError::NotFound { message: message() }),
            _ => Err(ControlError::Answer {
                method,
                path: path.to_owned(),
                status,
                body: String::from_utf8_lossy(&answer).into_owned(),
            }),
        }
    }

    // A connection for each call: moto's server closes it after the answer anyway.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, self.address.to_string())
            .header(hyper::header::CONTENT_LENGTH, body.len())
            .body(Full::new(body))?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            Ok((status, response.into_body().collect().await?.to_bytes()))
        };
        tokio::pin!(connection);
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            closed = &mut connection => {
                closed?;
                exchange.await
            }
        }
    }
}
