//! What a changed configuration changes in a running node (SIGHUP).

use log::LevelFilter;
use sentrypeer_storage::event::Verification;

use super::setting::{Id, Setting};
use super::table::SETTINGS;
use super::{Certificate, Config};

/// What to do about a changed configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// What can take effect at once.
    pub apply: Vec<Change>,
    /// The keys of what differs and takes effect only after a restart.
    pub needs_restart: Vec<&'static str>,
}

/// What can change while the node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What is said in the log.
    LogLevel(LevelFilter),
    /// The certificate for TLS. It comes with every reload when there are files of the operator's,
    /// because their content may be new under the old names. `None`: the self-signed one.
    Certificate(Option<Certificate>),
    /// The weakest proof of an address with which the lists of SentryPeer 4.x name it.
    LegacyMinVerification(Verification),
}

/// Compares what holds with what was loaded anew.
#[must_use]
pub fn reloadable_changes(old: &Config, new: &Config) -> Reload {
    let mut apply = Vec::new();
    if old.log_level != new.log_level {
        apply.push(Change::LogLevel(new.log_level));
    }
    if new.certificate.is_some() || old.certificate != new.certificate {
        apply.push(Change::Certificate(new.certificate.clone()));
    }
    if old.legacy_min_verification != new.legacy_min_verification {
        apply.push(Change::LegacyMinVerification(new.legacy_min_verification));
    }
    let differ = SETTINGS.iter().filter(|s| needs_restart(s.id) && !same(s.id, old, new));
    Reload { apply, needs_restart: differ.map(Setting::name).collect() }
}

fn needs_restart(id: Id) -> bool {
    !matches!(id, Id::Verbose | Id::Debug | Id::Cert | Id::Key | Id::Strict)
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
        _ => old.effective(id) == new.effective(id),
    }
}
