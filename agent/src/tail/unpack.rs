//! What is in a compressed copy: its length and checksums, by one pass over it, made in pieces.
//!
//! A gzip file does not say how long its content is, nor can its middle be read alone. A copy of a few megabytes may hold
//! as much as days of a log, so nothing waits for the pass: each look does a piece of it.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};

use flate2::read::MultiGzDecoder;

use super::identity::{Beginning, HEAD_BYTES_MAX, read_full_at};

/// The file is decompressed in steps of this size.
const STEP_BYTES: usize = 64 * 1024;
/// How much is decompressed at a look: some ten milliseconds of it.
pub(crate) const PIECE_BYTES: u64 = 4 * 1024 * 1024;
/// What holds more than this is not looked through: an hour of decompressing, or a trap.
const CONTENT_BYTES_MAX: u64 = 1024 * 1024 * 1024 * 1024;

/// All that one pass over a gzip file tells.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unpacked {
    /// How many bytes it holds, as far as it can be read.
    pub(crate) bytes: u64,
    /// Its first bytes.
    pub(crate) beginning: Beginning,
    /// The checksums of its first bytes, up to the positions that were asked for.
    sums: Vec<(u64, u32)>,
    /// Why it could not be read further.
    pub(crate) damage: Option<String>,
}

impl Unpacked {
    /// The checksum of the first so many bytes, if it was asked for.
    pub(crate) fn sum_to(&self, to: u64) -> Option<u32> {
        let found = self.sums.binary_search_by_key(&to, |sum| sum.0).ok()?;
        Some(self.sums[found].1)
    }
}

/// A pass that is under way.
pub(crate) struct Unpacking {
    decoder: MultiGzDecoder<BufReader<File>>,
    positions: Vec<u64>,
    crc: crc32fast::Hasher,
    step: Vec<u8>,
    found: Unpacked,
}

impl std::fmt::Debug for Unpacking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacking")
            .field("bytes", &self.found.bytes)
            .finish_non_exhaustive()
    }
}

impl Unpacking {
    /// Begins a pass over a file that finds the checksums up to these positions.
    pub(crate) fn of(file: &File, mut positions: Vec<u64>) -> io::Result<Unpacking> {
        let mut file = file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        positions.retain(|&to| to > 0);
        positions.sort_unstable();
        positions.dedup();
        Ok(Unpacking {
            decoder: MultiGzDecoder::new(BufReader::with_capacity(STEP_BYTES, file)),
            positions,
            crc: crc32fast::Hasher::new(),
            step: vec![0; STEP_BYTES],
            found: Unpacked::default(),
        })
    }

    /// Goes on for so many bytes of content. Tells all when the end is reached.
    pub(crate) fn go_on(&mut self, bytes: u64) -> Option<Unpacked> {
        let until = self.found.bytes.saturating_add(bytes);
        while self.found.bytes < until {
            match self.decoder.read(&mut self.step) {
                Ok(0) => return Some(std::mem::take(&mut self.found)),
                Ok(read) => self.take(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.found.damage = Some(error.to_string());
                    return Some(std::mem::take(&mut self.found));
                }
            }
            if self.found.bytes > CONTENT_BYTES_MAX {
                self.found.damage = Some("it holds more than 1 TiB".to_owned());
                return Some(std::mem::take(&mut self.found));
            }
        }
        None
    }

    fn take(&mut self, read: usize) {
        let at = self.found.bytes;
        let end = at + read as u64;
        let mut from = at;
        let first = self.positions.partition_point(|&to| to <= at);
        for &to in self.positions[first..].iter().take_while(|&&to| to <= end) {
            self.crc
                .update(&self.step[(from - at) as usize..(to - at) as usize]);
            self.found.sums.push((to, self.crc.clone().finalize()));
            from = to;
        }
        self.crc.update(&self.step[(from - at) as usize..read]);
        let beginning = &mut self.found.beginning;
        if beginning.bytes.len() < HEAD_BYTES_MAX {
            let content = &self.step[..read];
            let skip = if beginning.bytes.is_empty() {
                let skip = content.iter().position(|&byte| byte != 0).unwrap_or(read);
                beginning.start = at + skip as u64;
                skip
            } else {
                0
            };
            let wanted = HEAD_BYTES_MAX - beginning.bytes.len();
            let first = &content[skip..];
            beginning
                .bytes
                .extend_from_slice(&first[..first.len().min(wanted)]);
        }
        self.found.bytes = end;
    }
}

