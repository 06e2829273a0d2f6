//! A whole bake of two shell lines, by `baker build` and by Packer, in one lab: wall time, AWS requests, and the processor
//! time of the program itself.
//!
//! Packer gets its fastest settings: a key pair that is there already (it would make an RSA key otherwise), one second
//! between two looks at AWS instead of up to fifteen, and no look-up that can be left out.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ec2::primitives::Blob;
use baker::keys::KeyPair;
use lab::Lab;
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Each is measured this often, in turn, so that what else the machine does hits both alike.
const ROUNDS: usize = 5;

/// What both do on the host.
const LINES: [&str; 2] = ["echo baked | sudo tee /etc/was-here", "uname -r"];

fn main() -> Outcome<()> {
    print_machine();
    if Command::new("packer")
        .arg("version")
        .output()
        .map_or(true, |packer| !packer.status.success())
    {
        println!("bake: left out, since there is no Packer here to measure against");
        return Ok(());
    }
    let lab = Lab::start()?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let key = KeyPair::generate("bench")?;
    runtime.block_on(
        ec2(&lab)
            .import_key_pair()
            .key_name("bench")
            .public_key_material(Blob::new(key.public_openssh()))
            .send(),
    )?;
    fs::write(folder.path().join("key"), key.private_openssh())?;
    fs::write(folder.path().join("recipe.toml"), recipe())?;
    fs::write(
        folder.path().join("template.json"),
        template(&lab, &folder.path().join("key")).to_string(),
    )?;

    let (mut baker, mut packer) = (Series::default(), Series::default());
    // The first of each warms what is read from disk, and does not count.
    for round in 0..=ROUNDS {
        let ours = run(
            &lab,
            folder.path(),
            &[env!("CARGO_BIN_EXE_baker"), "build", "recipe.toml"],
        )?;
        let theirs = run(
            &lab,
            folder.path(),
            &["packer", "build", "-color=false", "template.json"],
        )?;
        if round > 0 {
            baker.add(&ours);
            packer.add(&theirs);
        }
    }

    println!("a bake of two shell lines, {ROUNDS} of each in turn, median (least–most)");
    println!(
        "{:8} {:26} {:>14} {:>20}",
        "", "wall", "AWS requests", "own processor time"
    );
    for (name, series) in [("baker", &baker), ("packer", &packer)] {
        println!(
            "{name:8} {:26} {:>14} {:>18.2} s",
            spread(&series.wall_s),
            median(&series.requests),
            median(&series.processor_s)
        );
    }
    for (name, series) in [("baker", &baker), ("packer", &packer)] {
        let counts: Vec<String> = series
            .last_by_operation
            .iter()
            .map(|(operation, count)| format!("{operation} {count}"))
            .collect();
        println!("requests of the last {name}: {}", counts.join(", "));
    }
    print_machine();
    let ratio = |ours: &[f64], theirs: &[f64]| median(ours) / median(theirs);
    println!(
        "ratio bake_processor_vs_packer {:.2}",
        ratio(&baker.processor_s, &packer.processor_s)
    );
    println!(
        "ratio bake_requests_vs_packer {:.2}",
        ratio(&baker.requests, &packer.requests)
    );
    println!(
        "ratio bake_wall_vs_packer {:.2}",
        ratio(&baker.wall_s, &packer.wall_s)
    );
    lab.down()?;
    Ok(())
}

fn recipe() -> String {
    format!(
        "[image]\nname = \"bench\"\nfrom = {{ ubuntu = \"18.04\" }}\n\n[build]\ninstance_types = [\"t3.micro\"]\n\n\
         [[layer]]\nname = \"only\"\n[[layer.step]]\nrun = '''\n{}\n'''\n",
        LINES.join("\n")
    )
}

fn template(lab: &Lab, key: &Path) -> serde_json::Value {
    json!({
        "builders": [{
            "type": "amazon-ebs",
            "custom_endpoint_ec2": lab.endpoint(),
            "region": lab.up().region,
            "access_key": "lab",
            "secret_key": "lab",
            "skip_metadata_api_check": true,
            "skip_region_validation": true,
            "source_ami_filter": {
                "owners": ["099720109477"],
                "filters": {"name": "ubuntu/images/hvm-ssd/ubuntu-bionic-18.04-amd64-server-*"},
                "most_recent": true,
            },
            "instance_type": "t3.micro",
            "ssh_username": "ubuntu",
            "ssh_interface": "private_ip",
            "ssh_keypair_name": "bench",
            "ssh_private_key_file": key,
            "ami_name": "by-packer-{{uuid}}",
        }],
        "provisioners": [{"type": "shell", "inline": LINES}],
    })
}

/// One bake.
struct Run {
    wall_s: f64,
    processor_s: f64,
    by_operation: BTreeMap<String, u64>,
}

/// All bakes of one program.
#[derive(Default)]
struct Series {
    wall_s: Vec<f64>,
    processor_s: Vec<f64>,
    requests: Vec<f64>,
    last_by_operation: BTreeMap<String, u64>,
}

impl Series {
    fn add(&mut self, run: &Run) {
        self.wall_s.push(run.wall_s);
        self.processor_s.push(run.processor_s);
        let requests: u64 = run.by_operation.values().sum();
        self.requests.push(requests as f64);
        self.last_by_operation.clone_from(&run.by_operation);
    }
}

/// Runs a program to its end. The shell around it tells its processor time, with that of the processes it started.
fn run(lab: &Lab, folder: &Path, program: &[&str]) -> Outcome<Run> {
    let before = lab.requests();
    let started = Instant::now();
    let output = Command::new("bash")
        .args([
            "-c",
            r#"TIMEFORMAT="%3U %3S"; { time "$@" >said 2>&1; } 2>processor"#,
            "bash",
        ])
        .args(program)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("CHECKPOINT_DISABLE", "1")
        .env("AWS_POLL_DELAY_SECONDS", "1")
        .envs(lab.env())
        .stdin(Stdio::null())
        .output()?;
    let wall_s = started.elapsed().as_secs_f64();
    if !output.status.success() {
        let said = fs::read_to_string(folder.join("said"))?;
        return Err(format!("`{}` failed:\n{said}", program.join(" ")).into());
    }
    let processor = fs::read_to_string(folder.join("processor"))?;
    let processor_s = processor
        .split_whitespace()
        .map(str::parse::<f64>)
        .sum::<Result<f64, _>>()?;
    let by_operation = lab
        .requests()
        .into_iter()
        .map(|(operation, count)| {
            let earlier = before.get(&operation).copied().unwrap_or_default();
            (operation, count - earlier)
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    Ok(Run {
        wall_s,
        processor_s,
        by_operation,
    })
}

/// The middle one of an odd number of values.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// `median (least–most)` of seconds.
fn spread(seconds: &[f64]) -> String {
    let least = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let most = seconds.iter().copied().fold(0.0, f64::max);
    format!("{:6.2} s  ({least:.2}–{most:.2})", median(seconds))
}

/// How busy this machine is, without which no figure means much.
fn print_machine() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split(' ').take(3).collect();
    println!("{processors} processors, load {}", load.join(" "));
}

/// A client of the lab's EC2.
fn ec2(lab: &Lab) -> aws_sdk_ec2::Client {
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(lab.endpoint())
        .region(Region::new(lab.up().region.clone()))
        .credentials_provider(Credentials::new("lab", "lab", None, None, "bench"))
        .build();
    aws_sdk_ec2::Client::from_conf(config)
}
