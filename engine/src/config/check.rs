//! From texts to typed values. Every value is looked at, also one that is not in use, and every
//! problem is kept.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::thread;

use log::LevelFilter;
use sentrypeer_storage::event::Verification;

use super::error::{Fault, Problem, Shown, Warning};
use super::layer::{Item, Layer};
use super::limits::{ANSWER_RATE_MAX, REGISTER_TRIES_MAX, RING_MS_MAX, SHARDS_MAX};
use super::origin::Origin;
use super::setting::{Fallback, Id};
use super::table::SETTINGS;
use super::{
    Allowed, Certificate, Config, Driver, Listen, Prefix, address, allowed, kept, relations,
};
use crate::honeypot::persona::{self, Persona};
use crate::honeypot::{Calls, Conduct};
use crate::net::limiter::Limits;

/// Makes the configuration. If there are problems afterwards, it is not to be used.
pub(super) fn check(
    layer: &Layer,
    config_file: Option<PathBuf>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) -> Config {
    let mut checker = Checker { layer, problems };
    let config = checker.config(config_file);
    relations::check(&config, problems);
    warnings.extend(relations::warnings(layer, &config));
    config
}

/// Whether a call can be rejected with this code. Those of a challenge need a nonce with them.
fn is_rejection(code: &u16) -> bool {
    (400..700).contains(code) && ![401, 407].contains(code)
}

