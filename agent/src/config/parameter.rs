//! A configuration that is a parameter of Systems Manager: asked for, and read.

use super::diagnostics::Problems;
use super::{Settings, Source, Value, load_text};
use crate::aws::{ConnectError, Failure, FailureKind, Options, Parameters};

/// What a configuration is stored as.
const PLAIN: &str = "String";

/// A parameter, wherever it is. What the configuration itself says of AWS is not known before it is read: region, endpoint and credentials are
/// those of the environment.
#[derive(Debug)]
pub struct Remote {
    name: String,
    client: Option<Parameters>,
}

/// A parameter that can't be had, or is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody can be asked.
    #[error(
        "it is not known where to ask for the parameter {name}: set AWS_REGION, or let the instance's metadata tell"
    )]
    Connect {
        /// Its name.
        name: String,
        /// Why not.
        source: ConnectError,
    },
    /// The service was asked, and did not give it.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// It is a secret, or a list.
    #[error(
        "the parameter {name} is a {kind}, and a configuration is a {PLAIN}: a copy of it is kept on the disk, so it is no place for secrets; put it anew with --type {PLAIN}"
    )]
    Kind {
        /// Its name.
        name: String,
        /// What it is.
        kind: String,
    },
}

impl FetchError {
    /// Whether there is too much asking.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.kind == FailureKind::Throttled)
    }
}

impl Remote {
    /// Nobody is asked yet.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self { name, client: None }
    }

    /// The parameter's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says now. Tried once, for a bounded time.
    ///
    /// # Errors
    /// When it can't be had, or is no text that may be kept on a disk.
    pub async fn fetch(&mut self) -> Result<Value, FetchError> {
        let client = match &self.client {
            Some(client) => client,
            None => {
                let client = Parameters::connect(&Options::default()).await;
                let name = self.name.clone();
                let client = client.map_err(|source| FetchError::Connect { name, source })?;
                self.client.insert(client)
            }
        };
        let parameter = client.get(&self.name).await.map_err(FetchError::Failed)?;
        match parameter.kind == PLAIN {
            true => Ok(Value {
                version: parameter.version,
                text: parameter.value,
            }),
            false => Err(FetchError::Kind {
                name: self.name.clone(),
                kind: parameter.kind,
            }),
        }
    }

    /// What a value of it means.
    ///
    /// # Errors
    /// Everything that is wrong in it, each at its place.
    pub fn read(&self, value: &Value) -> Result<Settings, Problems> {
        load_text(
            &Source::Parameter(self.name.clone()).to_string(),
            &value.text,
        )
    }
}
