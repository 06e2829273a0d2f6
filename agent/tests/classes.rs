//! Groups whose streams can't be read, only searched: a batch whose answer was lost is looked for by a query, and every line arrives once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use lab::logs::{Config, Endpoint, Kind, Script, Settings, When};
use support::agent::{BakerAgent, Running, Setup, quiet};
use support::wait;

/// Only a test that fails takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

fn endpoint() -> Endpoint {
    let config = Config {
        settings: Settings {
            credentials: None,
            ..Settings::default()
        },
        ..Config::default()
    };
    Endpoint::start(config).unwrap()
}

/// A running agent that sends `app.log` to a group of `class`.
fn start(endpoint: &Endpoint, folder: &Path, class: &str) -> Running {
    let mut text = String::new();
    write!(
        text,
        "[agent]\nstate_dir = \"{0}/state\"\nregion = \"us-east-1\"\ninstance_id = \"i-1\"\nendpoint_url = {1:?}\n\
         [ship]\nflush_interval = \"40ms\"\nsettle = \"0s\"\n\
         [[file]]\npath = \"{0}/app.log\"\ngroup = \"app\"\nstream = \"i-1 \\\"app\\\"\"\nclass = \"{class}\"\n\
         format = \"%F %T\"\ntimezone = \"UTC\"\n",
        folder.display(),
        endpoint.url(),
    )
    .unwrap();
    let config = folder.join("agent.toml");
    fs::write(&config, text).unwrap();
    let setup = Setup::new(&endpoint.url(), folder, Vec::new());
    let mut command = quiet(&BakerAgent::built().program);
    command.args(["run", "--config"]).arg(&config);
    Running::spawn(command, &setup)
}

/// Two days ago, when there was no group yet, and now.
fn stamps() -> [String; 2] {
    let now = jiff::Timestamp::now();
    [48, 0].map(|hours| {
        let then = now - jiff::SignedDuration::from_hours(hours);
        then.strftime("%F %T").to_string()
    })
}

#[test]
fn every_line_arrives_once_in_groups_that_are_only_searched() {
    for (class, name) in [
        ("infrequent_access", "INFREQUENT_ACCESS"),
        ("essentials", "ESSENTIALS"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = endpoint();
        let stream = "i-1 \"app\"";
        // Some are taken and their answers lost, of some a part is taken.
        endpoint.set_faults(Script::put_log_events([
            (When::Every(2), Kind::Reset { taken: true }),
            (
                When::Every(3),
                Kind::TakeFirst {
                    events: 7,
                    status: 503,
                },
            ),
        ]));
        let mut log = File::create(folder.path().join("app.log")).unwrap();
        let mut written = Vec::new();
        let agent = start(&endpoint, folder.path(), class);
        for round in 0..6 {
            let mut lines = String::new();
            // The same stamp for all of a round, so that only messages tell lines apart; and some that nothing tells apart.
            for stamp in stamps() {
                for number in 0..20 {
                    written.push(format!("{stamp} round {round} line {}", number % 15));
                    writeln!(lines, "{}", written[written.len() - 1]).unwrap();
                }
            }
            log.write_all(lines.as_bytes()).unwrap();
            let all = wait::until(PATIENCE, Duration::from_millis(5), || {
                (endpoint.messages("app", stream).len() >= written.len()).then_some(())
            });
            assert!(
                all.is_some(),
                "{class}, round {round}: {} of {}; {}",
                endpoint.messages("app", stream).len(),
                written.len(),
                agent.said()
            );
        }
        let ended = agent.terminate(PATIENCE);
        assert_eq!(ended.status.code(), Some(0), "all was sent");
        let counted = |lines: Vec<String>| {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            lines
                .into_iter()
                .for_each(|line| *counts.entry(line).or_default() += 1);
            counts
        };
        assert_eq!(counted(endpoint.messages("app", stream)), counted(written));
        assert_eq!(endpoint.group("app").unwrap().1, name);
        let operations = endpoint.stats().operations;
        let asked = |name: &str| operations.get(name).copied().unwrap_or_default();
        assert!(
            asked("StartQuery") > 2 && asked("GetQueryResults") > 2,
            "{operations:?}"
        );
        let streams = class == "essentials";
        assert_eq!(asked("GetLogEvents") > 0, streams, "{operations:?}");
    }
}
