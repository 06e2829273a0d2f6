//! The table of mounts, `/proc/self/mountinfo`: proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::sample::read::Nonsense;

/// A mounted file system that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its device as `major:minor`; 0 is the major number of what has none.
    pub(super) device: String,
    /// Whether the whole of it is mounted there, and not a folder of it.
    pub(super) whole: bool,
    pub(super) path: PathBuf,
    pub(super) fstype: String,
    pub(super) source: String,
    /// Whether it answers at once.
    pub(super) local: bool,
}

/// Full by nature: packed images, and media that are only read.
const ALWAYS_FULL: [&str; 6] = ["squashfs", "erofs", "cramfs", "romfs", "iso9660", "udf"];
/// Local file systems that span devices, so that their own number has major 0.
const OVER_DEVICES: [&str; 3] = ["btrfs", "zfs", "bcachefs"];

/// Whether a file system is asked for its space by itself: it is on a block device or devices of this host, or the one that everything
/// else is mounted on, and not full by nature. What a process serves (FUSE) may hang, even on a block device.
pub(super) fn is_local(path: &Path, fstype: &str, on_device: bool) -> bool {
    let served = fstype.starts_with("fuse");
    path == Path::new("/")
        || (on_device || OVER_DEVICES.contains(&fstype))
            && !served
            && !ALWAYS_FULL.contains(&fstype)
}

/// One line: what is mounted, if `counts` says so of its path, type, and whether it is on a block device.
pub(super) fn parse(
    line: &str,
    counts: impl Fn(&Path, &str, bool) -> bool,
) -> Result<Option<Entry>, Nonsense> {
    let missing = |name: &str| Nonsense(format!("it ends before the {name}"));
    let (mount, what) = line
        .split_once(" - ")
        .ok_or_else(|| missing("file system"))?;
    let mut what = what.split(' ');
    let fstype = what.next().filter(|fstype| !fstype.is_empty());
    let fstype = fstype.ok_or_else(|| missing("type"))?;
    let mut mount = mount.split(' ').skip(2);
    let device = mount.next().ok_or_else(|| missing("device"))?;
    let major = device
        .split_once(':')
        .and_then(|(major, minor)| minor.parse::<u32>().ok().and(major.parse::<u32>().ok()))
        .ok_or_else(|| Nonsense(format!("device {device:?}")))?;
    let root = mount.next().ok_or_else(|| missing("root"))?;
    let path = mount.next().ok_or_else(|| missing("mount point"))?;
    let path = PathBuf::from(unescaped(path));
    if !path.is_absolute() {
        return Err(Nonsense(format!("mount point {path:?}")));
    }
    if !counts(&path, fstype, major != 0) {
        return Ok(None);
    }
    Ok(Some(Entry {
        device: device.to_owned(),
        whole: root == "/",
        local: is_local(&path, fstype, major != 0),
        path,
        fstype: fstype.to_owned(),
        source: what.next().unwrap_or_default().to_owned(),
    }))
}

/// Each file system once, where people look for it; and what was named.
///
/// A file system may be mounted at many places: the one that shows the whole of it counts, of these the one with the shortest path. What
/// is mounted over another thing hides it.
pub(super) fn choose(entries: Vec<Entry>, named: &[PathBuf]) -> Vec<Entry> {
    let mut seen: Vec<Entry> = Vec::new();
    for entry in entries {
        seen.retain(|below| below.path != entry.path);
        seen.push(entry);
    }
    let best = |device: &str| {
        let mounts = seen.iter().filter(|entry| entry.device == device);
        mounts.min_by_key(|entry| (!entry.whole, entry.path.as_os_str().len()))
    };
    let counts = |entry: &&Entry| named.contains(&entry.path) || best(&entry.device) == Some(entry);
    seen.iter().filter(counts).cloned().collect()
}

