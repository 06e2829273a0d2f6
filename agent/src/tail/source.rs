//! Where the bytes of a generation come from: an open file, or a compressed copy of it.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;
use nix::errno::Errno;
use nix::sys::statfs::{FsType, fstatfs, statfs};
use nix::unistd::{Whence, lseek};

use super::unpack::PIECE_BYTES;
use crate::discover::links::{self, Links};
use crate::discover::stat::Node;

/// How much decompressed content is kept, so that an unfinished line can be read again without starting over.
const WINDOW_BYTES: usize = 512 * 1024;
/// The file is decompressed in steps of this size.
const STEP_BYTES: usize = 64 * 1024;

/// File systems whose files are made up by the kernel as they are read: they have no size, and no end (statfs(2), linux/magic.h).
const PSEUDO: [(FsType, &str); 13] = [
    (FsType(0x9fa0), "proc"),
    (FsType(0x6265_6572), "sysfs"),
    (FsType(0x6462_6720), "debugfs"),
    (FsType(0x7472_6163), "tracefs"),
    (FsType(0x0027_e0eb), "cgroup"),
    (FsType(0x6367_7270), "cgroup2"),
    (FsType(0x7363_6673), "securityfs"),
    (FsType(0xf97c_ff8c), "selinuxfs"),
    (FsType(0x6265_6570), "configfs"),
    (FsType(0xde5e_81e4), "efivarfs"),
    (FsType(0xcafe_4a11), "bpf"),
    (FsType(0x1980_0202), "mqueue"),
    (FsType(0x4249_4e4d), "binfmt_misc"),
];
/// Where a file's birth time is that of its copy in the upper layer, and jumps when that is made.
const OVERLAY: FsType = FsType(0x794c_7630);

/// Opens a regular file for reading, without waiting for anybody (a FIFO that took its place would), and without being led by a
/// symbolic link to what is not its owner's.
///
/// # Errors
/// Those of the system; and `Unsupported` for files that the kernel makes up as they are read.
pub(crate) fn open(path: &Path, links: Links) -> io::Result<File> {
    let file = links::open(path, links)?;
    let kind = fstatfs(&file).ok().map(|stat| stat.filesystem_type());
    match PSEUDO.iter().find(|pseudo| Some(pseudo.0) == kind) {
        None => Ok(file),
        Some((_, name)) => Err(io::Error::new(
            ErrorKind::Unsupported,
            format!(
                "the kernel makes up what is in it ({name}), and it has no end; exclude it, or point the pattern at a log"
            ),
        )),
    }
}

/// When a file was made, in nanoseconds since 1970. `None` where the file system does not tell, or can't be believed.
pub(crate) fn born_ns(file: &File) -> Option<i64> {
    let kind = fstatfs(file).ok()?.filesystem_type();
    born_of(&file.metadata().ok()?, kind)
}

/// The same of the file at a path.
pub(crate) fn born_ns_at(path: &Path) -> Option<i64> {
    born_at(path).map(|(_, born_ns)| born_ns)
}

/// The same, if it is this file that stands there: a rotation shifts names.
pub(crate) fn born_ns_of(path: &Path, node: Node) -> Option<i64> {
    born_at(path)
        .filter(|&(stands, _)| stands == node)
        .map(|(_, born_ns)| born_ns)
}

fn born_at(path: &Path) -> Option<(Node, i64)> {
    let kind = statfs(path).ok()?.filesystem_type();
    let metadata = std::fs::metadata(path).ok()?;
    Some(((metadata.dev(), metadata.ino()), born_of(&metadata, kind)?))
}

