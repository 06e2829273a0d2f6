//! What the lab needs of this machine, checked before anything is made: one line says what is missing, why, and what to do.

use anyhow::{Result, bail};

use crate::command::exists;

/// Program, why it is needed, Debian or Ubuntu package.
const PROGRAMS: &[(&str, &str, &str)] = &[
    (
        "systemd-nspawn",
        "boots the lab's hosts",
        "systemd-container",
    ),
    ("debootstrap", "makes their disk", "debootstrap"),
    ("curl", "fetches the archive's keys", "curl"),
    ("ip", "makes their network", "iproute2"),
    ("setsid", "gives each host a session", "util-linux"),
    ("python3", "runs moto", "python3-venv"),
];

/// Longest lab name: with an instance id it must fit systemd-nspawn's 64 characters.
const NAME_LIMIT: usize = 20;

pub(crate) fn check() -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the lab boots Linux hosts with systemd-nspawn and runs on Linux only");
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab mounts disks and makes network namespaces and needs root: run it with sudo");
    }
    let missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, ..)| !exists(program))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let needs: Vec<String> = missing
        .iter()
        .map(|(program, why, _)| format!("{program} ({why})"))
        .collect();
    let packages: Vec<&str> = missing.iter().map(|(.., package)| *package).collect();
    bail!(
        "the lab needs {}: apt-get install {}",
        needs.join(", "),
        packages.join(" ")
    );
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let legal = !name.is_empty()
        && name.len() <= NAME_LIMIT
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !legal || name.starts_with('-') {
        bail!(
            "`{name}` can't name a lab: use up to {NAME_LIMIT} lower-case letters, digits and hyphens"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_paths_or_interfaces_could_not_hold_are_refused() {
        for bad in [
            "",
            "-x",
            "a/b",
            "Upper",
            "..",
            "a-name-that-is-longer-than-it-may-be",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name("lab-0a1b2c3d").is_ok());
    }
}
