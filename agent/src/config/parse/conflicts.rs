//! What two `[[file]]` tables may not both say.

use super::file::Entry;
use super::said::Said;
use crate::config::diagnostics::Problem;

/// Reports files that are named twice, and groups that are described in two ways.
pub(super) fn report(entries: &[Entry], defaults: &Said, problems: &mut Vec<Problem>) {
    report_twins(entries, problems);
    report_groups(entries, defaults, problems);
}

/// A file belongs to one `[[file]]`, and what is known of it is kept under that one's pattern.
fn report_twins(entries: &[Entry], problems: &mut Vec<Problem>) {
    let patterns: Vec<_> = entries
        .iter()
        .flat_map(|entry| entry.patterns.iter().map(move |pattern| (entry, pattern)))
        .collect();
    for (at, (entry, pattern)) in patterns.iter().enumerate() {
        let Some((earlier, twin)) = patterns[..at].iter().find(|(_, p)| p.text == pattern.text)
        else {
            continue;
        };
        let problem = Problem::new(format!("{} is named twice", pattern.text))
            .at(&entry.source, pattern.span.clone(), "the second time")
            .help("every line is sent once: remove one of the two, or send to one group only");
        problems.push(if earlier.source == entry.source {
            problem.context(twin.span.clone(), "the first time")
        } else {
            problem.help(format!("the other one is in {}", earlier.source.path))
        });
    }
}

/// A group is made once: it has one retention and one class.
fn report_groups(entries: &[Entry], defaults: &Said, problems: &mut Vec<Problem>) {
    let settled: Vec<_> = entries
        .iter()
        .map(|entry| (entry, entry.said.clone().or(defaults)))
        .collect();
    for (at, (entry, said)) in settled.iter().enumerate() {
        // With the file's path in its name there is a group for each file.
        let Some(group) = said
            .group
            .as_ref()
            .filter(|group| !group.tells_files_apart())
        else {
            continue;
        };
        let Some((earlier, other)) = settled[..at]
            .iter()
            .find(|(_, other)| other.group.as_ref() == Some(group))
        else {
            continue;
        };
        let differing = if said.retention_days.flatten() != other.retention_days.flatten() {
            "retention"
        } else if said.class.unwrap_or_default() != other.class.unwrap_or_default() {
            "class"
        } else {
            continue;
        };
        let problem = Problem::new(format!(
            "the group {group} is given two values for its {differing}"
        ))
        .at(&entry.source, entry.span.clone(), "differs")
        .help("say the same in both, or say it once in [defaults]");
        problems.push(if earlier.source == entry.source {
            problem.context(earlier.span.clone(), "from this")
        } else {
            problem.help(format!("the other one is in {}", earlier.source.path))
        });
    }
}
