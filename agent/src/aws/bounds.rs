//! How much of an answer is read. Whatever answers may be no AWS at all, and an answer without an end would take the host's memory.
//!
//! An answer is read piece by piece, and given up with [`TooLong`] as soon as there is more of it than the service ever sends to such a request.
//! What that means is decided as of any answer that can't be read: of a batch, that it may have arrived. Heads are bounded by the HTTP client
//! (some 400 KiB and 100 lines over HTTP/1, 16 KiB over HTTP/2), time by whoever calls, and no answer is ever decompressed.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::{Error as BodyError, SdkBody};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Of an answer that is an error, and of one that says no more than that something was done. The service's own are a few hundred bytes,
/// the pages of proxies and load balancers a few thousand.
const SHORT: usize = 64 * KIB;
/// Of instance metadata and of credentials on the host's link. The longest that is asked for is the list of an instance's tags: 50 names of 128
/// characters (EC2 user guide, "Tag your EC2 resources").
const METADATA: usize = 64 * KIB;
/// Of a parameter: 8 KB (PutParameter, API reference), each character of which may take six bytes of JSON.
const PARAMETER: usize = 128 * KIB;
/// Of a page of events: 1 MB or 10,000 of them (GetLogEvents, API reference). In JSON a control character takes six bytes, and what is told of
/// each event beside its message some hundred.
const PAGE: usize = 8 * MIB;
/// Of a page of a query's results: 10,000 events (StartQuery, API reference), whose bytes no page of the service's bounds. Half of what a
/// read-back keeps at most.
const RESULTS: usize = 32 * MIB;
/// Of any other answer: data points of a metric (1,440 at most), remarks about a dashboard, credentials of STS.
const OTHER: usize = MIB;

/// What is asked, as far as it decides how long an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A service on the host's own link.
    Metadata,
    /// Done, or not.
    Short,
    Parameter,
    Page,
    Results,
    Other,
}

impl Asked {
    /// Of the services of AWS: `target` is the header that names an operation in their JSON protocols.
    pub(super) fn of(target: Option<&str>) -> Self {
        let operation = target.and_then(|it| it.rsplit_once('.')).map(|it| it.1);
        match operation {
            Some(
                "PutLogEvents" | "CreateLogGroup" | "CreateLogStream" | "PutRetentionPolicy"
                | "StartQuery",
            ) => Self::Short,
            Some("GetLogEvents") => Self::Page,
            Some("GetQueryResults") => Self::Results,
            Some("GetParameter") => Self::Parameter,
            _ => Self::Other,
        }
    }

    /// The most bytes of an answer's body.
    fn bound(self, status: u16) -> usize {
        match self {
            Self::Metadata => METADATA,
            _ if !(200..300).contains(&status) => SHORT,
            Self::Short => SHORT,
            Self::Parameter => PARAMETER,
            Self::Page => PAGE,
            Self::Results => RESULTS,
            Self::Other => OTHER,
        }
    }
}

/// The answer, of which no more is read than such an answer may have.
pub(super) fn bounded(asked: Asked, answer: HttpResponse) -> HttpResponse {
    let bound = asked.bound(answer.status().as_u16());
    answer.map(|body| SdkBody::from_body_1_x(Bounded::new(body, bound)))
}

/// There is more of an answer than the service ever sends.
#[derive(Debug, thiserror::Error)]
#[error(
    "the answer has more than {bound} bytes, which no answer of AWS to this has: see what answers at that address"
)]
pub(super) struct TooLong {
    bound: usize,
}

/// Pieces are handed on when they have so many bytes together: an answer in pieces of one byte would otherwise take a multiple of its length.
const PIECE: usize = 16 * KIB;

/// A body of which at most so many bytes are read.
struct Bounded<B> {
    body: B,
    bound: usize,
    left: usize,
    /// Short pieces that have come and are not handed on yet.
    short: BytesMut,
    ended: bool,
}

impl<B> Bounded<B> {
    fn new(body: B, bound: usize) -> Self {
        Self {
            body,
            bound,
            left: bound,
            short: BytesMut::new(),
            ended: false,
        }
    }

    fn rest(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.ended = true;
        let rest = self.short.split().freeze();
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
    }
}

