//! How each kind of step becomes work on the host. Pure.

use std::collections::BTreeMap;

use super::shell::{Root, quote};
use crate::recipe::{
    Access, Action, Apt, EntryKind, Program, Run, Service, Template, Upgrade, Upload,
};

/// Where a bake keeps what it needs on the host: on tmpfs, so no image ever has it.
pub(crate) const RUN_DIRECTORY: &str = "/run/baker";

/// The mode of a file that a template makes, if the recipe gives none.
const FILE_MODE: u32 = 0o644;

/// One command on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    /// What a person would have typed: stands in the message if it fails.
    pub(crate) shown: String,
    /// The command line. It holds no values of variables of the environment.
    pub(crate) line: String,
    /// What it reads.
    pub(crate) input: Input,
}

/// What an operation reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// The upload, as an archive whose only member has this name if it is a single file.
    Archive(Box<Upload>, String),
}

/// What the operations of a step depend on besides the step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    /// How to become root.
    pub(crate) root: Root,
    /// A directory of the bake's own, [`RUN_DIRECTORY`] except in tests.
    pub(crate) run_directory: &'a str,
}

const ACCESS: &str = include_str!("scripts/access.sh");

/// What comes before the first step.
pub(crate) fn prepare(ground: Ground<'_>) -> Operation {
    Operation {
        shown: "prepare the host".into(),
        line: ground.root.bash(include_str!("scripts/prepare.sh"), &[]),
        input: Input::Empty,
    }
}

/// The operations of one step, in order.
pub(crate) fn operations(ground: Ground<'_>, action: &Action) -> Vec<Operation> {
    match action {
        Action::Apt(step) => vec![apt(ground, step)],
        Action::Run(step) => vec![run(ground, step)],
        Action::Upload(step) => vec![upload(ground, step)],
        Action::Template(step) => vec![template(ground, step)],
        Action::Service(step) => step
            .unit
            .iter()
            .map(|unit| template(ground, unit))
            .chain([service(ground, step)])
            .collect(),
    }
}

fn apt(ground: Ground<'_>, step: &Apt) -> Operation {
    let upgrade = step.upgrade.map_or("", |Upgrade::Dist| "dist");
    let mut arguments = vec![ground.run_directory, upgrade];
    arguments.extend(step.packages.iter().map(String::as_str));
    let mut shown = Vec::new();
    if step.upgrade.is_some() {
        shown.push("apt-get dist-upgrade".to_owned());
    }
    if !step.packages.is_empty() {
        shown.push(format!("apt-get install {}", step.packages.join(" ")));
    }
    Operation {
        shown: shown.join(" && "),
        line: ground.root.bash(include_str!("scripts/apt.sh"), &arguments),
        input: Input::Empty,
    }
}

fn run(ground: Ground<'_>, step: &Run) -> Operation {
    let directory = format!("{}/step", ground.run_directory);
    let program = format!("{directory}/program");
    let (command, content, shown) = match &step.program {
        Program::Shell(text) => {
            let command = ["bash", "-euo", "pipefail"].map(str::to_owned).to_vec();
            (command, text.as_bytes(), text.trim().to_owned())
        }
        Program::Script {
            path,
            content,
            args,
        } => {
            let words: Vec<String> = [path].into_iter().chain(args).map(|w| quote(w)).collect();
            (interpreter(content), content.as_slice(), words.join(" "))
        }
    };
    let args: &[String] = match &step.program {
        Program::Shell(_) => &[],
        Program::Script { args, .. } => args,
    };
    let exports = exports(&step.env);
    let env_bytes = exports.len().to_string();
    let cwd = step.cwd.as_deref().unwrap_or_default();
    let mut arguments = vec![directory.as_str(), &step.user, cwd, &env_bytes];
    arguments.extend(command.iter().map(String::as_str));
    arguments.push(&program);
    arguments.extend(args.iter().map(String::as_str));
    Operation {
        shown,
        line: ground.root.sh(include_str!("scripts/run.sh"), &arguments),
        input: Input::Bytes([exports.as_bytes(), content].concat()),
    }
}

fn exports(env: &BTreeMap<String, String>) -> String {
    env.iter()
        .map(|(name, value)| format!("export {name}={}\n", quote(value)))
        .collect()
}

/// Who runs a script, by its first line, which the recipe's check has seen. The kernel would do
/// the same, but /run is often mounted so that nothing on it can be executed.
fn interpreter(content: &[u8]) -> Vec<String> {
    let first = content.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    let first = String::from_utf8_lossy(first);
    let line = first.trim_start_matches("#!").trim();
    // Everything after the interpreter is one argument, as for the kernel.
    match line.split_once([' ', '\t']) {
        Some((program, argument)) => vec![program.to_owned(), argument.trim().to_owned()],
        None => vec![line.to_owned()],
    }
}

/// User and group that a file shall belong to. A group that is not named is the owner's namesake.
fn owner_and_group(access: &Access) -> (&str, &str) {
    let owner = access.owner.as_deref().unwrap_or("root");
    (owner, access.group.as_deref().unwrap_or(owner))
}

fn upload(ground: Ground<'_>, step: &Upload) -> Operation {
    let (owner, group) = owner_and_group(&step.access);
    let single = step.entries.iter().any(|entry| entry.path.is_empty());
    let line = if single {
        let text = [ACCESS, include_str!("scripts/upload_file.sh")].concat();
        ground.root.bash(&text, &[&step.to, owner, group])
    } else {
        let text = [ACCESS, include_str!("scripts/upload_tree.sh")].concat();
        let mode = octal(step.access.mode_of(&EntryKind::Directory));
        let named = step.access != Access::default();
        ground
            .root
            .bash(&text, &[&step.to, owner, group, &mode, yes_or_no(named)])
    };
    let name = step.to.rsplit('/').next().unwrap_or_default().to_owned();
    Operation {
        shown: format!("upload {} to {}", step.from.display(), step.to),
        line,
        input: Input::Archive(Box::new(step.clone()), name),
    }
}

fn template(ground: Ground<'_>, step: &Template) -> Operation {
    let (owner, group) = owner_and_group(&step.access);
    let mode = octal(step.access.mode.unwrap_or(FILE_MODE));
    let text = [ACCESS, include_str!("scripts/write_file.sh")].concat();
    Operation {
        shown: format!("write {} from {}", step.to, step.from),
        line: ground.root.bash(&text, &[&step.to, owner, group, &mode]),
        input: Input::Bytes(step.content.clone().into_bytes()),
    }
}

fn service(ground: Ground<'_>, step: &Service) -> Operation {
    let arguments = [
        step.name.as_str(),
        yes_or_no(step.enable),
        yes_or_no(step.start),
    ];
    let verb = match (step.enable, step.start) {
        (true, true) => "enable and start",
        (true, false) => "enable",
        (false, true) => "disable, but start now,",
        (false, false) => "disable",
    };
    Operation {
        shown: format!("{verb} {}", step.name),
        line: ground
            .root
            .bash(include_str!("scripts/service.sh"), &arguments),
        input: Input::Empty,
    }
}

fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

fn yes_or_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}
