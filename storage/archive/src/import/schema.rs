//! What an SQLite file must hold to be read.

use std::path::Path;

use rusqlite::Connection;

use super::ImportError;
use super::honey::failure;
use crate::limits::{PLAIN_BYTES_MAX, TEXT_BYTES_MAX};

/// The columns of the table in the order in which they are read, and the most bytes of each.
const COLUMNS: [(&str, usize); 11] = [
    ("event_uuid", PLAIN_BYTES_MAX),
    ("created_by_node_id", PLAIN_BYTES_MAX),
    ("event_timestamp", PLAIN_BYTES_MAX),
    ("created_at", PLAIN_BYTES_MAX),
    ("collected_method", PLAIN_BYTES_MAX),
    ("transport_type", PLAIN_BYTES_MAX),
    ("source_ip", PLAIN_BYTES_MAX),
    ("called_number", TEXT_BYTES_MAX),
    ("method", TEXT_BYTES_MAX),
    ("user_agent", TEXT_BYTES_MAX),
    ("sip_message", TEXT_BYTES_MAX),
];

/// Without these there is no event. Versions before 4 may lack others.
const NEEDED: [&str; 3] = ["event_uuid", "event_timestamp", "source_ip"];

/// The statement that reads rows of the table `honey`: `?1` is the least row number, `?2` the most
/// rows. Its first two columns are the row's number and whether a value is too long; a value that is
/// has NULL in its place, and SQLite does not read it.
///
/// # Errors
///
/// [`ImportError::Schema`] if `honey` is no plain table with the columns that are needed.
pub(super) fn select(connection: &Connection, path: &Path) -> Result<String, ImportError> {
    let wrong = |what: &str| ImportError::Schema { path: path.to_owned(), what: what.to_owned() };
    is_a_table(connection).map_err(|error| failure(path, 0, &error))?.map_err(wrong)?;
    let there = columns(connection).map_err(|error| failure(path, 0, &error))?;
    if there.iter().any(|column| column.generated) {
        return Err(wrong("its table honey computes columns, which SentryPeer's does not"));
    }
    if !there.iter().any(|column| column.name == "honey_id" && column.is_row_number()) {
        return Err(wrong("its table honey has no honey_id INTEGER PRIMARY KEY"));
    }
    let has = |name: &str| there.iter().any(|column| column.name == name);
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !has(name)).collect();
    if !missing.is_empty() {
        return Err(wrong(&format!("its table honey has no {}", missing.join(", no "))));
    }
    Ok(statement(has))
}

fn statement(has: impl Fn(&str) -> bool) -> String {
    let there = COLUMNS.into_iter().filter(|(name, _)| has(name));
    let long: Vec<String> =
        there.map(|(name, max)| format!("ifnull(octet_length({name}) > {max}, 0)")).collect();
    let values = COLUMNS.map(|(name, max)| match has(name) {
        true => format!("CASE WHEN octet_length({name}) <= {max} THEN {name} END"),
        false => "NULL".to_owned(),
    });
    format!(
        "SELECT honey_id, {}, {} FROM main.honey WHERE honey_id >= ?1 ORDER BY honey_id LIMIT ?2",
        long.join(" OR "),
        values.join(", ")
    )
}

/// A view or a virtual table runs what its author likes when it is read.
fn is_a_table(connection: &Connection) -> rusqlite::Result<Result<(), &'static str>> {
    let mut statement = connection.prepare("PRAGMA main.table_list(honey)")?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(Err("it has no table honey")) };
    let (kind, without_row_number): (String, bool) = (row.get("type")?, row.get("wr")?);
    Ok(match (kind.as_str(), without_row_number) {
        ("table", false) => Ok(()),
        _ => Err("its honey is no plain table"),
    })
}

struct Column {
    name: String,
    declared: String,
    key: bool,
    generated: bool,
}

impl Column {
    /// <https://www.sqlite.org/lang_createtable.html#rowid>: then it is the number of the row, and
    /// rows are stored in its order.
    fn is_row_number(&self) -> bool {
        self.key && self.declared.eq_ignore_ascii_case("INTEGER")
    }
}

fn columns(connection: &Connection) -> rusqlite::Result<Vec<Column>> {
    let mut statement = connection.prepare("PRAGMA main.table_xinfo(honey)")?;
    let columns = statement.query_map([], |row| {
        Ok(Column {
            name: row.get::<_, String>("name")?.to_ascii_lowercase(),
            declared: row.get("type")?,
            key: row.get::<_, i64>("pk")? == 1,
            generated: row.get::<_, i64>("hidden")? != 0,
        })
    })?;
    columns.collect()
}
