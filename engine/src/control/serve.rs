//! The answering side of the control socket: who may ask, and how an answer is written.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::geteuid;
use sentrypeer_http::context::Context;
use sentrypeer_http::exchange::{Body, Lane, Request, Response};
use sentrypeer_http::routes;
use sentrypeer_storage::event::Time;

use crate::limits::{
    ACCEPT_PAUSE_MS, CONTROL_CLIENTS_MAX, CONTROL_PIECE_BYTES_MAX, CONTROL_REQUEST_BYTES_MAX,
    CONTROL_STALL_MS,
};

pub(super) fn accept(listener: &UnixListener, context: &Arc<Context>) {
    let clients = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors, most likely.
            std::thread::sleep(Duration::from_millis(ACCEPT_PAUSE_MS));
            continue;
        };
        if clients.load(Ordering::Relaxed) >= CONTROL_CLIENTS_MAX {
            refuse(&stream, 503, "the control socket has as many clients as it serves at once");
            continue;
        }
        clients.fetch_add(1, Ordering::Relaxed);
        let (context, counted) = (Arc::clone(context), Arc::clone(&clients));
        let served =
            std::thread::Builder::new().name("control-client".to_owned()).spawn(move || {
                if let Err(error) = serve(&stream, &context) {
                    log::debug!("control socket: {error}");
                }
                counted.fetch_sub(1, Ordering::Relaxed);
            });
        if served.is_err() {
            clients.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Answers one client, if it is the node's own user or root.
fn serve(stream: &UnixStream, context: &Context) -> io::Result<()> {
    let stall = Some(Duration::from_millis(CONTROL_STALL_MS));
    stream.set_read_timeout(stall)?;
    stream.set_write_timeout(stall)?;
    let client = getsockopt(stream, sockopt::PeerCredentials)?;
    if client.uid() != 0 && client.uid() != geteuid().as_raw() {
        log::warn!("control socket: user {} turned away", client.uid());
        refuse(stream, 403, "the node belongs to another user");
        return Ok(());
    }
    let mut line = String::new();
    BufReader::new(stream.take(CONTROL_REQUEST_BYTES_MAX as u64)).read_line(&mut line)?;
    write_response(stream, ask(context, line.trim_end()))
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

fn write_response(mut stream: &UnixStream, response: Response) -> io::Result<()> {
    writeln!(stream, "{}", response.status)?;
    let mut piece = |bytes: &[u8]| {
        for bytes in bytes.chunks(CONTROL_PIECE_BYTES_MAX) {
            writeln!(stream, "{}", bytes.len())?;
            stream.write_all(bytes)?;
        }
        Ok::<_, io::Error>(())
    };
    match response.body {
        Body::Empty { .. } => {}
        Body::Bytes(bytes) => piece(&bytes)?,
        Body::Chunks(mut chunks) => chunks.try_for_each(|chunk| piece(&chunk))?,
    }
    writeln!(stream, "0")
}
