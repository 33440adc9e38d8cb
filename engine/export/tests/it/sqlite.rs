//! The SQLite file.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sentrypeer_export::output::Receiver;
use sentrypeer_export::sqlite::Settings;
use sentrypeer_export::status::State;
use sentrypeer_storage::event::{EventRef, Time};

use crate::harness::{NODE_ID, Node, SmallDisk, event, message, repeats, status, wait_for};

pub fn to(path: PathBuf) -> Receiver {
    Receiver::Sqlite(Settings { path, node_id: NODE_ID, with_port: false })
}

pub fn ids(path: &Path) -> Vec<String> {
    let file = Connection::open(path).unwrap();
    let mut query = file.prepare("SELECT event_uuid FROM honey ORDER BY honey_id").unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn every_event_is_a_row_once_also_after_a_restart_and_a_reset() {
    let mut node = Node::new();
    let path = node.path("honey.db");
    node.record(2_000);
    let outputs = node.start(to(path.clone()));
    node.await_cursor(&outputs);
    node.stop(outputs);
    let mut node = node.restart();
    node.record(500);
    let outputs = node.start(to(path.clone()));
    node.await_cursor(&outputs);
    let sent = status(&outputs).sent;
    outputs.get("out").unwrap().reset(sentrypeer_storage::cursor::Begin::Oldest);
    wait_for("the second run", || status(&outputs).sent >= sent + 2_500);
    assert_eq!(repeats(&node.ids(), &ids(&path)), 0);
}

#[test]
fn a_file_that_was_put_back_or_taken_away_is_brought_up_to_date() {
    let mut node = Node::new();
    let (path, old) = (node.path("honey.db"), node.path("old.db"));
    node.record(100);
    let outputs = node.start(to(path.clone()));
    node.await_cursor(&outputs);
    node.stop(outputs);
    std::fs::copy(&path, &old).unwrap();
    let outputs = node.start(to(path.clone()));
    node.record(300);
    node.await_cursor(&outputs);
    node.stop(outputs);
    // As after a loss of power that took the file's last transactions: our cursor is ahead of it.
    std::fs::rename(&old, &path).unwrap();
    let outputs = node.start(to(path.clone()));
    wait_for("the rows", || ids(&path).len() == 400);
    assert_eq!(repeats(&node.ids(), &ids(&path)), 0);
    node.await_cursor(&outputs);
    std::fs::rename(&path, node.path("away.db")).unwrap();
    outputs.reopen();
    wait_for("the new file", || path.exists() && status(&outputs).sent >= 700);
    assert_eq!(repeats(&node.ids(), &ids(&path)), 0);
}

#[test]
fn a_locked_file_and_a_full_disk_stop_the_cursor_and_nothing_is_missing_afterwards() {
    let Some(disk) = SmallDisk::new(2 * 1024 * 1024) else { return };
    let mut node = Node::new();
    let path = disk.0.path().join("honey.db");
    node.record(50);
    let outputs = node.start(to(path.clone()));
    node.await_cursor(&outputs);
    let ballast = disk.0.path().join("ballast");
    assert!(std::fs::write(&ballast, vec![0; 4 * 1024 * 1024]).is_err());
    node.record(3_000);
    wait_for("the failure", || status(&outputs).failures > 0);
    assert_eq!(status(&outputs).state, State::Failing);
    std::fs::remove_file(&ballast).unwrap();
    node.await_cursor(&outputs);
    let failures = status(&outputs).failures;
    let lock = Connection::open(&path).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    node.record(10);
    wait_for("the lock's failure", || status(&outputs).failures > failures);
    lock.execute_batch("COMMIT").unwrap();
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &ids(&path)), 0);
}

#[test]
fn rows_expire_with_their_events() {
    let mut node = Node::new();
    let path = node.path("honey.db");
    let text = message(1);
    let week = 8 * 24 * 3600 * 1_000_000_000;
    for time in [Time::now(), Time::now().minus_ns(week), Time::now()] {
        node.push(&EventRef { time, ..event(1, &text) });
    }
    node.settle();
    let outputs = node.start(to(path.clone()));
    node.await_cursor(&outputs);
    node.stop(outputs);
    let outputs = node.start(to(path.clone()));
    wait_for("the expiry", || ids(&path).len() == 2);
    assert_eq!(status(&outputs).failures, 0);
}
