//! The command line and the configuration: defaults, then the file, then the environment, then
//! flags, checked into one [`Config`].
//!
//! Everything is derived from one table, [`SETTINGS`]. Nothing here prints, exits, or reads the
//! process's own arguments or environment; the files that are named are read, and no others.
//! Every value keeps its [`Origin`], so that every message can say where it stands.
//!
//! Reading order: `setting.rs` and `table.rs` (what there is), `layer.rs` with `file.rs`,
//! `environment.rs` and `flags.rs` (what was written), `check.rs` and `relations.rs` (what holds).

mod address;
mod allowed;
mod api;
mod check;
mod command;
mod describe;
mod environment;
mod error;
mod file;
mod flags;
mod kept;
mod layer;
mod limits;
mod manual;
mod nats;
mod origin;
mod outputs;
mod reference;
mod relations;
mod reload;
mod secret;
mod setting;
mod sharing;
mod shown;
mod similar;
mod subcommands;
mod table;
#[cfg(test)]
mod tests;
mod webhook;
mod when;

use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use log::LevelFilter;
use sentrypeer_export::json_log;
use sentrypeer_storage::event::Verification;

pub use address::{AddressFault, Listen};
pub use allowed::{Allowed, Listed};
pub use api::Api;
pub use command::{
    Allow, Command, Db, ExportEvents, ExportFeed, ExportIpset, FEEDS, IdentityWanted, Import,
    IpsetDocument, IpsetFamily, OutputsWanted, PeersWanted, Token,
};
pub use error::{ConfigError, Fault, Problem, Problems, Shown, Warning};
pub use flags::command_line;
pub use kept::Kept;
pub use manual::manual;
pub use nats::{Nats, NatsLogin};
pub use origin::{Origin, Place};
pub use outputs::{Sqlite, Syslog};
pub use reference::reference;
pub use reload::restart_keys;
pub use secret::{Secret, WebhookUrl};
pub use sentrypeer_storage::prefix::Prefix;
pub use setting::{Fallback, Group, Id, Kind, Setting};
pub use sharing::{Pool, Sharing};
pub use table::SETTINGS;
pub use webhook::{Credentials, Webhook};
pub use when::{NoTime, When};

use layer::Layer;

use crate::honeypot::Conduct;
use crate::net::limiter::Limits;

/// Where the file is looked for when none is named, below the user's home.
const DEFAULT_FILE: &str = ".config/sentrypeer/default-config.toml";

/// The configuration as it holds, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The database. It is no folder; whether it can be opened is not known yet.
    pub db: PathBuf,
    /// The configuration file that was read, if any.
    pub config_file: Option<PathBuf>,
    /// Where SIP over UDP and TCP is taken. Empty: no SIP at all.
    pub sip_listen: Vec<Listen>,
    /// Where SIP over TLS is taken. Empty: not at all.
    pub tls_listen: Vec<Listen>,
    /// The operator's certificate. `None`: a self-signed one is to be made beside the database.
    pub certificate: Option<Certificate>,
    /// Who connects on behalf of others, and says so in a PROXY protocol header.
    pub proxy_protocol_from: Vec<Prefix>,
    /// How many threads take SIP, 1 to 256.
    pub shards: NonZeroUsize,
    /// How sockets are waited for.
    pub driver: Driver,
    /// Whether probes are answered.
    pub responsive: bool,
    /// How often those are answered over UDP who have proven nothing, by the whole node.
    pub answer_rates: Limits,
    /// Whether special-purpose addresses and the node's own count like any other.
    pub test_addresses: bool,
    /// How long things are kept, and how much room they may take.
    pub kept: Kept,
    /// What the operator wants nothing to act on.
    pub allowed: Allowed,
    /// Whether feeds block private addresses too.
    pub block_private: bool,
    /// How it behaves if it answers.
    pub conduct: Conduct,
    /// The JSON log. `None`: off.
    pub json_log: Option<json_log::Settings>,
    /// Which syslog gets events. `None`: none.
    pub syslog: Option<Syslog>,
    /// The SQLite file that is kept up to date, if any.
    pub sqlite: Option<Sqlite>,
    /// The stream of a fleet that gets events, if any.
    pub nats: Option<Nats>,
    /// Where events are posted.
    pub webhooks: Vec<Webhook>,
    /// How it shares with other nodes. `None`: not at all.
    pub sharing: Option<Sharing>,
    /// How the HTTP API is served.
    pub api: Api,
    /// Where the dip lane is served, always on loopback. `None`: it is off.
    pub dip_listen: Option<Listen>,
    /// The weakest proof of an address with which the lists of SentryPeer 4.x name it.
    pub legacy_min_verification: Verification,
    /// What is said in the log: `Info`, `Debug` (`-v`) or `Trace` (`-d`).
    pub log_level: LevelFilter,
    origins: Vec<Origin>,
}

