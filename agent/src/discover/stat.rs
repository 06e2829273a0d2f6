//! What one `stat` tells, as plain values.

use std::fs::File;
use std::path::Path;

use nix::sys::stat::FileStat;

/// Seconds and nanoseconds of a file system's time stamp.
pub(crate) type FileTime = (i64, i64);

/// A device and an inode on it: which file it is, for as long as it is held open or has a name.
pub(crate) type Node = (u64, u64);

/// One look at a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) node: Node,
    pub(crate) size: u64,
    pub(crate) modified: FileTime,
    pub(crate) changed: FileTime,
    pub(crate) links: u64,
    /// Allocated, in units of 512 bytes: fewer than the size needs where there are holes.
    pub(crate) blocks: u64,
    kind: u32,
}

impl Stat {
    /// Of the file a path leads to, through symbolic links. Allocates nothing, but for paths of a KiB.
    pub(crate) fn at(path: &Path) -> nix::Result<Stat> {
        nix::sys::stat::stat(path).map(Stat::from)
    }

    /// Of what stands at a path itself, a symbolic link or not.
    pub(crate) fn of_name(path: &Path) -> nix::Result<Stat> {
        nix::sys::stat::lstat(path).map(Stat::from)
    }

    /// Of an open file, wherever its name went.
    pub(crate) fn of_open(file: &File) -> nix::Result<Stat> {
        nix::sys::stat::fstat(file).map(Stat::from)
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == libc_kind::FILE
    }

    pub(crate) fn is_link(&self) -> bool {
        self.kind == libc_kind::LINK
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kind == libc_kind::DIRECTORY
    }

    /// What to call it in a complaint.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind {
            libc_kind::FILE => "a regular file",
            libc_kind::DIRECTORY => "a directory",
            libc_kind::FIFO => "a named pipe",
            libc_kind::SOCKET => "a socket",
            libc_kind::CHARACTER | libc_kind::BLOCK => "a device",
            _ => "not a regular file",
        }
    }
}

/// How often a test asked, on its thread: what looking costs, whatever the machine is.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::Cell;

    thread_local! {
        static ASKED: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        ASKED.set(ASKED.get() + 1);
    }

    /// So often while this went on.
    pub(crate) fn during(what: impl FnOnce()) -> u64 {
        let before = ASKED.get();
        what();
        ASKED.get() - before
    }
}

/// The file type's bits of `st_mode` (inode(7)).
mod libc_kind {
    use nix::libc;

    pub(super) const MASK: u32 = libc::S_IFMT;
    pub(super) const FILE: u32 = libc::S_IFREG;
    pub(super) const DIRECTORY: u32 = libc::S_IFDIR;
    pub(super) const LINK: u32 = libc::S_IFLNK;
    pub(super) const FIFO: u32 = libc::S_IFIFO;
    pub(super) const SOCKET: u32 = libc::S_IFSOCK;
    pub(super) const CHARACTER: u32 = libc::S_IFCHR;
    pub(super) const BLOCK: u32 = libc::S_IFBLK;
}

impl From<FileStat> for Stat {
    #[expect(
        clippy::unnecessary_cast,
        reason = "the fields' types differ among architectures"
    )]
    fn from(raw: FileStat) -> Stat {
        #[cfg(test)]
        asked::count();
        Stat {
            node: (raw.st_dev as u64, raw.st_ino as u64),
            size: raw.st_size.max(0) as u64,
            modified: (raw.st_mtime as i64, raw.st_mtime_nsec as i64),
            changed: (raw.st_ctime as i64, raw.st_ctime_nsec as i64),
            links: raw.st_nlink as u64,
            blocks: raw.st_blocks.max(0) as u64,
            kind: raw.st_mode as u32 & libc_kind::MASK,
        }
    }
}