fn born_of(metadata: &Metadata, kind: FsType) -> Option<i64> {
    let born = metadata.created().ok().filter(|_| kind != OVERLAY)?;
    i64::try_from(born.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// Whether anybody has the file open for writing. `None` where that can't be asked: the file is another user's and `CAP_LEASE` is missing, or
/// the file system is a network's, or knows no leases.
///
/// It is asked by taking a read lease (fcntl(2), `F_SETLEASE`), which is refused while there is a writer, and giving it back at once. Only
/// for files without a name: who opens one for writing meanwhile would wait for that, or fail if it did not want to wait.
pub(crate) fn is_written(file: &File) -> Option<bool> {
    use nix::libc::{F_RDLCK, F_SETLEASE, F_UNLCK, SIGURG, c_int, fcntl};
    /// fcntl.h of Linux, the same everywhere.
    const F_SETSIG: c_int = 10;
    const REMOTE: [FsType; 5] = [
        FsType(0x6969),      // NFS
        FsType(0xff53_4d42), // CIFS
        FsType(0xfe53_4d42), // SMB2
        FsType(0x6573_5546), // FUSE
        FsType(0x0102_1997), // 9p
    ];
    let kind = fstatfs(file).ok()?.filesystem_type();
    if REMOTE.contains(&kind) {
        return None;
    }
    let fd = file.as_raw_fd();
    // SAFETY: the descriptor is open while `file` is, and these commands take an int.
    let taken = unsafe {
        // What tells of a broken lease would end the process; this signal is ignored by default.
        fcntl(fd, F_SETSIG, SIGURG);
        fcntl(fd, F_SETLEASE, c_int::from(F_RDLCK))
    };
    if taken != 0 {
        return (Errno::last() == Errno::EAGAIN).then_some(true);
    }
    // SAFETY: as above.
    unsafe { fcntl(fd, F_SETLEASE, F_UNLCK) };
    Some(false)
}

/// Where an open file's name is now; `None` when it has none any more.
pub(crate) fn path_of(file: &File) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    // The kernel appends " (deleted)"; a path that really ends so is told by asking.
    path.is_absolute()
        .then_some(path)
        .filter(|path| path.exists())
}

/// What stands at a position of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Bytes that were written.
    Data,
    /// A hole up to this position, where data begins.
    HoleUntil(u64),
    /// A hole up to the end: nothing was written here yet.
    HoleToTheEnd,
}

/// Asks the file system. One that knows no holes says that all is data.
pub(crate) fn extent_at(file: &File, at: u64) -> Extent {
    let Ok(offset) = i64::try_from(at) else {
        return Extent::Data;
    };
    match lseek(file, offset, Whence::SeekData) {
        Ok(data) if data > offset => Extent::HoleUntil(data as u64),
        Err(Errno::ENXIO) => Extent::HoleToTheEnd,
        _ => Extent::Data,
    }
}

/// The decompressed content of a gzip file (of several members, too), read from front to back.
pub(crate) struct Gzip {
    decoder: MultiGzDecoder<BufReader<File>>,
    /// The last bytes that were decompressed; they end at `end`.
    window: Vec<u8>,
    end: u64,
    finished: bool,
}

impl std::fmt::Debug for Gzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gzip").field("end", &self.end).finish()
    }
}

impl Gzip {
    pub(crate) fn new(file: File) -> Gzip {
        Gzip {
            decoder: MultiGzDecoder::new(BufReader::with_capacity(STEP_BYTES, file)),
            window: Vec::new(),
            end: 0,
            finished: false,
        }
    }

    /// Bytes from `at` on; none at the end, or where it can't be read further. `None` where they are further on than one call
    /// decompresses: it is to be called again.
    pub(crate) fn read_at(&mut self, buf: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        if at < self.end - self.window.len() as u64 {
            self.rewind()?;
        }
        // Half of what is kept is never dropped, and holds all of what is asked for.
        let kept_bytes = WINDOW_BYTES.max(2 * buf.len());
        let piece_end = self.end + PIECE_BYTES.max(2 * buf.len() as u64);
        while self.end < at + buf.len() as u64 && !self.finished {
            if self.end >= piece_end {
                return Ok(None);
            }
            self.step(kept_bytes);
        }
        let start = self.end - self.window.len() as u64;
        let Some(content) = usize::try_from(at - start)
            .ok()
            .and_then(|skip| self.window.get(skip..))
        else {
            return Ok(Some(0));
        };
        let bytes = content.len().min(buf.len());
        buf[..bytes].copy_from_slice(&content[..bytes]);
        Ok(Some(bytes))
    }

    fn step(&mut self, kept_bytes: usize) {
        if self.window.len() > kept_bytes {
            self.window.drain(..self.window.len() - kept_bytes / 2);
        }
        let kept = self.window.len();
        self.window.resize(kept + STEP_BYTES, 0);
        // How far it can be read was found by the survey; damage beyond is reported there.
        let bytes = self.decoder.read(&mut self.window[kept..]).unwrap_or(0);
        self.window.truncate(kept + bytes);
        self.end += bytes as u64;
        self.finished = bytes == 0;
    }

    fn rewind(&mut self) -> io::Result<()> {
        let mut file = self.decoder.get_ref().get_ref().try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        *self = Gzip::new(file);
        Ok(())
    }
}
