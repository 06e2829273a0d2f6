//! A host of the lab, asked for over EC2's own interface and reached by SSH.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use aws_smithy_types::base64;
use lab::{Lab, LabConfig};
use tempfile::TempDir;

use crate::artefacts::run;

/// A host boots in a second or two; one that is not there by then does not come.
const BOOT_LIMIT: Duration = Duration::from_secs(90);
/// Who publishes Ubuntu's images (documentation.ubuntu.com/aws).
const CANONICAL: &str = "099720109477";

/// A running host. Dropping it takes its lab down.
pub(crate) struct Host {
    address: String,
    console: PathBuf,
    keys: TempDir,
    lab: Lab,
}

impl Host {
    /// Starts a lab with one Ubuntu host in it. Needs root.
    pub(crate) fn boot() -> Self {
        let lab = Lab::start().unwrap_or_else(|error| panic!("{error:#}"));
        let keys = tempfile::tempdir().unwrap();
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(keys.path().join("key")));
        let public = fs::read_to_string(keys.path().join("key.pub")).unwrap();
        let user_data = format!("#cloud-config\nssh_authorized_keys:\n- {public}");

        let images = ec2(&lab, "DescribeImages", &[("Owner.1", CANONICAL)]);
        let launched = ec2(
            &lab,
            "RunInstances",
            &[
                ("ImageId", &first(&images, "imageId")),
                ("InstanceType", "t3.micro"),
                ("MinCount", "1"),
                ("MaxCount", "1"),
                ("UserData", &base64::encode(user_data)),
            ],
        );
        let hosts = LabConfig::default()
            .state_dir
            .join(lab.name())
            .join("hosts");
        let host = Self {
            address: first(&launched, "privateIpAddress"),
            console: hosts
                .join(first(&launched, "instanceId"))
                .join("console.log"),
            keys,
            lab,
        };
        let started = Instant::now();
        // 255 is ssh's own failure: nobody listens there yet, or the key is not in place.
        while host.try_run("cloud-init status --wait").status.code() == Some(255) {
            assert!(
                started.elapsed() < BOOT_LIMIT,
                "no SSH within {BOOT_LIMIT:?}; the console:\n{}",
                fs::read_to_string(&host.console).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        host
    }

    /// Puts a parameter into the Systems Manager of the host's region.
    pub(crate) fn put_parameter(&self, name: &str, value: &str) {
        let body =
            serde_json::json!({"Name": name, "Value": value, "Type": "String", "Overwrite": true});
        run(curl("ssm")
            .args(["--header", "x-amz-target: AmazonSSM.PutParameter"])
            .args(["--header", "content-type: application/x-amz-json-1.1"])
            .args(["--data-raw", &body.to_string()])
            .arg(format!("{}/", self.lab.endpoint())));
    }

    /// Runs a line of bash as root; how it ended.
    pub(crate) fn try_run(&self, line: &str) -> Output {
        self.ssh(line, Stdio::null())
    }

    /// Runs a line of bash as root; panics if it fails.
    pub(crate) fn run(&self, line: &str) -> String {
        let output = self.try_run(line);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "`{line}`: {}\n{said}{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            self.journal()
        );
        said.trim_end().to_owned()
    }

    /// Copies a file to the host.
    pub(crate) fn put(&self, from: &Path, to: &str) {
        let file = fs::File::open(from).unwrap();
        let output = self.ssh(&format!("cat >{to}"), file.into());
        assert!(output.status.success(), "{to}: {output:?}");
    }

    /// What the agent's unit has said, for messages.
    fn journal(&self) -> String {
        let output = self.try_run("journalctl --unit baker-agent --no-pager --lines 30");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn ssh(&self, line: &str, input: Stdio) -> Output {
        Command::new("ssh")
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=2"])
            // The lab's network is this machine's own, and the host lives for one test.
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ])
            .args(["-o", "LogLevel=ERROR", "-i"])
            .arg(self.keys.path().join("key"))
            .arg(format!("ubuntu@{}", self.address))
            .arg(format!("sudo bash -c {}", quoted(line)))
            .stdin(input)
            .output()
            .unwrap()
    }
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Calls EC2 with curl, which signs requests, too: the SDK for it would dominate this crate's build.
fn ec2(lab: &Lab, action: &str, parameters: &[(&str, &str)]) -> String {
    let mut curl = curl("ec2");
    curl.args(["--data-urlencode", &format!("Action={action}")])
        .args(["--data-urlencode", "Version=2016-11-15"]);
    for (name, value) in parameters {
        curl.args(["--data-urlencode", &format!("{name}={value}")]);
    }
    run(curl.arg(format!("{}/", lab.endpoint())))
}

/// curl for a service's requests.
fn curl(service: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--fail-with-body",
        "--max-time",
        "30",
    ])
    .args(["--aws-sigv4", &format!("aws:amz:us-east-1:{service}")])
    .args(["--user", "lab:lab"]);
    curl
}

/// The text of an answer's first element of this name.
fn first(answer: &str, element: &str) -> String {
    answer
        .split_once(&format!("<{element}>"))
        .and_then(|(_, rest)| rest.split_once('<'))
        .unwrap_or_else(|| panic!("no {element} in {answer}"))
        .0
        .to_owned()
}
