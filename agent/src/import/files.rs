//! One entry of `collect_list`: which files, and where they go.

use std::collections::BTreeMap;
use std::path::Path;

use super::draft::Table;
use super::json::{Node, Value};
use super::names::{self, DEFAULT_STREAM};
use super::section::{Notes, Section};
use super::{Common, ENTITY, events, globs};
use crate::discover::Patterns;
use crate::names::{Kind, Template};

/// The class of a group of which nothing is said.
const STANDARD: &str = "standard";

/// What earlier files have said.
#[derive(Default)]
pub(super) struct Seen {
    /// Patterns, and where.
    patterns: BTreeMap<String, String>,
    /// Of each group: what it keeps, its class, and where that is said.
    groups: BTreeMap<String, Made>,
}

impl Seen {
    /// A pattern of an earlier entry that means files of this one, or this one files of it, where one of the two is a path.
    fn overlapping(&self, pattern: &str, path: &str) -> Option<(&str, &str)> {
        let means = |glob: &str, path: &str| {
            Patterns::compile(&[glob.to_owned()], &[]).is_ok_and(|it| it.is_match(Path::new(path)))
        };
        let overlaps = |other: &str| {
            means(other, pattern) && !globs::several(pattern)
                || means(pattern, other) && !globs::several(other)
        };
        let others = self.patterns.iter().filter(|(_, entry)| *entry != path);
        others
            .map(|(other, entry)| (other.as_str(), entry.as_str()))
            .find(|(other, _)| overlaps(other))
    }
}

/// How a group is made.
#[derive(Debug, Clone)]
struct Made {
    days: i64,
    class: &'static str,
    path: String,
}

/// The table of an entry; none if it names no file that can be followed.
pub(super) fn read_file(
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
    events::read_times(&section, &mut table);
    events::read_filters(&section, &mut table);
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
                if let Some((other, earlier)) = seen.overlapping(&pattern, &section.path) {
                    notes.differs(
                        &at,
                        format!(
                            "{earlier} names {other}: the CloudWatch agent sends what both mean twice, baker-agent once, as the entry says that comes first"
                        ),
                    );
                }
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
    let made_as = match class.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "standard") => STANDARD,
        Some("infrequent_access") => "infrequent_access",
        Some("essentials") => "essentials",
        Some("delivery") => {
            notes.left_out(
                &section.at("log_group_class"),
                "CloudWatch keeps a group of class DELIVERY for Lambda's logs alone, and lets nobody read it: the group is made as a standard one",
            );
            STANDARD
        }
        Some(_) => {
            let other = class.unwrap_or_default();
            notes.left_out(
                &section.at("log_group_class"),
                format!("baker-agent does not know the class {other:?}"),
            );
            STANDARD
        }
    };
    let days = said_days.filter(|days| *days > 0).unwrap_or(0);
    let shared = Template::parse(Kind::Group, group).is_ok_and(|it| !it.tells_files_apart());
    if let Some(earlier) = seen.groups.get(group).filter(|_| shared).cloned() {
        // What is not said here is as it is said there.
        let days_differ = said_days.is_some() && earlier.days != days;
        let class_differs = class.is_some() && earlier.class != made_as;
        for (name, differs) in [
            ("retention_in_days", days_differ),
            ("log_group_class", class_differs),
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
        class: made_as,
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
    if made.class != STANDARD {
        table.set(notes, &section.at("log_group_class"), "class", made.class);
    }
    Made {
        days: if days { made.days } else { 0 },
        ..made.clone()
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
