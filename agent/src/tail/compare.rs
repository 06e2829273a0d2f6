//! Is some content what was read of a generation, or the beginning of it?

use std::fs::File;
use std::io;

use super::checksums::Checksums;
use super::identity::{Beginning, hash_of, read_full_at};
use super::unpack::Unpacked;
use crate::account::Head;

/// Content that is the same up to here tells two files apart no better than the names of their programs: many begin with one
/// and the same line, and many a report says no more than that all is well.
pub(crate) const TELLING_BYTES: u64 = 1024;

/// So much is read at most where a whole file is compared. What differs is most likely at its end: a time.
pub(crate) const COMPARED_BYTES_MAX: u64 = 1024 * 1024;
/// The same where a file that was quiet grows, which many do all the time.
pub(crate) const GLANCED_BYTES_MAX: u64 = 16 * 1024;

/// What comparing content with what was read of a generation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// Nothing was read that could be compared, or there is too little content.
    Unknown,
    /// It is other content.
    Differs,
    /// They are the same up to this position, as far as that was looked at.
    To(u64),
}

impl Agreement {
    /// Whether nothing speaks against the one being the other, or its beginning.
    pub(crate) fn fits(self) -> bool {
        matches!(self, Agreement::To(_))
    }

    /// Whether so much is the same that it can't be by chance.
    pub(crate) fn tells(self) -> bool {
        matches!(self, Agreement::To(to) if to >= TELLING_BYTES)
    }

    /// The same for content that begins with a hole up to this position, which is the same in any such file.
    pub(crate) fn tells_behind(self, hole_end: u64) -> bool {
        matches!(self, Agreement::To(to) if to >= hole_end + TELLING_BYTES)
    }

    /// Without what only holes have in common.
    fn behind_the_hole_of(self, head: Head) -> Agreement {
        match self {
            Agreement::To(to) if head.bytes > 0 && to <= head.start => Agreement::Unknown,
            other => other,
        }
    }

    /// Whether content of this length begins with all that was read.
    pub(crate) fn is_whole(self, bytes: u64, head: Head, sums: &Checksums) -> bool {
        // The head may cover bytes that were seen, but not read.
        let read_to = if sums.is_empty() {
            head.end()
        } else {
            sums.to()
        };
        match self {
            Agreement::To(to) => bytes >= read_to && to >= read_to,
            Agreement::Unknown | Agreement::Differs => false,
        }
    }
}

/// Compares an open file of this length. Besides the head, so many bytes are read at most: of what was read last.
///
/// # Errors
/// When it can't be read.
pub(crate) fn compare(
    file: &File,
    bytes: u64,
    head: Head,
    sums: &Checksums,
    bytes_max: u64,
) -> io::Result<Agreement> {
    let mut agreed = None;
    if head.bytes > 0 && bytes >= head.end() {
        let mut covered = vec![0; head.bytes as usize];
        let read = read_full_at(file, &mut covered, head.start)?;
        if read < covered.len() || hash_of(&covered) != head.hash {
            return Ok(Agreement::Differs);
        }
        agreed = Some(head.end());
    }
    if let Some(run) = sums.last_run(bytes, bytes_max) {
        let mut content = vec![0; (run.to - run.from) as usize];
        let read = read_full_at(file, &mut content, run.from)?;
        if read < content.len() || crc32fast::hash(&content) != run.crc {
            return Ok(Agreement::Differs);
        }
        agreed = agreed.max(Some(run.to));
    }
    let agreement = agreed.map_or(Agreement::Unknown, Agreement::To);
    Ok(agreement.behind_the_hole_of(head))
}

/// Compares the content of a compressed copy, all of it.
pub(crate) fn compare_unpacked(found: &Unpacked, head: Head, sums: &Checksums) -> Agreement {
    let mut agreed = None;
    if head.bytes > 0 && found.bytes >= head.end() {
        if !found.beginning.is(head) {
            return Agreement::Differs;
        }
        agreed = Some(head.end());
    }
    let agreement = match sums.agree_to(|to| found.sum_to(to), found.bytes) {
        None => Agreement::Differs,
        Some(0) => agreed.map_or(Agreement::Unknown, Agreement::To),
        Some(to) => Agreement::To(agreed.map_or(to, |agreed| agreed.max(to))),
    };
    agreement.behind_the_hole_of(head)
}

/// What the beginning alone says of a compressed copy, before it is looked through.
pub(crate) fn may_be(beginning: &Beginning, head: Head) -> bool {
    head.bytes == 0 || beginning.is(head) || beginning.bytes.len() < head.bytes as usize
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write as _;

    use super::*;

    struct Read {
        head: Head,
        sums: Checksums,
    }

    fn read(content: &[u8]) -> Read {
        let mut sums = Checksums::from(0);
        sums.read(content, 0);
        let head = Beginning {
            start: 0,
            bytes: content[..content.len().min(1024)].to_vec(),
        }
        .head();
        Read { head, sums }
    }

    fn against(read: &Read, content: &[u8]) -> (Agreement, bool) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let bytes = content.len() as u64;
        let plain = compare(&file, bytes, read.head, &read.sums, COMPARED_BYTES_MAX).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        let mut packed = tempfile::tempfile().unwrap();
        packed.write_all(&encoder.finish().unwrap()).unwrap();
        let found = super::super::unpack::Unpacking::of(&packed, read.sums.positions().collect())
            .unwrap()
            .go_on(u64::MAX)
            .unwrap();
        assert_eq!(compare_unpacked(&found, read.head, &read.sums), plain);
        (plain, plain.is_whole(bytes, read.head, &read.sums))
    }

    #[test]
    fn reports_that_differ_only_in_their_middle_differ() {
        let report = |orders: u32| {
            format!(
                "# nightly report {}\norders: {orders:06}\nend of report, all jobs done\n",
                "=".repeat(1200)
            )
            .into_bytes()
        };
        let first = read(&report(101));
        assert_eq!(
            against(&first, &report(101)).0,
            Agreement::To(report(101).len() as u64)
        );
        assert_eq!(against(&first, &report(102)).0, Agreement::Differs);
    }

    #[test]
    fn a_copy_that_ends_before_what_was_read_is_its_beginning() {
        let content: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let all = read(content.as_bytes());
        for bytes in [content.len(), content.len() - 1, 5000, 1024, 100, 16, 3, 1] {
            let (agreement, whole) = against(&all, &content.as_bytes()[..bytes]);
            assert!(agreement.fits(), "{bytes}: {agreement:?}");
            assert_eq!(whole, bytes == content.len());
            assert_eq!(agreement.tells(), bytes >= 1024, "{bytes}: {agreement:?}");
        }
        let more = content.clone() + "one more\n";
        assert!(against(&all, more.as_bytes()).1);
        let other = content.replace("line 700\n", "LINE 700\n");
        assert_eq!(against(&all, other.as_bytes()).0, Agreement::Differs);
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        let nothing = read(b"");
        assert_eq!(against(&nothing, b"anything"), (Agreement::Unknown, false));
    }
}
