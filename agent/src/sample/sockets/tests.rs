//! Sums, states, and the kernel asked in three ways.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use super::*;

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

#[test]
fn what_was_not_counted_is_what_the_sums_leave() {
    let sums = Sums {
        tcp: 50_010,
        time_wait: 30_000,
        udp: 0,
    };
    let few = diag::Few {
        tcp: TcpStates {
            listen: 4,
            syn_recv: 100,
            fin_wait2: 30,
            close_wait: 3,
            ..TcpStates::default()
        },
        fin_wait2_remains: 27,
    };
    let tcp = sums.complete(&few);
    let expected = TcpStates {
        established: 50_000,
        time_wait: 29_973,
        ..few.tcp
    };
    assert_eq!(tcp, expected);
    // They are not of one instant.
    let sums = Sums {
        tcp: 3,
        time_wait: 2,
        udp: 0,
    };
    assert_eq!(
        (
            sums.complete(&few).established,
            sums.complete(&few).time_wait
        ),
        (0, 0)
    );
}

/// A listener, and pairs of a client and what it is connected to.
fn pairs(address: &str, count: usize) -> (TcpListener, Vec<(TcpStream, TcpStream)>) {
    let listener = TcpListener::bind(address).unwrap();
    let pair = || {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    };
    let pairs = (0..count).map(|_| pair()).collect();
    (listener, pairs)
}

/// In a network of its own, where nobody else has sockets: the list, the text and the sums tell the same, to the socket.
fn in_a_network_of_its_own() {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()
        .unwrap();
    assert!(up.success());
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("proc")).unwrap();
    symlink("/proc/thread-self/net", folder.path().join("proc/net")).unwrap();
    let mut files = Files::new(folder.path().into());

    let (_four, mut pairs_of_four) = pairs("127.0.0.1:0", 7);
    let (_six, pairs_of_six) = pairs("[::1]:0", 2);
    let _udp = [
        UdpSocket::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("[::1]:0").unwrap(),
    ];
    // Its client says no more, and is still there.
    pairs_of_four[0].0.shutdown(Shutdown::Write).unwrap();
    // This one's client is gone; what is left of it waits for the other side.
    let (client, _waits) = pairs_of_four.pop().unwrap();
    drop(client);
    // And of these both sides are.
    for (client, server) in pairs_of_four.split_off(4) {
        drop(client);
        drop(server);
    }
    let expected = TcpStates {
        listen: 2,
        established: 2 * (3 + pairs_of_six.len() as u64),
        fin_wait2: 2,
        close_wait: 2,
        time_wait: 2,
        ..TcpStates::default()
    };
    let mut look = || {
        let mut troubles = Vec::new();
        let listed = listed(&mut files, &mut troubles).unwrap();
        let sums = sums::read(&mut files, &mut troubles).unwrap();
        assert_eq!(troubles, []);
        (listed, sums)
    };
    // The last segments of a connection that ends are under way for a moment.
    let settled = (0..100_000).any(|_| {
        thread::yield_now();
        look().0 == expected
    });
    let (listed, sums) = look();
    assert!(settled, "{listed:?}");
    assert_eq!(sums.udp, 2);
    match (diag::all(), diag::few()) {
        (Ok(all), Ok(few)) => {
            assert_eq!(all, expected);
            assert_eq!(
                (
                    few.tcp.established,
                    few.tcp.time_wait,
                    few.fin_wait2_remains
                ),
                (0, 0, 1)
            );
            assert_eq!(sums.complete(&few), expected);
        }
        (all, few) => println!("this kernel has no tcp_diag: {all:?} {few:?}"),
    }
}

#[test]
fn the_kernels_list_its_text_and_its_sums_tell_the_same() {
    let test = thread::spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => in_a_network_of_its_own(),
        Err(error) => println!("left out, it takes root: {error}"),
    });
    test.join().unwrap();
}
