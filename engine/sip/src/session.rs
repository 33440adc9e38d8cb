//! The session description in a body, taken apart on request: where the caller wants its sound.

use memchr::memchr;

use super::bytes::{decimal, split_at_first, trim};

/// A session description (RFC 8866) by its lines.
///
/// ```
/// use sentrypeer_sip::Session;
///
/// let body = b"v=0\r\nc=IN IP4 192.0.2.7\r\nm=audio 8000 RTP/AVP 8 0\r\nm=video 0 RTP/AVP 96\r\nc=IN IP6 ::1\r\n";
/// let session = Session::new(body);
/// assert_eq!(session.connection().map(|c| c.address), Some(&b"192.0.2.7"[..]));
/// let media: Vec<_> = session.media().collect();
/// assert_eq!((media[0].kind, media[0].port), (&b"audio"[..], Some(8000)));
/// assert_eq!(media[1].connection.map(|c| c.kind), Some(&b"IP6"[..]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session<'a>(&'a [u8]);

/// A `c=` line: `c=<nettype> <addrtype> <connection-address>` (RFC 8866, 5.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// The kind of network, as in `IN`.
    pub network: &'a [u8],
    /// The kind of address, as in `IP4`.
    pub kind: &'a [u8],
    /// The address; one for multicast has its `/ttl` behind it.
    pub address: &'a [u8],
}

/// An `m=` line: `m=<media> <port>[/<number of ports>] <proto> <fmt> ...` (RFC 8866, 5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// What it is, as in `audio`.
    pub kind: &'a [u8],
    /// The port; `None` if it is none.
    pub port: Option<u16>,
    /// The protocol, as in `RTP/AVP`.
    pub protocol: &'a [u8],
    /// The formats, with the spaces between them.
    pub formats: &'a [u8],
    /// The first `c=` line of this medium; without one the session's is meant.
    pub connection: Option<Connection<'a>>,
}

impl<'a> Session<'a> {
    /// The description that `body` may hold. Nothing is checked: what is none has no such lines.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// The first `c=` line before the first `m=` line: what holds where a medium has none.
    #[must_use]
    pub fn connection(&self) -> Option<Connection<'a>> {
        Lines(self.0).until_media().find_map(connection)
    }

    /// The `m=` lines, in order.
    pub fn media(&self) -> impl Iterator<Item = Media<'a>> + use<'a> {
        let mut lines = Lines(self.0);
        std::iter::from_fn(move || {
            let mut line = lines.find_map(media)?;
            line.connection = lines.until_media().find_map(connection);
            Some(line)
        })
    }
}

fn media(line: &[u8]) -> Option<Media<'_>> {
    let (kind, rest) = word(line.strip_prefix(b"m=")?);
    let (ports, rest) = word(rest);
    let (protocol, formats) = word(rest);
    let port = decimal(split_at_first(ports, |byte| byte == b'/').0);
    let port = port.and_then(|port| u16::try_from(port).ok());
    Some(Media { kind, port, protocol, formats, connection: None })
}

fn connection(line: &[u8]) -> Option<Connection<'_>> {
    let (network, rest) = word(line.strip_prefix(b"c=")?);
    let (kind, rest) = word(rest);
    Some(Connection { network, kind, address: word(rest).0 })
}

/// The first word, and what follows the space behind it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let (word, rest) = split_at_first(trim(text), |byte| byte == b' ');
    (word, trim(rest))
}

/// The lines that are left, without their ends.
#[derive(Clone, Copy)]
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    /// The lines up to the next `m=` line, which stays.
    fn until_media(&mut self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(|| if self.0.starts_with(b"m=") { None } else { self.next() })
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr(b'\n', self.0).unwrap_or(self.0.len());
        let line = &self.0[..end];
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_of_the_session_stands_before_the_media() {
        let address = |body: &'static [u8]| Session::new(body).connection().map(|c| c.address);
        assert_eq!(
            address(b"v=0\nc=IN IP4 192.0.2.1\nc=IN IP4 192.0.2.2\nm=audio 1 x 0\n"),
            Some(&b"192.0.2.1"[..])
        );
        assert_eq!(address(b"m=audio 1 x 0\r\nc=IN IP4 192.0.2.1"), None);
        assert_eq!(address(b""), None);
    }

    #[test]
    fn a_medium_has_the_connection_below_it() {
        let body = b"c=IN IP4 0.0.0.0\nm=audio 49170/2 RTP/AVP 0 8\na=x\nc=IN IP4 192.0.2.1/127\nc=no\nm=image\nm=x 99999 y\n";
        let found: Vec<_> = Session::new(body).media().collect();
        let first = found[0];
        assert_eq!(
            (first.kind, first.port, first.protocol, first.formats),
            (&b"audio"[..], Some(49170), &b"RTP/AVP"[..], &b"0 8"[..])
        );
        assert_eq!(first.connection.map(|c| c.address), Some(&b"192.0.2.1/127"[..]));
        assert_eq!(
            (found[1].kind, found[1].port, found[1].connection),
            (&b"image"[..], None, None)
        );
        assert_eq!((found[2].port, found.len()), (None, 3));
    }
}
