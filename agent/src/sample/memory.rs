//! `/proc/meminfo`: memory and swap space.

use procfs::FromBufRead;

use super::Trouble;
use super::data::{Memory, Swap};
use super::read::Files;

const PATH: &str = "/proc/meminfo";

pub(super) fn read(files: &mut Files, troubles: &mut Vec<Trouble>) -> Option<(Memory, Swap)> {
    let text = files.text(PATH, troubles)?;
    match parse(&text) {
        Ok(found) => Some(found),
        Err(error) => {
            troubles.push(Trouble::Malformed {
                path: PATH.into(),
                line: 1,
                why: error.to_string(),
                others: 0,
            });
            None
        }
    }
}

fn parse(text: &str) -> procfs::ProcResult<(Memory, Swap)> {
    let info = procfs::Meminfo::from_buf_read(text.as_bytes())?;
    let memory = Memory {
        total_bytes: info.mem_total,
        free_bytes: info.mem_free,
        available_bytes: info.mem_available,
        buffers_bytes: info.buffers,
        cached_bytes: info.cached,
        reclaimable_bytes: info.s_reclaimable.unwrap_or_default(),
        active_bytes: info.active,
        inactive_bytes: info.inactive,
    };
    let swap = Swap {
        total_bytes: info.swap_total,
        free_bytes: info.swap_free,
    };
    Ok((memory, swap))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const BIONIC: &str = include_str!("../../tests/hosts/bionic/proc/meminfo");

    fn without(name: &str) -> String {
        let lines = BIONIC.lines().filter(|line| !line.starts_with(name));
        lines.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn a_kernel_may_not_tell_what_is_available() {
        let (memory, _) = parse(&without("MemAvailable:")).unwrap();
        assert_eq!(memory.available_bytes, None);
        assert_eq!(memory.total_bytes, 3_977_720 * 1024);
        let (memory, _) = parse(&without("SReclaimable:")).unwrap();
        assert_eq!(memory.reclaimable_bytes, 0);
    }

    #[test]
    fn a_newer_kernel_may_tell_more() {
        let more = format!(
            "{BIONIC}KReclaimable: 1 kB\nPercpu: 2 kB\nFileHugePages: 0 kB\nUnaccepted: 0 kB\n"
        );
        assert_eq!(parse(&more).unwrap(), parse(BIONIC).unwrap());
    }

    #[test]
    fn without_the_total_there_is_nothing_and_one_trouble() {
        let bad_number = BIONIC.replace("211932", "many");
        for text in ["", "MemTotal: 1 kB\n", &without("MemTotal:"), &bad_number] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("proc")).unwrap();
            std::fs::write(folder.path().join("proc/meminfo"), text).unwrap();
            let mut troubles = Vec::new();
            assert_eq!(
                read(&mut Files::new(folder.path().into()), &mut troubles),
                None
            );
            assert!(
                matches!(&troubles[..], [Trouble::Malformed { .. }]),
                "{troubles:?}"
            );
        }
    }
}
