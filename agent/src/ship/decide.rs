//! The one table of what a failed call means.

use crate::aws::FailureKind;

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// To put events.
    Put {
        /// Only one: nothing to halve.
        single: bool,
        /// The target has taken other events since the agent runs: target and format are fine, so it is this event.
        proven: bool,
    },
    /// To make the group.
    Group,
    /// To set the retention of a group that we made.
    Retention,
    /// To make the stream.
    Stream,
    /// To read the stream back.
    ReadBack,
}

/// What to do next. Nothing is ever given up because of an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It has not arrived: the same again, once the service can be reached.
    AgainWhenReachable,
    /// It was not taken because there is too much: the same again, more slowly.
    AgainSlower,
    /// Not taken, for a reason that passes by itself.
    Again,
    /// Not taken, for a reason that a person has to look at: the same again, rarely, and a complaint.
    Hold,
    /// It may have been taken: look before it is sent again.
    Doubt,
    /// The stream is not there.
    MakeStream,
    /// The group is not there.
    MakeGroup,
    /// It is as it was to be.
    Done,
    /// Go on without it, and complain.
    GoOn,
    /// Send each half by itself: one of the events is not taken.
    Split,
    /// This event is not taken, whatever is done.
    Reject,
}

/// The table.
pub(super) fn decide(tried: Tried, kind: FailureKind) -> Action {
    use FailureKind as Kind;
    match (tried, kind) {
        (_, Kind::NotSent) => Action::AgainWhenReachable,
        (_, Kind::Throttled) => Action::AgainSlower,

        (Tried::Put { .. }, Kind::Unknown | Kind::Service) => Action::Doubt,
        // Making and reading may be done twice.
        (_, Kind::Unknown | Kind::Service) => Action::AgainWhenReachable,
        (_, Kind::Aborted) => Action::Again,

        (Tried::Put { .. }, Kind::AlreadyAccepted) => Action::Done,
        // The stream first: where groups are made by somebody else, the agent needs no permission to make one.
        (Tried::Put { .. }, Kind::NotFound) => Action::MakeStream,
        (Tried::Put { single: false, .. }, Kind::Invalid) => Action::Split,
        (
            Tried::Put {
                single: true,
                proven: true,
            },
            Kind::Invalid,
        ) => Action::Reject,
        // If nothing was ever taken, it may well be the name of the stream; no line is given up for that.
        (
            Tried::Put {
                single: true,
                proven: false,
            },
            Kind::Invalid,
        ) => Action::Hold,

        (Tried::Group | Tried::Stream, Kind::AlreadyExists) => Action::Done,
        (Tried::Stream, Kind::NotFound) => Action::MakeGroup,

        // Right after the group was made it may not be visible yet.
        (Tried::Retention, Kind::NotFound) => Action::Again,
        // Lines do not wait for that.
        (
            Tried::Retention,
            Kind::Invalid
            | Kind::Denied
            | Kind::AlreadyExists
            | Kind::AlreadyAccepted
            | Kind::Other,
        ) => Action::GoOn,

        // No stream, so nothing of it has landed.
        (Tried::ReadBack, Kind::NotFound) => Action::Done,

        (Tried::Group, Kind::NotFound | Kind::Invalid | Kind::AlreadyAccepted)
        | (Tried::Stream, Kind::Invalid | Kind::AlreadyAccepted)
        | (Tried::ReadBack, Kind::Invalid | Kind::AlreadyExists | Kind::AlreadyAccepted)
        | (Tried::Put { .. }, Kind::AlreadyExists)
        | (_, Kind::Denied | Kind::Other) => Action::Hold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [FailureKind; 11] = [
        FailureKind::NotSent,
        FailureKind::Unknown,
        FailureKind::Throttled,
        FailureKind::Service,
        FailureKind::NotFound,
        FailureKind::AlreadyExists,
        FailureKind::Aborted,
        FailureKind::Invalid,
        FailureKind::AlreadyAccepted,
        FailureKind::Denied,
        FailureKind::Other,
    ];
    const MANY: Tried = Tried::Put {
        single: false,
        proven: true,
    };

    #[test]
    fn only_a_put_is_ever_doubtful() {
        for kind in KINDS {
            for tried in [
                Tried::Group,
                Tried::Retention,
                Tried::Stream,
                Tried::ReadBack,
            ] {
                assert_ne!(decide(tried, kind), Action::Doubt, "{tried:?} {kind:?}");
            }
        }
        assert_eq!(decide(MANY, FailureKind::Unknown), Action::Doubt);
        assert_eq!(decide(MANY, FailureKind::Service), Action::Doubt);
    }

    #[test]
    fn an_event_is_given_up_only_if_it_alone_is_to_blame() {
        for kind in KINDS {
            for single in [false, true] {
                for proven in [false, true] {
                    let action = decide(Tried::Put { single, proven }, kind);
                    assert_eq!(
                        action == Action::Reject,
                        kind == FailureKind::Invalid && single && proven,
                        "{kind:?}"
                    );
                }
            }
            for tried in [
                Tried::Group,
                Tried::Retention,
                Tried::Stream,
                Tried::ReadBack,
            ] {
                assert_ne!(decide(tried, kind), Action::Reject);
            }
        }
    }

    #[test]
    fn what_has_surely_not_arrived_is_sent_again_without_a_look() {
        assert_eq!(
            decide(MANY, FailureKind::NotSent),
            Action::AgainWhenReachable
        );
        assert_eq!(decide(MANY, FailureKind::Throttled), Action::AgainSlower);
        assert_eq!(decide(MANY, FailureKind::Aborted), Action::Again);
        assert_eq!(decide(MANY, FailureKind::Denied), Action::Hold);
        assert_eq!(decide(MANY, FailureKind::Other), Action::Hold);
    }

    #[test]
    fn a_stream_is_made_before_its_group_is_asked_for() {
        assert_eq!(decide(MANY, FailureKind::NotFound), Action::MakeStream);
        assert_eq!(
            decide(Tried::Stream, FailureKind::NotFound),
            Action::MakeGroup
        );
        assert_eq!(
            decide(Tried::Stream, FailureKind::AlreadyExists),
            Action::Done
        );
        assert_eq!(
            decide(Tried::Group, FailureKind::AlreadyExists),
            Action::Done
        );
        assert_eq!(decide(Tried::Group, FailureKind::Denied), Action::Hold);
    }

    #[test]
    fn lines_do_not_wait_for_a_retention_that_can_not_be_set() {
        assert_eq!(decide(Tried::Retention, FailureKind::Denied), Action::GoOn);
        assert_eq!(decide(Tried::Retention, FailureKind::Invalid), Action::GoOn);
        assert_eq!(
            decide(Tried::Retention, FailureKind::Throttled),
            Action::AgainSlower
        );
    }
}
