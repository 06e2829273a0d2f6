//! The sections of `metrics_collected`: which metrics.

use super::Common;
use super::json::Value;
use super::section::Section;
use crate::derive::{Metric, metrics};
use crate::sample::Family;

/// Seconds between two measurements if nobody says otherwise.
const DEFAULT_INTERVAL_S: i64 = 60;

/// The sections whose metrics this agent has.
const FAMILIES: [Family; 9] = [
    Family::Cpu,
    Family::Mem,
    Family::Swap,
    Family::Disk,
    Family::DiskIo,
    Family::Net,
    Family::Netstat,
    Family::Processes,
    Family::Load,
];

/// Names of that agent's which are others here.
const RENAMED: [(&str, &str); 3] = [
    ("load_average_1m", "system_load1"),
    ("load_average_5m", "system_load5"),
    ("load_average_15m", "system_load15"),
];

/// Other sections, and what to do about them.
const OTHERS: &[(&str, &str)] = &[
    ("collectd", "baker-agent takes no metrics from collectd"),
    ("statsd", "baker-agent takes no metrics from StatsD clients"),
    ("procstat", "baker-agent does not measure single processes"),
    ("ethtool", "baker-agent does not ask network drivers"),
    ("nvidia_gpu", "baker-agent does not measure GPUs"),
    ("nvidia_smi", "baker-agent does not measure GPUs"),
    (
        "efa",
        "baker-agent does not measure Elastic Fabric Adapters",
    ),
    ("jmx", "baker-agent asks no Java virtual machine"),
    ("otlp", "baker-agent speaks no OpenTelemetry"),
    ("prometheus", "baker-agent asks no Prometheus exporters"),
];

/// File systems that this agent does not measure by itself, because they are on no disk of the host: to ignore them is what happens anyway.
const IGNORED: [&str; 31] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nfs",
    "nfs4",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "aufs",
];

/// What is collected.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) names: Vec<&'static str>,
    pub(super) per_core: bool,
    /// Where an interval is in force, and which.
    pub(super) intervals: Vec<(String, i64)>,
}

/// Reads them all.
pub(super) fn read_collected(section: &Section<'_>, common: &Common, collected: &mut Collected) {
    for family in FAMILIES {
        if let Some(section) = section.section(family.word()) {
            read_family(&section, family, common, collected);
        }
    }
    for (name, why) in OTHERS {
        section.left_out(name, why);
    }
    section.rest();
}

fn read_family(section: &Section<'_>, family: Family, common: &Common, collected: &mut Collected) {
    let notes = section.notes;
    let before = collected.names.len();
    read_measurement(section, family, &mut collected.names);
    let own = section.whole("metrics_collection_interval");
    if collected.names.len() > before {
        let (path, seconds) = match (own, common.interval_s) {
            (Some(seconds), _) => (section.at("metrics_collection_interval"), seconds),
            (None, Some(seconds)) => ("agent.metrics_collection_interval".to_owned(), seconds),
            (None, None) => (section.path.clone(), DEFAULT_INTERVAL_S),
        };
        collected.intervals.push((path, seconds));
    }
    section.left_out(
        "append_dimensions",
        "baker-agent says the same dimensions with all metrics: what is added to some is not",
    );
    section.left_out(
        "drop_original_metrics",
        "baker-agent sends each metric under its own dimensions, and the rollups besides: take the metric out of `collect`, or \
         pay for both",
    );
    match family {
        Family::Cpu => {
            let resources = section.texts("resources").unwrap_or_default();
            collected.per_core |= resources.contains(&"*");
            if resources.iter().any(|it| *it != "*") {
                notes.left_out(
                    &section.at("resources"),
                    "single processors can't be chosen: \"*\" tells of each",
                );
            }
            if section.truth("totalcpu") == Some(false) {
                notes.differs(
                    &section.at("totalcpu"),
                    "the processors together (cpu-total) are always told, too",
                );
            }
        }
        Family::Disk => read_disk(section),
        Family::DiskIo => read_resources(section, "every disk as a whole, and no partitions"),
        Family::Net => read_resources(
            section,
            "every interface that is up, but loopback and the ends of containers",
        ),
        _ => {}
    }
    section.rest();
}

