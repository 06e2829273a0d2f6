//! The SSH adapter against a real sshd.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/sshd.rs"]
mod sshd;

use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use baker::events::{Event, Events};
use baker::keys::KeyPair;
use baker::remote::{Command, ExitStatus, Host, HostError, OutputLine, OutputStream, Stdin};
use baker::ssh::{ConnectError, Ssh};

use sshd::Sshd;

const SOON: Duration = Duration::from_secs(20);

async fn connect(sshd: &Sshd) -> Ssh {
    Ssh::connect(sshd.target(), SOON, &Events::discard())
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", sshd.log()))
}

fn command(line: &str) -> Command {
    Command {
        line: line.into(),
        stdin: Stdin::Empty,
        timeout: SOON,
    }
}

async fn run(ssh: &Ssh, command: Command) -> (Result<ExitStatus, HostError>, Vec<OutputLine>) {
    let mut lines = Vec::new();
    let status = ssh.run(command, &mut |line| lines.push(line)).await;
    (status, lines)
}

fn texts(lines: &[OutputLine], stream: OutputStream) -> Vec<&str> {
    lines
        .iter()
        .filter(|line| line.stream == stream)
        .map(|line| line.text.as_str())
        .collect()
}

#[tokio::test]
async fn output_status_and_signal_come_back() {
    let sshd = Sshd::start();
    let ssh = connect(&sshd).await;
    let (status, lines) = run(&ssh, command("echo a; echo b >&2; printf c; exit 7")).await;
    assert_eq!(status.unwrap(), ExitStatus::Code(7));
    assert_eq!(texts(&lines, OutputStream::Stdout), ["a", "c"]);
    assert_eq!(texts(&lines, OutputStream::Stderr), ["b"]);
    let (status, _) = run(&ssh, command("kill -TERM $$")).await;
    assert_eq!(status.unwrap(), ExitStatus::Signal("TERM".into()));
}

#[tokio::test]
async fn lines_come_while_the_command_runs() {
    let sshd = Sshd::start();
    let ssh = connect(&sshd).await;
    let started = Instant::now();
    let mut first = None;
    ssh.run(command("echo early; sleep 1; echo late"), &mut |_| {
        first.get_or_insert(started.elapsed());
    })
    .await
    .unwrap();
    assert!(first.unwrap() < Duration::from_millis(800), "{first:?}");
}

#[tokio::test]
async fn a_flood_of_output_on_both_streams_arrives_whole() {
    let sshd = Sshd::start();
    let ssh = connect(&sshd).await;
    let (status, lines) = run(&ssh, command("seq 50000 & seq 50000 >&2; wait")).await;
    assert_eq!(status.unwrap(), ExitStatus::Code(0));
    for stream in [OutputStream::Stdout, OutputStream::Stderr] {
        let numbers = texts(&lines, stream);
        assert_eq!(numbers.len(), 50_000);
        assert!(
            numbers
                .iter()
                .enumerate()
                .all(|(at, text)| *text == (at + 1).to_string())
        );
    }
}

#[tokio::test]
async fn a_host_that_boots_slowly_is_waited_for_and_seen_soon() {
    let mut sshd = Sshd::prepare();
    let (events, seen) = Events::channel();
    let target = sshd.target();
    let started = Instant::now();
    let connecting = tokio::spawn(async move { Ssh::connect(target, SOON, &events).await });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    sshd.listen("host_key");
    let up = started.elapsed();
    connecting.await.unwrap().unwrap();
    let late = started.elapsed() - up;
    assert!(
        late < Duration::from_millis(1200),
        "{late:?} after it was started"
    );
    let details: Vec<String> = seen
        .try_iter()
        .filter_map(|stamped| match stamped.event {
            Event::Waiting { detail, .. } => Some(detail),
            _ => None,
        })
        .collect();
    assert!(
        details.iter().any(|detail| detail.contains("refused")),
        "{details:?}"
    );
}

#[tokio::test]
async fn another_host_key_is_refused_at_once_and_nobody_logs_in() {
    let mut sshd = Sshd::prepare();
    sshd.write_private("other", KeyPair::generate("").unwrap().private_openssh());
    sshd.listen("other");
    let started = Instant::now();
    let error = Ssh::connect(sshd.target(), SOON, &Events::discard())
        .await
        .unwrap_err();
    assert!(
        matches!(error, ConnectError::WrongHostKey { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("SHA256:"), "{error}");
    assert!(started.elapsed() < SOON / 2);
    let log = sshd.log();
    for word in ["userauth", "Failed", "Accepted", "Postponed"] {
        assert!(
            !log.contains(word),
            "an authentication was attempted:\n{log}"
        );
    }
}

#[tokio::test]
async fn a_host_with_only_another_kind_of_key_is_never_reached() {
    let mut sshd = Sshd::prepare();
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ecdsa", "-N", "", "-f"])
        .arg(sshd.path("ecdsa"))
        .status()
        .unwrap();
    assert!(made.success());
    sshd.listen("ecdsa");
    let bound = Duration::from_secs(2);
    let error = Ssh::connect(sshd.target(), bound, &Events::discard())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("SSH handshake"), "{error}");
}

#[tokio::test]
async fn a_key_that_is_authorised_late_is_waited_for() {
    let sshd = Sshd::start();
    let key = fs::read(sshd.path("authorized_keys")).unwrap();
    fs::write(sshd.path("authorized_keys"), "").unwrap();
    let late = sshd.path("authorized_keys");
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        fs::write(late, key).unwrap();
    });
    connect(&sshd).await;
}

