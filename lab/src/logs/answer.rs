//! Bodies of answers: whole, or broken in the ways that faults break them.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::service::Reset;

/// A body.
#[derive(Debug)]
pub(crate) struct Answer {
    data: Option<Bytes>,
    announced: u64,
    then_ends: bool,
}

impl Answer {
    pub(crate) fn whole(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        Self {
            announced: data.len() as u64,
            data: Some(data),
            then_ends: false,
        }
    }

    /// Half of it comes, then the connection ends.
    pub(crate) fn cut_short(data: impl Into<Bytes>) -> Self {
        let whole = data.into();
        Self {
            announced: whole.len() as u64,
            data: Some(whole.slice(..whole.len() / 2)),
            then_ends: true,
        }
    }

    /// It is announced as shorter than it is, so that a client reads what is no JSON.
    pub(crate) fn mislabelled(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        let announced = data.len().saturating_sub(1);
        Self {
            announced: announced as u64,
            data: Some(data.slice(..announced)),
            then_ends: false,
        }
    }

    /// Its `Content-Length`.
    pub(crate) fn announced(&self) -> u64 {
        self.announced
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        Poll::Ready(match self.data.take() {
            Some(data) => Some(Ok(Frame::data(data))),
            None if self.then_ends => Some(Err(Reset)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && !self.then_ends
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

/// An id as `x-amzn-requestid` holds it; they differ within a process.
pub(crate) fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    format!("{process:08x}-0000-4000-8000-{number:012x}")
}
