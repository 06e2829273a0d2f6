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
