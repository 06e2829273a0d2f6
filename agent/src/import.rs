//! A configuration of the CloudWatch agent, made into one of this agent.
//!
//! Pure. Nothing is dropped in silence: each member of the JSON is carried over, or named with its path, on stderr and beside what came of it.
//! What is written is what this agent's own parser takes, key by key.
//!
//! Sources: "Manually create or edit the CloudWatch agent configuration file" (CloudWatch user guide); the agent's JSON schema and translator, and its
//! log file reader (github.com/aws/amazon-cloudwatch-agent) where the guide is silent.

use std::sync::Arc;

use serde::Serialize;

use crate::config::diagnostics::{Problem, Problems, SourceText};

// The text, and what is told of it while it is read.
mod json;
mod section;

// Its sections.
mod logs;

mod files;

mod events;

mod metrics;

mod families;

// What they stand on.
mod globs;
mod names;
mod stamps;

// What is written.
mod draft;

use self::draft::{Table, comment};
use self::section::{Notes, Section};

/// What problems are told to be in.
const INPUT: &str = "the CloudWatch agent's configuration";

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where in the JSON: `logs.logs_collected.files.collect_list[0].blacklist`.
    pub path: String,
    /// Whether it is carried over, if not quite the same.
    pub carried: bool,
    /// What is not the same, and what can be done.
    pub message: String,
}

impl Finding {
    /// What comments and stderr begin with.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.carried {
            true => "differs",
            false => "not carried over",
        }
    }
}

/// A configuration of this agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Its text, with comments.
    pub toml: String,
    /// What is not as it was, in the order of the text.
    pub findings: Vec<Finding>,
}

impl Imported {
    /// Whether all of it was carried over.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.iter().all(|finding| finding.carried)
    }

    /// As one JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and lists only: there is nothing that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// Reads the other agent's configuration; `name` is what its reader knows it by.
///
/// # Errors
/// A text that is no JSON, or a value of another type than that agent takes, each at its place.
pub fn import(name: &str, text: &str) -> Result<Imported, Problems> {
    let source = Arc::new(SourceText {
        path: name.to_owned(),
        text: text.to_owned(),
    });
    // Some editors put it there.
    let skipped = text.len() - text.trim_start_matches('\u{feff}').len();
    let node = json::parse(&blanked(text, skipped)).map_err(|slip| {
        let problem = Problem::new("this is not valid JSON").at(&source, slip.span, slip.message);
        Problems::one(
            INPUT,
            match slip.help {
                Some(help) => problem.help(help),
                None => problem,
            },
        )
    })?;
    let notes = Notes::new(Arc::clone(&source));
    let mut tables = Vec::new();
    if let Some(top) = Section::of(&notes, "", &node) {
        if !["agent", "metrics", "logs"].iter().any(|it| top.has(it)) {
            let problem = Problem::new("this is no configuration of the CloudWatch agent")
                .at(&source, node.span.clone(), "it has none of `agent`, `metrics` and `logs`")
                .help("it is a JSON file like /opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json");
            return Err(Problems::one(INPUT, problem));
        }
        tables = read(&top);
    }
    let (problems, findings) = notes.into_parts();
    match Problems::of(INPUT, problems) {
        Some(problems) => Err(problems),
        None => Ok(Imported {
            toml: written(name, &tables),
            findings,
        }),
    }
}

/// The text with blanks for its first bytes, so that places stay what they are.
fn blanked(text: &str, bytes: usize) -> String {
    format!("{}{}", " ".repeat(bytes), &text[bytes..])
}

/// The tables, in the order in which they are written.
fn read(top: &Section<'_>) -> Vec<Table> {
    let notes = top.notes;
    let begun = notes.count();
    let agent_section = top.section("agent");
    let logs_section = top.section("logs");
    let mut agent = Table::new("[agent]", "");
    let mut common = Common::default();
    if let Some(section) = &agent_section {
        common = read_agent(section, &mut agent);
    }
    if let Some(section) = &logs_section {
        logs::read_agent(section, &mut agent);
    }
    agent.explain(notes.since(begun));
    let mut tables = vec![agent];
    if let Some(section) = &logs_section {
        tables.extend(logs::read(section, &common));
    }
    if let Some(section) = top.section("metrics") {
        tables.push(metrics::read(&section, &common));
    }
    let begun = notes.count();
    top.left_out(
        "traces",
        "baker-agent ships no traces: leave the X-Ray daemon or another agent to it",
    );
    top.left_out("opentelemetry", "baker-agent speaks no OpenTelemetry");
    top.left_out("csm", "SDK metrics have been discontinued by AWS");
    top.rest();
    let does = |table: &Table| table.has_keys() && (table.is("[[file]]") || table.is("[metrics]"));
    if !tables.iter().any(does) {
        let place = ["logs", "metrics"].into_iter().find(|it| top.has(it));
        notes.left_out(
            place.unwrap_or("agent"),
            "no file and no metric of it is left, so there is nothing to do for baker-agent, which refuses such a configuration: add a [[file]] or \
             [metrics]",
        );
    }
    let mut others = Table::new("", "");
    others.explain(notes.since(begun));
    tables.push(others);
    tables
}

/// What holds for logs and metrics.
#[derive(Debug, Default)]
pub(crate) struct Common {
    /// Seconds between two measurements.
    interval_s: Option<i64>,
    region: Option<String>,
    omit_hostname: bool,
}

const ROLE: &str = "baker-agent takes roles from a profile: write role_arn and credential_source = Ec2InstanceMetadata into a profile of a file, name the \
                    file as AWS_CONFIG_FILE in /etc/default/baker-agent, and the profile as `profile` in [agent]";
const ENTITY: &str = "baker-agent tells CloudWatch nothing of services and environments";

fn read_agent(section: &Section<'_>, table: &mut Table) -> Common {
    let notes = section.notes;
    let mut common = Common {
        interval_s: section.whole("metrics_collection_interval"),
        region: None,
        omit_hostname: section.truth("omit_hostname").unwrap_or_default(),
    };
    if let Some(region) = section.text("region").filter(|region| !region.is_empty())
        && table.set(notes, &section.at("region"), "region", region)
    {
        common.region = Some(region.to_owned());
    }
    section.left_out("credentials", ROLE);
    section.differs(
        "run_as_user",
        "the unit says who runs it: User= in baker-agent.service",
    );
    section.differs(
        "logfile",
        "the agent speaks to the journal: journalctl -u baker-agent",
    );
    // How much it says of itself.
    for name in [
        "debug",
        "quiet",
        "aws_sdk_log_level",
        "internal",
        "user_agent",
    ] {
        section.node(name);
    }
    section.left_out("service.name", ENTITY);
    section.left_out("deployment.environment", ENTITY);
    section.rest();
    common
}

fn written(name: &str, tables: &[Table]) -> String {
    let mut text = String::new();
    let name = match name {
        "-" => "a configuration of the CloudWatch agent",
        name => name,
    };
    comment(
        &mut text,
        &format!(
            "Made of {name} by `baker-agent import`. `baker-agent check` shows what it means on a host."
        ),
    );
    for table in tables {
        table.write_if_any(&mut text);
    }
    text
}

#[cfg(test)]
mod tests;
