//! The body of PutLogEvents, written as it will be sent: no tree, no copy, no allocation for an event.
//!
//! `{"logGroupName":"…","logStreamName":"…","logEvents":[{"timestamp":1700000000000,"message":"…"},…]}`

use std::mem::MaybeUninit;

use crate::target::Target;

/// What stands between the events and around them, for an event of any time and any message.
pub(super) const EVENT_JSON_BYTES: usize =
    r#"{"timestamp":-9223372036854775808,"message":""},"#.len();
/// The end of a body.
pub(super) const TAIL: &[u8] = b"]}";
/// A byte takes at most this many (`\u001f`).
const ESCAPED_BYTES_MAX: usize = 6;
/// A long message is escaped by pieces, so that a full buffer is soon enough found to be short of room for the fast way.
const PIECE_BYTES: usize = 4096;
/// How many bytes are looked at in one go.
const WORD: usize = if cfg!(target_arch = "x86_64") { 16 } else { 8 };

/// An upper bound for [`escape`] of that many bytes, cheap to tell.
pub(super) const fn escaped_bound(bytes: usize) -> usize {
    bytes * ESCAPED_BYTES_MAX + WORD
}

/// The beginning of a body.
pub(super) fn head(target: &Target, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"logGroupName":""#);
    escape(&target.group, out);
    out.extend_from_slice(br#"","logStreamName":""#);
    escape(&target.stream, out);
    out.extend_from_slice(br#"","logEvents":["#);
}

/// The bytes of an event up to its message. Lines of one moment follow each other, so the last one is kept.
#[derive(Debug)]
pub(super) struct Opening {
    unix_ms: i64,
    text: [u8; 48],
    bytes: usize,
}

impl Opening {
    pub(super) fn new() -> Self {
        let mut opening = Opening {
            unix_ms: 0,
            text: [0; 48],
            bytes: 0,
        };
        opening.set(0);
        opening
    }

    /// Writes it for this time, in milliseconds since 1970.
    #[inline]
    pub(super) fn write(&mut self, unix_ms: i64, out: &mut Vec<u8>) {
        if unix_ms != self.unix_ms {
            self.set(unix_ms);
        }
        out.extend_from_slice(&self.text[..self.bytes]);
    }

    fn set(&mut self, unix_ms: i64) {
        self.unix_ms = unix_ms;
        self.bytes = 0;
        self.put(br#"{"timestamp":"#);
        if unix_ms < 0 {
            self.put(b"-");
        }
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = unix_ms.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.put(&digits[at..]);
        self.put(br#","message":""#);
    }

    fn put(&mut self, text: &[u8]) {
        self.text[self.bytes..self.bytes + text.len()].copy_from_slice(text);
        self.bytes += text.len();
    }
}

/// Appends `text` as the inside of a JSON string. Goes by words, and never allocates, while `out` has [`escaped_bound`] bytes of
/// the rest, or of its next piece, to spare; goes by runs where room is short.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    for piece in text.as_bytes().chunks(PIECE_BYTES) {
        let spare = out.spare_capacity_mut();
        if spare.len() < escaped_bound(piece.len()) {
            escape_runs(piece, out);
            continue;
        }
        let written = escape_words(piece, spare);
        let end = out.len() + written;
        debug_assert!(end <= out.capacity());
        // SAFETY: `escape_words` has initialised the first `written` bytes of the spare capacity.
        unsafe { out.set_len(end) };
    }
}

/// A closer bound than [`escaped_bound`], for which the text has to be looked at.
pub(super) fn escaped_bytes_at_most(text: &str) -> usize {
    let special = text
        .as_bytes()
        .iter()
        .filter(|byte| **byte < b' ' || **byte == b'"' || **byte == b'\\')
        .count();
    text.len() + special * (ESCAPED_BYTES_MAX - 1)
}

/// A word is copied before it is looked at; where a byte of it has to be escaped, the copy is overwritten from there on.
/// So a run costs nothing of its own, however short it is.
fn escape_words(text: &[u8], out: &mut [MaybeUninit<u8>]) -> usize {
    let (mut from, mut to) = (0, 0);
    while let Some(word) = text.get(from..).and_then(<[u8]>::first_chunk::<WORD>) {
        out[to..to + WORD].write_copy_of_slice(word);
        let Some(clean) = first_special(word) else {
            from += WORD;
            to += WORD;
            continue;
        };
        to += clean;
        let byte = text[from + clean];
        from += clean + 1;
        if let Some((escape, bytes)) = escaping(byte) {
            out[to..to + ESCAPED_BYTES_MAX].write_copy_of_slice(&escape);
            to += bytes;
        }
    }
    for byte in &text[from..] {
        if let Some((escape, bytes)) = escaping(*byte) {
            out[to..to + ESCAPED_BYTES_MAX].write_copy_of_slice(&escape);
            to += bytes;
        } else {
            out[to].write(*byte);
            to += 1;
        }
    }
    to
}

/// The same without room to overwrite: copies from one byte to escape to the next.
fn escape_runs(text: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        if let Some((escape, bytes)) = escaping(*byte) {
            out.extend_from_slice(&text[from..at]);
            out.extend_from_slice(&escape[..bytes]);
            from = at + 1;
        }
    }
    out.extend_from_slice(&text[from..]);
}

/// Where the first byte is that JSON escapes. SSE2 is part of every x86-64.
#[cfg(target_arch = "x86_64")]
#[inline]
fn first_special(word: &[u8; WORD]) -> Option<usize> {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8,
    };
    let bits = u128::from_le_bytes(*word);
    // SAFETY: these need SSE2 and nothing else.
    let found = unsafe {
        let bytes = _mm_set_epi64x((bits >> 64) as i64, bits as i64);
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), control))
    };
    (found != 0).then(|| found.trailing_zeros() as usize)
}

