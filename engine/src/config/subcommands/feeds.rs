//! `export FORMAT` and `firewall`: what to block, for whoever blocks.

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use sentrypeer_storage::event::Verification;

use super::super::command::{ExportFeed, FEEDS, IpsetFamily};
use super::super::limits::{FIREWALL_INTERVAL_S_MAX, IPSET_TIMEOUT_S_MAX};
use super::{subcommand, words};
use crate::firewall::{Family, Tool, Wanted};

/// One subcommand of `export` for each format.
pub(super) fn formats() -> impl Iterator<Item = clap::Command> {
    FEEDS.iter().map(|(name, about)| subcommand(name, about).args(choices()))
}

fn choices() -> [Arg; 8] {
    let timeout = value_parser!(u32).range(1..=i64::from(IPSET_TIMEOUT_S_MAX));
    [
        family(),
        level(),
        option("min-count", "N", value_parser!(u64).into()).help("Seen at least so often"),
        option("max-age", "SECONDS", value_parser!(u64).into()).help("Seen within so many seconds"),
        option("limit", "N", value_parser!(u32).range(1..).into())
            .help("At most so many: those with the highest scores"),
        option("timeout", "SECONDS", timeout.into()).help("Longest timeout of an entry"),
        option("name", "NAME", value_parser!(String))
            .help("What the table, the list or the set is called\nDefault: sentrypeer"),
        Arg::new("allow-empty")
            .long("allow-empty")
            .action(ArgAction::SetTrue)
            .help("Print the document even if it has no entry"),
    ]
}

fn option(name: &'static str, value_name: &'static str, parser: ValueParser) -> Arg {
    Arg::new(name).long(name).value_name(value_name).value_parser(parser)
}

fn family() -> Arg {
    option("family", "VERSION", words(&IpsetFamily::ALL, IpsetFamily::name))
        .help("Only IPv4 or only IPv6\nDefault: both, but IPv4 where a document holds one")
}

fn level() -> Arg {
    option("min-verification", "LEVEL", words(&Verification::ALL, Verification::name))
        .help("The weakest proof of an address that is enough to block it")
}

/// The feed of this name, if there is one.
pub(super) fn wanted(name: &str, matches: &ArgMatches) -> Option<ExportFeed> {
    let (format, _) = FEEDS.iter().find(|(known, _)| *known == name)?;
    Some(ExportFeed {
        format,
        family: matches.get_one("family").copied(),
        min_verification: matches.get_one("min-verification").copied(),
        min_count: matches.get_one("min-count").copied(),
        max_age_s: matches.get_one("max-age").copied(),
        limit: matches.get_one("limit").copied(),
        timeout_s: matches.get_one("timeout").copied(),
        name: matches.get_one("name").cloned(),
        allow_empty: matches.get_flag("allow-empty"),
    })
}

pub(super) fn firewall() -> clap::Command {
    subcommand("firewall", "Keep a set of this machine's firewall up to date with what to block")
        .subcommand_required(true)
        .subcommand_value_name("TOOL")
        .subcommand_help_heading("Tools")
        .subcommand(tool("ipset", "Sets of ipset, for rules of iptables"))
        .subcommand(tool("nft", "A table of nftables with a set for each family"))
}

fn tool(name: &'static str, about: &'static str) -> clap::Command {
    let percent = value_parser!(u32).range(1..=100);
    let interval = value_parser!(u64).range(1..=FIREWALL_INTERVAL_S_MAX);
    let switch = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    subcommand(name, about).args([
        family().help("Only IPv4 or only IPv6\nDefault: both"),
        option("name", "NAME", value_parser!(String)).value_parser(set_name).help(
            "What the sets are called; that of IPv6 has a 6 behind it, and with nft that of IPv4 a 4\n\
             Default: sentrypeer",
        ),
        level(),
        option("interval", "SECONDS", interval.into())
            .help("How often the node is asked for what has changed\nDefault: 10"),
        option("whole-every", "SECONDS", value_parser!(u64).range(1..).into()).help(
            "How often the set is held against the whole list, for somebody else may have changed \
             it\nDefault: 3600",
        ),
        option("shrink-max", "PERCENT", percent.into()).help(
            "Most that may go from a set at once, in hundredths of it; if more would, nothing is \
             changed\nDefault: 50",
        ),
        switch("once").help("Load the whole list once, and exit"),
        switch("dry-run").help("Print what would be loaded, and exit"),
    ])
}

/// A name that is one in both tools, with what is put behind it.
fn set_name(name: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
    if begins && name.len() <= 24 && name.bytes().all(fits) {
        return Ok(name.to_owned());
    }
    Err("write 1 to 24 letters, digits, \"_\" or \"-\", beginning with a letter".to_owned())
}

/// clap demands a tool.
pub(super) fn firewall_wanted(matches: &ArgMatches) -> Option<Wanted> {
    let (name, matches) = matches.subcommand()?;
    let usual = Wanted::new(if name == "nft" { Tool::Nft } else { Tool::Ipset });
    let family = matches.get_one::<IpsetFamily>("family").map(|family| match family {
        IpsetFamily::V4 => Family::V4,
        IpsetFamily::V6 => Family::V6,
    });
    Some(Wanted {
        tool: usual.tool,
        family,
        name: matches.get_one("name").cloned().unwrap_or(usual.name),
        interval_s: matches.get_one("interval").copied().unwrap_or(usual.interval_s),
        whole_s: matches.get_one("whole-every").copied().unwrap_or(usual.whole_s),
        min_verification: matches.get_one("min-verification").copied(),
        shrink_percent_max: matches
            .get_one("shrink-max")
            .copied()
            .unwrap_or(usual.shrink_percent_max),
        once: matches.get_flag("once"),
        dry_run: matches.get_flag("dry-run"),
    })
}
