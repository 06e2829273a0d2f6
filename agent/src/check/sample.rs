//! The end of a file, framed and stamped as `run` would.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use diagnostics::terminal::is_harmful;
use jiff::Timestamp;
use serde::Serialize;

use crate::batch::{AGE_MS_MAX, AHEAD_MS_MAX};
use crate::config::FileSettings;
use crate::frame::{End, Framer, Next, START_BYTES};
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
    /// How many lines that are not empty were looked at.
    pub(super) lines: usize,
    /// How many of them begin an event, as `multiline` says; `None` if it says nothing.
    pub(super) starts: Option<usize>,
    /// Another encoding than UTF-8, by its name, in which the file seems to be written.
    pub(super) encoding: Option<&'static str>,
}

/// Looks at the end of `file`.
///
/// # Errors
/// When it can't be read.
pub(super) fn look(file: &File, settings: &FileSettings, now_ms: i64) -> io::Result<Seen> {
    let tail = Tail::of(file)?;
    let encoding = encoding(&tail);
    // Of what is no UTF-8, nothing else is worth a word.
    if encoding.is_some() {
        return Ok(Seen {
            encoding,
            ..Seen::default()
        });
    }
    let messages = messages(&tail, settings);
    let stamps = |format: Option<Format>| {
        let mut stamper = Stamper::new(format.map(Arc::new), settings.timezone.clone());
        let stamp = move |message: &String| {
            let stamp = stamper.stamp(message, now_ms);
            (stamp.origin == Origin::Own).then_some(stamp.unix_ms)
        };
        messages.iter().map(stamp)
    };
    let (lines, starts) = starts(&tail, settings);
    let mut seen = Seen {
        events: messages.len(),
        lines,
        starts,
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

/// The beginning of a file, and its last bytes.
struct Tail {
    head: Vec<u8>,
    bytes: Vec<u8>,
    /// Whether that is not all there is.
    cut: bool,
}

impl Tail {
    fn of(file: &File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let start = size.saturating_sub(TAIL_BYTES);
        let read = |from: u64, to: u64| {
            let mut bytes = vec![0; usize::try_from(to - from).unwrap_or_default()];
            file.read_exact_at(&mut bytes, from).map(|()| bytes)
        };
        Ok(Self {
            head: read(0, size.min(MARK_BYTES))?,
            bytes: read(start, size)?,
            cut: start > 0,
        })
    }

    /// Without what begins in the middle of a line, which is no event.
    fn lines(&self) -> &[u8] {
        let first = match self.cut {
            false => 0,
            true => {
                let end = self.bytes.iter().position(|b| *b == b'\n');
                end.map_or(0, |at| at + 1)
            }
        };
        &self.bytes[first..]
    }
}

/// The longest mark at a file's beginning that tells its encoding.
const MARK_BYTES: u64 = 4;
/// So many bytes are enough to see a pattern in them.
const ENOUGH_BYTES: usize = 32;

/// Another encoding than UTF-8: by the mark at the beginning, or by the zeros that text in Latin letters has in each other byte.
fn encoding(tail: &Tail) -> Option<&'static str> {
    match tail.head[..] {
        [0xff, 0xfe, 0, 0] | [0, 0, 0xfe, 0xff] => return Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("UTF-16"),
        _ => {}
    }
    let bytes = &tail.bytes;
    let zeros = |rest: usize| {
        let mine = bytes.iter().skip(rest).step_by(2);
        mine.filter(|byte| **byte == 0).count()
    };
    let (one, other) = (zeros(0), zeros(1));
    let half = bytes.len() / 2;
    // Room that was laid out for a file has zeros everywhere.
    let each_other = one.max(other) * 10 > half * 9 && one.min(other) * 10 < half;
    (bytes.len() >= ENOUGH_BYTES && each_other).then_some("UTF-16")
}

/// How many lines there are, and how many of them begin an event.
fn starts(tail: &Tail, settings: &FileSettings) -> (usize, Option<usize>) {
    let lines = || {
        let lines = tail.lines().split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.filter(|line| !line.is_empty())
    };
    let multiline = settings.rules.multiline.as_ref();
    let starts = multiline.map(|it| {
        let starts = |line: &&[u8]| it.starts(&line[..line.len().min(START_BYTES)]);
        lines().filter(starts).count()
    });
    (lines().count(), starts)
}

/// The whole events in the last bytes of a file.
fn messages(tail: &Tail, settings: &FileSettings) -> Vec<String> {
    let before = tail.cut.then_some(b'\n');
    let mut framer = Framer::resume(Arc::new(settings.rules.clone()), before);
    let mut messages = Vec::new();
    let mut rest = tail.lines();
    loop {
        match framer.next(rest, End::Final) {
            Next::Event(event) => {
                rest = &rest[event.bytes..];
                messages.push(event.message.to_string());
            }
            Next::Filtered { bytes, .. } => rest = &rest[bytes..],
            Next::Need => return messages,
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
            c if is_harmful(c) => '·',
            c => c,
        })
        .collect();
    if message.chars().nth(SHOWN_CHARACTERS).is_some() {
        text.push('…');
    }
    text
}