/// Where the first byte is that JSON escapes: marks by their highest bit the bytes that are. Only the lowest mark is exact, since a
/// borrow may set others above it.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn first_special(word: &[u8; WORD]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; WORD]);
    const HIGHS: u64 = ONES << 7;
    let word = u64::from_le_bytes(*word);
    let quotes = word ^ (ONES * b'"' as u64);
    let backslashes = word ^ (ONES * b'\\' as u64);
    let control = word.wrapping_sub(ONES * b' ' as u64) & !word;
    let quotes = quotes.wrapping_sub(ONES) & !quotes;
    let backslashes = backslashes.wrapping_sub(ONES) & !backslashes;
    let found = (control | quotes | backslashes) & HIGHS;
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

/// What a byte becomes, and how much of it counts; `None`: it stays.
#[inline]
fn escaping(byte: u8) -> Option<([u8; ESCAPED_BYTES_MAX], usize)> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b' '.. => return None,
        b'\n' => b'n',
        b'\t' => b't',
        b'\r' => b'r',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            return Some(([b'\\', b'u', b'0', b'0', high, low], 6));
        }
    };
    Some(([b'\\', short, 0, 0, 0, 0], 2))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str, room: usize) -> String {
        let mut out = Vec::with_capacity(room);
        escape(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_byte_at_every_place_of_a_word_is_escaped_as_serde_does() {
        for byte in 0..128 {
            for before in 0..20 {
                let text = format!(
                    "{}{}{}",
                    "é".repeat(before),
                    char::from(byte),
                    "x\"yz".repeat(3)
                );
                let expected = serde_json::to_string(&text).unwrap();
                assert_eq!(format!("\"{}\"", escaped(&text, 4096)), expected);
                assert_eq!(format!("\"{}\"", escaped(&text, 0)), expected);
                assert!(escaped_bytes_at_most(&text) + 2 >= expected.len());
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_escaped_as_serde_does(text in "(\\PC|[\"\\\\\\x00-\\x20]){0,200}") {
            let expected = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(format!("\"{}\"", escaped(&text, escaped_bound(text.len()))), &*expected);
            prop_assert_eq!(format!("\"{}\"", escaped(&text, 0)), &*expected);
            let long = text.repeat(50);
            prop_assert_eq!(format!("\"{}\"", escaped(&long, PIECE_BYTES * 7)), serde_json::to_string(&long).unwrap());
            prop_assert!(escaped_bytes_at_most(&text) + 2 >= expected.len());
        }

        #[test]
        fn the_opening_is_written_for_any_time(times in prop::collection::vec(prop_oneof![any::<i64>(), Just(0), Just(1_700_000_000_000)], 1..20)) {
            let mut opening = Opening::new();
            for unix_ms in times {
                let mut out = Vec::new();
                opening.write(unix_ms, &mut out);
                prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"timestamp\":{unix_ms},\"message\":\""));
            }
        }
    }

    #[test]
    fn a_target_with_quotes_in_its_name_still_makes_json() {
        let target = Target {
            group: "a\"b".into(),
            stream: "\\".into(),
            retention_days: None,
            class: Default::default(),
        };
        let mut out = Vec::new();
        head(&target, &mut out);
        out.extend_from_slice(TAIL);
        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            parsed,
            serde_json::json!({"logGroupName": "a\"b", "logStreamName": "\\", "logEvents": []})
        );
    }
}
