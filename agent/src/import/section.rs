//! An object of the other agent's configuration while it is read: what is of the wrong type is a problem at its place, and what nobody asks for is told.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::Finding;
use super::json::{Member, Node, Value};
use crate::config::diagnostics::{Problem, SourceText};

/// What is told while a configuration is read.
pub(super) struct Notes {
    source: Arc<SourceText>,
    problems: RefCell<Vec<Problem>>,
    findings: RefCell<Vec<Finding>>,
}

impl Notes {
    pub(super) fn new(source: Arc<SourceText>) -> Self {
        Self {
            source,
            problems: RefCell::default(),
            findings: RefCell::default(),
        }
    }

    /// Something is not carried over.
    pub(super) fn left_out(&self, path: &str, message: impl Into<String>) {
        self.find(path, false, message.into());
    }

    /// Something is carried over, and is not quite the same.
    pub(super) fn differs(&self, path: &str, message: impl Into<String>) {
        self.find(path, true, message.into());
    }

    fn find(&self, path: &str, carried: bool, message: String) {
        self.findings.borrow_mut().push(Finding {
            path: path.to_owned(),
            carried,
            message,
        });
    }

    /// How many findings there are.
    pub(super) fn count(&self) -> usize {
        self.findings.borrow().len()
    }

    /// The findings from the `first`th on.
    pub(super) fn since(&self, first: usize) -> Vec<Finding> {
        self.findings
            .borrow()
            .get(first..)
            .unwrap_or_default()
            .to_vec()
    }

    fn wrong_type(&self, path: &str, node: &Node, expected: &str) {
        let message = format!("{path} must be {expected}");
        let label = format!("this is {}", node.value.kind());
        let problem = Problem::new(message).at(&self.source, node.span.clone(), label);
        self.problems.borrow_mut().push(problem);
    }

    /// What is wrong, and what was found.
    pub(super) fn into_parts(self) -> (Vec<Problem>, Vec<Finding>) {
        (self.problems.into_inner(), self.findings.into_inner())
    }
}

/// An object.
pub(super) struct Section<'j> {
    pub(super) notes: &'j Notes,
    /// Where it is: `logs.logs_collected.files.collect_list[0]`.
    pub(super) path: String,
    members: Vec<(&'j Member, Cell<bool>)>,
}

impl<'j> Section<'j> {
    /// The object at `path`; a problem if it is none.
    pub(super) fn of(notes: &'j Notes, path: impl Into<String>, node: &'j Node) -> Option<Self> {
        let path = path.into();
        let Value::Object(members) = &node.value else {
            let shown = match path.is_empty() {
                true => "the configuration",
                false => &path,
            };
            notes.wrong_type(shown, node, "an object");
            return None;
        };
        Some(Self {
            notes,
            path,
            members: members.iter().map(|it| (it, Cell::new(false))).collect(),
        })
    }

    /// Where a member is.
    pub(super) fn at(&self, name: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let name = match !name.is_empty() && name.chars().all(plain) {
            true => name.to_owned(),
            false => format!("{:?}", name),
        };
        match self.path.is_empty() {
            true => name,
            false => format!("{}.{name}", self.path),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'j str> {
        self.members.iter().map(|(member, _)| member.name.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|it| it == name)
    }

    /// A member, which is asked for by that.
    pub(super) fn node(&self, name: &str) -> Option<&'j Node> {
        let (member, asked) = self
            .members
            .iter()
            .find(|(member, _)| member.name == name)?;
        asked.set(true);
        Some(&member.node)
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&'j Value) -> Option<T>,
    ) -> Option<T> {
        let node = self.node(name)?;
        let value = read(&node.value);
        if value.is_none() {
            self.notes.wrong_type(&self.at(name), node, expected);
        }
        value
    }

    pub(super) fn text(&self, name: &str) -> Option<&'j str> {
        self.typed(name, "a string", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn truth(&self, name: &str) -> Option<bool> {
        self.typed(name, "true or false", |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
    }

    pub(super) fn whole(&self, name: &str) -> Option<i64> {
        self.typed(name, "a whole number", |value| match value {
            Value::Number(text) => text.parse().ok(),
            _ => None,
        })
    }

    pub(super) fn texts(&self, name: &str) -> Option<Vec<&'j str>> {
        self.typed(name, "a list of strings", |value| match value {
            Value::List(nodes) => texts(nodes),
            _ => None,
        })
    }

    /// A list of lists of strings.
    pub(super) fn sets(&self, name: &str) -> Option<Vec<Vec<&'j str>>> {
        self.typed(name, "a list of lists of strings", |value| {
            let Value::List(sets) = value else {
                return None;
            };
            sets.iter()
                .map(|set| match &set.value {
                    Value::List(nodes) => texts(nodes),
                    _ => None,
                })
                .collect()
        })
    }

    pub(super) fn list(&self, name: &str) -> Option<&'j [Node]> {
        self.typed(name, "a list", |value| match value {
            Value::List(nodes) => Some(nodes.as_slice()),
            _ => None,
        })
    }

    pub(super) fn section(&self, name: &str) -> Option<Section<'j>> {
        Section::of(self.notes, self.at(name), self.node(name)?)
    }

    /// A member, if it is there, is not carried over.
    pub(super) fn left_out(&self, name: &str, why: &str) {
        if self.node(name).is_some() {
            self.notes.left_out(&self.at(name), why);
        }
    }

    /// A member, if it is there, means nothing here, or something else.
    pub(super) fn differs(&self, name: &str, how: &str) {
        if self.node(name).is_some() {
            self.notes.differs(&self.at(name), how);
        }
    }

    /// Whatever has not been asked for is not carried over.
    pub(super) fn rest(&self) {
        for (member, asked) in &self.members {
            if !asked.replace(true) {
                self.notes.left_out(
                    &self.at(&member.name),
                    format!(
                        "baker-agent has nothing like it (it is {})",
                        shown(&member.node.value)
                    ),
                );
            }
        }
    }
}

fn texts(nodes: &[Node]) -> Option<Vec<&str>> {
    nodes
        .iter()
        .map(|node| match &node.value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

/// How much of a value is shown, in characters.
const SHOWN: usize = 60;

/// A value in one short line.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
