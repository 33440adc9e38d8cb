//! The control socket: how subcommands reach a running node, API or not.
//!
//! A Unix socket beside the database, for its owner only. A client sends one line, a path with its
//! query. The node answers a line with a status code, and then the document, which is that of the
//! API's router, in pieces: a line with the length in bytes, and as many bytes. A piece of length 0
//! ends it, so that a document that was cut cannot pass for a whole one.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
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
use sentrypeer_storage::identity::beside;

use crate::limits::{
    ACCEPT_PAUSE_MS, CONTROL_CLIENTS_MAX, CONTROL_PIECE_BYTES_MAX, CONTROL_REQUEST_BYTES_MAX,
    CONTROL_STALL_MS,
};

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
    beside(database, "sock")
}

/// An open control socket; its file goes when this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    /// What tells the socket from that of a node that came after us.
    identity: Option<Identity>,
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
    // A socket without a node behind it is left from an earlier run. Anything else stays, and the
    // bind says so.
    if std::fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket()) {
        let _ = std::fs::remove_file(&path);
    }
    let opened = UnixListener::bind(&path).and_then(|listener| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    });
    match opened {
        Ok(listener) => {
            let identity = identity(&path);
            Ok(Bound { listener, control: Control { path, identity } })
        }
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
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device, inode, and when it last changed, for an inode is soon used again.
type Identity = (u64, u64, i64, i64);

fn identity(path: &Path) -> Option<Identity> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

fn accept(listener: &UnixListener, context: &Arc<Context>) {
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

/// What a running node answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code, as of HTTP.
    pub status: u16,
    stream: BufReader<UnixStream>,
}

impl Answer {
    /// The next piece of the document; none at its end.
    ///
    /// # Errors
    ///
    /// If the node goes away or stalls before the end.
    pub fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let length: usize = read_number(&mut self.stream)?;
        if length == 0 {
            return Ok(None);
        }
        if length > CONTROL_PIECE_BYTES_MAX {
            return Err(broken_off());
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Asks the node that runs on `database`; none if no node runs there.
///
/// # Errors
///
/// If a node is there but cannot be talked to.
pub fn request(database: &Path, target: &str) -> io::Result<Option<Answer>> {
    let mut stream = match UnixStream::connect(socket_path(database)) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error),
            };
        }
    };
    stream.set_read_timeout(Some(Duration::from_millis(CONTROL_STALL_MS)))?;
    // A node that turns us away says so without reading.
    let _ = writeln!(stream, "{target}");
    let mut stream = BufReader::new(stream);
    Ok(Some(Answer { status: read_number(&mut stream)?, stream }))
}

fn read_number<T: std::str::FromStr>(stream: &mut BufReader<UnixStream>) -> io::Result<T> {
    let mut line = String::new();
    stream.take(32).read_line(&mut line)?;
    line.trim_end().parse().map_err(|_| broken_off())
}

fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the node broke off its answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_is_replaced_and_only_our_own_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.redb");
        let path = socket_path(&database);
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&database), Err(ControlError::Open { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();

        let first = bind(&database).unwrap();
        assert!(matches!(bind(&database), Err(ControlError::InUse { .. })));
        drop(first.listener);
        // Keeps the inode from being used again at once, where clocks are too coarse to tell.
        std::fs::hard_link(&path, folder.path().join("kept")).unwrap();
        let second = bind(&database).unwrap();
        drop(first.control);
        assert!(path.exists(), "the socket of the node that came after is gone");
        drop(second);
        assert!(!path.exists());
    }
}
