//! `peers` and `identity`: the other nodes, and who this one is to them.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use sentrypeer_dht::wire::NodeKey;

use super::super::command::{IdentityWanted, PeersWanted};
use super::subcommand;
use crate::control::peers::PeerOrder;

pub(super) fn peers() -> clap::Command {
    let json =
        || Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one JSON object");
    let key = Arg::new("KEY")
        .value_name("KEY")
        .required(true)
        .value_parser(value_parser!(NodeKey))
        .help("The key of a node, as \"peers\" shows it");
    subcommand("peers", "Show with whom the running node shares")
        .arg(json())
        .subcommand_value_name("WHAT")
        .subcommand_help_heading("What")
        .subcommand(subcommand("list", "Show the nodes that are known").arg(json()))
        .subcommand(
            subcommand("pardon", "Believe a node again that was caught lying").args([key, json()]),
        )
}

pub(super) fn identity() -> clap::Command {
    let path = Arg::new("FILE")
        .value_name("FILE")
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("A file that does not exist yet; only its owner may read it");
    subcommand("identity", "Look after who this node is to others, whether it runs or not")
        .subcommand_required(true)
        .subcommand_value_name("WHAT")
        .subcommand_help_heading("What")
        .subcommand(subcommand("show", "Print the node's key, for others to trust"))
        .subcommand(subcommand(
            "rotate",
            "Make it a new node to others, without the credit of the old one; the node must not run",
        ))
        .subcommand(subcommand("export", "Copy the secret that makes it this node").arg(path))
}

pub(super) fn peers_wanted(matches: &ArgMatches) -> PeersWanted {
    let Some((what, inner)) = matches.subcommand() else {
        return PeersWanted { order: PeerOrder::List, json: matches.get_flag("json") };
    };
    let order = match what {
        // clap demands a key.
        "pardon" => inner.get_one::<NodeKey>("KEY").copied().map(PeerOrder::Pardon),
        _ => None,
    };
    let json = matches.get_flag("json") || inner.get_flag("json");
    PeersWanted { order: order.unwrap_or(PeerOrder::List), json }
}

/// clap demands one of them, and its file.
pub(super) fn identity_wanted(matches: &ArgMatches) -> Option<IdentityWanted> {
    let (what, matches) = matches.subcommand()?;
    match what {
        "show" => Some(IdentityWanted::Show),
        "rotate" => Some(IdentityWanted::Rotate),
        "export" => matches.get_one::<PathBuf>("FILE").cloned().map(IdentityWanted::Export),
        _ => None,
    }
}
