//! Is this still the same content? A fingerprint of the first bytes, and one of the last bytes read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::source::{Extent, extent_at};
use crate::account::Head;

/// A head covers this much at most: more than any banner line, and one read of one page.
pub(crate) const HEAD_BYTES_MAX: usize = 1024;
/// How many of the last bytes read are remembered.
pub(crate) const ANCHOR_BYTES: usize = 32;
/// So many written NULs are looked through for a first byte that is none.
const NULS_MAX: u64 = 1024 * 1024;

/// The first bytes of some content that are not NUL, as far as a head covers them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// The position of the first of them.
    pub(crate) start: u64,
    /// Them, and what follows.
    pub(crate) bytes: Vec<u8>,
}

impl Beginning {
    /// Of a file.
    pub(crate) fn of(file: &File) -> io::Result<Beginning> {
        let mut bytes = vec![0; HEAD_BYTES_MAX];
        let read = read_full_at(file, &mut bytes, 0)?;
        bytes.truncate(read);
        if bytes.first().is_none_or(|&byte| byte != 0) {
            return Ok(Beginning { start: 0, bytes });
        }
        let Some(start) = first_byte(file)? else {
            return Ok(Beginning::default());
        };
        bytes.resize(HEAD_BYTES_MAX, 0);
        let read = read_full_at(file, &mut bytes, start)?;
        bytes.truncate(read);
        Ok(Beginning { start, bytes })
    }

    /// Its fingerprint. NULs at its end are left out: they may be space that is yet to be written.
    pub(crate) fn head(&self) -> Head {
        let within = &self.bytes[..self.bytes.len().min(HEAD_BYTES_MAX)];
        let Some(last) = within.iter().rposition(|&byte| byte != 0) else {
            return Head::default();
        };
        let covered = &within[..=last];
        Head {
            start: self.start,
            bytes: covered.len() as u32,
            hash: hash_of(covered),
        }
    }

    /// Whether content that begins so may be the one that `head` was taken of.
    pub(crate) fn is(&self, head: Head) -> bool {
        let covered = self.bytes.get(..head.bytes as usize);
        self.start == head.start && covered.is_some_and(|covered| hash_of(covered) == head.hash)
    }
}

/// The first eight bytes of the SHA-256 of a head's bytes.
pub(crate) fn hash_of(covered: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&Sha256::digest(covered)[..8]);
    u64::from_be_bytes(first)
}

/// Where the first byte stands that is not NUL, in a file that begins with NULs.
fn first_byte(file: &File) -> io::Result<Option<u64>> {
    let mut at = match extent_at(file, 0) {
        Extent::Data => 0,
        Extent::HoleUntil(data) => data,
        Extent::HoleToTheEnd => return Ok(None),
    };
    let end = at + NULS_MAX;
    let mut block = vec![0; 64 * 1024];
    while at < end {
        let read = read_full_at(file, &mut block, at)?;
        if let Some(first) = block[..read].iter().position(|&byte| byte != 0) {
            return Ok(Some(at + first as u64));
        }
        if read < block.len() {
            return Ok(None);
        }
        at += read as u64;
    }
    Ok(None)
}

/// As many bytes as there are, up to the buffer's length.
pub(crate) fn read_full_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], at + done as u64) {
            Ok(0) => break,
            Ok(bytes) => done += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The last bytes that were read of a generation. Two generations that begin with the same banner, or with the same hole,
/// differ here.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Anchor {
    end: u64,
    len: usize,
    bytes: [u8; ANCHOR_BYTES],
}

impl Anchor {
    pub(crate) fn start(&self) -> u64 {
        self.end - self.len as u64
    }

    /// One past the last byte that was read.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// How many bytes before `at` a read should begin, so that it shows the anchor too.
    pub(crate) fn lead(&self, at: u64) -> usize {
        if self.start() < at && at <= self.end {
            (at - self.start()) as usize
        } else {
            0
        }
    }

