//! `export events`: the log, into a file or to standard output.
//!
//! The command asks for some events at a time and renders them itself, so the node needs no more memory
//! than for these, knows no formats, and a slow disk or reader holds up nothing. Events that come
//! after it has begun are not in it; what retention takes before its turn is not, either.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sentrypeer_archive::export::{ExportError, Format, Writer};
use sentrypeer_storage::event::{Seq, Time};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::identity::{self, beside};

use super::Failure;
use super::keeper::Keeper;
use super::terminal::Escaping;
use crate::config::{Config, ExportEvents};
use crate::context::VERSION;
use crate::control::documents::Events;
use crate::control::order::Order;
use crate::limits::EXPORT_BUFFER_BYTES;

pub(super) fn run(config: &Config, wanted: &ExportEvents) -> Result<(), Failure> {
    let keeper = Keeper::of(config)?;
    let exported = export(config, wanted, &keeper);
    let closed = keeper.close();
    let exported = exported?;
    closed?;
    eprintln!("sentrypeer: {} events were written", exported.events);
    if exported.damaged > 0 {
        eprintln!("sentrypeer: {} events are damaged and left out", exported.damaged);
    }
    Ok(())
}

struct Exported {
    events: u64,
    damaged: u64,
}

fn export(config: &Config, wanted: &ExportEvents, keeper: &Keeper) -> Result<Exported, Failure> {
    let target = Target::open(config, wanted)?;
    let now = Time::now();
    let since = wanted.since.map_or(Time(0), |when| when.time(now));
    let until = wanted.until.map_or(Time(u64::MAX), |when| when.time(now));
    let mut writer = target.writer;
    let (mut at, mut end, mut damaged) = (Seq(0), None, 0);
    loop {
        let document = keeper.carry_out(Order::Events { after: at })?;
        let some = Events::decode(&document).map_err(Failure::refused)?;
        let end = *end.get_or_insert(some.last);
        damaged += some.damaged;
        let Some(last) = some.events.last() else { break };
        at = last.seq;
        let fit = |time: Time| since <= time && time < until;
        for event in some.events.iter().filter(|event| fit(event.time) && event.seq <= end) {
            writer.write(event).map_err(failed)?;
        }
        if at >= end {
            break;
        }
    }
    let events = writer.finish().map_err(failed)?;
    target.file.map_or(Ok(()), FileTarget::keep)?;
    Ok(Exported { events, damaged })
}

/// A reader that has had enough is none of our failures.
fn failed(error: ExportError) -> Failure {
    match error {
        ExportError::Io(error) => Failure::Output(error),
        other => Failure::refused(other),
    }
}

/// Where the events go.
struct Target {
    writer: Writer<Box<dyn Write>>,
    file: Option<FileTarget>,
}

impl Target {
    fn open(config: &Config, wanted: &ExportEvents) -> Result<Self, Failure> {
        let identity = identity::load_or_create(&config.db).map_err(Failure::refused)?;
        let (app_name, app_version) = ("sentrypeer".into(), VERSION.into());
        let producer = Producer { app_name, app_version, node_id: identity.node_id };
        let (out, file): (Box<dyn Write>, _) = match &wanted.output {
            Some(path) if wanted.format == Format::Sqlite => {
                return Ok(Self { writer: sqlite(path, producer)?, file: None });
            }
            Some(path) => {
                let (out, file) = FileTarget::create(path)?;
                (Box::new(out), Some(file))
            }
            None if wanted.format == Format::Json && io::stdout().is_terminal() => {
                (Box::new(Escaping::new(io::stdout())), None)
            }
            None => (Box::new(io::stdout()), None),
        };
        let out: Box<dyn Write> = Box::new(BufWriter::with_capacity(EXPORT_BUFFER_BYTES, out));
        let writer = Writer::new(wanted.format, out, producer).map_err(|error| match error {
            ExportError::NeedsFile => Failure::refused(format!("{error}; name one with --output")),
            other => failed(other),
        })?;
        Ok(Self { writer, file })
    }
}

#[cfg(feature = "sqlite")]
fn sqlite(path: &Path, producer: Producer) -> Result<Writer<Box<dyn Write>>, Failure> {
    // SQLite would let everybody read a file that it makes, and takes an empty one for a new one.
    if !path.exists() {
        create(path).map_err(|error| refused(path, &error))?;
    }
    Writer::sqlite(path, Default::default(), producer).map_err(failed)
}

/// Says that this program was built without it.
#[cfg(not(feature = "sqlite"))]
fn sqlite(_: &Path, producer: Producer) -> Result<Writer<Box<dyn Write>>, Failure> {
    Writer::new(Format::Sqlite, Box::new(io::sink()) as Box<dyn Write>, producer).map_err(failed)
}

/// Who called whom is nobody else's business.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    let remedy = "name a file that does not exist, in a folder that does";
    Failure::Refused(format!("{}: cannot be written ({error}); {remedy}", path.display()))
}

/// A file that gets its name when it is whole. What is there already stays.
struct FileTarget {
    partial: PathBuf,
    path: PathBuf,
}

impl FileTarget {
    fn create(path: &Path) -> Result<(File, Self), Failure> {
        if path.exists() {
            return Err(refused(path, &io::ErrorKind::AlreadyExists.into()));
        }
        let partial = beside(path, &format!("partial-{}", std::process::id()));
        let file = create(&partial).map_err(|error| refused(path, &error))?;
        Ok((file, Self { partial, path: path.to_owned() }))
    }

    fn keep(self) -> Result<(), Failure> {
        // Other than a rename this does not overwrite.
        std::fs::hard_link(&self.partial, &self.path).map_err(Failure::Output)
    }
}

impl Drop for FileTarget {
    fn drop(&mut self) {
        // After a success this name is one too many, after a failure it should not stay.
        let _ = std::fs::remove_file(&self.partial);
    }
}
