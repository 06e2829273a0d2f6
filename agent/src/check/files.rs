//! Which files a `[[file]]` means now, what they are called at the service, and when their lines happened.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Finding;
use super::judge;
use super::sample::{self, Sample, Seen};
use crate::config::FileSettings;
use crate::discover::links::{self, Links};
use crate::host::Host;
use crate::log::chain;
use crate::names::ResolveError;
use crate::tail;
use crate::target::GroupClass;

/// One `[[file]]`.
#[derive(Debug, Clone, Serialize)]
pub struct SetReport {
    /// Its patterns.
    pub patterns: Vec<String>,
    /// The group's name, with placeholders.
    pub group: String,
    /// The stream's name, with placeholders.
    pub stream: String,
    /// What a group that the agent makes keeps; `None` is for ever.
    pub retention_days: Option<u32>,
    /// The class of a group that the agent makes.
    #[serde(skip)]
    pub class: GroupClass,
    /// The files that match now.
    pub files: Vec<FileReport>,
    /// What was found out about all of them.
    pub findings: Vec<Finding>,
}

/// One file.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    /// Where it is.
    pub path: String,
    /// Its size; `None` if it can't be read.
    pub size_bytes: Option<u64>,
    /// The group's name.
    pub group: Option<String>,
    /// The stream's name.
    pub stream: Option<String>,
    /// How many events at its end were looked at.
    pub events: usize,
    /// How many of them have a time that `format` finds; `None` if it has none.
    pub timed: Option<usize>,
    /// Its last events.
    pub last: Vec<Sample>,
    /// What was found out about it.
    pub findings: Vec<Finding>,
}

/// From where files are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// Without a host, names stay open.
    pub(super) host: Option<&'a Host>,
    /// Whether the instance's metadata was not asked.
    pub(super) offline: bool,
    /// The time of looking, in milliseconds since 1970 UTC.
    pub(super) now_ms: i64,
}

/// The first pattern of the `[[file]]` that each path belongs to.
pub(super) type Owners = BTreeMap<PathBuf, String>;

/// Looks at all files that match now and belong to no `[[file]]` before this one.
pub(super) fn look(settings: &FileSettings, view: View<'_>, owners: &mut Owners) -> SetReport {
    let mut findings = judge::patterns(settings);
    let judged = findings.len();
    let mut paths = tail::matching(&settings.set).unwrap_or_else(|error| {
        findings.push(Finding::problem(chain(&error)));
        Vec::new()
    });
    paths.retain(|path| match owners.get(path) {
        Some(owner) => {
            findings.push(Finding::note(format!(
                "{} belongs to the [[file]] of {owner}, which comes first",
                path.display()
            )));
            false
        }
        None => true,
    });
    let name = settings.set.patterns.first().cloned().unwrap_or_default();
    owners.extend(paths.iter().map(|path| (path.clone(), name.clone())));
    if paths.is_empty() && findings.len() == judged {
        findings.push(Finding::note(
            "no file matches now; one that appears is read from its first byte",
        ));
    }
    let files: Vec<FileReport> = paths
        .iter()
        .map(|path| look_at(path, settings, view))
        .collect();
    findings.extend(shared_streams(&files));
    SetReport {
        patterns: settings.set.patterns.clone(),
        group: settings.group.to_string(),
        stream: settings.stream.to_string(),
        retention_days: settings.retention_days,
        class: settings.class,
        files,
        findings,
    }
}

fn look_at(path: &Path, settings: &FileSettings, view: View<'_>) -> FileReport {
    let mut findings = Vec::new();
    let mut resolved = [&settings.group, &settings.stream].map(|template| {
        match template.resolve(view.host?, path) {
            Ok(name) => Some(name),
            Err(error) => {
                findings.push(unnamed(&error, view.offline));
                None
            }
        }
    });
    let read = open(path, settings.set.links).and_then(|file| {
        let size_bytes = file.metadata()?.len();
        Ok((size_bytes, sample::look(&file, settings, view.now_ms)?))
    });
    let timed = settings.format.is_some();
    let judged = || match read {
        Ok((size_bytes, seen)) => {
            if let Some(encoding) = seen.encoding {
                findings.push(judge::encoding(encoding));
                return (Some(size_bytes), seen);
            }
            findings.extend(judge::starts(&seen));
            findings.extend(match timed {
                true => judge::times(&seen, view.now_ms),
                false => judge::unused_times(&seen),
            });
            (Some(size_bytes), seen)
        }
        Err(error) => {
            findings.push(unreadable(&error));
            (None, Seen::default())
        }
    };
    let (size_bytes, seen) = judged();
    FileReport {
        path: path.display().to_string(),
        size_bytes,
        group: resolved[0].take(),
        stream: resolved[1].take(),
        events: seen.events,
        timed: (timed && size_bytes.is_some()).then_some(seen.timed),
        last: seen.last,
        findings,
    }
}

/// A name that can't be made. What only the metadata tells is no problem as long as nobody has asked it.
fn unnamed(error: &ResolveError, offline: bool) -> Finding {
    match error {
        ResolveError::Missing {
            kind,
            template,
            placeholder,
            ..
        } if offline => Finding::note(format!(
            "{kind} \"{template}\": what {{{placeholder}}} is was not asked (--offline); for hosts that have none, write {{{placeholder}|something}}"
        )),
        _ => Finding::problem(chain(error)),
    }
}

/// Opening a pipe would wait for its writer.
fn open(path: &Path, links: Links) -> io::Result<File> {
    if path.metadata()?.is_file() {
        links::open(path, links)
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

fn unreadable(error: &io::Error) -> Finding {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied if links::refusal(error).is_none() => {
            "; let the agent's user read it: on Ubuntu the group `adm` reads logs"
        }
        _ => "",
    };
    Finding::problem(format!("can't be read: {error}{remedy}"))
}

/// Files whose lines go into one stream.
fn shared_streams(files: &[FileReport]) -> Vec<Finding> {
    let mut streams: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for file in files {
        if let (Some(group), Some(stream)) = (&file.group, &file.stream) {
            *streams.entry((group, stream)).or_default() += 1;
        }
    }
    streams
        .into_iter()
        .filter(|(_, files)| *files > 1)
        .map(|((_, stream), files)| {
            Finding::note(format!(
                "{files} files share the stream {stream}; with {{file}} in `stream` each has its own"
            ))
        })
        .collect()
}
