//! The answering side of the control socket: who may ask, and how an answer is written.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::geteuid;
use sentrypeer_http::context::Context;
use sentrypeer_http::exchange::{Body, Lane, Request, Response};
use sentrypeer_http::routes;
use sentrypeer_storage::event::Time;
use serde_json::json;

use super::charge::Charge;
use super::counts::OrderCounts;
use super::order::{Order, Refusal};
use crate::limits::{
    ACCEPT_PAUSE_MS, CONTROL_CLIENTS_MAX, CONTROL_PIECE_BYTES_MAX, CONTROL_PULSE_MS,
    CONTROL_REQUEST_BYTES_MAX, CONTROL_STALL_MS,
};

/// What clients are answered from.
pub(super) struct Served {
    pub(super) context: Arc<Context>,
    pub(super) charge: Charge,
    pub(super) orders: Arc<OrderCounts>,
}

/// A client that is served. It makes room for the next when this is dropped, also by a panic.
struct Client(Arc<AtomicUsize>);

impl Client {
    /// Only the thread that accepts adds.
    fn new(clients: &Arc<AtomicUsize>) -> Option<Self> {
        if clients.load(Ordering::Relaxed) >= CONTROL_CLIENTS_MAX {
            return None;
        }
        clients.fetch_add(1, Ordering::Relaxed);
        Some(Self(Arc::clone(clients)))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn accept(listener: &UnixListener, served: &Arc<Served>) {
    let clients = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors, most likely.
            thread::sleep(Duration::from_millis(ACCEPT_PAUSE_MS));
            continue;
        };
        let Some(client) = Client::new(&clients) else {
            refuse(&stream, 503, "the control socket has as many clients as it serves at once");
            continue;
        };
        let served = Arc::clone(served);
        // Without a thread the client is turned away by the end of its connection.
        let _ = thread::Builder::new().name("control-client".to_owned()).spawn(move || {
            let _client = client;
            if let Err(error) = serve(&stream, &served) {
                log::debug!("control socket: {error}");
            }
        });
    }
}

/// Answers one client, if it is the node's own user or root.
fn serve(stream: &UnixStream, served: &Served) -> io::Result<()> {
    let stall = Some(Duration::from_millis(CONTROL_STALL_MS));
    stream.set_read_timeout(stall)?;
    stream.set_write_timeout(stall)?;
    let client = getsockopt(stream, sockopt::PeerCredentials)?;
    if client.uid() != 0 && client.uid() != geteuid().as_raw() {
        log::warn!("control socket: user {} turned away", client.uid());
        refuse(stream, 403, "the node belongs to another user");
        return Ok(());
    }
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.by_ref().take(CONTROL_REQUEST_BYTES_MAX as u64).read_line(&mut line)?;
    let Some(line) = line.strip_suffix('\n') else {
        refuse(stream, 400, "the line does not end, or is too long");
        return Ok(());
    };
    if line.starts_with('/') {
        return write_response(stream, ask(&served.context, line));
    }
    match Order::decode(line, &mut reader) {
        Ok(order) => serve_order(stream, served, order),
        Err(refusal) => write_refusal(stream, &refusal),
    }
}

/// Carries an order out. While that takes, an empty line from time to time says that we are at it.
///
/// A client that goes away stops nothing, and has its place until the order is carried out: so there
/// are never more of them than clients.
fn serve_order(mut stream: &UnixStream, served: &Served, order: Order) -> io::Result<()> {
    let (done, told) = bounded(1);
    let counted = served.orders.begin(&order);
    thread::scope(|scope| {
        thread::Builder::new().name("control-order".to_owned()).spawn_scoped(scope, move || {
            let outcome = order.carry_out(&served.charge);
            // Here, for the client may have gone.
            if outcome.is_ok() {
                counted.done();
            }
            let _ = done.send(outcome);
        })?;
        loop {
            match told.recv_timeout(Duration::from_millis(CONTROL_PULSE_MS)) {
                Err(RecvTimeoutError::Timeout) => stream.write_all(b"\n")?,
                Ok(Ok(document)) => return write_document(stream, 200, [document]),
                Ok(Err(refusal)) => return write_refusal(stream, &refusal),
                Err(RecvTimeoutError::Disconnected) => {
                    let why = "it failed by a fault of this program; see its log".to_owned();
                    return write_refusal(stream, &Refusal { status: 500, why });
                }
            }
        }
    })
}

fn write_refusal(stream: &UnixStream, refusal: &Refusal) -> io::Result<()> {
    let document = json!({ "error": refusal.why }).to_string().into_bytes();
    write_document(stream, refusal.status, [document])
}

fn refuse(mut stream: &UnixStream, status: u16, why: &str) {
    // A client that has gone needs no answer.
    let _ = stream.write_all(format!("{status}\n{}\n{why}0\n", why.len()).as_bytes());
}

/// Has the router answer a path with its query, as the operator.
#[must_use]
pub fn ask(context: &Context, target: &str) -> Response {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request {
        method: "GET",
        path,
        query,
        content_type: Some("application/json"),
        accept: None,
        accept_encoding: None,
        if_none_match: None,
        now: Time::now(),
        lane: Lane::Control,
    };
    routes::handle(context, &request)
}

fn write_response(stream: &UnixStream, response: Response) -> io::Result<()> {
    match response.body {
        Body::Empty { .. } => write_document(stream, response.status, []),
        Body::Bytes(bytes) => write_document(stream, response.status, [bytes]),
        Body::Chunks(chunks) => write_document(stream, response.status, chunks),
    }
}

fn write_document(
    mut stream: &UnixStream,
    status: u16,
    slices: impl IntoIterator<Item = Vec<u8>>,
) -> io::Result<()> {
    writeln!(stream, "{status}")?;
    for slice in slices {
        for piece in slice.chunks(CONTROL_PIECE_BYTES_MAX) {
            writeln!(stream, "{}", piece.len())?;
            stream.write_all(piece)?;
        }
    }
    writeln!(stream, "0")
}
