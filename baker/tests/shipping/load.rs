//! Load on a host.

use super::bakery::until;
use super::guest::Guest;

/// Rounds a second.
const RATE: usize = 25;
const SCRIPT: &str = include_str!("load.py");

/// Rounds of a line through syslog and a request through nginx, numbered, all under one name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// What is asked for, without the name.
    pub(crate) path: &'static str,
}

impl Load {
    /// So many rounds, one after the other, as fast as they go; returns when the last line is written.
    pub(crate) async fn burst(self, guest: &Guest, name: &str, rounds: usize) {
        install(guest).await;
        let path = self.path;
        guest
            .ask(&format!(
                "python3 /tmp/load.py {path} {name} 100000 {rounds}"
            ))
            .await;
    }

    /// So many seconds of rounds, evenly; returns when the last line is written.
    pub(crate) async fn steady(self, guest: &Guest, name: &str, seconds: usize) {
        self.begin(guest, name, seconds).await;
        until("the load to end", || async {
            let state = guest
                .ask(&format!("systemctl is-active load-{name} || true"))
                .await;
            (state == "inactive").then_some(())
        })
        .await;
    }

    /// Begins rounds that go on by themselves, as a service: so it ends in its turn when the host goes down.
    pub(crate) async fn begin(self, guest: &Guest, name: &str, seconds: usize) {
        install(guest).await;
        let (path, rounds) = (self.path, self.rounds(seconds));
        guest
            .ask(&format!(
                "sudo systemd-run --quiet --unit=load-{name} python3 /tmp/load.py {path} {name} {RATE} {rounds}"
            ))
            .await;
        guest
            .ask(&format!(
                "until sudo grep -q '{name} 0\\.' /var/log/syslog; do sleep 0.05; done"
            ))
            .await;
    }

    /// How many rounds take so long.
    pub(crate) fn rounds(self, seconds: usize) -> usize {
        seconds * RATE
    }

    /// Ends what [`begin`](Self::begin) began; returns when the last line is written.
    pub(crate) async fn end(self, guest: &Guest, name: &str) {
        guest.ask(&format!("sudo systemctl stop load-{name}")).await;
    }
}

async fn install(guest: &Guest) {
    guest
        .ask(&format!(
            "cat >/tmp/load.py.new <<'PYTHON' && mv /tmp/load.py.new /tmp/load.py\n{SCRIPT}\nPYTHON"
        ))
        .await;
}
