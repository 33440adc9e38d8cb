//! What can be ordered of an output.

use sentrypeer_export::StartError;
use sentrypeer_export::filter::Filter;
use sentrypeer_export::json_log::Settings as JsonLog;
use sentrypeer_export::line::{Clock, Format};
use sentrypeer_export::output::{Receiver, Settings};
use sentrypeer_export::status::State;
use sentrypeer_storage::cursor::Begin;
use sentrypeer_storage::event::{Seq, Verification};

use crate::harness::{Node, ids_in, repeats, settings, status, wait_for};

fn log(node: &Node, name: &str) -> Receiver {
    let path = node.path(name);
    Receiver::JsonLog(JsonLog { path, format: Format::SentryPeer, clock: Clock::Utc })
}

#[test]
fn a_paused_output_hands_nothing_on_until_it_is_resumed() {
    let mut node = Node::new();
    let outputs = node.start(log(&node, "log"));
    node.record(5);
    node.await_cursor(&outputs);
    let handle = outputs.get("out").unwrap().clone();
    handle.pause();
    wait_for("the pause", || status(&outputs).state == State::Paused);
    node.record(5);
    let paused = status(&outputs);
    assert_eq!((paused.cursor, paused.lag_events), (Seq(5), 5));
    handle.resume();
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &ids_in(&node.path("log"))), 0);
}

#[test]
fn a_reset_output_begins_again_with_the_oldest_or_the_next_event() {
    let mut node = Node::new();
    let outputs = node.start(log(&node, "log"));
    let handle = outputs.get("out").unwrap().clone();
    node.record(20);
    node.await_cursor(&outputs);
    handle.reset(Begin::Oldest);
    wait_for("the second run", || status(&outputs).sent == 40);
    assert_eq!(repeats(&node.ids(), &ids_in(&node.path("log"))), 20);
    handle.pause();
    wait_for("the pause", || status(&outputs).state == State::Paused);
    node.record(7);
    handle.reset(Begin::Newest);
    wait_for("the reset", || status(&outputs).cursor == Seq(27));
    assert_eq!(status(&outputs).state, State::Paused, "a reset ends no pause");
    handle.resume();
    node.record(1);
    node.await_cursor(&outputs);
    assert_eq!(status(&outputs).sent, 41);
}

#[test]
fn a_filter_passes_over_what_it_leaves_out_and_counts_it() {
    let mut node = Node::new();
    let filter = Filter { min_verification: Verification::Connected, ..Filter::default() };
    let outputs =
        node.start_all(vec![Settings { filter, ..settings("some", log(&node, "log")) }]).unwrap();
    node.record(50);
    node.await_cursor(&outputs);
    wait_for("the counts", || status(&outputs).sent + status(&outputs).filtered == 50);
    assert_eq!((status(&outputs).sent, ids_in(&node.path("log")).len()), (20, 20));
}

#[test]
fn a_name_is_given_once_and_is_a_name() {
    let node = Node::new();
    let start = |names: &[&str]| {
        node.start_all(names.iter().map(|name| settings(name, log(&node, name))).collect()).err()
    };
    assert!(matches!(start(&["a", "a"]), Some(StartError::Twice(_))));
    assert!(matches!(start(&["A B"]), Some(StartError::Name(_))));
    assert!(start(&["a", "b"]).is_none());
}
