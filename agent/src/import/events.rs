//! How the events of a file were found: their times, their lines, and which are sent.

use jiff::tz::TimeZone;

use super::draft::{Table, Toml};
use super::section::Section;
use super::stamps;
use crate::expressions::{self, Lines};
use crate::frame::Multiline;
use crate::stamp::Format;

/// `timestamp_format`, `timezone`, `multi_line_start_pattern`.
pub(super) fn read_times(section: &Section<'_>, table: &mut Table) {
    let notes = section.notes;
    let format = section.text("timestamp_format").filter(|it| !it.is_empty());
    if let Some(theirs) = format {
        let at = section.at("timestamp_format");
        let (ours, foreign) = stamps::format(theirs);
        let anchored = theirs.starts_with('^');
        match Format::parse(&ours) {
            Ok(_) if anchored => notes.left_out(
                &at,
                "^ at its beginning is text there, and the beginning of the line here: events get the time of reading",
            ),
            Ok(_) => {
                if !foreign.is_empty() {
                    notes.differs(
                        &at,
                        format!(
                            "the CloudWatch agent does not know {}, and takes the time of reading; here it is the event's own",
                            foreign.join(" ")
                        ),
                    );
                }
                table.set(notes, &at, "format", &*ours);
            }
            Err(error) => notes.left_out(
                &at,
                format!("{theirs:?}: {}; {}; events get the time of reading", error.message, error.help),
            ),
        }
    }
    read_timezone(section, table);
    let Some(start) = section
        .text("multi_line_start_pattern")
        .filter(|it| !it.is_empty())
    else {
        return;
    };
    let at = section.at("multi_line_start_pattern");
    let own = ["{timestamp_format}", "{timestamp_regex}"].contains(&start);
    let start = match (own, format) {
        (true, Some(format)) => stamps::pattern(format),
        (true, None) => {
            notes.left_out(&at, "there is no timestamp_format that it could mean");
            return;
        }
        (false, _) => readable(start),
    };
    if table.set(notes, &at, "multiline", Toml::table("start", &start)) {
        match expressions::lines(&start) {
            Some(Lines::None) => notes.differs(
                &at,
                "it can match no line at all, so all lines of a file are one event that is cut where it is too long, as there: correct it",
            ),
            Some(Lines::Each) => notes.differs(
                &at,
                "it matches every line, so each is an event of its own that waits for the next: correct it, or take it out",
            ),
            Some(Lines::Some) | None => {}
        }
    }
}

/// That agent knows UTC, and takes everything else for the host's own zone (its translator).
fn read_timezone(section: &Section<'_>, table: &mut Table) {
    let at = section.at("timezone");
    match section.text("timezone") {
        None | Some("" | "Local" | "LOCAL") => {}
        Some("UTC") => _ = table.set(section.notes, &at, "timezone", "UTC"),
        Some(zone) => {
            let write = match TimeZone::get(zone).is_ok() {
                true => format!("write timezone = \"{zone}\" if the lines are in that zone"),
                false => "write the name of a zone, such as \"Europe/Berlin\", if the lines are in another".to_owned(),
            };
            section.notes.left_out(
                &at,
                format!("the CloudWatch agent knows UTC and Local only, and takes {zone:?} for the host's own zone, as it is here: {write}"),
            );
        }
    }
}

/// The expression as this agent's library reads it: in Go's, a brace that counts nothing is itself.
fn readable(expression: &str) -> String {
    if Multiline::parse(expression).is_ok() {
        return expression.to_owned();
    }
    let mut escaped = String::new();
    let mut backslash = false;
    for (at, character) in expression.char_indices() {
        let counts = || {
            let inside = expression[at + 1..]
                .split_once('}')
                .map(|(inside, _)| inside);
            inside.is_some_and(|it| {
                it.starts_with(|c: char| c.is_ascii_digit())
                    && it.chars().all(|c| c.is_ascii_digit() || c == ',')
            })
        };
        if character == '{' && !backslash && !counts() {
            escaped.push('\\');
        }
        backslash = character == '\\' && !backslash;
        escaped.push(character);
    }
    match Multiline::parse(&escaped) {
        Ok(_) => escaped,
        Err(_) => expression.to_owned(),
    }
}

/// `filters`.
pub(super) fn read_filters(section: &Section<'_>, table: &mut Table) {
    let notes = section.notes;
    let (mut include, mut exclude) = (Vec::new(), Vec::new());
    let path = section.at("filters");
    for (at, node) in section
        .list("filters")
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let Some(filter) = Section::of(notes, format!("{path}[{at}]"), node) else {
            continue;
        };
        let kind = filter.text("type");
        let expression = filter.text("expression").map(readable);
        filter.rest();
        match (kind, expression) {
            (Some("include"), Some(expression)) => include.push((filter.path, expression)),
            (Some("exclude"), Some(expression)) => exclude.push((filter.path, expression)),
            _ => notes.left_out(
                &filter.path,
                "a filter has a `type`, include or exclude, and an `expression`",
            ),
        }
    }
    for (path, expression) in &include {
        match expressions::lines(expression) {
            Some(Lines::None) => notes.differs(
                path,
                "it can match no line at all, so nothing of this file is sent, as there: correct it",
            ),
            Some(Lines::Each) => notes.differs(path, "it matches every line, so it leaves out nothing"),
            Some(Lines::Some) | None => {}
        }
    }
    for (path, expression) in &exclude {
        match expressions::lines(expression) {
            Some(Lines::None) => notes.differs(
                path,
                "it can match no line at all, so it leaves out nothing: correct it",
            ),
            Some(Lines::Each) => notes.differs(
                path,
                "it matches every line, so nothing of this file is sent, as there: correct it",
            ),
            Some(Lines::Some) | None => {}
        }
    }
    // There, an event has to match every one of them; here, one.
    for (path, expression) in include.iter().skip(1) {
        notes.left_out(
            path,
            format!("include_lines sends what matches one of several expressions, not all of them: events without {expression:?} are sent, too"),
        );
    }
    include.truncate(1);
    for (key, lines) in [("include_lines", include), ("exclude_lines", exclude)] {
        let mut good = Vec::new();
        for (path, expression) in &lines {
            // Each by itself first, so that one that can't be read takes no other with it.
            if Table::new("[[file]]", "").set(notes, path, key, &[&**expression][..]) {
                good.push(expression.as_str());
            }
        }
        if !good.is_empty() {
            table.set(notes, &path, key, &good[..]);
        }
    }
}
