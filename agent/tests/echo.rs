//! What the agent says comes back to it: on a host, journald copies the journal to syslog, and syslog is shipped. Here its stderr is the file that
//! it follows, and the service makes it complain of every request.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use support::agent::Followed;
use support::endpoint::Fault;
use support::ground::{GROUP, Ground};

/// Lines that the agent says at its start, of so many files whose names can't be made: most of what it may say at once.
const COMPLAINTS: usize = 190;

/// Only a test that fails takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Not a test: this program again, as the endpoint of the others.
#[test]
fn endpoint_process() {
    support::endpoint::serve_if_asked();
}

#[test]
fn an_agent_that_ships_its_own_complaints_does_not_feed_itself() {
    let mut ground = Ground::new("echo", &["work.log"]);
    let said = ground.log("said.log");
    File::create(&said).unwrap();
    for number in 0..COMPLAINTS {
        File::create(ground.log(&format!("nameless-{number:03}.log"))).unwrap();
    }
    let followed = |path: &Path, group: &str, stream: &str| Followed {
        format: "none",
        ..Followed::access(path, group, stream)
    };
    ground.setup.files = vec![
        followed(&said, GROUP, "said"),
        followed(&ground.log("work.log"), GROUP, "work"),
        followed(&ground.log("nameless-*.log"), "{tag:none}", "none"),
    ];
    ground.setup.flush = Some(Duration::from_millis(40));
    let started = Instant::now();
    ground.start();
    let mut work = File::create(ground.log("work.log")).unwrap();
    let mut rounds = 0;
    while !read(&said).contains("lines were left out here") {
        assert!(
            started.elapsed() < PATIENCE,
            "{} lines, none left out",
            read(&said).lines().count()
        );
        // Three failures are complained of, the success after them is good news: two lines more to ship.
        ground.endpoint.faults(&[(Fault::Throttle, 1.0)], rounds);
        writeln!(work, "round {rounds}").unwrap();
        ground.until("failures", || ground.endpoint.faults_met() > 4);
        ground.endpoint.faults(&[], rounds);
        ground.until("what was written", || arrived(&ground, "work") > rounds);
        rounds += 1;
    }
    let told = read(&said).lines().count();
    let complained = arrived(&ground, "said");
    println!("{rounds} rounds, {told} lines said, {complained} of them shipped");
    assert!(complained > 0, "its own lines come back to it");
    // In the long run one line in ten seconds, and one beside it that counts the others.
    let paced = 2 * (started.elapsed().as_secs() as usize / 10 + 1);
    assert!(told <= 200 + paced, "{told} lines, {paced} in the long run");
}

fn read(said: &Path) -> String {
    fs::read_to_string(said).unwrap()
}

fn arrived(ground: &Ground, stream: &str) -> u64 {
    let mut events = 0;
    if !ground.endpoint.streams(GROUP).iter().any(|it| it == stream) {
        return 0;
    }
    ground.endpoint.each_event(GROUP, stream, |_| events += 1);
    events
}
