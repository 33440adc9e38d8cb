//! Where events are posted.

use std::path::{Path, PathBuf};

use sentrypeer_export::filter::Filter;
use sentrypeer_export::limits::WEBHOOK_EVENTS_MAX;
use sentrypeer_export::webhook::Form;
use sentrypeer_storage::event::{METHOD_BYTES_MAX, Transport};

use super::check::{Checker, Words, one_of};
use super::error::{Fault, Problem, Shown};
use super::file::{self, Content};
use super::limits::{SECRET_BYTES_MAX, WEBHOOK_NAME_BYTES_MAX};
use super::outputs::LEVELS;
use super::secret::{Secret, WebhookUrl};
use super::setting::Id;

/// Where events are posted, how, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// What its output is called.
    pub name: String,
    /// The URL.
    pub url: WebhookUrl,
    /// The file that held it, if it was in one.
    pub url_file: Option<PathBuf>,
    /// What a request carries.
    pub form: Form,
    /// Most events in a batch.
    pub events: usize,
    /// Whether bodies are packed.
    pub gzip: bool,
    /// What signs each request, and the file that held it.
    pub signing: Option<(Secret, PathBuf)>,
    /// Whom to trust. `None`: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Where what is refused for good goes. `None`: beside the database.
    pub dead_letter_file: Option<PathBuf>,
    /// How to identify oneself. `None`: not at all.
    pub credentials: Option<Credentials>,
    /// Which events it gets.
    pub filter: Filter,
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
    /// Where tokens come from.
    pub token_url: String,
    /// For whom they are.
    pub audience: String,
}

pub(super) const FORMS: Words<Form> = &[
    ("object", Form::Object),
    ("array", Form::Array),
    ("lines", Form::Lines),
    ("cloudevent", Form::CloudEvent),
    ("cloudevent-batch", Form::CloudEventBatch),
];
pub(super) const TRANSPORTS: Words<Transport> =
    &[("UDP", Transport::Udp), ("TCP", Transport::Tcp), ("TLS", Transport::Tls)];

/// What the output of the first is called, and how the names of the others begin.
const NAME: &str = "webhook";

impl Checker<'_> {
    /// The one that flags and environment can name, and the others of the file.
    pub(super) fn webhooks(&mut self) -> Vec<Webhook> {
        let mut all = Vec::from_iter(self.webhook(NAME.to_owned()));
        for more in &self.layer.webhooks {
            let mut of_it = Checker { layer: &more.layer, problems: self.problems };
            let found = of_it.webhook(format!("{NAME}.{}", more.name));
            let unnamed =
                [Id::Webhook, Id::WebhookUrlFile].iter().all(|id| more.layer.text(*id).is_none());
            let fault = match is_name(&more.name) {
                false => Some(Fault::NotAnOutput(Shown::text(&more.name))),
                true => unnamed.then_some(Fault::NoUrl),
            };
            let origin = more.origin.clone();
            self.problems.extend(fault.map(|fault| Problem { origin, id: None, fault }));
            all.extend(found);
        }
        all
    }

    fn webhook(&mut self, name: String) -> Option<Webhook> {
        let layer = self.layer;
        let credentials = self.credentials();
        let filter = self.filter();
        let form = self.word(Id::WebhookForm, FORMS).unwrap_or_default();
        let events = self.number(Id::WebhookEvents, 1, WEBHOOK_EVENTS_MAX).unwrap_or(1);
        let signing = self
            .path(Id::WebhookSigningSecretFile)
            .and_then(|path| Some((self.secret_from(Id::WebhookSigningSecretFile, &path)?, path)));
        let (url, url_file) = self.url()?;
        Some(Webhook {
            name,
            url,
            url_file,
            form,
            events,
            gzip: layer.is_on(Id::WebhookGzip),
            signing,
            ca_file: self.path(Id::WebhookCaFile),
            dead_letter_file: self.path(Id::WebhookDeadLetterFile),
            credentials,
            filter,
        })
    }

    fn url(&mut self) -> Option<(WebhookUrl, Option<PathBuf>)> {
        let file = self.path(Id::WebhookUrlFile);
        let (text, id) = match (self.text(Id::Webhook), &file) {
            (Some(_), Some(_)) => {
                let other = self.layer.origin(Id::Webhook).to_string();
                self.at(Id::WebhookUrlFile, Fault::TwoSecrets(other));
                return None;
            }
            (Some(text), None) => (text, Id::Webhook),
            (None, Some(path)) => {
                let secret = self.secret_from(Id::WebhookUrlFile, path)?;
                (secret.reveal().to_owned(), Id::WebhookUrlFile)
            }
            (None, None) => return None,
        };
        let url = WebhookUrl::parse(text.trim());
        if url.is_none() {
            self.at(id, Fault::NotAUrl);
        }
        Some((url?, file))
    }

    fn filter(&mut self) -> Filter {
        Filter {
            min_verification: self.word(Id::WebhookMinVerification, LEVELS).unwrap_or_default(),
            methods: self.each(Id::WebhookMethods, method),
            transports: self.each(Id::WebhookTransports, |text| one_of(text, TRANSPORTS)),
            with_number: self.layer.is_on(Id::WebhookWithNumber),
            without_allowed: self.layer.is_on(Id::WebhookWithoutAllowed),
        }
    }

    fn credentials(&mut self) -> Option<Credentials> {
        let id = self.text(Id::ClientId);
        let token_url = self.text(Id::WebhookTokenUrl).unwrap_or_default();
        let audience = self.text(Id::WebhookAudience).unwrap_or_default();
        let secret = self.text(Id::ClientSecret).map(Secret::new);
        let secret_file = self.path(Id::ClientSecretFile);
        let (secret, from) = match (secret, &secret_file) {
            (Some(_), Some(_)) => {
                let other = self.layer.origin(Id::ClientSecret).to_string();
                self.at(Id::ClientSecretFile, Fault::TwoSecrets(other));
                return None;
            }
            (Some(secret), None) => (Some(secret), Id::ClientSecret),
            (None, Some(path)) => {
                (Some(self.secret_from(Id::ClientSecretFile, path)?), Id::ClientSecretFile)
            }
            (None, None) => (None, Id::ClientSecret),
        };
        match (id, secret) {
            (Some(id), Some(secret)) => {
                return Some(Credentials { id, secret, secret_file, token_url, audience });
            }
            (Some(_), None) => {
                self.at(Id::ClientId, Fault::Alone("webhook.client_secret or a file with it"));
            }
            (None, Some(_)) => {
                self.at(from, Fault::Alone("webhook.client_id (--oauth2-client-id)"));
            }
            (None, None) => {}
        }
        None
    }

    /// The secret in a file, without the line end that editors put behind it.
    pub(super) fn secret_from(&mut self, id: Id, path: &Path) -> Option<Secret> {
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
        self.at(id, fault);
        None
    }
}

/// A method (RFC 3261, section 25.1); their case matters.
fn method(text: &str) -> Result<String, Fault> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    let fits = text.len() <= METHOD_BYTES_MAX && text.bytes().all(is_token);
    if fits { Ok(text.to_owned()) } else { Err(Fault::NotAMethod(Shown::text(text))) }
}

fn is_name(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=WEBHOOK_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits)
}
