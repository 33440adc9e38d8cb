//! The subcommands, which ask a running node or, where that makes sense, the database itself.

mod allow;
mod database;
mod export;
mod feed;
mod forget;
mod identity;
mod import;
mod keeper;
mod opened;
mod outputs;
mod peers;
mod progress;
mod source;
mod tail;
mod terminal;
mod token;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, Command, Config, ConfigError};
use crate::{control, firewall};

/// Prints what is wrong with the configuration, or the help that was asked for.
#[must_use]
pub fn report_config_error(error: &ConfigError) -> ExitCode {
    match error {
        // If standard output is closed nobody wants to read it.
        ConfigError::Usage(usage) => drop(usage.print()),
        ConfigError::Invalid(problems) => eprintln!("{problems}"),
    }
    ExitCode::from(error.exit_status())
}

/// Runs a subcommand.
#[must_use]
pub fn run(command: &Command, config: &Config) -> ExitCode {
    let done = match command {
        Command::Run => Ok(()),
        Command::CheckConfig => print(config.describe().as_bytes()),
        Command::Man => print(config::manual().as_bytes()),
        Command::Healthcheck => from_node(&config.db, "/readyz"),
        Command::Status => from_node(&config.db, "/api/v1/status"),
        Command::ExportIpset(wanted) => feed::ipset(config, wanted),
        Command::ExportFeed(wanted) => feed::export(config, wanted),
        Command::ExportEvents(wanted) => export::run(config, wanted),
        Command::Import(wanted) => import::run(config, wanted),
        Command::Db(wanted) => database::run(config, wanted),
        Command::Token(order) => token::run(config, order),
        Command::Allow(wanted) => allow::run(config, wanted),
        Command::Firewall(wanted) => firewall::run(&config.db, wanted).map_err(Failure::from),
        Command::Outputs(wanted) => outputs::run(config, wanted),
        Command::Peers(wanted) => peers::run(config, wanted),
        Command::Identity(wanted) => identity::run(config, wanted),
        Command::Tail { json } => tail::run(config, *json),
        Command::Forget(subject) => forget::run(config, subject),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has had enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("sentrypeer: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("writing: {0}")]
    Output(#[source] io::Error),
    #[error("asking the node: {0}")]
    Node(#[source] io::Error),
    #[error("{0}: no node runs on this database; start one, or name its database with --db")]
    NoNode(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}: something is wrong with this database; it stands above")]
    Unsound(String),
}

impl From<firewall::FirewallError> for Failure {
    fn from(error: firewall::FirewallError) -> Self {
        match error {
            firewall::FirewallError::Output(error) => Self::Output(error),
            other => Self::refused(other),
        }
    }
}

impl Failure {
    /// What another part of the program says, as it is.
    fn refused(why: impl Display) -> Self {
        Self::Refused(why.to_string())
    }
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Failure::Output)
}

fn from_node(database: &Path, target: &str) -> Result<(), Failure> {
    match control::request(database, target).map_err(Failure::Node)? {
        Some(answer) => pass_on(answer),
        None => Err(Failure::NoNode(database.display().to_string())),
    }
}

/// Copies an answer to standard output, or makes an error's text our own.
fn pass_on(mut answer: control::Answer) -> Result<(), Failure> {
    let ok = (200..300).contains(&answer.status);
    let (mut refusal, mut last) = (Vec::new(), b'\n');
    while let Some(piece) = answer.piece().map_err(Failure::Node)? {
        if ok {
            print(&piece)?;
            last = piece.last().copied().unwrap_or(last);
        } else {
            refusal.extend_from_slice(&piece);
        }
    }
    if !ok {
        return Err(Failure::Refused(refusal_text(&refusal)));
    }
    // A line on a terminal ends, also where the document over HTTP does not.
    if last == b'\n' { Ok(()) } else { print(b"\n") }
}

/// The words of an error document, with the command line's names for the ways out.
fn refusal_text(document: &[u8]) -> String {
    control::refusal_text(&String::from_utf8_lossy(document))
        .replace("allow_empty=1", "--allow-empty")
        .replace("min_verification=", "--min-verification=")
}
