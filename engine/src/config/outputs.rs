//! Who is told of events, webhooks aside.

use std::path::PathBuf;

use sentrypeer_export::json_log;
use sentrypeer_export::line::{Clock, Format};
use sentrypeer_export::syslog::{self, Framing};
use sentrypeer_storage::event::Verification;

use super::check::{Checker, Words};
use super::error::{Fault, Shown};
use super::setting::Id;

/// Which syslog, and who is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syslog {
    /// Where the lines go.
    pub to: syslog::Settings,
    /// Only sources that are proven so well.
    pub min_verification: Verification,
}

/// An SQLite file that is kept up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sqlite {
    /// The file.
    pub file: PathBuf,
    /// Whether sources are written with their port.
    pub with_port: bool,
}

/// The ways to syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Local,
    Journald,
    Udp,
    Tcp,
    Tls,
}

pub(super) const FORMATS: Words<Format> =
    &[("sentrypeer", Format::SentryPeer), ("tpot", Format::Tpot), ("ecs", Format::Ecs)];
pub(super) const CLOCKS: Words<Clock> = &[("utc", Clock::Utc), ("local", Clock::Local)];
pub(super) const TARGETS: Words<Target> = &[
    ("local", Target::Local),
    ("journald", Target::Journald),
    ("udp", Target::Udp),
    ("tcp", Target::Tcp),
    ("tls", Target::Tls),
];
pub(super) const FRAMINGS: Words<Framing> =
    &[("octet-counting", Framing::OctetCounting), ("lines", Framing::Lines)];
pub(super) const LEVELS: Words<Verification> = &[
    ("unverified", Verification::Unverified),
    ("relayed", Verification::Relayed),
    ("return-path", Verification::ReturnPath),
    ("connected", Verification::Connected),
    ("tls", Verification::Tls),
];

/// The socket of the local daemon (syslog(3)).
const LOCAL: &str = "/dev/log";
/// The socket of journald's native protocol (systemd-journald.service(8)).
const JOURNALD: &str = "/run/systemd/journal/socket";

impl Checker<'_> {
    pub(super) fn json_log(&mut self) -> Option<json_log::Settings> {
        let format = self.word(Id::JsonLogFormat, FORMATS).unwrap_or_default();
        let clock = self.word(Id::LogTime, CLOCKS).unwrap_or_default();
        Some(json_log::Settings { path: self.path(Id::JsonLogFile)?, format, clock })
    }

    pub(super) fn syslog(&mut self) -> Option<Syslog> {
        let target = self.word(Id::SyslogTarget, TARGETS).unwrap_or(Target::Local);
        let framing = self.word(Id::SyslogFraming, FRAMINGS).unwrap_or_default();
        let min_verification = self.word(Id::SyslogMinVerification, LEVELS).unwrap_or_default();
        let on = self.layer.is_on(Id::Syslog);
        let to = match target {
            Target::Local => syslog::Settings::Local(self.socket(LOCAL)),
            Target::Journald => syslog::Settings::Journald(self.socket(JOURNALD)),
            Target::Udp => syslog::Settings::Udp(self.daemon(on)?),
            Target::Tcp => syslog::Settings::Tcp { address: self.daemon(on)?, framing },
            Target::Tls => syslog::Settings::Tls {
                address: self.daemon(on)?,
                ca_file: self.path(Id::SyslogCaFile),
            },
        };
        on.then_some(Syslog { to, min_verification })
    }

    fn socket(&self, usual: &str) -> PathBuf {
        self.path(Id::SyslogAddress).unwrap_or_else(|| PathBuf::from(usual))
    }

    /// The address of a daemon elsewhere; that there is none matters only if it is in use.
    fn daemon(&mut self, is_used: bool) -> Option<String> {
        let Some(text) = self.text(Id::SyslogAddress) else {
            if is_used {
                self.at(Id::SyslogTarget, Fault::NoSyslogAddress);
            }
            return None;
        };
        let text = text.trim().to_owned();
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            let fault = Fault::NotAHost(Shown::text(&text), "syslog.example.org:514");
            self.at(Id::SyslogAddress, fault);
            return None;
        }
        Some(text)
    }

    pub(super) fn sqlite(&self) -> Option<Sqlite> {
        let file = self.path(Id::Sqlite)?;
        Some(Sqlite { file, with_port: self.layer.is_on(Id::SqliteWithPort) })
    }
}
