//! The groups and streams of one region, and the rules by which the service changes them. Pure: time is handed in.

mod batch;
mod query;
mod read;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::limits::TAGS;
use super::names;
use super::pattern::Pattern;
use crate::endpoint::AwsError;
use stream::Stream;

pub use batch::{Batch, Rejected};
pub(crate) use query::{Query, QueryState};
pub(crate) use read::{Cursor, Found, Page, Place, Shown, Window};

/// All groups of a region.
#[derive(Debug, Clone, Default)]
pub struct Store {
    groups: BTreeMap<String, Group>,
    /// Queries that were started, by their ids, which are in the order of their starts.
    queries: BTreeMap<String, Query>,
    started: u32,
}

/// A group's storage class (model: `LogGroupClass`).
pub(crate) const CLASSES: [&str; 4] = [STANDARD, "INFREQUENT_ACCESS", DELIVERY, "ESSENTIALS"];
/// The class of which everything may be asked.
pub(crate) const STANDARD: &str = "STANDARD";
/// The class of which next to nothing may be asked.
const DELIVERY: &str = "DELIVERY";

#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) created_ms: i64,
    pub(crate) retention_days: Option<u16>,
    pub(crate) class: String,
    pub(crate) tags: BTreeMap<String, String>,
    streams: BTreeMap<String, Stream>,
}

/// What DescribeLogStreams says of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamFacts {
    pub(crate) created_ms: i64,
    /// Time of the first and of the last event.
    pub(crate) range_ms: Option<(i64, i64)>,
    pub(crate) last_ingested_us: Option<i64>,
}

/// What became of a PutLogEvents that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// Events that are kept.
    pub taken: usize,
    /// Events that are not.
    pub rejected: Rejected,
}

/// An event as the service keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The event's own time, in milliseconds since the epoch.
    pub unix_ms: i64,
    /// When it was taken, in microseconds since the epoch. All events of one call share it.
    pub ingested_us: i64,
    /// The message.
    pub message: String,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Events.
    pub events: u64,
    /// Bytes of their messages.
    pub message_bytes: u64,
    /// Memory that events take, in bytes.
    pub memory_bytes: u64,
}

impl Store {
    /// CreateLogGroup.
    ///
    /// # Errors
    /// A name, class or tag that breaks the rules; a group that exists.
    pub fn create_group(
        &mut self,
        name: &str,
        class: Option<&str>,
        tags: Option<BTreeMap<String, String>>,
        now_ms: i64,
    ) -> Result<(), AwsError> {
        names::new_group(name)?;
        let class = class.unwrap_or(STANDARD);
        names::class(class)?;
        if let Some(tags) = &tags {
            names::tags(tags)?;
        }
        if self.groups.contains_key(name) {
            return Err(AwsError::exists("log group"));
        }
        let group = Group {
            created_ms: now_ms,
            retention_days: None,
            class: class.to_owned(),
            tags: tags.unwrap_or_default(),
            streams: BTreeMap::new(),
        };
        self.groups.insert(name.to_owned(), group);
        Ok(())
    }

    /// DeleteLogGroup: with all of its streams.
    ///
    /// # Errors
    /// No such group.
    pub fn delete_group(&mut self, name: &str) -> Result<(), AwsError> {
        names::group(name)?;
        let removed = self.groups.remove(name);
        removed.map(drop).ok_or_else(AwsError::no_group)
    }

    /// CreateLogStream.
    ///
    /// # Errors
    /// A name that breaks the rules, no such group, a stream that exists.
    pub fn create_stream(&mut self, group: &str, name: &str, now_ms: i64) -> Result<(), AwsError> {
        names::stream(name)?;
        let streams = &mut self.group_mut(group)?.streams;
        if streams.contains_key(name) {
            return Err(AwsError::exists("log stream"));
        }
        streams.insert(name.to_owned(), Stream::new(now_ms));
        Ok(())
    }

    /// DeleteLogStream: with all of its events.
    ///
    /// # Errors
    /// No such group or stream.
    pub fn delete_stream(&mut self, group: &str, name: &str) -> Result<(), AwsError> {
        names::stream(name)?;
        let removed = self.group_mut(group)?.streams.remove(name);
        removed.map(drop).ok_or_else(AwsError::no_stream)
    }

    /// PutRetentionPolicy, and with `None` DeleteRetentionPolicy.
    ///
    /// # Errors
    /// A number of days that is not one of the service's, no such group.
    pub fn set_retention(&mut self, group: &str, days: Option<i64>) -> Result<(), AwsError> {
        let days = days.map(names::retention).transpose()?;
        self.group_mut(group)?.retention_days = days;
        Ok(())
    }

    /// PutLogEvents: all of the call's events are taken at one instant, `now_us` (microseconds since the epoch).
    ///
    /// # Errors
    /// A batch that breaks a limit, no such group or stream: nothing is taken then.
    pub fn put(
        &mut self,
        group: &str,
        stream: &str,
        batch: &Batch,
        now_us: i64,
    ) -> Result<Put, AwsError> {
        names::stream(stream)?;
        batch.check()?;
        let group = self.group_mut(group)?;
        let stream = group
            .streams
            .get_mut(stream)
            .ok_or_else(AwsError::no_stream)?;
        let rejected = batch.window(now_us / 1000, group.retention_days)?;
        let taken = stream.take(batch, &rejected, now_us);
        Ok(Put { taken, rejected })
    }