#[tokio::test]
async fn whoever_never_speaks_ssh_is_reported_with_what_was_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let mut target = Sshd::prepare().target();
    target.address = address;
    let bound = Duration::from_secs(1);
    let error = Ssh::connect(target, bound, &Events::discard())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("gave up waiting for SSH on {address} after 1.0 s")),
        "{error}"
    );
    assert!(error.contains("SSH handshake"), "{error}");
}

#[tokio::test]
async fn a_stream_arrives_byte_for_byte() {
    let sshd = Sshd::start();
    let ssh = connect(&sshd).await;
    let bytes: Vec<u8> = (0..30_000_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let sent = bytes.clone();
    let file = sshd.path("received");
    let mut upload = command(&format!("cat > {}", file.display()));
    upload.stdin = Stdin::Stream(Box::new(move |pipe| {
        sent.chunks(70_001)
            .try_for_each(|chunk| pipe.write_all(chunk))
    }));
    let (status, _) = run(&ssh, upload).await;
    assert_eq!(status.unwrap(), ExitStatus::Code(0));
    assert!(fs::read(&file).unwrap() == bytes, "the file differs");

    let mut small = command("cat");
    small.stdin = Stdin::Bytes(b"one\ntwo".to_vec());
    let (_, lines) = run(&ssh, small).await;
    assert_eq!(texts(&lines, OutputStream::Stdout), ["one", "two"]);
}

#[tokio::test]
async fn a_command_that_ignores_its_input_still_ends_with_its_status() {
    let sshd = Sshd::start();
    let ssh = connect(&sshd).await;
    let mut deaf = command("exit 3");
    deaf.stdin = Stdin::Stream(Box::new(|pipe| {
        loop {
            pipe.write_all(&[0; 65_536])?;
        }
    }));
    let (status, _) = run(&ssh, deaf).await;
    assert_eq!(status.unwrap(), ExitStatus::Code(3));
}

#[tokio::test]
async fn input_that_cannot_be_made_is_its_own_error() {
    let sshd = Sshd::start();
    let ssh = connect(&sshd).await;
    let mut broken = command("cat > /dev/null");
    broken.stdin = Stdin::Stream(Box::new(|pipe| {
        pipe.write_all(b"some")?;
        Err(io::Error::other("the disk is on fire"))
    }));
    let (status, _) = run(&ssh, broken).await;
    let Err(HostError::Input(cause)) = status else {
        panic!("{status:?}");
    };
    assert_eq!(cause.to_string(), "the disk is on fire");
    let (status, _) = run(&ssh, command("true")).await;
    assert_eq!(status.unwrap(), ExitStatus::Code(0));
}

#[tokio::test]
async fn a_time_out_ends_the_wait_and_the_next_command_runs() {
    let sshd = Sshd::start();
    let ssh = connect(&sshd).await;
    let mut endless = command("while :; do echo x; done");
    // Long enough for the first line, however busy the machine.
    endless.timeout = Duration::from_secs(3);
    let (status, lines) = run(&ssh, endless).await;
    assert!(
        matches!(status, Err(HostError::TimedOut { .. })),
        "{status:?}"
    );
    assert!(!lines.is_empty());
    let (status, _) = run(&ssh, command("true")).await;
    assert_eq!(status.unwrap(), ExitStatus::Code(0));
}

#[tokio::test]
async fn a_cancelled_command_leaves_nothing_for_the_next_one() {
    let sshd = Sshd::start();
    let ssh = connect(&sshd).await;
    let mut flood = command("sleep 30");
    flood.stdin = Stdin::Stream(Box::new(|pipe| {
        loop {
            pipe.write_all(&[0; 65_536])?;
        }
    }));
    let cancelled = tokio::time::timeout(Duration::from_millis(500), run(&ssh, flood)).await;
    assert!(cancelled.is_err());
    let (status, lines) = run(&ssh, command("echo next")).await;
    assert_eq!(status.unwrap(), ExitStatus::Code(0));
    assert_eq!(texts(&lines, OutputStream::Stdout), ["next"]);
}

#[tokio::test]
async fn two_commands_run_at_the_same_time() {
    let sshd = Sshd::start();
    let ssh = connect(&sshd).await;
    let fifo = sshd.path("fifo");
    // Each end of a named pipe waits for the other: neither command ends alone.
    let made = std::process::Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .unwrap();
    assert!(made.success());
    let (wrote, read) = tokio::join!(
        run(&ssh, command(&format!("echo met > {}", fifo.display()))),
        run(&ssh, command(&format!("cat {}", fifo.display()))),
    );
    assert_eq!(wrote.0.unwrap(), ExitStatus::Code(0));
    assert_eq!(texts(&read.1, OutputStream::Stdout), ["met"]);
}

#[tokio::test]
async fn a_broken_connection_is_lost_and_the_next_command_reconnects() {
    let sshd = Sshd::start();
    let ssh = connect(&sshd).await;
    let (status, _) = run(&ssh, command("kill -KILL $PPID; sleep 5")).await;
    assert!(matches!(status, Err(HostError::Lost(_))), "{status:?}");
    let (status, _) = run(&ssh, command("true")).await;
    assert_eq!(status.unwrap(), ExitStatus::Code(0));
}
