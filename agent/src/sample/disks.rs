//! `/proc/diskstats`: I/O of block devices.
//!
//! Since 4.18 and again since 5.5 its lines have more fields than those that are read here (iostats.rst).

use std::path::Path;

use procfs::DiskStat;

use super::data::Disk;
use super::read::{Files, Nonsense, lines};
use super::{Choice, Trouble};

const PATH: &str = "/proc/diskstats";
/// Devices that are memory, files of other devices, or media: nobody's disk.
const NO_DISKS: [&str; 6] = ["loop", "ram", "zram", "sr", "fd", "nbd"];

pub(super) fn read(
    files: &mut Files,
    devices: &Choice,
    troubles: &mut Vec<Trouble>,
) -> Option<Vec<Disk>> {
    let folder = files.place(Path::new("/sys/block"));
    // Without /sys nobody can tell a partition from a whole device.
    let known = folder.is_dir();
    let text = files.text(PATH, troubles)?;
    let whole = |name: &str| !known || folder.join(name.replace('/', "!")).exists();
    Some(lines(PATH, &text, 0, troubles, |line| {
        parse(line, |name| {
            devices.takes(
                name,
                devices.only.is_empty() && !no_disk(name) && whole(name),
            )
        })
    }))
}

fn no_disk(name: &str) -> bool {
    NO_DISKS.iter().any(|prefix| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

fn parse(line: &str, takes: impl Fn(&str) -> bool) -> Result<Option<Disk>, Nonsense> {
    // Dozens of loop devices are common: nothing is made of what does not count.
    match line.split_ascii_whitespace().nth(2) {
        Some(name) if !takes(name) => return Ok(None),
        _ => {}
    }
    let stat = DiskStat::from_line(line).map_err(|error| Nonsense(error.to_string()))?;
    Ok(Some(Disk {
        name: stat.name.into(),
        reads: stat.reads,
        read_sectors: stat.sectors_read,
        read_ms: stat.time_reading,
        writes: stat.writes,
        written_sectors: stat.sectors_written,
        write_ms: stat.time_writing,
        in_progress: stat.in_progress,
        io_ms: stat.time_in_progress,
        weighted_io_ms: stat.weighted_time_in_progress,
    }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// Linux 4.15; 4.18 added four fields, and 5.5 two more.
    const FOURTEEN: &str =
        " 259       0 nvme0n1 17604 48 1106430 8744 31280 21463 1562834 31944 2 21380 21432";

    #[test]
    fn later_kernels_tell_more_of_the_same() {
        let disk = parse(FOURTEEN, |_| true).unwrap().unwrap();
        assert_eq!(
            (disk.reads, disk.read_sectors, disk.read_ms),
            (17_604, 1_106_430, 8_744)
        );
        assert_eq!(
            (disk.writes, disk.written_sectors, disk.write_ms),
            (31_280, 1_562_834, 31_944)
        );
        assert_eq!(
            (disk.in_progress, disk.io_ms, disk.weighted_io_ms),
            (2, 21_380, 21_432)
        );
        for more in [
            "1330053 166 473591056 177256",
            "1 2 3 4 564944 37034",
            "1 2 3 4 5 6 7 8",
        ] {
            assert_eq!(
                parse(&format!("{FOURTEEN} {more}"), |_| true)
                    .unwrap()
                    .unwrap(),
                disk
            );
        }
    }

    #[test]
    fn what_is_cut_short_or_no_number_makes_no_sense() {
        let fields: Vec<_> = FOURTEEN.split_ascii_whitespace().collect();
        for count in 0..fields.len() {
            assert!(
                parse(&fields[..count].join(" "), |_| true).is_err(),
                "{count} fields"
            );
        }
        for bad in (0..fields.len()).filter(|i| *i != 2) {
            let mut fields = fields.clone();
            fields[bad] = "-x";
            assert!(parse(&fields.join(" "), |_| true).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_disk_is_known_by_its_name() {
        for name in ["loop0", "loop12", "ram1", "zram0", "sr0", "fd0", "nbd3"] {
            assert!(no_disk(name), "{name}");
        }
        for name in [
            "nvme0n1", "xvda", "sda", "dm-0", "md0", "vda", "srv", "loop", "ramdisk",
        ] {
            assert!(!no_disk(name), "{name}");
        }
    }
}
