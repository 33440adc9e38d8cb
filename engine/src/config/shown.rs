//! The settings of outputs as they hold, for `--check-config`.

use std::fmt::Write as _;
use std::path::Path;

use sentrypeer_export::syslog::{Framing, Settings as To};

use super::check::name_of;
use super::describe::{Effective, list, on, path, quoted, text};
use super::outputs::{CLOCKS, FORMATS, FRAMINGS, LEVELS, TARGETS, Target};
use super::setting::{Group, Id};
use super::table::SETTINGS;
use super::webhook::{FORMS, TRANSPORTS};
use super::{Config, Credentials, NatsLogin, Webhook};

impl Config {
    pub(super) fn of_outputs(&self, id: Id) -> Effective {
        match id {
            Id::JsonLog => on(self.json_log.is_some()),
            Id::Syslog => on(self.syslog.is_some()),
            Id::Sqlite => path(self.sqlite.as_ref().map(|sqlite| sqlite.file.as_path())),
            Id::SqliteWithPort => on(self.sqlite.as_ref().is_some_and(|sqlite| sqlite.with_port)),
            Id::Nats
            | Id::NatsSubject
            | Id::NatsUser
            | Id::NatsPasswordFile
            | Id::NatsTokenFile
            | Id::NatsCredentialsFile
            | Id::NatsCaFile => self.of_nats(id),
            Id::JsonLogFile | Id::JsonLogFormat | Id::LogTime => self.of_json_log(id),
            _ => self.of_syslog(id),
        }
    }

    fn of_json_log(&self, id: Id) -> Effective {
        let Some(json_log) = &self.json_log else { return Effective::Unused };
        match id {
            Id::JsonLogFile => path(Some(&json_log.path)),
            Id::JsonLogFormat => text(Some(name_of(&json_log.format, FORMATS))),
            _ => text(Some(name_of(&json_log.clock, CLOCKS))),
        }
    }

    fn of_nats(&self, id: Id) -> Effective {
        let Some(nats) = &self.nats else { return Effective::Unused };
        match (id, &nats.login) {
            (Id::Nats, _) => list(&nats.servers),
            (Id::NatsSubject, _) => text(Some(&nats.subject)),
            (Id::NatsCaFile, _) => path(nats.ca_file.as_deref()),
            (Id::NatsUser, NatsLogin::Password { user, .. }) => text(Some(user)),
            (Id::NatsPasswordFile, NatsLogin::Password { file, .. })
            | (Id::NatsTokenFile, NatsLogin::Token(_, file))
            | (Id::NatsCredentialsFile, NatsLogin::Credentials(_, file)) => path(Some(file)),
            _ => Effective::Unused,
        }
    }

    fn of_syslog(&self, id: Id) -> Effective {
        let Some(syslog) = &self.syslog else { return Effective::Unused };
        let (target, address) = match &syslog.to {
            To::Local(path) => (Target::Local, path.to_string_lossy()),
            To::Journald(path) => (Target::Journald, path.to_string_lossy()),
            To::Udp(address) => (Target::Udp, address.into()),
            To::Tcp { address, .. } => (Target::Tcp, address.into()),
            To::Tls { address, .. } => (Target::Tls, address.into()),
        };
        match (id, &syslog.to) {
            (Id::SyslogTarget, _) => text(Some(name_of(&target, TARGETS))),
            (Id::SyslogAddress, _) => text(Some(&address)),
            (Id::SyslogMinVerification, _) => text(Some(name_of(&syslog.min_verification, LEVELS))),
            (Id::SyslogFraming, To::Tcp { framing, .. }) => framing_name(*framing),
            (Id::SyslogCaFile, To::Tls { ca_file, .. }) => path(ca_file.as_deref()),
            _ => Effective::Unused,
        }
    }
}

fn framing_name(framing: Framing) -> Effective {
    text(Some(name_of(&framing, FRAMINGS)))
}

impl Webhook {
    /// Whether it is one beside the first.
    pub(super) fn is_more(&self) -> bool {
        self.name.contains('.')
    }

    /// Its table in the file.
    pub(super) fn described(&self) -> String {
        let table = self.name.replacen("webhook.", "webhooks.", 1);
        let mut lines = String::new();
        for setting in SETTINGS.iter().filter(|setting| setting.group == Group::Webhooks) {
            let key = setting.name().replacen("webhook", &table, 1);
            // Writing to a String cannot fail.
            let _ = match self.shown(setting.id) {
                Effective::Shown(value) => writeln!(lines, "{key} = {value}"),
                Effective::Hidden(value) => writeln!(lines, "# {key} = {value}"),
                Effective::Unused => continue,
            };
        }
        lines
    }

    /// One of its settings.
    pub(super) fn shown(&self, id: Id) -> Effective {
        let file = |file: &Option<std::path::PathBuf>| path(file.as_deref());
        match id {
            Id::Webhook if self.url_file.is_some() => Effective::Unused,
            Id::Webhook => Effective::Hidden(quoted(&self.url.to_string())),
            Id::WebhookUrlFile => file(&self.url_file),
            Id::WebhookForm => text(Some(name_of(&self.form, FORMS))),
            Id::WebhookEvents => Effective::Shown(self.events.to_string()),
            Id::WebhookGzip => on(self.gzip),
            Id::WebhookSigningSecretFile => {
                path(self.signing.as_ref().map(|(_, file)| Path::new(file)))
            }
            Id::WebhookCaFile => file(&self.ca_file),
            Id::WebhookDeadLetterFile => file(&self.dead_letter_file),
            Id::WebhookMinVerification => {
                text(Some(name_of(&self.filter.min_verification, LEVELS)))
            }
            Id::WebhookMethods => list(&self.filter.methods),
            Id::WebhookTransports => {
                let names = self.filter.transports.iter().map(|member| name_of(member, TRANSPORTS));
                list(&names.collect::<Vec<_>>())
            }
            Id::WebhookWithNumber => on(self.filter.with_number),
            Id::WebhookWithoutAllowed => on(self.filter.without_allowed),
            _ => self.of_credentials(id),
        }
    }

    fn of_credentials(&self, id: Id) -> Effective {
        match (id, &self.credentials) {
            (Id::ClientId, Some(own)) => text(Some(&own.id)),
            (Id::ClientSecret, Some(Credentials { secret_file: None, secret, .. })) => {
                Effective::Hidden(format!("{secret:?}"))
            }
            (Id::ClientSecretFile, Some(own)) => path(own.secret_file.as_deref()),
            (Id::WebhookTokenUrl, Some(own)) => text(Some(&own.token_url)),
            (Id::WebhookAudience, Some(own)) => text(Some(&own.audience)),
            _ => Effective::Unused,
        }
    }
}
