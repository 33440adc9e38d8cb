//! A response's body as hyper takes it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName};
use http::{HeaderValue, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::live::{Live, Next};
use super::pulse::Beat;
use super::roster::Busy;
use crate::exchange::{Body, Chunks, Response};

/// What lives as long as an answer is being sent.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// A place among the documents; given back when the last slice is gone, or the reader is.
    pub(super) _permit: Option<OwnedSemaphorePermit>,
    /// On HTTP/2, what says that the answer moves.
    pub(super) beat: Option<Beat>,
    /// What keeps the connection from being ended for another.
    pub(super) _busy: Option<Busy>,
}

/// A body, and what it keeps.
pub(super) struct FrontBody {
    bytes: FrontBytes,
    kept: Kept,
}

enum FrontBytes {
    Whole(Bytes),
    Chunks(Slices),
    Live(Next),
}

/// The slices of a document. Making one takes a while, and hyper asks for one after the other for as
/// long as the reader takes them; so after each whoever else waits for this thread has a turn, or a dip
/// would wait until a list has been sent.
struct Slices {
    chunks: Chunks,
    has_yielded: bool,
}

impl Slices {
    fn of(chunks: Chunks) -> Self {
        Self { chunks, has_yielded: true }
    }

    fn poll_next(&mut self, task: &mut Task<'_>) -> Poll<Option<Bytes>> {
        if !std::mem::replace(&mut self.has_yielded, true) {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.has_yielded = false;
        Poll::Ready(self.chunks.next().map(Bytes::from))
    }
}

/// The response as hyper takes it; a live stream is its body, if there is one.
pub(super) fn into_http(
    response: Response,
    live: Option<Live>,
    kept: Kept,
) -> http::Response<FrontBody> {
    let mut headers = HeaderMap::with_capacity(8);
    for (name, value) in response.headers() {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            headers.append(name, value);
        }
    }
    if let Body::Empty { length: Some(length) } = response.body {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let bytes = match (live, response.body) {
        (Some(live), _) => FrontBytes::Live(live.next()),
        (None, Body::Empty { .. }) => FrontBytes::Whole(Bytes::new()),
        (None, Body::Bytes(bytes)) => FrontBytes::Whole(bytes.into()),
        (None, Body::Chunks(chunks)) => FrontBytes::Chunks(Slices::of(chunks)),
    };
    let mut answer = http::Response::new(FrontBody { bytes, kept });
    *answer.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *answer.headers_mut() = headers;
    answer
}

impl HttpBody for FrontBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(beat) = &this.kept.beat {
            beat.moved();
        }
        let next = match &mut this.bytes {
            FrontBytes::Whole(bytes) if bytes.is_empty() => None,
            FrontBytes::Whole(bytes) => Some(std::mem::take(bytes)),
            FrontBytes::Chunks(slices) => ready!(slices.poll_next(task)),
            FrontBytes::Live(next) => match ready!(next.as_mut().poll(task)) {
                None => None,
                Some((live, bytes)) => {
                    *next = live.next();
                    Some(bytes)
                }
            },
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.bytes, FrontBytes::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.bytes {
            FrontBytes::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            FrontBytes::Chunks(_) | FrontBytes::Live(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn between_two_slices_others_have_a_turn() {
        let chunks: Chunks = Box::new((0..3_u8).map(|n| vec![n]));
        let mut slices = Slices::of(chunks);
        let mut task = Task::from_waker(Waker::noop());
        let mut found = Vec::new();
        loop {
            match slices.poll_next(&mut task) {
                Poll::Ready(None) => break,
                Poll::Ready(Some(slice)) => found.push(slice[0]),
                Poll::Pending => found.push(b'-'),
            }
        }
        assert_eq!(found, [0, b'-', 1, b'-', 2, b'-']);
    }
}
