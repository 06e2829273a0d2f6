//! AWS's clients in Python, pinned: the AWS CLI and boto3.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test binary uses another part of it"
)]

use std::ffi::OsString;
use std::path::PathBuf;

use lab::LabConfig;
use lab::python::Environment;
use serde_json::Value as Json;
use tokio::process::Command;

/// As requirements.in asks for them.
const REQUIREMENTS: &str = include_str!("../requirements.txt");
/// Where Canonical publishes the id of the newest Ubuntu 18.04 image.
pub(crate) const UBUNTU: &str =
    "/aws/service/canonical/ubuntu/server/18.04/stable/current/amd64/hvm/ebs-gp2/ami-id";

/// Where virtual environments are kept between test runs: the lab's own cache.
pub(crate) fn cache_dir() -> PathBuf {
    LabConfig::default().cache_dir
}

/// A virtual environment with both clients; what they talk to is in the environment variables of each call.
pub(crate) struct Clients {
    environment: Environment,
}

impl Clients {
    pub(crate) async fn prepare() -> Self {
        let say = |line: &str| eprintln!("{line}");
        let environment = Environment::prepare(&cache_dir(), "clients", REQUIREMENTS, &say)
            .await
            .unwrap();
        Self { environment }
    }

    /// What the AWS CLI prints, or its error.
    pub(crate) async fn aws(
        &self,
        env: &[(String, String)],
        arguments: &[&str],
    ) -> Result<Json, String> {
        // The program `aws` is a script; its interpreter is named so that the environment may be moved.
        let mut arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        arguments.splice(
            0..0,
            [
                self.environment.program("aws").into(),
                "--output".into(),
                "json".into(),
            ],
        );
        self.python(env, arguments).await
    }

    /// What a script prints as JSON, with `boto3`, `json`, `ec2` (a client) and `code(call, **arguments)` (the code of
    /// the error that the call answers) at hand; or its error.
    pub(crate) async fn boto3(&self, env: &[(String, String)], script: &str) -> Json {
        let script = format!(
            "import boto3, json, sys\nfrom botocore.exceptions import ClientError\nec2 = boto3.client('ec2')\n\
             def code(call, **arguments):\n    try:\n        call(**arguments)\n    \
             except ClientError as error:\n        return error.response['Error']['Code']\n\
             def show(value):\n    print(json.dumps(value, default=str))\n{script}"
        );
        self.python(env, vec!["-c".into(), script.into()])
            .await
            .unwrap()
    }

    async fn python(
        &self,
        env: &[(String, String)],
        arguments: Vec<OsString>,
    ) -> Result<Json, String> {
        let output = Command::new(self.environment.program("python"))
            .args(arguments)
            .env_clear()
            .envs(env.iter().map(|(name, value)| (name, value)))
            .env("HOME", "/nonexistent")
            .output()
            .await
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        if stdout.trim().is_empty() {
            return Ok(Json::Null);
        }
        Ok(serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {stdout}")))
    }
}
