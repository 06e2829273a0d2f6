//! The batches that landed lately, by stream: what a read-back will find there besides the batch it looks for.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::account::{BatchId, Span};
use crate::target::Target;

use super::{Intent, Record};

/// Landed batches that are remembered per stream. A read-back looks at the few seconds that a batch spans; at the
/// highest rate of requests to one stream, this many batches are more seconds than a batch stays in doubt.
const PER_STREAM: usize = 128;

/// Per stream, also when batches that are still in doubt ask for more.
const PER_STREAM_IN_DOUBT: usize = 1_024;

/// For all streams together, about 1 MB of memory: with 1,000 streams, eight of each.
const IN_ALL: usize = 8_192;

/// A stream; what its group is made with does not matter here.
#[derive(Debug, Clone)]
struct Stream(Arc<Target>);

impl Stream {
    fn name(&self) -> (&str, &str) {
        (&self.0.group, &self.0.stream)
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Stream {}

impl PartialOrd for Stream {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Stream {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(&other.name())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Landed {
    batch: BatchId,
    first_ms: i64,
    last_ms: i64,
    spans: Box<[Span]>,
}

impl Landed {
    fn meets(&self, first_ms: i64, last_ms: i64) -> bool {
        self.first_ms <= last_ms && first_ms <= self.last_ms
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct History {
    streams: BTreeMap<Stream, VecDeque<Landed>>,
    batches: usize,
}

impl History {
    /// Remembers a batch that has landed; `doubtful` are those that have not been answered yet. What meets one of them
    /// in time is forgotten last.
    pub(super) fn remember<'i>(
        &mut self,
        intent: &Intent,
        doubtful: impl Iterator<Item = &'i Intent> + Clone,
    ) {
        let stream = Stream(Arc::clone(&intent.target));
        let landed = self.streams.entry(stream.clone()).or_default();
        landed.push_back(Landed {
            batch: intent.batch,
            first_ms: intent.first_ms,
            last_ms: intent.last_ms,
            spans: intent.parts.iter().map(|part| part.span).collect(),
        });
        self.batches += 1;
        if landed.len() > PER_STREAM {
            let idle = landed.iter().position(|old| {
                !doubtful.clone().any(|other| {
                    Stream(Arc::clone(&other.target)) == stream
                        && old.meets(other.first_ms, other.last_ms)
                })
            });
            let victim = idle.or((landed.len() > PER_STREAM_IN_DOUBT).then_some(0));
            if victim.is_some_and(|victim| landed.remove(victim).is_some()) {
                self.batches -= 1;
            }
        }
        if self.batches > IN_ALL {
            self.shorten_longest();
        }
    }

    /// The spans that landed in this stream with any time stamp in `first_ms..=last_ms`, the oldest batch first.
    pub(super) fn spans(&self, target: &Arc<Target>, first_ms: i64, last_ms: i64) -> Vec<Span> {
        self.streams
            .get(&Stream(Arc::clone(target)))
            .into_iter()
            .flatten()
            .filter(|landed| landed.meets(first_ms, last_ms))
            .flat_map(|landed| landed.spans.iter().copied())
            .collect()
    }

    pub(super) fn snapshot(&self) -> impl Iterator<Item = Record> {
        self.streams.iter().map(|(stream, landed)| Record::Recent {
            target: Arc::clone(&stream.0),
            batches: landed
                .iter()
                .map(|each| (each.batch, each.first_ms, each.last_ms, each.spans.to_vec()))
                .collect(),
        })
    }

    /// Takes up what [`snapshot`](Self::snapshot) gave for one stream.
    pub(super) fn carry(
        &mut self,
        target: &Arc<Target>,
        batches: &[(BatchId, i64, i64, Vec<Span>)],
    ) {
        let landed = self.streams.entry(Stream(Arc::clone(target))).or_default();
        self.batches += batches.len();
        landed.extend(
            batches
                .iter()
                .map(|(batch, first_ms, last_ms, spans)| Landed {
                    batch: *batch,
                    first_ms: *first_ms,
                    last_ms: *last_ms,
                    spans: spans.clone().into_boxed_slice(),
                }),
        );
    }

    fn shorten_longest(&mut self) {
        let Some(longest) = self
            .streams
            .iter()
            .max_by_key(|(_, landed)| landed.len())
            .map(|(stream, _)| stream.clone())
        else {
            return;
        };
        let Some(landed) = self.streams.get_mut(&longest) else {
            return;
        };
        if landed.pop_front().is_some() {
            self.batches -= 1;
        }
        if landed.is_empty() {
            self.streams.remove(&longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{History, IN_ALL, PER_STREAM_IN_DOUBT};
    use crate::account::{BatchId, GenerationId, Part, Span};
    use crate::ledger::Intent;
    use crate::ledger::testing::target;
    use crate::target::Target;

    fn intent(number: u64, target: &Arc<Target>) -> Intent {
        let span = Span {
            generation: GenerationId(0),
            start: number,
            end: number + 1,
        };
        let not_shipped = Vec::new();
        Intent {
            batch: BatchId(number),
            target: Arc::clone(target),
            parts: vec![Part { span, not_shipped }],
            first_ms: 0,
            last_ms: 0,
            sha256: [0; 32],
            sent_ms: 0,
        }
    }

    #[test]
    fn is_bounded_however_many_streams_there_are() {
        let mut history = History::default();
        let streams: Vec<_> = (0..200).map(target).collect();
        for number in 0..60 {
            for stream in &streams {
                history.remember(&intent(number, stream), std::iter::empty());
            }
        }
        let kept = streams.iter().map(|each| history.spans(each, 0, 0));
        let lengths: Vec<usize> = kept.map(|spans| spans.len()).collect();
        assert_eq!(lengths.iter().sum::<usize>(), IN_ALL);
        // The longest are shortened: none is left with nothing.
        assert!(lengths.iter().all(|length| *length >= 40), "{lengths:?}");
        assert_eq!(history.batches, IN_ALL);
    }

    #[test]
    fn is_bounded_however_long_a_batch_stays_in_doubt() {
        let mut history = History::default();
        let stream = target(0);
        let doubtful = intent(1_000_000, &stream);
        for number in 0..2_000 {
            history.remember(&intent(number, &stream), std::iter::once(&doubtful));
        }
        let spans = history.spans(&stream, 0, 0);
        assert_eq!(spans.len(), PER_STREAM_IN_DOUBT);
        assert_eq!(spans[spans.len() - 1].start, 1_999);
    }
}
