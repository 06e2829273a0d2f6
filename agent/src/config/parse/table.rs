//! Typed access to a TOML document. What is not as it should be is reported where it stands, and
//! reading goes on, so that one run shows every problem.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::diagnostics::{Problem, SourceText, closest, listed};

/// A key that a table may hold, with an example of its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) example: &'static str,
}

/// Shorthand for key lists.
pub(super) const fn key(name: &'static str, example: &'static str) -> Key {
    Key { name, example }
}

/// What a rule that a value breaks expects of it.
pub(super) type Expected = Cow<'static, str>;

/// One file while it is read.
pub(super) struct File {
    pub(super) source: Arc<SourceText>,
    problems: RefCell<Vec<Problem>>,
}

impl File {
    pub(super) fn new(source: Arc<SourceText>) -> Self {
        Self {
            source,
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

    /// The place of the bytes `part` of a string that stands at `whole`; all of it where it is
    /// written with escapes.
    pub(super) fn span_inside(
        &self,
        text: &str,
        part: Range<usize>,
        whole: &Range<usize>,
    ) -> Range<usize> {
        let written = self.source.text.get(whole.clone()).unwrap_or_default();
        match written.find(text).filter(|_| !text.is_empty()) {
            Some(at) => whole.start + at + part.start..whole.start + at + part.end,
            None => whole.clone(),
        }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A table of the document, with the keys that it may hold.
#[derive(Clone)]
pub(super) struct Table<'a> {
    pub(super) file: &'a File,
    /// How messages call it: "`[agent]`".
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
        let table = Self {
            file,
            title: title.into(),
            span,
            entries,
            keys: keys.to_vec(),
        };
        for name in entries.keys() {
            if !table.keys.iter().any(|k| k.name == name.get_ref()) {
                table.report_unknown(name);
            }
        }
        table
    }

    fn report_unknown(&self, name: &Spanned<Cow<'a, str>>) {
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
    pub(super) fn key_span(&self, name: &str) -> Range<usize> {
        self.entries
            .get_key_value(name)
            .map_or_else(|| self.span.clone(), |(key, _)| key.span())
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
        self.file.report(
            self.file
                .problem(
                    value.span(),
                    format!("`{name}` in {} must be {expected}", self.title),
                    format!("this is {}", described(value.get_ref())),
                )
                .help(format!("for example: {}", self.example(name))),
        );
    }

    /// A value of the right type that breaks a rule.
    pub(super) fn breach(&self, name: &str, span: Range<usize>, expected: impl Into<String>) {
        self.file.report(self.broken(name, span, expected));
    }

    /// [`Self::breach`], to be completed and reported.
    pub(super) fn broken(
        &self,
        name: &str,
        span: Range<usize>,
        expected: impl Into<String>,
    ) -> Problem {
        let title = format!("invalid `{name}` in {}", self.title);
        self.file.problem(span, title, expected)
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

    pub(super) fn string(&self, name: &str) -> Option<Spanned<&'a str>> {
        let value = self.value(name)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(name, value, "a string");
        }
        Some(Spanned::new(value.span(), text?))
    }

    /// A string that a rule has to take; a broken one is reported and left out.
    pub(super) fn parsed<T, E: Into<Expected>>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.string(name)?;
        self.ruled(name, &value, parse)
    }

    /// The same for a string at hand.
    pub(super) fn ruled<T, E: Into<Expected>>(
        &self,
        name: &str,
        value: &Spanned<&str>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(value.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(expected) => {
                self.breach(name, value.span(), expected.into());
                None
            }
        }
    }

    /// One of a fixed set of words.
    pub(super) fn one_of<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.string(name)?;
        let chosen = choices.iter().find(|(word, _)| word == value.get_ref());
        if chosen.is_none() {
            let words = || choices.iter().map(|(word, _)| *word);
            let expected = format!("must be {}", listed(words(), "or"));
            let problem = self.broken(name, value.span(), expected);
            self.file.report(match closest(value.get_ref(), words()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem,
            });
        }
        chosen.map(|(_, choice)| *choice)
    }

    /// An integer within a range.
    pub(super) fn integer<T>(&self, name: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let value = self.value(name)?;
        let Some(written) = value.get_ref().as_integer() else {
            self.wrong_type(name, value, "an integer");
            return None;
        };
        let number = u64::from_str_radix(written.as_str(), written.radix());
        let number = number.ok().and_then(|n| T::try_from(n).ok());
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

    /// A list of strings.
    pub(super) fn strings(&self, name: &str) -> Option<Vec<Spanned<&'a str>>> {
        let value = self.value(name)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(name, value, "a list of strings");
            return None;
        };
        let mut strings = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => strings.push(Spanned::new(item.span(), text)),
                None => self.wrong_type(name, item, "a list of strings"),
            }
        }
        Some(strings)
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

    /// The tables of an array of tables (`[[name]]`).
    pub(super) fn tables(&self, name: &str, keys: &[Key]) -> Vec<Table<'a>> {
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
                Some(entries) => tables.push(Table::strict(
                    self.file,
                    format!("[[{name}]]"),
                    item.span(),
                    entries,
                    keys,
                )),
                None => self.wrong_type(name, item, "an array of tables"),
            }
        }
        tables
    }
}

/// A value's type as a person says it.
fn described(value: &DeValue<'_>) -> &'static str {
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