fn read_disk(section: &Section<'_>) {
    read_resources(
        section,
        "every file system on disks of the host (not tmpfs and the like, not those of a network)",
    );
    if let Some(types) = section.texts("ignore_file_system_types") {
        let measured: Vec<&str> = types
            .into_iter()
            .filter(|it| !IGNORED.contains(it) && !it.starts_with("fuse."))
            .collect();
        if !measured.is_empty() {
            section.notes.left_out(
                &section.at("ignore_file_system_types"),
                format!(
                    "file systems of type {} on disks of the host are measured",
                    measured.join(", ")
                ),
            );
        }
    }
    if section.truth("drop_device") == Some(true) {
        section.notes.left_out(
            &section.at("drop_device"),
            "`device` stays among the dimensions: alarms and graphs that name the others only have to be changed",
        );
    }
}

/// `resources`: all there is, or some.
fn read_resources(section: &Section<'_>, measured: &str) {
    let Some(resources) = section.texts("resources") else {
        return;
    };
    if !resources.is_empty() && !resources.contains(&"*") {
        section.notes.differs(
            &section.at("resources"),
            format!(
                "not only {} but {measured} is measured: which ones can't be chosen yet",
                resources.join(", ")
            ),
        );
    }
}

fn read_measurement(section: &Section<'_>, family: Family, names: &mut Vec<&'static str>) {
    let notes = section.notes;
    let path = section.at("measurement");
    let Some(list) = section.list("measurement") else {
        if !section.has("measurement") {
            notes.left_out(
                &section.path,
                "it has no `measurement`, so nothing of it is collected",
            );
        }
        return;
    };
    for (at, node) in list.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let mut add = |name: &str| match find(family, name) {
            Some(metric) => {
                if RENAMED.iter().any(|(theirs, _)| *theirs == name) {
                    notes.left_out(&path, named_otherwise(metric.name, name));
                }
                if !names.contains(&metric.name) {
                    names.push(metric.name);
                }
                Some(metric)
            }
            None => {
                notes.left_out(
                    &path,
                    format!("there is no metric {name:?}{}", reason(family, name)),
                );
                None
            }
        };
        match &node.value {
            Value::Text(name) => {
                add(name);
            }
            _ => {
                let Some(decorated) = Section::of(notes, &path, node) else {
                    continue;
                };
                let metric = decorated.text("name").and_then(&mut add);
                if !decorated.has("name") {
                    notes.left_out(&path, "it has no `name`");
                }
                if let (Some(new), Some(metric)) = (decorated.text("rename"), metric)
                    && new != metric.name
                {
                    notes.left_out(&decorated.at("rename"), named_otherwise(metric.name, new));
                }
                if let (Some(unit), Some(metric)) = (decorated.text("unit"), metric)
                    && unit != metric.unit.word()
                {
                    notes.left_out(
                        &decorated.at("unit"),
                        format!("{} is in {}", metric.name, metric.unit.word()),
                    );
                }
                decorated.rest();
            }
        }
    }
}

fn named_otherwise(ours: &str, theirs: &str) -> String {
    format!("{ours} goes by that name: alarms and graphs that name {theirs} have to be changed")
}

/// The metric of that name, in full or without its family.
fn find(family: Family, name: &str) -> Option<Metric> {
    let renamed = RENAMED.iter().find(|(theirs, _)| *theirs == name);
    let name = renamed.map_or(name, |(_, ours)| ours);
    let full = format!("{}_{name}", family.word());
    metrics().find(|metric| metric.family == family && (metric.name == name || metric.name == full))
}

fn reason(family: Family, name: &str) -> &'static str {
    let prefix = format!("{}_", family.word());
    match (family, name.strip_prefix(&prefix).unwrap_or(name)) {
        (Family::Cpu, name) if name.starts_with("time_") => {
            ": sums since boot are not collected; take usage_… for it"
        }
        (Family::Netstat, "tcp_none") => ": no TCP socket is without a state",
        (Family::Processes, "wait") => ": FreeBSD has it, Linux has not",
        _ => "",
    }
}
