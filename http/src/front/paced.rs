//! A connection whose other end has to keep going: it may be idle for a while, but must send a
//! request's head in one go and take its answer without stopping.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::context::Context;
use crate::counters::Happening;
use crate::exchange::Lane;
use crate::limits::{IDLE_TIME_MAX, REQUEST_HEAD_TIME_MAX, WRITE_STALL_MAX};

/// What the other end owes us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// The next request's first byte.
    Request,
    /// The rest of its head.
    Head,
    /// Room for the answer.
    Room,
}

/// A stream with its deadline.
pub(super) struct Paced<S> {
    stream: S,
    ctx: Arc<Context>,
    awaited: Awaited,
    deadline: Instant,
    /// Wakes at `deadline` or before; it is moved only when it matters.
    timer: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, ctx: Arc<Context>) -> Self {
        let deadline = Instant::now() + IDLE_TIME_MAX;
        let timer = Box::pin(sleep_until(deadline));
        Self { stream, ctx, awaited: Awaited::Request, deadline, timer }
    }

    fn await_now(&mut self, awaited: Awaited) {
        let time = match awaited {
            Awaited::Request => IDLE_TIME_MAX,
            Awaited::Head => REQUEST_HEAD_TIME_MAX,
            Awaited::Room => WRITE_STALL_MAX,
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
            Awaited::Request => Happening::Idle,
            Awaited::Head => Happening::SlowHead,
            Awaited::Room => Happening::SlowReader,
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
            self.await_now(Awaited::Request);
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
        if self.awaited == Awaited::Room {
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
