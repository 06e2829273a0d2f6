//! The report that can be made of the ledger's account alone.

use crate::account::GenerationId;
use crate::ledger::{Generation, Peeked, State, Totals};

use super::{Account, FileStatus, Status};

/// The report of a ledger that nobody has open.
#[must_use]
pub fn of_ledger(peeked: &Peeked, now_ms: i64) -> Status {
    let state = &peeked.state;
    let complaints = peeked
        .damage
        .iter()
        .map(|damage| {
            format!("the ledger is damaged: {damage}; the next start sets it aside and goes on with what is certain")
        })
        .collect();
    let mut status = Status::new(
        peeked
            .instance_id
            .clone()
            .unwrap_or_else(|| "unknown".into()),
        now_ms,
        None,
        files(state),
        gone(state),
        complaints,
    );
    status.judge(state);
    status
}

/// Each generation that is followed, without what only a running agent knows.
#[must_use]
pub fn files(state: &State) -> Vec<FileStatus> {
    state
        .generations()
        .map(|(id, generation)| file(id, generation))
        .collect()
}

fn file(id: GenerationId, generation: &Generation) -> FileStatus {
    let target = generation.target();
    FileStatus {
        set: generation.set().to_string(),
        path: generation.path().display().to_string(),
        generation: id.0,
        ended: generation.ended().is_some(),
        group: target.group.clone(),
        stream: target.stream.clone(),
        account: account(generation.seen(), generation.pending(), generation.totals()),
        oldest_unshipped_ms: None,
        last_error: None,
    }
}

/// What was settled and is followed no more: the whole without what is followed.
#[must_use]
pub fn gone(state: &State) -> Account {
    let whole = state.overall();
    let mut followed = Totals::default();
    let (mut seen, mut pending) = (whole.seen, whole.pending);
    for (_, generation) in state.generations() {
        followed.add(generation.totals());
        seen = seen.saturating_sub(generation.seen());
        pending = pending.saturating_sub(generation.pending());
    }
    let mut account = account(seen, pending, &Totals::default());
    for (fate, bytes) in whole.totals.iter() {
        let rest = bytes.saturating_sub(followed.of(fate));
        if rest > 0 {
            account.settle(fate, rest);
        }
    }
    account
}

fn account(seen_bytes: u64, pending_bytes: u64, totals: &Totals) -> Account {
    let mut account = Account {
        seen_bytes,
        pending_bytes,
        ..Account::default()
    };
    for (fate, bytes) in totals.iter() {
        account.settle(fate, bytes);
    }
    account
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Arc;

    use super::*;
    use crate::account::{Fate, Filtered, Head, Identity, Lost, Span};
    use crate::ledger::Record;
    use crate::target::{GroupClass, Target};

    fn found(generation: GenerationId, path: &str) -> Record {
        let target = Target {
            group: "g".into(),
            stream: path.into(),
            retention_days: None,
            class: GroupClass::Standard,
        };
        Record::Found {
            generation,
            identity: Identity {
                device: 1,
                inode: generation.0,
                head: Head::default(),
            },
            set: "/a*".into(),
            path: path.into(),
            target: Arc::new(target),
            from: 0,
            at_ms: 1_699_999_999_000,
        }
    }

    fn settled(generation: GenerationId, start: u64, end: u64, fate: Fate) -> Record {
        let span = Span {
            generation,
            start,
            end,
        };
        Record::Settled { span, fate }
    }

    #[test]
    fn files_and_what_is_gone_are_the_whole_account() {
        let (old, new) = (GenerationId(1), GenerationId(2));
        let mut state = State::default();
        for record in [
            found(old, "/a"),
            settled(old, 0, 70, Fate::Filtered(Filtered::Empty)),
            settled(old, 70, 100, Fate::Lost(Lost::CopyTruncate)),
            Record::Ended {
                generation: old,
                size: 100,
            },
            Record::Forgotten { generation: old },
            found(new, "/a"),
            settled(new, 0, 7, Fate::Filtered(Filtered::Empty)),
        ] {
            state.apply(&record).unwrap();
        }
        let peeked = Peeked {
            instance_id: Some("i-1".into()),
            state,
            damage: Some("a bit".into()),
        };
        let status = of_ledger(&peeked, 5);
        assert!(status.conserved);
        assert_eq!(status.files.len(), 1);
        assert_eq!(status.files[0].account.filtered_bytes["empty"], 7);
        assert_eq!(status.gone.lost_bytes["copytruncate"], 30);
        assert_eq!(status.totals.seen_bytes, 107);
        assert_eq!(status.totals.filtered_bytes["empty"], 77);
        assert!(status.complaints[0].contains("a bit"));
    }
}
