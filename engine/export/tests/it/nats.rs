//! NATS, with the real server and with servers that are none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sentrypeer_export::nats::{Login, Server, Settings};
use sentrypeer_export::output::Receiver;
use sentrypeer_export::secret::Secret;
use sentrypeer_export::{Outputs, StartError};
use sentrypeer_storage::cursor::Begin;
use sentrypeer_storage::event::EventRef;
use serde_json::{Value, json};

use crate::harness::{Node, SmallDisk, event, message, repeats, settings, status, wait_for};
use crate::nats_server::{Client, JETSTREAM, NatsServer};

pub fn to(url: &str) -> Settings {
    Settings {
        servers: vec![Server::parse(url).unwrap()],
        subject: "pot.events".to_owned(),
        login: Login::Nobody,
        ca_file: None,
    }
}

fn start(node: &Node, settings: Settings) -> Outputs {
    node.start(Receiver::Nats(settings))
}

/// What went wrong last.
fn error(outputs: &Outputs) -> String {
    status(outputs).last_error.map_or(String::new(), |error| error.text)
}

#[test]
fn every_event_is_in_the_stream_once_under_the_subject_of_its_kind() {
    let Some(server) = NatsServer::start(JETSTREAM) else { return };
    let mut client = Client::new(&server);
    client.add_stream("pot.>", &Value::Null);
    let mut node = Node::new();
    node.record(2_500);
    let text = message(1);
    for method in [b"OPTIONS".as_slice(), b"X.>", b""] {
        node.push(&EventRef { method, ..event(1, &text) });
    }
    node.settle();
    let outputs = start(&node, to(&server.url()));
    node.await_cursor(&outputs);
    let all = client.all();
    let subjects: Vec<&str> = all[2_499..].iter().map(|(subject, _)| subject.as_str()).collect();
    let expected =
        ["pot.events.invite", "pot.events.options", "pot.events.other", "pot.events.other"];
    assert_eq!(subjects, expected);
    assert_eq!(all[2_499].1["source_ip"], "11.0.9.196");
    // Everything again: the stream knows it all.
    outputs.get("out").unwrap().reset(Begin::Oldest);
    wait_for("the second run", || status(&outputs).sent == 2 * 2_503);
    assert_eq!(repeats(&node.ids(), &client.ids()), 0);
    assert_eq!(status(&outputs).failures, 0);
}

#[test]
fn a_server_that_is_killed_and_comes_back_has_every_event_once() {
    let Some(mut server) = NatsServer::start(JETSTREAM) else { return };
    Client::new(&server).add_stream("pot.>", &Value::Null);
    let mut node = Node::new();
    node.record(20_000);
    let outputs = start(&node, to(&server.url()));
    wait_for("a beginning", || status(&outputs).sent > 0);
    server.kill();
    wait_for("the failure", || status(&outputs).failures > 0);
    server.restart();
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &Client::new(&server).ids()), 0);
}

#[test]
fn a_server_without_jetstream_and_a_missing_stream_are_named_and_waited_for() {
    let Some(mut server) = NatsServer::start("") else { return };
    let mut node = Node::new();
    node.record(10);
    let outputs = start(&node, to(&server.url()));
    wait_for("the refusal", || error(&outputs).contains("has no JetStream"));
    server.kill();
    server.restart_with(JETSTREAM);
    wait_for("the other refusal", || error(&outputs).contains("add one for the subject"));
    assert_eq!(status(&outputs).cursor.0, 0);
    let mut client = Client::new(&server);
    client.add_stream("pot.>", &Value::Null);
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &client.ids()), 0);
}

#[test]
fn a_full_stream_stops_the_cursor_and_nothing_is_missing_when_there_is_room_again() {
    let Some(server) = NatsServer::start(JETSTREAM) else { return };
    let mut client = Client::new(&server);
    let most = |messages: u64| json!({ "discard": "new", "max_msgs": messages });
    client.add_stream("pot.>", &most(100));
    let mut node = Node::new();
    node.record(400);
    let outputs = start(&node, to(&server.url()));
    wait_for("the refusal", || error(&outputs).contains("the stream refuses"));
    assert!(error(&outputs).contains("maximum messages"), "{}", error(&outputs));
    assert_eq!((status(&outputs).cursor.0, client.messages()), (100, 100));
    client.change_stream("pot.>", &most(10_000));
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &client.ids()), 0);
}

