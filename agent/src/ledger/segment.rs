//! The format of one segment file: a header, frames, and zeros up to the end.
//!
//! ```text
//! 0      header, twice (the second copy at 2048), so that one damaged sector does not cost the ledger
//! 4096   frame, frame, …, zeros
//! frame  length u32 · CRC-32 of the frame's head u32 · synced_to u64 · records · CRC-32 of all of it u32 · 0xFF (1 to 8)
//! ```
//!
//! Frames begin at multiples of eight, and what is behind the last one is zero. So two things that look alike can be
//! told apart: a *torn* frame, which a power cut leaves when only some of its sectors were written, and a *damaged* one.
//! A sector of a torn frame that was not written is still zero, and a written one never is. And `synced_to` says up to
//! which place everything was safely on the disk when the frame was made: what is bad before that is damage, for
//! certain. The checksums hold the segment's epoch and the frame's place, so that no frame of an older use of the file
//! passes for one of this.

use super::codec::{self, Decoder};
use super::record::Record;

/// The version of the format that this program writes. It also reads version 1, which knew no fingerprints of what was read.
pub(super) const VERSION: u32 = 2;

/// Where the first frame begins: the header has a page of its own, which appending never touches.
pub(super) const BODY: u64 = 4096;

/// The longest id of an instance; the header has to fit into one sector, which is written whole or not at all.
pub(super) const MAX_INSTANCE_ID_BYTES: usize = 255;

const MAGIC: [u8; 8] = *b"bakerlog";
const SECOND_COPY: usize = 2048;
const SECTOR: u64 = 512;
/// Magic, version, length and CRC-32: what every version begins with.
const PREFIX: usize = 20;
const CRC_AT: usize = 16;
const FRAME_HEAD: usize = 16;

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The segment with the higher epoch is the ledger.
    pub(super) epoch: u64,
    /// Everything before this place was on the disk before the header was.
    pub(super) snapshot_end: u64,
    /// How long the file was then; it never gets shorter.
    pub(super) size: u64,
    /// The instance whose lines these are.
    pub(super) instance_id: String,
}

impl Header {
    /// The whole first page.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(PREFIX + 24 + self.instance_id.len());
        copy.extend_from_slice(&MAGIC);
        copy.extend_from_slice(&VERSION.to_le_bytes());
        let length = PREFIX + 24 + self.instance_id.len();
        copy.extend_from_slice(&(length as u32).to_le_bytes());
        copy.extend_from_slice(&[0; 4]);
        copy.extend_from_slice(&self.epoch.to_le_bytes());
        copy.extend_from_slice(&self.snapshot_end.to_le_bytes());
        copy.extend_from_slice(&self.size.to_le_bytes());
        copy.extend_from_slice(self.instance_id.as_bytes());
        let crc = crc32fast::hash(&copy);
        copy[CRC_AT..PREFIX].copy_from_slice(&crc.to_le_bytes());

        let mut page = vec![0; BODY as usize];
        page[..length].copy_from_slice(&copy);
        page[SECOND_COPY..SECOND_COPY + length].copy_from_slice(&copy);
        page
    }
}

/// What the first page of a segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// Nothing: the segment is not in use.
    Blank,
    /// A segment of this version.
    Valid(Header),
    /// A segment of a later version.
    Future(u32),
    /// Something else.
    Damaged,
}

/// Reads the first page of a segment.
pub(super) fn page(segment: &[u8]) -> Page {
    let Some(page) = segment.get(..BODY as usize) else {
        return Page::Damaged;
    };
    if written_to(page) == 0 {
        return Page::Blank;
    }
    let mut best = Page::Damaged;
    for copy in [&page[..SECOND_COPY], &page[SECOND_COPY..]] {
        match (header(copy), &best) {
            (Page::Valid(new), Page::Valid(old)) if new.epoch <= old.epoch => {}
            (found @ (Page::Valid(_) | Page::Future(_)), _) => best = found,
            _ => {}
        }
    }
    best
}

fn header(copy: &[u8]) -> Page {
    let whole = || -> Option<(&[u8], u32)> {
        if copy.get(..8)? != MAGIC {
            return None;
        }
        let version = u32_at(copy, 8)?;
        let bytes = copy.get(..u32_at(copy, 12)? as usize)?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(bytes.get(..CRC_AT)?);
        crc.update(&[0; 4]);
        crc.update(bytes.get(PREFIX..)?);
        (crc.finalize() == u32_at(copy, CRC_AT)?).then_some((bytes, version))
    };
    let Some((bytes, version)) = whole() else {
        return Page::Damaged;
    };
    if version > VERSION {
        return Page::Future(version);
    }
    let fields = || {
        Some(Header {
            epoch: u64_at(bytes, PREFIX)?,
            snapshot_end: u64_at(bytes, PREFIX + 8)?,
            size: u64_at(bytes, PREFIX + 16)?,
            instance_id: std::str::from_utf8(bytes.get(PREFIX + 24..)?)
                .ok()?
                .to_owned(),
        })
    };
    fields().map_or(Page::Damaged, Page::Valid)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    field.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    field.try_into().ok().map(u64::from_le_bytes)
}

/// Makes a frame of encoded records, which are not empty, for the place `at` of a segment.
pub(super) fn frame(epoch: u64, at: u64, synced_to: u64, records: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let length = (records.len() as u32).to_le_bytes();
    let synced_to = synced_to.to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&head_crc(epoch, at, length, synced_to).to_le_bytes());
    out.extend_from_slice(&synced_to);
    out.extend_from_slice(records);
    let crc = body_crc(epoch, at, &out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    let unpadded = out.len() - start;
    out.resize(start + frame_bytes(records.len()), 0xFF);
    debug_assert!(out.len() - start > unpadded, "a frame ends with 0xFF");
}

