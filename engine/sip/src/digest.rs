//! Credentials, taken apart on request: what a brute-force REGISTER tries.

use super::bytes::{is_lws, quoted_end, split_at_first, trim, trim_start};
use super::header::Splitter;

/// The value of Authorization or Proxy-Authorization: a scheme and its parameters.
///
/// ```text
/// credentials = ( "Digest" LWS digest-response ) / other-response     RFC 3261, 25.1
/// digest-response = dig-resp *( COMMA dig-resp )
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The scheme as sent, as in `Digest`.
    pub scheme: &'a [u8],
    /// What follows it.
    pub params: &'a [u8],
}

impl<'a> Credentials<'a> {
    /// Takes `value` apart. Never fails: what is not there is empty.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Self {
        let (scheme, params) = split_at_first(trim_start(value), is_lws);
        Self { scheme, params: trim(params) }
    }

    /// Whether the scheme is Digest, in any case.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"digest")
    }

    /// Every `name=value` in order; of a quoted value what stands between its quotes, in which a
    /// backslash still hides the byte behind it. What has no `=` is skipped.
    pub fn params(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut pieces = Splitter::new(self.params);
        std::iter::from_fn(move || pieces.next(b',')).filter_map(|piece| {
            let (name, value) = split_at_first(piece, |byte| byte == b'=');
            Some((trim(name), unquoted(trim(value.get(1..)?))))
        })
    }

    /// The value of the first parameter with this name, in any case.
    ///
    /// ```
    /// let sent = b"Digest username=\"100\", realm=\"a, b\", nonce=\"f7\", uri=\"sip:h\", response=\"00\"";
    /// let credentials = sentrypeer_sip::Credentials::parse(sent);
    /// assert_eq!(credentials.value("username"), Some(&b"100"[..]));
    /// assert_eq!(credentials.value("REALM"), Some(&b"a, b"[..]));
    /// assert_eq!(credentials.value("cnonce"), None);
    /// ```
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        let same = |found: &[u8]| found.eq_ignore_ascii_case(name.as_bytes());
        self.params().find_map(|(found, value)| same(found).then_some(value))
    }
}

/// What stands between the quotes, if it is quoted.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] if quoted_end(value, 0) == Some(value.len()) => inside,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(value: &str) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let credentials = Credentials::parse(value.as_bytes());
        credentials.params().map(|(name, value)| (text(name), text(value))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_digest_has_parameters_between_commas() {
        assert_eq!(
            params("DIGEST\r\n username = \"a\\\"b,c\" ,qop=auth,,nc=00000001, odd, x="),
            pairs(&[("username", "a\\\"b,c"), ("qop", "auth"), ("nc", "00000001"), ("x", "")])
        );
        assert!(Credentials::parse(b" digest x=1").is_digest());
    }

    #[test]
    fn what_is_broken_gives_what_can_be_read() {
        assert_eq!(
            params("Digest username=\"open, realm=x"),
            pairs(&[("username", "\"open"), ("realm", "x")])
        );
        assert_eq!(params("Digest a=\"b\" c=\"d\""), pairs(&[("a", "\"b\" c=\"d\"")]));
        assert_eq!(params("Basic Zm9v=="), pairs(&[("Zm9v", "=")]));
        for empty in ["", "Digest", " \r\n "] {
            assert_eq!(params(empty), [], "{empty:?}");
        }
    }
}
