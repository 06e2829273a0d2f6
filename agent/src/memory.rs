//! Gives memory back that only the start needed.

use std::fs;

use nix::sys::mman::{MmapAdvise, madvise};

/// Takes the program's code and constants out of this process's resident memory; what is needed again comes back from the page cache, a
/// few pages at a time. Reading the configuration, finding credentials and setting up TLS touch most of the code once; what
/// ships lines is a small part of it.
///
/// Does nothing where `/proc` can't be read.
pub fn forget_code_of_the_start() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else {
        return;
    };
    for (start, bytes) in maps.lines().filter_map(code) {
        let Some(address) = std::ptr::NonNull::new(start as *mut _) else {
            continue;
        };
        // SAFETY: the range is a private mapping of a file that was never written to, as its permissions tell that the
        // kernel has just given. Its pages are the file's own, so dropping them loses nothing: the next access maps them
        // again. Should the advice fail, nothing has changed.
        let _ = unsafe { madvise(address, bytes, MmapAdvise::MADV_DONTNEED) };
    }
}

/// Start and length of a mapping of code or constants from a file, by its line in proc_pid_maps(5).
///
/// That is what is executable, and what is read-only at the beginning of the file. Other read-only mappings may have been written before they
/// were protected (relocations).
fn code(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (permissions, offset) = (fields.next()?, fields.next()?);
    let path = fields.nth(2)?;
    let constants = permissions == "r--p" && usize::from_str_radix(offset, 16) == Ok(0);
    if !(permissions == "r-xp" || constants) || !path.starts_with('/') {
        return None;
    }
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_is_dropped() {
        for line in [
            "55d0-65d0 r-xp 00001000 fe:00 1234    /usr/bin/baker-agent",
            "55d0-65d0 r--p 00000000 fe:00 1234    /usr/bin/baker-agent",
        ] {
            assert_eq!(code(line), Some((0x55d0, 0x1000)), "{line}");
        }
        for other in [
            "55d0-65d0 r--p 00001000 fe:00 1234    /usr/bin/baker-agent",
            "55d0-65d0 rw-p 00001000 fe:00 1234    /usr/bin/baker-agent",
            "7ffc-8ffc r-xp 00000000 00:00 0       [vdso]",
            "7ffc-8ffc r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }

    #[test]
    fn the_program_goes_on_without_the_pages() {
        forget_code_of_the_start();
        assert!(
            fs::read_to_string("/proc/self/maps")
                .is_ok_and(|maps| maps.lines().any(|line| code(line).is_some()))
        );
    }
}
