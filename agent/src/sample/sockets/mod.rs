//! Sockets by state: the kernel tells them through netlink; `/proc/net` lists them where that is not to be had.
//!
//! Either goes through the whole table of connections, but a text of 150 bytes for each takes several times as long as a record does, and a record
//! still several times as long as passing it over. So where there are many, those of the two states that most are in are not asked for: they are
//! what the kernel's own sums (`/proc/net/sockstat`) leave.

mod diag;
mod list;
mod sums;

use std::io;

use super::Trouble;
use super::data::{Sockets, TcpStates};
use super::read::{Files, unreadable};

use sums::Sums;

/// So many sockets are counted one by one: about two milliseconds.
const COUNTED: u64 = 4_000;

pub(super) fn read(
    files: &mut Files,
    netlink: bool,
    troubles: &mut Vec<Trouble>,
) -> Option<Sockets> {
    let sums = sums::read(files, troubles)?;
    let counted = match netlink {
        true if sums.tcp + sums.time_wait <= COUNTED => diag::all().ok(),
        true => diag::few().ok().map(|few| sums.complete(&few)),
        false => None,
    };
    let tcp = match counted {
        Some(tcp) => tcp,
        None => listed(files, troubles)?,
    };
    Some(Sockets { tcp, udp: sums.udp })
}

fn listed(files: &mut Files, troubles: &mut Vec<Trouble>) -> Option<TcpStates> {
    let mut tcp = TcpStates::default();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match list::count(&files.place(path.as_ref()), path, &mut tcp, troubles) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) if absent(path, &error) => {}
            Err(error) => {
                troubles.push(unreadable(path, &error));
                return None;
            }
        }
    }
    Some(tcp)
}

/// Without IPv6 its files are not there.
fn absent(path: &str, error: &io::Error) -> bool {
    path.ends_with('6') && error.kind() == io::ErrorKind::NotFound
}

impl Sums {
    /// All states, where those of the most common two were not counted.
    fn complete(&self, few: &diag::Few) -> TcpStates {
        let counted = &few.tcp;
        // A connection that is being asked for is no socket yet, and what is left of a closed one is none any more.
        let sockets = counted.syn_sent
            + counted.fin_wait1
            + counted.fin_wait2
            + counted.close_wait
            + counted.last_ack
            + counted.listen
            + counted.closing
            - few.fin_wait2_remains;
        TcpStates {
            established: self.tcp.saturating_sub(sockets),
            time_wait: self.time_wait.saturating_sub(few.fin_wait2_remains),
            ..*counted
        }
    }
}

impl TcpStates {
    /// Counts one socket by the kernel's number of its state (`net/tcp_states.h`). `None` for a number that has no name.
    fn count(&mut self, state: u8) -> Option<()> {
        let state = match state {
            1 => &mut self.established,
            2 => &mut self.syn_sent,
            // 12 is a connection that is being asked for, which was 3 before Linux 4.4 and is shown as such still.
            3 | 12 => &mut self.syn_recv,
            4 => &mut self.fin_wait1,
            5 => &mut self.fin_wait2,
            6 => &mut self.time_wait,
            7 => &mut self.close,
            8 => &mut self.close_wait,
            9 => &mut self.last_ack,
            10 => &mut self.listen,
            11 => &mut self.closing,
            // Bound and not connected, shown since Linux 6.8 where that is asked for.
            13 => return Some(()),
            _ => return None,
        };
        *state += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests;