#[test]
fn a_server_whose_disk_was_full_has_every_event_once_when_there_is_room_again() {
    let Some(disk) = SmallDisk::new(4 * 1024 * 1024) else { return };
    let store = disk.0.path().join("store");
    let lines = format!("jetstream {{ store_dir: \"{}\", max_file: 1GB }}", store.display());
    let Some(mut server) = NatsServer::start(&lines) else { return };
    Client::new(&server).add_stream("pot.>", &Value::Null);
    let mut node = Node::new();
    node.record(100);
    let outputs = start(&node, to(&server.url()));
    node.await_cursor(&outputs);
    let ballast = disk.0.path().join("ballast");
    assert!(std::fs::write(&ballast, vec![0; 8 * 1024 * 1024]).is_err());
    node.record(5_000);
    wait_for("the failure", || status(&outputs).failures > 0);
    std::fs::remove_file(&ballast).unwrap();
    // It takes nothing more until it is started again.
    server.kill();
    server.restart();
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &Client::new(&server).ids()), 0);
}

/// The seed of 32 bytes from 0 to 31, and its public key.
const SEED: &str = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
const KEY: &str = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";

#[test]
fn a_login_is_a_password_a_token_or_a_key_and_a_wrong_one_is_refused_and_not_shown() {
    let Some(mut server) = NatsServer::start(JETSTREAM) else { return };
    Client::new(&server).add_stream("pot.>", &Value::Null);
    let password = |password: &str| {
        let password = Secret::new(password);
        Login::Password { user: "pot".to_owned(), password }
    };
    let key = Login::Credentials(Secret::new(format!("--- SEED ---\n{SEED}\n---\n")));
    let mut node = Node::new();
    for (lines, good, bad) in [
        ("user: pot, password: good-hush".to_owned(), password("good-hush"), password("bad-hush")),
        ("token: good-hush".to_owned(), Login::Token(Secret::new("good-hush")), Login::Nobody),
        (format!("users: [{{ nkey: {KEY} }}]"), key, Login::Token(Secret::new("bad-hush"))),
    ] {
        server.kill();
        server.restart_with(&format!("{JETSTREAM}\nauthorization {{ {lines} }}"));
        node.record(10);
        let outputs = start(&node, Settings { login: bad, ..to(&server.url()) });
        wait_for("the refusal", || error(&outputs).contains("Authorization Violation"));
        assert!(!format!("{:?}", status(&outputs)).contains("hush"));
        node.stop(outputs);
        let outputs = start(&node, Settings { login: good, ..to(&server.url()) });
        node.await_cursor(&outputs);
        assert_eq!(status(&outputs).failures, 0, "{lines}");
        node.stop(outputs);
    }
    server.kill();
    server.restart_with(JETSTREAM);
    assert_eq!(repeats(&node.ids(), &Client::new(&server).ids()), 0);
}

#[test]
fn what_is_no_login_and_no_subject_ends_the_start() {
    let node = Node::new();
    let refused = |wrong: Settings| {
        let wrong = settings("fleet", Receiver::Nats(wrong));
        match node.start_all(vec![wrong]).unwrap_err() {
            StartError::Settings { name, reason } if name == "fleet" => reason,
            other => panic!("{other}"),
        }
    };
    let closed = to("nats://127.0.0.1:1");
    let hush = Login::Credentials(Secret::new("hush"));
    let said = refused(Settings { login: hush, ..closed.clone() });
    assert!(said.contains("no seed of a user") && !said.contains("hush"), "{said}");
    let said = refused(Settings { subject: "pot.*".to_owned(), ..closed.clone() });
    assert!(said.contains("\"pot.*\" is no subject"), "{said}");
    assert!(refused(Settings { servers: Vec::new(), ..closed }).contains("no server"));
}

#[test]
fn tls_is_spoken_with_a_server_whose_certificate_is_trusted_and_with_no_other() {
    let Some(mut server) = NatsServer::start(JETSTREAM) else { return };
    Client::new(&server).add_stream("pot.>", &Value::Null);
    let mut node = Node::new();
    node.record(1_500);
    let pem = |name: &str, text: String| {
        std::fs::write(node.path(name), text).unwrap();
        Some(node.path(name))
    };
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (trusted, other) = (pem("ca.pem", key.cert.pem()), pem("other.pem", stranger.cert.pem()));
    let private = pem("key.pem", key.signing_key.serialize_pem()).unwrap();
    let url = format!("tls://localhost:{}", server.port);
    let outputs = start(&node, Settings { ca_file: trusted.clone(), ..to(&url) });
    wait_for("the refusal", || error(&outputs).contains("offers no TLS"));
    node.stop(outputs);
    server.kill();
    let (cert, private) = (trusted.clone().unwrap(), private.display());
    let files = format!("cert_file: \"{}\", key_file: \"{private}\"", cert.display());
    server.restart_with(&format!("{JETSTREAM}\ntls {{ {files} }}"));
    let outputs = start(&node, Settings { ca_file: other, ..to(&url) });
    wait_for("the distrust", || error(&outputs).contains("certificate"));
    assert_eq!(status(&outputs).cursor.0, 0);
    node.stop(outputs);
    let outputs = start(&node, Settings { ca_file: trusted, ..to(&url) });
    node.await_cursor(&outputs);
    server.kill();
    server.restart_with(JETSTREAM);
    assert_eq!(repeats(&node.ids(), &Client::new(&server).ids()), 0);
}

