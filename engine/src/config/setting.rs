//! What one setting is. The settings themselves stand in `table.rs`.

use sentrypeer_dht::limits::BOOTSTRAP_MAX;

use super::limits::{
    ADDRESSES_PER_SETTING_MAX, ALLOWED_PER_SETTING_MAX, PEER_KEYS_MAX, WEBHOOKS_MAX,
};

/// Every setting, in the order of [`SETTINGS`](super::SETTINGS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table says what each is")]
pub enum Id {
    SipListen,
    TlsListen,
    Cert,
    Key,
    NoTls,
    NoSip,
    ProxyProtocolFrom,
    Shards,
    Driver,
    Db,
    Responsive,
    Persona,
    Calls,
    RegisterTries,
    RingMs,
    AnswerRateSource,
    AnswerRateNetwork,
    AnswerRateTotal,
    TestAddresses,
    EventsKeepDays,
    MessagesKeepDays,
    HoursKeepDays,
    LogSizeMaxMb,
    Allow,
    AllowFile,
    AllowNumbers,
    BlockPrivate,
    JsonLog,
    JsonLogFile,
    JsonLogFormat,
    LogTime,
    Syslog,
    SyslogTarget,
    SyslogAddress,
    SyslogFraming,
    SyslogCaFile,
    SyslogMinVerification,
    Sqlite,
    SqliteWithPort,
    Nats,
    NatsSubject,
    NatsUser,
    NatsPasswordFile,
    NatsTokenFile,
    NatsCredentialsFile,
    NatsCaFile,
    Webhook,
    WebhookUrlFile,
    WebhookForm,
    WebhookEvents,
    WebhookGzip,
    WebhookSigningSecretFile,
    WebhookCaFile,
    WebhookDeadLetterFile,
    ClientId,
    ClientSecret,
    ClientSecretFile,
    WebhookTokenUrl,
    WebhookAudience,
    WebhookMinVerification,
    WebhookMethods,
    WebhookTransports,
    WebhookWithNumber,
    WebhookWithoutAllowed,
    PeerToPeer,
    Bootstrap,
    Share,
    PeerPort,
    PeerNetwork,
    PeerPoolSecret,
    PeerPoolSecretFile,
    PeersTrusted,
    PeersDenied,
    PeerQuorum,
    PeersLegacy,
    PeerEpoch,
    Api,
    ApiListen,
    ApiUnix,
    ApiCert,
    ApiKey,
    ApiClientCa,
    ApiClientScopes,
    ApiHosts,
    ApiAnyOrigin,
    ApiRate,
    ApiConnectionsPerAddress,
    ApiTokenRate,
    InsecureApi,
    DipListen,
    Strict,
    ConfigFile,
    CheckConfig,
    Verbose,
    Debug,
}

/// How many settings there are.
pub(super) const COUNT: usize = Id::Debug as usize + 1;

impl Id {
    /// What the items of a list are.
    pub(super) fn items(self) -> &'static str {
        match self {
            Self::AllowNumbers => "numbers",
            Self::ApiHosts => "names",
            Self::ApiClientScopes => "scopes",
            Self::Nats => "servers",
            Self::Webhook => "webhooks",
            Self::WebhookMethods => "methods",
            Self::WebhookTransports => "transports",
            Self::Bootstrap => "nodes",
            Self::PeersTrusted | Self::PeersDenied => "keys",
            _ => "addresses",
        }
    }

    /// How many of them there may be.
    pub(super) fn items_max(self) -> usize {
        match self {
            Self::Allow | Self::AllowNumbers => ALLOWED_PER_SETTING_MAX,
            Self::Webhook => WEBHOOKS_MAX,
            Self::Bootstrap => BOOTSTRAP_MAX,
            Self::PeersTrusted | Self::PeersDenied => PEER_KEYS_MAX,
            _ => ADDRESSES_PER_SETTING_MAX,
        }
    }
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On or off.
    Switch,
    /// One whole number.
    Number,
    /// One text: a path, an address, a word.
    Value,
    /// Several texts.
    List,
}

/// What holds when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The switch is off, or there is no value.
    Nothing,
    /// The switch is on.
    On,
    /// This text, as if it had been written in the file.
    Text(&'static str),
    /// Worked out at start; this says how.
    Computed(&'static str),
}

/// The heading under which help and reference show a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its own heading")]
pub enum Group {
    Listening,
    Collected,
    Acted,
    Outputs,
    Webhooks,
    Sharing,
    Http,
    General,
}

impl Group {
    /// Every group, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Listening,
        Self::Collected,
        Self::Acted,
        Self::Outputs,
        Self::Webhooks,
        Self::Sharing,
        Self::Http,
        Self::General,
    ];

    /// The heading.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Listening => "Listening",
            Self::Collected => "What is collected",
            Self::Acted => "What is never acted on",
            Self::Outputs => "Outputs",
            Self::Webhooks => "Webhook",
            Self::Sharing => "Sharing",
            Self::Http => "HTTP",
            Self::General => "General",
        }
    }
}

/// One setting: its names on every layer, what it takes, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Which one it is.
    pub id: Id,
    /// Its key in the TOML file, with dots between tables. `None`: it cannot stand in the file.
    pub key: Option<&'static str>,
    /// Its long flag, without the dashes.
    pub long: &'static str,
    /// Its short flag.
    pub short: Option<char>,
    /// Its environment variables. The first is the one to use; the others are read too.
    pub environment: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// Where it is shown.
    pub group: Group,
    /// What stands for its value in the help; empty for a switch.
    pub value_name: &'static str,
    /// One or two sentences, without the last full stop.
    pub help: &'static str,
    /// What holds when nobody sets it.
    pub fallback: Fallback,
    /// Its value is never shown.
    pub secret: bool,
}

impl Setting {
    /// A setting with its group and long flag, to be completed by the functions below.
    pub(super) const fn new(id: Id, group: Group, long: &'static str) -> Self {
        Self {
            id,
            key: None,
            long,
            short: None,
            environment: &[],
            kind: Kind::Switch,
            group,
            value_name: "",
            help: "",
            fallback: Fallback::Nothing,
            secret: false,
        }
    }

    pub(super) const fn key(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    pub(super) const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    pub(super) const fn env(mut self, names: &'static [&'static str]) -> Self {
        self.environment = names;
        self
    }

    pub(super) const fn takes(mut self, kind: Kind, value_name: &'static str) -> Self {
        self.kind = kind;
        self.value_name = value_name;
        self
    }

    pub(super) const fn or(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(super) const fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    /// The name by which messages call it: its key, or its flag where it has none.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.key.unwrap_or(self.long)
    }

    /// The default in words, as help and reference show it.
    #[must_use]
    pub fn default_text(&self) -> &'static str {
        match self.fallback {
            Fallback::Text(text) | Fallback::Computed(text) => text,
            Fallback::On => "on",
            Fallback::Nothing if self.kind == Kind::Switch => "off",
            Fallback::Nothing => "none",
        }
    }
}
