//! The subcommands: clap's description of them, and what each asks for.

mod allow;
mod feeds;
mod outputs;
mod peers;
mod token;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use sentrypeer_archive::export::Format;
use sentrypeer_archive::zone::Zone;
use sentrypeer_storage::event::{NUMBER_BYTES_MAX, SourceKey, Verification};
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::query::Subject;

use super::command::{Command, Db, ExportEvents, ExportIpset, Import, IpsetDocument, IpsetFamily};
use super::flags::flag;
use super::limits::IPSET_TIMEOUT_S_MAX;
use super::setting::Id;
use super::table::SETTINGS;
use super::when::When;

/// The flags that a subcommand's own help shows, because they find the running node. It takes the
/// others too, so that the command line of the node can be reused.
const FIND_THE_NODE: [Id; 2] = [Id::Db, Id::ConfigFile];

/// What a command line asks for.
pub(super) fn command(matches: &ArgMatches) -> Command {
    match matches.subcommand() {
        Some(("healthcheck", _)) => Command::Healthcheck,
        Some(("status", _)) => Command::Status,
        Some(("db", wanted)) => database(wanted).map_or(Command::Run, Command::Db),
        Some(("import", wanted)) => import_of(wanted).map_or(Command::Run, Command::Import),
        Some(("firewall", wanted)) => {
            feeds::firewall_wanted(wanted).map_or(Command::Run, Command::Firewall)
        }
        Some(("outputs", wanted)) => Command::Outputs(outputs::wanted(wanted)),
        Some(("peers", wanted)) => Command::Peers(peers::peers_wanted(wanted)),
        Some(("identity", wanted)) => {
            peers::identity_wanted(wanted).map_or(Command::Run, Command::Identity)
        }
        Some(("man", _)) => Command::Man,
        Some(("tail", wanted)) => Command::Tail { json: wanted.get_flag("json") },
        Some(("allow", wanted)) => allow::wanted(wanted).map_or(Command::Run, Command::Allow),
        Some(("token", wanted)) => token::wanted(wanted).map_or(Command::Run, Command::Token),
        Some(("forget", wanted)) => match wanted.get_one::<Subject>("SUBJECT") {
            Some(subject) => Command::Forget(subject.clone()),
            // clap demands a subject.
            None => Command::Run,
        },
        Some(("export", formats)) => match formats.subcommand() {
            Some(("events", events)) => {
                export_events(events).map_or(Command::Run, Command::ExportEvents)
            }
            Some(("ipset", ipset)) => Command::ExportIpset(export_ipset(ipset)),
            Some((name, feed)) => {
                feeds::wanted(name, feed).map_or(Command::Run, Command::ExportFeed)
            }
            // clap demands a format.
            None => Command::Run,
        },
        _ => Command::Run,
    }
}

fn export_ipset(matches: &ArgMatches) -> ExportIpset {
    ExportIpset {
        document: matches.get_one("document").copied().unwrap_or_default(),
        family: matches.get_one("family").copied(),
        set: matches.get_one("set").cloned(),
        timeout_s: matches.get_one("timeout").copied(),
        min_verification: matches.get_one("min-verification").copied(),
        allow_empty: matches.get_flag("allow-empty"),
    }
}

/// clap demands a format.
fn export_events(matches: &ArgMatches) -> Option<ExportEvents> {
    Some(ExportEvents {
        format: matches.get_one("format").copied()?,
        since: matches.get_one("since").copied(),
        until: matches.get_one("until").copied(),
        output: matches.get_one("output").cloned(),
    })
}

/// clap demands a file.
fn import_of(matches: &ArgMatches) -> Option<Import> {
    Some(Import {
        file: matches.get_one("FILE").cloned()?,
        zone: matches.get_one("zone").cloned().unwrap_or_default(),
        own: matches.get_flag("own"),
        again: matches.get_flag("again"),
    })
}

