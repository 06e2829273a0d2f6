//! A `[[file]]`, made ready.

use std::path::Path;
use std::sync::Arc;

use crate::config::FileSettings;
use crate::frame;
use crate::host::Host;
use crate::names::Template;
use crate::stamp::Format;
use crate::target::Target;

/// A file setting, made ready.
pub(super) struct Plan {
    /// The set's stable name: its first pattern.
    pub(super) name: Arc<str>,
    settings: FileSettings,
    pub(super) rules: Arc<frame::Rules>,
    pub(super) format: Option<Arc<Format>>,
    pub(super) zone: jiff::tz::TimeZone,
    pub(super) follows_host_zone: bool,
}

impl Plan {
    pub(super) fn new(settings: &FileSettings) -> Self {
        Self {
            name: settings
                .set
                .patterns
                .first()
                .map_or_else(|| Arc::from(""), |first| Arc::from(first.as_str())),
            rules: Arc::new(settings.rules.clone()),
            format: settings.format.clone().map(Arc::new),
            zone: settings.timezone.clone(),
            follows_host_zone: settings.follows_host_zone,
            settings: settings.clone(),
        }
    }

    /// Whether the same bytes become the same events, with the same times.
    pub(super) fn reads_as(&self, other: &Self) -> bool {
        self.rules == other.rules && self.format == other.format && self.zone == other.zone
    }

    /// The stream of a file; an error says what is missing for its name.
    pub(super) fn target(&self, host: &Host, path: &Path) -> Result<Target, String> {
        let resolve = |template: &Template| {
            template
                .resolve(host, path)
                .map_err(|error| error.to_string())
        };
        Ok(Target {
            group: resolve(&self.settings.group)?,
            stream: resolve(&self.settings.stream)?,
            retention_days: self.settings.retention_days,
            class: self.settings.class,
        })
    }
}
