//! SQLite files that we write.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use rusqlite::Connection;
use sentrypeer_archive::export::{ExportError, Format, Writer};
use sentrypeer_archive::honey::{Form, HoneyError, HoneyFile, Move, SourceForm};
use sentrypeer_archive::import::{self, Options};
use sentrypeer_storage::event::{
    METHOD_BYTES_MAX, NUMBER_BYTES_MAX, Seq, Time, USER_AGENT_BYTES_MAX,
};
use sentrypeer_storage::log::StoredEvent;
use tempfile::TempDir;

use crate::sqlite::SCHEMA;
use crate::support::{NODE, any_event, event, events, kept, producer, resumes_everywhere};

const FORM: Form = Form { node_id: NODE, source: SourceForm::Address };

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(path: &Path) -> HoneyFile {
    HoneyFile::open(path, FORM).unwrap()
}

fn export(path: &Path, events: &[StoredEvent]) {
    let mut writer: Writer<Vec<u8>> =
        Writer::sqlite(path, SourceForm::Address, producer()).unwrap();
    for event in events {
        writer.write(event).unwrap();
    }
    writer.finish().unwrap();
}

fn row(path: &Path) -> HashMap<String, String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT * FROM honey").unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let value = |row: &rusqlite::Row<'_>, n| match row.get_ref(n).unwrap() {
        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
        other => other.as_str().unwrap().to_owned(),
    };
    let row = |row: &rusqlite::Row<'_>| {
        Ok(names.iter().enumerate().map(|(n, name)| (name.clone(), value(row, n))).collect())
    };
    statement.query_row([], row).unwrap()
}

