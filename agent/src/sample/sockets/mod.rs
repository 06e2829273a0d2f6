//! Sockets by state: the kernel counts through netlink; `/proc/net` lists them where that is not to be had.
//!
//! Both go through the whole table of connections, but a text of 150 bytes for each takes several times as long as a record does.

mod diag;
mod list;

use std::io;

use super::Trouble;
use super::data::{Sockets, TcpStates};
use super::read::{Files, Nonsense, lines, number, unreadable};

pub(super) fn read(
    files: &mut Files,
    netlink: bool,
    troubles: &mut Vec<Trouble>,
) -> Option<Sockets> {
    let counted = netlink.then(|| diag::tcp().ok()).flatten();
    let tcp = match counted {
        Some(tcp) => tcp,
        None => listed(files, troubles)?,
    };
    Some(Sockets {
        tcp,
        udp: udp(files, troubles)?,
    })
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

/// UDP sockets, by the sums that the kernel keeps.
fn udp(files: &mut Files, troubles: &mut Vec<Trouble>) -> Option<u64> {
    let mut udp = 0;
    for (path, name) in [
        ("/proc/net/sockstat", "UDP:"),
        ("/proc/net/sockstat6", "UDP6:"),
    ] {
        let text = match files.read(path) {
            Ok(text) => text,
            Err(error) if absent(path, &error) => continue,
            Err(error) => {
                troubles.push(unreadable(path, &error));
                return None;
            }
        };
        let known = troubles.len();
        match lines(path, &text, 0, troubles, |line| in_use(line, name)).first() {
            Some(in_use) => udp += in_use,
            None => {
                // Unless its line made no sense, which has been told.
                if troubles.len() == known {
                    troubles.push(Trouble::Malformed {
                        path: path.into(),
                        line: 1,
                        why: format!("no line begins with {name}"),
                        others: 0,
                    });
                }
                return None;
            }
        }
    }
    Some(udp)
}

/// The number after `inuse` in the line that begins with `name`.
fn in_use(line: &str, name: &str) -> Result<Option<u64>, Nonsense> {
    let mut fields = line.split_ascii_whitespace();
    if fields.next() != Some(name) {
        return Ok(None);
    }
    while let Some(field) = fields.next() {
        if field == "inuse" {
            return number(&mut fields, "inuse").map(Some);
        }
    }
    Err(Nonsense("it has no inuse".into()))
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
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_protocol_stands_after_inuse() {
        assert_eq!(in_use("UDP: inuse 12 mem 3", "UDP:"), Ok(Some(12)));
        assert_eq!(in_use("UDPLITE: inuse 4", "UDP:"), Ok(None));
        assert!(in_use("UDP: mem 3", "UDP:").is_err());
        assert!(in_use("UDP: inuse", "UDP:").is_err());
        assert!(in_use("UDP: inuse x", "UDP:").is_err());
    }

    #[test]
    fn each_state_has_its_place() {
        let mut tcp = TcpStates::default();
        let known = (0..=u8::MAX)
            .filter(|state| tcp.count(*state).is_some())
            .count();
        assert_eq!(known, 13);
        let expected = TcpStates {
            established: 1,
            syn_sent: 1,
            syn_recv: 2,
            fin_wait1: 1,
            fin_wait2: 1,
            time_wait: 1,
            close: 1,
            close_wait: 1,
            last_ack: 1,
            listen: 1,
            closing: 1,
        };
        assert_eq!(tcp, expected);
    }
}