/// A path as the kernel writes it: space, tab, line feed and backslash as three octal digits.
fn unescaped(text: &str) -> OsString {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = &after[if code.is_some() { 3 } else { 0 }..];
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn chosen(table: &str, named: &[&str]) -> Vec<String> {
        let named: Vec<PathBuf> = named.iter().map(PathBuf::from).collect();
        let entries = table
            .lines()
            .filter_map(|line| {
                parse(line.trim(), |path, fstype, on_device| {
                    is_local(path, fstype, on_device) || named.iter().any(|named| named == path)
                })
                .unwrap()
            })
            .collect();
        choose(entries, &named)
            .into_iter()
            .map(|entry| format!("{} {}", entry.path.display(), entry.source))
            .collect()
    }

    #[test]
    fn local_file_systems_count_once_and_others_not_at_all() {
        let table = "\
            20 25 0:19 / /sys rw - sysfs sysfs rw
            21 25 0:4 / /proc rw - proc proc rw
            25 0 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw
            26 25 0:22 / /run rw shared:5 - tmpfs tmpfs rw
            30 25 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro
            31 25 259:0 / /var/lib/jenkins rw - xfs /dev/nvme1n1 rw
            32 25 259:2 /srv/code /srv/app rw - ext4 /dev/nvme0n1p1 rw
            33 25 259:0 / /mnt rw - xfs /dev/nvme1n1 rw
            34 25 0:40 / /efs rw - nfs4 fs-1.efs:/ rw
            35 25 0:41 / /sshfs rw - fuse.sshfs me@there:/ rw
            36 25 8:1 / /usb rw - fuseblk /dev/sda1 rw
            37 25 0:42 / /srv/btrfs rw - btrfs /dev/nvme2n1 rw
            38 25 0:43 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
            39 25 0:44 / /net rw - autofs systemd-1 rw";
        assert_eq!(
            chosen(table, &[]),
            [
                "/ /dev/nvme0n1p1",
                "/mnt /dev/nvme1n1",
                "/srv/btrfs /dev/nvme2n1"
            ]
        );
    }

    #[test]
    fn what_is_named_counts_whatever_it_is() {
        let table = "\
            25 0 259:2 / / rw - ext4 /dev/nvme0n1p1 rw
            32 25 259:2 /srv/code /srv/app rw - ext4 /dev/nvme0n1p1 rw
            34 25 0:40 / /efs rw - nfs4 fs-1.efs:/ rw";
        assert_eq!(
            chosen(table, &["/efs", "/srv/app", "/nowhere"]),
            [
                "/ /dev/nvme0n1p1",
                "/srv/app /dev/nvme0n1p1",
                "/efs fs-1.efs:/"
            ]
        );
    }

    #[test]
    fn a_mount_over_another_hides_it() {
        let table = "\
            25 0 8:1 / / rw - ext4 /dev/sda1 rw
            26 25 8:2 / /data rw - ext4 /dev/sdb rw
            27 26 8:3 / /data rw - ext4 /dev/sdc rw";
        assert_eq!(chosen(table, &[]), ["/ /dev/sda1", "/data /dev/sdc"]);
    }

    #[test]
    fn the_root_counts_even_if_it_is_no_disk() {
        let table = "1 0 0:50 / / rw - overlay overlay rw,lowerdir=/a:/b";
        assert_eq!(chosen(table, &[]), ["/ overlay"]);
    }

    #[test]
    fn a_folder_of_a_file_system_counts_where_the_whole_is_not_mounted() {
        let table = "\
            1 0 0:50 / / rw - overlay overlay rw
            2 1 259:2 /pods/x /srv/a rw - ext4 /dev/nvme0n1p1 rw
            3 1 259:2 /pods/y /srv/data rw - ext4 /dev/nvme0n1p1 rw";
        assert_eq!(chosen(table, &[]), ["/ overlay", "/srv/a /dev/nvme0n1p1"]);
    }

    #[test]
    fn odd_characters_come_back() {
        let line = r"1 0 8:1 / /mnt/my\040disk\134\011x\0 rw - ext4 /dev/sda1 rw";
        let entry = parse(line, |_, _, _| true).unwrap().unwrap();
        assert_eq!(entry.path, PathBuf::from("/mnt/my disk\\\tx\\0"));
    }

    #[test]
    fn what_is_cut_short_makes_no_sense() {
        let line = "25 0 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw";
        assert!(parse(line, |_, _, _| true).is_ok());
        for end in 0..line.find("ext4").unwrap() {
            assert!(
                parse(&line[..end], |_, _, _| true).is_err(),
                "{}",
                &line[..end]
            );
        }
        for bad in [
            "1 0 x:1 / / rw - ext4 a rw",
            "1 0 81 / / rw - ext4 a rw",
            "1 0 8:1 / data rw - ext4 a rw",
        ] {
            assert!(parse(bad, |_, _, _| true).is_err(), "{bad}");
        }
    }
}
