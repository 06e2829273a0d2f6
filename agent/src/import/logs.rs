//! The section `logs`: how they are sent, and which files.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{Table, Toml};
use super::json::{Node, Value};
use super::section::{Notes, Section};
use super::{Common, ENTITY, ROLE, globs, names, stamps};
use crate::frame::Multiline;
use crate::names::{Kind, Template};
use crate::stamp::Format;

/// Where that agent sends without `log_stream_name`.
const DEFAULT_STREAM: &str = "{instance_id}";
/// What begins an event without `multi_line_start_pattern`: its log file reader.
const DEFAULT_START: &str = r"^\S";
/// The longest `flush_interval` there is, in seconds.
const MAX_FLUSH_S: i64 = 30;
/// The most requests under way at a time.
const MAX_IN_FLIGHT: i64 = 64;

/// What `logs` says of the agent as a whole.
pub(super) fn read_agent(section: &Section<'_>, table: &mut Table) {
    if let Some(url) = section.text("endpoint_override") {
        table.set(
            section.notes,
            &section.at("endpoint_override"),
            "endpoint_url",
            &*url_of(url),
        );
    }
}

/// That agent takes an address without a scheme, too.
pub(super) fn url_of(text: &str) -> String {
    match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    }
}

/// The tables of `logs`.
pub(super) fn read(section: &Section<'_>, common: &Common) -> Vec<Table> {
    let notes = section.notes;
    let mut tables = Vec::new();
    let begun = notes.count();
    tables.push(read_limits(section));
    tables.push(read_ship(section));
    let mut defaults = Table::new("[defaults]", "");
    let stream = section.text("log_stream_name").unwrap_or(DEFAULT_STREAM);
    let stream = names::template(
        Kind::Stream,
        stream,
        common,
        notes,
        &section.at("log_stream_name"),
    );
    defaults.set(notes, &section.at("log_stream_name"), "stream", &*stream);
    section.left_out("credentials", ROLE);
    section.left_out(
        "metrics_collected",
        "baker-agent makes no metrics of logs (embedded metric format) and of containers",
    );
    section.left_out("service.name", ENTITY);
    section.left_out("deployment.environment", ENTITY);
    let mut files = Vec::new();
    if let Some(collected) = section.section("logs_collected") {
        files = read_collected(&collected, common);
    }
    section.rest();
    if files.is_empty() {
        defaults = Table::new("[defaults]", "");
    } else {
        defaults.remark(
            "As the CloudWatch agent: a line that begins with white space belongs to the one before. Without this, each line is an event, and \
             leaves at once instead of after a second.",
        );
        defaults.set(notes, "", "multiline", Toml::table("start", DEFAULT_START));
        defaults.remark(
            "On a host where the CloudWatch agent has sent these files already, add: start = \"end\". A host that boots from a new image needs nothing.",
        );
    }
    // What is said of a file stands beside it.
    let about_files: BTreeSet<String> = files.iter().flat_map(|(_, paths)| paths.clone()).collect();
    let own = notes.since(begun).into_iter();
    defaults.explain(
        own.filter(|finding| !about_files.contains(&finding.path))
            .collect(),
    );
    tables.push(defaults);
    tables.extend(files.into_iter().map(|(table, _)| table));
    tables
}

fn read_limits(section: &Section<'_>) -> Table {
    let mut table = Table::new("[limits]", "");
    if let Some(workers) = section.whole("concurrency") {
        let in_flight = workers.clamp(1, MAX_IN_FLIGHT);
        table.set(
            section.notes,
            &section.at("concurrency"),
            "in_flight",
            in_flight,
        );
    }
    table
}

fn read_ship(section: &Section<'_>) -> Table {
    let mut table = Table::new("[ship]", "");
    if let Some(seconds) = section.whole("force_flush_interval") {
        let path = section.at("force_flush_interval");
        if seconds > MAX_FLUSH_S {
            section.notes.differs(
                &path,
                format!("every line is to arrive well within a minute: {MAX_FLUSH_S}s is the most there is"),
            );
        }
        let interval = format!("{}s", seconds.min(MAX_FLUSH_S));
        table.set(section.notes, &path, "flush_interval", &*interval);
    }
    table
}

/// Tables of files, and the paths of what was found about each.
fn read_collected(section: &Section<'_>, common: &Common) -> Vec<(Table, Vec<String>)> {
    let mut files = Vec::new();
    if let Some(section) = section.section("files") {
        let path = section.at("collect_list");
        let mut seen = Seen::default();
        for (at, node) in section
            .list("collect_list")
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            let path = format!("{path}[{at}]");
            let begun = section.notes.count();
            if let Some(mut table) = read_file(section.notes, &path, node, common, &mut seen) {
                let found = section.notes.since(begun);
                let paths = found.iter().map(|finding| finding.path.clone()).collect();
                table.explain(found);
                files.push((table, paths));
            }
        }
        section.rest();
    }
    section.left_out("windows_events", "baker-agent runs on Linux only");
    section.left_out(
        "journald",
        "baker-agent reads files: let rsyslog write the journal to one (ForwardToSyslog=yes)",
    );
    section.rest();
    files
}

