//! `[vars]`, and `{{ name }}` in the strings of a recipe.
//!
//! Recipe strings take a small part of the template language: `{{ name }}`, and a quoted text
//! (`{{ "{{" }}`) for what would otherwise be taken as one. Shell text is full of `{%` and `{#`
//! (`${#list[@]}`), so nothing else is special there. Template files have the whole language.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::table::{File, Table, key};
use crate::diagnostics::{closest, listed};

/// What a recipe may ask for that does not lie beside it.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// `--agent FILE`: the agent to install where `[agent]` names none.
    pub agent: Option<PathBuf>,
    /// The folder of the running program, where an agent may lie.
    pub beside: Option<PathBuf>,
    /// `--var name=value`.
    pub given: BTreeMap<String, String>,
    /// The process environment.
    pub environment: BTreeMap<String, String>,
}

/// The variables of one recipe. One that could not be resolved is known but has no value.
#[derive(Debug, Default)]
pub(super) struct Vars(BTreeMap<String, Option<String>>);

/// Something wrong in an interpolated string.
pub(super) struct Misuse {
    /// The text to point at.
    pub(super) written: String,
    pub(super) message: String,
    pub(super) label: String,
    pub(super) help: Vec<String>,
}

impl Vars {
    /// The names of all variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.keys().map(String::as_str)
    }

    /// Name and value of each variable; a value that is missing (and reported) is empty.
    pub(super) fn values(&self) -> BTreeMap<String, String> {
        self.0
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().unwrap_or_default()))
            .collect()
    }

    /// Fills in `{{ name }}`; `None` if something in it has no value, which is reported then.
    pub(super) fn interpolate(
        &self,
        text: &str,
        mut misused: impl FnMut(Misuse),
    ) -> Option<String> {
        let mut complete = true;
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            filled.push_str(&rest[..open]);
            let Some(length) = expression_length(&rest[open..]) else {
                misused(Misuse {
                    written: rest[open..].lines().next().unwrap_or("{{").to_owned(),
                    message: "`{{` is never closed".into(),
                    label: "no `}}` follows".into(),
                    help: vec![LITERAL.into()],
                });
                return None;
            };
            let expression = &rest[open..open + length];
            let inner = expression[2..length - 2].trim();
            if let Some(literal) = quoted(inner) {
                filled.push_str(literal);
            } else if let Some(value) = self.0.get(inner) {
                complete &= value.is_some();
                filled.push_str(value.as_deref().unwrap_or_default());
            } else {
                complete = false;
                misused(self.misuse(expression, inner));
            }
            rest = &rest[open + length..];
        }
        filled.push_str(rest);
        complete.then_some(filled)
    }

    fn misuse(&self, expression: &str, inner: &str) -> Misuse {
        if is_name(inner) {
            return Misuse {
                written: inner.to_owned(),
                message: format!("unknown variable `{inner}`"),
                label: "not in [vars]".into(),
                help: vec![self.suggestion(inner)],
            };
        }
        Misuse {
            written: expression.to_owned(),
            message: "a recipe's strings take only `{{ name }}`".into(),
            label: "not the name of a variable".into(),
            help: vec![
                LITERAL.into(),
                "a template file may hold any expression".into(),
            ],
        }
    }

    /// What to do about a name that is not a variable.
    pub(super) fn suggestion(&self, name: &str) -> String {
        match closest(name, self.names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if self.0.is_empty() => {
                format!("declare it: [vars] {name} = \"…\" or {name} = {{ env = \"…\" }}")
            }
            None => format!("[vars] has {}", listed(self.names(), "and")),
        }
    }
}

const LITERAL: &str = "for the two braces themselves, write {{ \"{{\" }}";

/// The length of `{{ … }}` at the start of a text, quoted braces inside respected.
fn expression_length(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, character) in text.char_indices().skip(2) {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if character == '"' || character == '\'' => quote = Some(character),
            None if text[at..].starts_with("}}") => return Some(at + 2),
            None => {}
        }
    }
    // An unbalanced quote is no reason to run past the braces that close.
    text.find("}}").map(|at| at + 2)
}

