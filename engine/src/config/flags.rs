//! The command line: clap's description of it, derived from the table, and the layer of flags.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::command::Command;
use super::error::{Fault, Problem, Shown};
use super::layer::{Item, Layer, parse_switch};
use super::origin::Origin;
use super::setting::{Fallback, Group, Kind, Setting};
use super::subcommands;
use super::table::SETTINGS;

const AFTER_HELP: &str = "Settings come from flags, else the environment, else the file, else the \
    default. A switch takes on or off: --api is --api=on, and --api=off overrides the file. An \
    empty value means the default.";

/// The whole command line.
#[must_use]
pub fn command_line() -> clap::Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).global(true);
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
    clap::Command::new("sentrypeer")
        .bin_name("sentrypeer")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A SIP honeypot: keeps who tries to make calls and which numbers they try")
        .after_help(AFTER_HELP)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .subcommand_value_name("COMMAND")
        .next_line_help(true)
        .args(SETTINGS.iter().map(flag))
        .arg(
            help.help("Print help; --help says more than -h")
                .help_heading(Group::General.heading()),
        )
        .arg(version.help("Print the version").help_heading(Group::General.heading()))
        .subcommands(subcommands::all())
}

/// Takes a command line apart: what to do, and the layer of flags.
///
/// # Errors
/// clap's, for help, version and wrong usage.
pub(super) fn parse(
    args: impl IntoIterator<Item = OsString>,
    problems: &mut Vec<Problem>,
) -> Result<(Command, Layer), clap::Error> {
    let matches = command_line().try_get_matches_from(args)?;
    // clap copies the global flags down, so the innermost command knows them all.
    let mut innermost = &matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    let mut layer = Layer::new();
    for setting in SETTINGS {
        if let Err(fault) = take(setting, innermost, &mut layer) {
            let origin = Origin::Flag(setting.long);
            problems.push(Problem { origin, id: Some(setting.id), fault });
        }
    }
    Ok((subcommands::command(&matches), layer))
}

fn take(setting: &Setting, matches: &ArgMatches, layer: &mut Layer) -> Result<(), Fault> {
    let Some(mut values) = matches.get_many::<OsString>(setting.long) else { return Ok(()) };
    let origin = Origin::Flag(setting.long);
    if setting.kind == Kind::Switch {
        let text = values.next_back().map(OsString::as_os_str).unwrap_or_default();
        let text = text.to_str().ok_or(Fault::NotUtf8)?;
        let on = parse_switch(text).ok_or_else(|| Fault::NotASwitch(Shown::text(text)))?;
        layer.switch(setting.id, on, origin);
    } else {
        let item = |text: &OsString| Item { text: text.clone(), origin: origin.clone() };
        layer.items(setting.id, values.map(item).collect(), origin.clone());
    }
    Ok(())
}

pub(super) fn flag(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.long)
        .long(setting.long)
        .help(help(setting))
        .long_help(long_help(setting))
        .help_heading(setting.group.heading())
        .value_parser(value_parser!(OsString))
        .global(true);
    let arg = match setting.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    match setting.kind {
        Kind::Switch => arg
            .value_name("on|off")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("on")
            .overrides_with(setting.long),
        Kind::List => arg.value_name(setting.value_name).action(ArgAction::Append),
        // A secret may begin with a hyphen, and clap must not repeat it as an unknown flag.
        Kind::Value | Kind::Number => arg
            .value_name(setting.value_name)
            .allow_hyphen_values(setting.secret)
            .overrides_with(setting.long),
    }
}

fn help(setting: &Setting) -> String {
    match setting.fallback {
        Fallback::Nothing => setting.help.to_owned(),
        _ => format!("{}\nDefault: {}", setting.help, setting.default_text()),
    }
}

fn long_help(setting: &Setting) -> String {
    let variables = setting.environment.join(", ");
    let key = setting.key.map_or_else(String::new, |key| format!("\nFile: {key}"));
    format!("{}\nEnvironment: {variables}{key}", help(setting))
}
