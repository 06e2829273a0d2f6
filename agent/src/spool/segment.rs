//! The format of a segment: a header in a sector of its own, then frames at multiples of eight.
//!
//! ```text
//! header  magic · version u32 · CRC-32 of all of it u32 · epoch u64 · next reading's number u64 · settled through u64 · newest i64 · instance id
//! frame   length u32 · CRC-32 of place and length u32 · records · CRC-32 of all of it u32 · zeros up to a multiple of eight
//! ```
//!
//! Checksums hold the segment's epoch and the frame's place: no frame of an older use of the segment passes for one of this. What a power
//! cut left of a frame is no frame.

/// The version of the format that is written, and the only one that is read.
pub(super) const VERSION: u32 = 1;

/// Where the first frame begins: a sector is written whole or not at all.
pub(super) const BODY: u64 = 512;

/// The longest id of an instance; the header has to fit into its sector.
pub(super) const MAX_INSTANCE_ID_BYTES: usize = 255;

const MAGIC: [u8; 8] = *b"bakermet";
const CRC_AT: usize = 12;
const FIXED: usize = 48;
const HEAD: usize = 8;

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Later segments have higher ones.
    pub(super) epoch: u64,
    /// The number of the first reading that can be in it.
    pub(super) next_seq: u64,
    /// Readings up to this number were settled, or given up, when it began. What said so may be in segments that are gone.
    pub(super) through: u64,
    /// When the newest reading before it was measured, in milliseconds since 1970 UTC; `i64::MIN` if there was none.
    pub(super) newest_ms: i64,
    /// Whose metrics these are.
    pub(super) instance_id: String,
}

/// What the first sector of a segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// Nothing: it is not in use.
    Blank,
    /// A segment of this version.
    Valid(Header),
    /// A segment of a later version.
    Future(u32),
    /// Something else.
    Damaged,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(BODY as usize);
        page.extend_from_slice(&MAGIC);
        page.extend_from_slice(&VERSION.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        page.extend_from_slice(&self.epoch.to_le_bytes());
        page.extend_from_slice(&self.next_seq.to_le_bytes());
        page.extend_from_slice(&self.through.to_le_bytes());
        page.extend_from_slice(&self.newest_ms.to_le_bytes());
        let id = self.instance_id.as_bytes();
        let id = &id[..id.len().min(MAX_INSTANCE_ID_BYTES)];
        page.push(id.len() as u8);
        page.extend_from_slice(id);
        page.resize(BODY as usize, 0);
        let crc = crc32fast::hash(&page);
        page[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        page
    }
}

/// Reads the first sector.
pub(super) fn page(segment: &[u8]) -> Page {
    let Some(page) = segment.get(..BODY as usize) else {
        return match segment.iter().all(|byte| *byte == 0) {
            true => Page::Blank,
            false => Page::Damaged,
        };
    };
    if page.iter().all(|byte| *byte == 0) {
        return Page::Blank;
    }
    let read = || {
        if page.get(..8)? != MAGIC {
            return None;
        }
        let mut zeroed = page.to_vec();
        zeroed[CRC_AT..CRC_AT + 4].fill(0);
        if crc32fast::hash(&zeroed) != u32_at(page, CRC_AT)? {
            return None;
        }
        let version = u32_at(page, 8)?;
        if version > VERSION {
            return Some(Page::Future(version));
        }
        let length = usize::from(*page.get(FIXED)?);
        let id = page.get(FIXED + 1..FIXED + 1 + length)?;
        Some(Page::Valid(Header {
            epoch: u64_at(page, 16)?,
            next_seq: u64_at(page, 24)?,
            through: u64_at(page, 32)?,
            newest_ms: u64_at(page, 40)?.cast_signed(),
            instance_id: std::str::from_utf8(id).ok()?.to_owned(),
        }))
    };
    read().unwrap_or(Page::Damaged)
}

/// How long a frame of so many bytes of records is.
pub(super) fn frame_bytes(records: usize) -> usize {
    (HEAD + records + 4).next_multiple_of(8)
}

/// Makes a frame of encoded records, which are not empty, for the place `at`.
pub(super) fn frame(epoch: u64, at: u64, records: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(frame_bytes(records.len()));
    frame.extend_from_slice(&(records.len() as u32).to_le_bytes());
    frame.extend_from_slice(&crc(epoch, at, &frame[..4]).to_le_bytes());
    frame.extend_from_slice(records);
    frame.extend_from_slice(&crc(epoch, at, &frame).to_le_bytes());
    frame.resize(frame_bytes(records.len()), 0);
    frame
}

