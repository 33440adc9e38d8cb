//! What the operator is told when the configuration cannot be used: where, what, and what to do.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use super::address::AddressFault;
use super::limits::{PROBLEMS_SHOWN_MAX, TEXT_SHOWN_CHARS_MAX};
use super::origin::Origin;
use super::setting::Id;
use super::similar::nearest;
use super::table::SETTINGS;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Help or version was asked for, or the flags make no sense. Print it with its own `print`,
    /// which knows the stream.
    #[error("{0}")]
    Usage(clap::Error),
    /// Values are wrong: every problem that was found.
    #[error("{0}")]
    Invalid(Problems),
}

impl ConfigError {
    /// The exit status of the process: 0 for help and version, 2 for wrong usage, else 1.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            Self::Invalid(_) => 1,
        }
    }
}

/// Everything that is wrong, one line each when shown.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().take(PROBLEMS_SHOWN_MAX).enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        match self.0.len().saturating_sub(PROBLEMS_SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// One thing that is wrong, and its place.
#[derive(Debug)]
pub struct Problem {
    /// Where the value stands.
    pub origin: Origin,
    /// Whose value it is, if it is a known setting's.
    pub id: Option<Id>,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Problem {
    /// The order in which problems are shown: by layer, and in the file by line and column.
    pub(super) fn order(&self) -> (u8, usize, usize) {
        let (line, column) = match &self.origin {
            Origin::File(place) => (place.line, place.column),
            _ => (0, 0),
        };
        (self.origin.rank(), line, column)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A variable or a flag already says which setting it is; a place in a file does not.
        match (&self.origin, self.id) {
            (Origin::Default, Some(id)) => write!(f, "{}: ", id.setting().name())?,
            (Origin::Default, None) => {}
            (Origin::File(_), Some(id)) => write!(f, "{}: {}: ", self.origin, id.setting().name())?,
            (origin, _) => write!(f, "{origin}: ")?,
        }
        self.fault.fmt(f)
    }
}

/// What is wrong with a value. No variant carries the text of a secret.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what it is")]
pub enum Fault {
    #[error("{0} is neither on nor off; write true, yes, on or 1, or else false, no, off or 0")]
    NotASwitch(Shown),
    #[error("expected {expected}, not {found}; write {example}")]
    WrongType { found: &'static str, expected: &'static str, example: String },
    #[error("unknown key {}; {}", Shown::text(.0), did_you_mean(.0))]
    UnknownKey(String),
    #[error("{key} is a table; write {example}")]
    TableExpected { key: Shown, example: String },
    #[error("{0}; see https://toml.io for how a TOML file is written")]
    Syntax(String),
    #[error("the text is not UTF-8")]
    NotUtf8,
    #[error("{0} is not a number; write a whole number, such as 2")]
    NotANumber(Shown),
    #[error("{text} is not between {min} and {max}")]
    OutOfRange { text: Shown, min: usize, max: usize },
    #[error(transparent)]
    Address(#[from] AddressFault),
    #[error("{0} is neither an address nor a prefix; write one like \"10.0.0.0/8\"")]
    NotAPrefix(Shown),
    #[error(
        "{0} is no number; write one like \"+442071234567\", or \"+44800*\" for all that begin so"
    )]
    NotANumberPattern(Shown),
    #[error("{count} {} are named, and {} is the most", .id.items(), .id.items_max())]
    TooMany { count: usize, id: Id },
    #[error("\"{addr}\" is named by {other} too; give each a port of its own, or leave one out")]
    SameAddress { addr: SocketAddr, other: String },
    #[error(
        "\"{addr}\" lets other machines use the API, and without TLS anybody on the way could read \
         and change what is said; set api_cert and api_key (--api-cert, --api-key), or write \
         \"{loopback}\", or add --insecure-api (insecure_api = true)"
    )]
    ApiNotLoopback { addr: SocketAddr, loopback: SocketAddr },
    #[error(
        "\"{addr}\" is not a loopback address, and the dip lane has no protection against other \
         machines; write \"{loopback}\" or \"none\""
    )]
    DipNotLoopback { addr: SocketAddr, loopback: SocketAddr },
    #[error("{0} is not a driver; write auto, uring or poll")]
    UnknownDriver(Shown),
    #[error("{0} is not a scope; write read, feed, write or metrics")]
    UnknownScope(Shown),
    #[error(
        "{0} is not the name of a host; write one like \"sentrypeer.example.org\", without a port"
    )]
    NotAName(Shown),
    #[error("{text} is not known here; write one of {words}")]
    NotOneOf { text: Shown, words: String },
    #[error("{0} is not a name for a webhook; write 1 to 32 letters a-z, digits, \"-\" and \"_\"")]
    NotAnOutput(Shown),
    #[error("{0} is not a method; write one like INVITE")]
    NotAMethod(Shown),
    #[error("has no URL; set webhook.url or webhook.url_file in it")]
    NoUrl,
    #[error("a daemon elsewhere needs an address; set syslog.address (--syslog-address)")]
    NoSyslogAddress,
    #[error("{0} is not a persona; write freepbx, asterisk, freeswitch or opensips")]
    UnknownPersona(Shown),
    #[error(
        "{0} is not what is done with calls; write answer, challenge, or a code from 400 to 699 \
         other than 401 and 407"
    )]
    NotCalls(Shown),
    #[error("this is not an http or https URL; write one like \"https://example.org/hook\"")]
    NotAUrl,
    #[error("this is no server of NATS: {0}; write one like \"tls://fleet.example.org:4222\"")]
    NotANatsServer(String),
    #[error("{0} is no subject; write words with dots between them, like \"sentrypeer.events\"")]
    NotASubject(Shown),
    #[error("{0} is not a host with an optional port; write one like \"{1}\"")]
    NotAHost(Shown, &'static str),
    #[error(
        "{0} is not the key of a node; write the 64 digits that \"sentrypeer identity show\" prints there"
    )]
    NotANodeKey(Shown),
    #[error("has no effect alone; set {0} too, or neither")]
    Alone(&'static str),
    #[error("both this and {0} give it; leave one out, or set it to nothing")]
    TwoSecrets(String),
    #[error("{0} is a folder; name a file in it, such as {1}")]
    IsFolder(Shown, Shown),
    #[error("cannot read {path}: {error}; {remedy}")]
    Unreadable { path: Shown, error: std::io::Error, remedy: &'static str },
    #[error("{path} has more than {max} bytes; is it the right file?")]
    TooLarge { path: Shown, max: u64 },
    #[error("{0} is empty; write the secret into it")]
    EmptySecret(Shown),
}

/// The hint for an unknown key. It is looked for only when it is shown, because a file of the wrong
/// kind may hold very many.
fn did_you_mean(key: &str) -> String {
    match nearest(key, SETTINGS.iter().filter_map(|setting| setting.key)) {
        Some(known) => format!("did you mean \"{known}\"?"),
        None => String::from("\"sentrypeer --help\" names every key"),
    }
}

/// An operator's text as messages repeat it: quoted, escaped and not too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    pub(super) fn text(text: &str) -> Self {
        let mut clipped: String = text.chars().take(TEXT_SHOWN_CHARS_MAX).collect();
        if clipped.len() < text.len() {
            clipped.push('…');
        }
        Self(format!("{clipped:?}"))
    }

    /// Never cut: a shortened path names another file.
    pub(super) fn path(path: &Path) -> Self {
        Self(format!("{:?}", path.to_string_lossy()))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is odd, but does not prevent a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A variable whose name starts with `SENTRYPEER_` and that nothing reads.
    UnknownVariable {
        /// Its name. Its value is not kept: it may be a secret.
        name: String,
        /// The variable that may have been meant.
        nearest: Option<&'static str>,
    },
    /// Two variables of one setting have different values.
    VariableIgnored {
        /// The one that is not read.
        ignored: &'static str,
        /// The one that is.
        used: &'static str,
    },
    /// A value that nothing uses.
    NoEffect {
        /// Where it stands.
        origin: Origin,
        /// Whose it is.
        id: Id,
        /// What would have to hold.
        unless: &'static str,
    },
    /// The API is open to other machines, as asked for.
    InsecureApi(SocketAddr),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVariable { name, nearest: None } => {
                write!(f, "{name}: unknown variable, ignored")
            }
            Self::UnknownVariable { name, nearest: Some(nearest) } => {
                write!(f, "{name}: unknown variable, ignored; did you mean {nearest}?")
            }
            Self::VariableIgnored { ignored, used } => {
                write!(f, "{ignored}: ignored, because {used} says something else")
            }
            Self::NoEffect { origin, id, unless } => {
                let name = match origin {
                    Origin::File(_) => format!(" {}:", id.setting().name()),
                    _ => String::new(),
                };
                write!(f, "{origin}:{name} has no effect without {unless}")
            }
            Self::InsecureApi(addr) => {
                write!(f, "the API on {addr} answers everybody who reaches it (insecure_api)")
            }
        }
    }
}
