//! From TOML text to the parts of one recipe, every problem reported at its place.

mod actions;
mod agent;
mod check;
mod files;
mod image;
mod rules;
mod step;
mod table;
mod templates;
mod vars;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue, Error};

use self::table::{File, Key, Table, key};
use crate::diagnostics::{Problem, SourceText};

pub(super) use self::agent::{Agent, unnamed as unnamed_agent};
pub(super) use self::check::Check;
pub(super) use self::files::suggestion;
pub(super) use self::image::{Build, From, Image};
pub(super) use self::step::Layer;
pub use self::vars::Outside;

const DOCUMENT: &[Key] = &[
    key("image", "{ name = \"app\", from = { ubuntu = \"18.04\" } }"),
    key("build", "{ timeout = \"45m\" }"),
    key("vars", "{ release = { env = \"GIT_COMMIT\" } }"),
    key("layer", "[{ name = \"system\", step = [] }]"),
    key("agent", "{ config = \"agent.toml\" }"),
    key("check", "[{ port = 80 }]"),
];

/// One recipe file, as far as it could be read.
pub(super) struct Parsed {
    pub(super) source: Arc<SourceText>,
    /// Where its relative paths start.
    pub(super) directory: PathBuf,
    pub(super) parts: Parts,
    /// The names in its `[vars]`.
    pub(super) variables: BTreeSet<String>,
    pub(super) problems: Vec<Problem>,
}

/// What a recipe file says, table by table.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) image: Image,
    pub(super) build: Build,
    pub(super) layers: Vec<Layer>,
    pub(super) agent: Option<Agent>,
    pub(super) checks: Vec<Check>,
}

/// Reads one recipe's text. `shown` is the path that messages name.
pub(super) fn parse(shown: &Path, text: String, outside: &Outside) -> Parsed {
    let source = Arc::new(SourceText {
        path: shown.display().to_string(),
        text,
    });
    let directory = shown.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let mut file = File::new(Arc::clone(&source), directory);
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let parts = if errors.is_empty() {
        file.vars = read_vars(&file, document.get_ref(), outside);
        read_parts(&file, document.get_ref())
    } else {
        report_syntax(&file, &errors);
        Parts::default()
    };
    Parsed {
        parts,
        directory: file.directory.clone(),
        variables: file.vars.names().map(str::to_owned).collect(),
        problems: file.into_problems(),
        source,
    }
}

/// What follows a slip in syntax is guesswork, so nothing else is read then, and the first error
/// on each line is enough.
fn report_syntax(file: &File, errors: &[Error]) {
    let mut lines = BTreeSet::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        if lines.insert(file.source.line_and_column(span.start).0) {
            file.report(file.problem(span, "this is not valid TOML", error.message().trim()));
        }
    }
}

fn read_vars(file: &File, document: &DeTable<'_>, outside: &Outside) -> vars::Vars {
    let Some(value) = document.get("vars") else {
        return vars::Vars::default();
    };
    if let DeValue::Table(entries) = value.get_ref() {
        return vars::read(file, entries, outside);
    }
    let label = format!("this is {}", table::described(value.get_ref()));
    file.report(file.problem(value.span(), "`vars` must be a table", label));
    vars::Vars::default()
}

fn read_parts(file: &File, document: &DeTable<'_>) -> Parts {
    let top = Table::strict(file, "a recipe", 0..0, document, DOCUMENT);
    let image = top.table("image", "[image]", image::IMAGE);
    if !top.has("image") {
        file.report(
            Problem::new(format!("{} has no [image]", file.source.path))
                .help("begin with [image], name = \"app\" and from = { ubuntu = \"18.04\" }"),
        );
    }
    let build = top.table("build", "[build]", image::BUILD);
    if let Some(table) = &image
        && !top.has("layer")
        && !top.has("agent")
        && table
            .value("from")
            .is_some_and(|from| from.get_ref().is_table())
    {
        file.report(
            file.problem(
                table.span.clone(),
                "the recipe has no layers",
                "this image would be the one that it starts from",
            )
            .help("add a [[layer]] with a name and at least one [[layer.step]]"),
        );
    }
    let agent = top.table("agent", "[agent]", agent::AGENT);
    let taken = agent.as_ref().map(|table| table.span.clone());
    Parts {
        image: image.map(|t| image::read_image(&t)).unwrap_or_default(),
        build: build.map(|t| image::read_build(&t)).unwrap_or_default(),
        layers: step::read_layers(file, top.tables("layer"), taken),
        agent: agent.map(|t| agent::read_agent(&t)),
        checks: check::read_checks(file, top.tables("check")),
    }
}
