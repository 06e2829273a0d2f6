//! The configuration that is being written: TOML, whose every key the agent's own parser takes.

use std::fmt::Write as _;

use diagnostics::terminal::is_harmful;

use super::Finding;
use super::section::Notes;
use crate::config;

/// Comments are broken at this column.
const WIDTH: usize = 120;

/// A value of TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Toml(String);

impl From<&str> for Toml {
    fn from(text: &str) -> Self {
        // On one line, whatever is in it, and nothing that a terminal obeys: JSON's escapes are TOML's.
        Self(match text.contains(is_harmful) {
            true => {
                let mut escaped = String::new();
                for character in serde_json::Value::from(text).to_string().chars() {
                    match is_harmful(character) {
                        // Writing to a string can't fail.
                        true => _ = write!(escaped, "\\U{:08X}", u32::from(character)),
                        false => escaped.push(character),
                    }
                }
                escaped
            }
            false => toml::Value::from(text).to_string(),
        })
    }
}

impl From<bool> for Toml {
    fn from(value: bool) -> Self {
        Self(value.to_string())
    }
}

impl From<i64> for Toml {
    fn from(value: i64) -> Self {
        Self(value.to_string())
    }
}

impl<T: Into<Toml> + Clone> From<&[T]> for Toml {
    fn from(list: &[T]) -> Self {
        let items: Vec<String> = list.iter().map(|item| item.clone().into().0).collect();
        Self(format!("[{}]", items.join(", ")))
    }
}

impl Toml {
    /// `{ key = value }`.
    pub(super) fn table(key: &str, value: &str) -> Self {
        Self(format!("{{ {key} = {} }}", Toml::from(value).0))
    }
}

/// One table.
#[derive(Debug)]
pub(super) struct Table {
    header: &'static str,
    /// Where in the other agent's configuration it comes from.
    from: String,
    keys: Vec<(&'static str, Toml)>,
    /// What is said above it.
    remarks: Vec<String>,
}

impl Table {
    pub(super) fn new(header: &'static str, from: impl Into<String>) -> Self {
        Self {
            header,
            from: from.into(),
            keys: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Adds a key if the agent's own parser takes it; otherwise what stands at `path` is not carried over, and why.
    pub(super) fn set(
        &mut self,
        notes: &Notes,
        path: &str,
        key: &'static str,
        value: impl Into<Toml>,
    ) -> bool {
        let value = value.into();
        if let Some(why) = self.refusal(key, &value) {
            notes.left_out(path, why);
            return false;
        }
        self.keys.push((key, value));
        true
    }

    /// Why the agent does not take the key.
    fn refusal(&self, key: &str, value: &Toml) -> Option<String> {
        let path = match key {
            "path" | "paths" => "",
            _ => "path = \"/a\"\n",
        };
        let line = format!("{key} = {}\n", value.0);
        let text = match self.header {
            "[[file]]" => format!("[[file]]\n{path}{line}"),
            header => format!("{header}\n{line}[[file]]\n{path}"),
        };
        let problems = config::load_text("", &text).err()?;
        let first = problems.iter().next().map(|it| it.to_record())?;
        let value = &value.0;
        let mut why = format!("{value} {}", first.label.unwrap_or(first.message));
        for help in first.help {
            let _ = write!(why, "; {help}");
        }
        Some(why)
    }

    /// Whether it says anything.
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether it is a table of this kind.
    pub(super) fn is(&self, header: &str) -> bool {
        self.header == header
    }

    pub(super) fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    /// What was found about it.
    pub(super) fn explain(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let path = finding.path.strip_prefix(&self.from);
            let path = path.and_then(|path| path.strip_prefix('.'));
            let path = path
                .filter(|_| !self.from.is_empty())
                .unwrap_or(&finding.path);
            let word = finding.word();
            self.remarks
                .push(format!("{word}: {path}: {}", finding.message));
        }
    }

    /// Writes it, if there is anything to say.
    pub(super) fn write_if_any(&self, text: &mut String) {
        if self.keys.is_empty() && self.remarks.is_empty() {
            return;
        }
        text.push('\n');
        if !self.from.is_empty() {
            comment(text, &self.from);
        }
        for remark in &self.remarks {
            comment(text, remark);
        }
        if self.keys.is_empty() {
            return;
        }
        text.push_str(self.header);
        text.push('\n');
        for (key, value) in &self.keys {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{key} = {}", value.0);
        }
    }
}

/// A comment, broken at blanks. What is in it can't end it.
pub(super) fn comment(text: &mut String, said: &str) {
    let said: String = said
        .chars()
        .map(|c| if is_harmful(c) { ' ' } else { c })
        .collect();
    let mut line = String::from("#");
    for word in said.split(' ').filter(|word| !word.is_empty()) {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 4 {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
