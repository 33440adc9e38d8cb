//! The dip lane: may_minihttp on loopback, for what a PBX on the same machine asks during call
//! set-up.
//!
//! may_minihttp 0.1.11 is fast and has no limits: it runs an unread body as the next request,
//! ignores `Connection: close`, answers `HEAD` with a body, keeps answers for a peer that does not
//! read, and waits for ever. Hence what stands here:
//!
//! - A request that is not one of the few that the lane answers, or that says that it has a body,
//!   is refused, and so is everything that was sent behind it. Then the connection ends.
//! - A request's body is never asked for: the crate panics on a length that is no number.
//! - A connection ends after so many bytes of answers, after so long without a request, and at
//!   once when there are too many.
//!
//! The last two are done from outside the crate: see `connections.rs`; and so is what keeps it from
//! spinning when there is no descriptor left: see `descriptors.rs`.

mod connections;
mod descriptors;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use may_minihttp::{HttpService, HttpServiceFactory};
use nix::sys::socket::Shutdown;
use sentrypeer_storage::event::Time;

use self::connections::{Connections, end, sweep};
use self::descriptors::Spares;
use super::FrontError;
use crate::context::Context;
use crate::counters::Incident;
use crate::endpoint::Route;
use crate::exchange::{CONTENT_TYPES, Lane, POWERED_BY, Request, Response};
use crate::limits::{
    DIP_ANSWER_BYTES_MAX, DIP_DESCRIPTOR_PERIOD, DIP_REFUSALS_MAX, DIP_STACK_WORDS,
    DIP_STACKS_KEPT, DIP_WORKERS, RETRY_AFTER_S,
};
use crate::routes::{handle, misdirected};

/// The running dip lane. Its threads live as long as the process, for the crate cannot end them;
/// when this is dropped they have no connection left and take no new one.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    connections: Arc<Connections>,
    /// Closing it ends the sweeper.
    _stop_sweeper: SyncSender<()>,
}

/// Serves the dip lane on `address`, which must be loopback. Port 0 takes a free one.
///
/// may_minihttp logs every end of a connection as an error under the target `may_minihttp`, and may
/// logs every descriptor at level info under `may`: a logger had better pass over both.
///
/// # Errors
///
/// Where `address` is not loopback, or cannot be listened on.
pub fn serve(address: SocketAddr, ctx: Arc<Context>) -> Result<Front, FrontError> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(FrontError::NotLoopback { address });
    }
    let refused = |source| FrontError::Listen { address, source };
    // may binds with SO_REUSEPORT: beside a second instance it would take half of the connections
    // without a word. The standard library binds without, so this finds out.
    let probe = TcpListener::bind(address).and_then(|l| l.local_addr()).map_err(refused)?;
    may::config()
        .set_workers(DIP_WORKERS)
        .set_stack_size(DIP_STACK_WORDS)
        .set_pool_capacity(DIP_STACKS_KEPT)
        // The shards' threads are pinned; these must be free to keep out of their way.
        .set_worker_pin(false);
    let connections = Arc::new(Connections::new(Arc::clone(&ctx)));
    let lines = HeaderLines::new(ctx.version);
    let spares = Arc::new(Spares::new());
    let factory =
        Factory { ctx, connections: Arc::clone(&connections), spares: Arc::clone(&spares), lines };
    factory.start(probe).map_err(refused)?;
    let (stop_sweeper, stopped) = sync_channel(0);
    let swept = Arc::clone(&connections);
    std::thread::Builder::new()
        .name("dip-sweep".to_owned())
        .spawn(move || sweep(&swept, &spares, &stopped))
        .map_err(refused)?;
    Ok(Front { address: probe, connections, _stop_sweeper: stop_sweeper })
}

impl Front {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.connections.close();
    }
}

struct Factory {
    ctx: Arc<Context>,
    connections: Arc<Connections>,
    spares: Arc<Spares>,
    lines: HeaderLines,
}

impl Factory {
    /// Holds up the loop that accepts for as long as there is no descriptor to be had.
    fn wait_for_descriptors(&self) {
        if self.spares.are_short() {
            self.ctx.counters.happened(Lane::Dip, Incident::AcceptFailed);
        }
        while self.spares.are_short() {
            may::coroutine::sleep(DIP_DESCRIPTOR_PERIOD);
        }
    }
}

impl HttpServiceFactory for Factory {
    type Service = Dip;

    fn new_service(&self, id: usize) -> Dip {
        // It was a descriptor, an i32, before the crate made it a usize.
        let fd = RawFd::try_from(id).unwrap_or(-1);
        let used = self.connections.enter(fd);
        self.wait_for_descriptors();
        if used.is_none() {
            end(fd, Shutdown::Both);
        }
        Dip {
            ctx: Arc::clone(&self.ctx),
            connections: Arc::clone(&self.connections),
            lines: self.lines,
            fd,
            used,
            refusals: 0,
            answered_bytes: 0,
        }
    }
}

/// One connection.
struct Dip {
    ctx: Arc<Context>,
    connections: Arc<Connections>,
    lines: HeaderLines,
    fd: RawFd,
    /// When it was last used; `None` for a connection that was not taken in.
    used: Option<Arc<AtomicU64>>,
    /// Above zero the connection is about to end, and nothing is answered any more.
    refusals: u32,
    answered_bytes: usize,
}

impl Drop for Dip {
    fn drop(&mut self) {
        if self.used.is_some() {
            self.connections.leave(self.fd);
        }
    }
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Keep,
    End,
}

