//! The base disk: what Canonical's image is to EC2, made once with debootstrap and shared, read-only, by every lab.

mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::command::{run, run_command};
use crate::config::BaseChoice;
use crate::lock::FileLock;

use self::source::{Source, choose, debootstrap_script};

/// What an Ubuntu server image has, by the names that Debian and Ubuntu share.
/// (debootstrap does not resolve virtual packages: cloud-init's are named here.)
const PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "sudo",
    "rsyslog",
    "logrotate",
    "cron",
    "python3",
    "python3-yaml",
    "python3-jinja2",
    "python3-cffi-backend",
    "python3-oauthlib",
    "ca-certificates",
    "iproute2",
    "procps",
    "curl",
    "less",
    "gpgv",
    "locales",
    "lsb-release",
];

/// Installed by apt in a second step, since its dependencies need a resolver that debootstrap lacks.
const LATE_PACKAGES: &[&str] = &["cloud-init"];

/// Ubuntu's archive keys, below a mirror. Holds the keys 790B C727 7767 219C 42C8 6F93 3B4F E6AC C0B2 1F32 (2012)
/// and F6EC B376 2474 EDA9 D21B 7022 8719 20D1 991B C93C (2018), which Ubuntu publishes.
const UBUNTU_KEYRING: &str =
    "pool/main/u/ubuntu-keyring/ubuntu-keyring_2018.09.18.1~18.04.2_all.deb";
const UBUNTU_KEYRING_SHA256: &str =
    "5d8609563fb3074026b254d7d5248f90d393c7dbafcac48916f333bf3c90fed9";

/// Raised when what `make` does to the disk changes, so that an old one is not reused.
const LAYOUT: u32 = 6;

/// Folders with this prefix hold disks that are being made.
const UNFINISHED: &str = "building-";

/// A base disk that hosts can be stacked on.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// Distribution release, such as `bookworm`.
    pub(crate) suite: String,
    /// Where it was taken from.
    pub(crate) mirror: String,
    /// The disk's root folder; never written after it was made.
    pub(crate) root: PathBuf,
}

/// Returns the base disk, making it first if the cache has none. `say` is told what takes long.
pub(crate) fn prepare(
    cache_dir: &Path,
    choice: &BaseChoice,
    pip_index_url: &str,
    say: &dyn Fn(&str),
) -> Result<Base> {
    fs::create_dir_all(cache_dir)
        .with_context(|| format!("could not create {}", cache_dir.display()))?;
    let source = Source {
        pip_index_url: pip_index_url.to_owned(),
        ..choose(choice)?
    };
    let root = cache_dir.join(format!("base-{}-{}", source.suite, digest(&source)));
    let _lock = FileLock::wait(&cache_dir.join("base.lock"), || {
        say("waiting for another lab to finish the base disk")
    })?;
    if !root.is_dir() {
        remove_unfinished(cache_dir)?;
        say(&format!(
            "making the base disk: {} from {} (once, some minutes)",
            source.suite, source.mirror
        ));
        make(&source, cache_dir, &root)?;
    }
    Ok(Base {
        suite: source.suite,
        mirror: source.mirror,
        root,
    })
}

