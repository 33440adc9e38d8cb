//! The subcommands, which ask a running node or, where that makes sense, the database itself.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sentrypeer_http::exchange::Response;
use sentrypeer_storage::{self as storage, Phase, identity, intake};

use crate::config::{Command, Config, ConfigError, ExportIpset};
use crate::limits::EXPORT_OPEN_MS;
use crate::{context, control};

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
        Command::Healthcheck => from_node(&config.db, "/readyz"),
        Command::Status => from_node(&config.db, "/api/v1/status"),
        Command::ExportIpset(wanted) => export_ipset(config, wanted),
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

/// The words of an error document of the API, with the command line's name for the way out.
fn refusal_text(document: &[u8]) -> String {
    let text = String::from_utf8_lossy(document);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let words = ["error", "message"].iter().find_map(|key| value.get(key)?.as_str());
    words.unwrap_or(text.trim_end()).replace("allow_empty=1", "--allow-empty")
}

fn export_ipset(config: &Config, wanted: &ExportIpset) -> Result<(), Failure> {
    let target = ipset_target(wanted);
    if let Some(answer) = control::request(&config.db, &target).map_err(Failure::Node)? {
        return pass_on(answer);
    }
    if !config.db.exists() {
        return Err(Failure::NoNode(config.db.display().to_string()));
    }
    let response = from_database(config, &target)?;
    let ok = (200..300).contains(&response.status);
    let bytes = response.body.into_bytes();
    if ok { print(&bytes) } else { Err(Failure::Refused(refusal_text(&bytes))) }
}

/// The path and query that asks for what the command line says.
fn ipset_target(wanted: &ExportIpset) -> String {
    let mut target = format!("/ip-addresses/ipset?document={}", wanted.document.name());
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            target.push_str(&format!("&{name}={value}"));
        }
    };
    add("family", wanted.family.map(|family| family.name().to_owned()));
    let encoded = |name: &String| utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
    add("set", wanted.set.as_ref().map(encoded));
    add("timeout", wanted.timeout_s.map(|seconds| seconds.to_string()));
    add("min_verification", wanted.min_verification.map(|level| level.name().to_owned()));
    add("allow_empty", wanted.allow_empty.then(|| "1".to_owned()));
    target
}

/// Opens the database of a node that does not run, and answers from it.
fn from_database(config: &Config, target: &str) -> Result<Response, Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::Refused(error.to_string());
    let identity = identity::load_or_create(&config.db).map_err(|e| refused(&e))?;
    let (shards, writer_end) = intake::channel(1);
    let (store, thread) = storage::start(context::storage_options(config, &identity), writer_end);
    let deadline = Instant::now() + Duration::from_millis(EXPORT_OPEN_MS);
    while store.snapshot().is_none()
        && !matches!(store.phase(), Phase::Failed | Phase::Stopped)
        && Instant::now() < deadline
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    let response = store.snapshot().map(|_| {
        let context = context::for_export(config, store.clone());
        control::ask(&context, target)
    });
    drop(shards);
    thread.join().map_err(|e| refused(&e))?;
    response.ok_or_else(|| {
        Failure::Refused(format!(
            "{}: the database was not ready within {} s",
            config.db.display(),
            EXPORT_OPEN_MS / 1_000
        ))
    })
}
