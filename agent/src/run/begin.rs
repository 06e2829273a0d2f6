//! What has to be there before the first byte is read: who this host is, and the ledger that belongs to it.

use std::path::PathBuf;
use std::time::Duration;

use crate::account::{Fate, Filtered, Span};
use crate::aws::Logs;
use crate::config::Settings;
use crate::host::{Host, HostError, Search};
use crate::ledger::{How, OpenError, Opened, Record, State, Store};
use crate::log::{Level, Log, chain};

/// Between two questions to a metadata service that does not answer.
const METADATA_PAUSE: Duration = Duration::from_secs(2);
/// The subject under which trouble with the host's identity is told.
const IDENTITY: &str = "instance identity";

/// Something the agent stands on is not there.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// It is not known who this host is.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The ledger can't be opened.
    #[error(transparent)]
    Ledger(#[from] OpenError),
    /// The first records can't be written.
    #[error("can't write the ledger in {}: make room on that disk, or set another state_dir", directory.display())]
    Write {
        /// The state directory.
        directory: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Who this host is. On an instance whose metadata does not answer, it asks until it does: without
/// the instance's id nobody could tell whose lines these are.
pub(super) async fn identify(settings: &Settings, log: &Log) -> Result<Host, BeginError> {
    let search = Search::from_environment(settings.instance_id.clone());
    loop {
        match search.run().await {
            Ok(host) => {
                log.cleared(IDENTITY);
                return Ok(host);
            }
            Err(error @ HostError::Metadata { .. }) => {
                log.trouble(Level::Warning, IDENTITY, &chain(&error))
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(METADATA_PAUSE).await;
    }
}

/// The ledger of this host.
pub(super) fn open_ledger(
    settings: &Settings,
    host: &Host,
    log: &Log,
) -> Result<(Store, State), BeginError> {
    let Opened {
        mut store,
        mut state,
        how,
    } = Store::open(&settings.state_dir, &host.instance_id)?;
    match how {
        How::Fresh | How::Resumed => {}
        How::SetAside { to, why } => log.say(
            Level::Error,
            &format!(
                "the ledger can't be trusted: {why}. It is kept as {}",
                to.display()
            ),
        ),
        How::OtherInstance {
            instance_id,
            state: theirs,
            to,
        } => {
            log.say(
                Level::Warning,
                &format!(
                    "this disk is a copy of {instance_id}'s: its ledger is kept as {}, and what it had written to its logs is \
                     not shipped under this host's name",
                    to.display()
                ),
            );
            let records = of_another(&theirs);
            for record in &records {
                // Numbers and spans are those of a state that held together.
                let _ = state.apply(record);
            }
            store.append(&records);
            let directory = settings.state_dir.clone();
            store
                .commit()
                .map_err(|source| BeginError::Write { directory, source })?;
        }
    }
    Ok((store, state))
}

/// What says that everything another instance has seen is that instance's.
fn of_another(theirs: &State) -> Vec<Record> {
    let mut records = Vec::new();
    for (id, generation) in theirs.generations() {
        records.push(Record::Found {
            generation: id,
            identity: generation.identity(),
            set: generation.set().clone(),
            path: generation.path().to_owned(),
            target: generation.target().clone(),
            from: 0,
            at_ms: generation.last_ms(),
        });
        if generation.seen() > 0 {
            records.push(Record::Settled {
                span: Span {
                    generation: id,
                    start: 0,
                    end: generation.seen(),
                },
                fate: Fate::Filtered(Filtered::OtherInstance),
            });
        }
    }
    records
}

/// The first line of a running agent.
pub(super) fn greeting(settings: &Settings, host: &Host, logs: &Logs) -> String {
    let files = settings.files.len();
    format!(
        "baker-agent {}: {} ships {files} file setting{} to CloudWatch Logs in {}",
        env!("CARGO_PKG_VERSION"),
        host.instance_id,
        if files == 1 { "" } else { "s" },
        logs.region(),
    )
}
