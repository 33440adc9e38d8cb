//! The JSON log.

use std::io::Write;
use std::path::{Path, PathBuf};

use sentrypeer_export::Outputs;
use sentrypeer_export::json_log::Settings;
use sentrypeer_export::line::{Clock, Format};
use sentrypeer_export::output::Receiver;
use sentrypeer_export::status::State;

use crate::harness::{Node, SmallDisk, ids_in, repeats, status, wait_for};

fn to(path: PathBuf) -> Receiver {
    Receiver::JsonLog(Settings { path, format: Format::SentryPeer, clock: Clock::Utc })
}

fn follow(node: &Node, outputs: &Outputs, path: &Path) {
    node.await_cursor(outputs);
    assert_eq!(repeats(&node.ids(), &ids_in(path)), 0);
}

#[test]
fn every_event_is_a_line_and_the_log_goes_on_after_a_restart() {
    let mut node = Node::new();
    let path = node.path("log");
    node.record(3_000);
    let outputs = node.start(to(path.clone()));
    follow(&node, &outputs, &path);
    node.record(10);
    follow(&node, &outputs, &path);
    let now = status(&outputs);
    assert_eq!((now.sent, now.lag_events, now.state), (3_010, 0, State::Running));
    node.stop(outputs);
    let mut node = node.restart();
    node.record(500);
    let outputs = node.start(to(path.clone()));
    follow(&node, &outputs, &path);
    assert_eq!(status(&outputs).sent, 500);
}

#[test]
fn a_torn_line_of_a_killed_process_is_cut_and_its_event_comes_whole() {
    let mut node = Node::new();
    let path = node.path("log");
    node.record(100);
    let outputs = node.start(to(path.clone()));
    follow(&node, &outputs, &path);
    // As after a kill: lines whose cursor was not stored, and a part of one.
    let again = std::fs::read_to_string(&path).unwrap();
    outputs.get("out").unwrap().pause();
    wait_for("the pause", || status(&outputs).state == State::Paused);
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&again.as_bytes()[..again.len() / 2 - 7]).unwrap();
    let whole = again[..again.len() / 2 - 7].matches('\n').count();
    outputs.reopen();
    outputs.get("out").unwrap().resume();
    node.record(50);
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &ids_in(&path)), whole);
}

#[test]
fn a_log_that_was_moved_or_removed_is_made_again_without_a_gap() {
    let mut node = Node::new();
    let path = node.path("log");
    let outputs = node.start(to(path.clone()));
    let mut found = Vec::new();
    for moved in ["log.1", "log.2", "log.3"] {
        node.record(200);
        node.await_cursor(&outputs);
        std::fs::rename(&path, node.path(moved)).unwrap();
        found.extend(ids_in(&node.path(moved)));
    }
    node.record(200);
    node.await_cursor(&outputs);
    found.extend(ids_in(&path));
    assert_eq!(repeats(&node.ids(), &found), 0);
    std::fs::remove_file(&path).unwrap();
    node.record(5);
    node.await_cursor(&outputs);
    assert_eq!(ids_in(&path).len(), 5);
}

#[test]
fn a_full_disk_stops_the_cursor_and_nothing_is_torn_or_missing_when_there_is_room_again() {
    let Some(disk) = SmallDisk::new(512 * 1024) else { return };
    let mut node = Node::new();
    let path = disk.0.path().join("log");
    node.record(100);
    let outputs = node.start(to(path.clone()));
    node.await_cursor(&outputs);
    let ballast = disk.0.path().join("ballast");
    let full = std::fs::write(&ballast, vec![0; 1024 * 1024]);
    assert!(full.is_err(), "the disk is not full");
    let at = status(&outputs).cursor;
    node.record(400);
    wait_for("the failure", || status(&outputs).failures >= 2);
    let now = status(&outputs);
    assert_eq!((now.cursor, now.state), (at, State::Failing));
    assert!(now.last_error.unwrap().text.contains("No space left"));
    assert_eq!(ids_in(&path).len(), 100, "no part of the batch is left");
    std::fs::remove_file(&ballast).unwrap();
    follow(&node, &outputs, &path);
    assert_eq!(status(&outputs).state, State::Running);
}

#[test]
fn a_log_may_be_a_device_and_a_file_of_another_kind_is_refused() {
    let mut node = Node::new();
    node.record(10);
    let outputs = node.start(to("/dev/null".into()));
    node.await_cursor(&outputs);
    drop(outputs);
    let path = node.path("key");
    std::fs::write(&path, "a key").unwrap();
    let outputs = node.start(to(path.clone()));
    node.record(1);
    wait_for("the failure", || status(&outputs).failures > 0);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a key");
}
