//! The configuration as text, for `--check-config`: a TOML file that would give the same one.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::Path;

use log::LevelFilter;
use sentrypeer_http::access::Scope;
use sentrypeer_storage::event::Verification;

use super::setting::{Group, Id};
use super::table::SETTINGS;
use super::{Config, Listen};
use crate::honeypot::Calls;

/// The value of a setting as it holds.
#[derive(PartialEq, Eq)]
pub(super) enum Effective {
    /// As TOML.
    Shown(String),
    /// Present; this much of it may be shown.
    Hidden(String),
    /// Not set, or nothing uses it.
    Unused,
}

impl Config {
    /// The whole configuration as TOML, each value with its origin in a comment. Secrets are
    /// hidden, in comments. Ends with a line end.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = match &self.config_file {
            Some(path) => format!("# configuration file: {:?}\n", path.to_string_lossy()),
            None => String::from("# configuration file: none\n"),
        };
        for setting in SETTINGS {
            let Some(key) = setting.key else { continue };
            let origin = self.origin(setting.id);
            let line = match self.effective(setting.id) {
                Effective::Shown(value) => format!("{key} = {value}  # {origin}"),
                Effective::Hidden(value) => format!("# {key} = {value}  # {origin}"),
                Effective::Unused => format!("# {key} is not in use"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", line.replace(char::is_control, "?"));
        }
        for more in self.webhooks.iter().filter(|webhook| webhook.is_more()) {
            text.push_str(&more.described());
        }
        text
    }

    pub(super) fn effective(&self, id: Id) -> Effective {
        match id.setting().group {
            Group::Http => self.of_http(id),
            Group::Sharing => self.of_sharing(id),
            Group::Outputs => self.of_outputs(id),
            Group::Webhooks => {
                let first = self.webhooks.iter().find(|webhook| !webhook.is_more());
                first.map_or(Effective::Unused, |first| first.shown(id))
            }
            _ => self.of_node(id),
        }
    }

    fn of_node(&self, id: Id) -> Effective {
        match id {
            Id::SipListen => addresses(&self.sip_listen),
            Id::TlsListen => addresses(&self.tls_listen),
            Id::Cert => path(self.certificate.as_ref().map(|own| own.cert.as_path())),
            Id::Key => path(self.certificate.as_ref().map(|own| own.key.as_path())),
            Id::NoTls if self.sip_listen.is_empty() => Effective::Unused,
            Id::NoTls => on(self.tls_listen.is_empty()),
            Id::NoSip => on(self.sip_listen.is_empty()),
            Id::ProxyProtocolFrom => list(&self.proxy_protocol_from),
            Id::Shards => Effective::Shown(self.shards.to_string()),
            Id::Driver => text(Some(self.driver.name())),
            Id::Db => path(Some(&self.db)),
            Id::Responsive => on(self.responsive),
            Id::Persona => text(Some(self.conduct.persona.name)),
            Id::Calls => text(Some(&match self.conduct.calls {
                Calls::Answer => "answer".to_owned(),
                Calls::Challenge => "challenge".to_owned(),
                Calls::Reject(status) => status.to_string(),
            })),
            Id::RegisterTries => Effective::Shown(self.conduct.register_tries.to_string()),
            Id::AnswerRateSource => rate(self.answer_rates.source),
            Id::AnswerRateNetwork => rate(self.answer_rates.network),
            Id::AnswerRateTotal => rate(self.answer_rates.total),
            Id::RingMs => Effective::Shown(self.conduct.rings_ms.to_string()),
            Id::TestAddresses => on(self.test_addresses),
            Id::EventsKeepDays => Effective::Shown(self.kept.events_days.to_string()),
            Id::MessagesKeepDays => {
                let days = self.kept.messages_days.unwrap_or(self.kept.events_days);
                Effective::Shown(days.to_string())
            }
            Id::HoursKeepDays => Effective::Shown(self.kept.hours_days.to_string()),
            Id::LogSizeMaxMb => number(self.kept.log_mb_max),
            Id::Allow => list(&self.allowed.addresses),
            Id::AllowFile => path(self.allowed.file.as_deref()),
            Id::AllowNumbers => list(&self.allowed.numbers),
            Id::BlockPrivate => on(self.block_private),
            Id::Verbose if self.log_level == LevelFilter::Trace => Effective::Unused,
            Id::Verbose => on(self.log_level == LevelFilter::Debug),
            Id::Debug => on(self.log_level == LevelFilter::Trace),
            _ => Effective::Unused,
        }
    }

    fn of_http(&self, id: Id) -> Effective {
        match id {
            Id::Api => on(!self.api.listen.is_empty()),
            Id::ApiListen => addresses(&self.api.listen),
            Id::ApiUnix => path(self.api.unix.as_deref()),
            Id::ApiCert => path(self.api.certificate.as_ref().map(|own| own.cert.as_path())),
            Id::ApiKey => path(self.api.certificate.as_ref().map(|own| own.key.as_path())),
            Id::ApiClientCa => path(self.api.client_ca.as_deref()),
            Id::ApiClientScopes => {
                list(&self.api.client_scopes.iter().map(Scope::name).collect::<Vec<_>>())
            }
            Id::ApiHosts => list(&self.api.hosts),
            Id::ApiAnyOrigin => on(self.api.any_origin),
            Id::ApiRate => Effective::Shown(self.api.rate.per_s.to_string()),
            Id::ApiConnectionsPerAddress => {
                Effective::Shown(self.api.connections_per_address.to_string())
            }
            Id::ApiTokenRate => Effective::Shown(self.api.token_rate.per_s.to_string()),
            Id::InsecureApi => on(self.api.insecure),
            Id::DipListen => {
                let addr = self.dip_listen.as_ref().map(|listen| listen.addr.to_string());
                text(Some(addr.as_deref().unwrap_or("none")))
            }
            Id::Strict => on(self.legacy_min_verification > Verification::Unverified),
            _ => Effective::Unused,
        }
    }
}

pub(super) fn on(on: bool) -> Effective {
    Effective::Shown(on.to_string())
}

fn addresses(listens: &[Listen]) -> Effective {
    list(&listens.iter().map(|listen| listen.addr).collect::<Vec<_>>())
}

fn rate(rate: Option<NonZeroU32>) -> Effective {
    Effective::Shown(rate.map_or(0, NonZeroU32::get).to_string())
}

pub(super) fn number(number: Option<u32>) -> Effective {
    number.map_or(Effective::Unused, |number| Effective::Shown(number.to_string()))
}

pub(super) fn list(items: &[impl ToString]) -> Effective {
    let quoted: Vec<String> = items.iter().map(|item| quoted(&item.to_string())).collect();
    match quoted.is_empty() {
        true => Effective::Unused,
        false => Effective::Shown(format!("[{}]", quoted.join(", "))),
    }
}

pub(super) fn path(path: Option<&Path>) -> Effective {
    text(path.map(|path| path.to_string_lossy()).as_deref())
}

pub(super) fn text(text: Option<&str>) -> Effective {
    text.map_or(Effective::Unused, |text| Effective::Shown(quoted(text)))
}

/// A TOML basic string (TOML 1.0, "String"), on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // Writing to a String cannot fail.
            c if c.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
