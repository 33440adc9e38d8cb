//! The node through which peer to peer sharing finds the others.

use std::fmt;
use std::net::Ipv6Addr;

/// Port of a DHT node that names none, as in OpenDHT.
const PORT: u16 = 4222;

/// A host and a port. The host is a name or an address, without brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Name or address.
    pub host: String,
    /// UDP port, never 0.
    pub port: u16,
}

impl Bootstrap {
    /// Understands `HOST`, `HOST:PORT`, `[IPv6]` and `[IPv6]:PORT`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, after) = rest.split_once(']')?;
                inside.parse::<Ipv6Addr>().ok()?;
                (inside, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map_or(Some(PORT), |port| port.parse().ok())?;
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
        let sound = !host.is_empty() && host.chars().all(valid) && port != 0;
        sound.then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_4222_unless_it_is_named() {
        for (text, shown) in [
            ("bootstrap.example.org", "bootstrap.example.org:4222"),
            ("bootstrap.example.org:5000", "bootstrap.example.org:5000"),
            ("192.0.2.1", "192.0.2.1:4222"),
            ("2001:db8::1", "[2001:db8::1]:4222"),
            ("[2001:db8::1]", "[2001:db8::1]:4222"),
            ("[2001:db8::1]:5000", "[2001:db8::1]:5000"),
        ] {
            assert_eq!(Bootstrap::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in
            ["", ":4222", "a:b", "a:0", "a:65536", "a b", "a:1:2", "[a]:1", "[::1]x", "[::1"]
        {
            assert_eq!(Bootstrap::parse(text), None, "{text}");
        }
    }
}
