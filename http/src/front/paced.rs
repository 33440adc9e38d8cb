//! A connection whose other end has to keep going: it may be idle for a while, but must send a
//! request's head in one go and take its answer without stopping.
//!
//! On HTTP/2 bytes do not tell heads from other things: there only the taking is watched here, and
//! the rest in `pulse.rs`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::context::Context;
use crate::counters::Incident;
use crate::exchange::Lane;
use crate::limits::{CONNECTION_TIME_MAX, IDLE_TIME_MAX, REQUEST_HEAD_TIME_MAX, WRITE_STALL_MAX};

/// What the other end owes us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// The next request's first byte.
    Request,
    /// The rest of its head.
    Head,
    /// Room for the answer.
    Room,
    /// Nothing that this can tell.
    Anything,
}

/// A stream with its deadline.
pub(super) struct Paced<S> {
    stream: S,
    ctx: Arc<Context>,
    awaited: Awaited,
    /// What is awaited when everything that was written has been taken.
    at_rest: Awaited,
    deadline: Instant,
    /// Wakes at `deadline` or before; it is moved only when it matters.
    timer: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    /// A connection that speaks HTTP/1.
    pub(super) fn http1(stream: S, ctx: Arc<Context>) -> Self {
        Self::new(stream, ctx, Awaited::Request)
    }

    /// A connection that speaks HTTP/2.
    pub(super) fn http2(stream: S, ctx: Arc<Context>) -> Self {
        Self::new(stream, ctx, Awaited::Anything)
    }

    fn new(stream: S, ctx: Arc<Context>, at_rest: Awaited) -> Self {
        let deadline = Instant::now() + IDLE_TIME_MAX;
        let timer = Box::pin(sleep_until(deadline));
        Self { stream, ctx, awaited: at_rest, at_rest, deadline, timer }
    }

    fn await_now(&mut self, awaited: Awaited) {
        let time = match awaited {
            Awaited::Request => IDLE_TIME_MAX,
            Awaited::Head => REQUEST_HEAD_TIME_MAX,
            Awaited::Room => WRITE_STALL_MAX,
            // No connection lives that long.
            Awaited::Anything => CONNECTION_TIME_MAX,
        };
        self.awaited = awaited;
        self.deadline = Instant::now() + time;
    }

    /// Pending until the deadline, then an error; counted.
    fn poll_overdue(&mut self, task: &mut Task<'_>) -> Poll<io::Error> {
        if self.timer.deadline() > self.deadline {
            self.timer.as_mut().reset(self.deadline);
        }
        loop {
            ready!(self.timer.as_mut().poll(task));
            if Instant::now() >= self.deadline {
                break;
            }
            self.timer.as_mut().reset(self.deadline);
        }
        let what = match self.awaited {
            Awaited::Request | Awaited::Anything => Incident::Idle,
            Awaited::Head => Incident::SlowHead,
            Awaited::Room => Incident::SlowReader,
        };
        self.ctx.counters.happened(Lane::Api, what);
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// What a write came to: progress, or waiting for room.
    fn after_write<T>(
        &mut self,
        task: &mut Task<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.await_now(self.at_rest);
            return written;
        }
        if self.awaited != Awaited::Room {
            self.await_now(Awaited::Room);
        }
        self.poll_overdue(task).map(Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(task, buffer);
        if read.is_ready() {
            if self.awaited == Awaited::Request && buffer.filled().len() > before {
                self.await_now(Awaited::Head);
            }
            return read;
        }
        // While an answer waits for room, what else the peer sends is not awaited.
        if matches!(self.awaited, Awaited::Room | Awaited::Anything) {
            return Poll::Pending;
        }
        self.poll_overdue(task).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(task, bytes);
        self.after_write(task, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(task, slices);
        self.after_write(task, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Duration, advance};

    use super::*;

    /// Both ends of a stream that holds 8 bytes, and the counters.
    fn pair() -> (DuplexStream, Paced<DuplexStream>, Arc<Context>) {
        let ctx = Context::of_nothing();
        let (peer, stream) = duplex(8);
        (peer, Paced::http1(stream, Arc::clone(&ctx)), ctx)
    }

    /// Runs a test in which time passes only when everything waits.
    fn run(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(test);
    }

    fn is_overdue<T: std::fmt::Debug>(result: io::Result<T>) -> bool {
        result.is_err_and(|e| e.kind() == io::ErrorKind::TimedOut)
    }

    #[test]
    fn a_connection_may_be_idle_for_a_while_and_no_longer() {
        run(async {
            let (_peer, mut paced, ctx) = pair();
            let begun = Instant::now();
            assert!(is_overdue(paced.read(&mut [0; 8]).await));
            assert!(begun.elapsed() >= IDLE_TIME_MAX);
            assert_eq!(ctx.counters.incidents(Lane::Api, Incident::Idle), 1);
        });
    }

    #[test]
    fn a_head_that_drips_in_is_cut_off_as_a_whole() {
        run(async {
            let (mut peer, mut paced, ctx) = pair();
            let dripping = tokio::spawn(async move {
                while peer.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
            let begun = Instant::now();
            let mut head = Vec::new();
            assert!(is_overdue(paced.read_to_end(&mut head).await));
            assert!(begun.elapsed() < REQUEST_HEAD_TIME_MAX + Duration::from_secs(1));
            assert_eq!(ctx.counters.incidents(Lane::Api, Incident::SlowHead), 1);
            drop(paced);
            dripping.await.unwrap();
        });
    }

    #[test]
    fn a_reader_that_stops_is_dropped_and_one_that_goes_on_is_not() {
        run(async {
            let (mut peer, mut paced, ctx) = pair();
            let reading = tokio::spawn(async move {
                for _ in 0..16 {
                    tokio::time::sleep(WRITE_STALL_MAX / 2).await;
                    peer.read_exact(&mut [0; 4]).await.unwrap();
                }
                peer
            });
            paced.write_all(&[0; 64]).await.unwrap();
            let _peer = reading.await.unwrap();
            assert!(is_overdue(paced.write_all(&[0; 64]).await));
            assert_eq!(ctx.counters.incidents(Lane::Api, Incident::SlowReader), 1);
        });
    }

    #[test]
    fn on_http2_only_the_taking_of_answers_is_timed() {
        run(async {
            let ctx = Context::of_nothing();
            let (mut peer, stream) = duplex(8);
            let mut paced = Paced::http2(stream, Arc::clone(&ctx));
            let reading = tokio::time::timeout(IDLE_TIME_MAX * 2, paced.read(&mut [0; 8])).await;
            assert!(reading.is_err());
            peer.write_all(b"x").await.unwrap();
            assert_eq!(paced.read(&mut [0; 8]).await.unwrap(), 1);
            assert!(is_overdue(paced.write_all(&[0; 64]).await));
            assert_eq!(ctx.counters.incidents(Lane::Api, Incident::SlowReader), 1);
        });
    }

    #[test]
    fn after_an_answer_the_next_request_has_all_its_time() {
        run(async {
            let (mut peer, mut paced, ctx) = pair();
            for _ in 0..5 {
                peer.write_all(b"ask").await.unwrap();
                paced.read_exact(&mut [0; 3]).await.unwrap();
                paced.write_all(b"answer").await.unwrap();
                peer.read_exact(&mut [0; 6]).await.unwrap();
                advance(IDLE_TIME_MAX - Duration::from_secs(1)).await;
            }
            assert_eq!(ctx.counters.incidents(Lane::Api, Incident::Idle), 0);
        });
    }
}