impl HttpService for Dip {
    fn call(
        &mut self,
        request: may_minihttp::Request<'_, '_, '_>,
        reply: &mut may_minihttp::Response<'_>,
    ) -> io::Result<()> {
        let (now, begun) = (Time::now(), Instant::now());
        if let Some(used) = &self.used {
            used.store(now.0, Relaxed);
        }
        let (mut response, then) = self.answer(&request, now);
        if request.method() == "HEAD" {
            response = response.without_body();
        }
        let endpoint = Route::of(request.path().split('?').next().unwrap_or("")).endpoint;
        self.ctx.counters.took(Lane::Dip, endpoint, response.status, begun.elapsed());
        self.write(response, then, reply);
        Ok(())
    }
}

impl Dip {
    fn answer(
        &mut self,
        request: &may_minihttp::Request<'_, '_, '_>,
        now: Time,
    ) -> (Response, Then) {
        if self.refusals > 0 || self.used.is_none() {
            return self.refuse();
        }
        let Some((target, then)) = Target::of(request) else { return self.refuse() };
        let response = handle(
            &self.ctx,
            &Request {
                method: request.method(),
                path: target.uri.path(),
                query: target.uri.query().unwrap_or(""),
                content_type: target.content_type,
                accept: target.accept,
                accept_encoding: None,
                if_none_match: None,
                now,
                lane: Lane::Dip,
            },
        );
        if response.status == 421 {
            return self.refuse();
        }
        (response, then)
    }

    /// From here on everything is refused: what follows may be the body of what was refused.
    fn refuse(&mut self) -> (Response, Then) {
        self.refusals += 1;
        if self.refusals == 1 {
            self.ctx.counters.happened(Lane::Dip, Incident::NotForThisLane);
        }
        if self.refusals > DIP_REFUSALS_MAX {
            end(self.fd, Shutdown::Both);
        }
        (misdirected(), Then::End)
    }

    fn write(
        &mut self,
        response: Response,
        mut then: Then,
        reply: &mut may_minihttp::Response<'_>,
    ) {
        let status = response.status;
        reply.status_code(usize::from(status), reason(status));
        self.lines.write(&response, reply);
        // The crate would send a body to HEAD too, and the client take it for the next answer;
        // the router leaves it out.
        let bytes = response.body.into_bytes();
        self.answered_bytes += bytes.len() + HeaderLines::BYTES_ABOUT;
        reply.body_vec(bytes);
        if self.answered_bytes > DIP_ANSWER_BYTES_MAX && then == Then::Keep {
            self.ctx.counters.happened(Lane::Dip, Incident::LifeOver);
            then = Then::End;
        }
        if then == Then::End {
            self.refusals = self.refusals.max(1);
            reply.header("Connection: close");
            end(self.fd, Shutdown::Read);
        }
    }
}

/// What of a request the router looks at.
struct Target<'a> {
    /// Taken apart by the same code as on the API, so that both see the same path.
    uri: http::Uri,
    content_type: Option<&'a str>,
    accept: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// `None` for what this lane does not take: a body, or a target that is no URI.
    fn of(request: &'a may_minihttp::Request<'_, '_, '_>) -> Option<(Self, Then)> {
        let mut target =
            Self { uri: request.path().parse().ok()?, content_type: None, accept: None };
        // Before HTTP/1.1 a connection ends after its answer (RFC 9112, section 9.3).
        let mut then = if request.version() == 1 { Then::Keep } else { Then::End };
        for header in request.headers() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let value = std::str::from_utf8(header.value).ok();
            if is("Content-Length") || is("Transfer-Encoding") {
                return None;
            } else if is("Connection") && value.is_none_or(says_close) {
                then = Then::End;
            } else if is("Content-Type") {
                target.content_type = target.content_type.or(value);
            } else if is("Accept") {
                target.accept = target.accept.or(value);
            }
        }
        Some((target, then))
    }
}

fn says_close(connection: &str) -> bool {
    connection.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"))
}

/// The header lines that an answer of this lane can have. The crate takes only text that lives as
/// long as the program, so they are made once; an `ETag` could not be, and there is none.
#[derive(Clone, Copy)]
struct HeaderLines {
    content_types: [&'static str; CONTENT_TYPES.len()],
    powered_by: &'static str,
    version: &'static str,
    /// The router knows one such time.
    retry_after: &'static str,
}

impl HeaderLines {
    /// What the head of an answer takes, in bytes, for the bound on a connection's answers.
    const BYTES_ABOUT: usize = 256;

    fn new(version: &str) -> Self {
        let kept = |line: String| -> &'static str { Box::leak(line.into_boxed_str()) };
        Self {
            content_types: CONTENT_TYPES.map(|name| kept(format!("Content-Type: {name}"))),
            powered_by: kept(format!("X-Powered-By: {POWERED_BY}")),
            version: kept(format!("X-SentryPeer-Version: {version}")),
            retry_after: kept(format!("Retry-After: {RETRY_AFTER_S}")),
        }
    }

    fn write(&self, response: &Response, reply: &mut may_minihttp::Response<'_>) {
        for (name, line) in CONTENT_TYPES.into_iter().zip(self.content_types) {
            if response.content_type == Some(name) {
                reply.header(line);
            }
        }
        if response.any_origin {
            reply.header("Access-Control-Allow-Origin: *");
        }
        reply.header(self.powered_by).header(self.version);
        if response.retry_after_s.is_some() {
            reply.header(self.retry_after);
        }
    }
}

/// The reason phrases of what the router answers on this lane.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        503 => "Service Unavailable",
        _ => "Error",
    }
}
