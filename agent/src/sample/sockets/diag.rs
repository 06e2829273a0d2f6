//! The kernel's own list of TCP sockets: sock_diag(7).

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use crate::sample::data::TcpStates;

/// The old form of the request: its answer holds IPv4 and IPv6 alike, so that the table is walked once (`linux/inet_diag.h`; the kernel
/// answers it with the family unspecified, "compatibility").
const TCPDIAG_GETSOCK: u16 = 18;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `struct nlmsghdr`: length, type, flags, sequence, sender.
const HEADER_BYTES: usize = 16;
/// `struct inet_diag_req`: family, lengths of addresses and extensions, a byte each; 48 bytes of a socket's identity; which states; a number that is not used.
const REQUEST_BYTES: usize = 4 + 48 + 4 + 4;
/// The kernel fills a buffer of at most this size.
const ANSWER_BYTES: usize = 32 * 1024;
/// A bit for each state, 1 to 12 (`net/tcp_states.h`). Not 13, bound and not connected: Linux 6.8 goes through another table for it.
const ALL_STATES: u32 = 0x1ffe;
const ESTABLISHED: u32 = 1 << 1;
const TIME_WAIT: u32 = 1 << 6;
const FIN_WAIT2: u8 = 5;
/// `idiag_timer` of what is left of a closed connection, whatever its state is called.
const TIMER_OF_REMAINS: u8 = 3;

/// Sockets by state, but for ESTABLISHED and TIME_WAIT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Few {
    pub(super) tcp: TcpStates,
    /// How many of those in FIN_WAIT2 are only what is left of a socket.
    pub(super) fin_wait2_remains: u64,
}

/// Sockets by state.
///
/// # Errors
/// When the kernel does not answer such questions, or not to this process.
pub(super) fn all() -> io::Result<TcpStates> {
    dump(ALL_STATES).map(|counted| counted.tcp)
}

/// The same but for those of the most common states: they are passed over in the kernel.
///
/// # Errors
/// As [`all`].
pub(super) fn few() -> io::Result<Few> {
    dump(ALL_STATES & !ESTABLISHED & !TIME_WAIT)
}

fn dump(states: u32) -> io::Result<Few> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?;
    send(socket.as_raw_fd(), &request(states), MsgFlags::empty())?;
    let mut counted = Few::default();
    let mut buffer = vec![0; ANSWER_BYTES];
    loop {
        // The answer is there as soon as the question is asked: the kernel goes on with it in each call.
        let bytes = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)?;
        if take(&buffer[..bytes], &mut counted)? {
            return Ok(counted);
        }
    }
}

fn request(states: u32) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER_BYTES + REQUEST_BYTES);
    request.extend(((HEADER_BYTES + REQUEST_BYTES) as u32).to_ne_bytes());
    request.extend(TCPDIAG_GETSOCK.to_ne_bytes());
    request.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    request.resize(HEADER_BYTES + 4 + 48, 0);
    request.extend(states.to_ne_bytes());
    request.extend([0; 4]);
    request
}

/// Counts the sockets of one part of the answer. `true` when it was the last one.
fn take(mut messages: &[u8], counted: &mut Few) -> io::Result<bool> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    if messages.is_empty() {
        return Err(broken());
    }
    while let Some((header, _)) = messages.split_first_chunk::<HEADER_BYTES>() {
        let [a, b, c, d, e, f, ..] = *header;
        let length = u32::from_ne_bytes([a, b, c, d]) as usize;
        let body = messages.get(HEADER_BYTES..length).ok_or_else(broken)?;
        match u16::from_ne_bytes([e, f]) {
            // Either says how it went: a list may end with an error, as it does at once where tcp_diag can't be loaded.
            kind @ (NLMSG_DONE | NLMSG_ERROR) => {
                let outcome = i32::from_ne_bytes(*body.first_chunk().ok_or_else(broken)?);
                return match outcome {
                    ..0 => Err(io::Error::from_raw_os_error(outcome.saturating_neg())),
                    _ if kind == NLMSG_DONE => Ok(true),
                    _ => Err(broken()),
                };
            }
            TCPDIAG_GETSOCK => {
                // `struct inet_diag_msg` begins with family, state and timer.
                let [_, state, timer, ..] = *body else {
                    return Err(broken());
                };
                counted.tcp.count(state).ok_or_else(broken)?;
                if (state, timer) == (FIN_WAIT2, TIMER_OF_REMAINS) {
                    counted.fin_wait2_remains += 1;
                }
            }
            _ => {}
        }
        // Messages begin at multiples of four bytes.
        messages = messages
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = ((HEADER_BYTES + body.len()) as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.resize(HEADER_BYTES, 0);
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn an_answer_in_parts_is_counted_to_its_end() {
        let mut counted = Few::default();
        let socket = |state, timer| message(TCPDIAG_GETSOCK, &[2, state, timer, 0, 7, 7, 7]);
        let part = [socket(1, 0), socket(5, 3), socket(10, 0)].concat();
        assert!(!take(&part, &mut counted).unwrap());
        let part = [socket(1, 2), socket(5, 2), message(NLMSG_DONE, &[0; 4])].concat();
        assert!(take(&part, &mut counted).unwrap());
        let tcp = counted.tcp;
        assert_eq!((tcp.established, tcp.listen, tcp.fin_wait2), (2, 1, 2));
        assert_eq!(counted.fin_wait2_remains, 1);
    }

    #[test]
    fn a_refusal_is_an_error_and_so_is_what_is_cut_short() {
        let mut counted = Few::default();
        for kind in [NLMSG_ERROR, NLMSG_DONE] {
            let refused = message(kind, &(-2_i32).to_ne_bytes());
            let error = take(&refused, &mut counted).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(2));
        }
        assert!(take(&message(NLMSG_DONE, &[]), &mut counted).is_err());
        let whole = message(TCPDIAG_GETSOCK, &[2, 1, 0, 0]);
        for end in HEADER_BYTES..whole.len() {
            assert!(take(&whole[..end], &mut counted).is_err(), "{end}");
        }
        assert!(take(&[], &mut counted).is_err());
        assert!(take(&message(TCPDIAG_GETSOCK, &[2, 99, 0]), &mut counted).is_err());
    }
}
