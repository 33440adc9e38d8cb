//! A live stream on a connection: waits for what comes, and ends for who does not take it.
//!
//! Nothing here waits on the writer, nor it on us: a stream looks now and then whether there is a new
//! generation, which costs nothing, and reads the log beside the writer.

use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Bytes;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

use crate::context::Context;
use crate::counters::{Incident, Streaming};
use crate::exchange::Lane;
use crate::limits::{
    STREAM_KEEP_ALIVE_PERIOD, STREAM_LOOK_PERIOD, STREAM_TAKE_TIME_MAX, STREAM_TIME_MAX,
};
use crate::v1::stream::{Broken, Tail};

/// What all streams share.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// Whoever reads the log: one at a time, so that streams keep no list and no feed waiting.
    pub(super) reading: Arc<Semaphore>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// A stream between two pieces.
pub(super) struct Live {
    ctx: Arc<Context>,
    streams: Streams,
    tail: Tail,
    /// What is to be sent before anything else.
    first: Option<Vec<u8>>,
    /// When the client was given something last.
    handed: Instant,
    ends: Instant,
    _open: Streaming,
}

/// The next piece, and the stream behind it; nothing at its end.
pub(super) type Next = Pin<Box<dyn Future<Output = Option<(Live, Bytes)>> + Send>>;

impl Live {
    pub(super) fn new(ctx: Arc<Context>, streams: Streams, tail: Tail, first: Vec<u8>) -> Self {
        let (now, open) = (Instant::now(), Streaming::begin(Arc::clone(&ctx)));
        let ends = now + STREAM_TIME_MAX;
        Self { ctx, streams, tail, first: Some(first), handed: now, ends, _open: open }
    }

    /// What comes next. It is first asked for when the client has taken what was before.
    pub(super) fn next(self) -> Next {
        Box::pin(self.piece())
    }

    async fn piece(mut self) -> Option<(Self, Bytes)> {
        if self.handed.elapsed() > STREAM_TAKE_TIME_MAX {
            self.ctx.counters.happened(Lane::Api, Incident::SlowReader);
            return None;
        }
        if Instant::now() >= self.ends || *self.streams.stopping.borrow() {
            return None;
        }
        let bytes = match self.first.take() {
            Some(first) => first,
            None => {
                let bytes;
                (self, bytes) = self.waited().await?;
                bytes
            }
        };
        self.handed = Instant::now();
        Some((self, bytes.into()))
    }

    /// Waits until there is something to send. Nothing when the stream has lived long enough, or the
    /// front stops: the client comes back and goes on where it was.
    async fn waited(mut self) -> Option<(Self, Vec<u8>)> {
        let (quiet, ends) = (Instant::now() + STREAM_KEEP_ALIVE_PERIOD, self.ends);
        let mut stopping = self.streams.stopping.clone();
        loop {
            if self.tail.is_behind(&self.ctx) {
                let before = self.tail.place();
                let read;
                (self, read) = self.read().await?;
                let bytes = read.ok()?;
                if !bytes.is_empty() {
                    return Some((self, bytes));
                }
                if self.tail.place() > before && Instant::now() < quiet {
                    continue;
                }
            }
            if Instant::now() >= quiet {
                let mut bytes = Vec::new();
                self.tail.append_place(&mut bytes);
                return Some((self, bytes));
            }
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return None,
                () = sleep_until(ends) => return None,
                () = sleep(STREAM_LOOK_PERIOD) => {}
            }
        }
    }

    /// Reads a part of the log, on a thread where that keeps nobody waiting.
    async fn read(mut self) -> Option<(Self, Result<Vec<u8>, Broken>)> {
        let turn = Arc::clone(&self.streams.reading).acquire_owned().await.ok()?;
        let reading = spawn_blocking(move || {
            let read = self.tail.read(&self.ctx);
            drop(turn);
            (self, read)
        });
        reading.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// A stream of a node whose database is never there, so that nothing comes.
    fn run<T: Future<Output = ()>>(
        test: impl FnOnce(Arc<Context>, Live, watch::Sender<bool>) -> T,
    ) {
        let ctx = Context::of_nothing();
        let (stop, stopping) = watch::channel(false);
        let streams = Streams { reading: Arc::new(Semaphore::new(1)), stopping };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let live = Live::new(Arc::clone(&ctx), streams, Tail::of_nothing(), b"first".into());
            // Without a sender the front counts as stopped.
            let _stop = stop.clone();
            test(ctx, live, stop).await;
        });
    }

    #[test]
    fn a_quiet_stream_says_where_it_is_until_it_has_lasted_long_enough() {
        run(|ctx, live, _stop| async move {
            let begun = Instant::now();
            let (mut live, first) = live.next().await.unwrap();
            assert_eq!(&first[..], b"first");
            assert_eq!(ctx.counters.open_streams(), 1);
            let mut last = begun;
            while let Some((next, bytes)) = live.next().await {
                assert_eq!(&bytes[..], b": here\nid: 00000000-0\n\n");
                assert!(last.elapsed() <= STREAM_KEEP_ALIVE_PERIOD + STREAM_LOOK_PERIOD);
                (live, last) = (next, Instant::now());
            }
            assert!(begun.elapsed() >= STREAM_TIME_MAX);
            assert_eq!(ctx.counters.open_streams(), 0);
            assert_eq!(ctx.counters.incidents(Lane::Api, Incident::SlowReader), 0);
        });
    }

    #[test]
    fn who_does_not_take_what_he_was_given_is_dropped_and_counted() {
        run(|ctx, live, _stop| async move {
            let (live, _) = live.next().await.unwrap();
            advance(STREAM_TAKE_TIME_MAX + STREAM_LOOK_PERIOD).await;
            assert!(live.next().await.is_none());
            assert_eq!(ctx.counters.incidents(Lane::Api, Incident::SlowReader), 1);
        });
    }

    #[test]
    fn a_stream_ends_when_the_front_stops() {
        run(|_, live, stop| async move {
            let (live, _) = live.next().await.unwrap();
            stop.send_replace(true);
            assert!(live.next().await.is_none());
        });
    }
}