/// The first bytes of the content, as far as a head covers them; `None` if there are only NULs in the first piece of it.
pub(crate) fn beginning(file: &File) -> Option<Beginning> {
    let mut pass = Unpacking::of(file, Vec::new()).ok()?;
    for _ in 0..PIECE_BYTES / STEP_BYTES as u64 {
        // Damage further on does not spoil what was read before it.
        let ended = pass.go_on(1);
        let found = ended.as_ref().unwrap_or(&pass.found);
        if found.beginning.bytes.len() >= HEAD_BYTES_MAX || ended.is_some() {
            return Some(found.beginning.clone());
        }
    }
    None
}

/// What the last eight bytes of a gzip file say of its last member (RFC 1952): the checksum of its content, and the lower half of
/// its length. All that there is to know where it is the only member, as gzip and logrotate make it.
pub(crate) fn trailer(file: &File, file_bytes: u64) -> Option<(u32, u32)> {
    let mut last = [0; 8];
    let read = read_full_at(file, &mut last, file_bytes.checked_sub(8)?).ok()?;
    let [a, b, c, d, e, f, g, h] = last;
    (read == 8).then_some((
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(members: &[&[u8]]) -> (File, u64) {
        let mut file = tempfile::tempfile().unwrap();
        for content in members {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content).unwrap();
            file.write_all(&encoder.finish().unwrap()).unwrap();
        }
        let bytes = file.metadata().unwrap().len();
        (file, bytes)
    }

    #[test]
    fn a_pass_in_pieces_tells_what_one_at_once_would() {
        let content: Vec<u8> = (0..300_000_u32)
            .map(|n| (n.wrapping_mul(n) >> 7) as u8)
            .collect();
        let mut content = [vec![0; 70_000], content].concat();
        content[70_000] = 1;
        let (file, _) = packed(&[&content[..100_000], &content[100_000..]]);
        let positions = vec![370_000, 16, 65_536, 100_000, 999_999];
        let mut pass = Unpacking::of(&file, positions).unwrap();
        let mut pieces = 0;
        let found = loop {
            pieces += 1;
            if let Some(found) = pass.go_on(1) {
                break found;
            }
        };
        assert!(pieces > 5);
        assert_eq!(found.bytes, 370_000);
        assert_eq!(found.beginning.start, 70_000);
        assert_eq!(found.beginning.bytes, content[70_000..71_024]);
        for to in [16, 65_536, 100_000, 370_000] {
            assert_eq!(
                found.sum_to(to),
                Some(crc32fast::hash(&content[..to as usize]))
            );
        }
        assert_eq!(found.sum_to(999_999), None);
        assert!(found.damage.is_none());
    }

    #[test]
    fn the_trailer_tells_checksum_and_length() {
        let (file, bytes) = packed(&[b"one\ntwo\n"]);
        assert_eq!(
            trailer(&file, bytes),
            Some((crc32fast::hash(b"one\ntwo\n"), 8))
        );
        assert_eq!(trailer(&file, 7), None);
    }

    #[test]
    fn what_is_damaged_is_told_as_far_as_it_can_be_read() {
        let content: Vec<u8> = (1..=200_000_u32)
            .map(|n| (n.wrapping_mul(n) >> 5) as u8 | 1)
            .collect();
        let (file, bytes) = packed(&[&content]);
        file.set_len(bytes / 2).unwrap();
        let found = Unpacking::of(&file, Vec::new())
            .unwrap()
            .go_on(u64::MAX)
            .unwrap();
        assert!(found.damage.is_some());
        assert!(found.bytes > 0 && found.bytes < 200_000);
        assert_eq!(found.beginning.bytes, content[..1024]);
    }
}
