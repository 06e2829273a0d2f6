//! A host's console: what it prints goes to a file, of which GetConsoleOutput and `lab logs` show the end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

/// A host that prints for days must not fill this machine's disk: past this, all but the end of the file is dropped.
const LIMIT_BYTES: u64 = 4 * 1024 * 1024;
/// What is kept of it then: as much as EC2 keeps (GetConsoleOutput, API reference).
const KEPT_BYTES: u64 = 64 * 1024;

/// Copies what comes out of `output` to the end of the file at `path`, until the other end of the pipe is closed.
///
/// The pipe is emptied even when nothing can be written: a host must not stand still, or end, because the lab's disk is full.
pub(crate) fn record(mut output: io::PipeReader, path: &Path) -> Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)
        .with_context(|| format!("could not open {}", path.display()))?;
    // A thread and not a task: it must not hold up the lab's end, and a host can outlive the lab.
    std::thread::Builder::new()
        .name("console".into())
        .spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let _ = file
                    .write_all(&buffer[..count])
                    .and_then(|()| keep_end(&mut file, LIMIT_BYTES));
            }
        })
        .context("could not start a thread for the console")?;
    Ok(())
}

/// Cuts a file that is longer than `limit` to its last [`KEPT_BYTES`].
fn keep_end(file: &mut File, limit: u64) -> io::Result<()> {
    let length = file.metadata()?.len();
    if length <= limit {
        return Ok(());
    }
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(length - KEPT_BYTES.min(length)))?;
    file.read_to_end(&mut end)?;
    file.set_len(0)?;
    // Opened for appending: this goes to the new end, which is the beginning.
    file.write_all(&end)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_long_console_keeps_its_end_and_goes_on_after_it() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let mut file = OpenOptions::new()
            .append(true)
            .read(true)
            .open(&place)
            .unwrap();
        let mut said = vec![b'a'; usize::try_from(KEPT_BYTES).unwrap()];
        said.extend_from_slice(b"the end");
        file.write_all(&said).unwrap();
        keep_end(&mut file, KEPT_BYTES).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut kept = String::new();
        file.read_to_string(&mut kept).unwrap();
        assert_eq!(kept.len() as u64, KEPT_BYTES);
        assert!(kept.ends_with("athe end"));
    }
}
