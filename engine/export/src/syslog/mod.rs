//! Syslog: the local daemon, journald, or a daemon elsewhere.
//!
//! Things act on these lines (fail2ban does), so addresses on the allow-list are not in them.
//!
//! Syslog has no acknowledgement. A datagram counts as sent when the kernel has taken it. Over TCP and TLS
//! a batch is confirmed by closing: we end our side, and the receiver, when it has read everything, ends its own;
//! what was not confirmed comes again.

mod link;
mod text;

use std::path::PathBuf;

use jiff::tz::TimeZone;
use sentrypeer_storage::log::StoredEvent;

use self::link::{Link, Stream};
use self::text::Sender;
pub use self::text::is_order;
use crate::batch::{Batch, Delivery, Failure};
use crate::limits::HOST_BYTES_MAX;

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// The local daemon's socket, usually `/dev/log`.
    Local(PathBuf),
    /// journald's own socket, usually `/run/systemd/journal/socket`.
    Journald(PathBuf),
    /// RFC 5424 in datagrams (RFC 5426), to `host:port`.
    Udp(String),
    /// RFC 5424 over TCP (RFC 6587).
    Tcp {
        /// `host:port`.
        address: String,
        /// How messages are told apart.
        framing: Framing,
    },
    /// RFC 5424 over TLS (RFC 5425).
    Tls {
        /// `host:port`; the certificate must be the host's.
        address: String,
        /// Whom to trust: a file of certificates (PEM). Without one, whom the system trusts.
        ca_file: Option<PathBuf>,
    },
}

/// How messages are told apart in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Their length stands before each (RFC 6587, section 3.4.1).
    #[default]
    OctetCounting,
    /// Each ends with a line feed (RFC 6587, section 3.4.2).
    Lines,
}

/// Syslog at work.
#[derive(Debug)]
pub(crate) struct Syslog {
    settings: Settings,
    sender: Sender,
    zone: TimeZone,
    link: Option<Link>,
    stream: Option<Stream>,
}

impl Syslog {
    /// # Errors
    ///
    /// The certificates cannot be read.
    pub(crate) fn new(settings: Settings) -> Result<Self, Failure> {
        let stream = Stream::new(&settings)?;
        let sender = Sender { host: host(), pid: std::process::id() };
        Ok(Self { settings, sender, zone: TimeZone::system(), link: None, stream })
    }

    pub(crate) fn target(&self) -> String {
        match &self.settings {
            Settings::Local(path) => path.display().to_string(),
            Settings::Journald(path) => format!("journald {}", path.display()),
            Settings::Udp(address) => format!("udp {address}"),
            Settings::Tcp { address, .. } => format!("tcp {address}"),
            Settings::Tls { address, .. } => format!("tls {address}"),
        }
    }

    pub(crate) fn close(&mut self) {
        self.link = None;
    }

    pub(crate) fn send(&mut self, batch: &Batch<'_>) -> Delivery {
        let sent = match self.stream.take() {
            Some(stream) => {
                let sent = self.stream_batch(&stream, batch);
                self.stream = Some(stream);
                sent
            }
            None => self.send_datagrams(batch),
        };
        match sent {
            (done, None) => Delivery { done, ..Delivery::default() },
            (done, Some(error)) => {
                self.close();
                Delivery::up_to(done, Failure::new(format!("{}: {error}", self.target())))
            }
        }
    }

    fn send_datagrams(&mut self, batch: &Batch<'_>) -> (usize, Option<String>) {
        let link = match self.link.take().map_or_else(|| Link::open(&self.settings), Ok) {
            Ok(link) => link,
            Err(error) => return (0, Some(error.to_string())),
        };
        for (done, event) in batch.events.iter().enumerate() {
            if let Err(error) = link.send(&self.message(event)) {
                return (done, Some(error.to_string()));
            }
        }
        self.link = Some(link);
        (batch.events.len(), None)
    }

    /// All of the batch or nothing: before the receiver has confirmed it, nobody knows what it has.
    fn stream_batch(&self, stream: &Stream, batch: &Batch<'_>) -> (usize, Option<String>) {
        let mut bytes = Vec::new();
        for event in batch.events {
            stream.frame(&self.message(event), &mut bytes);
        }
        match stream.deliver(&bytes) {
            Ok(()) => (batch.events.len(), None),
            Err(error) => (0, Some(error.to_string())),
        }
    }

    fn message(&self, event: &StoredEvent) -> Vec<u8> {
        match self.settings {
            Settings::Local(_) => text::local(event, &self.sender, &self.zone),
            Settings::Journald(_) => text::journald(event, &self.sender),
            _ => text::rfc5424(event, &self.sender),
        }
    }
}

/// The name of this machine as RFC 5424, section 6.2.4, wants it; `-` if it has none.
fn host() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let name: String = name.into_iter().flat_map(|name| name.chars().collect::<Vec<_>>()).collect();
    let is_fit = |name: &String| {
        (1..=HOST_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
    };
    Some(name).filter(is_fit).unwrap_or_else(|| "-".to_owned())
}
