//! Nodes by which this one gets to know the network: `host[:port]`.

use std::ffi::CString;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The port that OpenDHT nodes use when nothing else is said.
pub const DEFAULT_PORT: u16 = 4222;

/// Longest name of a host, in bytes (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// A host and a UDP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    host: CString,
    port: u16,
}

/// A text that is no `host[:port]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host with an optional port; write bootstrap.example.org:4222 or [2001:db8::1]:4222")]
pub struct NotABootstrap;

impl Bootstrap {
    /// The host, a name or an address.
    #[must_use]
    pub fn host(&self) -> &std::ffi::CStr {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Bootstrap {
    type Err = NotABootstrap;

    fn from_str(text: &str) -> Result<Self, NotABootstrap> {
        let (host, port) = split(text)?;
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(NotABootstrap)?,
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.bytes().all(is_name) {
            return Err(NotABootstrap);
        }
        Ok(Self { host: CString::new(host).map_err(|_| NotABootstrap)?, port })
    }
}

/// Host and port, which is behind the last colon unless the host is an IPv6 address without brackets.
fn split(text: &str) -> Result<(&str, Option<&str>), NotABootstrap> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(NotABootstrap)?;
        host.parse::<Ipv6Addr>().map_err(|_| NotABootstrap)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(NotABootstrap),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(NotABootstrap),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.to_string_lossy();
        if host.contains(':') {
            write!(f, "[{host}]:{}", self.port)
        } else {
            write!(f, "{host}:{}", self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_be_left_out() {
        for (text, shown) in [
            ("bootstrap.sentrypeer.org", "bootstrap.sentrypeer.org:4222"),
            ("10.0.0.1:5000", "10.0.0.1:5000"),
            ("::1", "[::1]:4222"),
            ("[2001:db8::1]:99", "[2001:db8::1]:99"),
            ("[2001:db8::1]", "[2001:db8::1]:4222"),
        ] {
            assert_eq!(text.parse::<Bootstrap>().map(|b| b.to_string()).as_deref(), Ok(shown));
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = "a".repeat(254);
        for wrong in [
            "", ":4222", "a:", "a:0", "a:65536", "a:b", "a b", "[::1", "[x]:1", "a:1:2", "a\0b",
            &long,
        ] {
            assert_eq!(wrong.parse::<Bootstrap>(), Err(NotABootstrap), "{wrong:?}");
        }
    }
}
