//! The TLS side of streams: which certificate is shown, and by which rules.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sentrypeer_storage::identity::{beside, write_whole};

use crate::config::Certificate;

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("{}: {source}; name a readable PEM file with --cert and --key", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds nothing that could be used.
    #[error("{}: no {what} in PEM form there; name the right file with --cert and --key", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key do not belong together, or are of no supported kind.
    #[error("{} and {}: {source}", pair.cert.display(), pair.key.display())]
    Unusable {
        /// The files.
        pair: Certificate,
        /// What the TLS library said.
        source: rustls::Error,
    },
    /// A certificate of our own could not be made.
    #[error("{}: cannot keep a certificate of our own there: {source}; make the folder writable, or name a certificate with --cert and --key", path.display())]
    Make {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes a self-signed certificate beside the database if there is none yet.
///
/// # Errors
///
/// [`TlsError::Make`] if it cannot be written.
pub fn own_certificate(database: &Path) -> Result<Certificate, TlsError> {
    let pair = Certificate { cert: beside(database, "cert.pem"), key: beside(database, "key.pem") };
    if pair.cert.exists() && pair.key.exists() {
        return Ok(pair);
    }
    let fail = |path: &Path, source| TlsError::Make { path: path.to_owned(), source };
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
        .map_err(|e| fail(&pair.cert, io::Error::other(e)))?;
    write_whole(&pair.key, made.signing_key.serialize_pem().as_bytes())
        .map_err(|e| fail(&pair.key, e))?;
    write_whole(&pair.cert, made.cert.pem().as_bytes()).map_err(|e| fail(&pair.cert, e))?;
    Ok(pair)
}

/// Reads certificate and key, and makes the rules of a server of them: TLS 1.2 and 1.3, no client
/// certificate asked for.
///
/// # Errors
///
/// A file that cannot be read or holds nothing, or a pair that does not fit.
pub fn server_config(pair: &Certificate) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = read_chain(&pair.cert)?;
    let key = read_key(&pair.key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |source| TlsError::Unusable { pair: pair.clone(), source };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    // Two tickets a handshake are of no use to scanners, and cost a packet.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned(), what: "certificate" });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| TlsError::Empty { path: path.to_owned(), what: "private key" })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_certificate_of_our_own_is_made_once_and_only_its_owner_may_read_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.redb");
        let first = own_certificate(&database).unwrap();
        let bytes = fs::read(&first.key).unwrap();
        assert_eq!(fs::metadata(&first.key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(own_certificate(&database).unwrap(), first);
        assert_eq!(fs::read(&first.key).unwrap(), bytes);
        server_config(&first).unwrap();
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.pem");
        fs::write(&path, "nothing").unwrap();
        let pair = Certificate { cert: path.clone(), key: path };
        let error = server_config(&pair).unwrap_err().to_string();
        assert!(error.contains("empty.pem") && error.contains("--cert"), "{error}");
    }
}
