//! Problems in what the user wrote, shown at the place where they wrote it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

pub mod terminal;

/// A text that problems point into, under the name that its reader knows it by.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceText {
    /// The file's path as it is shown.
    pub path: String,
    /// The file's whole text.
    pub text: String,
}

impl SourceText {
    /// Line and column (both from 1, columns in characters) of a byte offset.
    #[must_use]
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    fn line_at(&self, offset: usize) -> &str {
        let offset = self.text.floor_char_boundary(offset);
        let start = self.text[..offset]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        self.text[start..].lines().next().unwrap_or_default()
    }
}

/// Something wrong with the user's input: what, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    message: String,
    place: Option<Place>,
    help: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    source: Arc<SourceText>,
    span: Range<usize>,
    label: String,
    context: Vec<(Range<usize>, String)>,
}

impl Problem {
    /// A problem in one sentence without a full stop.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
            help: Vec::new(),
        }
    }

    /// Points at the bytes that are wrong; the label stands next to them.
    #[must_use]
    pub fn at(
        mut self,
        source: &Arc<SourceText>,
        span: Range<usize>,
        label: impl Into<String>,
    ) -> Self {
        self.place = Some(Place {
            source: Arc::clone(source),
            span: within(&source.text, span),
            label: label.into(),
            context: Vec::new(),
        });
        self
    }

    /// Points at a second place in the same text that explains the first.
    #[must_use]
    pub fn context(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        if let Some(place) = &mut self.place {
            let span = within(&place.source.text, span);
            place.context.push((span, label.into()));
        }
        self
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// What is wrong, without place and help.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where problems of several files are listed: by file, then by place.
    fn order(&self) -> (Option<&str>, usize) {
        self.place
            .as_ref()
            .map_or((None, 0), |p| (Some(&p.source.path), p.span.start))
    }

    /// The problem as a script would read it.
    #[must_use]
    pub fn to_record(&self) -> ProblemRecord {
        let place = self.place.as_ref();
        let (line, column) = place
            .map(|p| p.source.line_and_column(p.span.start))
            .unzip();
        ProblemRecord {
            message: self.message.clone(),
            file: place.map(|p| p.source.path.clone()),
            line,
            column,
            text: place.map(|p| p.source.line_at(p.span.start).to_owned()),
            label: place.map(|p| p.label.clone()).filter(|l| !l.is_empty()),
            help: self.help.clone(),
        }
    }

    fn render(&self, renderer: &Renderer) -> String {
        // Of the source's own text, the renderer replaces what could be taken for its colours.
        let message = terminal::lines(&self.message);
        let mut report = vec![match &self.place {
            None => Group::with_title(Level::ERROR.primary_title(message)),
            Some(place) => Level::ERROR.primary_title(message).element(
                Snippet::source(place.source.text.as_str())
                    .path(terminal::inline(&place.source.path))
                    .annotation(
                        AnnotationKind::Primary
                            .span(place.span.clone())
                            .label(terminal::lines(&place.label)),
                    )
                    .annotations(place.context.iter().map(|(span, label)| {
                        AnnotationKind::Context
                            .span(span.clone())
                            .label(terminal::lines(label))
                    })),
            ),
        }];
        for help in &self.help {
            let group = report
                .pop()
                .unwrap_or_else(|| Group::with_level(Level::HELP));
            report.push(group.element(Level::HELP.message(terminal::lines(help))));
        }
        renderer.render(&report)
    }
}

/// One problem as `--output json` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemRecord {
    /// What is wrong.
    pub message: String,
    /// The file that it is in.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// The line as it stands in the file.
    pub text: Option<String>,
    /// What stands next to the marked characters in the text form.
    pub label: Option<String>,
    /// What can be done about it.
    pub help: Vec<String>,
}

/// All problems of one input. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// What the input is, such as "the recipe".
    input: &'static str,
    all: Vec<Problem>,
}

impl Problems {
    /// The problems of an input ("the recipe"), ordered by file and place; `None` if there is none.
    #[must_use]
    pub fn of(input: &'static str, mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by(|a, b| a.order().cmp(&b.order()));
        problems.dedup();
        (!problems.is_empty()).then_some(Self {
            input,
            all: problems,
        })
    }

    /// One problem of an input, which keeps from looking for more.
    #[must_use]
    pub fn one(input: &'static str, problem: Problem) -> Self {
        Self {
            input,
            all: vec![problem],
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.all.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Everything for a person, with colours if the reader can see them.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let shown: Vec<String> = self.all.iter().map(|p| p.render(&renderer)).collect();
        let shown = shown.join("\n\n");
        match colours {
            true => terminal::painted(&shown).into_owned(),
            false => terminal::lines(&shown).into_owned(),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let input = self.input;
        match self.all.as_slice() {
            [only] => write!(f, "{input} is not valid: {}", only.message),
            all => write!(f, "{input} has {} problems", all.len()),
        }
    }
}

impl std::error::Error for Problems {}

/// The candidate that the user probably meant, if one is close enough.
#[must_use]
pub fn closest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Half of the letters or more must agree, and a swapped pair counts as one slip.
    let limit = (written.chars().count() / 2).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Words as `a`, `b` and `c`, each between backticks.
#[must_use]
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>, joint: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} {joint} {last}", rest.join(", ")),
    }
}

fn within(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let keys = ["name", "description", "instance_types", "timeout"];
        assert_eq!(closest("instance_type", keys), Some("instance_types"));
        assert_eq!(closest("tiemout", keys), Some("timeout"));
        assert_eq!(closest("subnet", keys), None);
        assert_eq!(closest("x", keys), None);
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        let source = SourceText {
            path: "r".into(),
            text: "a\nbü = 1\n".into(),
        };
        assert_eq!(source.line_and_column(0), (1, 1));
        assert_eq!(source.line_and_column(2), (2, 1));
        assert_eq!(source.line_and_column(5), (2, 3));
    }

    #[test]
    fn nothing_that_was_written_reaches_a_terminal_raw() {
        let evil = "a\x1b[2J\u{9b}2J\u{202e}\u{200b}b";
        let source = Arc::new(SourceText {
            path: evil.into(),
            text: format!("x = \"{evil}\"\n"),
        });
        let problem = Problem::new(evil).at(&source, 0..1, evil).help(evil);
        let problems = Problems::one("it", problem);
        let plain = problems.render(false);
        assert!(
            !plain.replace('\n', "").contains(terminal::is_harmful),
            "{plain:?}"
        );
        let coloured = problems.render(true);
        let rest = coloured.replace("\x1b[", "").replace('\n', "");
        assert!(!rest.contains(terminal::is_harmful), "{coloured:?}");
        assert!(!coloured.contains("\x1b[2J"), "{coloured:?}");
    }

    #[test]
    fn a_span_past_the_end_is_cut_to_the_text() {
        let source = Arc::new(SourceText {
            path: "r".into(),
            text: "name".into(),
        });
        let problem = Problem::new("cut short").at(&source, 4..99, "here");
        assert!(problem.render(&Renderer::plain()).contains("cut short"));
    }
}
