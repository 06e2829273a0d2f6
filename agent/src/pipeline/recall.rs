//! What is known to have landed: needed where a batch may have landed too, and lines repeat within one stamp.

use std::sync::Arc;

use crate::target::Target;

use super::Engine;
use super::reread::reread;

impl Engine {
    /// The events of `target` stamped within the window that are known to be at rest there.
    ///
    /// Generations that are gone are left out: their lines may then be taken for those in doubt, which
    /// matters only where both are the same text in the same millisecond.
    pub(super) fn recall(
        &mut self,
        target: &Arc<Target>,
        first_ms: i64,
        last_ms: i64,
    ) -> Vec<(i64, String)> {
        let mut events = Vec::new();
        for span in self.books.state.landed_spans(target, first_ms, last_ms) {
            let Some(source) = self.sources.get(&span.generation) else {
                continue;
            };
            let plan = &self.plans[source.set];
            // What can't be read is left out like what is gone.
            let _ = reread(&mut self.files, plan, span, last_ms, |again| {
                if (first_ms..=last_ms).contains(&again.unix_ms) {
                    events.push((again.unix_ms, again.message.to_owned()));
                }
            });
        }
        events
    }
}
