//! How the HTTP API is served, and what keeps strangers out.

use std::path::PathBuf;

use sentrypeer_http::access::{Scope, Scopes};
use sentrypeer_http::pace::Rate;

use super::check::Checker;
use super::error::{Fault, Shown};
use super::limits::{API_CONNECTIONS_MAX, API_RATE_MAX, HOST_BYTES_MAX};
use super::setting::Id;
use super::{Certificate, Listen};

/// How the HTTP API is served. Without an address and a socket it is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// On which addresses.
    pub listen: Vec<Listen>,
    /// On which Unix socket.
    pub unix: Option<PathBuf>,
    /// What it shows over TLS, on every address. `None`: it speaks plain HTTP.
    pub certificate: Option<Certificate>,
    /// The CA whose client certificates open it.
    pub client_ca: Option<PathBuf>,
    /// What such a certificate may be used for.
    pub client_scopes: Scopes,
    /// Names by which it may be called, beside `localhost`.
    pub hosts: Vec<String>,
    /// Whether pages of any site may read the answers of the paths of 4.x.
    pub any_origin: bool,
    /// Requests of one address of another machine.
    pub rate: Rate,
    /// Connections of one address of another machine.
    pub connections_per_address: u32,
    /// Requests of one token without a rate of its own.
    pub token_rate: Rate,
    /// Whether it may be open to whoever reaches it.
    pub insecure: bool,
}

impl Api {
    /// Whether it is served at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.listen.is_empty() || self.unix.is_some()
    }
}

impl Checker<'_> {
    pub(super) fn api(&mut self) -> Api {
        let listen = self.listens(Id::ApiListen);
        let client_ca = self.path(Id::ApiClientCa);
        let certificate =
            self.pair((Id::ApiCert, "api_cert (--api-cert)"), (Id::ApiKey, "api_key (--api-key)"));
        if client_ca.is_some() && certificate.is_none() {
            self.at(Id::ApiClientCa, Fault::Alone("api_cert and api_key"));
        }
        Api {
            listen: if self.api_is_on() { listen } else { Vec::new() },
            unix: self.path(Id::ApiUnix).filter(|_| self.api_unix_is_on()),
            certificate,
            client_ca,
            client_scopes: Scopes::of(self.each(Id::ApiClientScopes, scope)),
            hosts: self.each(Id::ApiHosts, host),
            any_origin: self.layer.is_on(Id::ApiAnyOrigin),
            rate: Rate::with_double_burst(self.at_most(Id::ApiRate, API_RATE_MAX)),
            connections_per_address: self
                .at_most(Id::ApiConnectionsPerAddress, API_CONNECTIONS_MAX),
            token_rate: Rate::with_double_burst(self.at_most(Id::ApiTokenRate, API_RATE_MAX)),
            insecure: self.layer.is_on(Id::InsecureApi),
        }
    }

    /// Naming an address of the API switches it on, unless the same layer or a stronger one
    /// switches it off.
    fn api_is_on(&self) -> bool {
        self.api_is_implied() || self.layer.is_on(Id::Api)
    }

    pub(super) fn api_is_implied(&self) -> bool {
        self.layer.origin(Id::ApiListen).rank() > self.layer.origin(Id::Api).rank()
    }

    /// Naming the socket opens that alone, unless a stronger layer switches the API off.
    fn api_unix_is_on(&self) -> bool {
        let implied = self.layer.origin(Id::ApiUnix).rank() >= self.layer.origin(Id::Api).rank();
        implied || self.layer.is_on(Id::Api)
    }

    fn at_most(&mut self, id: Id, max: usize) -> u32 {
        self.number(id, 1, max).and_then(|number| u32::try_from(number).ok()).unwrap_or(1)
    }
}

fn scope(text: &str) -> Result<Scope, Fault> {
    Scope::from_name(text).ok_or_else(|| Fault::UnknownScope(Shown::text(text)))
}

/// A name as a `Host` may have it, without a port.
fn host(text: &str) -> Result<String, Fault> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_name = text.len() <= HOST_BYTES_MAX && text.bytes().all(fits);
    if is_name { Ok(text.to_owned()) } else { Err(Fault::NotAName(Shown::text(text))) }
}
