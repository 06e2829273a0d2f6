//! The last events of a file, framed and stamped as `run` would.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::FileSettings;
use crate::frame::{End, Framer, Next};
use crate::stamp::{Origin, Stamper};

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

/// The last events of `file`.
///
/// # Errors
/// When it can't be read.
pub(super) fn last(file: &File, settings: &FileSettings, now_ms: i64) -> io::Result<Vec<Sample>> {
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
    let format = settings.format.clone().map(Arc::new);
    let mut stamper = Stamper::new(format, settings.timezone.clone());
    let mut samples = Vec::new();
    let mut rest = &bytes[first..];
    loop {
        match framer.next(rest, End::Final) {
            Next::Event(event) => {
                rest = &rest[event.bytes..];
                let stamp = stamper.stamp(&event.message, now_ms);
                let unix_ms = (stamp.origin == Origin::Own).then_some(stamp.unix_ms);
                samples.push(Sample {
                    text: shown(&event.message),
                    time: unix_ms.and_then(|ms| in_zone(ms, settings)),
                    unix_ms,
                });
                if samples.len() > EVENTS {
                    samples.remove(0);
                }
            }
            Next::Filtered { bytes, .. } => rest = &rest[bytes..],
            Next::Need => return Ok(samples),
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
