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
