//! `outputs` and `tail`: what leaves the running node.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches};
use sentrypeer_storage::cursor::Begin;

use super::super::command::OutputsWanted;
use super::subcommand;
use crate::control::outputs::OutputOrder;

pub(super) fn tail() -> clap::Command {
    subcommand("tail", "Show the events of the running node as they come")
        .arg(json("Print each as one line of JSON, as the JSON log has it"))
}

pub(super) fn description() -> clap::Command {
    let name = || Arg::new("NAME").value_name("NAME").required(true).help("Its name");
    let to = Arg::new("to")
        .long("to")
        .value_name("WHERE")
        .value_parser(PossibleValuesParser::new(["oldest", "newest"]))
        .help("With the oldest event of the log, or with the next that comes\nDefault: oldest");
    let json = || json("Print one JSON object");
    subcommand("outputs", "Show how the outputs of the running node are doing")
        .arg(json())
        .subcommand_value_name("WHAT")
        .subcommand_help_heading("What")
        .subcommand(subcommand("list", "Show how each is doing").arg(json()))
        .subcommand(
            subcommand("reset", "Hand everything on again, or leave out what is waiting").args([
                name(),
                to,
                json(),
            ]),
        )
        .subcommand(
            subcommand("pause", "Hand nothing on until it is resumed, or the node starts again")
                .args([name(), json()]),
        )
        .subcommand(
            subcommand("resume", "Go on after a pause; after a failure at once")
                .args([name(), json()]),
        )
}

fn json(help: &'static str) -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help(help)
}

pub(super) fn wanted(matches: &ArgMatches) -> OutputsWanted {
    let Some((what, inner)) = matches.subcommand() else {
        return OutputsWanted { order: OutputOrder::List, json: matches.get_flag("json") };
    };
    // clap demands a name.
    let name = || inner.get_one::<String>("NAME").cloned().unwrap_or_default();
    let order = match what {
        "pause" => OutputOrder::Pause(name()),
        "resume" => OutputOrder::Resume(name()),
        "reset" => {
            let is_newest = inner.get_one::<String>("to").is_some_and(|to| to == "newest");
            OutputOrder::Reset(name(), if is_newest { Begin::Newest } else { Begin::Oldest })
        }
        _ => OutputOrder::List,
    };
    OutputsWanted { order, json: matches.get_flag("json") || inner.get_flag("json") }
}