    /// TagResource.
    pub(crate) fn tag(
        &mut self,
        group: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<(), AwsError> {
        names::tags(&tags)?;
        let kept = &mut self.group_mut(group)?.tags;
        let new = tags.keys().filter(|key| !kept.contains_key(*key)).count();
        if kept.len() + new > TAGS {
            return Err(AwsError::client(
                "TooManyTagsException",
                format!("A log group can have no more than {TAGS} tags."),
            ));
        }
        kept.extend(tags);
        Ok(())
    }

    /// UntagResource.
    pub(crate) fn untag(&mut self, group: &str, keys: &[String]) -> Result<(), AwsError> {
        let tags = &mut self.group_mut(group)?.tags;
        tags.retain(|key, _| !keys.contains(key));
        Ok(())
    }

    /// One page of a stream's events.
    pub(crate) fn page(
        &mut self,
        group: &str,
        stream: &str,
        window: &Window,
        cursor: Cursor,
    ) -> Result<Page<'_>, AwsError> {
        names::stream(stream)?;
        let streams = &mut self.group_mut(group)?.streams;
        let stream = streams.get_mut(stream).ok_or_else(AwsError::no_stream)?;
        Ok(read::page(stream, window, cursor))
    }

    /// One page of what matches in the streams that `chosen` chooses; see [`read::filter`].
    pub(crate) fn filter(
        &self,
        group: &str,
        chosen: impl Fn(&str) -> bool,
        window: &Window,
        pattern: &Pattern,
        skip: usize,
    ) -> Result<Found<'_>, AwsError> {
        let streams = &self.group(group)?.streams;
        let streams = streams
            .iter()
            .filter(|(name, _)| chosen(name))
            .map(|(name, stream)| (name.as_str(), stream))
            .collect();
        Ok(read::filter(streams, window, pattern, skip))
    }

    /// Refuses what only groups of class STANDARD give ("Log classes", user guide). Of ESSENTIALS the guide says no more than that it has a
    /// subset of the features, and DescribeLogGroups takes it for one with INFREQUENT_ACCESS; so does this.
    pub(crate) fn gives(&self, group: &str, operation: &str) -> Result<(), AwsError> {
        let class = &self.group(group)?.class;
        if class == STANDARD {
            return Ok(());
        }
        Err(AwsError::client(
            "InvalidOperationException",
            format!(
                "The log group {group} is of log-group-class {class}. {operation} is not supported for this log class."
            ),
        ))
    }

    /// All groups, by name.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups
            .iter()
            .map(|(name, group)| (name.as_str(), group))
    }

    pub(crate) fn group(&self, name: &str) -> Result<&Group, AwsError> {
        names::group(name)?;
        self.groups.get(name).ok_or_else(AwsError::no_group)
    }

    fn group_mut(&mut self, name: &str) -> Result<&mut Group, AwsError> {
        names::group(name)?;
        self.groups.get_mut(name).ok_or_else(AwsError::no_group)
    }

    /// Every event of a stream in the order in which they arrived; `None`: there is no such stream.
    #[must_use]
    pub fn events(&self, group: &str, stream: &str) -> Option<Vec<StoredEvent>> {
        let stream = self.groups.get(group)?.streams.get(stream)?;
        let events = stream.by_arrival().into_iter().map(|entry| StoredEvent {
            unix_ms: entry.unix_ms,
            ingested_us: stream.ingested_us(&entry),
            message: stream.message(&entry).to_owned(),
        });
        Some(events.collect())
    }

    /// Gives `see` each event of a stream, in the order in which they arrived: its time in milliseconds and when it was taken
    /// in microseconds since the epoch, and its message. `false`: there is no such stream.
    pub fn for_each_event(
        &self,
        group: &str,
        stream: &str,
        mut see: impl FnMut(i64, i64, &str),
    ) -> bool {
        let Some(stream) = self
            .groups
            .get(group)
            .and_then(|group| group.streams.get(stream))
        else {
            return false;
        };
        for entry in stream.by_arrival() {
            see(
                entry.unix_ms,
                stream.ingested_us(&entry),
                stream.message(&entry),
            );
        }
        true
    }

    /// Names of all streams: (group, stream).
    #[must_use]
    pub fn stream_names(&self) -> Vec<(String, String)> {
        let all = self.groups.iter().flat_map(|(group, kept)| {
            let streams = kept.streams.keys();
            streams.map(move |stream| (group.clone(), stream.clone()))
        });
        all.collect()
    }

    /// A group's retention in days; `None`: no such group.
    #[must_use]
    pub fn retention_days(&self, group: &str) -> Option<Option<u16>> {
        self.groups.get(group).map(|group| group.retention_days)
    }

    /// A group's class; `None`: no such group.
    #[must_use]
    pub fn class(&self, group: &str) -> Option<&str> {
        self.groups.get(group).map(|group| group.class.as_str())
    }

    /// How much is kept in all.
    #[must_use]
    pub fn held(&self) -> Held {
        let streams = self
            .groups
            .values()
            .flat_map(|group| group.streams.values());
        streams.fold(Held::default(), |held, stream| Held {
            events: held.events + stream.len() as u64,
            message_bytes: held.message_bytes + stream.text_bytes() as u64,
            memory_bytes: held.memory_bytes + stream.memory_bytes() as u64,
        })
    }
}

impl Group {
    /// All streams, by name.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (&str, StreamFacts)> {
        self.streams.iter().map(|(name, stream)| {
            let facts = StreamFacts {
                created_ms: stream.created_ms,
                range_ms: stream.range_ms,
                last_ingested_us: stream.last_ingested_us(),
            };
            (name.as_str(), facts)
        })
    }

    /// Bytes of all messages.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.streams
            .values()
            .map(|stream| stream.text_bytes() as u64)
            .sum()
    }
}
