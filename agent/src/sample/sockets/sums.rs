//! `/proc/net/sockstat` and `/proc/net/sockstat6`: sums that the kernel keeps anyway.

use std::str::SplitAsciiWhitespace;

use super::absent;
use crate::sample::Trouble;
use crate::sample::read::{Files, Nonsense, lines, number, unreadable};

/// Sockets of IPv4 and IPv6 together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// TCP sockets that are bound or connected; not what is left of closed ones.
    pub(super) tcp: u64,
    /// What is left of closed TCP connections: in TIME_WAIT, and in FIN_WAIT2 once nobody holds them.
    pub(super) time_wait: u64,
    /// UDP sockets.
    pub(super) udp: u64,
}

enum Line {
    Tcp { in_use: u64, time_wait: u64 },
    Udp(u64),
}

pub(super) fn read(files: &mut Files, troubles: &mut Vec<Trouble>) -> Option<Sums> {
    let mut sums = Sums::default();
    for path in ["/proc/net/sockstat", "/proc/net/sockstat6"] {
        let text = match files.read(path) {
            Ok(text) => text,
            Err(error) if absent(path, &error) => continue,
            Err(error) => {
                troubles.push(unreadable(path, &error));
                return None;
            }
        };
        let known = troubles.len();
        let found = lines(path, &text, 0, troubles, parse);
        let [Line::Tcp { in_use, time_wait }, Line::Udp(udp)] = found[..] else {
            // Unless one of them made no sense, which has been told.
            if troubles.len() == known {
                troubles.push(Trouble::Malformed {
                    path: path.into(),
                    line: 1,
                    why: "it is not followed by one line of TCP and one of UDP".into(),
                    others: 0,
                });
            }
            return None;
        };
        sums = Sums {
            tcp: sums.tcp.saturating_add(in_use),
            time_wait: sums.time_wait.saturating_add(time_wait),
            udp: sums.udp.saturating_add(udp),
        };
    }
    Some(sums)
}

fn parse(line: &str) -> Result<Option<Line>, Nonsense> {
    let mut fields = line.split_ascii_whitespace();
    Ok(match fields.next() {
        Some("TCP:") => Some(Line::Tcp {
            in_use: after("inuse", &mut fields)?,
            time_wait: after("tw", &mut fields)?,
        }),
        // Both families wait together.
        Some("TCP6:") => Some(Line::Tcp {
            in_use: after("inuse", &mut fields)?,
            time_wait: 0,
        }),
        Some("UDP:" | "UDP6:") => Some(Line::Udp(after("inuse", &mut fields)?)),
        _ => None,
    })
}

/// The number after a word.
fn after(word: &str, fields: &mut SplitAsciiWhitespace<'_>) -> Result<u64, Nonsense> {
    match fields.find(|field| *field == word) {
        Some(_) => number(fields, word),
        None => Err(Nonsense(format!("it has no {word}"))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::*;

    fn sums(four: &str, six: Option<&str>) -> (Option<Sums>, Vec<Trouble>) {
        let folder = tempfile::tempdir().unwrap();
        let net = folder.path().join("proc/net");
        fs::create_dir_all(&net).unwrap();
        fs::write(net.join("sockstat"), four).unwrap();
        if let Some(six) = six {
            fs::write(net.join("sockstat6"), six).unwrap();
        }
        let mut troubles = Vec::new();
        let sums = read(&mut Files::new(folder.path().into()), &mut troubles);
        (sums, troubles)
    }

    const FOUR: &str = "sockets: used 148\nTCP: inuse 7 orphan 0 tw 2 alloc 9 mem 3\nUDP: inuse 3 mem 2\nUDPLITE: inuse 9\n";

    #[test]
    fn both_families_are_summed_up() {
        let six = "TCP6: inuse 2\nUDP6: inuse 1\nUDPLITE6: inuse 9\n";
        let expected = Sums {
            tcp: 9,
            time_wait: 2,
            udp: 4,
        };
        assert_eq!(sums(FOUR, Some(six)), (Some(expected), vec![]));
    }

    #[test]
    fn a_host_may_have_no_ipv6() {
        let expected = Sums {
            tcp: 7,
            time_wait: 2,
            udp: 3,
        };
        assert_eq!(sums(FOUR, None), (Some(expected), vec![]));
    }

    #[test]
    fn a_sum_that_is_missing_or_no_number_is_one_trouble() {
        for (four, line) in [
            ("", 1),
            ("sockets: used 1\n", 1),
            ("TCP: inuse 7 tw 1\n", 1),
            ("a\nTCP: inuse x tw 1\nUDP: inuse 1\n", 2),
            ("a\nTCP: inuse 7\nUDP: inuse 1\n", 2),
            ("TCP: inuse 7 tw 1\nUDP: mem\n", 2),
        ] {
            let (sums, troubles) = sums(four, None);
            assert_eq!(sums, None, "{four}");
            assert!(
                matches!(&troubles[..], [Trouble::Malformed { line: told, .. }] if *told == line),
                "{four}: {troubles:?}"
            );
        }
    }
}
