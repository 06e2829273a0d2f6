//! What was asked of the lab: a count for each operation, and a line of JSON for each request.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::identify::Operation;

/// Counts and logs requests.
#[derive(Debug)]
pub struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    counts: BTreeMap<String, u64>,
    log: Option<File>,
}

/// One line of the log.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    client: IpAddr,
    service: &'a str,
    operation: &'a str,
    region: &'a str,
    status: u16,
    duration_ms: f64,
}

impl Ledger {
    /// A ledger that appends its lines to the file `log`.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn create(log: &Path) -> io::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        Ok(Self {
            inner: Mutex::new(Inner {
                counts: BTreeMap::new(),
                log: Some(log),
            }),
        })
    }

    /// How often each operation was asked for, whatever the answer was: `ec2:RunInstances` → 2.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().counts.clone()
    }

    pub(super) fn record(
        &self,
        client: IpAddr,
        operation: &Operation,
        status: u16,
        duration: Duration,
    ) {
        let line = Line {
            time: format!("{:.3}", jiff::Timestamp::now()),
            client,
            service: &operation.service,
            operation: &operation.name,
            region: &operation.region,
            status,
            duration_ms: (duration.as_secs_f64() * 1e6).round() / 1e3,
        };
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        let mut inner = self.lock();
        *inner
            .counts
            .entry(format!("{}:{}", operation.service, operation.name))
            .or_default() += 1;
        if let Some(log) = &mut inner.log
            && let Err(error) = log.write_all(&text)
        {
            // The requests matter more than their log: say it once, if anybody still listens, and go on without.
            inner.log = None;
            let _ = writeln!(
                io::stderr(),
                "lab: the request log cannot be written and ends here: {error}"
            );
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn each_request_is_one_line_and_one_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("requests.jsonl");
        let ledger = Ledger::create(&path).unwrap();
        let operation = |name: &str| Operation {
            service: "ec2".into(),
            name: name.into(),
            region: "us-east-1".into(),
        };
        let client = IpAddr::from([127, 0, 0, 1]);
        ledger.record(
            client,
            &operation("RunInstances"),
            200,
            Duration::from_micros(1500),
        );
        ledger.record(client, &operation("RunInstances"), 400, Duration::ZERO);
        ledger.record(client, &operation("StopInstances"), 200, Duration::ZERO);

        let counts: Vec<_> = ledger.counts().into_iter().collect();
        assert_eq!(
            counts,
            [
                ("ec2:RunInstances".to_owned(), 2),
                ("ec2:StopInstances".to_owned(), 1)
            ]
        );
        let lines: Vec<serde_json::Value> = std::fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["operation"], "RunInstances");
        assert_eq!(lines[0]["duration_ms"], 1.5);
        assert_eq!(lines[1]["status"], 400);
        assert!(
            lines[0]["time"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .is_ok()
        );
    }
}
