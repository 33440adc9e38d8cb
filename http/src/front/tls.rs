//! The TLS side of the API: which certificate is shown, and whose client certificates count.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ring::digest::{SHA256, digest};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::access::hex;

/// Why TLS cannot be offered. The caller knows the files' names and adds them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text holds no certificate.
    #[error("no certificate in PEM form there")]
    NoCertificate,
    /// The text holds no private key.
    #[error("no private key in PEM form there")]
    NoKey,
    /// The text of the client CA holds no certificate.
    #[error("no certificate in PEM form there; give the CA that signs the clients' certificates")]
    NoClientCa,
    /// Certificate, key or CA are of no use to the TLS library.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
    /// The client CA is of no use to the TLS library.
    #[error("the client CA cannot be used: {0}")]
    ClientCa(String),
}

/// What is shown, and to whom; all in PEM form.
#[derive(Clone, Debug, Default)]
pub struct Pem {
    /// The certificate chain, the server's own first.
    pub chain: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
    /// The CA whose clients' certificates count as access. A client without a certificate is let
    /// in all the same, and needs a token.
    pub client_ca: Option<Vec<u8>>,
}

/// TLS as it holds now. A connection keeps what held when it began.
#[derive(Debug)]
pub struct Tls {
    config: ArcSwap<ServerConfig>,
    asks_for_certificates: bool,
}

impl Tls {
    /// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    ///
    /// See [`TlsError`].
    pub fn new(pem: &Pem) -> Result<Self, TlsError> {
        let asks_for_certificates = pem.client_ca.is_some();
        Ok(Self { config: ArcSwap::new(server_config(pem)?), asks_for_certificates })
    }

    /// Shows another certificate to whoever connects from now on. On an error the old one stays.
    ///
    /// # Errors
    ///
    /// See [`TlsError`].
    pub fn reload(&self, pem: &Pem) -> Result<(), TlsError> {
        self.config.store(server_config(pem)?);
        Ok(())
    }

    /// Whether clients can show a certificate.
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        self.asks_for_certificates
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }
}

/// The protocols that are offered (RFC 7301), the better one first.
const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// Whether HTTP/2 was agreed on. Who names no protocol speaks HTTP/1.1.
pub(super) fn is_h2(protocol: Option<&[u8]>) -> bool {
    protocol == Some(H2)
}

/// What a client certificate is called in the audit: the beginning of its SHA-256.
pub(super) fn name_of(certificate: &CertificateDer<'_>) -> Arc<str> {
    hex(&digest(&SHA256, certificate).as_ref()[..8]).into()
}

fn server_config(pem: &Pem) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(&pem.chain).ok_or(TlsError::NoCertificate)?;
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|_| TlsError::NoKey)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?;
    let builder = match &pem.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca)?, provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| TlsError::ClientCa(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Unusable)?;
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    // Early data can be replayed by whoever has seen it.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// Every certificate of a text; none if there is none, or one is broken.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|chain| !chain.is_empty())
}

fn roots(pem: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).ok_or(TlsError::NoClientCa)? {
        roots.add(certificate).map_err(|error| TlsError::ClientCa(error.to_string()))?;
    }
    Ok(Arc::new(roots))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> Pem {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        Pem { chain: chain.into(), key: key.into(), client_ca: None }
    }

    #[test]
    fn what_is_missing_is_named_and_a_failed_reload_changes_nothing() {
        let good = pem();
        let tls = Tls::new(&good).unwrap();
        let before = tls.config();
        let no_chain = Pem { chain: b"nothing".to_vec(), ..good.clone() };
        assert!(matches!(tls.reload(&no_chain), Err(TlsError::NoCertificate)));
        let no_key = Pem { key: Vec::new(), ..good.clone() };
        assert!(matches!(tls.reload(&no_key), Err(TlsError::NoKey)));
        let no_ca = Pem { client_ca: Some(Vec::new()), ..good.clone() };
        assert!(matches!(tls.reload(&no_ca), Err(TlsError::NoClientCa)));
        let other_key = Pem { key: pem().key, ..good };
        assert!(matches!(tls.reload(&other_key), Err(TlsError::Unusable(_))));
        assert!(Arc::ptr_eq(&before, &tls.config()));
        tls.reload(&pem()).unwrap();
        assert!(!Arc::ptr_eq(&before, &tls.config()));
    }
}
