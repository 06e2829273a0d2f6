//! Template files: rendered while the recipe is checked, so that a mistake in one is found before
//! anything is created.

use std::ops::Range;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};
use toml::Spanned;

use super::files;
use super::table::File;
use crate::diagnostics::{Problem, SourceText};

/// The text of a template file with the recipe's variables filled in.
pub(super) fn render(file: &File, written: &Spanned<String>) -> Option<String> {
    let content = files::read(file, written)?;
    let Ok(text) = String::from_utf8(content) else {
        file.report(
            file.problem(
                written.span(),
                format!("{} is not a UTF-8 text", written.get_ref()),
                "a template must be text",
            )
            .help("send binary files with an `upload` step"),
        );
        return None;
    };
    let source = Arc::new(SourceText {
        path: shown_path(file, written.get_ref()),
        text,
    });
    match render_text(file, &source) {
        Ok(rendered) => Some(rendered),
        Err(problems) => {
            problems.into_iter().for_each(|p| file.report(p));
            None
        }
    }
}

fn shown_path(file: &File, written: &str) -> String {
    file.directory.join(written).display().to_string()
}

fn render_text(file: &File, source: &Arc<SourceText>) -> Result<String, Vec<Problem>> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .keep_trailing_newline(true)
            .build()
            .map_err(|error| vec![of_template(source, &error)])?,
    );
    let wrong = |error: &minijinja::Error| vec![of_template(source, error)];
    let template = environment
        .template_from_named_str(&source.path, &source.text)
        .map_err(|error| wrong(&error))?;

    let mut unknown: Vec<String> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !file.vars.names().any(|known| known == name))
        .filter(|name| !environment.globals().any(|(global, _)| global == name))
        .collect();
    unknown.sort();
    if !unknown.is_empty() {
        return Err(unknown
            .iter()
            .flat_map(|name| uses(&source.text, name).map(move |span| (name, span)))
            .map(|(name, span)| {
                Problem::new(format!("unknown variable `{name}`"))
                    .at(source, span, "not in the recipe's [vars]")
                    .help(file.vars.suggestion(name))
            })
            .collect());
    }
    template
        .render(file.vars.values())
        .map_err(|error| wrong(&error))
}

fn of_template(source: &Arc<SourceText>, error: &minijinja::Error) -> Problem {
    let message = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let span = error
        .range()
        .or_else(|| line_span(&source.text, error.line()?));
    let problem = Problem::new(message);
    match span {
        Some(span) => problem.at(source, span, "in this template"),
        None => problem.at(source, 0..0, "in this template"),
    }
}

fn line_span(text: &str, line: usize) -> Option<Range<usize>> {
    let line = text.lines().nth(line.checked_sub(1)?)?;
    let start = line.as_ptr() as usize - text.as_ptr() as usize;
    Some(start..start + line.len())
}

/// Every place where a template uses a name: inside `{{ }}` or `{% %}`, as a whole word.
fn uses<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name)
        .filter(move |(at, _)| {
            let before = &text[..*at];
            let after = &text[at + name.len()..];
            let whole =
                !before.ends_with(|c| word(c) || c == '.') && !after.starts_with(|c: char| word(c));
            let opened = before.rfind("{{").max(before.rfind("{%"));
            let closed = before.rfind("}}").max(before.rfind("%}"));
            whole && opened.is_some() && opened > closed
        })
        .map(move |(at, _)| at..at + name.len())
}
