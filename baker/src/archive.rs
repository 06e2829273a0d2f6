//! An upload as one tar stream, made while it is sent, and gzipped where that saves something.
//!
//! What the recipe's digest promised is what is sent: a file whose length or content is no longer what it was when the
//! recipe was read ends the stream with an error that names it. Members come in the order of the entries; owners are
//! sent by name, and user and group must exist on the host for `tar` to find them. Modification times are the files' own,
//! because web servers and Python's byte-code cache tell versions of a file apart by them. Memory is bounded by a few
//! buffers, whatever the size of the tree.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::recipe::{Access, Digest, Entry, EntryKind, Upload};

/// The fastest level: what it saves on the wire is most of what there is to save.
const COMPRESSION: Compression = Compression::new(1);
/// What does not shrink below this share of its size (media, archives, wheels) costs more time to squeeze than to send.
const WORTH_COMPRESSING: f64 = 0.9;
/// How the tree's compressibility is judged: pieces of up to this size from evenly spaced places of all its bytes.
const SAMPLES: u64 = 16;
const SAMPLE_BYTES: u64 = 32 * 1024;
/// Members are mostly small; they reach the compressor in pieces of this size.
const BUFFER_BYTES: usize = 64 * 1024;
/// `O_NOFOLLOW`, `O_NONBLOCK`: a file that has become a link or a pipe since the recipe was read is not followed into
/// and does not hang.
const OPEN_FLAGS: i32 = 0o400_000 | 0o4000;

/// Why a stream ended early. It travels as the cause of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A member cannot be read, or its header cannot be written.
    #[error("cannot send {}", .path.display())]
    Member {
        /// The local path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is not what it was.
    #[error(
        "{} has changed since the recipe was read; build again when nothing writes to it",
        .path.display()
    )]
    Changed {
        /// The local path.
        path: PathBuf,
    },
}

/// Writes an upload as a tar archive, gzipped or not: `gzip --decompress --stdout --force` on the other side takes both.
/// A tree's members are named relative to the upload's destination; a single file's only member is named `file_name`.
///
/// # Errors
/// What `output` returns, unchanged; or an [`ArchiveError`] that names the member.
pub fn write(upload: &Upload, file_name: &str, output: &mut dyn Write) -> io::Result<()> {
    if !is_worth_compressing(upload) {
        return pack(upload, file_name, output)?.flush();
    }
    let gzip = GzEncoder::new(output, COMPRESSION);
    pack(upload, file_name, gzip)?.finish()?.flush()
}

fn pack<W: Write>(upload: &Upload, file_name: &str, output: W) -> io::Result<W> {
    let mut archive = Builder::new(BufWriter::with_capacity(BUFFER_BYTES, output));
    for entry in &upload.entries {
        append(&mut archive, upload, entry, file_name)?;
    }
    archive
        .into_inner()?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
}

/// Judges by samples. What cannot be read here is left to the archive itself to report.
fn is_worth_compressing(upload: &Upload) -> bool {
    let total: u64 = upload.entries.iter().map(size).sum();
    // Pieces that overlap would look like repetition.
    let length = SAMPLE_BYTES.min(total / SAMPLES);
    let mut gzip = GzEncoder::new(Vec::new(), COMPRESSION);
    let mut taken = 0;
    // The start of the entry at hand, counted over all bytes of the upload.
    let mut start = 0;
    let mut places = (0..SAMPLES)
        .map(|sample| (2 * sample + 1) * total / (2 * SAMPLES))
        .peekable();
    for entry in &upload.entries {
        let end = start + size(entry);
        while let Some(place) = places.next_if(|&place| place < end) {
            if let Ok(piece) = sample(&local_path(upload, entry), place - start, length) {
                taken += piece.len();
                let _ = gzip.write_all(&piece);
            }
        }
        start = end;
    }
    let squeezed = gzip.finish().map_or(0, |bytes| bytes.len());
    squeezed as f64 <= taken as f64 * WORTH_COMPRESSING
}

fn local_path(upload: &Upload, entry: &Entry) -> PathBuf {
    // Joining nothing would put a slash behind a file's name.
    match entry.path.as_str() {
        "" => upload.from.clone(),
        path => upload.from.join(path),
    }
}

