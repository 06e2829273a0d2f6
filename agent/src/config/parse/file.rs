//! `[[file]]`: which files, and all that is said of them.

use std::ops::Range;
use std::sync::Arc;

use super::rules;
use super::said::{SHARED, Said};
use super::table::{Expected, Key, Table, key};
use crate::config::FileSettings;
use crate::config::diagnostics::SourceText;
use crate::names::TemplateError;
use crate::tail::FileSet;

/// What only a `[[file]]` may say.
pub(super) const OWN: &[Key] = &[
    key("path", "\"/var/log/syslog\""),
    key("paths", "[\"/var/log/app/*.log\", \"/srv/app/log/*.log\"]"),
    key("exclude", "[\"/var/log/app/debug*.log\"]"),
];

/// A pattern and where it stands.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

/// One `[[file]]` as far as it could be read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) source: Arc<SourceText>,
    /// Its header.
    pub(super) span: Range<usize>,
    pub(super) patterns: Vec<Pattern>,
    exclude: Vec<String>,
    pub(super) said: Said,
}

impl Entry {
    /// With the defaults for what nobody said.
    ///
    /// # Errors
    /// As [`Said::settle`].
    pub(super) fn settle(self, defaults: &Said) -> Result<FileSettings, TemplateError> {
        let patterns = self.patterns.into_iter().map(|p| p.text).collect();
        let exclude = self.exclude;
        self.said.or(defaults).settle(|start, links| FileSet {
            patterns,
            exclude,
            start,
            links,
        })
    }
}

pub(super) fn read_files(top: &Table<'_>) -> Vec<Entry> {
    let keys = [OWN, SHARED].concat();
    top.tables("file", &keys)
        .iter()
        .map(|table| Entry {
            source: Arc::clone(&table.file.source),
            span: table.span.clone(),
            patterns: read_patterns(table),
            exclude: read_globs(table, "exclude", rules::exclude)
                .into_iter()
                .map(|pattern| pattern.text)
                .collect(),
            said: Said::read(table),
        })
        .collect()
}

fn read_patterns(table: &Table<'_>) -> Vec<Pattern> {
    if table.has("path") && table.has("paths") {
        let problem = table
            .broken("paths", table.key_span("paths"), "`path` is there, too")
            .context(table.key_span("path"), "the other one")
            .help("keep `paths` and add the one of `path` to it");
        table.file.report(problem);
    }
    if table.has("paths") {
        let patterns = read_globs(table, "paths", rules::glob);
        if let Some(value) = table.value("paths")
            && value
                .get_ref()
                .as_array()
                .is_some_and(|list| list.is_empty())
        {
            table.breach("paths", value.span(), "must name at least one file");
        }
        return patterns;
    }
    if !table.has("path") {
        table.missing("path");
    }
    let Some(value) = table.string("path") else {
        return Vec::new();
    };
    let text = table.ruled("path", &value, rules::glob);
    text.map(|text| Pattern {
        text,
        span: value.span(),
    })
    .into_iter()
    .collect()
}

fn read_globs(
    table: &Table<'_>,
    name: &str,
    rule: fn(&str) -> Result<String, Expected>,
) -> Vec<Pattern> {
    let values = table.strings(name).unwrap_or_default();
    values
        .iter()
        .filter_map(|value| {
            let text = table.ruled(name, value, rule)?;
            Some(Pattern {
                text,
                span: value.span(),
            })
        })
        .collect()
}
