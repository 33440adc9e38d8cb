//! The control socket: how subcommands reach a running node, API or not.
//!
//! A Unix socket beside the database, for its owner only. A client sends one line, a path with its
//! query; the node answers one line, a status code, and then the document until the end. The
//! documents are those of the API's router.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::geteuid;
use sentrypeer_http::context::Context;
use sentrypeer_http::exchange::{Body, Lane, Request, Response};
use sentrypeer_http::routes;
use sentrypeer_storage::event::Time;

use crate::limits::{CONTROL_CLIENTS_MAX, CONTROL_REQUEST_BYTES_MAX, CONTROL_STALL_MS};

/// The control socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another node answers there.
    #[error(
        "{}: a node runs on this database already; stop it, or name another database with --db",
        path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The system refuses it.
    #[error(
        "{}: cannot open the control socket: {source}; it lies beside the database, whose folder \
         must be writable and whose path must be short (--db)",
        path.display()
    )]
    Open {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where the control socket of a database is.
#[must_use]
pub fn socket_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".sock");
    PathBuf::from(name)
}

/// An open control socket; its file goes when this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
}

/// A control socket that is bound but not served yet.
#[derive(Debug)]
pub struct Bound {
    listener: UnixListener,
    control: Control,
}

/// Opens the control socket of a database. What an earlier run left behind is replaced.
///
/// # Errors
///
/// See [`ControlError`].
pub fn bind(database: &Path) -> Result<Bound, ControlError> {
    let path = socket_path(database);
    if UnixStream::connect(&path).is_ok() {
        return Err(ControlError::InUse { path });
    }
    let _ = std::fs::remove_file(&path);
    let opened = UnixListener::bind(&path).and_then(|listener| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    });
    match opened {
        Ok(listener) => Ok(Bound { listener, control: Control { path } }),
        Err(source) => Err(ControlError::Open { path, source }),
    }
}

impl Bound {
    /// Serves it on a thread of its own, for as long as the process lives.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn serve(self, context: Arc<Context>) -> io::Result<Control> {
        let listener = self.listener;
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept(&listener, &context))?;
        Ok(self.control)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, context: &Arc<Context>) {
    let clients = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors, most likely.
            std::thread::sleep(Duration::from_millis(crate::limits::ACCEPT_PAUSE_MS));
            continue;
        };
        if clients.load(Ordering::Relaxed) >= CONTROL_CLIENTS_MAX {
            log::warn!("control socket: {CONTROL_CLIENTS_MAX} clients already, one turned away");
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
    let peer = getsockopt(stream, sockopt::PeerCredentials)?;
    if peer.uid() != 0 && peer.uid() != geteuid().as_raw() {
        log::warn!("control socket: user {} turned away", peer.uid());
        return Ok(());
    }
    let stall = Some(Duration::from_millis(CONTROL_STALL_MS));
    stream.set_read_timeout(stall)?;
    stream.set_write_timeout(stall)?;
    let mut line = String::new();
    BufReader::new(stream.take(CONTROL_REQUEST_BYTES_MAX as u64)).read_line(&mut line)?;
    write_response(stream, ask(context, line.trim_end()))
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
        if_none_match: None,
        now: Time::now(),
        lane: Lane::Control,
    };
    routes::handle(context, &request)
}

fn write_response(mut stream: &UnixStream, response: Response) -> io::Result<()> {
    writeln!(stream, "{}", response.status)?;
    match response.body {
        Body::Empty { .. } => Ok(()),
        Body::Bytes(bytes) => stream.write_all(&bytes),
        Body::Chunks(mut chunks) => chunks.try_for_each(|chunk| stream.write_all(&chunk)),
    }
}

/// What a running node answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code, as of HTTP.
    pub status: u16,
    body: BufReader<UnixStream>,
}

impl Answer {
    /// Copies the document to `out`.
    ///
    /// # Errors
    ///
    /// If the node goes away, or `out` fails.
    pub fn copy_to(mut self, out: &mut impl Write) -> io::Result<()> {
        io::copy(&mut self.body, out).map(|_| ())
    }
}

/// Asks the node that runs on `database`; none if no node runs there.
///
/// # Errors
///
/// If a node is there but cannot be talked to.
pub fn request(database: &Path, target: &str) -> io::Result<Option<Answer>> {
    let stream = match UnixStream::connect(socket_path(database)) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error),
            };
        }
    };
    stream.set_read_timeout(Some(Duration::from_millis(CONTROL_STALL_MS)))?;
    writeln!(&stream, "{target}")?;
    let mut body = BufReader::new(stream);
    let mut line = String::new();
    body.read_line(&mut line)?;
    let status = line.trim_end().parse().map_err(|_| {
        io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the node closed the control socket unread; \
            it belongs to another user",
        )
    })?;
    Ok(Some(Answer { status, body }))
}
