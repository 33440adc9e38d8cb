//! What a changed configuration changes in a running node (SIGHUP).

use std::path::PathBuf;

use super::secret::{Secret, WebhookUrl};
use super::setting::{Id, Setting};
use super::table::SETTINGS;
use super::{Config, Pool, Webhook};

/// The keys of the settings that differ and take effect only after a restart.
#[must_use]
pub fn restart_keys(old: &Config, new: &Config) -> Vec<&'static str> {
    let differ = SETTINGS.iter().filter(|s| needs_restart(s.id) && !same(s.id, old, new));
    differ.map(Setting::name).collect()
}

fn needs_restart(id: Id) -> bool {
    let at_once = [
        Id::Verbose,
        Id::Debug,
        Id::Cert,
        Id::Key,
        Id::Strict,
        Id::ProxyProtocolFrom,
        Id::Allow,
        Id::AllowFile,
        Id::AllowNumbers,
        Id::BlockPrivate,
    ];
    !at_once.contains(&id)
}

/// Whether both have the same value. Hidden parts count, although they are not shown.
fn same(id: Id, old: &Config, new: &Config) -> bool {
    match id {
        // Also what is in the files that are named.
        Id::Webhook => url(old) == url(new) && more(old).eq(more(new)),
        Id::WebhookSigningSecretFile => signing(old) == signing(new),
        Id::ClientSecret => secret(old) == secret(new),
        Id::PeerPoolSecret | Id::PeerPoolSecretFile => pool(old) == pool(new),
        // Other files take effect at once; whether there is TLS, and who is asked, does not.
        Id::ApiCert | Id::ApiKey => old.api.certificate.is_some() == new.api.certificate.is_some(),
        Id::ApiClientCa => old.api.client_ca.is_some() == new.api.client_ca.is_some(),
        _ => old.effective(id) == new.effective(id),
    }
}

/// The webhook that flags and environment can name.
fn first(config: &Config) -> Option<&Webhook> {
    config.webhooks.iter().find(|webhook| !webhook.is_more())
}

/// Those beside it.
fn more(config: &Config) -> impl Iterator<Item = &Webhook> {
    config.webhooks.iter().filter(|webhook| webhook.is_more())
}

fn url(config: &Config) -> Option<&WebhookUrl> {
    first(config).map(|webhook| &webhook.url)
}

fn signing(config: &Config) -> Option<&(Secret, PathBuf)> {
    first(config)?.signing.as_ref()
}

fn secret(config: &Config) -> Option<&Secret> {
    Some(&first(config)?.credentials.as_ref()?.secret)
}

fn pool(config: &Config) -> Option<&Pool> {
    config.sharing.as_ref()?.pool.as_ref()
}
