//! Packages of a program that is none, made by the script that makes the true ones: what it packs can be looked at without a build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::artefacts::{repository, run};
use crate::package::pages_of_commands;

pub(crate) const VERSION: &str = "1.2.3";
pub(crate) const REVISION: &str = "4";

/// What the packing script is given.
pub(crate) struct StandIn {
    scratch: TempDir,
}

/// Whatever of a machine could leave traces in a package.
pub(crate) struct Surroundings {
    pub umask: &'static str,
    pub zone: &'static str,
    pub language: &'static str,
}

pub(crate) const PLAIN: Surroundings = Surroundings {
    umask: "022",
    zone: "UTC",
    language: "C",
};

impl StandIn {
    pub(crate) fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let at = |path: &str| {
            let path = scratch.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
        };
        at("binary");
        at("notices");
        for page in pages_of_commands() {
            at(&format!("manual/man/{page}"));
        }
        at("manual/man/baker-agent.toml.5");
        for completion in ["_baker-agent", "baker-agent.bash", "baker-agent.fish"] {
            at(&format!("manual/completions/{completion}"));
        }
        Self { scratch }
    }

    /// Packs it; the folder with package and tarball in it. `out` is that folder's name.
    pub(crate) fn pack(&self, out: &str, surroundings: &Surroundings) -> PathBuf {
        let script = repository()
            .canonicalize()
            .unwrap()
            .join("scripts/package.sh");
        let line = format!(
            "umask {}; find . -exec touch {{}} +; exec '{}' binary x86_64 manual notices {out}",
            surroundings.umask,
            script.display()
        );
        run(Command::new("bash")
            .args(["-c", &line])
            .current_dir(self.scratch.path())
            .env_remove("DEBFULLNAME")
            .env_remove("DEBEMAIL")
            .env("VERSION", VERSION)
            .env("REVISION", REVISION)
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .env("TZ", surroundings.zone)
            .env("LC_ALL", surroundings.language));
        self.scratch.path().join(out)
    }

    pub(crate) fn package(&self) -> PathBuf {
        self.pack("out", &PLAIN)
            .join(format!("baker-agent_{VERSION}-{REVISION}_amd64.deb"))
    }

    pub(crate) fn tarball(&self) -> PathBuf {
        self.pack("out", &PLAIN)
            .join(format!("baker-agent-{VERSION}-x86_64-linux-gnu.tar.gz"))
    }
}

/// Names and bytes of what lies in a folder, in order of the names.
pub(crate) fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    found.sort();
    found
}