pub(super) struct Checker<'a> {
    pub(super) layer: &'a Layer,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn config(&mut self, config_file: Option<PathBuf>) -> Config {
        let layer = self.layer;
        let on = |id| layer.is_on(id);
        let (no_sip, no_tls, api) = (on(Id::NoSip), on(Id::NoTls), self.api());
        let used = |in_use: bool, listens: Vec<Listen>| if in_use { listens } else { Vec::new() };
        Config {
            db: self.db(),
            config_file,
            sip_listen: used(!no_sip, self.listens(Id::SipListen)),
            tls_listen: used(!no_sip && !no_tls, self.listens(Id::TlsListen)),
            certificate: self.pair((Id::Cert, "cert (--cert)"), (Id::Key, "key (--key)")),
            proxy_protocol_from: self.prefixes(Id::ProxyProtocolFrom),
            shards: self.shards(),
            driver: self.driver(),
            responsive: on(Id::Responsive),
            conduct: self.conduct(),
            answer_rates: self.answer_rates(),
            test_addresses: on(Id::TestAddresses),
            kept: kept::check(&mut |id, min, max| self.number(id, min, max)),
            allowed: self.allowed(),
            block_private: on(Id::BlockPrivate),
            json_log: self.json_log().filter(|_| on(Id::JsonLog)),
            syslog: self.syslog(),
            sqlite: self.sqlite(),
            nats: self.nats(),
            webhooks: self.webhooks(),
            sharing: self.sharing(),
            dip_listen: self.dip_listen(!api.listen.is_empty()),
            api,
            legacy_min_verification: match on(Id::Strict) {
                true => Verification::ReturnPath,
                false => Verification::Unverified,
            },
            log_level: match (on(Id::Debug), on(Id::Verbose)) {
                (true, _) => LevelFilter::Trace,
                (false, true) => LevelFilter::Debug,
                (false, false) => LevelFilter::Info,
            },
            origins: self.origins(),
        }
    }

    fn problem(&mut self, origin: Origin, id: Id, fault: impl Into<Fault>) {
        self.problems.push(Problem { origin, id: Some(id), fault: fault.into() });
    }

    /// A problem with the whole of a setting.
    pub(super) fn at(&mut self, id: Id, fault: impl Into<Fault>) {
        self.problem(self.layer.origin(id), id, fault);
    }

    pub(super) fn path(&self, id: Id) -> Option<PathBuf> {
        self.layer.text(id).map(PathBuf::from)
    }

    /// The text of a value that is no path.
    pub(super) fn text(&mut self, id: Id) -> Option<String> {
        let text = self.layer.text(id)?;
        let valid = text.to_str().map(str::to_owned);
        if valid.is_none() {
            self.at(id, Fault::NotUtf8);
        }
        valid
    }

    fn origins(&self) -> Vec<Origin> {
        let of = |id| match id {
            Id::Api if self.api_is_implied() => self.layer.origin(Id::ApiListen),
            _ => self.layer.origin(id),
        };
        SETTINGS.iter().map(|setting| of(setting.id)).collect()
    }

    fn db(&mut self) -> PathBuf {
        let path = self.path(Id::Db).unwrap_or_default();
        if path.is_dir() {
            let inside = path.join(fallback(Id::Db));
            self.at(Id::Db, Fault::IsFolder(Shown::path(&path), Shown::path(&inside)));
        }
        path
    }

    pub(super) fn listens(&mut self, id: Id) -> Vec<Listen> {
        let layer = self.layer;
        let items = layer.texts(id);
        if items.len() > id.items_max() {
            self.at(id, Fault::TooMany { count: items.len(), id });
            return Vec::new();
        }
        items.iter().filter_map(|item| self.listen(id, item)).collect()
    }

    fn listen(&mut self, id: Id, item: &Item) -> Option<Listen> {
        let parsed = match item.text.to_str() {
            Some(text) => address::parse(text, first_default(id)).map_err(Fault::from),
            None => Err(Fault::NotUtf8),
        };
        match parsed {
            Ok(addr) => Some(Listen { addr, origin: item.origin.clone() }),
            Err(fault) => {
                self.problem(item.origin.clone(), id, fault);
                None
            }
        }
    }

    /// By default the dip lane comes with the API; a named address opens it alone.
    fn dip_listen(&mut self, api: bool) -> Option<Listen> {
        let item = self.layer.texts(Id::DipListen).first()?;
        if item.text.eq_ignore_ascii_case("none") {
            return None;
        }
        let listen = self.listen(Id::DipListen, item)?;
        (api || !listen.defaulted()).then_some(listen)
    }

    /// A certificate and its key, which need each other.
    pub(super) fn pair(
        &mut self,
        (cert_id, cert_name): (Id, &'static str),
        (key_id, key_name): (Id, &'static str),
    ) -> Option<Certificate> {
        match (self.path(cert_id), self.path(key_id)) {
            (Some(cert), Some(key)) => return Some(Certificate { cert, key }),
            (Some(_), None) => self.at(cert_id, Fault::Alone(key_name)),
            (None, Some(_)) => self.at(key_id, Fault::Alone(cert_name)),
            (None, None) => {}
        }
        None
    }

    fn shards(&mut self) -> NonZeroUsize {
        if self.layer.text(Id::Shards).is_none() {
            return processors();
        }
        let number = self.number(Id::Shards, 1, SHARDS_MAX);
        number.and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN)
    }

    /// A whole number within bounds; what is none is a problem.
    pub(super) fn number(&mut self, id: Id, min: usize, max: usize) -> Option<usize> {
        let text = self.text(id)?;
        let digits = text.trim().trim_start_matches(['+', '-']);
        let number = text.trim().parse().ok().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            let shown = Shown::text(&text);
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let fault = if is_number {
                Fault::OutOfRange { text: shown, min, max }
            } else {
                Fault::NotANumber(shown)
            };
            self.at(id, fault);
        }
        number
    }

    fn answer_rates(&mut self) -> Limits {
        let mut rate = |id| {
            let rate = self.number(id, 0, ANSWER_RATE_MAX)?;
            NonZeroU32::new(u32::try_from(rate).ok()?)
        };
        Limits {
            source: rate(Id::AnswerRateSource),
            network: rate(Id::AnswerRateNetwork),
            total: rate(Id::AnswerRateTotal),
        }
    }

    pub(super) fn prefixes(&mut self, id: Id) -> Vec<Prefix> {
        self.each(id, |text| text.parse().map_err(|_| Fault::NotAPrefix(Shown::text(text))))
    }

    /// What is read from each text of a list; what cannot be is a problem.
    pub(super) fn each<T>(&mut self, id: Id, read: impl Fn(&str) -> Result<T, Fault>) -> Vec<T> {
        let layer = self.layer;
        let items = layer.texts(id);
        if items.len() > id.items_max() {
            self.at(id, Fault::TooMany { count: items.len(), id });
            return Vec::new();
        }
        let mut values = Vec::new();
        for item in items {
            match item.text.to_str().ok_or(Fault::NotUtf8).and_then(&read) {
                Ok(value) => values.push(value),
                Err(fault) => self.problem(item.origin.clone(), id, fault),
            }
        }
        values
    }

    fn allowed(&mut self) -> Allowed {
        let addresses = self.prefixes(Id::Allow);
        let numbers = self.each(Id::AllowNumbers, |text| {
            text.parse().map_err(|_| Fault::NotANumberPattern(Shown::text(text)))
        });
        let file = self.path(Id::AllowFile);
        let (from_file, problems) = file.as_deref().map(allowed::read).unwrap_or_default();
        for (place, fault) in problems {
            let origin = place.unwrap_or_else(|| self.layer.origin(Id::AllowFile));
            self.problem(origin, Id::AllowFile, fault);
        }
        Allowed { addresses, file, from_file, numbers }
    }

    fn conduct(&mut self) -> Conduct {
        let usual = Conduct::default();
        Conduct {
            persona: self.persona().unwrap_or(usual.persona),
            calls: self.calls().unwrap_or(usual.calls),
            register_tries: self.register_tries().unwrap_or(usual.register_tries),
            rings_ms: self.rings_ms().unwrap_or(usual.rings_ms),
        }
    }

    /// One word of a closed family.
    pub(super) fn word<T: Copy>(&mut self, id: Id, words: Words<T>) -> Option<T> {
        let text = self.text(id)?;
        one_of(text.trim(), words).map_err(|fault| self.at(id, fault)).ok()
    }

    fn persona(&mut self) -> Option<&'static Persona> {
        let text = self.text(Id::Persona)?;
        let known = persona::named(text.trim());
        if known.is_none() {
            self.at(Id::Persona, Fault::UnknownPersona(Shown::text(&text)));
        }
        known
    }

    fn calls(&mut self) -> Option<Calls> {
        let text = self.text(Id::Calls)?;
        let known = match text.trim().to_ascii_lowercase().as_str() {
            "answer" => Some(Calls::Answer),
            "challenge" => Some(Calls::Challenge),
            code => code.parse().ok().filter(is_rejection).map(Calls::Reject),
        };
        if known.is_none() {
            self.at(Id::Calls, Fault::NotCalls(Shown::text(&text)));
        }
        known
    }

    fn register_tries(&mut self) -> Option<u8> {
        let tries = self.number(Id::RegisterTries, 0, REGISTER_TRIES_MAX)?;
        u8::try_from(tries).ok()
    }

    fn rings_ms(&mut self) -> Option<u32> {
        let ms = self.number(Id::RingMs, 0, RING_MS_MAX)?;
        u32::try_from(ms).ok()
    }

    fn driver(&mut self) -> Driver {
        let Some(text) = self.text(Id::Driver) else { return Driver::Auto };
        let known = Driver::ALL.into_iter().find(|d| d.name().eq_ignore_ascii_case(text.trim()));
        if known.is_none() {
            self.at(Id::Driver, Fault::UnknownDriver(Shown::text(&text)));
        }
        known.unwrap_or(Driver::Auto)
    }
}

