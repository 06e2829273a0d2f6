//! A tree of 10,000 files and 200 MB to a host, against `tar | ssh tar` over the same loopback in the same run.
//!
//! Prints seconds and the ratio; below 1 the baker is faster. Rounds alternate, and the median of each side counts, so
//! that a busy machine slows both.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "../tests/support/sshd.rs"]
mod sshd;

use std::fs;
use std::path::Path;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use baker::archive;
use baker::events::Events;
use baker::recipe::{Access, Digest, Entry, EntryKind, Upload};
use baker::remote::{Command, ExitStatus, Host, Stdin};
use baker::ssh::Ssh;
use sshd::Sshd;

const FILES: usize = 10_000;
const FILE_BYTES: usize = 20 * 1024;
const FILES_A_FOLDER: usize = 100;
const ROUNDS: usize = 5;
const LIMIT: Duration = Duration::from_secs(120);

fn main() {
    // Memory, not disk: the way is measured, not where it ends.
    let ground = Path::new("/dev/shm");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut ratios = Vec::new();
    for (kind, content) in [
        ("text", text as fn(&mut u64) -> Vec<u8>),
        ("incompressible", noise),
    ] {
        let source = tempfile::tempdir_in(ground).unwrap();
        let upload = tree(source.path(), content);
        let sshd = Sshd::start();
        let ssh = runtime
            .block_on(Ssh::connect(sshd.target(), LIMIT, &Events::discard()))
            .unwrap();
        sshd.write_private("user_key", sshd.target().user_key.private_openssh());
        let (mut ours, mut yardstick) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let target = tempfile::tempdir_in(ground).unwrap();
            ours.push(seconds(|| {
                runtime.block_on(send(&ssh, &upload, target.path()))
            }));
            let target = tempfile::tempdir_in(ground).unwrap();
            yardstick.push(seconds(|| tar_ssh_tar(&sshd, source.path(), target.path())));
        }
        let (ours, yardstick) = (median(ours), median(yardstick));
        println!("upload, {kind:<14}  baker {ours:.2} s  tar|ssh tar {yardstick:.2} s");
        ratios.push((kind, ours / yardstick));
    }
    for (kind, ratio) in ratios {
        println!("ratio upload_wall_vs_tar_ssh_{kind} {ratio:.2}");
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn send(ssh: &Ssh, upload: &Upload, target: &Path) {
    let upload = upload.clone();
    let command = Command {
        line: format!(
            "tar --extract --use-compress-program='gzip --stdout --force' --file=- --directory={}",
            target.display()
        ),
        stdin: Stdin::Stream(Box::new(move |pipe| archive::write(&upload, "", pipe))),
        timeout: LIMIT,
    };
    let status = ssh
        .run(command, &mut |line| eprintln!("{}", line.text))
        .await;
    assert_eq!(status.unwrap(), ExitStatus::Code(0));
}

fn tar_ssh_tar(sshd: &Sshd, source: &Path, target: &Path) {
    let script = format!(
        "tar -cf - -C {source} . | ssh -q -i {key} -p {port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
         {user}@127.0.0.1 'tar -xf - -C {target}'",
        source = source.display(),
        key = sshd.path("user_key").display(),
        port = sshd.target().address.port(),
        user = sshd.target().user,
        target = target.display(),
    );
    let status = Process::new("sh").args(["-c", &script]).status().unwrap();
    assert!(status.success());
}

fn tree(root: &Path, content: fn(&mut u64) -> Vec<u8>) -> Upload {
    let (mut entries, mut seed) = (Vec::new(), 1);
    for number in 0..FILES {
        let folder = format!("d{:03}", number / FILES_A_FOLDER);
        if number % FILES_A_FOLDER == 0 {
            fs::create_dir(root.join(&folder)).unwrap();
            entries.push(Entry {
                path: folder.clone(),
                kind: EntryKind::Directory,
            });
        }
        let path = format!("{folder}/f{number:05}");
        let bytes = content(&mut seed);
        fs::write(root.join(&path), &bytes).unwrap();
        entries.push(Entry {
            path,
            kind: EntryKind::File {
                executable: false,
                size_bytes: bytes.len() as u64,
                sha256: Digest::of(&bytes),
            },
        });
    }
    Upload {
        from: root.to_owned(),
        to: "/srv/app".into(),
        access: Access::default(),
        entries,
    }
}

fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn noise(seed: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FILE_BYTES);
    while bytes.len() < FILE_BYTES {
        bytes.extend(next(seed).to_le_bytes());
    }
    bytes
}

/// Shrinks to about a third, as source code does.
fn text(seed: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FILE_BYTES);
    while bytes.len() < FILE_BYTES {
        let number = next(seed);
        bytes.extend(
            format!(
                "    self.field_{:04} = {:x}  # as it was\n",
                number % 5000,
                number >> 40
            )
            .into_bytes(),
        );
    }
    bytes
}
