//! The outputs of a node, as the configuration asks for them.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sentrypeer_export::filter::Filter;
use sentrypeer_export::output::{Receiver, Settings};
use sentrypeer_export::secret::Secret;
use sentrypeer_export::webhook::{self, Credentials};
use sentrypeer_export::{Outputs, StartError};
use sentrypeer_storage::Store;
use sentrypeer_storage::cursor::Begin;
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::identity::Identity;
use sentrypeer_storage::policy::Policy;

#[cfg(not(all(feature = "nats", feature = "sqlite")))]
use crate::config::Id;
#[cfg(feature = "nats")]
use crate::config::NatsLogin;
use crate::config::{Config, Webhook};
use crate::context::VERSION;

/// Starts what the configuration asks for.
///
/// # Errors
///
/// See [`StartError`].
pub fn start(
    config: &Config,
    identity: &Identity,
    store: &Store,
    policy: Arc<ArcSwap<Policy>>,
) -> Result<Outputs, StartError> {
    let producer = producer(identity.node_id);
    let settings = settings(config, identity)?;
    Outputs::start(store, producer, move || policy.load_full(), settings)
}

/// Who says that an event happened.
#[must_use]
pub fn producer(node_id: uuid::Uuid) -> Producer {
    Producer { app_name: "sentrypeer".into(), app_version: VERSION.into(), node_id }
}

fn settings(config: &Config, identity: &Identity) -> Result<Vec<Settings>, StartError> {
    let json_log = config
        .json_log
        .iter()
        .map(|json_log| output("json-log", Filter::default(), Receiver::JsonLog(json_log.clone())));
    let syslog = config.syslog.iter().map(|syslog| {
        let filter = Filter { min_verification: syslog.min_verification, ..Filter::default() };
        output("syslog", filter, Receiver::Syslog(syslog.to.clone()))
    });
    let webhooks = config.webhooks.iter().map(|webhook| {
        let receiver = Receiver::Webhook(webhook_settings(config, webhook));
        output(&webhook.name, webhook.filter.clone(), receiver)
    });
    let (sqlite, nats) = (sqlite(config, identity)?, nats(config)?);
    Ok(json_log.chain(syslog).chain(webhooks).chain(sqlite).chain(nats).collect())
}

/// Where there is no cursor yet, the log begins with what an output has not had: an event that came
/// before its reader was open is not to be missed.
fn output(name: &str, filter: Filter, receiver: Receiver) -> Settings {
    Settings { name: name.to_owned(), begin: Begin::Oldest, filter, receiver }
}

fn webhook_settings(config: &Config, webhook: &Webhook) -> webhook::Settings {
    let credentials = webhook.credentials.as_ref().map(|own| Credentials {
        client_id: own.id.clone(),
        client_secret: Secret::new(own.secret.reveal()),
        token_url: own.token_url.clone(),
        audience: own.audience.clone(),
    });
    webhook::Settings {
        url: Secret::new(webhook.url.reveal()),
        form: webhook.form,
        events: webhook.events,
        gzip: webhook.gzip,
        signing_secret: webhook.signing.as_ref().map(|(secret, _)| Secret::new(secret.reveal())),
        credentials,
        ca_file: webhook.ca_file.clone(),
        dead_letters: webhook
            .dead_letter_file
            .clone()
            .unwrap_or_else(|| dead_letters(config, &webhook.name)),
    }
}

fn dead_letters(config: &Config, name: &str) -> PathBuf {
    config.db.with_file_name(format!("sentrypeer_{name}_refused.json"))
}

#[cfg(feature = "sqlite")]
#[expect(clippy::unnecessary_wraps, reason = "without SQLite it is an error")]
fn sqlite(config: &Config, identity: &Identity) -> Result<Option<Settings>, StartError> {
    let settings = config.sqlite.as_ref().map(|sqlite| sentrypeer_export::sqlite::Settings {
        path: sqlite.file.clone(),
        node_id: identity.node_id,
        with_port: sqlite.with_port,
    });
    Ok(settings.map(|settings| output("sqlite", Filter::default(), Receiver::Sqlite(settings))))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(config: &Config, _: &Identity) -> Result<Option<Settings>, StartError> {
    let is_asked_for = config.sqlite.is_some();
    if is_asked_for { Err(not_built(config, "sqlite", Id::Sqlite, "SQLite")) } else { Ok(None) }
}

#[cfg(feature = "nats")]
fn nats(config: &Config) -> Result<Option<Settings>, StartError> {
    use sentrypeer_export::nats::{self, Login, Server};
    let Some(nats) = &config.nats else { return Ok(None) };
    let servers = nats.servers.iter().map(|url| Server::parse(url)).collect::<Result<_, _>>();
    let secret = |secret: &crate::config::Secret| Secret::new(secret.reveal());
    let login = match &nats.login {
        NatsLogin::Nobody => Login::Nobody,
        NatsLogin::Password { user, password, .. } => {
            Login::Password { user: user.clone(), password: secret(password) }
        }
        NatsLogin::Token(token, _) => Login::Token(secret(token)),
        NatsLogin::Credentials(text, _) => Login::Credentials(secret(text)),
    };
    let settings = nats::Settings {
        servers: servers.map_err(|error| refused("nats", error.to_string()))?,
        subject: nats.subject.clone(),
        login,
        ca_file: nats.ca_file.clone(),
    };
    Ok(Some(output("nats", Filter::default(), Receiver::Nats(settings))))
}

#[cfg(not(feature = "nats"))]
fn nats(config: &Config) -> Result<Option<Settings>, StartError> {
    let is_asked_for = config.nats.is_some();
    if is_asked_for { Err(not_built(config, "nats", Id::Nats, "NATS")) } else { Ok(None) }
}

#[cfg(not(all(feature = "nats", feature = "sqlite")))]
fn not_built(config: &Config, name: &str, id: Id, what: &str) -> StartError {
    let (origin, key) = (config.origin(id), id.setting().name());
    let reason = format!(
        "{origin}: this program was built without {what}; leave {key} out, or take a build that has it"
    );
    refused(name, reason)
}

fn refused(name: &str, reason: String) -> StartError {
    StartError::Settings { name: name.to_owned(), reason }
}