/// A closed family with the names of its members.
pub(super) type Words<T> = &'static [(&'static str, T)];

/// The member of a family that is called so, whatever the case.
pub(super) fn one_of<T: Copy>(text: &str, words: Words<T>) -> Result<T, Fault> {
    let known = words.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, member)| *member).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        Fault::NotOneOf { text: Shown::text(text), words: words.join(", ") }
    })
}

/// The name of a member.
pub(super) fn name_of<T: PartialEq>(member: &T, words: Words<T>) -> &'static str {
    words.iter().find(|(_, known)| known == member).map_or("", |(name, _)| name)
}

/// The processors that this process may run on, by affinity and cgroup.
fn processors() -> NonZeroUsize {
    let found = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    NonZeroUsize::new(found.get().min(SHARDS_MAX)).unwrap_or(NonZeroUsize::MIN)
}

/// The table's default text of a setting.
pub(super) fn fallback(id: Id) -> &'static str {
    match id.setting().fallback {
        Fallback::Text(text) => text,
        Fallback::Nothing | Fallback::On | Fallback::Computed(_) => "",
    }
}

/// The first default address of a setting: what a remedy takes missing parts from.
pub(super) fn first_default(id: Id) -> SocketAddr {
    let first = fallback(id).split(',').next().unwrap_or_default();
    first.parse().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
}
