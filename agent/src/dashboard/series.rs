//! Which metrics are there, under which dimensions, and how a graph finds them.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{DashboardError, Subject};
use crate::derive::{Wanted, dimension_value, metrics};
use crate::metering;
use crate::sample::Family;

const INSTANCE: &str = "InstanceId";
const GROUP: &str = "AutoScalingGroupName";
/// The shortest period that a graph may have, in seconds ("Dashboard Body Structure and Syntax").
const MIN_PERIOD_S: u64 = 60;

/// What the agents of a subject send.
pub(super) struct Sent<'a> {
    namespace: &'a str,
    wanted: &'a Wanted,
    dimensions: &'a [String],
    rollups: &'a [Vec<String>],
    interval: Duration,
}

impl<'a> Sent<'a> {
    pub(super) fn of(settings: &'a metering::Settings) -> Self {
        Self {
            namespace: &settings.namespace,
            wanted: &settings.rules.wanted,
            dimensions: &settings.dimensions,
            rollups: &settings.rollups,
            interval: settings.interval,
        }
    }

    /// The metric's own dimensions, if it is sent.
    fn labels(&self, name: &str) -> Option<&'static [&'static str]> {
        // The log pipeline's own are not derived from samples.
        let own = name.starts_with("baker_agent_");
        let known = metrics().find(|metric| metric.name == name);
        match known {
            Some(metric) => self.wanted.has(name).then_some(metric.labels),
            None if own => self.wanted.families().has(Family::Agent).then_some(&[]),
            None => None,
        }
    }
}

/// How values of one period become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stat {
    Average,
    Minimum,
    Maximum,
    Sum,
    /// The sum, by the second.
    PerSecond,
}

impl Stat {
    fn word(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::Sum | Self::PerSecond => "Sum",
        }
    }
}

/// One kind of line of a graph.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// The metric.
    pub(super) name: &'static str,
    /// Of its own dimensions, those that are not left open: `cpu` = `cpu-total`.
    pub(super) only: &'static [(&'static str, &'static str)],
    pub(super) stat: Stat,
    /// What is drawn of it, with `x` in its place: `100-x`.
    pub(super) formula: Option<&'static str>,
    /// What the legend calls it; nothing where the graph's title says it.
    pub(super) called: &'static str,
    /// Whether its values are of the axis on the right.
    pub(super) right: bool,
}

/// How a subject's metrics are found.
pub(super) struct Series<'a> {
    sent: Sent<'a>,
    subject: &'a Subject,
    /// The group or the instance, as the value of a dimension.
    name: Cow<'a, str>,
    /// The sets of dimensions under which hosts of the subject may send, besides a metric's own.
    hosts: Vec<Vec<&'a str>>,
    /// Whether there are metrics of the hosts together.
    together: bool,
}

impl<'a> Series<'a> {
    pub(super) fn new(sent: Sent<'a>, subject: &'a Subject) -> Result<Self, DashboardError> {
        searchable("the namespace", sent.namespace)?;
        let all: Vec<&str> = sent.dimensions.iter().map(String::as_str).collect();
        let together =
            matches!(subject, Subject::Group(_)) && sent.rollups.iter().any(|set| set == &[GROUP]);
        let (by, missing) = match subject {
            Subject::Group(name) => {
                searchable("the group", name)?;
                let missing = DashboardError::Anonymous {
                    dimension: GROUP,
                    other: "an instance (--instance)",
                };
                (GROUP, missing)
            }
            Subject::Instance(id) => {
                searchable("the instance", id)?;
                let missing = DashboardError::Anonymous {
                    dimension: INSTANCE,
                    other: "a group (--group)",
                };
                (INSTANCE, missing)
            }
        };
        let mut hosts = Vec::new();
        if all.contains(&by) {
            hosts.push(all.clone());
            if by == INSTANCE {
                // Whether it is in a group is not known from here, nor whether its metadata tells of it; without, it has less to say.
                for missing in [&[GROUP][..], &[GROUP, "ImageId", "InstanceType"]] {
                    let names = all.iter().copied();
                    let fewer: Vec<&str> = names.filter(|it| !missing.contains(it)).collect();
                    if !hosts.contains(&fewer) {
                        hosts.push(fewer);
                    }
                }
            }
        } else if !together {
            return Err(missing);
        }
        Ok(Self {
            sent,
            subject,
            name: dimension_value(subject.name()),
            hosts,
            together,
        })
    }

    /// What one point of a graph stands for, in seconds.
    pub(super) fn period_s(&self) -> u64 {
        // Intervals below a minute divide it, and longer ones are whole minutes.
        self.sent.interval.as_secs().max(MIN_PERIOD_S)
    }

    pub(super) fn is_sent(&self, name: &str) -> bool {
        self.sent.labels(name).is_some()
    }

