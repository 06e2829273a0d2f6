//! What people should know: once when it begins or changes, once when it is over.

use std::collections::HashMap;
use std::sync::Arc;

use crate::aws::{Failure, FailureKind};
use crate::target::Target;

/// What a complaint is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The service as a whole: it can't be reached, fails or throttles.
    Service,
    /// One target: nothing goes to it.
    Target(Arc<Target>),
    /// Reading back one target: what is doubtful of it waits.
    ReadBack(Arc<Target>),
    /// Events that one target did not take.
    Events(Arc<Target>),
}

/// Something that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What it is about.
    pub about: Subject,
    /// What happens, what it means for the lines, and what can be done.
    pub message: String,
    /// It is over.
    pub cleared: bool,
}

#[derive(Debug, Default)]
pub(super) struct Complaints {
    standing: HashMap<Subject, (FailureKind, String)>,
    news: Vec<Complaint>,
}

impl Complaints {
    /// Complains, unless that is known.
    pub(super) fn raise(&mut self, about: &Subject, failure: &Failure, now_what: &str) {
        let known = self
            .standing
            .get(about)
            .is_some_and(|(kind, _)| *kind == failure.kind);
        // Whoever shows it names what it is about; the failure names the call, the place and the code.
        let message = format!("{}; {now_what}", failure.message.trim_end_matches('.'));
        self.standing
            .insert(about.clone(), (failure.kind, message.clone()));
        if !known {
            self.news.push(Complaint {
                about: about.clone(),
                message,
                cleared: false,
            });
        }
    }

    /// Says something once that can't be over.
    pub(super) fn tell(&mut self, about: Subject, message: String) {
        self.news.push(Complaint {
            about,
            message,
            cleared: false,
        });
    }

    /// It is over, if it ever was.
    pub(super) fn clear(&mut self, about: &Subject) {
        if !self.standing.is_empty()
            && let Some((_, message)) = self.standing.remove(about)
        {
            self.news.push(Complaint {
                about: about.clone(),
                message,
                cleared: true,
            });
        }
    }

    pub(super) fn take(&mut self) -> Vec<Complaint> {
        std::mem::take(&mut self.news)
    }

    pub(super) fn standing(&self) -> impl Iterator<Item = (&Subject, &str)> {
        self.standing
            .iter()
            .map(|(about, (_, message))| (about, message.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind) -> Failure {
        Failure {
            kind,
            code: Some("Code".into()),
            message: "it went wrong.".into(),
            retry_after: None,
        }
    }

    #[test]
    fn the_same_is_said_once_and_once_that_it_is_over() {
        let mut complaints = Complaints::default();
        complaints.clear(&Subject::Service);
        for _ in 0..3 {
            complaints.raise(&Subject::Service, &failure(FailureKind::NotSent), "wait");
        }
        let said = complaints.take();
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].message, "it went wrong; wait");
        complaints.raise(&Subject::Service, &failure(FailureKind::Throttled), "wait");
        assert_eq!(complaints.take().len(), 1, "something else");
        complaints.clear(&Subject::Service);
        complaints.clear(&Subject::Service);
        assert!(
            complaints
                .take()
                .iter()
                .map(|complaint| complaint.cleared)
                .eq([true])
        );
        assert_eq!(complaints.standing().count(), 0);
    }
}
