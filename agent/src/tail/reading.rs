//! Reading bytes of one generation, and only of that one.
//!
//! A file may be truncated and written anew between any two system calls. So a read takes along the last bytes that
//! were read before, and looks at the size and the head *after* it: if those still fit, so does what was read.

use std::fs::File;
use std::io::IoSliceMut;

use nix::errno::Errno;
use nix::sys::uio::preadv;

use super::compare::{Agreement, COMPARED_BYTES_MAX, GLANCED_BYTES_MAX, compare};
use super::files::Files;
use super::generation::{Generation, Rewritten, Source, State};
use super::identity::{ANCHOR_BYTES, Beginning, HEAD_BYTES_MAX, hash_of, read_full_at};
use super::siblings::anchor_stands;
use super::source::{Extent, extent_at};
use super::{Read, ReadError, Sight};
use crate::account::{GenerationId, Print};
use crate::discover::stat::Stat;

impl Files {
    /// Reads bytes of a generation from position `at` on. Short only at the end, where `at_end` is set. Three system
    /// calls, however large the buffer is.
    ///
    /// # Errors
    /// [`ReadError::Changed`] when the file is another one now, was truncated, or has a hole at `at`: the next look, which
    /// is then due at once, tells. [`ReadError::Unknown`] for an id that is not followed, [`ReadError::Io`] when the
    /// system refuses.
    pub fn read(&mut self, id: GenerationId, at: u64, buf: &mut [u8]) -> Result<Read, ReadError> {
        self.ensure_open(id).inspect_err(|error| {
            if matches!(error, ReadError::Changed) {
                self.look_soon(id);
            }
        })?;
        let generation = self
            .generations
            .get_mut(&id)
            .ok_or(ReadError::Unknown(id))?;
        let hole_to = generation.hole_to;
        let outcome = read_generation(generation, at, buf);
        if generation.suspect {
            self.look_soon(id);
        }
        match outcome? {
            Outcome::Bytes(read) => Ok(read),
            Outcome::Hole(to) => {
                if to > hole_to
                    && let Some(generation) = self.generations.get_mut(&id)
                {
                    generation.hole_to = to;
                    generation.sums.skip(to);
                    generation.unprinted = true;
                    let span = generation.span(at, to);
                    self.sights.push(Sight::Hole { span });
                }
                Err(ReadError::Changed)
            }
        }
    }

    /// The generation's path is looked at in the next look, which is due at once.
    pub(super) fn look_soon(&mut self, id: GenerationId) {
        if let Some(generation) = self.generations.get(&id) {
            self.due.push(generation.slot);
        }
    }

    /// Whether the generation's content is still what was read of it. Opens the file for it; `None` if that fails.
    pub(super) fn still_stands(&mut self, id: GenerationId) -> Option<bool> {
        match self.ensure_open(id) {
            Ok(()) => {}
            Err(ReadError::Changed) => return Some(false),
            Err(_) => return None,
        }
        let generation = self.generations.get(&id)?;
        let file = generation.file()?;
        head_stands(file, generation)
            .ok()
            .map(|stands| stands && anchor_stands(file, generation))
    }

    /// The same with all that is known of the content, as far as it is worth reading it again.
    pub(super) fn all_stands(&mut self, id: GenerationId, stat: Stat) -> Option<bool> {
        if !self.still_stands(id)? {
            return Some(false);
        }
        let generation = self.generations.get(&id)?;
        let bytes_max = if stat.size == generation.size {
            COMPARED_BYTES_MAX
        } else {
            GLANCED_BYTES_MAX
        };
        let head = generation.identity.head;
        let agreement = compare(
            generation.file()?,
            stat.size,
            head,
            &generation.sums,
            bytes_max,
        );
        Some(agreement.ok()? != Agreement::Differs)
    }

    /// What the ledger is to remember of a generation, if it does not do so yet.
    pub fn print(&mut self, id: GenerationId) -> Option<Print> {
        let generation = self.generations.get_mut(&id)?;
        std::mem::take(&mut generation.unprinted).then(|| generation.print())
    }

