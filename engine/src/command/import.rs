//! `import`: the events of a file, some at a time, to the node that runs or into its database.

use std::fs::File;
use std::hash::Hasher;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sentrypeer_archive::import::{self, ImportError, Options, Origin};
use sentrypeer_storage::import::{Import, Imported};
use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::Failure;
use super::database::Table;
use super::keeper::Keeper;
use super::progress::Progress;
use super::source::{self, Database, Source};
use crate::config::{self, Config};
use crate::control::order::Order;
use crate::limits::IMPORT_HEAD_BYTES;

pub(super) fn run(config: &Config, wanted: &config::Import) -> Result<(), Failure> {
    let name = name(&wanted.file).map_err(|error| unreadable(&wanted.file, &error))?;
    let keeper = Keeper::of_or_new(config)?;
    let imported = from_file(config, wanted, &keeper, name);
    let closed = keeper.close();
    imported.and(closed)
}

fn from_file(
    config: &Config,
    wanted: &config::Import,
    keeper: &Keeper,
    name: String,
) -> Result<(), Failure> {
    let after = place(keeper, &name, wanted)?;
    let origin = if wanted.own { Origin::Own } else { Origin::Unknown };
    let options = Options { after, zone: wanted.zone.clone(), origin };
    let file = match import::open(&wanted.file, &options) {
        Ok(file) => file,
        Err(ImportError::OwnDatabase { .. }) => return from_database(config, wanted, keeper),
        Err(error) => return Err(source::refused(&error)),
    };
    if let Some(zone) = file.zone_instead() {
        eprintln!(
            "sentrypeer: warning: the times of {} seem to be in the zone {zone}, not {}; if so, \
             stop this and name it with --zone",
            wanted.file.display(),
            wanted.zone
        );
    }
    Run { keeper, name, after }.all(wanted, Source::File(Box::new(file)))
}

/// Its id tells a database better than where its file is.
fn from_database(config: &Config, wanted: &config::Import, keeper: &Keeper) -> Result<(), Failure> {
    let id = Database::id(&wanted.file)?;
    if keeper.json(Order::Stats)?["database_id"] == id.to_string() {
        return Err(Failure::Refused(format!(
            "{}: this is the database itself or a backup of it; to go back to it, stop the node and \
             put it in place of {}",
            wanted.file.display(),
            config.db.display()
        )));
    }
    let name = format!("database-{id}");
    let after = place(keeper, &name, wanted)?;
    let database = Database::open(&wanted.file, id, &config.db, after)?;
    Run { keeper, name, after }.all(wanted, Source::Database(Box::new(database)))
}

/// How far an earlier import of this name has come.
fn place(keeper: &Keeper, name: &str, wanted: &config::Import) -> Result<u64, Failure> {
    if wanted.again {
        return Ok(0);
    }
    let place = keeper.json(Order::ImportPlace(name.to_owned()))?;
    Ok(place["place"].as_u64().unwrap_or(0))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Refused(format!("{}: cannot be read ({error})", path.display()))
}

/// What an import of this file is called, so that the next one goes on where it was: a hash of where
/// the file is (device and inode) and of its first bytes. A log that grows stays the same; one that was
/// rotated away, or overwritten, is another, and read from its beginning.
fn name(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    let mut head = Vec::new();
    file.take(IMPORT_HEAD_BYTES as u64).read_to_end(&mut head)?;
    let first_line = match head.starts_with(b"SQLite format 3\0") {
        // SQLite counts changes and pages there (file format, 1.3).
        true => {
            head.get_mut(24..100).into_iter().for_each(|counters| counters.fill(0));
            head.as_slice()
        }
        // The line is whole from its first second on, what is behind it comes later.
        false => head.split(|byte| *byte == b'\n').next().unwrap_or_default(),
    };
    let mut hasher = SipHasher13::new();
    hasher.write_u64(found.dev());
    hasher.write_u64(found.ino());
    hasher.write(first_line);
    Ok(format!("file-{:032x}", hasher.finish128().as_u128()))
}

/// An import under way.
struct Run<'a> {
    keeper: &'a Keeper,
    name: String,
    after: u64,
}

impl Run<'_> {
    fn all(&self, wanted: &config::Import, mut source: Source) -> Result<(), Failure> {
        if self.after > 0 {
            eprintln!(
                "sentrypeer: going on where an earlier import of this file was (--again begins anew)"
            );
        }
        let mut done = Imported::default();
        let progress = Progress::begin(&wanted.file.display().to_string());
        let ended = self.batches(&mut source, &mut done, &progress);
        drop(progress);
        // What was taken before it failed is there.
        table(wanted, &source, &done).print()?;
        ended?;
        source.finish()
    }

    fn batches(
        &self,
        source: &mut Source,
        done: &mut Imported,
        progress: &Progress,
    ) -> Result<(), Failure> {
        while let Some(batch) = source.batch()? {
            let (name, place) = (self.name.clone(), batch.place);
            let import = Import { name, place, events: batch.events };
            let told = self.keeper.json(Order::Import(import))?;
            done.add(imported(&told));
            let (read, all) = source.progress();
            progress.at(read, all, done.taken);
        }
        Ok(())
    }
}

fn imported(told: &Value) -> Imported {
    let count = |key: &str| told[key].as_u64().unwrap_or(0);
    Imported {
        taken: count("taken"),
        known: count("known"),
        too_old: count("too_old"),
        in_future: count("in_future"),
    }
}

fn table(wanted: &config::Import, source: &Source, done: &Imported) -> Table {
    let (read, cut, skipped) = source.so_far();
    let mut table = Table::default();
    table.row("file", wanted.file.display());
    table.row("format", source.format());
    table.row("read", format_args!("{read} events"));
    table.row("taken", done.taken);
    table.row("known", format_args!("{} were there already", done.known));
    table.row("too old", format_args!("{} are older than events are kept", done.too_old));
    table.row("in future", format_args!("{} are later than now", done.in_future));
    table.row("skipped", skipped);
    if cut > 0 {
        table.row("cut", format_args!("{cut} had a text that was too long"));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_grows_keeps_its_name_and_another_has_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.json");
        std::fs::write(&path, "{\"a\":1}\n").unwrap();
        let first = name(&path).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&b"{\"a\":2}\n".repeat(4_000)).unwrap();
        assert_eq!(name(&path).unwrap(), first);
        std::fs::write(&path, "{\"a\":3}\n").unwrap();
        assert_ne!(name(&path).unwrap(), first, "it was overwritten");
        let other = folder.path().join("other.json");
        std::fs::write(&other, "{\"a\":1}\n").unwrap();
        assert_ne!(name(&other).unwrap(), first, "it is another file");
    }

    #[test]
    fn what_sqlite_counts_in_a_file_does_not_change_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let mut bytes = b"SQLite format 3\0".to_vec();
        bytes.resize(5_000, 7);
        std::fs::write(&path, &bytes).unwrap();
        let first = name(&path).unwrap();
        bytes[24] = 8;
        bytes[99] = 8;
        bytes[4_999] = 8;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(name(&path).unwrap(), first);
        bytes[100] = 8;
        std::fs::write(&path, &bytes).unwrap();
        assert_ne!(name(&path).unwrap(), first);
    }
}
