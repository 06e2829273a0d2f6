//! Every loss is told: which file, why, and how many bytes. At once where it is the first, then no more often than the eye can follow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::account::{Fate, Lost};
use crate::ledger::{Record, State};

/// A file's losses of one kind are told this often at most.
const PAUSE: Duration = Duration::from_secs(60);
/// So many lines are told within a pause, over all files; what is beyond is one sum.
const LINES_MAX: usize = 8;

/// Losses of one file, for one reason.
type Kind = (PathBuf, Lost);

/// Losses that are to be told.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Bytes that were not told of yet.
    untold: BTreeMap<Kind, u64>,
    /// When each was told last, as long as that matters.
    told: BTreeMap<Kind, Duration>,
    /// When the first line of this pause was told, and how many were.
    pause: Option<(Duration, usize)>,
}

/// A loss, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    /// The file, or how many of them.
    pub(super) subject: String,
    pub(super) message: String,
}

impl Losses {
    /// Takes note of what a record, which `state` has taken, says of losses.
    pub(super) fn note(&mut self, record: &Record, state: &State) {
        let mut lost = |generation, fate, bytes| {
            if let (Fate::Lost(why), Some(known)) = (fate, state.generation(generation))
                && bytes > 0
            {
                self.add(known.path(), why, bytes);
            }
        };
        match record {
            Record::Settled { span, fate } => lost(span.generation, *fate, span.bytes()),
            Record::Landed(landing) => {
                for part in &landing.parts {
                    for (fate, bytes) in &part.not_shipped {
                        lost(part.span.generation, *fate, *bytes);
                    }
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, path: &Path, why: Lost, bytes: u64) {
        let sum = self.untold.entry((path.to_owned(), why)).or_default();
        *sum = sum.saturating_add(bytes);
    }

    /// What is to be told now. With `all`, also what was told of just now.
    pub(super) fn take(&mut self, now: Duration, all: bool) -> Vec<Loss> {
        if self.untold.is_empty() {
            return Vec::new();
        }
        let over = |since: Duration| now >= since + PAUSE;
        self.told.retain(|_, since| !over(*since));
        if self.pause.is_some_and(|(since, _)| over(since)) {
            self.pause = None;
        }
        let (since, mut lines) = self.pause.unwrap_or((now, 0));
        let due: Vec<Kind> = self
            .untold
            .keys()
            .filter(|kind| all || !self.told.contains_key(*kind))
            .cloned()
            .collect();
        let room = LINES_MAX.saturating_sub(lines);
        let mut losses = Vec::new();
        for kind in due.iter().take(room) {
            if let Some(bytes) = self.untold.remove(kind) {
                losses.push(one(kind, bytes));
                self.told.insert(kind.clone(), now);
                lines += 1;
            }
        }
        let rest = &due[due.len().min(room)..];
        // The sum has a pause of its own: the first of many comes at once, too.
        if !rest.is_empty() && (all || lines <= LINES_MAX) {
            losses.push(self.sum(rest));
            lines = LINES_MAX + 1;
        }
        self.pause = Some((since, lines));
        losses
    }

    /// When [`Losses::take`] wants to be called again.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let full = self
            .pause
            .filter(|(_, lines)| *lines > LINES_MAX)
            .map(|(since, _)| since + PAUSE);
        self.untold
            .keys()
            .map(|kind| {
                let again = self.told.get(kind).map(|since| *since + PAUSE);
                again.max(full).unwrap_or(Duration::ZERO)
            })
            .min()
    }

    /// Many losses in one line.
    fn sum(&mut self, kinds: &[Kind]) -> Loss {
        let mut by_reason: BTreeMap<Lost, u64> = BTreeMap::new();
        for kind in kinds {
            let bytes = self.untold.remove(kind).unwrap_or_default();
            let sum = by_reason.entry(kind.1).or_default();
            *sum = sum.saturating_add(bytes);
        }
        let sums: Vec<String> = by_reason
            .iter()
            .map(|(why, bytes)| format!("{bytes} bytes lost({})", name(*why)))
            .collect();
        let first = kinds
            .first()
            .map(|(path, _)| path.display().to_string())
            .unwrap_or_default();
        Loss {
            subject: format!("{} more files", kinds.len()),
            message: format!(
                "{}, {first} among them; `baker-agent status` has the sums",
                sums.join(", ")
            ),
        }
    }
}

fn one((path, why): &Kind, bytes: u64) -> Loss {
    let words = match why {
        Lost::CopyTruncate => "they were truncated away before they were read, and are in no copy",
        Lost::Deleted => "the file was gone before they were sent",
        Lost::Backlog => {
            "the backlog of rotated files is full (`backlog` and `backlog_files` of [limits])"
        }
        Lost::Unreadable => "the compressed copy that holds them can't be read",
    };
    Loss {
        subject: path.display().to_string(),
        message: format!("{bytes} bytes lost({}): {words}", name(*why)),
    }
}

/// What a reason is called in the report.
fn name(why: Lost) -> &'static str {
    crate::status::reason(Fate::Lost(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(losses: &mut Losses, at_s: u64) -> Vec<String> {
        losses
            .take(Duration::from_secs(at_s), false)
            .into_iter()
            .map(|loss| format!("{}: {}", loss.subject, loss.message))
            .collect()
    }

    #[test]
    fn the_first_loss_of_a_file_is_told_at_once_and_the_next_as_a_sum_a_minute_later() {
        let mut losses = Losses::default();
        assert_eq!(losses.next_due(), None);
        losses.add(Path::new("/a.log"), Lost::Deleted, 100);
        assert_eq!(losses.next_due(), Some(Duration::ZERO));
        assert_eq!(
            lines(&mut losses, 5),
            ["/a.log: 100 bytes lost(deleted): the file was gone before they were sent"]
        );
        for _ in 0..1_000 {
            losses.add(Path::new("/a.log"), Lost::Deleted, 10);
            assert!(lines(&mut losses, 6).is_empty());
        }
        assert_eq!(losses.next_due(), Some(Duration::from_secs(65)));
        assert!(lines(&mut losses, 64).is_empty());
        assert!(lines(&mut losses, 65)[0].starts_with("/a.log: 10000 bytes lost(deleted)"));
        assert_eq!(losses.next_due(), None);
    }

    #[test]
    fn another_reason_is_another_line() {
        let mut losses = Losses::default();
        losses.add(Path::new("/a.log"), Lost::Deleted, 100);
        losses.add(Path::new("/a.log"), Lost::Backlog, 1);
        assert_eq!(lines(&mut losses, 0).len(), 2);
    }

    #[test]
    fn very_many_files_are_a_few_lines_and_a_sum() {
        let mut losses = Losses::default();
        let mut told = 0;
        for at_s in 0..180 {
            for number in 0..100 {
                losses.add(Path::new(&format!("/{at_s}/{number}")), Lost::Deleted, 7);
            }
            let lines = lines(&mut losses, at_s);
            if at_s == 0 {
                assert_eq!(lines.len(), LINES_MAX + 1);
                assert!(
                    lines[LINES_MAX].starts_with("92 more files: 644 bytes lost(deleted), "),
                    "{lines:?}"
                );
            }
            told += lines.len();
        }
        assert_eq!(told, 3 * (LINES_MAX + 1), "three pauses");
        // At the end nothing is kept back.
        let last = losses.take(Duration::from_secs(180), true);
        assert!(losses.untold.is_empty() && !last.is_empty());
    }
}