    /// Takes in more of a short file's first bytes. False if they are not what they were.
    pub(super) fn grow_head(&mut self, id: GenerationId) -> Option<bool> {
        match self.ensure_open(id) {
            Ok(()) => {}
            Err(ReadError::Changed) => return Some(false),
            Err(_) => return None,
        }
        let generation = self.generations.get_mut(&id)?;
        let content = Beginning::of(generation.file()?).ok()?;
        let old = generation.identity.head;
        if old.bytes > 0 && !content.is(old) {
            return Some(false);
        }
        let head = content.head();
        if head != old {
            generation.identity.head = head;
            self.sights.push(Sight::Identified { id, head });
        }
        Some(true)
    }
}

/// A block of most file systems.
const BLOCK_BYTES: usize = 4096;
/// So many NULs are looked through at most, from the end of a file.
const NULS_MAX: u64 = 1024 * 1024;

enum Outcome {
    Bytes(Read),
    Hole(u64),
}

fn read_generation(
    generation: &mut Generation,
    at: u64,
    buf: &mut [u8],
) -> Result<Outcome, ReadError> {
    let failed = |path: &std::path::Path, error: std::io::Error| ReadError::Io {
        path: path.to_path_buf(),
        source: error,
    };
    let left = generation.size.saturating_sub(at);
    let fixed = generation.state == State::Final;
    let wanted = if fixed {
        usize::try_from(left).map_or(buf.len(), |left| buf.len().min(left))
    } else {
        buf.len()
    };
    let buf = &mut buf[..wanted];
    if let Source::Packed(gzip) = &mut generation.source {
        let read = gzip
            .read_at(buf, at)
            .map_err(|error| failed(&generation.path, error))?;
        let bytes = read.unwrap_or(0);
        generation.take_in(&buf[..bytes], at);
        return Ok(Outcome::Bytes(Read {
            bytes,
            at_end: read.is_some() && at + bytes as u64 >= generation.size,
        }));
    }
    let Some(file) = generation.file() else {
        return Err(ReadError::Changed);
    };

    let mut lead_space = [0; ANCHOR_BYTES];
    let lead_bytes = generation.anchor.lead(at);
    let lead = &mut lead_space[..lead_bytes];
    let read = read_with_lead(file, lead, buf, at - lead_bytes as u64)
        .map_err(|error| failed(&generation.path, error.into()))?;
    let bytes = read.saturating_sub(lead_bytes);
    let lead = &lead[..read.min(lead_bytes)];
    if fixed {
        generation.take_in(&buf[..bytes], at);
        return Ok(Outcome::Bytes(Read {
            bytes,
            at_end: bytes == 0 || at + bytes as u64 >= generation.size,
        }));
    }

    let stat = Stat::of_open(file).map_err(|error| failed(&generation.path, error.into()))?;
    // A byte beyond a size that was seen is none: some file systems make up what is read.
    let seen_to = stat.size.max(generation.size);
    let bytes = bytes.min(usize::try_from(seen_to.saturating_sub(at)).unwrap_or(bytes));
    let full = bytes == buf.len();
    let end = at + bytes as u64;
    // If it was cut off at or before `at` by now, what was read was there before that.
    let stands = generation.anchor.agrees(lead, &buf[..bytes], at, full)
        && (stat.size <= at
            || bytes == 0
            || head_stands(file, generation).map_err(|error| failed(&generation.path, error))?);
    if !stands {
        generation.suspect = true;
        return Err(ReadError::Changed);
    }
    let cut = stat.size < end.max(generation.size);
    if bytes > 0 && buf[0] == 0 {
        match extent_at(file, at) {
            Extent::HoleUntil(data) => return Ok(Outcome::Hole(data)),
            // Space that was allocated ahead: it is not written yet.
            Extent::HoleToTheEnd => {
                return Ok(Outcome::Bytes(Read {
                    bytes: 0,
                    at_end: true,
                }));
            }
            Extent::Data => {}
        }
    }
    let ahead = buf[..bytes].last() == Some(&0) && (!full || only_nuls_follow(file, end));
    let written = if ahead {
        written_bytes(&buf[..bytes])
    } else {
        bytes
    };
    generation.suspect |= cut;
    generation.anchor.advance(lead, &buf[..written], at);
    let written_end = at + written as u64;
    generation.unprinted |= written_end > generation.sums.to();
    generation.take_in(&buf[..written], at);
    if stat.size == written_end && stat.modified != generation.modified {
        // What was written last is what was read: no look has to wonder about that time.
        generation.modified = stat.modified;
        generation.unprinted = true;
    }
    if written_end > generation.size {
        generation.size = written_end;
        generation.rewritten = Rewritten::No;
    }
    Ok(Outcome::Bytes(Read {
        bytes: written,
        at_end: !full || ahead,
    }))
}

