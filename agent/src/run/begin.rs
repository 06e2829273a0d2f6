//! What has to be there before the first byte is read: who this host is, and the ledger that belongs to it.

use std::path::PathBuf;
use std::time::Duration;

use crate::aws::Logs;
use crate::clock::Now;
use crate::config::Settings;
use crate::host::{Host, HostError, Search};
use crate::ledger::{self, How, OpenError, Opened, Record, State, Store};
use crate::log::{Level, Log, chain};
use crate::pipeline::{self, Engine};
use crate::tail::Survey;

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

/// How long the files are before anything of this boot writes to them, if the state directory has been used before: on a copied disk
/// that tells what another host has written. The unit starts before those whose logs it reads.
pub(super) fn survey(settings: &Settings) -> Option<Survey> {
    let used = ledger::is_there(&settings.state_dir);
    used.then(|| Survey::of(settings.files.iter().map(|file| &file.set)))
}

/// An open ledger, and whether it begins on a copy of another host's disk: then what that host has written is still to be
/// [disowned](disown).
pub(super) struct Begun {
    pub(super) store: Store,
    pub(super) state: State,
    pub(super) copied: bool,
}

/// The ledger of this host.
pub(super) fn open_ledger(
    settings: &Settings,
    host: &Host,
    log: &Log,
) -> Result<Begun, BeginError> {
    let Opened {
        mut store,
        mut state,
        how,
    } = Store::open(&settings.state_dir, &host.instance_id)?;
    let mut copied = false;
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
            keep(&pipeline::seen_by_another(&theirs), &mut store, &mut state);
            copied = true;
        }
    }
    Ok(Begun {
        store,
        state,
        copied,
    })
}

/// Writes down that what was in the files at the `survey` is another host's. Until that is durable, the ledger is the other host's.
pub(super) fn disown(
    engine: &mut Engine,
    survey: &Survey,
    begun: &mut Begun,
    settings: &Settings,
    now: Now,
) -> Result<(), BeginError> {
    let records = engine.disown(survey, now);
    keep(&records, &mut begun.store, &mut begun.state);
    let directory = settings.state_dir.clone();
    begun
        .store
        .commit()
        .map_err(|source| BeginError::Write { directory, source })
}

fn keep(records: &[Record], store: &mut Store, state: &mut State) {
    for record in records {
        // Numbers and spans are those of a state that held together.
        let _ = state.apply(record);
    }
    store.append(records);
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
