//! `db`: what is in the database, whether it is sound, a copy of it, a smaller file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sentrypeer_storage::maintain;
use serde_json::Value;

use super::keeper::Keeper;
use super::{Failure, print};
use crate::config::{Config, Db};
use crate::control::order::Order;
use crate::control::{self, documents};

pub(super) fn run(config: &Config, wanted: &Db) -> Result<(), Failure> {
    match wanted {
        Db::Stats { json } => stats(config, *json),
        Db::Check { file, json } => check(file.as_deref().unwrap_or(&config.db), *json),
        Db::Compact => compact(&config.db),
        Db::Backup { file } => backup(config, file),
    }
}

fn stats(config: &Config, json: bool) -> Result<(), Failure> {
    let stats = if is_served(&config.db)? {
        Keeper::Node(config.db.clone()).json(Order::Stats)?
    } else {
        documents::stats(&maintain::stats(&config.db).map_err(Failure::refused)?)
    };
    if json {
        return print_json(&stats);
    }
    let mut table = Table::default();
    table.row("file", config.db.display());
    table.row(
        "database",
        format_args!("{}, schema {}", text(&stats, "/database_id"), text(&stats, "/schema")),
    );
    match stats["earliest"].as_str() {
        Some(earliest) => {
            let (first, last) = (text(&stats, "/first"), text(&stats, "/last"));
            table.row("events", format_args!("{first} to {last}, since {earliest}"));
        }
        None => table.row("events", "none"),
    }
    let (packed, raw) = (bytes(&stats, "log_bytes"), bytes(&stats, "raw_bytes"));
    let blocks = text(&stats, "/blocks");
    table.row("blocks", format_args!("{blocks}, {packed} in the file, {raw} before packing"));
    table.row("rows", rows(&stats["rows"]));
    table.row("hours", text(&stats, "/hours"));
    table.row("last stored", text(&stats, "/stored"));
    table.print()
}

fn check(database: &Path, json: bool) -> Result<(), Failure> {
    refuse_while_served(database, "check")?;
    let checked = maintain::check(database).map_err(Failure::refused)?;
    let document = documents::checked(&checked);
    if json {
        print_json(&document)?;
    } else {
        check_table(database, &document).print()?;
    }
    if checked.is_sound() { Ok(()) } else { Err(Failure::Unsound(database.display().to_string())) }
}

fn check_table(database: &Path, document: &Value) -> Table {
    let mut table = Table::default();
    table.row("file", database.display());
    table.row("pages", if document["pages_are_sound"] == true { "sound" } else { "damaged" });
    let (first, last) = (text(document, "/first"), text(document, "/last"));
    table.row("events", format_args!("{} counted ({first} to {last})", text(document, "/events")));
    table.row("rows", rows(&document["rows"]));
    let faults = document["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
    for fault in faults {
        table.row("fault", fault.as_str().unwrap_or_default());
    }
    if document["sound"] == true {
        table.row("found", "nothing wrong");
    }
    table
}

fn compact(database: &Path) -> Result<(), Failure> {
    refuse_while_served(database, "compact")?;
    let (before, after) = maintain::compact(database).map_err(Failure::refused)?;
    let mut table = Table::default();
    table.row("file", database.display());
    table.row("before", Bytes(before));
    table.row("after", Bytes(after));
    table.print()
}

fn backup(config: &Config, file: &Path) -> Result<(), Failure> {
    // The node's working folder may be another one than ours.
    let target: PathBuf = std::path::absolute(file).map_err(Failure::refused)?;
    let bytes = if is_served(&config.db)? {
        let answer = Keeper::Node(config.db.clone()).json(Order::Backup(target.clone()))?;
        answer["bytes"].as_u64().unwrap_or(0)
    } else {
        maintain::backup(&config.db, &target).map_err(Failure::refused)?
    };
    let mut table = Table::default();
    table.row("copied", config.db.display());
    table.row("to", target.display());
    table.row("size", Bytes(bytes));
    table.print()
}

fn is_served(database: &Path) -> Result<bool, Failure> {
    control::is_served(database).map_err(Failure::Node)
}

/// What reads or changes all of a file does so alone.
fn refuse_while_served(database: &Path, what: &str) -> Result<(), Failure> {
    if !is_served(database)? {
        return Ok(());
    }
    let (socket, database) = (control::socket_path(database), database.display());
    let way_out = match what {
        "check" => ", or check a copy: \"sentrypeer db backup FILE\", \"sentrypeer db check FILE\"",
        _ => "",
    };
    Err(Failure::Refused(format!(
        "{database}: a node runs on this database ({}); stop it first{way_out}",
        socket.display()
    )))
}

fn print_json(value: &Value) -> Result<(), Failure> {
    print(format!("{value}\n").as_bytes())
}

/// A number or a text of a document, as people read it.
fn text(document: &Value, pointer: &str) -> String {
    match document.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

fn rows(rows: &Value) -> String {
    let of = |table| text(rows, table);
    let (sources, numbers, agents) = (of("/sources"), of("/numbers"), of("/user_agents"));
    format!("sources {sources}, numbers {numbers}, user agents {agents}")
}

fn bytes(document: &Value, key: &str) -> Bytes {
    Bytes(document[key].as_u64().unwrap_or(0))
}

/// A number of bytes, in the largest unit that fits.
pub(super) struct Bytes(pub(super) u64);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let fitting = units.iter().find(|(_, bits)| self.0 >= 1 << bits);
        match fitting {
            Some((unit, bits)) => write!(f, "{:.1} {unit}", self.0 as f64 / f64::from(1 << bits)),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// Lines of a word and what there is to say of it, one below the other.
#[derive(Default)]
pub(super) struct Table(String);

impl Table {
    pub(super) fn row(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{name:<12} {value}");
    }

    pub(super) fn print(&self) -> Result<(), Failure> {
        print(self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_a_line_and_a_sound_database_says_so() {
        let rows = serde_json::json!({ "sources": 1, "numbers": 2, "user_agents": 3 });
        let mut document = serde_json::json!({
            "sound": false, "pages_are_sound": true, "first": 1, "last": 9, "events": 9,
            "rows": rows, "faults": ["block 1: torn", "row x: 2 and should be 3"],
        });
        let Table(text) = check_table(Path::new("s.redb"), &document);
        assert!(text.contains("rows         sources 1, numbers 2, user agents 3\n"), "{text}");
        assert!(text.contains("fault        block 1: torn\nfault        row x: "), "{text}");
        assert!(!text.contains("nothing wrong"), "{text}");
        document["sound"] = Value::Bool(true);
        let Table(text) = check_table(Path::new("s.redb"), &document);
        assert!(text.ends_with("found        nothing wrong\n"), "{text}");
    }

    #[test]
    fn bytes_are_shown_in_a_unit_that_people_read() {
        let shown = [0, 1023, 1024, 1536, 5 << 20, 3 << 30].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(shown, ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3.0 GiB"]);
    }
}