/// clap demands one of them, and its file.
fn database(matches: &ArgMatches) -> Option<Db> {
    let (name, wanted) = matches.subcommand()?;
    let file = || wanted.get_one::<PathBuf>("FILE").cloned();
    match name {
        "stats" => Some(Db::Stats { json: wanted.get_flag("json") }),
        "check" => Some(Db::Check { file: file(), json: wanted.get_flag("json") }),
        "compact" => Some(Db::Compact),
        "backup" => Some(Db::Backup { file: file()? }),
        _ => None,
    }
}

/// Every subcommand.
pub(super) fn all() -> [clap::Command; 14] {
    [
        subcommand("healthcheck", "Exit with status 0 if the running node is well"),
        subcommand("status", "Show what the running node does"),
        export(),
        import(),
        db(),
        forget(),
        feeds::firewall(),
        allow::description(),
        token::description(),
        outputs::description(),
        outputs::tail(),
        peers::peers(),
        peers::identity(),
        subcommand("man", "Print the manual page: sentrypeer man | man -l -"),
    ]
}

fn subcommand(name: &'static str, about: &'static str) -> clap::Command {
    clap::Command::new(name).about(about).args(inherited())
}

/// The node's flags as a subcommand has them: there, but out of its help unless they find the node.
fn inherited() -> impl Iterator<Item = Arg> {
    SETTINGS.iter().map(|setting| {
        let hidden = !FIND_THE_NODE.contains(&setting.id);
        flag(setting).hide(hidden).help_heading("The running node")
    })
}

fn export() -> clap::Command {
    subcommand("export", "Print what is known, for other programs")
        .subcommand_required(true)
        .subcommand_value_name("FORMAT")
        .subcommand_help_heading("Formats")
        .subcommand(ipset())
        .subcommands(feeds::formats())
        .subcommand(events())
}

fn events() -> clap::Command {
    subcommand("events", "Write the events of the log, whether a node runs or not").args([
        Arg::new("format")
            .long("format")
            .value_name("FORMAT")
            .required(true)
            .value_parser(words(&Format::ALL, Format::name))
            .help("As lines of JSON, as a table, as an SQLite file like that of 4.x, or Parquet"),
        Arg::new("since").long("since").value_name("TIME").value_parser(value_parser!(When)).help(
            "Only events from then on: 2026-11-24T08:35:30Z, 2026-11-24 (UTC), or how long ago: \
             90m, 24h, 7d",
        ),
        Arg::new("until")
            .long("until")
            .value_name("TIME")
            .value_parser(value_parser!(When))
            .help("Only events before then"),
        Arg::new("output").long("output").value_name("FILE").value_parser(value_parser!(PathBuf)).help(
            "Write to this file, which must not exist; one of sqlite may, and gets what it has not \
             yet\nDefault: standard output",
        ),
    ])
}

fn import() -> clap::Command {
    subcommand(
        "import",
        "Take in the events of a file, whether a node runs or not: an SQLite file or a JSON log of \
         SentryPeer 4.x or of this program (a log also with gzip around it), or a backup. What was taken before is not \
         taken twice, and what is older than events are kept is left out",
    )
    .args([
        Arg::new("FILE")
            .value_name("FILE")
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help("What is read; it is not changed"),
        Arg::new("zone").long("zone").value_name("ZONE").value_parser(value_parser!(Zone)).help(
            "Time zone of the machine on which 4.x wrote the file: Europe/London, +01:00, or local\n\
             Default: UTC",
        ),
        Arg::new("own").long("own").action(ArgAction::SetTrue).help(
            "All events are of a node that did not listen to others (4.x without -p): believe that \
             those over TCP and TLS prove their source",
        ),
        Arg::new("again").long("again").action(ArgAction::SetTrue).help(
            "Read the file from its beginning, although an earlier import has read some of it",
        ),
    ])
}