/// What a server that is none says first.
const INFO: &str = "INFO {\"headers\":true,\"max_payload\":1048576}\r\n";

/// A server that does with a connection what its number says, and keeps the ids of what it has acknowledged.
fn fake(behave: fn(usize, &Peer)) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let stored = Arc::new(Mutex::new(Vec::new()));
    let kept = stored.clone();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            behave(n, &Peer { stream: stream.unwrap(), stored: kept.clone() });
        }
    });
    (url, stored)
}

struct Peer {
    stream: TcpStream,
    stored: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    fn say(&self, text: &str) {
        // Who is spoken to may have gone.
        let _ = (&self.stream).write_all(text.as_bytes());
    }

    /// Serves until the other side ends; what to say to a message, and whether it is stored, is asked for each.
    fn serve(&self, mut answer: impl FnMut(usize) -> Option<&'static str>) {
        self.say(INFO);
        let mut reader = BufReader::new(&self.stream);
        let (mut line, mut messages) = (String::new(), 0);
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[0] {
                "PING" => self.say("PONG\r\n"),
                "HPUB" => {
                    let mut message = vec![0; words[4].parse::<usize>().unwrap() + 2];
                    if reader.read_exact(&mut message).is_err() {
                        return;
                    }
                    let text = answer(messages);
                    messages += 1;
                    if text == Some(STORED) {
                        let message = String::from_utf8(message).unwrap();
                        let (_, rest) = message.split_once("Nats-Msg-Id: ").unwrap();
                        self.stored.lock().unwrap().push(rest[..36].to_owned());
                    }
                    if let Some(text) = text {
                        self.say(&format!("MSG {} 1 {}\r\n{text}\r\n", words[2], text.len()));
                    }
                }
                _ => {}
            }
            line.clear();
        }
    }
}

const STORED: &str = "{\"stream\":\"FLEET\",\"seq\":7}";

#[test]
fn nonsense_moves_no_cursor_and_does_no_harm() {
    let (url, stored) = fake(|n, peer| match n {
        0 => {}
        1 => peer.say("SSH-2.0-OpenSSH_9.2\r\n"),
        2 => peer.say("INFO {}\r\n"),
        3 => peer.say("INFO {\"headers\":true,\"max_payload\":4096}\r\n"),
        4 => peer.say(&format!("INFO {}", "x".repeat(300_000))),
        5 => peer.say(&format!("{INFO}-ERR\r\n")),
        6 => peer.say(&format!("{INFO}PONG\r\nMSG a 1 18446744073709551615\r\n")),
        7 => peer.say(&format!("{INFO}PONG\r\n+OK\r\nMSG _INBOX.x.0 1 2\r\n{{}}\r\n")),
        8 => peer.serve(|_| Some("{}")),
        9 => peer.serve(|_| Some("\u{0}\u{1b}[31m")),
        10 => peer.serve(|n| if n < 3 { Some(STORED) } else { Some("[1]") }),
        _ => peer.serve(|_| Some(STORED)),
    });
    let mut node = Node::new();
    node.record(50);
    let outputs = start(&node, to(&url));
    let handle = outputs.get("out").unwrap();
    for failures in 1..=11 {
        wait_for("the failure", || status(&outputs).failures >= failures);
        let before = if failures <= 10 { 0 } else { 3 };
        assert_eq!(status(&outputs).cursor.0, before, "{}", error(&outputs));
        handle.resume();
    }
    node.await_cursor(&outputs);
    // Three had been acknowledged, and did not come again.
    assert_eq!(repeats(&node.ids(), &stored.lock().unwrap()), 0);
}

#[test]
fn a_server_that_takes_an_event_a_second_gets_each_once() {
    let (url, stored) = fake(|_, peer| {
        peer.serve(|_| {
            std::thread::sleep(Duration::from_secs(1));
            Some(STORED)
        });
    });
    let mut node = Node::new();
    node.record(4);
    let outputs = start(&node, to(&url));
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &stored.lock().unwrap()), 0);
    assert_eq!(status(&outputs).failures, 0);
}

#[test]
fn another_server_is_taken_when_one_is_away() {
    let (url, stored) = fake(|_, peer| peer.serve(|_| Some(STORED)));
    let mut node = Node::new();
    node.record(10);
    let servers = ["nats://127.0.0.1:1", &url].map(|url| Server::parse(url).unwrap()).to_vec();
    let outputs = start(&node, Settings { servers, ..to(&url) });
    node.await_cursor(&outputs);
    assert_eq!((repeats(&node.ids(), &stored.lock().unwrap()), status(&outputs).failures), (0, 1));
}
