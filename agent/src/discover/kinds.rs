//! Which file systems tell inotify of every write to them.

use std::path::Path;

/// What statfs(2) says of those that are written to through this kernel alone, and only through themselves: then each write
/// rings. On all others (NFS, SMB, FUSE, 9p, what is not known) another host or process may write unheard, so they are looked at.
/// Numbers: linux/magic.h, and those of the file systems' own sources where they are not there.
const RINGING: [u32; 13] = [
    0x0000_ef53, // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xca45_1a4e, // bcachefs
    0xf2f5_2010, // f2fs
    0x2fc1_2fc1, // zfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x794c_7630, // overlayfs: its own writers ring; who writes beneath it is found by looking
    0x5265_4973, // reiserfs
    0x3153_464a, // jfs
    0x0000_3434, // nilfs2
    0x0000_4d44, // fat
];

/// Whether this kind of file system rings for every write.
fn rings(magic: u32) -> bool {
    RINGING.contains(&magic)
}

/// Whether the file system that a path is on rings for every write. One that can't be asked does not.
pub(super) fn rings_at(path: &Path) -> bool {
    let kind = nix::sys::statfs::statfs(path).map(|stat| stat.filesystem_type().0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "magic numbers have 32 bits; the field's type differs among architectures"
    )]
    kind.is_ok_and(|kind| rings(kind as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_write_to_is_not_trusted_to_ring() {
        for (kind, magic) in [
            ("nfs", 0x6969),
            ("smb", 0x517b),
            ("cifs", 0xff53_4d42),
            ("smb2", 0xfe53_4d42),
            ("fuse", 0x6573_5546),
            ("9p", 0x0102_1997),
            ("ceph", 0x00c3_6400),
            ("afs", 0x5346_414f),
            ("gfs2", 0x0116_1970),
            ("ocfs2", 0x7461_636f),
            ("proc", 0x9fa0),
            ("unknown", 0x1234_5678),
        ] {
            assert!(!rings(magic), "{kind}");
        }
    }

    #[test]
    fn the_temporary_folder_is_asked() {
        let folder = std::env::temp_dir();
        // Either answer is right for some machine; a path that is not there has one.
        let _ = rings_at(&folder);
        assert!(!rings_at(&folder.join("is-not-there")));
    }
}
