//! The account: what was written, and what is in CloudWatch.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bakery::{Bakery, until_within};
use super::cloud::{self, Event, Streams};
use super::guest::Guest;

/// A line is in CloudWatch well within a minute.
const DELAY_MS_MAX: i64 = 60_000;
/// In a quiet hour 99 of 100 lines are faster than this.
const QUIET_MS_P99: i64 = 2_000;

/// A host's logs: the group, and of each the stream, without the instance's id, and the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Logs {
    pub(crate) group: &'static str,
    pub(crate) files: &'static [(&'static str, &'static str)],
}

/// Lines, and how often each is there.
pub(crate) type Counted = BTreeMap<String, usize>;

impl Logs {
    /// Each log's lines as they are on the host's disk now, in the order in which they were written: rotated ones, too.
    pub(crate) async fn on_disk(self, guest: &Guest) -> Vec<(&'static str, Vec<String>)> {
        let mut written = Vec::new();
        for (stream, file) in self.files {
            // By number, the highest first; the newest may be about to be compressed.
            let text = guest
                .ask(&format!(
                    "sudo sh -c 'for n in 9 8 7 6 5 4 3 2 1; do for copy in {file}.$n.gz {file}.$n; do \
                     [ ! -e $copy ] || zcat -f $copy; done; done; cat {file}'"
                ))
                .await;
            written.push((*stream, text.lines().map(str::to_owned).collect()));
        }
        written
    }

    /// Awaits that each line which is on the host's disk now is in its stream, as often as on the disk, and tells how many there are.
    pub(crate) async fn all_arrived(
        self,
        bakery: &Bakery,
        guest: &Guest,
        limit: Duration,
    ) -> Streams {
        let written = self.on_disk(guest).await;
        let (streams, total) = self.arrived_as(bakery, guest, written, limit).await;
        println!("{total} lines on the disk, each in CloudWatch as often");
        streams
    }

    /// Awaits that each of these lines is in the host's streams, as often as it is here, and says how many they are.
    pub(crate) async fn arrived_as(
        self,
        bakery: &Bakery,
        guest: &Guest,
        written: Vec<(&'static str, Vec<String>)>,
        limit: Duration,
    ) -> (Streams, usize) {
        let written: Vec<(&str, Counted)> = written
            .into_iter()
            .map(|(stream, lines)| (stream, counted(lines)))
            .collect();
        let streams = until_within(limit, "every line", || async {
            let streams = cloud::events(bakery, self.group);
            let all = written.iter().all(|(stream, lines)| {
                let arrived = arrived(&streams, &guest.id, stream);
                lines.keys().all(|line| arrived.contains_key(line))
            });
            all.then_some(streams)
        })
        .await;
        for (stream, lines) in &written {
            let arrived = arrived(&streams, &guest.id, stream);
            let wrong: Vec<_> = lines
                .iter()
                .map(|(line, times)| (line, times, arrived.get(line)))
                .filter(|(_, times, arrived)| *arrived != Some(times))
                .collect();
            if !wrong.is_empty() {
                let said = guest
                    .ask("sudo baker-agent status; sudo journalctl --no-pager --unit=baker-agent | tail -n 20; ls -il --time-sort --full-time /var/log/*/ | cut -c1-150")
                    .await;
                panic!(
                    "{}/{stream}: {} lines are not there as often as written: (line, written, arrived): {wrong:#?}\n{said}",
                    guest.id,
                    wrong.len()
                );
            }
        }
        let total = written.iter().flat_map(|(_, lines)| lines.values()).sum();
        (streams, total)
    }
}

/// The lines of one stream of an instance. An event may be several.
pub(crate) fn arrived(streams: &Streams, instance: &str, stream: &str) -> Counted {
    let events = streams.get(&format!("{instance}/{stream}"));
    let events = events.map(Vec::as_slice).unwrap_or_default();
    let lines = events.iter().flat_map(|event| event.message.lines());
    counted(lines.map(str::to_owned))
}

pub(crate) fn counted(lines: impl IntoIterator<Item = String>) -> Counted {
    let mut counted = Counted::new();
    for line in lines {
        *counted.entry(line).or_default() += 1;
    }
    counted
}

/// From a line's own time to CloudWatch.
#[derive(Debug)]
pub(crate) struct Delays(Vec<i64>);

impl Delays {
    /// Of the events that tell of `name`, in all streams of an instance.
    ///
    /// nginx and gunicorn write whole seconds: their lines look up to a second later than they are.
    pub(crate) fn of(streams: &Streams, instance: &str, name: &str) -> Self {
        let own = streams
            .iter()
            .filter(|(stream, _)| stream.starts_with(&format!("{instance}/")));
        let events = own
            .flat_map(|(_, events)| events)
            .filter(|event: &&Event| event.message.contains(name));
        let mut delays: Vec<i64> = events.map(|event| event.delay_ms).collect();
        delays.sort_unstable();
        Self(delays)
    }

    /// The delay that `percent` of them do not exceed.
    fn at(&self, percent: usize) -> i64 {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    pub(crate) fn max(&self) -> i64 {
        self.at(100)
    }

    pub(crate) fn tell(&self, what: &str) {
        assert!(!self.0.is_empty(), "{what}: no line");
        println!(
            "{what}: line to CloudWatch: p50 {} ms, p99 {} ms, max {} ms of {} lines",
            self.at(50),
            self.at(99),
            self.max(),
            self.0.len()
        );
    }

    /// What holds while nothing goes wrong.
    pub(crate) fn hold_in_quiet(&self, what: &str) {
        self.tell(what);
        assert!(self.at(99) < QUIET_MS_P99, "p99 is {} ms", self.at(99));
        assert!(self.max() < DELAY_MS_MAX, "{} ms", self.max());
    }

    /// What holds whatever goes wrong, as long as there is a network.
    pub(crate) fn hold(&self, what: &str) {
        self.tell(what);
        assert!(self.max() < DELAY_MS_MAX, "{what}: {} ms", self.max());
    }
}