    /// Entries of a graph's `metrics`; none if the metric is not sent. `serial` numbers what other entries refer to.
    pub(super) fn entries(&self, line: &Line, serial: &mut u32) -> Vec<Json> {
        let Some(labels) = self.sent.labels(line.name) else {
            return Vec::new();
        };
        let mut entries: Vec<Json> = self
            .hosts
            .iter()
            .map(|hosts| {
                let search = self.search(line, labels, hosts);
                let drawn = json!({"expression": self.drawn(line, &search), "label": self.label(line, labels, hosts)});
                json!([sided(line, drawn)])
            })
            .collect();
        let alone = self.hosts.is_empty();
        // A sum of all hosts would press each host's line to the ground.
        if self.together && (alone || line.stat == Stat::Average && line.called.is_empty()) {
            entries.extend(self.of_all(line, serial));
        }
        entries
    }

    /// The hosts together, as the rollup has them.
    fn of_all(&self, line: &Line, serial: &mut u32) -> Vec<Json> {
        let label = match line.called {
            "" => "all".to_owned(),
            called => format!("{called}, all"),
        };
        let group = &*self.name;
        let metric =
            |rendering: Json| json!([self.sent.namespace, line.name, GROUP, group, rendering]);
        let plain = line.formula.is_none() && line.stat != Stat::PerSecond;
        if plain {
            let rendering = json!({"stat": line.stat.word(), "label": label});
            return vec![metric(sided(line, rendering))];
        }
        *serial += 1;
        let id = format!("m{serial}");
        let drawn = json!({"expression": self.drawn(line, &id), "label": label});
        vec![
            metric(json!({"stat": line.stat.word(), "id": id, "visible": false})),
            json!([sided(line, drawn)]),
        ]
    }

    /// The formula with what it is about.
    fn drawn(&self, line: &Line, what: &str) -> String {
        let what = match line.stat {
            Stat::PerSecond => format!("{what}/{}", self.period_s()),
            _ => what.to_owned(),
        };
        match line.formula {
            Some(formula) => formula.replace('x', &what),
            None => what,
        }
    }

    /// `SEARCH('{namespace,dimension,…} MetricName="…" dimension="value"', 'Average', 60)`: of the metrics with exactly these dimensions.
    fn search(&self, line: &Line, labels: &[&str], hosts: &[&str]) -> String {
        let mut schema = vec![quoted(self.sent.namespace)];
        schema.extend(labels.iter().chain(hosts).map(|name| quoted(name)));
        let by = match self.subject {
            Subject::Group(_) => GROUP,
            Subject::Instance(_) => INSTANCE,
        };
        let mut terms = vec![format!("MetricName=\"{}\"", line.name)];
        let only = line.only.iter().copied();
        for (name, value) in only.chain([(by, &*self.name)]) {
            terms.push(format!("{name}=\"{value}\""));
        }
        format!(
            "SEARCH('{{{}}} {}', '{}', {})",
            schema.join(","),
            terms.join(" "),
            line.stat.word(),
            self.period_s()
        )
    }

    /// What is different from line to line: `${PROP('Dim.…')}` becomes a dimension's value.
    fn label(&self, line: &Line, labels: &[&str], hosts: &[&str]) -> String {
        let mut parts = Vec::new();
        if !line.called.is_empty() {
            parts.push(line.called.to_owned());
        }
        let mut dimension = |name: &str| parts.push(format!("${{PROP('Dim.{name}')}}"));
        if let (Subject::Group(_), Some(host)) = (
            self.subject,
            [INSTANCE, "host"].iter().find(|name| hosts.contains(name)),
        ) {
            dimension(host);
        }
        // A path says more than its device and file system.
        let open = labels
            .iter()
            .filter(|name| !line.only.iter().any(|(known, _)| known == *name))
            .find(|name| !["device", "fstype"].contains(name));
        if let Some(name) = open {
            dimension(name);
        }
        match parts.is_empty() {
            true => line.name.to_owned(),
            false => parts.join(" "),
        }
    }
}

fn sided(line: &Line, mut rendering: Json) -> Json {
    if line.right {
        rendering["yAxis"] = json!("right");
    }
    rendering
}

/// A name within a search's schema: what is not a letter, digit or slash needs quotes.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '/';
    match name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("\"{name}\""),
    }
}

/// Whether it may stand between the quotes of a search.
fn searchable(what: &'static str, text: &str) -> Result<(), DashboardError> {
    let own = |c: &char| matches!(c, '"' | '\'' | '\\') || c.is_control();
    match text.chars().find(own) {
        None => Ok(()),
        Some(character) => Err(DashboardError::Unsearchable {
            what,
            text: text.to_owned(),
            character,
        }),
    }
}
