#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::socket::{AskError, Socket, ask};
use super::*;

fn account(seen: u64, fates: &[(Fate, u64)], pending: u64) -> Account {
    let mut account = Account {
        seen_bytes: seen,
        pending_bytes: pending,
        ..Account::default()
    };
    for (fate, bytes) in fates {
        account.settle(*fate, *bytes);
    }
    account
}

fn file(path: &str, account: Account) -> FileStatus {
    FileStatus {
        set: path.into(),
        path: path.into(),
        generation: 4,
        ended: false,
        group: "jenkins.domain.com".into(),
        stream: format!("i-1{path}"),
        account,
        oldest_unshipped_ms: None,
        last_error: None,
    }
}

fn status(files: Vec<FileStatus>, running: Option<Running>) -> Status {
    let gone = account(50, &[(Fate::Shipped, 50)], 0);
    Status::new("i-1".into(), 1_000, running, files, gone, Vec::new())
}

#[test]
fn totals_are_the_sum_of_files_and_of_what_is_gone() {
    let a = account(
        100,
        &[(Fate::Shipped, 60), (Fate::Lost(Lost::CopyTruncate), 7)],
        33,
    );
    let b = account(10, &[(Fate::Lost(Lost::CopyTruncate), 10)], 0);
    let status = status(vec![file("/a", a), file("/b", b)], None);
    assert!(status.conserved);
    assert_eq!(status.totals.seen_bytes, 160);
    assert_eq!(status.totals.shipped_bytes, 110);
    assert_eq!(status.totals.lost_bytes["copytruncate"], 17);
    assert_eq!(status.totals.pending_bytes, 33);
}

#[test]
fn a_byte_too_few_or_too_many_is_noticed_and_said() {
    for shipped in [99, 101] {
        let wrong = account(100, &[(Fate::Shipped, shipped)], 0);
        let status = status(vec![file("/a", wrong)], None);
        assert!(!status.conserved);
        assert!(human(&status).contains("does not add up"));
    }
}

#[test]
fn accounts_that_are_wrong_in_opposite_ways_do_not_make_up_for_each_other() {
    let more = account(100, &[(Fate::Shipped, 101)], 0);
    let less = account(100, &[(Fate::Shipped, 99)], 0);
    assert!(!status(vec![file("/a", more), file("/b", less)], None).conserved);
}

#[test]
fn the_text_says_where_every_byte_is_and_why() {
    let account = account(
        1_234,
        &[
            (Fate::Shipped, 1_000),
            (Fate::Filtered(Filtered::Pattern), 100),
            (Fate::Rejected(Rejected::TooOld), 90),
            (Fate::Lost(Lost::Deleted), 40),
        ],
        4,
    );
    let mut file = file("/var/log/syslog", account);
    file.last_error = Some("throttled".into());
    file.oldest_unshipped_ms = Some(61_000);
    let running = Running {
        pid: 7,
        uptime_ms: 3_700_000,
        requests: 9,
        throttled: 2,
        ..Running::default()
    };
    let mut status = status(vec![file], Some(running));
    status
        .complaints
        .push("no credentials; attach a role".into());
    assert_eq!(
        human(&status),
        "\
baker-agent 0.1.0 on i-1: process 7, up 1 h 1 min; every line read has arrived
0 events in 9 requests, 2 throttled

FILE             GENERATION  SEEN  SHIPPED  FILTERED  REJECTED  LOST  PENDING
/var/log/syslog          #4  1234     1000       100        90    40        4
  to jenkins.domain.com i-1/var/log/syslog
  filtered: 100 pattern
  rejected: 90 too_old
  lost: 40 deleted
  oldest line under way: 1 min 1 s
  ! throttled

bytes: 1284 seen = 1050 shipped + 100 filtered + 90 rejected + 40 lost + 4 pending
  50 of them in files that are gone
  filtered: 100 pattern
  rejected: 90 too_old
  lost: 40 deleted

! no credentials; attach a role"
    );
}

/// Whoever may make a file in a folder that is watched gives it a name, and the name goes into streams and complaints.
#[test]
fn no_name_is_obeyed_by_a_terminal_or_passes_for_a_line_of_the_report() {
    let evil = "/a\n/b  #1  0  0  0  0  0  0\x1b[2J\u{9b}2J\u{202e}\u{200b}";
    let mut file = file(evil, account(5, &[], 5));
    file.last_error = Some(evil.into());
    file.group = evil.into();
    let mut status = status(vec![file], Some(Running::default()));
    status.complaints.push(evil.into());
    status.instance_id = evil.into();
    status.metrics = Some(Metering {
        namespace: evil.into(),
        last_error: Some(evil.into()),
        dropped: [(evil.to_owned(), 1)].into(),
        ..Metering::default()
    });
    let text = human(&status);
    let harmful = |text: &str| {
        text.replace('\n', "")
            .contains(diagnostics::terminal::is_harmful)
    };
    assert!(!harmful(&text), "{text:?}");
    assert!(
        !text.lines().any(|line| line.trim_start().starts_with("/b")),
        "{text}"
    );
    assert!(text.contains(r"/a\n/b"), "{text}");
    let document = diagnostics::terminal::json(&status.to_json()).into_owned();
    assert!(!harmful(&document), "{document:?}");
    assert_eq!(serde_json::from_str::<Status>(&document).unwrap(), status);
}

