//! What the process is asked to do.

use std::path::PathBuf;

use sentrypeer_archive::export::Format;
use sentrypeer_archive::zone::Zone;
use sentrypeer_http::access::Scopes;
use sentrypeer_http::allow;
use sentrypeer_storage::event::Verification;
use sentrypeer_storage::query::Subject;

use super::when::When;
use crate::control::outputs::OutputOrder;
use crate::control::peers::PeerOrder;
use crate::firewall;

/// What the process is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run a node.
    Run,
    /// Check the configuration, print it and exit (`--check-config`).
    CheckConfig,
    /// Ask the running node whether it is well.
    Healthcheck,
    /// Show what the running node does.
    Status,
    /// Print the blocklist for `ipset restore`.
    ExportIpset(ExportIpset),
    /// Print the blocklist in another format.
    ExportFeed(ExportFeed),
    /// Keep a set of the firewall up to date.
    Firewall(firewall::Wanted),
    /// Write events into a file.
    ExportEvents(ExportEvents),
    /// Take in events from a file.
    Import(Import),
    /// Look after the database.
    Db(Db),
    /// Erase an address or a number.
    Forget(Subject),
    /// Look after the API's tokens.
    Token(Token),
    /// Look after the allow-list.
    Allow(Allow),
    /// Look after the node's outputs.
    Outputs(OutputsWanted),
    /// Look after sharing with other nodes.
    Peers(PeersWanted),
    /// Look after who this node is to others.
    Identity(IdentityWanted),
    /// Print the manual page.
    Man,
    /// Show events as they come.
    Tail {
        /// As JSON.
        json: bool,
    },
}

/// What `outputs` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputsWanted {
    /// What the node is told.
    pub order: OutputOrder,
    /// Print its answer as JSON.
    pub json: bool,
}

/// What `peers` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeersWanted {
    /// What the node is told.
    pub order: PeerOrder,
    /// Print its answer as JSON.
    pub json: bool,
}

/// What `identity` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityWanted {
    /// Print the node's key.
    Show,
    /// Make another identity.
    Rotate,
    /// Copy the secret into this new file.
    Export(PathBuf),
}

/// What `allow` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Show it.
    List {
        /// As JSON.
        json: bool,
    },
    /// Add an entry.
    Add {
        /// What it is about.
        subject: allow::Subject,
        /// Why.
        reason: String,
        /// When it ends.
        expires: Option<When>,
    },
    /// Take away one that was added.
    Remove {
        /// What it is about.
        subject: allow::Subject,
    },
}

/// What `token` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// Make one.
    Make {
        /// What it is called.
        name: String,
        /// What it may be used for.
        scopes: Scopes,
        /// When it ends.
        expires: Option<When>,
        /// Its own rate of requests.
        requests_per_s: Option<u32>,
        /// Print all of it, as JSON.
        json: bool,
    },
    /// Show them.
    List {
        /// As JSON.
        json: bool,
    },
    /// Take one away.
    Revoke {
        /// Its name, or its id.
        name: String,
    },
}

/// What `export events` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportEvents {
    /// In which format.
    pub format: Format,
    /// Only events from then on.
    pub since: Option<When>,
    /// Only events before then.
    pub until: Option<When>,
    /// Into this file; `None`: to standard output.
    pub output: Option<PathBuf>,
}

/// The formats of `export` that the API has as feeds, beside ipset, and what each is for.
pub const FEEDS: [(&str, &str); 12] = [
    ("plain", "Print what to block, an address a line"),
    ("csv", "Print what to block as a table"),
    ("jsonl", "Print what to block, a JSON object a line"),
    ("pf", "Print a table for \"pfctl -T replace -f\""),
    ("nft", "Print a document for \"nft -f\""),
    ("nft-json", "Print a document for \"nft -j -f\""),
    ("mikrotik", "Print a script for RouterOS"),
    ("firewalld", "Print an ipset of firewalld"),
    ("rpz", "Print a response policy zone"),
    ("dnsbl", "Print a zone of a blocklist in the DNS"),
    ("stix", "Print a bundle of STIX 2.1"),
    ("misp", "Print an event of MISP"),
];

/// What `export` prints as a feed of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportFeed {
    /// Its name, one of [`FEEDS`].
    pub format: &'static str,
    /// Only addresses of this family.
    pub family: Option<IpsetFamily>,
    /// The weakest proof of an address that counts; `None`: the node's policy.
    pub min_verification: Option<Verification>,
    /// Seen at least so often.
    pub min_count: Option<u64>,
    /// Seen within so many seconds.
    pub max_age_s: Option<u64>,
    /// At most so many entries.
    pub limit: Option<u32>,
    /// Longest timeout of an entry, in s.
    pub timeout_s: Option<u32>,
    /// What the table, the list or the set is called.
    pub name: Option<String>,
    /// Print the document although it has no entry.
    pub allow_empty: bool,
}

impl ExportFeed {
    /// All of it.
    #[must_use]
    pub fn of(format: &'static str) -> Self {
        Self { format, ..Self::default() }
    }
}

/// What `import` reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The file.
    pub file: PathBuf,
    /// In which zone its local times are.
    pub zone: Zone,
    /// Whether all its events are of a node that did not listen to others.
    pub own: bool,
    /// Read it from its beginning, also what was read before.
    pub again: bool,
}

/// What `db` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Db {
    /// Show what is in it.
    Stats {
        /// As JSON.
        json: bool,
    },
    /// Read all of it, and count everything again.
    Check {
        /// Another file than the node's.
        file: Option<PathBuf>,
        /// As JSON.
        json: bool,
    },
    /// Give unused space back to the disk.
    Compact,
    /// Copy it.
    Backup {
        /// Into this file.
        file: PathBuf,
    },
}

/// What `export ipset` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportIpset {
    /// Which document.
    pub document: IpsetDocument,
    /// Only addresses of this family; `None`: both.
    pub family: Option<IpsetFamily>,
    /// Name of the set; `None`: the node's own default.
    pub set: Option<String>,
    /// Seconds until an entry expires; `None`: as long as the node keeps it.
    pub timeout_s: Option<u32>,
    /// The weakest proof of an address that counts; `None`: the node's policy.
    pub min_verification: Option<Verification>,
    /// Print the document although it empties the set.
    pub allow_empty: bool,
}

/// The three documents of `export ipset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpsetDocument {
    /// Creates the set if there is none, and swaps the new content in.
    #[default]
    Full,
    /// Creates the set only.
    Init,
    /// Swaps new content into a set that is there.
    Refresh,
}

impl IpsetDocument {
    /// Every document.
    pub const ALL: [Self; 3] = [Self::Full, Self::Init, Self::Refresh];

    /// Its name on the command line and in the HTTP API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Init => "init",
            Self::Refresh => "refresh",
        }
    }
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpsetFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpsetFamily {
    /// Both families.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Its name on the command line and in the HTTP API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "4",
            Self::V6 => "6",
        }
    }
}
