//! One thread that writes to many files in turn: a writer each would measure the scheduler.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::lines::{Pen, Shape, Tag};
use crate::support::wait::unix_us;
use crate::support::writer::Written;

/// As writers do: what is due is written once a millisecond, each line by a call of its own.
const BEAT: Duration = Duration::from_millis(1);

/// The file of writer `index`.
pub(crate) fn path(folder: &Path, index: u16) -> PathBuf {
    folder.join(format!("access-{index:04}.log"))
}

/// Writes `lines_per_s` access lines a second for `time`, to `files` files in turn.
pub(crate) fn write(folder: &Path, files: u16, lines_per_s: u64, time: Duration) -> Vec<Written> {
    let mut open: Vec<(File, Written)> = (0..files)
        .map(|writer| {
            let file = File::options()
                .append(true)
                .create(true)
                .open(path(folder, writer))
                .unwrap();
            let written = Written {
                writer,
                lines: 0,
                bytes: 0,
            };
            (file, written)
        })
        .collect();
    let (mut pen, mut line) = (Pen::default(), Vec::new());
    let (started, mut done) = (Instant::now(), 0_u64);
    let total = lines_per_s * time.as_millis() as u64 / 1000;
    while done < total {
        let due = started.elapsed().as_micros() * u128::from(lines_per_s) / 1_000_000;
        let due = u64::try_from(due).unwrap().min(total);
        if done >= due {
            std::thread::sleep(BEAT);
            continue;
        }
        let index = usize::try_from(done % u64::from(files)).unwrap();
        let (file, written) = &mut open[index];
        line.clear();
        let tag = Tag {
            shape: Shape::Access,
            writer: written.writer,
            number: written.lines,
            written_us: unix_us(),
        };
        pen.write(tag, &mut line);
        file.write_all(&line).unwrap();
        written.lines += 1;
        written.bytes += line.len() as u64;
        done += 1;
    }
    open.into_iter().map(|(_, written)| written).collect()
}
