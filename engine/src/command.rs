//! The subcommands, which ask a running node or, where that makes sense, the database itself.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sentrypeer_http::exchange::Response;
use sentrypeer_storage::{self as storage, Phase, identity, intake};

use crate::config::{Command, Config, ConfigError, ExportIpset};
use crate::{context, control};

/// How long the replay of a database may take before an export gives up.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

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
        Command::Healthcheck => healthcheck(&config.db),
        Command::Status => from_node(&config.db, "/api/v1/status"),
        Command::ExportIpset(wanted) => export_ipset(config, wanted),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has had enough.
        Err(Failure::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sentrypeer: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}: no node runs on this database; start one, or name its database with --db")]
    NoNode(String),
    #[error("{0}")]
    Refused(String),
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(())
}

fn healthcheck(database: &Path) -> Result<(), Failure> {
    from_node(database, "/health-check")
}

fn from_node(database: &Path, target: &str) -> Result<(), Failure> {
    match control::request(database, target)? {
        Some(answer) => pass_on(answer),
        None => Err(Failure::NoNode(database.display().to_string())),
    }
}

/// Copies an answer to standard output, or an error's text into our own error.
fn pass_on(answer: control::Answer) -> Result<(), Failure> {
    if (200..300).contains(&answer.status) {
        let mut stdout = io::stdout().lock();
        answer.copy_to(&mut stdout)?;
        stdout.flush()?;
        return Ok(());
    }
    let mut text = Vec::new();
    answer.copy_to(&mut text)?;
    Err(Failure::Refused(String::from_utf8_lossy(&text).trim_end().to_owned()))
}

fn export_ipset(config: &Config, wanted: &ExportIpset) -> Result<(), Failure> {
    let target = ipset_target(wanted);
    if let Some(answer) = control::request(&config.db, &target)? {
        return pass_on(answer);
    }
    if !config.db.exists() {
        return Err(Failure::NoNode(config.db.display().to_string()));
    }
    let response = from_database(config, &target)?;
    let ok = (200..300).contains(&response.status);
    let bytes = response.body.into_bytes();
    if ok {
        print(&bytes)
    } else {
        Err(Failure::Refused(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
    }
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
    add("set", wanted.set.clone());
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
    let deadline = Instant::now() + OPEN_TIMEOUT;
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
            OPEN_TIMEOUT.as_secs()
        ))
    })
}