/// Without the NULs at the file's very end: space allocated ahead, where lines will yet be written.
fn written_bytes(content: &[u8]) -> usize {
    content
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1)
}

/// How much of a file that ends at `to` was written, if it was written up to `from` before: NULs at its end may be space that is allocated
/// ahead.
pub(super) fn written_to(file: &File, from: u64, to: u64) -> u64 {
    let mut end = to;
    let mut block = vec![0; BLOCK_BYTES];
    let mut read_at = |at: u64, bytes: usize| {
        let read = read_full_at(file, &mut block[..bytes], at);
        read.ok()
            .filter(|&read| read == bytes)
            .map(|_| written_bytes(&block[..bytes]))
    };
    if from >= to || read_at(to - 1, 1) != Some(0) {
        return to;
    }
    while end > from && to - end < NULS_MAX {
        let bytes = BLOCK_BYTES.min((end - from) as usize);
        match read_at(end - bytes as u64, bytes) {
            None => return to,
            Some(0) => end -= bytes as u64,
            Some(written) => return end - bytes as u64 + written as u64,
        }
    }
    // Nothing but NULs at its end: what is written next is written where the last byte was.
    let bytes = BLOCK_BYTES.min((end - from) as usize);
    read_at(from, bytes).map_or(to, |written| from + written as u64)
}

/// Whether there are only NULs, or a hole, from here to the end. What is allocated ahead in memory (rather than left to
/// the file system) is at most a block.
fn only_nuls_follow(file: &File, at: u64) -> bool {
    let mut block = [0; BLOCK_BYTES];
    match read_full_at(file, &mut block, at) {
        Ok(bytes) if block[..bytes].iter().any(|&byte| byte != 0) => false,
        Ok(BLOCK_BYTES) => extent_at(file, at + BLOCK_BYTES as u64) == Extent::HoleToTheEnd,
        Ok(_) => true,
        Err(_) => false,
    }
}

fn read_with_lead(file: &File, lead: &mut [u8], buf: &mut [u8], at: u64) -> nix::Result<usize> {
    let offset = i64::try_from(at).map_err(|_| Errno::EOVERFLOW)?;
    loop {
        let mut parts = [IoSliceMut::new(lead), IoSliceMut::new(buf)];
        match preadv(file, &mut parts, offset) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Whether the head is still the one that is known. The checksum spares the digest, which costs ten times as much.
pub(super) fn head_stands(file: &File, generation: &Generation) -> std::io::Result<bool> {
    let head = generation.identity.head;
    let mut content = [0; HEAD_BYTES_MAX];
    let covered = &mut content[..head.bytes as usize];
    let bytes = read_full_at(file, covered, head.start)?;
    if bytes < covered.len() {
        return Ok(false);
    }
    let checksum = crc32fast::hash(covered);
    if let Some((checked, expected)) = generation.checked_head.get()
        && checked == head
    {
        return Ok(checksum == expected);
    }
    let stands = head.bytes == 0 || hash_of(covered) == head.hash;
    if stands {
        generation.checked_head.set(Some((head, checksum)));
    }
    Ok(stands)
}
