//! Where the API listens, and whether that is safe to open.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FrontError;
use super::admission::AddressLimits;
use super::tls::Tls;
use crate::access::Access;

/// What keeps strangers out of a front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// It speaks TLS.
    pub tls: bool,
    /// It asks for certificates of a CA that the operator named.
    pub client_ca: bool,
    /// There is a token that opens it.
    pub tokens: bool,
    /// The operator asked by name for a front that is open to whoever reaches it.
    pub insecure: bool,
}

impl Protection {
    /// Checks that only this machine reaches `address`, or that something keeps strangers out.
    ///
    /// # Errors
    ///
    /// [`FrontError::Unprotected`], which says what is missing.
    pub fn allows(self, address: SocketAddr) -> Result<(), FrontError> {
        let guarded = self.tls && (self.client_ca || self.tokens);
        if self.insecure || guarded || address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        let missing = if self.tls { MISSING_TOKEN } else { MISSING_TLS };
        Err(FrontError::Unprotected { address, missing })
    }
}

const MISSING_TLS: &str =
    "anybody on the way could read and change what is said; give it a certificate and a key";
const MISSING_TOKEN: &str = "nobody could be told from anybody; make a token, or name the CA of \
                             the clients' certificates";

/// Addresses and sockets that are taken, not served yet.
#[derive(Debug, Default)]
pub struct Bound {
    /// Listeners on addresses.
    pub tcp: Vec<TcpListener>,
    /// Listeners on Unix sockets.
    pub unix: Vec<UnixSocket>,
}

impl Bound {
    /// Takes every address and every Unix socket, or none.
    ///
    /// # Errors
    ///
    /// The first that is not safe to open, or cannot be had.
    pub fn new(
        addresses: &[SocketAddr],
        sockets: &[PathBuf],
        protection: Protection,
    ) -> Result<Self, FrontError> {
        addresses.iter().try_for_each(|address| protection.allows(*address))?;
        let tcp = addresses.iter().map(|address| {
            let refused = |source| FrontError::ApiListen { address: *address, source };
            TcpListener::bind(address).map_err(refused)
        });
        let tcp = tcp.collect::<Result<_, _>>()?;
        let unix = sockets.iter().map(|path| UnixSocket::bind(path));
        Ok(Self { tcp, unix: unix.collect::<Result<_, _>>()? })
    }
}

/// A listening Unix socket. Its file goes when this is dropped.
#[derive(Debug)]
pub struct UnixSocket {
    pub(super) listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket: removed at the end, unless another node has put its own there meanwhile.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Option<Identity>,
}

/// Device, inode, and when it last changed, for an inode is soon used again.
type Identity = (u64, u64, i64, i64);

fn identity(path: &Path) -> Option<Identity> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

impl UnixSocket {
    /// Listens at `path`, for the user and the group of the process. A socket that nobody answers
    /// is left from an earlier run and replaced; anything else stays, and is an error.
    fn bind(path: &Path) -> Result<Self, FrontError> {
        let refused = |source| FrontError::UnixListen { path: path.to_owned(), source };
        let is_socket = fs::symlink_metadata(path).is_ok_and(|f| f.file_type().is_socket());
        if is_socket && UnixStream::connect(path).is_err() {
            fs::remove_file(path).map_err(refused)?;
        }
        let listener = UnixListener::bind(path).map_err(refused)?;
        let mut file = SocketFile { path: path.to_owned(), identity: None };
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        file.identity = identity(path);
        Ok(Self { listener, file })
    }

    pub(super) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // Whoever removed it before us wanted the same.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// How the API is to be served.
#[derive(Debug, Default)]
pub struct Setup {
    /// Where.
    pub bound: Bound,
    /// TLS on every address; a Unix socket has none.
    pub tls: Option<Arc<Tls>>,
    /// Whether the operator asked by name for a front that is open to whoever reaches it.
    pub insecure: bool,
    /// Who may ask for what.
    pub access: Arc<Access>,
    /// What one address may have.
    pub limits: AddressLimits,
}

impl From<io::Error> for FrontError {
    fn from(error: io::Error) -> Self {
        Self::Start(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(protection: Protection, address: &str) -> Result<(), String> {
        protection.allows(address.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_others_can_reach_must_be_protected_or_asked_for_by_name() {
        let none = Protection::default();
        let tls = Protection { tls: true, ..none };
        assert_eq!(allows(none, "127.0.0.1:1"), Ok(()));
        assert_eq!(allows(none, "[::ffff:127.0.0.1]:1"), Ok(()));
        for address in ["0.0.0.0:8082", "[::]:8082", "10.0.0.1:8082"] {
            let error = allows(none, address).unwrap_err();
            assert!(error.contains(address) && error.contains("certificate and a key"), "{error}");
            let error = allows(Protection { tokens: true, ..none }, address).unwrap_err();
            assert!(error.contains("certificate and a key"), "{error}");
            let error = allows(tls, address).unwrap_err();
            assert!(error.contains("make a token"), "{error}");
            for enough in [
                Protection { tokens: true, ..tls },
                Protection { client_ca: true, ..tls },
                Protection { insecure: true, ..none },
            ] {
                assert_eq!(allows(enough, address), Ok(()), "{address} {enough:?}");
            }
        }
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_anything_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.sock");
        fs::write(&path, "precious").unwrap();
        assert!(UnixSocket::bind(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_file(&path).unwrap();
        // Dropping the standard library's listener leaves its file.
        drop(UnixListener::bind(&path).unwrap());
        let socket = UnixSocket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(UnixSocket::bind(&path).is_err());
        drop(socket);
        assert!(!path.exists());
    }
}
