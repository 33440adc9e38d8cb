//! The manual page, made of clap's description of the command line: so it cannot say anything else than
//! `--help`.

use clap::{Arg, Command};
use roff::{Inline, Roff, bold, italic, line_break, roman};

use super::flags::command_line;
use super::setting::Group;
use super::table::SETTINGS;

/// What happens where, in the page's own words.
const FILES: &[(&str, &str)] = &[
    ("~/.config/sentrypeer/default-config.toml", "Settings, if no other file is named."),
    ("sentrypeer.redb", "The database, in the working folder unless --db names another place."),
    (
        "DATABASE.node, DATABASE.secret, DATABASE.tokens, DATABASE.allow",
        "Who the node is, who may ask its API, and what was added to its allow-list. They belong to the \
         database and lie beside it.",
    ),
    (
        "DATABASE.cert.pem, DATABASE.key.pem",
        "The certificate that the node has made for SIP over TLS, and its key.",
    ),
    (
        "DATABASE.peer-seed, DATABASE.peer-sequence, DATABASE.peer-ledger",
        "Who the node is to others, what it has told them, and what it knows of them.",
    ),
    ("DATABASE.sock", "The control socket of the running node, for its user and root."),
];

const SIGNALS: &[(&str, &str)] = &[
    ("SIGTERM, SIGINT", "Store the last events, and end. A second one ends at once."),
    (
        "SIGHUP",
        "Read the configuration and the files that it names again. What needs a restart is named in the \
         log.",
    ),
];

const STATUS: &[(&str, &str)] = &[
    ("0", "It is done."),
    ("1", "It failed; standard error says why, and what to do."),
    ("2", "Wrong usage."),
];

/// The page, in the language of man(7).
#[must_use]
pub fn manual() -> String {
    let mut command = command_line();
    command.build();
    let mut page = Roff::new();
    let source = concat!("sentrypeer ", env!("CARGO_PKG_VERSION"));
    page.control("TH", ["SENTRYPEER", "1", "\"\"", source, "User Commands"]);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.control("SH", ["NAME"]).text([roman(format!("sentrypeer - {about}"))]);
    page.control("SH", ["SYNOPSIS"]).text([
        bold("sentrypeer"),
        roman(" [OPTION]..."),
        line_break(),
        bold("sentrypeer"),
        roman(" [OPTION]... "),
        italic("COMMAND"),
        roman(" [ARGUMENT]..."),
    ]);
    page.control("SH", ["DESCRIPTION"]);
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    paragraph(&mut page, &format!("Without a command it runs a node. {more}"));
    options(&mut page, &command);
    page.control("SH", ["COMMANDS"]);
    commands(&mut page, &command);
    for (heading, entries) in [("FILES", FILES), ("SIGNALS", SIGNALS), ("EXIT STATUS", STATUS)] {
        page.control("SH", [heading]);
        for (name, text) in entries {
            page.control("TP", []).text([bold(*name)]);
            paragraph(&mut page, text);
        }
    }
    page.render()
}

/// The node's options, group by group.
fn options(page: &mut Roff, command: &Command) {
    page.control("SH", ["OPTIONS"]);
    for group in Group::ALL {
        page.control("SS", [group.heading()]);
        let of_group = |arg: &&Arg| arg.get_help_heading() == Some(group.heading());
        command.get_arguments().filter(of_group).for_each(|arg| argument(page, arg));
    }
}

/// Every command that can be given, with the arguments that it has beside the node's options.
fn commands(page: &mut Roff, of: &Command) {
    for command in of.get_subcommands().filter(|command| !command.is_hide_set()) {
        if !command.is_subcommand_required_set() {
            let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
            page.control("SS", [name.replace('-', "\\-").as_str()]);
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            paragraph(page, &about);
            command.get_arguments().filter(|arg| is_own(arg)).for_each(|arg| argument(page, arg));
        }
        commands(page, command);
    }
}

/// Whether an argument belongs to its command alone.
fn is_own(arg: &Arg) -> bool {
    let id = arg.get_id().as_str();
    id != "help" && SETTINGS.iter().all(|setting| setting.long != id)
}

fn argument(page: &mut Roff, arg: &Arg) {
    page.control("TP", []).text(name(arg));
    let help = arg.get_long_help().or_else(|| arg.get_help());
    paragraph(page, &help.map(ToString::to_string).unwrap_or_default());
    let values = arg.get_possible_values();
    let values: Vec<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
    if !values.is_empty() {
        page.control("br", []).text([roman(format!("One of: {}", values.join(", ")))]);
    }
}

/// How an argument is written.
fn name(arg: &Arg) -> Vec<Inline> {
    let value = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    if arg.is_positional() {
        return vec![italic(value)];
    }
    let mut name = Vec::new();
    if let Some(short) = arg.get_short() {
        name.extend([bold(format!("-{short}")), roman(", ")]);
    }
    name.push(bold(format!("--{}", arg.get_long().unwrap_or_default())));
    if !arg.get_action().takes_values() {
        return name;
    }
    match arg.is_require_equals_set() {
        true => name.push(roman(format!("[={value}]"))),
        false => name.extend([roman(" "), italic(value)]),
    }
    name
}

/// Text whose lines stay lines.
fn paragraph(page: &mut Roff, text: &str) {
    for (at, line) in text.lines().enumerate() {
        if at > 0 {
            page.control("br", []);
        }
        page.text([roman(line)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text without what roff needs around it.
    fn plain(text: &str) -> String {
        text.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\&", "")
    }

    fn holds(page: &str, command: &Command) {
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            if let Some(long) = arg.get_long() {
                assert!(page.contains(&format!("--{long}")), "{}: --{long}", command.get_name());
            }
            let help = arg.get_long_help().or_else(|| arg.get_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "{}: {}", command.get_name(), arg.get_id());
            for line in help.lines() {
                assert!(page.contains(&format!("\n{line}\n")), "{}: {line}", command.get_name());
            }
        }
        for sub in command.get_subcommands() {
            let about = sub.get_about().unwrap().to_string();
            assert!(page.contains(&about) || sub.is_subcommand_required_set(), "{about}");
            holds(page, sub);
        }
    }

    #[test]
    fn the_page_holds_every_option_of_every_command_with_its_whole_text() {
        holds(&plain(&manual()), &command_line());
    }

    #[test]
    fn an_option_is_said_once_and_where_it_belongs() {
        let page = plain(&manual());
        assert_eq!(page.matches("\\fB--api-listen\\fR").count(), 1);
        let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
        assert!(place("--shards") < place(".SH COMMANDS"));
        assert!(place(".SS \"sentrypeer token make\"") < place("--scopes"));
        assert!(place("--scopes") < place(".SS \"sentrypeer token list\""));
    }
}
