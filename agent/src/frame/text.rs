//! An event's bytes into its message.

use std::borrow::Cow;

/// What a piece of a split message ends with, when another follows.
pub const CONTINUED: &str = " [continued]";
/// The longest character.
const CHARACTER_BYTES: usize = 4;
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A message, or the first piece of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text<'b> {
    Whole {
        message: Cow<'b, str>,
        replaced: u32,
    },
    Piece {
        message: String,
        /// How many bytes it stands for.
        bytes: usize,
        replaced: u32,
    },
}

/// How long a message may be, as its whole event is known or only guessed to end where it does.
///
/// A piece is framed again, without what follows it, to the same piece: so an event that no line's end
/// ends is a piece as soon as it is as long as pieces are.
#[inline]
pub(super) fn whole_bytes(limit: usize, ends_line: bool) -> usize {
    if ends_line {
        limit
    } else {
        piece_bytes(limit) - CHARACTER_BYTES
    }
}

/// What a piece holds at most, without its mark.
fn piece_bytes(limit: usize) -> usize {
    limit - CONTINUED.len()
}

/// The message of an event that covers `all`, of which the first `text` bytes are to be sent.
#[inline]
pub(super) fn message(all: &[u8], text: usize, limit: usize, ends_line: bool) -> Text<'_> {
    let subject = if ends_line { &all[..text] } else { all };
    let whole = whole_bytes(limit, ends_line);
    if subject.len() <= whole
        && let Ok(message) = std::str::from_utf8(&all[..text])
    {
        return Text::Whole {
            message: Cow::Borrowed(message),
            replaced: 0,
        };
    }
    repaired(subject, &all[..text], limit, whole)
}

/// The way of what is too long or not valid.
#[cold]
fn repaired<'b>(subject: &'b [u8], text: &'b [u8], limit: usize, whole: usize) -> Text<'b> {
    // No message is shorter than its bytes.
    let fitting = (subject.len() <= whole)
        .then(|| repair(subject, whole))
        .filter(|(_, bytes, _)| *bytes == subject.len());
    let Some((message, _, replaced)) = fitting else {
        let (mut message, bytes, replaced) = repair(subject, piece_bytes(limit));
        message.push_str(CONTINUED);
        return Text::Piece {
            message,
            bytes,
            replaced,
        };
    };
    if text.len() == subject.len() {
        let message = Cow::Owned(message);
        return Text::Whole { message, replaced };
    }
    let (message, _, replaced) = repair(text, whole);
    let message = Cow::Owned(message);
    Text::Whole { message, replaced }
}

/// As much of `bytes` as valid UTF-8 of at most `most` bytes: the text, the bytes it stands for, and how many
/// sequences were replaced.
fn repair(bytes: &[u8], most: usize) -> (String, usize, u32) {
    let mut message = String::with_capacity(bytes.len().min(most));
    let mut taken = 0;
    let mut replaced = 0;
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        let room = most - message.len();
        if valid.len() > room {
            let valid = &valid[..valid.floor_char_boundary(room)];
            message.push_str(valid);
            return (message, taken + valid.len(), replaced);
        }
        message.push_str(valid);
        taken += valid.len();
        if chunk.invalid().is_empty() {
            continue;
        }
        if message.len() + char::REPLACEMENT_CHARACTER.len_utf8() > most {
            return (message, taken, replaced);
        }
        message.push(char::REPLACEMENT_CHARACTER);
        taken += chunk.invalid().len();
        replaced += 1;
    }
    (message, taken, replaced)
}

/// The length of the byte order mark that `buf` begins with, at a generation's start.
#[inline]
pub(super) fn byte_order_mark(before: Option<u8>, buf: &[u8]) -> usize {
    if before.is_none() && buf.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    }
}

/// `text` without the line ends behind it.
pub(super) fn trimmed(mut text: &[u8]) -> &[u8] {
    while let Some(line) = text.strip_suffix(b"\n") {
        text = line.strip_suffix(b"\r").unwrap_or(line);
    }
    text
}

/// How many bytes at the end are the beginning of a character whose other bytes are not there.
pub(super) fn unfinished(text: &[u8]) -> usize {
    (1..CHARACTER_BYTES)
        .take_while(|&length| length <= text.len())
        .find(|&length| {
            let tail = &text[text.len() - length..];
            let first = std::str::from_utf8(tail).err();
            first.is_some_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(0)
}
