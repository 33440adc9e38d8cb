//! One Via value, taken apart on request.

use memchr::memchr;

use super::bytes::{decimal, is_lws, readable, split_at_first, trim, trim_start};
use super::header::Params;

/// `via-parm = sent-protocol LWS sent-by *( SEMI via-params )`, RFC 3261, 25.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// Protocol name, as in `SIP`.
    pub protocol: &'a [u8],
    /// Protocol version, as in `2.0`.
    pub version: &'a [u8],
    /// Transport, as in `UDP`.
    pub transport: &'a [u8],
    /// The host of sent-by; an IPv6 reference keeps its square brackets.
    pub host: &'a [u8],
    /// The port of sent-by as written, without its colon; empty if there is none.
    pub port: &'a [u8],
    /// The parameters, from their first `;` on.
    pub params: &'a [u8],
}

impl<'a> Via<'a> {
    /// Takes the first [`VALUE_BYTES_MAX`](super::limits::VALUE_BYTES_MAX) bytes of one value (of a
    /// list that is already split) apart, if it has two slashes and a host.
    ///
    /// `sent-protocol = protocol-name SLASH protocol-version SLASH transport`, and
    /// `sent-by = host [ COLON port ]`; SLASH and COLON may have white space on both sides.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = readable(value);
        let first = memchr(b'/', value)?;
        let second = first + 1 + memchr(b'/', &value[first + 1..])?;
        let (transport, rest) = split_at_first(trim_start(&value[second + 1..]), is_lws);
        let rest = trim_start(rest);
        let bracket = match rest.first()? {
            b'[' => memchr(b']', rest).map_or(0, |close| close + 1),
            _ => 0,
        };
        let (more, after) = split_at_first(&rest[bracket..], |byte| {
            matches!(byte, b':' | b';' | b',') || is_lws(byte)
        });
        let host = &rest[..bracket + more.len()];
        if host.is_empty() {
            return None;
        }
        let (port, params) = match trim_start(after) {
            [b':', port @ ..] => split_at_first(port, |byte| matches!(byte, b';' | b',')),
            after => (&[][..], after),
        };
        Some(Self {
            protocol: trim(&value[..first]),
            version: trim(&value[first + 1..second]),
            transport,
            host,
            port: trim(port),
            params,
        })
    }

    /// The port of sent-by as a number, if it is one from 0 to 65535.
    #[must_use]
    pub fn port_number(&self) -> Option<u16> {
        decimal(self.port).and_then(|port| u16::try_from(port).ok())
    }

    /// The parameters.
    #[must_use]
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }

    /// The `branch` parameter, if it has a value.
    #[must_use]
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params().value(b"branch")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    /// Version, transport, host, port.
    fn via(value: &str) -> Option<[&str; 4]> {
        let via = Via::parse(value.as_bytes())?;
        Some([via.version, via.transport, via.host, via.port].map(text))
    }

    #[test]
    fn a_via_has_the_parts_of_its_grammar() {
        assert_eq!(via("SIP/2.0/UDP h:5060;branch=b"), Some(["2.0", "UDP", "h", "5060"]));
        assert_eq!(via("SIP/2.0/TLS [2001:db8::1]"), Some(["2.0", "TLS", "[2001:db8::1]", ""]));
        assert_eq!(via("SIP /\t2.0\r\n / UDP \r\n h : 7 ; rport"), Some(["2.0", "UDP", "h", "7"]));
    }

    #[test]
    fn a_via_without_its_slashes_or_its_host_is_none() {
        for none in ["", "h", "SIP/2.0 h", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0/UDP ;a=b"] {
            assert_eq!(via(none), None, "{none}");
        }
    }

    #[test]
    fn the_parameters_of_a_via_are_found_in_any_case() {
        let via = Via::parse(b"SIP/2.0/UDP h;RPort;Branch=z9hG4bK7").unwrap();
        assert_eq!(via.branch(), Some(&b"z9hG4bK7"[..]));
        assert!(via.params().has(b"rport"));
    }
}
