//! Typed access to a TOML document. What is not as it should be is reported where it stands, and
//! reading goes on, so that one run shows every problem.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::vars::Vars;
use crate::diagnostics::{Problem, SourceText, closest, listed};

/// A key that a table may hold, with an example of its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) example: &'static str,
}

/// Shorthand for key lists.
pub(super) const fn key(name: &'static str, example: &'static str) -> Key {
    Key { name, example }
}

/// One recipe file while it is read.
pub(super) struct File {
    pub(super) source: Arc<SourceText>,
    /// The directory that relative paths start from.
    pub(super) directory: PathBuf,
    pub(super) vars: Vars,
    problems: RefCell<Vec<Problem>>,
}

impl File {
    pub(super) fn new(source: Arc<SourceText>, directory: PathBuf) -> Self {
        Self {
            source,
            directory,
            vars: Vars::default(),
            problems: RefCell::new(Vec::new()),
        }
    }

    pub(super) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// A problem at a place in this file, to be completed and reported.
    pub(super) fn problem(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Problem {
        Problem::new(message).at(&self.source, span, label)
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// The place of `part` inside a string, or the whole string if it is written with escapes.
    pub(super) fn span_of(&self, part: &str, whole: &Range<usize>) -> Range<usize> {
        let written = self.source.text.get(whole.clone()).unwrap_or_default();
        match written.find(part) {
            Some(at) => whole.start + at..whole.start + at + part.len(),
            None => whole.clone(),
        }
    }
}

/// A table of the document, with the keys that it may hold.
#[derive(Clone)]
pub(super) struct Table<'a> {
    pub(super) file: &'a File,
    /// How messages call it: "`[image]`".
    pub(super) title: String,
    /// Its header, or all of an inline table.
    pub(super) span: Range<usize>,
    entries: &'a DeTable<'a>,
    keys: Vec<Key>,
}

impl<'a> Table<'a> {
    /// A table that may hold these keys and no other.
    pub(super) fn strict(
        file: &'a File,
        title: impl Into<String>,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
        keys: &[Key],
    ) -> Self {
        let table = Self::open(file, title, span, entries, keys);
        for name in table.unknown_keys() {
            table.report_unknown(name);
        }
        table
    }

    /// A table whose unknown keys its reader reports.
    pub(super) fn open(
        file: &'a File,
        title: impl Into<String>,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
        keys: &[Key],
    ) -> Self {
        Self {
            file,
            title: title.into(),
            span,
            entries,
            keys: keys.to_vec(),
        }
    }

    pub(super) fn unknown_keys(
        &self,
    ) -> impl Iterator<Item = &'a Spanned<std::borrow::Cow<'a, str>>> {
        let known: Vec<&str> = self.keys.iter().map(|k| k.name).collect();
        self.entries
            .keys()
            .filter(move |name| !known.contains(&name.get_ref().as_ref()))
    }

    pub(super) fn report_unknown(&self, name: &Spanned<std::borrow::Cow<'a, str>>) {
        let known = self.keys.iter().map(|k| k.name);
        let problem = self.file.problem(
            name.span(),
            format!("unknown key `{}` in {}", name.get_ref(), self.title),
            "not a key of this table",
        );
        self.file
            .report(match closest(name.get_ref(), known.clone()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help(format!("it may hold {}", listed(known, "and"))),
            });
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Where a key stands (its name, not its value).
    pub(super) fn key_span(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get_key_value(name).map(|(key, _)| key.span())
    }

    pub(super) fn value(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        debug_assert!(
            self.keys.iter().any(|k| k.name == name),
            "`{name}` is read but not listed in {}",
            self.title
        );
        self.entries.get(name)
    }

    fn example(&self, name: &str) -> String {
        let example = self.keys.iter().find(|k| k.name == name);
        format!("{name} = {}", example.map_or("…", |k| k.example))
    }

    pub(super) fn wrong_type(&self, name: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = described(value.get_ref());
        self.file.report(
            self.file
                .problem(
                    value.span(),
                    format!("`{name}` in {} must be {expected}", self.title),
                    format!("this is {found}"),
                )
                .help(format!("for example: {}", self.example(name))),
        );
    }

    /// Reports that a key is missing.
    pub(super) fn missing(&self, name: &str) {
        self.file.report(
            self.file
                .problem(
                    self.span.clone(),
                    format!("{} has no `{name}`", self.title),
                    format!("`{name}` is missing"),
                )
                .help(format!("for example: {}", self.example(name))),
        );
    }

    /// A string with its variables filled in.
    pub(super) fn string(&self, name: &str) -> Option<Spanned<String>> {
        let value = self.value(name)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(name, value, "a string");
            return None;
        };
        self.interpolated(text, value.span())
    }

