//! Is this still the same content? A fingerprint of the first bytes, and one of the last bytes read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use crate::account::Head;

/// A head covers this much at most: more than any banner line, and one read of one page.
pub(crate) const HEAD_BYTES_MAX: usize = 1024;
/// How many of the last bytes read are remembered.
pub(crate) const ANCHOR_BYTES: usize = 32;

/// The fingerprint of the first bytes, without NULs after them: those may be space that is yet to be written.
pub(crate) fn head_of(content: &[u8]) -> Head {
    let within = &content[..content.len().min(HEAD_BYTES_MAX)];
    let Some(last) = within.iter().rposition(|&byte| byte != 0) else {
        return Head::default();
    };
    let covered = &within[..=last];
    let digest = Sha256::digest(covered);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    Head {
        bytes: covered.len() as u32,
        hash: u64::from_be_bytes(first),
    }
}

/// Whether content that begins with `content` may be the one that `head` was taken of.
pub(crate) fn begins_with(content: &[u8], head: Head) -> bool {
    let bytes = head.bytes as usize;
    content.len() >= bytes && head_of(&content[..bytes]) == head
}

/// The first bytes of a file, up to what a head covers.
pub(crate) fn beginning(file: &File) -> io::Result<Vec<u8>> {
    let mut content = vec![0; HEAD_BYTES_MAX];
    let bytes = read_full_at(file, &mut content, 0)?;
    content.truncate(bytes);
    Ok(content)
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
    use super::*;

    #[test]
    fn a_head_covers_what_is_there_and_no_more_than_its_bound() {
        assert_eq!(head_of(b""), Head::default());
        assert_eq!(head_of(b"abc").bytes, 3);
        assert_eq!(head_of(&[7; 5000]).bytes, 1024);
        assert_eq!(head_of(&[7; 5000]), head_of(&[7; 1024]));
        assert_eq!(head_of(b"abc\0\0"), head_of(b"abc"));
        assert_eq!(head_of(&[0; 2000]), Head::default());
    }

    #[test]
    fn content_that_grew_still_begins_with_its_head() {
        let head = head_of(b"abc");
        assert!(begins_with(b"abcdef", head));
        assert!(!begins_with(b"ab", head));
        assert!(!begins_with(b"abd", head));
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
