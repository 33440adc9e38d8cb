//! Where a server is, as its URL says.

use std::fmt;

/// The port that NATS has at IANA.
const PORT: u16 = 4222;

/// A server: `nats://HOST:PORT`, or `tls://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name or an address; of IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether nothing is said without TLS. Without it TLS is spoken with who asks for it.
    pub(super) needs_tls: bool,
}

/// Why a text names no server. It repeats nothing of the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Another scheme, or none.
    #[error("it must begin with nats:// or tls://")]
    Scheme,
    /// A user or a token before the host.
    #[error("a user or a token does not belong in it; name a file that has the secret")]
    HasLogin,
    /// No host, no port, or something behind it.
    #[error("it must be nats://HOST:PORT or tls://HOST:PORT")]
    Place,
}

impl Server {
    /// # Errors
    ///
    /// [`ServerError`].
    pub fn parse(text: &str) -> Result<Self, ServerError> {
        let (scheme, place) = text.trim().split_once("://").ok_or(ServerError::Scheme)?;
        let needs_tls = match scheme {
            "nats" => false,
            "tls" => true,
            _ => return Err(ServerError::Scheme),
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        if place.contains('@') {
            return Err(ServerError::HasLogin);
        }
        let (host, port) = split(place).ok_or(ServerError::Place)?;
        let port = match port {
            Some(port) => port.parse().map_err(|_| ServerError::Place)?,
            None => PORT,
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        if host.is_empty() || !host.chars().all(fits) {
            return Err(ServerError::Place);
        }
        Ok(Self { host: host.to_owned(), port, needs_tls })
    }
}

/// Host and port; an address of IPv6 stands in brackets.
fn split(place: &str) -> Option<(&str, Option<&str>)> {
    let Some(inner) = place.strip_prefix('[') else {
        return Some(match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        });
    };
    let (host, rest) = inner.split_once(']')?;
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None => rest.is_empty().then_some((host, None)),
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.needs_tls { "tls" } else { "nats" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port() {
        for (text, shown) in [
            ("nats://fleet.example", "nats://fleet.example:4222"),
            ("tls://127.0.0.1:4443/", "tls://127.0.0.1:4443"),
            (" nats://[::1]:7 ", "nats://[::1]:7"),
            ("tls://[::1]", "tls://[::1]:4222"),
        ] {
            assert_eq!(Server::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_server_is_refused_and_not_repeated() {
        for text in
            ["fleet:4222", "http://a", "nats://", "nats://a:0x1", "nats://a/b", "nats://[::1"]
        {
            assert!(Server::parse(text).is_err(), "{text}");
        }
        let error = Server::parse("nats://me:hush@fleet").unwrap_err();
        assert_eq!(error, ServerError::HasLogin);
        assert!(!format!("{error} {error:?}").contains("hush"));
    }
}
