//! `/proc/net/tcp` and `/proc/net/tcp6`: a line for each socket.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::sample::Trouble;
use crate::sample::data::TcpStates;

/// Read in pieces: the file of a busy proxy is larger than the agent may be.
const BUFFER_BYTES: usize = 16 * 1024;
/// About a hundred thousand sockets; the kernel takes a microsecond and more to write each line.
pub(super) const LIMIT_BYTES: usize = 16 * 1024 * 1024;
/// No line is longer.
const LINE_BYTES: usize = 512;

/// Counts the sockets of one file; `name` is what the operator knows it by. `false` when there are more than can be counted.
pub(super) fn count(
    place: &Path,
    name: &str,
    tcp: &mut TcpStates,
    troubles: &mut Vec<Trouble>,
) -> io::Result<bool> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, File::open(place)?);
    let mut line = Vec::with_capacity(LINE_BYTES);
    let (mut read_bytes, mut number) = (0, 0);
    let mut bad: Option<(usize, usize)> = None;
    loop {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)?;
        if bytes == 0 {
            break;
        }
        read_bytes += bytes;
        if read_bytes > LIMIT_BYTES {
            troubles.push(Trouble::TooManySockets {
                path: name.into(),
                limit_bytes: LIMIT_BYTES,
            });
            return Ok(false);
        }
        number += 1;
        // The first line names the columns.
        if number > 1 && state(&line).and_then(|state| tcp.count(state)).is_none() {
            let (_, others) = bad.get_or_insert((number, 0));
            *others += 1;
        }
    }
    if let Some((line, bad)) = bad {
        troubles.push(Trouble::Malformed {
            path: name.into(),
            line,
            why: "it tells no state".into(),
            others: bad - 1,
        });
    }
    Ok(true)
}

/// The fourth column: two hexadecimal digits.
fn state(line: &[u8]) -> Option<u8> {
    let field = line
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        .nth(3)?;
    u8::from_str_radix(std::str::from_utf8(field).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::*;

    const HEADER: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn line(number: usize, state: &str) -> String {
        format!(
            "{number:4}: 0100007F:1F90 0100007F:C350 {state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1\n"
        )
    }

    fn counted(text: &str) -> (bool, TcpStates, Vec<Trouble>) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("tcp");
        fs::write(&place, text).unwrap();
        let (mut tcp, mut troubles) = (TcpStates::default(), Vec::new());
        let all = count(&place, "/proc/net/tcp", &mut tcp, &mut troubles).unwrap();
        (all, tcp, troubles)
    }

    #[test]
    fn lines_are_counted_over_the_ends_of_buffers() {
        let mut text = HEADER.to_owned();
        for number in 0..5_000 {
            text += &line(number, ["01", "06", "0A"][number % 3]);
        }
        let (all, tcp, troubles) = counted(&text);
        assert_eq!((all, troubles), (true, vec![]));
        assert_eq!(
            (tcp.established, tcp.time_wait, tcp.listen),
            (1667, 1667, 1666)
        );
    }

    #[test]
    fn lines_that_make_no_sense_are_one_trouble() {
        let text = format!(
            "{HEADER}{}nonsense\n{}{}",
            line(0, "01"),
            line(1, "FF"),
            line(2, "0A")
        );
        let (all, tcp, troubles) = counted(&text);
        assert!(all);
        assert_eq!((tcp.established, tcp.listen), (1, 1));
        assert!(
            matches!(
                &troubles[..],
                [Trouble::Malformed {
                    line: 3,
                    others: 1,
                    ..
                }]
            ),
            "{troubles:?}"
        );
    }

    #[test]
    fn too_many_are_not_counted_at_all() {
        let one = line(0, "01");
        let text = HEADER.to_owned() + &one.repeat(LIMIT_BYTES / one.len() + 1);
        let (all, _, troubles) = counted(&text);
        assert!(!all);
        assert!(
            matches!(&troubles[..], [Trouble::TooManySockets { .. }]),
            "{troubles:?}"
        );
    }
}