#[test]
fn a_report_survives_its_way_through_the_socket() {
    let directory = tempfile::tempdir().unwrap();
    let sent = status(
        vec![file("/a", account(5, &[], 5))],
        Some(Running::default()),
    );
    assert!(ask(directory.path()).unwrap().is_none(), "nobody is there");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let asked = runtime.block_on(async {
        let socket = Socket::open(directory.path()).unwrap();
        let path = directory.path().to_owned();
        let asking = tokio::task::spawn_blocking(move || [ask(&path), ask(&path)]);
        tokio::select! {
            () = socket.serve(|| async { Some(sent.clone()) }) => unreachable!("it never ends"),
            asked = asking => asked.unwrap(),
        }
    });
    for answer in asked {
        assert_eq!(answer.unwrap().unwrap(), sent);
    }
    assert!(ask(directory.path()).unwrap().is_none(), "it is gone again");
}

#[test]
fn the_socket_of_a_killed_agent_is_nobody_and_in_nobodys_way() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(socket::NAME);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    assert!(ask(directory.path()).unwrap().is_none());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let socket = Socket::open(directory.path()).unwrap();
    let mode = std::fs::metadata(&path).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777,
        0o600
    );
    drop(socket);
    assert!(!path.exists());
}

#[test]
fn an_agent_that_answers_nothing_is_told_from_none() {
    let directory = tempfile::tempdir().unwrap();
    let listener =
        std::os::unix::net::UnixListener::bind(directory.path().join(socket::NAME)).unwrap();
    let mute = std::thread::spawn(move || drop(listener.accept()));
    let answer = ask(directory.path());
    assert!(
        matches!(answer, Err(AskError::Cut { bytes: 0, .. })),
        "{answer:?}"
    );
    mute.join().unwrap();
}

#[test]
fn the_text_says_how_metrics_stand_and_what_the_agent_costs() {
    let running = Running {
        pid: 7,
        uptime_ms: 61_000,
        cost: Some(Cost {
            resident_bytes: 11 << 20,
            peak_bytes: 12 << 20,
            cpu_ms: 440,
        }),
        ..Running::default()
    };
    let mut status = status(Vec::new(), Some(running));
    status.taken_unix_ms = 100_000;
    status.metrics = Some(Metering {
        namespace: "CWAgent".into(),
        interval_ms: 60_000,
        measures: true,
        measured_unix_ms: Some(60_000),
        spooled_points: 24,
        spool_bytes: 524_288,
        oldest_unix_ms: Some(60_000),
        in_doubt: 1,
        sent: 480,
        requests: 23,
        failed: 3,
        throttled: 2,
        dropped: [("too_old".to_owned(), 12)].into(),
        last_error: Some("no permission".into()),
    });
    let text = human(&status);
    let head = "process 7, up 1 min 1 s, 440 ms of processor time, 11.0 MiB of memory; every line read has arrived";
    assert!(text.contains(head), "{text}");
    let metrics = "\
metrics to CWAgent, each 1 min 0 s: measured 40 s ago
480 data sent in 23 requests, 3 failed, 2 throttled, 1 looked for, because the answer was lost; 24 points waiting, the oldest for 40 s
  dropped: 12 too_old
  ! no permission";
    assert!(text.ends_with(metrics), "{text}");
    let json: Status = serde_json::from_str(&status.to_json()).unwrap();
    assert_eq!(json, status);
}

/// What is said of so many files does not fit into any buffer between the two.
#[test]
fn a_report_of_very_many_files_is_whole() {
    const FILES: u64 = 100_000;
    let directory = tempfile::tempdir().unwrap();
    let files = (0..FILES).map(|number| FileStatus {
        generation: number,
        ..file(
            &format!("/var/log/some/application-{number}.log"),
            account(number, &[(Fate::Shipped, number)], 0),
        )
    });
    let sent = status(files.collect(), Some(Running::default()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = runtime.block_on(async {
        let socket = Socket::open(directory.path()).unwrap();
        let path = directory.path().to_owned();
        let asking = tokio::task::spawn_blocking(move || ask(&path));
        tokio::select! {
            () = socket.serve(|| async { Some(sent.clone()) }) => unreachable!("it never ends"),
            answer = asking => answer.unwrap(),
        }
    });
    let got = answer.unwrap().unwrap();
    assert!(got == sent, "{} files", got.files.len());
    let text = human(&got);
    assert_eq!(
        text.matches("/var/log/some/application-").count() as u64,
        2 * FILES
    );
}

#[test]
fn a_report_that_breaks_off_is_told_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let listener =
        std::os::unix::net::UnixListener::bind(directory.path().join(socket::NAME)).unwrap();
    let document = status(vec![file("/a", account(5, &[], 5))], None).to_json();
    let half = document[..document.len() / 2].to_owned();
    let cut = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, half.as_bytes()).unwrap();
    });
    let answer = ask(directory.path());
    cut.join().unwrap();
    let Err(error @ AskError::Cut { .. }) = answer else {
        panic!("{answer:?}");
    };
    assert!(error.to_string().contains("breaks off after"), "{error}");
}
