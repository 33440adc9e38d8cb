//! Addresses to listen on, and the remedy when one is not quite an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::error::Shown;
use super::origin::Origin;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address and port. An IPv4-mapped address is IPv4 here. Port 0: the kernel chooses one.
    pub addr: SocketAddr,
    /// Who named it, for messages about it.
    pub origin: Origin,
}

impl Listen {
    /// Nobody named it: that the host has no IPv6 is then no error.
    #[must_use]
    pub fn defaulted(&self) -> bool {
        self.origin == Origin::Default
    }
}

/// Why a text is no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what it is")]
pub enum AddressFault {
    #[error("{text} has no port; write \"{write}\"")]
    NoPort { text: Shown, write: SocketAddr },
    #[error("{text} has no address; write \"{write}\"")]
    NoIp { text: Shown, write: SocketAddr },
    #[error("{text} is an IPv6 address without brackets; write \"{write}\"")]
    NoBrackets { text: Shown, write: SocketAddr },
    #[error("{text} has no usable port; write a number from 0 to 65535, as in \"{write}\"")]
    WrongPort { text: Shown, write: SocketAddr },
    #[error(
        "{text} is a name, and names are not looked up here; write an address, as in \"{write}\""
    )]
    Name { text: Shown, write: SocketAddr },
    #[error("{text} is not an address with a port; write one like \"{write}\"")]
    Other { text: Shown, write: SocketAddr },
}

/// Understands `text`; `like` is an address of this setting, for the remedy.
pub(super) fn parse(text: &str, like: SocketAddr) -> Result<SocketAddr, AddressFault> {
    text.parse().map(canonical).map_err(|_| explain(text, like))
}

/// IPv4-mapped addresses are IPv4: a socket that takes IPv6 only could not be bound to them.
fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(v6.ip().to_canonical(), v6.port())
        }
        _ => addr,
    }
}

fn explain(text: &str, like: SocketAddr) -> AddressFault {
    let shown = Shown::text(text);
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let ip: Result<IpAddr, _> = match bare {
        Some(inside) => inside.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => text.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    if let Ok(ip) = ip {
        return AddressFault::NoPort { text: shown, write: SocketAddr::new(ip, like.port()) };
    }
    if let Some(write) = with_brackets(text, like.port()) {
        return AddressFault::NoBrackets { text: shown, write };
    }
    if let Ok(port) = text.parse() {
        return AddressFault::NoIp { text: shown, write: SocketAddr::new(like.ip(), port) };
    }
    explain_parts(text, like)
}

/// A text that is no address as a whole, by its part before and after the last colon.
fn explain_parts(text: &str, like: SocketAddr) -> AddressFault {
    let shown = Shown::text(text);
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let write = SocketAddr::new(like.ip(), port.parse().unwrap_or(like.port()));
    let ip: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let named = !host.is_empty()
        && port.chars().all(|c| c.is_ascii_alphanumeric())
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        && host.chars().any(|c| c.is_ascii_alphabetic());
    match ip {
        Some(ip) => {
            AddressFault::WrongPort { text: shown, write: SocketAddr::new(ip, like.port()) }
        }
        None if host.is_empty() || host == "*" => AddressFault::NoIp { text: shown, write },
        None if named => AddressFault::Name { text: shown, write },
        None => AddressFault::Other { text: shown, write: like },
    }
}

/// What was meant by an IPv6 address without brackets. `::1:5060` is itself an address, but four
/// or five decimal digits behind an address are more likely a port.
fn with_brackets(text: &str, port: u16) -> Option<SocketAddr> {
    let split = text.rsplit_once(':').and_then(|(host, tail)| {
        let decimal = (4..=5).contains(&tail.len()) && tail.bytes().all(|b| b.is_ascii_digit());
        let ip: Ipv6Addr = host.parse().ok()?;
        Some(SocketAddr::new(ip.into(), tail.parse().ok().filter(|_| decimal)?))
    });
    split.or_else(|| text.parse::<Ipv6Addr>().ok().map(|ip| SocketAddr::new(ip.into(), port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text, "0.0.0.0:5060".parse().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn an_ipv4_mapped_address_is_ipv4() {
        let addr = parse("[::ffff:127.0.0.1]:5060", "0.0.0.0:1".parse().unwrap()).unwrap();
        assert_eq!(addr.to_string(), "127.0.0.1:5060");
    }

    #[test]
    fn a_link_local_address_keeps_its_interface() {
        let addr = parse("[fe80::1%2]:5060", "0.0.0.0:1".parse().unwrap()).unwrap();
        assert_eq!(addr.to_string(), "[fe80::1%2]:5060");
    }

    #[test]
    fn every_slip_has_its_remedy() {
        for (text, remedy) in [
            ("0.0.0.0", "has no port; write \"0.0.0.0:5060\""),
            ("[::1]", "has no port; write \"[::1]:5060\""),
            ("::1", "without brackets; write \"[::1]:5060\""),
            ("::", "without brackets; write \"[::]:5060\""),
            (":::5070", "without brackets; write \"[::]:5070\""),
            ("::1:5070", "without brackets; write \"[::1]:5070\""),
            ("2001:db8::1:2", "without brackets; write \"[2001:db8::1:2]:5060\""),
            ("5070", "has no address; write \"0.0.0.0:5070\""),
            (":5070", "has no address; write \"0.0.0.0:5070\""),
            ("*:5070", "has no address; write \"0.0.0.0:5070\""),
            ("10.0.0.1:sip", "from 0 to 65535, as in \"10.0.0.1:5060\""),
            ("10.0.0.1:65536", "from 0 to 65535, as in \"10.0.0.1:5060\""),
            ("[::1]:", "from 0 to 65535, as in \"[::1]:5060\""),
            ("localhost:5070", "write an address, as in \"0.0.0.0:5070\""),
            ("sip.example.org", "write an address, as in \"0.0.0.0:5060\""),
            ("10.0.0.300:5060", "write one like \"0.0.0.0:5060\""),
            ("http://x/", "write one like \"0.0.0.0:5060\""),
            ("", "has no address; write \"0.0.0.0:5060\""),
        ] {
            let message = message(text);
            assert!(message.ends_with(remedy), "{text}: {message}");
        }
    }
}
