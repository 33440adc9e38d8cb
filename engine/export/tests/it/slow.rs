//! Receivers that take an event a second.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use sentrypeer_export::Outputs;
use sentrypeer_export::json_log;
use sentrypeer_export::line::{Clock, Format};
use sentrypeer_export::output::{Receiver, Settings};
use sentrypeer_export::syslog::{self, Framing};
use sentrypeer_export::webhook::Form;
use sentrypeer_storage::event::{Seq, Time};

use crate::harness::{Node, ids_in, repeats, settings, wait_for};
use crate::http_server::{Reply, Server};
use crate::syslog::{Lines, ids, read_counted};
use crate::webhook;

/// More than the kernel keeps of datagrams for one who does not read (`net.unix.max_dgram_qlen`, usually 10).
const EVENTS: u64 = 15;

const SECOND: Duration = Duration::from_secs(1);

/// Reads a message a second; their number is that of the lines.
fn local_daemon(path: &Path) -> Lines {
    let socket = UnixDatagram::bind(path).unwrap();
    let lines = Lines::default();
    let kept = lines.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(got) = socket.recv(&mut buffer) {
            kept.lock().unwrap().push(String::from_utf8(buffer[..got].to_vec()).unwrap());
            std::thread::sleep(SECOND);
        }
    });
    lines
}

/// Reads a message a second from a connection.
fn daemon() -> (String, Lines) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, lines) = (listener.local_addr().unwrap().to_string(), Lines::default());
    let kept = lines.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            read_counted(stream.unwrap(), &kept, usize::MAX, SECOND);
        }
    });
    (address, lines)
}

fn log(path: std::path::PathBuf) -> Settings {
    let (format, clock) = (Format::SentryPeer, Clock::Utc);
    settings("json-log", Receiver::JsonLog(json_log::Settings { path, format, clock }))
}

/// The cursor of an output.
fn cursor(outputs: &Outputs, name: &str) -> Seq {
    outputs.get(name).unwrap().status(Seq(0), Time::now()).cursor
}

#[test]
fn receivers_that_take_an_event_a_second_get_each_and_hold_up_no_other() {
    let mut node = Node::new();
    let (log_path, socket) = (node.path("log"), node.path("log.socket"));
    let local = local_daemon(&socket);
    let (address, remote) = daemon();
    let web = Server::start(|_, _| {
        std::thread::sleep(SECOND);
        Reply::Status(200, "")
    });
    let framing = Framing::OctetCounting;
    let slow = [
        ("local", Receiver::Syslog(syslog::Settings::Local(socket))),
        ("remote", Receiver::Syslog(syslog::Settings::Tcp { address, framing })),
        ("web", Receiver::Webhook(webhook::to(&node, &web, Form::Object))),
    ];
    let names = slow.each_ref().map(|(name, _)| *name);
    let slow = slow.into_iter().map(|(name, receiver)| settings(name, receiver));
    let outputs = node.start_all(slow.chain([log(log_path.clone())]).collect()).unwrap();
    node.record(EVENTS);
    wait_for("the JSON log", || cursor(&outputs, "json-log") == Seq(EVENTS));
    for name in names {
        assert!(cursor(&outputs, name) < Seq(EVENTS), "{name} is not slow");
    }
    wait_for("the slow ones", || names.iter().all(|name| cursor(&outputs, name) == Seq(EVENTS)));
    wait_for("the local daemon", || local.lock().unwrap().len() as u64 == EVENTS);
    let expected = node.ids();
    for found in [ids_in(&log_path), ids(&remote), web.ids()] {
        assert_eq!(repeats(&expected, &found), 0);
    }
    let failures = outputs.status(Time::now()).iter().map(|one| one.failures).sum::<u64>();
    assert_eq!(failures, 0, "to be slow is no failure");
    // A line of the local daemon has no id; each is of another address.
    for n in 1..=EVENTS {
        let source = format!("Source IP: {},", crate::harness::address(n));
        assert!(local.lock().unwrap().iter().any(|line| line.contains(&source)), "{source}");
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn a_table_that_others_hold_for_a_second_at_a_time_gets_each_row() {
    let mut node = Node::new();
    let path = node.path("honey.db");
    let outputs = node.start(crate::sqlite::to(path.clone()));
    node.record(1);
    node.await_cursor(&outputs);
    for _ in 0..3 {
        let holder = rusqlite::Connection::open(&path).unwrap();
        wait_for("the lock", || holder.execute_batch("BEGIN IMMEDIATE").is_ok());
        node.record(1);
        std::thread::sleep(SECOND);
        holder.execute_batch("COMMIT").unwrap();
    }
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &crate::sqlite::ids(&path)), 0);
}