    /// [`Self::string`] that must be there.
    pub(super) fn required_string(&self, name: &str) -> Option<Spanned<String>> {
        if !self.has(name) {
            self.missing(name);
        }
        self.string(name)
    }

    /// A text with its variables filled in; `None` if one has no value, which is reported.
    pub(super) fn interpolated(&self, text: &str, span: Range<usize>) -> Option<Spanned<String>> {
        let filled = self.file.vars.interpolate(text, |problem| {
            let at = self.file.span_of(&problem.written, &span);
            let mut shown = self.file.problem(at, problem.message, problem.label);
            for help in problem.help {
                shown = shown.help(help);
            }
            self.file.report(shown);
        });
        Some(Spanned::new(span.clone(), filled?))
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        let value = self.value(name)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(name, value, "true or false");
        }
        flag
    }

    /// An integer within a range.
    pub(super) fn integer(&self, name: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let value = self.value(name)?;
        let Some(written) = value.get_ref().as_integer() else {
            self.wrong_type(name, value, "an integer");
            return None;
        };
        let number = u32::from_str_radix(written.as_str(), written.radix()).ok();
        let number = number.filter(|n| range.contains(n));
        if number.is_none() {
            self.file.report(self.file.problem(
                value.span(),
                format!("`{name}` in {} is out of range", self.title),
                format!("must be from {} to {}", range.start(), range.end()),
            ));
        }
        number
    }

    /// A list of strings with their variables filled in.
    pub(super) fn strings(&self, name: &str) -> Option<Vec<Spanned<String>>> {
        let value = self.value(name)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(name, value, "a list of strings");
            return None;
        };
        let mut strings = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => strings.extend(self.interpolated(text, item.span())),
                None => self.wrong_type(name, item, "a list of strings"),
            }
        }
        Some(strings)
    }

    /// A table of strings with their variables filled in.
    pub(super) fn string_map(&self, name: &str) -> Option<BTreeMap<String, Entry>> {
        let value = self.value(name)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(name, value, "a table of strings");
            return None;
        };
        let mut map = BTreeMap::new();
        for (key, item) in table.iter() {
            match item.get_ref().as_str() {
                Some(text) => {
                    if let Some(value) = self.interpolated(text, item.span()) {
                        let key_span = key.span();
                        map.insert(key.get_ref().to_string(), Entry { key_span, value });
                    }
                }
                None => self.wrong_type(name, item, "a table of strings"),
            }
        }
        Some(map)
    }

    /// A table inside this one.
    pub(super) fn table(&self, name: &str, title: &str, keys: &[Key]) -> Option<Table<'a>> {
        let value = self.value(name)?;
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_type(name, value, "a table");
            return None;
        };
        Some(Table::strict(self.file, title, value.span(), entries, keys))
    }

    /// The tables of an array of tables (`[[name]]`), unread.
    pub(super) fn tables(&self, name: &str) -> Vec<(Range<usize>, &'a DeTable<'a>)> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            let problem = self.file.problem(
                value.span(),
                format!("`{name}` must be an array of tables"),
                format!("this is {}", described(value.get_ref())),
            );
            self.file
                .report(problem.help(format!("write `[[{name}]]` instead of `[{name}]`")));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(entries) => tables.push((item.span(), entries)),
                None => self.wrong_type(name, item, "an array of tables"),
            }
        }
        tables
    }
}

/// One entry of a table of strings.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key_span: Range<usize>,
    pub(super) value: Spanned<String>,
}

/// A value's type as a person says it.
pub(super) fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
