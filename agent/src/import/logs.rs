//! The section `logs`: how they are sent, and which files.

use std::collections::BTreeSet;

use super::draft::{Table, Toml};
use super::files::{Seen, read_file};
use super::names::{self, DEFAULT_STREAM, url_of};
use super::section::Section;
use super::{Common, ENTITY, ROLE};
use crate::names::Kind;

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
        if in_flight != workers {
            section.notes.differs(
                &section.at("concurrency"),
                format!("{in_flight} requests at a time instead of {workers}: 1 to {MAX_IN_FLIGHT} there may be"),
            );
        }
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
