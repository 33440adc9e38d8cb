//! Where events are posted.

use std::path::{Path, PathBuf};

use super::check::Checker;
use super::error::{Fault, Shown};
use super::file::{self, Content};
use super::limits::SECRET_BYTES_MAX;
use super::secret::{Secret, WebhookUrl};
use super::setting::Id;

/// Where events are posted, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The URL.
    pub url: WebhookUrl,
    /// How to identify oneself. `None`: not at all.
    pub credentials: Option<Credentials>,
}

/// OAuth 2 client credentials (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The client's id.
    pub id: String,
    /// The client's secret.
    pub secret: Secret,
    /// The file that held the secret, if it was in one.
    pub secret_file: Option<PathBuf>,
}

impl Checker<'_> {
    pub(super) fn webhook(&mut self) -> Option<Webhook> {
        let credentials = self.credentials();
        let text = self.text(Id::Webhook)?;
        let url = WebhookUrl::parse(text.trim());
        if url.is_none() {
            self.at(Id::Webhook, Fault::NotAUrl);
        }
        Some(Webhook { url: url?, credentials })
    }

    fn credentials(&mut self) -> Option<Credentials> {
        let id = self.text(Id::ClientId);
        let secret = self.text(Id::ClientSecret).map(Secret::new);
        let secret_file = self.path(Id::ClientSecretFile);
        let (secret, from) = match (secret, &secret_file) {
            (Some(_), Some(_)) => {
                let other = self.layer.origin(Id::ClientSecret).to_string();
                self.at(Id::ClientSecretFile, Fault::TwoSecrets(other));
                return None;
            }
            (Some(secret), None) => (Some(secret), Id::ClientSecret),
            (None, Some(path)) => (Some(self.secret_from(path)?), Id::ClientSecretFile),
            (None, None) => (None, Id::ClientSecret),
        };
        match (id, secret) {
            (Some(id), Some(secret)) => return Some(Credentials { id, secret, secret_file }),
            (Some(_), None) => {
                self.at(Id::ClientId, Fault::Alone("oauth2_client_secret or a file with it"));
            }
            (None, Some(_)) => self.at(from, Fault::Alone("oauth2_client_id (--oauth2-client-id)")),
            (None, None) => {}
        }
        None
    }

    /// The secret in a file, without the line end that editors put behind it.
    fn secret_from(&mut self, path: &Path) -> Option<Secret> {
        let shown = Shown::path(path);
        let fault = match file::read(path, SECRET_BYTES_MAX) {
            Ok(Content::Bytes(bytes)) => match String::from_utf8(bytes) {
                Ok(text) if text.trim_end().is_empty() => Fault::EmptySecret(shown),
                Ok(text) => {
                    return Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()));
                }
                Err(_) => Fault::NotUtf8,
            },
            Ok(Content::TooLarge) => Fault::TooLarge { path: shown, max: SECRET_BYTES_MAX },
            Err(error) => {
                let remedy = "name a file that this user may read";
                Fault::Unreadable { path: shown, error, remedy }
            }
        };
        self.at(Id::ClientSecretFile, fault);
        None
    }
}
