//! The little Markdown that the documents use, as roff: headings, paragraphs, lists, tables, code, emphasis, links.
//!
//! A table becomes a list of terms, as manual pages have them: its first column is the term, a column named `default` is
//! told beside it, the others are what is said of it.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// Where a link leads on a host; `None` leaves the document's target.
pub(crate) type Resolve<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Appends `text` to the page. Its first heading of the first level is left out: the page has its own.
pub(crate) fn render(roff: &mut Roff, text: &str, resolve: Resolve<'_>) {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let code = std::iter::from_fn(|| lines.next()).take_while(|it| !it.starts_with("```"));
            verbatim(roff, code);
        } else if let Some((level, title)) = heading(line) {
            let title = plain(title);
            match level {
                1 => {}
                // As it is written: a table of the configuration has its case.
                2 => drop(roff.control("SH", [title.as_str()])),
                _ => drop(roff.control("SS", [title.as_str()])),
            }
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|it| it.starts_with('|')) {
                rows.push(cells(row));
            }
            table(roff, &rows, resolve);
        } else if !line.trim().is_empty() {
            let mut paragraph = vec![line];
            while let Some(more) = lines.next_if(|it| continues(it)) {
                paragraph.push(more);
            }
            match line.strip_prefix("- ") {
                Some(first) => {
                    roff.control("IP", ["\\(bu", "2"]);
                    paragraph[0] = first;
                }
                None => drop(roff.control("PP", [])),
            }
            for line in paragraph {
                roff.text(inlines(line.trim(), resolve));
            }
        }
    }
}

/// Whether a line goes on with the paragraph before it.
fn continues(line: &str) -> bool {
    !line.trim().is_empty()
        && !["```", "#", "|", "- "]
            .iter()
            .any(|start| line.starts_with(start))
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    title
        .strip_prefix(' ')
        .filter(|_| level > 0)
        .map(|title| (level, title))
}

fn verbatim<'a>(roff: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    roff.control("PP", []);
    roff.control("RS", ["4"]);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.control("RE", []);
}

/// The cells of a table's line. A bar in a cell is written `\|`.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|');
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let mut cells = vec![String::new()];
    let mut characters = inner.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next_if_eq(&'|').is_some() => push(&mut cells, '|'),
            '|' => cells.push(String::new()),
            other => push(&mut cells, other),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

fn push(cells: &mut [String], character: char) {
    if let Some(cell) = cells.last_mut() {
        cell.push(character);
    }
}

fn table(roff: &mut Roff, rows: &[Vec<String>], resolve: Resolve<'_>) {
    let Some((head, rows)) = rows.split_first() else {
        return;
    };
    let is_rule = |row: &&Vec<String>| {
        row.iter()
            .all(|cell| cell.trim_matches(['-', ':']).is_empty())
    };
    for row in rows.iter().filter(|row| !is_rule(row)) {
        let Some((term, rest)) = row.split_first() else {
            continue;
        };
        let mut first = inlines(term, resolve);
        let mut said = Vec::new();
        for (name, cell) in head.iter().skip(1).zip(rest) {
            if name == "default" && !cell.is_empty() {
                first.push(roman(" (default: "));
                first.extend(inlines(cell, resolve));
                first.push(roman(")"));
            } else if !cell.is_empty() {
                said.push(inlines(cell, resolve));
            }
        }
        roff.control("TP", []);
        roff.text(first);
        if said.is_empty() {
            // A term needs a text, or the next one becomes it.
            roff.text([roman("\u{a0}")]);
        }
        for text in said {
            roff.text(text);
        }
    }
}

/// Markup taken off.
fn plain(text: &str) -> String {
    inlines(text, &|_| None)
        .into_iter()
        .map(|inline| match inline {
            Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => text,
            Inline::LineBreak => " ".into(),
        })
        .collect()
}

/// Code and strong text are bold, emphasis is italic, links give their target after their text.
fn inlines(text: &str, resolve: Resolve<'_>) -> Vec<Inline> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        let (before, marked) = rest.split_at(at);
        let Some((inline, after)) = span(marked, resolve) else {
            // The character itself is meant.
            let (character, after) = marked.split_at(1);
            found.push(roman(format!("{before}{character}")));
            rest = after;
            continue;
        };
        if !before.is_empty() {
            found.push(roman(before));
        }
        found.extend(inline);
        rest = after;
    }
    if !rest.is_empty() {
        found.push(roman(rest));
    }
    found
}

/// What is marked at the beginning of `text`, and what follows it.
fn span<'a>(text: &'a str, resolve: Resolve<'_>) -> Option<(Vec<Inline>, &'a str)> {
    let between = |open: &str, close: &str| -> Option<(&'a str, &'a str)> {
        text.strip_prefix(open)?
            .split_once(close)
            .filter(|(inner, _)| !inner.is_empty())
    };
    if let Some((code, after)) = between("`", "`") {
        return Some((vec![bold(code)], after));
    }
    if let Some((strong, after)) = between("**", "**") {
        return Some((vec![bold(plain(strong))], after));
    }
    if let Some((emphasis, after)) = between("*", "*").filter(|(it, _)| !it.starts_with(' ')) {
        return Some((vec![italic(plain(emphasis))], after));
    }
    let (label, target) = between("[", "](")?;
    let (target, after) = target.split_once(')')?;
    let mut link = Vec::new();
    match resolve(target) {
        Some(path) => link.push(bold(path)),
        None => {
            link.push(roman(plain(label)));
            if target.starts_with("http") {
                link.push(roman(format!(" <{target}>")));
            }
        }
    }
    Some((link, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> String {
        let mut roff = Roff::new();
        render(&mut roff, text, &|target| {
            (target == "../here.toml").then(|| "/etc/here.toml".to_owned())
        });
        roff.to_roff()
    }

    #[test]
    fn headings_become_sections_and_the_first_one_is_the_pages_own() {
        assert_eq!(
            rendered("# Title\n\n## `[ship]`\n\n### A part"),
            ".SH [ship]\n.SS \"A part\"\n"
        );
    }

    #[test]
    fn a_paragraph_goes_on_until_something_else_begins() {
        assert_eq!(
            rendered("one `two`\n*three*, **four**\n- five\n\n.six"),
            ".PP\none \\fBtwo\\fR\n\\fIthree\\fR, \\fBfour\\fR\n.IP \\(bu 2\nfive\n.PP\n\\&.six\n"
        );
    }

    #[test]
    fn a_table_becomes_terms_with_their_defaults() {
        let table =
            "| key | default | |\n| --- | --- | --- |\n| `a` | `1` | what a\\|b is |\n| `b` | | |";
        assert_eq!(
            rendered(table),
            ".TP\n\\fBa\\fR (default: \\fB1\\fR)\nwhat a|b is\n.TP\n\\fBb\\fR\n\u{a0}\n"
        );
    }

    #[test]
    fn code_stands_as_it_is() {
        assert_eq!(
            rendered("```toml\n[[file]]\n# *no* markup\n```\nend"),
            ".PP\n.RS 4\n.nf\n[[file]]\n# *no* markup\n.fi\n.RE\n.PP\nend\n"
        );
    }

    #[test]
    fn links_lead_to_the_host_or_to_the_web() {
        assert_eq!(
            rendered("[a](../here.toml) [b](../gone.md) [c](https://c.example)"),
            ".PP\n\\fB/etc/here.toml\\fR b c <https://c.example>\n"
        );
    }

    #[test]
    fn marks_that_open_nothing_are_characters() {
        assert_eq!(rendered("2 * 3 ` [x] *.toml"), ".PP\n2 * 3 ` [x] *.toml\n");
    }
}
