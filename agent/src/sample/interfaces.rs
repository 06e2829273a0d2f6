//! `/proc/net/dev`: traffic of network interfaces.

use std::fs;
use std::path::Path;

use super::data::Interface;
use super::read::{Files, Nonsense, lines, number};
use super::{Choice, Trouble};

const PATH: &str = "/proc/net/dev";
/// The lines before the first interface.
const HEADER_LINES: usize = 2;
/// An end of a container's pair: it gets a new name, and so a new metric, with each container.
const CONTAINER_END: &str = "veth";
/// `IFF_UP` and `IFF_LOOPBACK` of `linux/if.h`.
const UP: u32 = 1;
const LOOPBACK: u32 = 8;

pub(super) fn read(
    files: &mut Files,
    choice: &Choice,
    troubles: &mut Vec<Trouble>,
) -> Option<Vec<Interface>> {
    let folder = files.place(Path::new("/sys/class/net"));
    let text = files.text(PATH, troubles)?;
    Some(lines(PATH, &text, HEADER_LINES, troubles, |line| {
        parse(line, |name| {
            choice.takes(name, choice.only.is_empty() && counts(&folder, name))
        })
    }))
}

/// Whether it is up, and leads out of this host.
fn counts(folder: &Path, name: &str) -> bool {
    if name.starts_with(CONTAINER_END) {
        return false;
    }
    let flags = fs::read_to_string(folder.join(name).join("flags"))
        .ok()
        .and_then(|flags| u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok());
    match flags {
        Some(flags) => flags & UP != 0 && flags & LOOPBACK == 0,
        None => name != "lo",
    }
}

fn parse(line: &str, takes: impl Fn(&str) -> bool) -> Result<Option<Interface>, Nonsense> {
    let (name, counters) = line
        .split_once(':')
        .ok_or_else(|| Nonsense("it has no colon".into()))?;
    let name = name.trim();
    if !takes(name) {
        return Ok(None);
    }
    let mut fields = counters.split_ascii_whitespace();
    let mut next = |name| number(&mut fields, name);
    let (received_bytes, received_packets) = (next("bytes")?, next("packets")?);
    let (received_errors, received_drops) = (next("errs")?, next("drop")?);
    for name in ["fifo", "frame", "compressed", "multicast"] {
        next(name)?;
    }
    Ok(Some(Interface {
        name: name.into(),
        received_bytes,
        received_packets,
        received_errors,
        received_drops,
        sent_bytes: next("bytes sent")?,
        sent_packets: next("packets sent")?,
        sent_errors: next("errs of sending")?,
        sent_drops: next("drop of sending")?,
    }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_counter_may_touch_the_colon() {
        let line = "  eth0:5832 2 3 4 0 0 0 0 11 12 13 14 0 0 0 0";
        let eth = parse(line, |_| true).unwrap().unwrap();
        assert_eq!(&*eth.name, "eth0");
        assert_eq!(
            (
                eth.received_bytes,
                eth.received_packets,
                eth.received_errors,
                eth.received_drops
            ),
            (5832, 2, 3, 4)
        );
        assert_eq!(
            (
                eth.sent_bytes,
                eth.sent_packets,
                eth.sent_errors,
                eth.sent_drops
            ),
            (11, 12, 13, 14)
        );
    }

    #[test]
    fn what_is_cut_short_or_no_number_makes_no_sense() {
        for line in [
            "eth0",
            "eth0:",
            "eth0: 1 2 3",
            "eth0: 1 2 3 4 0 0 0 0 11 12 13",
            "eth0: -1 2 3 4 0 0 0 0 1 1 1 1",
        ] {
            assert!(parse(line, |_| true).is_err(), "{line}");
        }
        assert_eq!(parse("lo: nonsense", |_| false), Ok(None));
    }
}
