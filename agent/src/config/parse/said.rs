//! What `[defaults]` may say for all files, and each `[[file]]` for itself.

use std::ops::Range;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::rules;
use super::table::{Key, Table, key};
use crate::config::FileSettings;
use crate::config::diagnostics::{closest, listed};
use crate::frame::{
    DEFAULT_HOLD, DEFAULT_MULTILINE_HOLD, MAX_EVENT_BYTES, MIN_EVENT_BYTES, Multiline, Patterns,
    Rules,
};
use crate::names::{Kind, Template, TemplateError};
use crate::stamp::Format;
use crate::tail::{FileSet, Links, Start};
use crate::target::GroupClass;

/// The keys.
pub(super) const SHARED: &[Key] = &[
    key("group", "\"jenkins.domain.com\""),
    key("stream", "\"{instance_id}/{file}\""),
    key("retention_days", "30"),
    key("class", "\"infrequent_access\""),
    key("start", "\"end\""),
    key("follow_symlinks", "\"never\""),
    key("format", "\"syslog\""),
    key("timezone", "\"Europe/Berlin\""),
    key("encoding", "\"utf-8\""),
    key(
        "multiline",
        "{ start = \"^\\\\d{4}-\\\\d\\\\d-\\\\d\\\\d\" }",
    ),
    key("include_lines", "[\" (WARN|ERROR) \"]"),
    key("exclude_lines", "[\"GET /health\"]"),
    key("max_event_bytes", "262144"),
    key("hold", "\"5s\""),
];

const MULTILINE: &[Key] = &[
    key("start", "\"^\\\\d{4}-\\\\d\\\\d-\\\\d\\\\d\""),
    key("timeout", "\"1s\""),
];

const MIN_HOLD: Duration = Duration::from_millis(10);
const MAX_HOLD: Duration = Duration::from_secs(60);

/// Every line is shipped, those from before the agent as well.
const DEFAULT_START: Start = Start::Beginning;
/// The file's path, as it is.
const DEFAULT_GROUP: &str = "/{file}";
const DEFAULT_STREAM: &str = "{instance_id}/{file}";

/// What a `[[file]]` or `[defaults]` says; `None` where it is silent.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) group: Option<Template>,
    stream: Option<Template>,
    pub(super) retention_days: Option<Option<u32>>,
    pub(super) class: Option<GroupClass>,
    start: Option<Start>,
    links: Option<Links>,
    format: Option<Option<Format>>,
    /// `Some(None)` is the host's, as it is then.
    timezone: Option<Option<TimeZone>>,
    multiline: Option<Several>,
    include_lines: Option<Option<Patterns>>,
    exclude_lines: Option<Option<Patterns>>,
    max_event_bytes: Option<usize>,
    hold: Option<Duration>,
}

#[derive(Debug, Clone)]
struct Several {
    start: Multiline,
    timeout: Duration,
}

impl Said {
    /// What this one says, and where it is silent what the defaults say.
    pub(super) fn or(self, defaults: &Self) -> Self {
        let other = defaults.clone();
        Self {
            group: self.group.or(other.group),
            stream: self.stream.or(other.stream),
            retention_days: self.retention_days.or(other.retention_days),
            class: self.class.or(other.class),
            start: self.start.or(other.start),
            links: self.links.or(other.links),
            format: self.format.or(other.format),
            timezone: self.timezone.or(other.timezone),
            multiline: self.multiline.or(other.multiline),
            include_lines: self.include_lines.or(other.include_lines),
            exclude_lines: self.exclude_lines.or(other.exclude_lines),
            max_event_bytes: self.max_event_bytes.or(other.max_event_bytes),
            hold: self.hold.or(other.hold),
        }
    }

    /// With the defaults for what nobody said.
    ///
    /// # Errors
    /// Only a default name that is no valid template, which a test rules out.
    pub(super) fn settle(
        self,
        set: impl FnOnce(Start, Links) -> FileSet,
    ) -> Result<FileSettings, TemplateError> {
        let hold = self.multiline.as_ref().map(|several| several.timeout);
        let zone = self.timezone.flatten();
        Ok(FileSettings {
            set: set(
                self.start.unwrap_or(DEFAULT_START),
                self.links.unwrap_or_default(),
            ),
            group: or_default(self.group, Kind::Group, DEFAULT_GROUP)?,
            stream: or_default(self.stream, Kind::Stream, DEFAULT_STREAM)?,
            retention_days: self.retention_days.flatten(),
            class: self.class.unwrap_or_default(),
            rules: Rules {
                multiline: self.multiline.map(|several| several.start),
                include: self.include_lines.flatten(),
                exclude: self.exclude_lines.flatten(),
                max_event_bytes: self.max_event_bytes.unwrap_or(MAX_EVENT_BYTES),
                hold: hold.or(self.hold).unwrap_or(DEFAULT_HOLD),
            },
            format: self.format.flatten(),
            follows_host_zone: zone.is_none(),
            timezone: zone.unwrap_or_else(TimeZone::system),
        })
    }
}

fn or_default(
    said: Option<Template>,
    kind: Kind,
    default: &str,
) -> Result<Template, TemplateError> {
    said.map_or_else(|| Template::parse(kind, default), Ok)
}