/// What earlier files have said.
#[derive(Default)]
struct Seen {
    /// Patterns, and where.
    patterns: BTreeMap<String, String>,
    /// Of each group: what it keeps, its class, and where that is said.
    groups: BTreeMap<String, Made>,
}

/// How a group is made.
#[derive(Debug, Clone)]
struct Made {
    days: i64,
    infrequent: bool,
    path: String,
}

fn read_file(
    notes: &Notes,
    path: &str,
    node: &Node,
    common: &Common,
    seen: &mut Seen,
) -> Option<Table> {
    let section = Section::of(notes, path, node)?;
    let Some(file_path) = section.text("file_path") else {
        if !section.has("file_path") {
            notes.left_out(path, "it has no file_path, so it names no file");
        }
        return None;
    };
    let mut table = Table::new("[[file]]", path);
    let paths = read_paths(&section, file_path, seen)?;
    let set = match &paths[..] {
        [one] => table.set(notes, &section.at("file_path"), "path", &**one),
        several => {
            let several: Vec<&str> = several.iter().map(String::as_str).collect();
            table.set(notes, &section.at("file_path"), "paths", &several[..])
        }
    };
    if !set {
        return None;
    }
    read_exclude(&section, &mut table);
    let group = read_names(&section, file_path, common, &mut table);
    read_group(&section, &group, seen, &mut table);
    read_times(&section, &mut table);
    read_filters(&section, &mut table);
    read_rest(&section, &mut table);
    section.rest();
    Some(table)
}

fn read_paths(section: &Section<'_>, file_path: &str, seen: &mut Seen) -> Option<Vec<String>> {
    let (notes, at) = (section.notes, section.at("file_path"));
    let all = match globs::patterns(file_path) {
        Ok(all) => all,
        Err(why) => {
            notes.left_out(&at, why);
            return None;
        }
    };
    let mut paths = Vec::new();
    for pattern in all {
        match seen.patterns.get(&pattern) {
            Some(earlier) => notes.left_out(
                &at,
                format!("{earlier} names {pattern}, too, and baker-agent sends every line once, to one stream"),
            ),
            None => {
                seen.patterns.insert(pattern.clone(), section.path.clone());
                paths.push(pattern);
            }
        }
    }
    let all = section.truth("publish_multi_logs").unwrap_or_default();
    if globs::several(file_path) && !all {
        notes.differs(
            &at,
            "every file that matches is followed; the CloudWatch agent follows the one that was written last (rotated copies belong to \
             the file they come from)",
        );
    }
    (!paths.is_empty()).then_some(paths)
}

fn read_exclude(section: &Section<'_>, table: &mut Table) {
    let Some(expression) = section.text("blacklist") else {
        return;
    };
    let at = section.at("blacklist");
    match globs::excludes(expression) {
        Some(globs) => {
            let globs: Vec<&str> = globs.iter().map(String::as_str).collect();
            table.set(section.notes, &at, "exclude", &globs[..]);
        }
        None => section.notes.left_out(
            &at,
            format!("`exclude` takes globs, and {expression:?} is none: files that it left out are shipped; write `exclude` by hand"),
        ),
    }
}

/// Group and stream; returns the group.
fn read_names(
    section: &Section<'_>,
    file_path: &str,
    common: &Common,
    table: &mut Table,
) -> String {
    let notes = section.notes;
    let several = section.truth("publish_multi_logs").unwrap_or_default();
    let at = section.at("log_group_name");
    let named = section
        .text("log_group_name")
        .filter(|name| !name.is_empty());
    let group = match named {
        Some(name) => names::template(Kind::Group, name, common, notes, &at),
        // A group for each file.
        None if several => "/{file}".into(),
        None => {
            let name = up_to_last_dot(file_path);
            if globs::several(name) {
                notes.left_out(
                    &at,
                    format!("without it the group is {name}, which AWS does not take: each file has a group of its own"),
                );
                "/{file}".into()
            } else {
                names::template(Kind::Group, name, common, notes, &at)
            }
        }
    };
    let set = table.set(notes, &at, "group", &*group);
    let stream = section
        .text("log_stream_name")
        .filter(|name| !name.is_empty());
    let at = section.at("log_stream_name");
    let said = stream.map(|name| names::template(Kind::Stream, name, common, notes, &at));
    let said = match (said, several && named.is_some()) {
        (said, false) => said,
        (said, true) => {
            notes.differs(
                &section.at("publish_multi_logs"),
                "streams are named by the file's path as it is, not with _ for /",
            );
            Some(format!(
                "{}_{{file}}",
                said.unwrap_or_else(|| DEFAULT_STREAM.into())
            ))
        }
    };
    if let Some(stream) = said {
        table.set(notes, &at, "stream", &*stream);
    }
    match set {
        true => group,
        false => String::new(),
    }
}