impl<B: Body<Data = Bytes, Error = BodyError> + Unpin> Body for Bounded<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while !self.ended {
            let piece = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return self.rest(),
                Poll::Ready(Some(Err(error))) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                // Trailers, which nobody reads.
                Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            };
            let Some(left) = self.left.checked_sub(piece.len()) else {
                self.ended = true;
                let bound = self.bound;
                return Poll::Ready(Some(Err(TooLong { bound }.into())));
            };
            self.left = left;
            // What is whole, or long, is handed on as it is.
            if self.short.is_empty() && (piece.len() >= PIECE || self.body.is_end_stream()) {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            self.short.extend_from_slice(&piece);
            if self.short.len() >= PIECE {
                return Poll::Ready(Some(Ok(Frame::data(self.short.split().freeze()))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.short.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Whoever reads it makes no room by what the answer says of itself.
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::collections::VecDeque;

    use super::*;

    /// A body of pieces; one that never ends where `endless`.
    struct Pieces {
        pieces: VecDeque<Bytes>,
        endless: bool,
        polled: usize,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            self.polled += 1;
            let piece = match self.endless {
                true => Some(Bytes::from_static(&[b'x'; 1000])),
                false => self.pieces.pop_front(),
            };
            Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
        }

        fn is_end_stream(&self) -> bool {
            !self.endless && self.pieces.is_empty()
        }
    }

    fn pieces(pieces: impl IntoIterator<Item = Vec<u8>>) -> Pieces {
        Pieces {
            pieces: pieces.into_iter().map(Bytes::from).collect(),
            endless: false,
            polled: 0,
        }
    }

    /// What comes out, and how it ends.
    fn read(body: &mut Bounded<Pieces>) -> (Vec<usize>, Result<(), String>) {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut sizes = Vec::new();
        loop {
            match Pin::new(&mut *body).poll_frame(&mut context) {
                Poll::Ready(Some(Ok(frame))) => sizes.push(frame.into_data().unwrap().len()),
                Poll::Ready(Some(Err(error))) => return (sizes, Err(error.to_string())),
                Poll::Ready(None) => return (sizes, Ok(())),
                Poll::Pending => panic!("a piece is always there"),
            }
        }
    }

    #[test]
    fn exactly_the_bound_is_read_and_not_one_byte_more() {
        for (length, whole) in [(0, true), (99, true), (100, true), (101, false)] {
            for one in [1, 7, 200] {
                let all = vec![b'x'; length];
                let mut body = Bounded::new(pieces(all.chunks(one).map(<[u8]>::to_vec)), 100);
                let (sizes, end) = read(&mut body);
                assert_eq!(end.is_ok(), whole, "{length} in pieces of {one}");
                if whole {
                    assert_eq!(sizes.iter().sum::<usize>(), length);
                }
                assert!(body.is_end_stream());
            }
        }
    }

    #[test]
    fn what_never_ends_is_given_up_at_the_bound() {
        let mut body = Bounded::new(pieces([]), 10_500);
        body.body.endless = true;
        let (_, end) = read(&mut body);
        assert!(end.unwrap_err().contains("10500 bytes"));
        assert_eq!(body.body.polled, 11);
        // And not asked again.
        assert_eq!(read(&mut body), (vec![], Ok(())));
        assert_eq!(body.body.polled, 11);
    }

    #[test]
    fn an_answer_in_single_bytes_is_handed_on_in_large_pieces() {
        let bytes = std::iter::repeat_n(vec![b'x'], 3 * PIECE + 5);
        let (sizes, end) = read(&mut Bounded::new(pieces(bytes), MIB));
        assert_eq!((sizes, end), (vec![PIECE, PIECE, PIECE, 5], Ok(())));
    }

    #[test]
    fn an_answer_of_one_piece_is_not_copied() {
        let piece = vec![b'x'; 300];
        let at = piece.as_ptr();
        let mut body = Bounded::new(pieces([piece]), 1000);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) else {
            panic!("it is there");
        };
        assert_eq!(frame.into_data().unwrap().as_ptr(), at);
    }

    #[test]
    fn each_kind_of_answer_has_its_own_bound() {
        let of = |target: &str| Asked::of(Some(target));
        assert_eq!(of("Logs_20140328.PutLogEvents"), Asked::Short);
        assert_eq!(of("Logs_20140328.GetLogEvents"), Asked::Page);
        assert_eq!(of("Logs_20140328.GetQueryResults"), Asked::Results);
        assert_eq!(of("AmazonSSM.GetParameter"), Asked::Parameter);
        assert_eq!(Asked::of(None), Asked::Other);
        for asked in [Asked::Page, Asked::Results, Asked::Other] {
            assert_eq!(
                asked.bound(503),
                SHORT,
                "errors are short, whoever is asked"
            );
        }
        assert!(Asked::Page.bound(200) >= 6 * MIB + 100 * 10_000);
    }
}
