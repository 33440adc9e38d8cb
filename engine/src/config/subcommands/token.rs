//! `token`: who may ask the API.

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use sentrypeer_http::access::{Scope, Scopes};

use super::super::command::Token;
use super::super::limits::API_RATE_MAX;
use super::super::when::When;
use super::subcommand;

pub(super) fn description() -> clap::Command {
    subcommand("token", "Look after the tokens that open the API, whether a node runs or not")
        .subcommand_required(true)
        .subcommand_value_name("WHAT")
        .subcommand_help_heading("What")
        .subcommand(make())
        .subcommand(subcommand("list", "Show the tokens, without their secrets").arg(json()))
        .subcommand(
            subcommand("revoke", "Take a token away; a running node refuses it at once").arg(
                Arg::new("NAME").value_name("NAME").required(true).help("Its name, or its id"),
            ),
        )
}

fn make() -> clap::Command {
    let rate = value_parser!(u32).range(1..=API_RATE_MAX as i64);
    subcommand("make", "Make a token, and print it: it is shown now and never again").args([
        Arg::new("NAME")
            .value_name("NAME")
            .required(true)
            .help("What it is called: letters, digits, \".\", \"_\" and \"-\""),
        Arg::new("scopes").long("scopes").value_name("SCOPES").value_parser(scopes).help(
            "What it may be used for: read, feed, write, metrics, with commas between them\n\
             Default: read",
        ),
        Arg::new("expires").long("expires").value_name("TIME").value_parser(value_parser!(When)).help(
            "When it ends: 2027-01-31T12:00:00Z, 2027-01-31 (UTC), or after how long: 12h, 90d\n\
             Default: when it is revoked",
        ),
        Arg::new("rate").long("rate").value_name("N").value_parser(rate).help(
            "Requests a second, twice as many at once\nDefault: api_token_rate",
        ),
        json(),
    ])
}

fn json() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one JSON object")
}

fn scopes(names: &str) -> Result<Scopes, String> {
    let known = Scopes::from_names(names).filter(|scopes| !scopes.is_empty());
    known.ok_or_else(|| "write read, feed, write, metrics, with commas between them".to_owned())
}

/// clap demands one of them, and its name.
pub(super) fn wanted(matches: &ArgMatches) -> Option<Token> {
    let (what, matches) = matches.subcommand()?;
    let name = || matches.get_one::<String>("NAME").cloned();
    match what {
        "make" => Some(Token::Make {
            name: name()?,
            scopes: matches.get_one("scopes").copied().unwrap_or(Scopes::of([Scope::Read])),
            expires: matches.get_one("expires").copied(),
            requests_per_s: matches.get_one("rate").copied(),
            json: matches.get_flag("json"),
        }),
        "list" => Some(Token::List { json: matches.get_flag("json") }),
        "revoke" => Some(Token::Revoke { name: name()? }),
        _ => None,
    }
}