/// How long a frame of so many bytes of records is.
pub(super) fn frame_bytes(records: usize) -> usize {
    (FRAME_HEAD + records + 4) / 8 * 8 + 8
}

fn head_crc(epoch: u64, at: u64, length: [u8; 4], synced_to: [u8; 8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&epoch.to_le_bytes());
    crc.update(&at.to_le_bytes());
    crc.update(&length);
    crc.update(&synced_to);
    crc.finalize()
}

fn body_crc(epoch: u64, at: u64, bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&epoch.to_le_bytes());
    crc.update(&at.to_le_bytes());
    crc.update(bytes);
    crc.finalize()
}

/// What stands at one place of a segment.
enum Found<'s> {
    Frame {
        records: &'s [u8],
        synced_to: u64,
        end: u64,
    },
    /// The head holds, what follows does not.
    Bad { end: u64 },
    /// Zeros where a head would be.
    Nothing,
    /// A head that does not hold.
    BadHead,
}

fn look(segment: &[u8], epoch: u64, at: u64) -> Found<'_> {
    let rest = usize::try_from(at)
        .ok()
        .and_then(|at| segment.get(at..))
        .unwrap_or_default();
    let head: Option<([u8; 4], u32, [u8; 8])> = (|| {
        Some((
            rest.get(..4)?.try_into().ok()?,
            u32_at(rest, 4)?,
            rest.get(8..FRAME_HEAD)?.try_into().ok()?,
        ))
    })();
    let Some((length, crc, synced_to)) = head else {
        return Found::Nothing;
    };
    // Eight bytes at a multiple of eight are in one sector: they are written together or not at all.
    if length == [0; 4] && crc == 0 {
        return Found::Nothing;
    }
    if head_crc(epoch, at, length, synced_to) != crc {
        return if synced_to == [0; 8] && at % SECTOR == SECTOR - 8 {
            // The head's other half is in the next sector, which was not written.
            Found::Bad { end: at + 16 }
        } else {
            Found::BadHead
        };
    }
    let records = u32::from_le_bytes(length) as usize;
    let end = at + frame_bytes(records) as u64;
    let crc_at = FRAME_HEAD + records;
    if rest.len() < frame_bytes(records)
        || u32_at(rest, crc_at) != Some(body_crc(epoch, at, &rest[..crc_at]))
    {
        return Found::Bad { end };
    }
    Found::Frame {
        records: &rest[FRAME_HEAD..crc_at],
        synced_to: u64::from_le_bytes(synced_to),
        end,
    }
}

/// The frames of a segment.
#[derive(Debug)]
pub(super) struct Scan {
    /// The records before the first place that is no good frame.
    pub(super) records: Vec<Record>,
    /// That place, if something is not there that was promised to be. Otherwise there is nothing, or what a power cut
    /// left of a write that was not promised yet.
    pub(super) damaged_at: Option<u64>,
}

/// Reads the frames of a segment whose header is known.
pub(super) fn scan(segment: &[u8], header: &Header) -> Scan {
    let mut decoder = Decoder::default();
    let mut records = Vec::new();
    let mut at = BODY;
    let mut synced = header.snapshot_end;
    while let Found::Frame {
        records: bytes,
        synced_to,
        end,
    } = look(segment, header.epoch, at)
    {
        let Ok(more) = decoder.decode_all(bytes) else {
            return Scan {
                records,
                damaged_at: Some(at),
            };
        };
        records.extend(more);
        synced = synced.max(synced_to);
        at = end;
    }
    let damaged = is_damaged(segment, header.epoch, at, synced);
    Scan {
        records,
        damaged_at: damaged.then_some(at),
    }
}

/// Judges what is at `at`, where there is no good frame. `synced` is what the frames before it promise.
fn is_damaged(segment: &[u8], epoch: u64, at: u64, synced: u64) -> bool {
    let promised_behind = || {
        (at + 8..written_to(segment)).step_by(8).any(|later| {
            matches!(look(segment, epoch, later), Found::Frame { synced_to, .. } if synced_to > at)
        })
    };
    let torn = match look(segment, epoch, at) {
        Found::Nothing => true,
        Found::Bad { end } => has_unwritten_sector(segment, at, end),
        Found::BadHead | Found::Frame { .. } => false,
    };
    at < synced || !torn || promised_behind()
}

/// One past the last byte that is not zero.
pub(super) fn written_to(bytes: &[u8]) -> u64 {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut end = bytes.len();
    for chunk in bytes.rchunks(ZEROS.len()) {
        if *chunk != ZEROS[..chunk.len()] {
            break;
        }
        end -= chunk.len();
    }
    bytes[..end]
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last as u64 + 1)
}

/// Whether `start..end` is all zero within any one sector.
fn has_unwritten_sector(segment: &[u8], start: u64, end: u64) -> bool {
    let mut from = start;
    while from < end {
        let to = (from / SECTOR * SECTOR + SECTOR).min(end);
        let Some(piece) = segment.get(from as usize..to as usize) else {
            return false;
        };
        if written_to(piece) == 0 {
            return true;
        }
        from = to;
    }
    false
}

/// Encodes records one behind the other, as a frame holds them.
pub(super) fn encode(records: &[Record], out: &mut Vec<u8>) {
    for record in records {
        codec::encode(record, out);
    }
}