fn size(entry: &Entry) -> u64 {
    match entry.kind {
        EntryKind::File { size_bytes, .. } => size_bytes,
        EntryKind::Directory | EntryKind::Symlink { .. } => 0,
    }
}

/// Some bytes of a file, from a place on.
fn sample(path: &Path, place: u64, length: u64) -> io::Result<Vec<u8>> {
    let (mut file, _) = open(path)?;
    file.seek(SeekFrom::Start(place))?;
    let mut piece = Vec::new();
    file.take(length).read_to_end(&mut piece)?;
    Ok(piece)
}

fn append(
    archive: &mut Builder<impl Write>,
    upload: &Upload,
    entry: &Entry,
    file_name: &str,
) -> io::Result<()> {
    let path = local_path(upload, entry);
    let name = PathBuf::from(match (entry.path.as_str(), &entry.kind) {
        ("", EntryKind::Directory) => ".",
        ("", _) => file_name,
        (path, _) => path,
    });
    let member = |source| {
        io::Error::other(ArchiveError::Member {
            path: path.clone(),
            source,
        })
    };
    let mut header = Header::new_gnu();
    own(&mut header, &upload.access).map_err(member)?;
    match &entry.kind {
        EntryKind::Directory => {
            let metadata = fs::symlink_metadata(&path).map_err(member)?;
            header.set_entry_type(EntryType::Directory);
            header.set_mode(upload.access.mode_of(&entry.kind));
            header.set_mtime(mtime(&metadata));
            header.set_size(0);
            archive.append_data(&mut header, name, io::empty())
        }
        EntryKind::Symlink { target } => {
            let metadata = fs::symlink_metadata(&path).map_err(member)?;
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            header.set_mtime(mtime(&metadata));
            header.set_size(0);
            archive.append_link(&mut header, name, target)
        }
        EntryKind::File {
            executable: _,
            size_bytes,
            sha256,
        } => {
            let (file, metadata) = open(&path).map_err(member)?;
            if !metadata.is_file() || metadata.len() != *size_bytes {
                return Err(io::Error::other(ArchiveError::Changed { path }));
            }
            header.set_entry_type(EntryType::Regular);
            header.set_mode(upload.access.mode_of(&entry.kind));
            header.set_mtime(mtime(&metadata));
            header.set_size(*size_bytes);
            let mut content = Content {
                path: &path,
                file,
                left: *size_bytes,
                hash: Sha256::new(),
                promised: *sha256,
            };
            archive.append_data(&mut header, name, &mut content)
        }
    }
}

/// Owner and group by name; `tar` run by root falls back to the number, which is root's.
fn own(header: &mut Header, access: &Access) -> io::Result<()> {
    let owner = access.owner.as_deref().unwrap_or("root");
    header.set_uid(0);
    header.set_gid(0);
    header.set_username(owner)?;
    header.set_groupname(access.group.as_deref().unwrap_or(owner))
}

fn mtime(metadata: &fs::Metadata) -> u64 {
    // GNU tar warns about times at or before the epoch.
    u64::try_from(metadata.mtime()).unwrap_or(1).max(1)
}

fn open(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let file = File::options()
        .read(true)
        .custom_flags(OPEN_FLAGS)
        .open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// A file's content, which must be what was promised, to the byte.
struct Content<'a> {
    path: &'a Path,
    file: File,
    left: u64,
    hash: Sha256,
    promised: Digest,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let changed = || {
            io::Error::other(ArchiveError::Changed {
                path: self.path.to_owned(),
            })
        };
        if self.left == 0 {
            let hash = Digest::from_bytes(self.hash.finalize_reset().into());
            let more = self.file.read(&mut [0]).map_err(|source| {
                io::Error::other(ArchiveError::Member {
                    path: self.path.to_owned(),
                    source,
                })
            })?;
            return if more > 0 || hash != self.promised {
                Err(changed())
            } else {
                // A second call would hash nothing at all: the tar builder makes none after an end of file.
                Ok(0)
            };
        }
        let wanted = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        match self.file.read(&mut buffer[..wanted]) {
            Ok(0) => Err(changed()),
            Ok(count) => {
                self.hash.update(&buffer[..count]);
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(source) => Err(io::Error::other(ArchiveError::Member {
                path: self.path.to_owned(),
                source,
            })),
        }
    }
}

#[cfg(test)]
mod tests;
