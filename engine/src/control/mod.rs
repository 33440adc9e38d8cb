//! The control socket: how subcommands reach a running node, API or not.
//!
//! A Unix socket beside the database, for its owner only. A client sends one line. One that begins with
//! `/` is a path with its query, which the API's router answers; any other is an [order](mod@order). The
//! node answers a line with a status code, and then the document in pieces: a line with the length in
//! bytes, and as many bytes. A piece of length 0 ends it, so that a document that was cut cannot pass
//! for a whole one. Before the status code there may be empty lines: the node is still at it.

pub mod allow;
pub mod batch;
pub mod charge;
mod client;
pub mod counts;
pub mod documents;
mod native;
pub mod order;
pub mod outputs;
pub mod peers;
mod serve;
pub mod tokens;

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sentrypeer_http::context::Context;
use sentrypeer_storage::identity::beside;

use charge::Charge;
pub use client::{Answer, is_served, order, refusal_text, request};
use counts::OrderCounts;
pub use serve::ask;

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
    pub fn serve(
        self,
        context: Arc<Context>,
        charge: Charge,
        orders: Arc<OrderCounts>,
    ) -> io::Result<Control> {
        let listener = self.listener;
        let served = Arc::new(serve::Served { context, charge, orders });
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || serve::accept(&listener, &served))?;
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
