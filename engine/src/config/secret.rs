//! Values that no message, log or `Debug` output may show.

use std::fmt;

/// A text that only [`Secret::reveal`] gives out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one who must send it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// The URL of a webhook. Many carry a password or a token, before the host, in the path or in the
/// query, so only scheme and host are shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Takes an absolute URL of the scheme http or https with a host (RFC 3986, section 3).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let url = Self(text.to_owned());
        let host = url.host()?;
        let plain = text.bytes().all(|b| b.is_ascii_graphic());
        (plain && !host.is_empty() && !host.starts_with(':')).then_some(url)
    }

    /// The whole URL, for the one who must call it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn scheme(&self) -> Option<&'static str> {
        let (scheme, _) = self.0.split_once("://")?;
        ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(scheme))
    }

    /// Host and port, without user and password.
    fn host(&self) -> Option<&str> {
        self.scheme()?;
        let (_, rest) = self.0.split_once("://")?;
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        authority.rsplit('@').next()
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme().unwrap_or_default();
        write!(f, "{scheme}://{}/(hidden)", self.host().unwrap_or_default())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "(hidden)");
    }

    #[test]
    fn only_scheme_and_host_of_a_webhook_are_shown() {
        for text in [
            "https://user:hunter2@example.org:8443/hunter2?token=hunter2#hunter2",
            "HTTPS://example.org:8443?hunter2",
            "https://a@hunter2@example.org:8443",
        ] {
            let url = WebhookUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), "https://example.org:8443/(hidden)");
            assert_eq!(format!("{url:?}"), url.to_string());
            assert_eq!(url.reveal(), text);
        }
    }

    #[test]
    fn what_is_no_web_url_is_refused() {
        for text in [
            "example.org",
            "ftp://example.org/",
            "https://",
            "http:///x",
            "https://:80/",
            "https://a b/",
            "https://a@/",
        ] {
            assert_eq!(WebhookUrl::parse(text), None, "{text}");
        }
    }
}