/// The frames of a segment.
#[derive(Debug, Default)]
pub(super) struct Scan<'s> {
    /// The records of each, in order.
    pub(super) frames: Vec<&'s [u8]>,
    /// Behind the last of them.
    pub(super) end: u64,
    /// Places before that which hold no frame, and must have held one.
    pub(super) damaged: u64,
}

/// Reads the frames of a segment whose header is known.
pub(super) fn scan(segment: &[u8], epoch: u64) -> Scan<'_> {
    let mut scan = Scan {
        end: BODY,
        ..Scan::default()
    };
    let (mut at, mut skipped) = (BODY, false);
    while at < segment.len() as u64 {
        match frame_at(segment, epoch, at) {
            Some((records, end)) => {
                scan.damaged += u64::from(skipped);
                skipped = false;
                scan.frames.push(records);
                scan.end = end;
                at = end;
            }
            // Behind the last frame there may be those of an older use: none of them passes.
            None => {
                skipped = true;
                at += 8;
            }
        }
    }
    scan
}

fn frame_at(segment: &[u8], epoch: u64, at: u64) -> Option<(&[u8], u64)> {
    let rest = segment.get(usize::try_from(at).ok()?..)?;
    let length = u32_at(rest, 0)?;
    if length == 0 || u32_at(rest, 4)? != crc(epoch, at, rest.get(..4)?) {
        return None;
    }
    let end = HEAD.checked_add(length as usize)?;
    if u32_at(rest, end)? != crc(epoch, at, rest.get(..end)?) {
        return None;
    }
    Some((&rest[HEAD..end], at + frame_bytes(length as usize) as u64))
}

fn crc(epoch: u64, at: u64, bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&epoch.to_le_bytes());
    crc.update(&at.to_le_bytes());
    crc.update(bytes);
    crc.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    field.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    field.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            epoch: 7,
            next_seq: 12,
            through: 9,
            newest_ms: -5,
            instance_id: "i-1".into(),
        }
    }

    #[test]
    fn a_header_reads_as_it_was_written_and_nothing_else_passes_for_one() {
        let page_of = header().encode();
        assert_eq!(page(&page_of), Page::Valid(header()));
        assert_eq!(page(&[0; 600]), Page::Blank);
        assert_eq!(page(&[]), Page::Blank);
        for at in [0, 13, 20, 33, 41, 49, 400] {
            let mut bad = page_of.clone();
            bad[at] ^= 1;
            assert_eq!(page(&bad), Page::Damaged, "{at}");
        }
    }

    #[test]
    fn a_later_version_is_known_as_such() {
        let mut later = header().encode();
        later[8] = 9;
        later[CRC_AT..CRC_AT + 4].fill(0);
        let crc = crc32fast::hash(&later);
        later[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(page(&later), Page::Future(9));
    }

    fn segment(frames: &[&[u8]]) -> Vec<u8> {
        let mut bytes = header().encode();
        for records in frames {
            let frame = frame(7, bytes.len() as u64, records);
            bytes.extend(frame);
        }
        bytes
    }

    #[test]
    fn a_damaged_frame_costs_itself_alone() {
        let mut bytes = segment(&[b"one", b"two two two", b"three"]);
        bytes.extend([0; 64]);
        let whole = scan(&bytes, 7);
        assert_eq!(whole.frames, [&b"one"[..], b"two two two", b"three"]);
        assert_eq!(whole.damaged, 0);
        let end = whole.end;
        let second = BODY as usize + frame_bytes(3);
        for at in [second, second + 5, second + 12] {
            let mut bad = bytes.clone();
            bad[at] ^= 0x20;
            let found = scan(&bad, 7);
            assert_eq!(found.frames, [&b"one"[..], b"three"], "{at}");
            assert_eq!((found.damaged, found.end), (1, end));
        }
    }

    #[test]
    fn frames_of_an_older_use_are_none() {
        let bytes = segment(&[b"one", b"two"]);
        let found = scan(&bytes, 8);
        assert!(found.frames.is_empty());
        assert_eq!((found.end, found.damaged), (BODY, 0));
    }
}
