//! From TOML text to settings, every problem reported at its place.

mod agent;
mod conflicts;
mod file;
mod metrics;
mod rules;
mod said;
mod table;

use std::collections::BTreeSet;
use std::sync::Arc;

use toml::de::{DeTable, Error};

use self::said::Said;
use self::table::{File, Key, Table, key};
use super::Settings;
use super::diagnostics::{Problem, SourceText};

/// What a file of `conf.d` may hold.
const INCLUDED: &[Key] = &[key("file", "[{ path = \"/var/log/syslog\" }]")];

/// What the main file may hold.
const DOCUMENT: &[Key] = &[
    key("agent", "{ region = \"eu-west-1\" }"),
    key("limits", "{ in_flight = 8 }"),
    key("ship", "{ flush_interval = \"500ms\" }"),
    key("metrics", "{ interval = \"60s\" }"),
    key("defaults", "{ group = \"jenkins.domain.com\" }"),
    INCLUDED[0],
];

/// Every table with its keys, as the documentation has to list them.
#[cfg(test)]
pub(super) fn tables() -> Vec<(&'static str, Vec<Key>)> {
    vec![
        ("[agent]", agent::AGENT.to_vec()),
        ("[limits]", agent::LIMITS.to_vec()),
        ("[ship]", agent::SHIP.to_vec()),
        ("[metrics]", metrics::METRICS.to_vec()),
        ("[defaults]", said::SHARED.to_vec()),
        ("[[file]]", file::OWN.to_vec()),
    ]
}

/// Makes settings of the main file's text and of those in `conf.d`. They hold only if there is no problem.
pub(super) fn parse(
    main: &Arc<SourceText>,
    included: &[Arc<SourceText>],
) -> (Settings, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut settings = Settings::default();
    let mut defaults = Said::default();
    let mut entries = Vec::new();
    // What can't be read may name files.
    let mut named = false;

    named |= !read(main, &mut problems, |file, document| {
        let top = Table::strict(file, "the configuration", 0..0, document, DOCUMENT);
        agent::read(&top, &mut settings);
        metrics::read(&top, &mut settings);
        defaults = Said::defaults(&top);
        entries.extend(file::read_files(&top));
        named |= top.has("file");
    });
    for source in included {
        named |= !read(source, &mut problems, |file, document| {
            let top = Table::strict(file, "a file of conf.d", 0..0, document, INCLUDED);
            entries.extend(file::read_files(&top));
            named |= top.has("file");
        });
    }
    conflicts::report(&entries, &defaults, &mut problems);
    if !named && settings.metrics.is_none() {
        problems.push(
            Problem::new(format!("{} names no log file, and no metrics", main.path))
                .help("this is enough:\n[[file]]\npath = \"/var/log/syslog\""),
        );
    }
    for entry in entries {
        match entry.settle(&defaults) {
            Ok(file) => settings.files.push(file),
            Err(error) => problems.push(Problem::new(error.to_string())),
        }
    }
    (settings, problems)
}

/// Reads one text; false if it is no TOML.
fn read(
    source: &Arc<SourceText>,
    problems: &mut Vec<Problem>,
    interpret: impl FnOnce(&File, &DeTable<'_>),
) -> bool {
    let file = File::new(Arc::clone(source));
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        interpret(&file, document.get_ref());
    } else {
        report_syntax(&file, &errors);
    }
    problems.extend(file.into_problems());
    errors.is_empty()
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
