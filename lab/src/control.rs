//! The lab's own questions and orders, over a socket in its folder: what `lab status`, `lab ssh` and `lab notice` ask a running lab.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::front_door::Ledger;
use crate::metadata::{Notice, Notices};
use crate::records::InstanceState;
use crate::site::Site;

/// One line from the command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub(crate) enum Ask {
    /// Hosts, images and request counts.
    Status,
    /// Gives a host a notice.
    Notice { instance: String, notice: Notice },
}

/// A running lab, as `lab status` shows it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) hosts: Vec<HostStatus>,
    pub(crate) images: Vec<ImageStatus>,
    /// Requests answered, by `service:Operation`.
    pub(crate) requests: BTreeMap<String, u64>,
}

/// One instance that is not terminated.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HostStatus {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) state: InstanceState,
    pub(crate) address: Option<String>,
    pub(crate) image: String,
    /// Pid of the host's process 1 on this machine, while it runs.
    pub(crate) leader: Option<i32>,
}

/// One image that was made in the lab.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImageStatus {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Status(Status),
    Done,
    Refused(String),
}

/// Asks a running lab for its status.
pub(crate) fn status(socket: &Path) -> Result<Status> {
    match ask(socket, &Ask::Status)? {
        Answer::Status(status) => Ok(status),
        other => bail!("the lab gave an unexpected answer: {other:?}"),
    }
}

/// Gives a host a notice.
pub(crate) fn give_notice(socket: &Path, instance: &str, notice: Notice) -> Result<()> {
    match ask(
        socket,
        &Ask::Notice {
            instance: instance.to_owned(),
            notice,
        },
    )? {
        Answer::Done => Ok(()),
        Answer::Refused(why) => bail!("{why}"),
        Answer::Status(_) => bail!("the lab gave an unexpected answer"),
    }
}

fn ask(socket: &Path, ask: &Ask) -> Result<Answer> {
    let mut stream = BlockingStream::connect(socket)
        .with_context(|| format!("could not reach the lab at {}", socket.display()))?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10)))?;
    writeln!(stream, "{}", serde_json::to_string(ask)?)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    serde_json::from_str(&line).context("the lab's answer was cut off; see its lab.log")
}

/// The side that runs in the lab.
pub(crate) struct Server {
    listener: UnixListener,
    site: Arc<Site>,
    notices: Arc<Notices>,
    requests: Arc<Ledger>,
}

impl Server {
    pub(crate) fn bind(
        socket: &Path,
        site: Arc<Site>,
        notices: Arc<Notices>,
        requests: Arc<Ledger>,
    ) -> Result<Self> {
        let listener = UnixListener::bind(socket)
            .with_context(|| format!("could not listen on {}", socket.display()))?;
        Ok(Self {
            listener,
            site,
            notices,
            requests,
        })
    }

    /// Answers until cancelled, one question at a time: each is answered from memory.
    pub(crate) async fn serve(self) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(crate::front_door::ACCEPT_PAUSE).await;
                continue;
            };
            if let Err(error) = self.answer(stream).await {
                self.site.log.line(&format!("control: {error:#}"));
            }
        }
    }

    async fn answer(&self, stream: UnixStream) -> Result<()> {
        let mut stream = tokio::io::BufReader::new(stream);
        let mut line = String::new();
        tokio::time::timeout(
            std::time::Duration::from_secs(5),
            stream.read_line(&mut line),
        )
        .await??;
        let answer = match serde_json::from_str(&line)? {
            Ask::Status => Answer::Status(self.status()),
            Ask::Notice { instance, notice } => {
                if self
                    .site
                    .hub
                    .records()
                    .instances
                    .iter()
                    .any(|one| one.id == instance)
                {
                    self.notices.give(&instance, notice);
                    Answer::Done
                } else {
                    Answer::Refused(format!("the lab has no instance {instance}"))
                }
            }
        };
        stream
            .get_mut()
            .write_all((serde_json::to_string(&answer)? + "\n").as_bytes())
            .await?;
        Ok(())
    }

    fn status(&self) -> Status {
        let records = self.site.hub.records();
        let hosts = records
            .instances
            .iter()
            .filter(|one| one.state != InstanceState::Terminated)
            .map(|one| HostStatus {
                id: one.id.clone(),
                name: one.tags.get("Name").cloned(),
                state: one.state,
                address: one.private_ip.clone(),
                image: one.image_id.clone(),
                leader: self.site.leader(&one.id),
            });
        let images = records
            .images
            .iter()
            .filter(|one| one.source_instance_id.is_some())
            .map(|one| ImageStatus {
                id: one.id.clone(),
                name: one.name.clone(),
                state: one.state.clone(),
            });
        Status {
            hosts: hosts.collect(),
            images: images.collect(),
            requests: self.requests.counts(),
        }
    }
}
