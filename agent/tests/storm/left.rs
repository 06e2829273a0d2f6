//! What rotations left on the disk: which lines still stand somewhere, and which stand nowhere any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::Path;

use crate::support::lines::{Found, Reader};

/// What stands in the files of some folders.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Of each writer, which lines.
    lines: BTreeMap<u16, Vec<bool>>,
    /// Parts of lines at the end of copies: a copy was made while the line was written, or only half of it was read by then.
    pub(crate) torn: BTreeSet<String>,
}

impl Left {
    /// Of all files in these folders, compressed ones too.
    pub(crate) fn of(folders: &[&Path]) -> Self {
        let mut left = Self::default();
        let mut reader = Reader::default();
        for folder in folders {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                    left.take(&entry.path(), &mut reader);
                }
            }
        }
        left
    }

    fn take(&mut self, path: &Path, reader: &mut Reader) {
        let bytes = fs::read(path).unwrap();
        let bytes = match path.extension().is_some_and(|extension| extension == "gz") {
            true => {
                let mut unpacked = Vec::new();
                flate2::read::MultiGzDecoder::new(&bytes[..])
                    .read_to_end(&mut unpacked)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                unpacked
            }
            false => bytes,
        };
        for line in bytes.split(|&byte| byte == b'\n') {
            // A program with an offset of its own leaves a hole before its first line.
            let start = line.iter().position(|&byte| byte != 0);
            let line = String::from_utf8_lossy(&line[start.unwrap_or(line.len())..]);
            match reader.read(&line) {
                Found::Whole(tag) => {
                    let lines = self.lines.entry(tag.writer).or_default();
                    let number = usize::try_from(tag.number).unwrap();
                    if lines.len() <= number {
                        lines.resize(number + 1, false);
                    }
                    lines[number] = true;
                }
                _ if line.is_empty() => {}
                Found::Garbled(_) | Found::Foreign => {
                    self.torn.insert(line.into_owned());
                }
            }
        }
    }

    /// Whether a line stands somewhere.
    pub(crate) fn holds(&self, writer: u16, number: u64) -> bool {
        self.lines.get(&writer).is_some_and(|lines| {
            let number = usize::try_from(number).unwrap();
            lines.get(number).copied().unwrap_or(false)
        })
    }
}