fn quoted(inner: &str) -> Option<&str> {
    ['"', '\'']
        .into_iter()
        .find_map(|q| inner.strip_prefix(q)?.strip_suffix(q))
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads `[vars]`.
pub(super) fn read(file: &File, table: &DeTable<'_>, outside: &Outside) -> Vars {
    let mut vars = BTreeMap::new();
    for (name, value) in table.iter() {
        if !is_name(name.get_ref()) {
            file.report(
                file.problem(
                    name.span(),
                    format!("`{}` can't be the name of a variable", name.get_ref()),
                    "letters, digits and `_` only",
                )
                .help(format!(
                    "for example: {}",
                    name.get_ref().replace(['-', '.', ' '], "_")
                )),
            );
        }
        let name = name.get_ref().to_string();
        let value = read_one(file, &name, value, outside);
        vars.insert(name, value);
    }
    Vars(vars)
}

fn read_one(
    file: &File,
    name: &str,
    value: &Spanned<DeValue<'_>>,
    outside: &Outside,
) -> Option<String> {
    let given = outside.given.get(name).cloned();
    match value.get_ref() {
        DeValue::String(literal) => Some(given.unwrap_or_else(|| literal.to_string())),
        DeValue::Table(entries) => {
            let table = Table::strict(
                file,
                format!("the variable `{name}`"),
                value.span(),
                entries,
                &[key("env", "\"GIT_COMMIT\""), key("default", "\"dev\"")],
            );
            let default = table.plain_string("default");
            let variable = table.plain_string("env");
            if !table.has("env") {
                table.missing("env");
            }
            given
                .or_else(|| outside.environment.get(variable.as_ref()?.get_ref()).cloned())
                .or_else(|| default.map(Spanned::into_inner))
                .or_else(|| {
                    let variable = variable?;
                    file.report(
                        file.problem(
                            variable.span(),
                            format!(
                                "the environment variable {} is not set",
                                variable.get_ref()
                            ),
                            format!("`{name}` has no value without it"),
                        )
                        .help(format!(
                            "set it, give `--var {name}=…`, or add a default: {name} = {{ env = \"{}\", default = \"…\" }}",
                            variable.get_ref()
                        )),
                    );
                    None
                })
        }
        other => {
            file.report(
                file.problem(
                    value.span(),
                    format!("the variable `{name}` must be a string or {{ env = \"…\" }}"),
                    format!("this is {}", super::table::described(other)),
                )
                .help(format!("for example: {name} = \"1.2\"")),
            );
            given
        }
    }
}

impl Table<'_> {
    /// A string that is taken as it is written: variables are not made of variables.
    fn plain_string(&self, name: &str) -> Option<Spanned<String>> {
        let value = self.value(name)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(name, value, "a string");
        }
        text.map(|text| Spanned::new(value.span(), text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vars {
        Vars(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
                .collect(),
        )
    }

    fn filled(text: &str) -> (Option<String>, Vec<String>) {
        let mut misuses = Vec::new();
        let text = vars(&[("release", "abc"), ("home", "/srv")])
            .interpolate(text, |m| misuses.push(m.message));
        (text, misuses)
    }

    #[test]
    fn variables_are_filled_in_with_or_without_spaces() {
        let (text, misuses) = filled("cd {{home}} && echo {{ release }}{{ release }}");
        assert_eq!(text.as_deref(), Some("cd /srv && echo abcabc"));
        assert!(misuses.is_empty());
    }

    #[test]
    fn shell_text_is_left_alone() {
        let shell = "echo ${#list[@]} {% {a,b} } }} ${x%%.*}";
        assert_eq!(filled(shell), (Some(shell.to_owned()), vec![]));
    }

    #[test]
    fn quoted_braces_stand_for_themselves() {
        let (text, misuses) = filled(r#"docker ps --format '{{ "{{" }}.Names{{ "}}" }}'"#);
        assert_eq!(text.as_deref(), Some("docker ps --format '{{.Names}}'"));
        assert!(misuses.is_empty());
    }

    #[test]
    fn what_is_not_a_variable_is_reported_and_the_rest_is_still_read() {
        let (text, misuses) = filled("{{ relase }} {{ release | upper }} {{ nope }} {{ open");
        assert_eq!(
            misuses,
            [
                "unknown variable `relase`",
                "a recipe's strings take only `{{ name }}`",
                "unknown variable `nope`",
                "`{{` is never closed",
            ]
        );
        assert_eq!(text, None);
    }
}
