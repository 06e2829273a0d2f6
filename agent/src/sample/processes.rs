//! `/proc/PID/stat`: processes by state.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::Trouble;
use super::data::Processes;
use super::read::{Files, unreadable};

/// All of them, for complaints: their numbers come and go.
const PATHS: &str = "/proc/PID/stat";
/// Holds any line up to its number of threads: a name has 16 bytes at most, and the 19 numbers 20 digits each.
const LINE_BYTES: usize = 512;
/// The number of threads, counted from the state: proc(5), field 20.
const THREADS: usize = 17;

pub(super) fn read(files: &Files, troubles: &mut Vec<Trouble>) -> Option<Processes> {
    let folder = files.place(Path::new("/proc"));
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => {
            troubles.push(unreadable(folder, &error));
            return None;
        }
    };
    let mut found = Processes::default();
    let mut bad = 0_usize;
    let mut line = [0; LINE_BYTES];
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name
            .as_encoded_bytes()
            .first()
            .is_some_and(u8::is_ascii_digit)
        {
            continue;
        }
        let path = folder.join(name).join("stat");
        // It may have ended since, and what hidepid hides is not listed either.
        let Ok(bytes) = first_bytes(&path, &mut line) else {
            continue;
        };
        if count(&line[..bytes], &mut found).is_none() {
            bad += 1;
        }
    }
    if let Some(others) = bad.checked_sub(1) {
        troubles.push(Trouble::Malformed {
            path: PATHS.into(),
            line: 1,
            why: "it tells neither state nor threads".into(),
            others,
        });
    }
    Some(found)
}

fn first_bytes(path: &Path, buffer: &mut [u8]) -> io::Result<usize> {
    fs::File::open(path)?.read(buffer)
}

/// Counts one process by its line.
fn count(line: &[u8], found: &mut Processes) -> Option<()> {
    // Its name, in parentheses, may hold parentheses itself.
    let after = &line[memchr::memrchr(b')', line)? + 1..];
    let mut fields = after
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty());
    let state = *fields.next()?.first()?;
    let threads: u64 = std::str::from_utf8(fields.nth(THREADS - 1)?)
        .ok()?
        .parse()
        .ok()?;
    found.total += 1;
    found.threads = found.threads.saturating_add(threads);
    match state {
        b'R' => found.running += 1,
        b'S' => found.sleeping += 1,
        b'D' => found.blocked += 1,
        b'I' => found.idle += 1,
        b'T' | b't' => found.stopped += 1,
        b'Z' => found.zombies += 1,
        b'X' | b'x' => found.dead += 1,
        b'W' => found.paging += 1,
        // Parked (P), wakekill (K) and what is yet to come are in the total.
        _ => {}
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(line: &str) -> Option<Processes> {
        let mut found = Processes::default();
        count(line.as_bytes(), &mut found).map(|()| found)
    }

    #[test]
    fn a_name_may_hold_anything() {
        for name in ["nginx", "a) S 1 (b", "((sd-pam))", "tmux: server", ")"] {
            let line = format!("42 ({name}) D 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 123\n");
            let expected = Processes {
                blocked: 1,
                total: 1,
                threads: 9,
                ..Processes::default()
            };
            assert_eq!(counted(&line), Some(expected), "{name}");
        }
    }

    #[test]
    fn every_state_has_its_place_and_unknown_ones_are_in_the_total() {
        let mut found = Processes::default();
        for state in "RSDITtZXxWPK".chars() {
            let line = format!("1 (x) {state} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0");
            assert_eq!(count(line.as_bytes(), &mut found), Some(()));
        }
        let expected = Processes {
            running: 1,
            sleeping: 1,
            blocked: 1,
            idle: 1,
            stopped: 2,
            zombies: 1,
            dead: 2,
            paging: 1,
            total: 12,
            threads: 12,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_cut_short_makes_no_sense() {
        for line in [
            "",
            "1",
            "1 (x",
            "1 (x)",
            "1 (x) R",
            "1 (x) R 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
            "1 (x) R 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 -1 0",
        ] {
            assert_eq!(counted(line), None, "{line}");
        }
    }
}
