//! `[agent]`.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;

use super::files;
use super::rules;
use super::table::{Key, Table, key};
use super::templates;
use crate::diagnostics::{Problem, SourceText};
use crate::recipe::agent::{self, AgentProgram};
use crate::recipe::{Access, Template, Upload};

pub(super) const AGENT: &[Key] = &[
    key("config", "\"agent.toml\""),
    key("package", "\"baker-agent_0.1.0_amd64.deb\""),
    key("binary", "\"baker-agent\""),
    key("groups", "[\"app\"]"),
];

/// How a Debian package begins: ar(5), and the name of its first member in deb(5).
const PACKAGE_MAGIC: &[u8] = b"!<arch>\ndebian-binary";
/// How a program of Linux begins: elf(5).
const PROGRAM_MAGIC: &[u8] = b"\x7fELF";

/// `[agent]`: only what the recipe says, so that its base can say the rest.
#[derive(Debug)]
pub(in crate::recipe) struct Agent {
    /// Where it stands.
    pub(in crate::recipe) source: Arc<SourceText>,
    pub(in crate::recipe) span: std::ops::Range<usize>,
    pub(in crate::recipe) config: Option<Template>,
    pub(in crate::recipe) program: Option<AgentProgram>,
    pub(in crate::recipe) groups: Option<Vec<String>>,
    /// `package` or `binary` is there, right or wrong.
    pub(in crate::recipe) names_program: bool,
    /// `config` is there, right or wrong.
    pub(in crate::recipe) names_config: bool,
}

pub(super) fn read_agent(table: &Table<'_>) -> Agent {
    let config = table.string("config").and_then(|from| {
        let content = templates::render(table.file, &from)?;
        Some(agent::configuration(from.into_inner(), content))
    });
    if let Some(span) = table.key_span("binary").filter(|_| table.has("package")) {
        table.file.report(
            table
                .file
                .problem(span, "[agent] names two agents", "and `binary` another")
                .help("a package brings its unit and its user with it; `binary` is for where there is none"),
        );
    }
    let package = table.string("package").and_then(|from| {
        let upload = named(table, &from, PACKAGE_MAGIC, "no Debian package")?;
        Some(AgentProgram::package(upload))
    });
    let binary = table.string("binary").and_then(|from| {
        let upload = named(table, &from, PROGRAM_MAGIC, "no program for Linux")?;
        Some(AgentProgram::binary(upload))
    });
    let groups = table.strings("groups").map(|groups| {
        groups
            .into_iter()
            .filter_map(|group| table.ruled("groups", group, rules::account))
            .collect()
    });
    Agent {
        source: Arc::clone(&table.file.source),
        span: table.span.clone(),
        config,
        program: package.or(binary),
        groups,
        names_program: table.has("package") || table.has("binary"),
        names_config: table.has("config"),
    }
}

/// A file that the recipe names and that has to begin as its kind does.
fn named(
    table: &Table<'_>,
    from: &Spanned<String>,
    magic: &[u8],
    otherwise: &str,
) -> Option<Upload> {
    let (path, entries) = files::entries(table.file, from, &[])?;
    if path.is_dir() || !begins_with(&path, magic) {
        table.file.report(
            table
                .file
                .problem(
                    from.span(),
                    format!("{} is {otherwise}", from.get_ref()),
                    "by its first bytes",
                )
                .help("`package` is a .deb, `binary` the program itself; `make dist` makes both"),
        );
        return None;
    }
    Some(sent(path, entries))
}

fn sent(from: PathBuf, entries: Vec<crate::recipe::Entry>) -> Upload {
    Upload {
        from,
        to: String::new(),
        access: Access::default(),
        entries,
    }
}

fn begins_with(path: &Path, magic: &[u8]) -> bool {
    let mut first = vec![0; magic.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && first == magic
}

/// The agent that no recipe names: as it was given, or what lies beside this program.
pub(in crate::recipe) fn unnamed(
    agent: &Agent,
    given: Option<&Path>,
    beside: Option<&Path>,
) -> Result<AgentProgram, Problem> {
    let missing = |message: String, label: &str| {
        Problem::new(message)
            .at(&agent.source, agent.span.clone(), label)
            .help("make dist, then: baker build --agent target/dist/baker-agent_….deb, or [agent] package = \"…\"")
    };
    let path = match given {
        Some(path) => path.to_path_buf(),
        None => beside.and_then(lying_in).ok_or_else(|| {
            missing(
                "there is no baker-agent to install".into(),
                "names none, and beside this baker lies none",
            )
        })?,
    };
    let entry = files::lone_entry(&path).map_err(|error| {
        missing(
            format!("can't read {}: {error}", path.display()),
            "names none, and this is the one to take",
        )
    })?;
    let is = |magic| begins_with(&path, magic);
    let (package, binary) = (is(PACKAGE_MAGIC), is(PROGRAM_MAGIC));
    let upload = sent(path.clone(), vec![entry]);
    match (package, binary) {
        (true, _) => Ok(AgentProgram::package(upload)),
        (_, true) => Ok(AgentProgram::binary(upload)),
        _ => Err(missing(
            format!(
                "{} is neither a Debian package nor a program for Linux",
                path.display()
            ),
            "names none, and this is the one to take",
        )),
    }
}

/// The newest package of this version that lies in a folder, or else the program.
fn lying_in(folder: &Path) -> Option<PathBuf> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let (first, last) = (
        concat!("baker-agent_", env!("CARGO_PKG_VERSION")),
        format!("_{architecture}.deb"),
    );
    let packages = fs::read_dir(folder).ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        (name.starts_with(first) && name.ends_with(&last)).then(|| folder.join(name))
    });
    packages
        .max()
        .or_else(|| Some(folder.join("baker-agent")))
        .filter(|path| path.is_file())
}

impl Agent {
    /// Nothing in the chain says what the agent shall do.
    pub(in crate::recipe) fn has_no_config(&self) -> Problem {
        Problem::new("[agent] has no `config`")
            .at(&self.source, self.span.clone(), "`config` is missing")
            .help("for example: [agent] config = \"agent.toml\"")
    }
}
