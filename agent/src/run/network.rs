//! Calls to the service, on the runtime's thread.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::inbox::{Inbox, Message};
use super::keeper::Outgoing;
use crate::aws::Logs;
use crate::ship::{Answer, What};
use crate::target::Target;

/// Performs calls as they come, several at a time, until the engine and the keeper are gone.
pub(super) async fn perform(
    logs: Rc<Logs>,
    mut calls: UnboundedReceiver<Outgoing>,
    inbox: Arc<Inbox>,
) {
    while let Some(Outgoing { call, sha256 }) = calls.recv().await {
        let (logs, inbox) = (Rc::clone(&logs), Arc::clone(&inbox));
        tokio::task::spawn_local(async move {
            let answer = match call.what {
                What::Put { target, body, .. } => {
                    Answer::Put(logs.put(&target, body, sha256).await)
                }
                What::CreateGroup(target) => Answer::Made(logs.create_group(&target).await),
                What::SetRetention(target) => Answer::Made(logs.set_retention(&target).await),
                What::CreateStream(target) => Answer::Made(logs.create_stream(&target).await),
                What::ReadBack {
                    target,
                    first_ms,
                    last_ms,
                } => Answer::Events(logs.read_back(&target, first_ms, last_ms).await),
                // The engine answers these itself.
                What::Recall { .. } => Answer::Events(Ok(Vec::new())),
            };
            inbox.push(Message::Answer(call.id, answer));
        });
    }
}

/// Asks the service for its time whenever the engine has to know it.
pub(super) async fn ask_time(
    logs: Rc<Logs>,
    mut asks: UnboundedReceiver<Arc<Target>>,
    inbox: Arc<Inbox>,
) {
    while let Some(target) = asks.recv().await {
        let told = logs.ask_time(&target).await;
        inbox.push(Message::AskedTime(told));
    }
}
