//! What a changed configuration changes in a running node (SIGHUP).

use super::Config;
use super::setting::{Id, Setting};
use super::table::SETTINGS;

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
    let url = |config: &Config| config.webhook.as_ref().map(|webhook| webhook.url.clone());
    let secret = |config: &Config| {
        let credentials = config.webhook.as_ref().and_then(|w| w.credentials.as_ref());
        credentials.map(|own| own.secret.clone())
    };
    match id {
        Id::Webhook => url(old) == url(new),
        Id::ClientSecret => secret(old) == secret(new),
        // Other files take effect at once; whether there is TLS, and who is asked, does not.
        Id::ApiCert | Id::ApiKey => old.api.certificate.is_some() == new.api.certificate.is_some(),
        Id::ApiClientCa => old.api.client_ca.is_some() == new.api.client_ca.is_some(),
        _ => old.effective(id) == new.effective(id),
    }
}