/// What a killed process left. Nobody is making a disk while we hold the lock.
fn remove_unfinished(cache_dir: &Path) -> Result<()> {
    for entry in fs::read_dir(cache_dir)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            crate::disk::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

fn digest(source: &Source) -> String {
    let mut hash = Sha256::new();
    hash.update(format!(
        "{LAYOUT}\n{source:?}\n{PACKAGES:?}\n{LATE_PACKAGES:?}"
    ));
    for (name, content) in own_certificates() {
        hash.update(name);
        hash.update(content);
    }
    hex(&hash.finalize()[..6])
}

fn make(source: &Source, cache_dir: &Path, root: &Path) -> Result<()> {
    // Built beside its final place and renamed, so that a half-made disk is never used.
    let building = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(cache_dir)?;
    let disk = building.path().join("root");
    let path = disk.to_string_lossy();
    let include = format!("--include={}", PACKAGES.join(","));
    let keyring = keyring(source, building.path())?;
    let mut bootstrap = vec!["--variant=minbase", "--force-check-gpg", &include];
    bootstrap.extend(keyring.as_deref());
    bootstrap.extend([source.suite.as_str(), &path, &source.mirror]);
    run("debootstrap", &bootstrap).with_context(|| {
        format!(
            "could not make a base disk of {}; is its archive {} reachable?",
            source.suite, source.mirror
        )
    })?;
    adopt_certificates(&disk)?;
    fs::write(
        disk.join("etc/apt/sources.list"),
        source.sources.join("\n") + "\n",
    )?;
    // Daemons must not be started in the folder while packages are installed.
    let policy = disk.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
    fs::set_permissions(&policy, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    in_disk(&disk, &["apt-get", "update"])?;
    // A vendor's image of a release has the updates of its day, not the packages of release day.
    in_disk(&disk, &["apt-get", "dist-upgrade", "--yes"])?;
    let mut install = vec!["apt-get", "install", "--yes", "--no-install-recommends"];
    install.extend(LATE_PACKAGES);
    in_disk(&disk, &install)?;
    fs::remove_file(&policy)?;
    make_generic(source, &disk)?;
    fs::rename(&disk, root)
        .with_context(|| format!("could not move the base disk to {}", root.display()))
}

/// debootstrap's option for the keys that sign the archive, where this machine's own keyrings lack them.
///
/// Debian ships no keys of Ubuntu's: they come from the archive itself, in a package whose content is pinned here.
fn keyring(source: &Source, folder: &Path) -> Result<Option<String>> {
    let named = debootstrap_script(&source.suite).and_then(|script| {
        let path = script
            .lines()
            .find_map(|line| line.trim().strip_prefix("keyring "))?;
        Some(path.trim().to_owned())
    });
    let Some(named) = named.filter(|path| path.contains("ubuntu") && !Path::new(path).exists())
    else {
        return Ok(None);
    };
    let package = folder.join("keyring.deb");
    let url = format!("{}/{UBUNTU_KEYRING}", source.mirror);
    run(
        "curl",
        &[
            "--silent",
            "--show-error",
            "--fail",
            "--max-time",
            "60",
            "--output",
            &package.to_string_lossy(),
            &url,
        ],
    )
    .with_context(|| format!("this machine lacks {named}, and it could not be fetched"))?;
    let digest = hex(&Sha256::digest(fs::read(&package)?));
    if digest != UBUNTU_KEYRING_SHA256 {
        bail!(
            "{url} is not the package that was expected (SHA-256 {digest}): the archive can't be trusted"
        );
    }
    let unpacked = folder.join("keyring");
    run(
        "dpkg-deb",
        &[
            "--extract",
            &package.to_string_lossy(),
            &unpacked.to_string_lossy(),
        ],
    )?;
    Ok(Some(format!("--keyring={}{named}", unpacked.display())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a command in the disk. Packages' scripts want /proc; it is mounted in a namespace of the command's own, so that nothing stays mounted.
fn in_disk(disk: &Path, command: &[&str]) -> Result<String> {
    run_command(
        Command::new("unshare")
            .args(["--mount", "--pid", "--fork"])
            .arg(format!("--mount-proc={}", disk.join("proc").display()))
            .arg("chroot")
            .arg(disk)
            .args(command)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C"),
    )
}

/// Certificates that this machine's administrator added (a company's proxy, say), so that hosts trust what the machine trusts.
fn own_certificates() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/usr/local/share/ca-certificates")
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".crt")
            && let Ok(content) = fs::read(entry.path())
        {
            found.push((name, content));
        }
    }
    found.sort();
    found
}

fn adopt_certificates(disk: &Path) -> Result<()> {
    let certificates = own_certificates();
    if certificates.is_empty() {
        return Ok(());
    }
    let folder = disk.join("usr/local/share/ca-certificates");
    fs::create_dir_all(&folder)?;
    for (name, content) in certificates {
        fs::write(folder.join(name), content)?;
    }
    in_disk(disk, &["update-ca-certificates"]).map(drop)
}

/// Makes the disk what a vendor ships: no identity, no caches, cloud-init told that it is on EC2.
fn make_generic(source: &Source, disk: &Path) -> Result<()> {
    in_disk(disk, &["apt-get", "clean"])?;
    for folder in [
        "var/lib/apt/lists",
        "var/cache/apt",
        "debootstrap",
        "var/log/apt",
    ] {
        let path = disk.join(folder);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
    }
    for folder in [
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
        "var/log/apt",
    ] {
        fs::create_dir_all(disk.join(folder))?;
    }
    for entry in fs::read_dir(disk.join("etc/ssh"))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            fs::remove_file(entry.path())?;
        }
    }
    for log in ["bootstrap.log", "dpkg.log", "alternatives.log"] {
        let path = disk.join("var/log").join(log);
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    for (file, content) in [
        ("etc/machine-id", ""),
        (
            "etc/pip.conf",
            &format!("[global]\nindex-url = {}\n", source.pip_index_url),
        ),
        // A mount point: each host's resolver is bound over it.
        ("etc/resolv.conf", ""),
        ("etc/hostname", "ubuntu\n"),
        (
            "etc/hosts",
            "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        ),
        ("etc/default/locale", "LANG=C.UTF-8\n"),
        (
            "etc/cloud/cloud.cfg.d/90_dpkg.cfg",
            "datasource_list: [ Ec2, None ]\n",
        ),
        (
            "etc/cloud/cloud.cfg.d/10_defaults.cfg",
            "locale: C.UTF-8\napt:\n  preserve_sources_list: true\nsystem_info:\n  default_user:\n    name: ubuntu\n    gecos: Ubuntu\n",
        ),
    ] {
        let path = disk.join(file);
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
            fs::remove_file(&path)?;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content).with_context(|| format!("could not write {}", path.display()))?;
    }
    if !disk.join("etc/cloud/cloud.cfg").is_file() {
        bail!(
            "cloud-init did not install its configuration: the base disk cannot boot as an EC2 host"
        );
    }
    Ok(())
}
