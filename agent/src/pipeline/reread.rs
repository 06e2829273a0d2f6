//! Reading again what was framed before, to the same events: framing from an event's first byte is deterministic.

use std::sync::Arc;

use crate::account::{GenerationId, Span};
use crate::frame::{End, Framer, Next};
use crate::stamp::Stamper;
use crate::tail::{Files, ReadError};

use super::plan::Plan;

/// An event as it was framed before.
pub(super) struct Again<'a> {
    pub(super) span: Span,
    pub(super) unix_ms: i64,
    pub(super) message: &'a str,
}

/// Why bytes that were there before could not be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// They are not where they were. Where they are, if anywhere, the next look tells.
    Moved,
    /// The system refuses for now.
    Refused,
    /// No `[[file]]` means their file any more, or its names can't be resolved.
    NotFollowed,
}

/// Frames and stamps the bytes of `span` again. `read_ms` stands in for the time they were first read.
pub(super) fn reread(
    files: &mut Files,
    plan: &Plan,
    span: Span,
    read_ms: i64,
    mut each: impl FnMut(Again<'_>),
) -> Result<(), Unread> {
    let mut framer = framer_at(files, plan, span.generation, span.start);
    let mut stamper = Stamper::new(plan.format.clone(), plan.zone.clone());
    let mut buffer = vec![0; super::read::READ_BYTES];
    let mut at = span.start;
    while at < span.end {
        let want =
            usize::try_from(span.end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = match files.read(span.generation, at, &mut buffer[..want]) {
            Ok(read) if read.bytes > 0 => read,
            // A compressed copy is decompressed up to there, a piece at a time.
            Ok(read) if !read.at_end => continue,
            Ok(_) | Err(ReadError::Changed | ReadError::Unknown(_)) => return Err(Unread::Moved),
            Err(ReadError::Io { .. }) => return Err(Unread::Refused),
        };
        let end = if at + read.bytes as u64 == span.end {
            End::Final
        } else {
            End::More
        };
        let mut position = 0;
        while position < read.bytes {
            match framer.next(&buffer[position..read.bytes], end) {
                Next::Event(event) => {
                    let start = at + position as u64;
                    let stamp = match event.continues {
                        false => stamper.stamp(&event.message, read_ms),
                        true => stamper.follow(read_ms),
                    };
                    each(Again {
                        span: Span {
                            generation: span.generation,
                            start,
                            end: start + event.bytes as u64,
                        },
                        unix_ms: stamp.unix_ms,
                        message: &event.message,
                    });
                    position += event.bytes;
                }
                Next::Filtered { bytes, .. } => position += bytes,
                Next::Need => break,
            }
        }
        if position == 0 {
            if read.bytes < buffer.len() {
                // The file is shorter than it was.
                return Err(Unread::Moved);
            }
            buffer.resize(buffer.len() * 2, 0);
        }
        at += position as u64;
    }
    Ok(())
}

/// A framer for bytes from `at` on: whether they begin a line is told by the byte before.
pub(super) fn framer_at(files: &mut Files, plan: &Plan, id: GenerationId, at: u64) -> Framer {
    let mut before = [0];
    let byte_before = at
        .checked_sub(1)
        .and_then(|last| files.read(id, last, &mut before).ok())
        .filter(|read| read.bytes == 1)
        .map(|_| before[0]);
    Framer::resume(Arc::clone(&plan.rules), byte_before)
}
