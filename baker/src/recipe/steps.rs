//! What a recipe does on the host: layers of steps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::Digest;

/// A run of steps that belong together (`[[layer]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Unique within its recipe.
    pub name: String,
    /// Name of the recipe that it stands in.
    pub recipe: String,
    /// What to do, in order; never empty.
    pub steps: Vec<Step>,
    /// Hash of this layer and all below it, without the source AMI.
    pub key: Digest,
}

/// One step of a layer (`[[layer.step]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The step's `name`, or a line made from what it does.
    pub title: String,
    /// The step must be done in this time.
    pub timeout: Option<Duration>,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Install packages, or upgrade what is there.
    Apt(Apt),
    /// Run shell text or a script file.
    Run(Run),
    /// Copy a file or a tree to the host.
    Upload(Upload),
    /// Write one file whose text is already rendered.
    Template(Template),
    /// Install, enable and start a systemd unit.
    Service(Service),
}

/// `apt = ["nginx"], upgrade = "dist"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apt {
    /// Package names, perhaps with `=version`; may be empty if `upgrade` is set.
    pub packages: Vec<String>,
    /// Upgrade what is installed first.
    pub upgrade: Option<Upgrade>,
}

/// `upgrade = "dist"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// `apt-get dist-upgrade`.
    Dist,
}

/// `run = "…"` or `script = "…"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What to run.
    pub program: Program,
    /// Who runs it.
    pub user: String,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// Absolute directory to run in; the user's home if absent.
    pub cwd: Option<String>,
}

/// What a `run` or `script` step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// Bash text, run with `-euo pipefail`.
    Shell(String),
    /// A script file, run by the interpreter that its first line names.
    Script {
        /// The path as the recipe has it.
        path: String,
        /// The file's content.
        content: Vec<u8>,
        /// Arguments.
        args: Vec<String>,
    },
}

/// `upload = { from, to, owner, group, mode, exclude }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The local file, or the tree's local root.
    pub from: PathBuf,
    /// Absolute path on the host. A tree's content goes into it; a file is written as it.
    pub to: String,
    /// Who shall own what arrives, and its mode.
    pub access: Access,
    /// What is sent, in order of path; one entry with an empty path if `from` is a file.
    pub entries: Vec<Entry>,
}

/// One member of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the upload's root, `/` between parts; empty for the root itself.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What a member of an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// The file is executable by its owner: it gets mode 0755, any other 0644.
        executable: bool,
        /// Its length in bytes when the recipe was read.
        size_bytes: u64,
        /// SHA-256 of its content when the recipe was read.
        sha256: Digest,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, as it is written in the link.
        target: String,
    },
}

/// `template = { from, to, owner, group, mode }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The path as the recipe has it.
    pub from: String,
    /// Absolute path on the host.
    pub to: String,
    /// The text, rendered.
    pub content: String,
    /// Who shall own it, and its mode.
    pub access: Access,
}

/// Who owns what is put on the host, and its mode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// User name; root if absent.
    pub owner: Option<String>,
    /// Group name; the owner's own group if absent.
    pub group: Option<String>,
    /// Permission bits of files; directories of a tree also get search where they have read.
    pub mode: Option<u32>,
}

/// `service = { name, unit, enable, start }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Unit name; `.service` is understood if it has no suffix.
    pub name: String,
    /// The unit file to install, rendered like a template.
    pub unit: Option<Template>,
    /// Start it at boot.
    pub enable: bool,
    /// Start it, or restart it, now.
    pub start: bool,
}

impl Access {
    /// The permission bits of a member of a tree: as the tree is here, or as `mode` says. `mode`
    /// is that of plain files; directories and executables can also be searched or run by
    /// whoever may read them.
    #[must_use]
    pub fn mode_of(&self, kind: &EntryKind) -> u32 {
        let runs = match kind {
            EntryKind::Directory => true,
            EntryKind::File { executable, .. } => *executable,
            // The bits of a link are never looked at.
            EntryKind::Symlink { .. } => return 0o777,
        };
        match self.mode {
            Some(mode) if runs => mode | ((mode & 0o444) >> 2),
            Some(mode) => mode,
            None if runs => 0o755,
            None => 0o644,
        }
    }
}

/// Titles are cut at this many characters.
const TITLE_CHARACTERS: usize = 60;

impl Action {
    /// One line that says what this does.
    #[must_use]
    pub fn title(&self) -> String {
        let title = match self {
            Self::Apt(apt) => {
                let upgrade = apt.upgrade.map(|Upgrade::Dist| "upgrade".to_owned());
                let packages = (!apt.packages.is_empty()).then(|| apt.packages.join(" "));
                let parts: Vec<String> = upgrade.into_iter().chain(packages).collect();
                format!("apt: {}", parts.join(", "))
            }
            Self::Run(run) => match &run.program {
                Program::Shell(text) => {
                    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
                    format!("run: {}", first.unwrap_or_default())
                }
                Program::Script { path, .. } => format!("script: {path}"),
            },
            Self::Upload(upload) => format!("upload: {}", upload.to),
            Self::Template(template) => format!("template: {}", template.to),
            Self::Service(service) => format!("service: {}", service.name),
        };
        if title.chars().count() <= TITLE_CHARACTERS {
            return title;
        }
        let cut: String = title.chars().take(TITLE_CHARACTERS - 1).collect();
        format!("{cut}…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_gives_search_to_directories_and_executables_only() {
        let file = |executable| EntryKind::File {
            executable,
            size_bytes: 0,
            sha256: Digest::from_bytes([0; 32]),
        };
        let with = |mode| Access {
            mode,
            ..Access::default()
        };
        assert_eq!(with(Some(0o640)).mode_of(&file(false)), 0o640);
        assert_eq!(with(Some(0o640)).mode_of(&file(true)), 0o750);
        assert_eq!(with(Some(0o640)).mode_of(&EntryKind::Directory), 0o750);
        assert_eq!(with(None).mode_of(&file(false)), 0o644);
        assert_eq!(with(None).mode_of(&file(true)), 0o755);
    }

    #[test]
    fn a_title_is_one_short_line() {
        let run = |text: &str| {
            Action::Run(Run {
                program: Program::Shell(text.to_owned()),
                user: "root".into(),
                env: BTreeMap::new(),
                cwd: None,
            })
        };
        assert_eq!(run("\n  set -x\n id\n").title(), "run: set -x");
        assert_eq!(
            run(&"x".repeat(100)).title().chars().count(),
            TITLE_CHARACTERS
        );
    }
}
