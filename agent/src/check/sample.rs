//! The end of a file, framed and stamped as `run` would.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::batch::{AGE_MS_MAX, AHEAD_MS_MAX};
use crate::config::FileSettings;
use crate::frame::{End, Framer, Next};
use crate::stamp::{Format, Origin, Stamper};

/// How much of a file's end is looked at.
const TAIL_BYTES: u64 = 64 * 1024;
/// How many of its events are shown.
const EVENTS: usize = 3;
/// How much of an event is shown, in characters.
const SHOWN_CHARACTERS: usize = 100;

/// One of the last events of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Its first characters, made harmless for a terminal.
    pub text: String,
    /// Its time in the file's zone; `None` if it has none of its own, and would get that of the event before it
    /// or that of reading.
    pub time: Option<String>,
    /// The same in milliseconds since 1970 UTC.
    pub unix_ms: Option<i64>,
}

/// What the end of a file shows.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Its last events.
    pub(super) last: Vec<Sample>,
    /// How many events were looked at.
    pub(super) events: usize,
    /// How many of them have a time that `format` finds.
    pub(super) timed: usize,
    /// The last that has none.
    pub(super) untimed: Option<String>,
    /// A ready-made format that finds more times, and how many.
    pub(super) better: Option<(&'static str, usize)>,
}

/// Looks at the end of `file`.
///
/// # Errors
/// When it can't be read.
pub(super) fn look(file: &File, settings: &FileSettings, now_ms: i64) -> io::Result<Seen> {
    let messages = messages(file, settings)?;
    let stamps = |format: Option<Format>| {
        let mut stamper = Stamper::new(format.map(Arc::new), settings.timezone.clone());
        let stamp = move |message: &String| {
            let stamp = stamper.stamp(message, now_ms);
            (stamp.origin == Origin::Own).then_some(stamp.unix_ms)
        };
        messages.iter().map(stamp)
    };
    let mut seen = Seen {
        events: messages.len(),
        ..Seen::default()
    };
    let shown_from = messages.len().saturating_sub(EVENTS);
    let times = stamps(settings.format.clone());
    for (at, (message, unix_ms)) in messages.iter().zip(times).enumerate() {
        match unix_ms {
            Some(_) => seen.timed += 1,
            None => seen.untimed = Some(shown(message)),
        }
        if at >= shown_from {
            seen.last.push(Sample {
                text: shown(message),
                time: unix_ms.and_then(|ms| in_zone(ms, settings)),
                unix_ms,
            });
        }
    }
    // What a format takes for a time may be any number: those count that an event could have.
    let possible = now_ms - AGE_MS_MAX..=now_ms + AHEAD_MS_MAX;
    let finds = |name| {
        let times = stamps(Format::preset(name)).flatten();
        (name, times.filter(|ms| possible.contains(ms)).count())
    };
    let mut best = ("", seen.timed);
    for (name, times) in Format::presets().map(finds) {
        if times > best.1 {
            best = (name, times);
        }
    }
    seen.better = Some(best).filter(|(name, _)| !name.is_empty());
    Ok(seen)
}

/// The whole events in the last bytes of a file.
fn messages(file: &File, settings: &FileSettings) -> io::Result<Vec<String>> {
    let size = file.metadata()?.len();
    let start = size.saturating_sub(TAIL_BYTES);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or_default()];
    file.read_exact_at(&mut bytes, start)?;
    // What begins in the middle of a line is no event.
    let first = match start {
        0 => 0,
        _ => bytes
            .iter()
            .position(|b| *b == b'\n')
            .map_or(0, |at| at + 1),
    };
    let before = (start > 0).then_some(b'\n');
    let mut framer = Framer::resume(Arc::new(settings.rules.clone()), before);
    let mut messages = Vec::new();
    let mut rest = &bytes[first..];
    loop {
        match framer.next(rest, End::Final) {
            Next::Event(event) => {
                rest = &rest[event.bytes..];
                messages.push(event.message.to_string());
            }
            Next::Filtered { bytes, .. } => rest = &rest[bytes..],
            Next::Need => return Ok(messages),
        }
    }
}

fn in_zone(unix_ms: i64, settings: &FileSettings) -> Option<String> {
    let time = Timestamp::from_millisecond(unix_ms).ok()?;
    let zoned = time.to_zoned(settings.timezone.clone());
    Some(zoned.strftime("%Y-%m-%d %H:%M:%S%.3f%:z").to_string())
}

/// The beginning of what somebody else wrote, without what a terminal would obey.
fn shown(message: &str) -> String {
    let mut text: String = message
        .chars()
        .take(SHOWN_CHARACTERS)
        .map(|c| match c {
            '\n' => '↵',
            '\t' => ' ',
            c if c.is_control() => '·',
            c => c,
        })
        .collect();
    if message.chars().nth(SHOWN_CHARACTERS).is_some() {
        text.push('…');
    }
    text
}