fn ipset() -> clap::Command {
    let option = |name: &'static str, value_name: &'static str, parser: ValueParser| {
        Arg::new(name).long(name).value_name(value_name).value_parser(parser)
    };
    let timeout = value_parser!(u32).range(..=i64::from(IPSET_TIMEOUT_S_MAX));
    subcommand("ipset", "Print a document for \"ipset restore\"").args([
        option("document", "NAME", words(&IpsetDocument::ALL, IpsetDocument::name)).help(
            "full creates the set if need be and replaces its content; init only creates it; \
             refresh only replaces its content\nDefault: full",
        ),
        option("family", "VERSION", words(&IpsetFamily::ALL, IpsetFamily::name))
            .help("Only IPv4 or only IPv6\nDefault: both"),
        option("set", "NAME", value_parser!(String)).help("Name of the set"),
        option("timeout", "SECONDS", timeout.into()).help("How long the kernel keeps an entry"),
        option("min-verification", "LEVEL", words(&Verification::ALL, Verification::name))
            .help("The weakest proof of an address that is enough to block it"),
        Arg::new("allow-empty")
            .long("allow-empty")
            .action(ArgAction::SetTrue)
            .help("Print the document even if it would empty the set"),
    ])
}

fn db() -> clap::Command {
    let json = || {
        let flag = Arg::new("json").long("json").action(ArgAction::SetTrue);
        flag.help("Print one JSON object")
    };
    let file = |help: &'static str| {
        let file = Arg::new("FILE").value_name("FILE").value_parser(value_parser!(PathBuf));
        file.help(help)
    };
    subcommand("db", "Look after the database")
        .subcommand_required(true)
        .subcommand_value_name("WHAT")
        .subcommand_help_heading("What")
        .subcommand(
            subcommand("stats", "Show what is in the database, whether a node runs or not")
                .arg(json()),
        )
        .subcommand(
            subcommand(
                "check",
                "Read all of a database that no node uses, and count everything again: exit with \
                 status 1 if something is wrong. The file is not changed",
            )
            .args([file("The database, a backup for example\nDefault: the node's"), json()]),
        )
        .subcommand(subcommand(
            "compact",
            "Give unused space of the database's file back to the disk, while no node runs",
        ))
        .subcommand(
            subcommand("backup", "Copy the database as it is, whether a node runs or not")
                .arg(file("Where to; a file that does not exist").required(true)),
        )
}

fn forget() -> clap::Command {
    subcommand(
        "forget",
        "Erase all that the database knows of an address or a number: its events, its row, and its \
         place in the hours. Outputs and backups keep what they have of it",
    )
    .arg(
        Arg::new("SUBJECT")
            .value_name("ADDRESS|NUMBER")
            .required(true)
            .value_parser(subject)
            .help("An address, of IPv6 its whole /64; or a number as it was dialled"),
    )
}

/// An address or a number. What only looks like an address is neither: it is a slip, and must not
/// erase a number that happens to have these digits.
fn subject(text: &str) -> Result<Subject, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Subject::Source(SourceKey::of(address)));
    }
    if is_like_address(text) {
        return Err("this is no address; write it without a port or a prefix".to_owned());
    }
    if text.is_empty() || text.len() > NUMBER_BYTES_MAX {
        return Err(format!("a number has 1 to {NUMBER_BYTES_MAX} bytes"));
    }
    Ok(Subject::Number(NumberKey::of(text.as_bytes())))
}

/// Whether somebody meant to write an address.
fn is_like_address(text: &str) -> bool {
    text.contains([':', '/', '[']) || text.matches('.').count() == 3
}

/// Takes one word out of a closed family.
fn words<T>(all: &'static [T], name: fn(T) -> &'static str) -> ValueParser
where
    T: Copy + Send + Sync + 'static,
{
    let words = PossibleValuesParser::new(all.iter().map(|&member| name(member)));
    let member = move |word: String| all.iter().copied().find(|&m| name(m) == word);
    words.try_map(move |word| member(word).ok_or("unknown word")).into()
}
