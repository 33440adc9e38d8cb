//! One Via value, taken apart on request.

use memchr::memchr;

use super::bytes::{decimal, is_lws, split_at_first, trim, trim_start};
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
    /// Takes one value (of a list that is already split) apart, if it has two slashes and a host.
    ///
    /// `sent-protocol = protocol-name SLASH protocol-version SLASH transport`, and
    /// `sent-by = host [ COLON port ]`; SLASH and COLON may have white space on both sides.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
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
