//! What must hold between values that are each sound.

use super::check::first_default;
use super::error::{Fault, Problem, Warning};
use super::layer::Layer;
use super::origin::Origin;
use super::setting::{Group, Id, Kind, Setting};
use super::table::SETTINGS;
use super::{Config, Listen};

/// Finds what does not go together.
pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    problems.extend(config.api.listen.iter().filter_map(|listen| open_api(config, listen)));
    problems.extend(config.dip_listen.iter().filter_map(open_dip_lane));
    // Defaults may stand in for what is wrong already; a clash with them would mislead.
    if problems.is_empty() {
        problems.extend(same_addresses(config));
    }
}

/// Without TLS anybody on the way can read and change what the API says, so other machines reach it
/// only by a decision. Whether there is something to tell people by is known when tokens are read.
fn open_api(config: &Config, listen: &Listen) -> Option<Problem> {
    let api = &config.api;
    if api.insecure || api.certificate.is_some() || listen.addr.ip().is_loopback() {
        return None;
    }
    let mut loopback = first_default(Id::ApiListen);
    loopback.set_port(listen.addr.port());
    let fault = Fault::ApiNotLoopback { addr: listen.addr, loopback };
    Some(Problem { origin: listen.origin.clone(), id: Some(Id::ApiListen), fault })
}

/// The dip lane has neither limits nor timeouts, so it is never open to other machines.
fn open_dip_lane(listen: &Listen) -> Option<Problem> {
    if listen.addr.ip().is_loopback() {
        return None;
    }
    let mut loopback = first_default(Id::DipListen);
    loopback.set_port(listen.addr.port());
    let fault = Fault::DipNotLoopback { addr: listen.addr, loopback };
    Some(Problem { origin: listen.origin.clone(), id: Some(Id::DipListen), fault })
}

/// Every listener takes TCP, so no two can have the same address. Port 0 is a port of its own
/// each time.
fn same_addresses(config: &Config) -> Vec<Problem> {
    let all: Vec<(Id, &Listen)> = listens(config).filter(|(_, l)| l.addr.port() != 0).collect();
    let mut problems = Vec::new();
    for (i, (id, listen)) in all.iter().enumerate() {
        let Some((other_id, other)) = all[..i].iter().find(|(_, l)| l.addr == listen.addr) else {
            continue;
        };
        // The remedy is with the one that somebody wrote.
        let (id, listen, other_id, other) = match listen.origin {
            Origin::Default => (other_id, other, id, listen),
            _ => (id, listen, other_id, other),
        };
        let other = format!("{} ({})", other_id.setting().name(), other.origin);
        let fault = Fault::SameAddress { addr: listen.addr, other };
        problems.push(Problem { origin: listen.origin.clone(), id: Some(*id), fault });
    }
    problems
}

/// Every listener of the configuration.
fn listens(config: &Config) -> impl Iterator<Item = (Id, &Listen)> {
    let lists = [
        (Id::SipListen, config.sip_listen.as_slice()),
        (Id::TlsListen, &config.tls_listen),
        (Id::ApiListen, &config.api.listen),
        (Id::DipListen, config.dip_listen.as_slice()),
    ];
    lists.into_iter().flat_map(|(id, listens)| listens.iter().map(move |listen| (id, listen)))
}

/// Finds what is allowed, but probably not meant.
pub(super) fn warnings(layer: &Layer, config: &Config) -> Vec<Warning> {
    let unused = SETTINGS.iter().filter(|setting| was_given(layer, setting.id));
    let no_effect = unused.filter_map(|setting| {
        let (id, origin) = (setting.id, layer.origin(setting.id));
        Some(Warning::NoEffect { origin, id, unless: unless(setting, config)? })
    });
    let strangers = |listen: &&Listen| config.api.insecure && !listen.addr.ip().is_loopback();
    let open = config.api.listen.iter().filter(strangers);
    no_effect.chain(open.map(|listen| Warning::InsecureApi(listen.addr))).collect()
}

/// What would have to hold for a setting to have an effect; `None` if it has one.
fn unless(setting: &Setting, config: &Config) -> Option<&'static str> {
    const API: &str = "api (--api)";
    const JSON_LOG: &str = "json_log.enabled (--json-log)";
    let kept = &config.kept;
    let listens = !config.api.listen.is_empty();
    let has_credentials = config.webhooks.iter().any(|webhook| webhook.credentials.is_some());
    let (in_use, unless) = match setting.id {
        Id::MessagesKeepDays => (
            kept.messages_ns() <= kept.events_ns(),
            "events that are kept longer (--events-keep-days)",
        ),
        Id::JsonLogFile | Id::JsonLogFormat | Id::LogTime => (config.json_log.is_some(), JSON_LOG),
        Id::SyslogTarget
        | Id::SyslogAddress
        | Id::SyslogFraming
        | Id::SyslogCaFile
        | Id::SyslogMinVerification => (config.syslog.is_some(), "syslog.enabled (--syslog)"),
        Id::SqliteWithPort => (config.sqlite.is_some(), "sqlite.file (--sqlite)"),
        Id::NatsSubject
        | Id::NatsUser
        | Id::NatsPasswordFile
        | Id::NatsTokenFile
        | Id::NatsCredentialsFile
        | Id::NatsCaFile => (config.nats.is_some(), "nats.servers (--nats)"),
        Id::WebhookTokenUrl | Id::WebhookAudience => {
            (has_credentials, "webhook.client_id (--oauth2-client-id)")
        }
        _ if setting.group == Group::Webhooks => {
            (!config.webhooks.is_empty(), "webhook.url (--webhook)")
        }
        Id::PeerToPeer => (true, ""),
        _ if setting.group == Group::Sharing => {
            (config.sharing.is_some(), "peer_to_peer (--peer-to-peer)")
        }
        Id::ApiListen | Id::ApiCert | Id::ApiClientCa | Id::InsecureApi => (listens, API),
        Id::ApiUnix | Id::ApiHosts => (config.api.is_on(), API),
        Id::ApiClientScopes => (config.api.client_ca.is_some(), "api_client_ca (--api-client-ca)"),
        Id::SipListen => (!config.sip_listen.is_empty(), "SIP, which no_sip switches off"),
        Id::TlsListen => (!config.tls_listen.is_empty(), "TLS, which is switched off"),
        _ => (true, ""),
    };
    (!in_use).then_some(unless)
}

/// Whether somebody gave a value, or switched something on.
fn was_given(layer: &Layer, id: Id) -> bool {
    let empty = match id.setting().kind {
        Kind::Switch => !layer.is_on(id),
        _ => layer.texts(id).is_empty(),
    };
    layer.origin(id) != Origin::Default && !empty
}