/// The path without its extension, as that agent's log file reader cuts it.
fn up_to_last_dot(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((before, after)) if !after.contains('/') => before,
        _ => path,
    }
}

/// What is said of the group as a whole.
fn read_group(section: &Section<'_>, group: &str, seen: &mut Seen, table: &mut Table) {
    let notes = section.notes;
    let said_days = section.whole("retention_in_days");
    let class = section.text("log_group_class");
    let infrequent = match class.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "standard") => false,
        Some("infrequent_access") => true,
        Some(_) => {
            let other = class.unwrap_or_default();
            notes.left_out(
                &section.at("log_group_class"),
                format!("baker-agent does not know the class {other:?}"),
            );
            false
        }
    };
    let days = said_days.filter(|days| *days > 0).unwrap_or(0);
    let shared = Template::parse(Kind::Group, group).is_ok_and(|it| !it.tells_files_apart());
    if let Some(earlier) = seen.groups.get(group).filter(|_| shared).cloned() {
        for (name, differs) in [
            ("retention_in_days", earlier.days != days),
            ("log_group_class", earlier.infrequent != infrequent),
        ] {
            if differs {
                notes.left_out(
                    &section.at(name),
                    format!("the group {group} is made once, as {} says", earlier.path),
                );
            }
        }
        set_group(section, &earlier, table);
        return;
    }
    let made = Made {
        days,
        infrequent,
        path: section.path.clone(),
    };
    let made = set_group(section, &made, table);
    if shared {
        seen.groups.insert(group.to_owned(), made);
    }
}

/// Sets what can be set, and says what was.
fn set_group(section: &Section<'_>, made: &Made, table: &mut Table) -> Made {
    let notes = section.notes;
    let days = made.days > 0
        && table.set(
            notes,
            &section.at("retention_in_days"),
            "retention_days",
            made.days,
        );
    if made.infrequent {
        table.set(
            notes,
            &section.at("log_group_class"),
            "class",
            "infrequent_access",
        );
    }
    Made {
        days: if days { made.days } else { 0 },
        ..made.clone()
    }
}

fn read_times(section: &Section<'_>, table: &mut Table) {
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
    if let Some("UTC") = section.text("timezone") {
        table.set(notes, &section.at("timezone"), "timezone", "UTC");
    }
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
    table.set(notes, &at, "multiline", Toml::table("start", &start));
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

fn read_filters(section: &Section<'_>, table: &mut Table) {
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

const UTF_8: [&str; 4] = ["utf-8", "utf8", "utf_8", "ascii"];

fn read_rest(section: &Section<'_>, table: &mut Table) {
    let notes = section.notes;
    if let Some(encoding) = section.text("encoding")
        && !UTF_8.contains(&encoding.to_ascii_lowercase().as_str())
    {
        notes.left_out(
            &section.at("encoding"),
            format!("baker-agent reads UTF-8 only: of {encoding}, what is no UTF-8 becomes U+FFFD and is counted"),
        );
    }
    if section.truth("from_beginning") == Some(false) {
        table.set(notes, &section.at("from_beginning"), "start", "end");
    }
    for (name, why) in [
        (
            "auto_removal",
            "baker-agent never removes a file: let logrotate do it",
        ),
        (
            "trim_timestamp",
            "baker-agent sends lines as they are, with their time",
        ),
        ("pipe", "baker-agent reads files, not pipes"),
    ] {
        if section.truth(name) == Some(true) {
            section.notes.left_out(&section.at(name), why);
        }
    }
    section.differs(
        "backpressure_mode",
        "files that wait are held open up to `open_files` and `backlog` in [limits]",
    );
    section.left_out(
        "kms_key_id",
        "baker-agent sets no key: associate it with the group yourself (AssociateKmsKey)",
    );
    section.left_out("service.name", ENTITY);
    section.left_out("deployment.environment", ENTITY);
    // Its reader skips symbolic links; false is what happens here.
    if let Some(node) = section.node("ignore_symlinks")
        && node.value != Value::Bool(false)
    {
        section.notes.left_out(
            &section.at("ignore_symlinks"),
            "symbolic links are followed: name them in `exclude`",
        );
    }
}