impl Said {
    /// What `[defaults]` says.
    pub(super) fn defaults(top: &Table<'_>) -> Self {
        top.table("defaults", "[defaults]", SHARED)
            .map(|table| Self::read(&table))
            .unwrap_or_default()
    }

    /// What a table says.
    pub(super) fn read(table: &Table<'_>) -> Self {
        const HOLD: std::ops::RangeInclusive<Duration> = MIN_HOLD..=MAX_HOLD;
        table.one_of("encoding", &[("utf-8", ())]);
        Self {
            group: read_template(table, Kind::Group),
            stream: read_template(table, Kind::Stream),
            retention_days: read_retention(table),
            class: table.one_of(
                "class",
                &[
                    ("standard", GroupClass::Standard),
                    ("infrequent_access", GroupClass::InfrequentAccess),
                    ("essentials", GroupClass::Essentials),
                ],
            ),
            start: table.one_of(
                "start",
                &[("beginning", Start::Beginning), ("end", Start::End)],
            ),
            links: table.one_of(
                "follow_symlinks",
                &[
                    ("readable", Links::Readable),
                    ("never", Links::Never),
                    ("always", Links::Always),
                ],
            ),
            format: read_format(table),
            timezone: table.parsed("timezone", rules::timezone),
            multiline: read_multiline(table),
            include_lines: read_lines(table, "include_lines"),
            exclude_lines: read_lines(table, "exclude_lines"),
            max_event_bytes: table.integer("max_event_bytes", MIN_EVENT_BYTES..=MAX_EVENT_BYTES),
            hold: table.parsed("hold", rules::duration(HOLD)),
        }
    }
}

fn read_template(table: &Table<'_>, kind: Kind) -> Option<Template> {
    let name = match kind {
        Kind::Group => "group",
        Kind::Stream => "stream",
    };
    let value = table.string(name)?;
    match Template::parse(kind, value.get_ref()) {
        Ok(template) => Some(template),
        Err(error) => {
            let span = table
                .file
                .span_inside(value.get_ref(), error.span, &value.span());
            let problem = table.broken(name, span, error.message).help(error.help);
            table.file.report(problem);
            None
        }
    }
}

/// The name of a kind of log, or a pattern.
fn read_format(table: &Table<'_>) -> Option<Option<Format>> {
    let value = table.string("format")?;
    let text = *value.get_ref();
    if text == "none" {
        return Some(None);
    }
    if let Some(format) = Format::preset(text) {
        return Some(Some(format));
    }
    let problem = if text.contains('%') {
        match Format::parse(text) {
            Ok(format) => return Some(Some(format)),
            Err(error) => {
                let part = directive_at(text, error.column);
                let span = table.file.span_inside(text, part, &value.span());
                let problem = table.broken("format", span, error.message);
                problem.help(error.help)
            }
        }
    } else {
        let names = || Format::presets().chain(["none"]);
        let expected = "is neither a kind of log nor a pattern with directives";
        let problem = table.broken("format", value.span(), expected);
        match closest(text, names()) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem.help(format!(
                "write {}, or a pattern like \"%Y-%m-%d %H:%M:%S\"",
                listed(names(), "or")
            )),
        }
    };
    table.file.report(problem);
    None
}

/// The bytes of the directive, or else of the character, at a column.
fn directive_at(text: &str, column: usize) -> Range<usize> {
    let mut characters = text.char_indices().skip(column.saturating_sub(1));
    let Some((start, first)) = characters.next() else {
        return 0..text.len();
    };
    let second = characters.next().filter(|_| first == '%');
    let last = second.unwrap_or((start, first));
    start..last.0 + last.1.len_utf8()
}

fn read_retention(table: &Table<'_>) -> Option<Option<u32>> {
    let days = table.integer("retention_days", 0..=u32::MAX)?;
    match rules::retention_days(days) {
        Ok(days) => Some(days),
        Err(expected) => {
            let span = table
                .value("retention_days")
                .map_or(0..0, |value| value.span());
            table.breach("retention_days", span, expected);
            None
        }
    }
}

fn read_multiline(table: &Table<'_>) -> Option<Several> {
    let multiline = table.table("multiline", "`multiline`", MULTILINE)?;
    if !multiline.has("start") {
        multiline.missing("start");
    }
    let hold = rules::duration(MIN_HOLD..=MAX_HOLD);
    let timeout = multiline.parsed("timeout", hold);
    Some(Several {
        start: multiline.parsed("start", rules::first_line)?,
        timeout: timeout.unwrap_or(DEFAULT_MULTILINE_HOLD),
    })
}

fn read_lines(table: &Table<'_>, name: &str) -> Option<Option<Patterns>> {
    let values = table.strings(name)?;
    let valid: Vec<&str> = values
        .iter()
        .filter(|value| table.ruled(name, value, rules::regex).is_some())
        .map(|value| *value.get_ref())
        .collect();
    match Patterns::parse(valid) {
        Ok(patterns) => Some(patterns),
        Err(error) => {
            // Each is fine by itself: together they are too large.
            let expected = rules::reason(&error.source);
            table.breach(name, table.key_span(name), expected);
            None
        }
    }
}
