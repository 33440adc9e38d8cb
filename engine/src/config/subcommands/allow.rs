//! `allow`: what nothing may act on.

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use sentrypeer_http::allow::Subject;

use super::super::command::Allow;
use super::super::when::When;
use super::{is_like_address, subcommand};

pub(super) fn description() -> clap::Command {
    subcommand(
        "allow",
        "Look after the allow-list: what is recorded and never acted on, whether a node runs or not",
    )
    .subcommand_required(true)
    .subcommand_value_name("WHAT")
    .subcommand_help_heading("What")
    .subcommand(
        subcommand("list", "Show all that the configuration names and that was added").arg(
            Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one JSON object"),
        ),
    )
    .subcommand(add())
    .subcommand(
        subcommand("remove", "Take an entry away that was added; feeds and dips know it at once")
            .arg(entry("The entry, as \"allow list\" shows it")),
    )
}

fn add() -> clap::Command {
    subcommand(
        "add",
        "Add an entry, or replace one that was added; feeds and dips know it at once, and it stays \
         over restarts",
    )
    .args([
        entry("An address, a prefix, a number, or the begin of numbers with * behind it"),
        Arg::new("reason")
            .long("reason")
            .value_name("TEXT")
            .required(true)
            .help("Why, in one line"),
        Arg::new("expires").long("expires").value_name("TIME").value_parser(value_parser!(When)).help(
            "When it ends: 2027-01-31T12:00:00Z, 2027-01-31 (UTC), or after how long: 12h, 90d\n\
             Default: when it is removed",
        ),
    ])
}

fn entry(help: &'static str) -> Arg {
    let entry = Arg::new("ENTRY").value_name("ENTRY").required(true).value_parser(subject);
    entry.help(help)
}

/// An address or a number. What only looks like an address is a slip, not a number with these digits.
fn subject(text: &str) -> Result<Subject, String> {
    match text.parse() {
        Ok(Subject::Number(_)) if is_like_address(text) => {
            Err("this is neither an address nor a prefix; write it without a port".to_owned())
        }
        other => other.map_err(|error| error.to_string()),
    }
}

/// clap demands one of them, and what it needs.
pub(super) fn wanted(matches: &ArgMatches) -> Option<Allow> {
    let (what, matches) = matches.subcommand()?;
    let subject = || matches.get_one::<Subject>("ENTRY").cloned();
    match what {
        "list" => Some(Allow::List { json: matches.get_flag("json") }),
        "add" => Some(Allow::Add {
            subject: subject()?,
            reason: matches.get_one::<String>("reason").cloned()?,
            expires: matches.get_one("expires").copied(),
        }),
        "remove" => Some(Allow::Remove { subject: subject()? }),
        _ => None,
    }
}