fn rows(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM honey", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_row_has_the_columns_and_forms_of_sentrypeer_4() {
    let folder = folder();
    let path = folder.path().join("out.db");
    let mut event = event(1);
    event.user_agent = b"".as_slice().into();
    event.message = b"a\0b\xff".as_slice().into();
    export(&path, &[event]);
    let expected = [
        ("honey_id", "1"),
        ("event_timestamp", "2026-11-23 23:52:37.000127100"),
        ("event_uuid", &crate::support::event(1).id.to_string()),
        ("collected_method", "responsive"),
        ("source_ip", "203.0.113.1"),
        ("called_number", "+46500729221"),
        ("transport_type", "UDP"),
        ("method", "INVITE"),
        ("user_agent", "NOT_FOUND"),
        ("sip_message", "a\u{fffd}b\u{fffd}"),
        ("created_by_node_id", "7c1a3c52-5f0e-4a39-9d2b-6e0f4f1b8a10"),
        ("created_at", "2026-11-23 23:52:37.000"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(row(&path), HashMap::from(expected));
}

#[test]
fn the_table_is_that_of_sentrypeer_4_and_has_its_indexes() {
    let folder = folder();
    let (ours, theirs) = (folder.path().join("ours.db"), folder.path().join("theirs.db"));
    export(&ours, &[]);
    Connection::open(&theirs).unwrap().execute_batch(SCHEMA).unwrap();
    let columns = |path: &Path| -> Vec<(i64, String, String, i64)> {
        let connection = Connection::open(path).unwrap();
        let mut statement = connection.prepare("PRAGMA table_info(honey)").unwrap();
        let row =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(5)?));
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(columns(&ours), columns(&theirs));
    let indexes = |path: &Path| -> Vec<String> {
        let connection = Connection::open(path).unwrap();
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert!(indexes(&theirs).iter().all(|index| indexes(&ours).contains(index)));
    assert_eq!(indexes(&theirs).len(), 3);
}

#[test]
fn the_port_is_there_if_it_is_asked_for() {
    let folder = folder();
    let path = folder.path().join("out.db");
    let form = Form { source: SourceForm::AddressAndPort, ..FORM };
    let mut file = HoneyFile::open(&path, form).unwrap();
    file.append(&[event(1)], None).unwrap();
    assert_eq!(row(&path)["source_ip"], "203.0.113.1:5066");
}

#[test]
fn an_export_is_one_file_and_can_be_added_to_without_doubling() {
    let folder = folder();
    let path = folder.path().join("out.db");
    let all: Vec<StoredEvent> = (1..=10_000).map(event).collect();
    export(&path, &all[..6000]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    export(&path, &all[3000..]);
    assert_eq!(rows(&path), 10_000);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_export_into_a_file_that_is_being_written_is_in_it() {
    let folder = folder();
    let path = folder.path().join("live.db");
    let mut live = open(&path);
    live.append(&[event(1)], None).unwrap();
    export(&path, &[event(2)]);
    assert_eq!(live.append(&[event(2), event(3)], None).unwrap(), 1);
    assert_eq!(rows(&path), 3);
}

#[test]
fn other_files_are_refused_and_left_as_they_are() {
    let folder = folder();
    let path = folder.path().join("other");
    let refuse = |make: &dyn Fn(&Path)| {
        let _ = fs::remove_file(&path);
        make(&path);
        let before = fs::read(&path).unwrap();
        let error = HoneyFile::open(&path, FORM).unwrap_err();
        assert!(fs::read(&path).unwrap() == before, "{error}");
        let writer = Writer::<Vec<u8>>::sqlite(&path, SourceForm::Address, producer());
        assert!(matches!(writer, Err(ExportError::Sqlite(_))));
        error
    };
    let sql = |sql: &str| {
        let sql = sql.to_owned();
        move |path: &Path| Connection::open(path).unwrap().execute_batch(&sql).unwrap()
    };
    assert!(matches!(refuse(&sql(SCHEMA)), HoneyError::SentryPeer4 { .. }));
    assert!(matches!(refuse(&sql("CREATE TABLE bees (id)")), HoneyError::Foreign { .. }));
    let other = sql("PRAGMA application_id = 7; CREATE TABLE honey (id)");
    assert!(matches!(refuse(&other), HoneyError::Foreign { .. }));
    let text = |path: &Path| fs::write(path, "a letter to my aunt".repeat(100)).unwrap();
    assert!(matches!(refuse(&text), HoneyError::Foreign { .. }));
    let short = |path: &Path| fs::write(path, "a letter to my aunt").unwrap();
    assert!(matches!(refuse(&short), HoneyError::Foreign { .. }));
    let later = |path: &Path| {
        export(path, &[]);
        sql("PRAGMA user_version = 2")(path);
    };
    assert!(matches!(refuse(&later), HoneyError::Later { .. }));
}

#[test]
fn a_file_without_tables_is_made_anew() {
    let folder = folder();
    let path = folder.path().join("new.db");
    fs::write(&path, "").unwrap();
    export(&path, &[event(1)]);
    assert_eq!(rows(&path), 1);
}

#[test]
fn events_and_the_cursor_are_there_together_or_not_at_all() {
    let folder = folder();
    let path = folder.path().join("live.db");
    let mut file = open(&path);
    assert_eq!(file.cursor("live").unwrap(), None);
    let move_to = |seq| Some(Move { name: "live", to: Seq(seq) });
    assert_eq!(file.append(&[event(1), event(2)], move_to(2)).unwrap(), 2);
    assert_eq!(file.append(&[], move_to(5)).unwrap(), 0);
    drop(file);
    let mut file = open(&path);
    assert_eq!(file.cursor("live").unwrap(), Some(Seq(5)));
    assert_eq!(file.cursor("other").unwrap(), None);

    // A transaction that fails at its end leaves neither.
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER full BEFORE UPDATE ON sentrypeer_cursor BEGIN SELECT raise(ABORT, 'x'); END",
        )
        .unwrap();
    assert!(file.append(&[event(3)], move_to(6)).is_err());
    assert_eq!((rows(&path), file.cursor("live").unwrap()), (2, Some(Seq(5))));
    other.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(file.append(&[event(3)], move_to(6)).unwrap(), 1);
}

#[test]
fn an_event_that_is_there_is_not_added_again() {
    let folder = folder();
    let path = folder.path().join("live.db");
    let mut file = open(&path);
    assert_eq!(file.append(&[event(1), event(2), event(1)], None).unwrap(), 2);
    assert_eq!(file.append(&[event(2), event(3)], None).unwrap(), 1);
    assert_eq!(rows(&path), 3);
}

#[test]
fn the_oldest_events_are_removed_in_bounded_steps() {
    let folder = folder();
    let path = folder.path().join("live.db");
    let mut file = open(&path);
    // The log is in the order of arrival, which a clock that was set may have mixed up.
    let order = [5, 1, 9, 3, 7, 2, 8, 4, 6, 10];
    file.append(&order.map(event), None).unwrap();
    let limit = event(7).time;
    assert_eq!(file.remove_before(limit, 4).unwrap(), 4);
    assert_eq!(file.remove_before(limit, 4).unwrap(), 2);
    assert_eq!(file.remove_before(limit, 4).unwrap(), 0);
    let left: Vec<Time> = events(&path, &Options::default()).iter().map(|e| e.time).collect();
    assert_eq!(left, [9, 7, 8, 10].map(|seq| event(seq).time));
}

#[test]
fn a_reader_and_the_writer_do_not_wait_for_each_other() {
    let folder = folder();
    let path = folder.path().join("live.db");
    let mut file = open(&path);
    file.append(&[event(1)], None).unwrap();
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM honey").unwrap();
    file.append(&[event(2)], None).unwrap();
    assert_eq!(reader.query_row("SELECT count(*) FROM honey", [], |r| r.get(0)), Ok(1));
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(reader.query_row("SELECT count(*) FROM honey", [], |r| r.get(0)), Ok(2));
}

#[test]
fn a_file_that_somebody_else_writes_to_says_that_it_is_locked() {
    let folder = folder();
    let path = folder.path().join("live.db");
    let mut file = open(&path);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(file.append(&[event(1)], None), Err(HoneyError::Locked { .. })));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(file.append(&[event(1)], None).unwrap(), 1);
}

#[test]
fn a_file_that_was_taken_away_says_so_and_can_be_made_anew() {
    let folder = folder();
    let path = folder.path().join("live.db");
    let mut file = open(&path);
    let cursor = Some(Move { name: "live", to: Seq(1) });
    file.append(&[event(1)], cursor).unwrap();
    fs::rename(&path, folder.path().join("yesterday.db")).unwrap();
    assert!(matches!(file.append(&[event(2)], cursor), Err(HoneyError::Gone { .. })));
    assert!(matches!(file.remove_before(event(9).time, 1), Err(HoneyError::Gone { .. })));
    // Another file of that name is not ours either.
    fs::write(&path, "").unwrap();
    assert!(matches!(file.append(&[event(2)], cursor), Err(HoneyError::Gone { .. })));
    drop(file);
    let mut file = open(&path);
    assert_eq!(file.cursor("live").unwrap(), None);
    assert_eq!(file.append(&[event(1), event(2)], cursor).unwrap(), 2);
}

#[test]
fn what_we_write_is_read_in_utc_whatever_zone_is_given() {
    let folder = folder();
    let path = folder.path().join("out.db");
    export(&path, &[event(1)]);
    let options = Options { zone: "+05:00".parse().unwrap(), ..Options::default() };
    assert_eq!(import::open(&path, &options).unwrap().format(), import::Format::Honey);
    assert_eq!(events(&path, &options)[0].time, event(1).time);
}

#[test]
fn an_export_is_read_on_from_every_place() {
    let folder = folder();
    let path = folder.path().join("out.db");
    export(&path, &(1..300).map(event).collect::<Vec<_>>());
    resumes_everywhere(&path, &Options::default());
}

#[test]
fn sqlite_needs_a_file() {
    let error = Writer::new(Format::Sqlite, Vec::new(), producer()).err().unwrap();
    assert!(matches!(error, ExportError::NeedsFile));
}

/// Run by the next test, which kills it.
#[test]
#[ignore = "writes for ever to the file that ARCHIVE_HONEY names"]
fn writes_until_it_is_killed() {
    let path = std::env::var_os("ARCHIVE_HONEY").unwrap();
    let mut file = open(path.as_ref());
    let first = file.cursor("live").unwrap().unwrap_or_default().0 + 1;
    for batch in 0.. {
        let events: Vec<StoredEvent> = (0..50).map(|n| event(first + batch * 50 + n)).collect();
        let to = events.last().unwrap().seq;
        file.append(&events, Some(Move { name: "live", to })).unwrap();
    }
}

#[test]
fn a_writer_that_is_killed_leaves_exactly_what_its_cursor_says() {
    let folder = folder();
    let path = folder.path().join("live.db");
    let mut before = 0;
    for _ in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "honey::writes_until_it_is_killed", "--ignored"])
            .env("ARCHIVE_HONEY", &path)
            .spawn()
            .unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let seen = || {
            let connection = Connection::open(&path).ok()?;
            let sql = "SELECT seq FROM sentrypeer_cursor";
            connection.query_row(sql, [], |row| row.get::<_, i64>(0)).ok()
        };
        while seen().is_none_or(|seq| seq < before + 200) {
            assert!(std::time::Instant::now() < deadline, "the writer does not write");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let file = open(&path);
        let cursor = file.cursor("live").unwrap().unwrap().0.cast_signed();
        assert!(cursor >= before + 200);
        assert_eq!(rows(&path), cursor);
        before = cursor;
    }
    let ids: Vec<_> = events(&path, &Options::default()).iter().map(|event| event.id).collect();
    assert!(ids.into_iter().eq((1..=before.cast_unsigned()).map(|seq| event(seq).id)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What the table keeps of an event comes back from it.
    #[test]
    fn what_the_table_keeps_comes_back(event in any_event()) {
        prop_assume!(!event.source.ip().is_unspecified());
        let folder = folder();
        let path = folder.path().join("out.db");
        export(&path, std::slice::from_ref(&event));
        let back = &events(&path, &Options::default())[0];
        prop_assert_eq!(back.id, event.id);
        prop_assert_eq!(back.created_by_node_id, Some(NODE));
        prop_assert_eq!(back.time, event.time);
        prop_assert_eq!(back.source.ip(), event.source.ip());
        prop_assert_eq!(back.transport, event.transport);
        prop_assert_eq!(back.collected, event.collected);
        let kept = |bytes: &[u8], max| {
            let text = String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
            kept(text.as_bytes(), max)
        };
        prop_assert_eq!(&*back.method, kept(&event.method, METHOD_BYTES_MAX));
        prop_assert_eq!(&*back.number, kept(&event.number, NUMBER_BYTES_MAX));
        prop_assert_eq!(&*back.user_agent, kept(&event.user_agent, USER_AGENT_BYTES_MAX));
        prop_assert_eq!(&*back.message, kept(&event.message, usize::MAX));
    }
}