    /// Whether what was read from `at` on, with `lead` before it, agrees. A read that does not reach the anchor's end
    /// because its buffer was full says nothing against it.
    pub(crate) fn agrees(&self, lead: &[u8], buf: &[u8], at: u64, full: bool) -> bool {
        let from = at - lead.len() as u64;
        let to = at + buf.len() as u64;
        if self.len == 0 || self.start() < from || at > self.end {
            return true;
        }
        if to < self.end {
            return full;
        }
        let skip = (self.start() - from) as usize;
        lead.iter()
            .chain(buf)
            .skip(skip)
            .take(self.len)
            .eq(self.bytes())
    }

    /// Moves on to the end of what was read.
    pub(crate) fn advance(&mut self, lead: &[u8], buf: &[u8], at: u64) {
        let end = at + buf.len() as u64;
        if end <= self.end || buf.is_empty() {
            return;
        }
        let from_buf = buf.len().min(ANCHOR_BYTES);
        let from_lead = lead.len().min(ANCHOR_BYTES - from_buf);
        let mut bytes = [0; ANCHOR_BYTES];
        bytes[..from_lead].copy_from_slice(&lead[lead.len() - from_lead..]);
        bytes[from_lead..from_lead + from_buf].copy_from_slice(&buf[buf.len() - from_buf..]);
        *self = Anchor {
            end,
            len: from_lead + from_buf,
            bytes,
        };
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn at_its_start(bytes: &[u8]) -> Beginning {
        Beginning {
            start: 0,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn a_head_covers_what_is_there_and_no_more_than_its_bound() {
        let head_of = |bytes: &[u8]| at_its_start(bytes).head();
        assert_eq!(head_of(b""), Head::default());
        assert_eq!(head_of(b"abc").bytes, 3);
        assert_eq!(head_of(&[7; 5000]).bytes, 1024);
        assert_eq!(head_of(&[7; 5000]), head_of(&[7; 1024]));
        assert_eq!(head_of(b"abc\0\0"), head_of(b"abc"));
        assert_eq!(head_of(&[0; 2000]), Head::default());
    }

    #[test]
    fn content_that_grew_still_begins_with_its_head() {
        let head = at_its_start(b"abc").head();
        assert!(at_its_start(b"abcdef").is(head));
        assert!(!at_its_start(b"ab").is(head));
        assert!(!at_its_start(b"abd").is(head));
    }

    #[test]
    fn a_head_begins_behind_the_hole_that_a_writer_left() {
        let file = tempfile::tempfile().unwrap();
        for start in [1, 700, 4096, 100_000, 5_000_000_u64] {
            file.set_len(0).unwrap();
            file.write_all_at(b"after the hole", start).unwrap();
            let beginning = Beginning::of(&file).unwrap();
            assert_eq!(beginning.start, start);
            assert!(beginning.is(beginning.head()));
            assert_eq!(beginning.head().end(), start + 14);
            assert!(!at_its_start(b"after the hole").is(beginning.head()));
        }
        file.set_len(0).unwrap();
        file.set_len(1_000_000).unwrap();
        assert_eq!(Beginning::of(&file).unwrap().head(), Head::default());
    }

    #[test]
    fn an_anchor_tells_rewritten_content_from_appended() {
        let old = b"0123456789012345678901234567890123456789";
        let mut anchor = Anchor::default();
        anchor.advance(&[], old, 0);
        assert_eq!(anchor.start(), 8);
        let at = 36;
        assert_eq!(anchor.lead(at), 28);
        assert!(anchor.agrees(&old[8..36], b"6789new", at, false));
        assert!(!anchor.agrees(&old[8..36], b"678Xnew", at, false));
        assert!(
            !anchor.agrees(&old[8..36], b"67", at, false),
            "shorter than what was read before"
        );
        anchor.advance(&old[8..36], b"6789new", at);
        assert_eq!(
            anchor.bytes(),
            b"12345678901234567890123456789new".as_slice()
        );
    }

    #[test]
    fn a_short_buffer_far_before_the_anchor_says_nothing() {
        let mut anchor = Anchor::default();
        anchor.advance(&[], &[1; 100], 0);
        assert!(anchor.agrees(&[], &[2; 10], 0, true));
    }
}