impl Config {
    /// Where the value of a setting comes from.
    #[must_use]
    pub fn origin(&self, id: Id) -> &Origin {
        &self.origins[id as usize]
    }
}

/// The operator's own certificate for TLS, both files as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The chain, the node's own certificate first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How sockets are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring if the kernel allows it, else readiness polling.
    Auto,
    /// io_uring, or no start.
    Uring,
    /// Readiness polling.
    Poll,
}

impl Driver {
    /// Every driver.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Uring, Self::Poll];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Poll => "poll",
        }
    }
}

/// What [`load`] gives.
#[derive(Debug)]
pub struct Loaded {
    /// What to do.
    pub command: Command,
    /// With which configuration.
    pub config: Config,
    /// What the operator should hear of, although it prevents nothing.
    pub warnings: Vec<Warning>,
}

/// Puts the configuration together. To load it again while running, call this again with the same
/// arguments and environment.
///
/// `args` begins with the program's own name; `home` is the user's home folder, where the file is
/// looked for when none is named.
///
/// # Errors
/// Help, version and wrong usage as clap has them; else every value that is wrong, with its place.
pub fn load(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    home: Option<&Path>,
) -> Result<Loaded, ConfigError> {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let (command, flags) = flags::parse(args, &mut problems).map_err(ConfigError::Usage)?;
    let mut strong = environment::read(environment, &mut problems, &mut warnings);
    strong.overlay(flags);

    let (config_file, mut layer) = read_file(&strong, home, &mut problems);
    layer.overlay(strong);
    layer.fill_defaults();

    let check_only = layer.is_on(Id::CheckConfig);
    let config = check::check(&layer, config_file, &mut problems, &mut warnings);
    if !problems.is_empty() {
        problems.sort_by_key(Problem::order);
        return Err(ConfigError::Invalid(Problems(problems)));
    }
    let command = if check_only { Command::CheckConfig } else { command };
    Ok(Loaded { command, config, warnings })
}

/// The file that flags or environment name, else the default one if it is there.
fn read_file(
    strong: &Layer,
    home: Option<&Path>,
    problems: &mut Vec<Problem>,
) -> (Option<PathBuf>, Layer) {
    let named = strong.text(Id::ConfigFile).map(PathBuf::from);
    let must_exist = named.is_some();
    let Some(path) = named.or_else(|| home.map(|home| home.join(DEFAULT_FILE))) else {
        return (None, Layer::new());
    };
    let fault = match file::read(&path, limits::FILE_BYTES_MAX) {
        Ok(file::Content::Bytes(bytes)) => {
            let (layer, found) = file::parse(&path, &bytes);
            problems.extend(found);
            return (Some(path), layer);
        }
        Err(error) if !must_exist && is_absent(&error) => return (None, Layer::new()),
        Ok(file::Content::TooLarge) => {
            Fault::TooLarge { path: Shown::path(&path), max: limits::FILE_BYTES_MAX }
        }
        Err(error) => {
            let remedy = "name a TOML file that this user may read";
            Fault::Unreadable { path: Shown::path(&path), error, remedy }
        }
    };
    problems.push(Problem {
        origin: strong.origin(Id::ConfigFile),
        id: Some(Id::ConfigFile),
        fault,
    });
    (None, Layer::new())
}

/// A home that is no folder (`/dev/null`, for a service) has no file either.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
