//! What keeps strangers out of the API, and what of it can be exchanged while the node runs: the
//! certificate that it shows, whose client certificates count, and the tokens.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sentrypeer_http::access::{Access, Book, Record, Secret, Settings};
use sentrypeer_http::front::AddressLimits;
use sentrypeer_http::front::setup::Protection;
use sentrypeer_http::front::tls::{Pem, Tls, TlsError};
use sentrypeer_http::pace::Rate;
use sentrypeer_http::token_file::{self, TokenError};
use sentrypeer_storage::event::Time;

use crate::config::{Api, Config};
use crate::control::tokens::NewToken;
use crate::limits::PEM_BYTES_MAX;

/// Why the API cannot be guarded as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// A file cannot be read.
    #[error("{}: {source}; name a PEM file that this user may read ({key})", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The setting that names it.
        key: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What the files hold is of no use.
    #[error("{files}: {source} ({keys})")]
    Tls {
        /// The files.
        files: String,
        /// The settings that name them.
        keys: &'static str,
        /// What is wrong.
        source: TlsError,
    },
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokenError),
}

/// What keeps strangers out of the API.
#[derive(Debug)]
pub struct Guard {
    tls: Option<Arc<Tls>>,
    tokens: Arc<Tokens>,
    insecure: bool,
    limits: AddressLimits,
}

impl Guard {
    /// Reads certificate, key, CA and tokens.
    ///
    /// # Errors
    ///
    /// See [`GuardError`].
    pub fn new(config: &Config) -> Result<Self, GuardError> {
        let api = &config.api;
        let tls = match pem(api)? {
            Some(pem) => Some(Arc::new(Tls::new(&pem).map_err(|error| unusable(api, error))?)),
            None => None,
        };
        let path = token_file::path(&config.db);
        let settings = Settings {
            hosts: api.hosts.clone(),
            certificate_scopes: api.client_scopes,
            token_rate: api.token_rate,
        };
        let access = Arc::new(Access::new(settings, token_file::load(&path)?));
        let limits = AddressLimits {
            connections: api.connections_per_address,
            rate: api.rate,
            ..AddressLimits::default()
        };
        let tokens = Tokens { path, access: Some(access), one_at_a_time: Mutex::default() };
        Ok(Self { tls, tokens: Arc::new(tokens), insecure: api.insecure, limits })
    }

    /// What it comes to, now.
    #[must_use]
    pub fn protection(&self) -> Protection {
        Protection {
            tls: self.tls.is_some(),
            client_ca: self.tls.as_ref().is_some_and(|tls| tls.asks_for_certificates()),
            tokens: self.access().book().opens_anything(Time::now()),
            insecure: self.insecure,
        }
    }

    /// TLS, if the API speaks it.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
    }

    /// Who may ask for what.
    #[must_use]
    pub fn access(&self) -> Arc<Access> {
        self.tokens.access.clone().unwrap_or_default()
    }

    /// The tokens.
    #[must_use]
    pub fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.tokens)
    }

    /// What one address may have.
    #[must_use]
    pub fn limits(&self) -> AddressLimits {
        self.limits
    }

    /// Reads the files again. What is wrong is said, and the old stays.
    pub fn renew(&self, config: &Config) {
        if let Err(error) = self.renew_tls(&config.api) {
            log::error!("the API's old certificate stays: {error}");
        }
        if let Err(error) = self.tokens.reload() {
            log::error!("the API's tokens stay as they were: {error}");
        }
    }

    fn renew_tls(&self, api: &Api) -> Result<(), GuardError> {
        let Some(tls) = &self.tls else { return Ok(()) };
        let Some(mut pem) = pem(api)? else { return Ok(()) };
        // Whether clients are asked for certificates is settled at the start.
        if !tls.asks_for_certificates() {
            pem.client_ca = None;
        }
        tls.reload(&pem).map_err(|error| unusable(api, error))
    }
}

/// The tokens of a database: of a running node, or their file while none runs.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    /// Who is to hear of changes.
    access: Option<Arc<Access>>,
    /// The file is read, changed and written: two at once would lose one change.
    one_at_a_time: Mutex<()>,
}

impl Tokens {
    /// Those of a node that does not run.
    #[must_use]
    pub fn beside(database: &Path) -> Self {
        let path = token_file::path(database);
        Self { path, access: None, one_at_a_time: Mutex::default() }
    }

    /// All of them.
    ///
    /// # Errors
    ///
    /// If their file cannot be read.
    pub fn list(&self) -> Result<Book, TokenError> {
        token_file::load(&self.path)
    }

    /// Makes one.
    ///
    /// # Errors
    ///
    /// See [`TokenError`].
    pub fn make(&self, wanted: &NewToken) -> Result<(Secret, Arc<Record>), TokenError> {
        let _one = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = wanted.requests_per_s.map(Rate::with_double_burst);
        let (secret, record, book) =
            token_file::make(&self.path, &wanted.name, wanted.scopes, wanted.expires, rate)?;
        self.tell(book);
        Ok((secret, record))
    }

    /// Takes one away, by its name or its id.
    ///
    /// # Errors
    ///
    /// See [`TokenError`].
    pub fn revoke(&self, which: &str) -> Result<Arc<Record>, TokenError> {
        let _one = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let (record, book) = token_file::revoke(&self.path, which)?;
        self.tell(book);
        Ok(record)
    }

    fn reload(&self) -> Result<(), TokenError> {
        let _one = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell(token_file::load(&self.path)?);
        Ok(())
    }

    fn tell(&self, book: Book) {
        if let Some(access) = &self.access {
            access.set_book(book);
        }
    }
}

/// What the API is to show, and to whom.
fn pem(api: &Api) -> Result<Option<Pem>, GuardError> {
    let Some(pair) = &api.certificate else { return Ok(None) };
    let client_ca = api.client_ca.as_deref().map(|ca| read(ca, "api_client_ca")).transpose()?;
    let (chain, key) = (read(&pair.cert, "api_cert")?, read(&pair.key, "api_key")?);
    Ok(Some(Pem { chain, key, client_ca }))
}

fn read(path: &Path, key: &'static str) -> Result<Vec<u8>, GuardError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|source| GuardError::Read { path: path.to_owned(), key, source })?;
    Ok(bytes)
}

fn unusable(api: &Api, source: TlsError) -> GuardError {
    let shown = |path: &Path| path.display().to_string();
    let cert = api.certificate.as_ref().map(|pair| shown(&pair.cert)).unwrap_or_default();
    let key = api.certificate.as_ref().map(|pair| shown(&pair.key)).unwrap_or_default();
    let ca = api.client_ca.as_deref().map(shown).unwrap_or_default();
    let (files, keys) = match source {
        TlsError::NoCertificate => (cert, "api_cert"),
        TlsError::NoKey => (key, "api_key"),
        TlsError::NoClientCa | TlsError::ClientCa(_) => (ca, "api_client_ca"),
        TlsError::Unusable(_) => (format!("{cert} and {key}"), "api_cert, api_key"),
    };
    GuardError::Tls { files, keys, source }
}
