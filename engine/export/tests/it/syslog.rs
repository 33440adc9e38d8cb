//! Syslog, with receivers of each kind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sentrypeer_export::output::Receiver;
use sentrypeer_export::syslog::{Framing, Settings};
use sentrypeer_storage::event::EventRef;

use crate::harness::{Node, event, message, repeats, status, wait_for};

/// What a receiver has read so far.
pub type Lines = Arc<Mutex<Vec<String>>>;

fn local_daemon(path: &Path, lines: &Lines) -> std::thread::JoinHandle<()> {
    let socket = UnixDatagram::bind(path).unwrap();
    let lines = lines.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let got = socket.recv(&mut buffer).unwrap();
            match std::str::from_utf8(&buffer[..got]).unwrap() {
                "end" => return,
                line => lines.lock().unwrap().push(line.to_owned()),
            }
        }
    })
}

fn end(path: &Path, daemon: std::thread::JoinHandle<()>) {
    UnixDatagram::unbound().unwrap().send_to(b"end", path).unwrap();
    daemon.join().unwrap();
    std::fs::remove_file(path).unwrap();
}

fn id_of(line: &str) -> String {
    let (_, rest) = line.split_once("event_uuid=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

pub fn ids(lines: &Lines) -> Vec<String> {
    lines.lock().unwrap().iter().map(|line| id_of(line)).collect()
}

#[test]
fn the_local_daemon_gets_the_line_of_sentrypeer_4_and_every_event_although_it_restarts() {
    let mut node = Node::new();
    let (path, lines) = (node.path("log.socket"), Lines::default());
    let daemon = local_daemon(&path, &lines);
    node.record(300);
    let outputs = node.start(Receiver::Syslog(Settings::Local(path.clone())));
    wait_for("the lines", || lines.lock().unwrap().len() == 300);
    end(&path, daemon);
    node.record(50);
    wait_for("the failure", || status(&outputs).failures > 0);
    let daemon = local_daemon(&path, &lines);
    wait_for("the other lines", || lines.lock().unwrap().len() == 350);
    end(&path, daemon);
    let pid = std::process::id();
    for (n, line) in lines.lock().unwrap().iter().enumerate() {
        let address = crate::harness::address(n as u64 + 1);
        let text = format!(
            " sentrypeer[{pid}]: Source IP: {address}, Method: INVITE, Agent: friendly-scanner"
        );
        assert!(line.starts_with("<13>") && line.ends_with(&text), "{line}");
    }
}

#[test]
fn an_address_on_the_allow_list_is_in_no_line() {
    let mut node = Node::new();
    let (path, lines) = (node.path("log.socket"), Lines::default());
    let daemon = local_daemon(&path, &lines);
    let text = message(1);
    for source in ["10.0.0.7:5060", "11.0.0.7:5060", "10.255.0.1:5060"] {
        node.push(&EventRef { source: source.parse().unwrap(), ..event(1, &text) });
    }
    node.settle();
    let outputs = node.start(Receiver::Syslog(Settings::Local(path.clone())));
    node.await_cursor(&outputs);
    end(&path, daemon);
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("Source IP: 11.0.0.7,"));
    wait_for("the count", || status(&outputs).filtered == 2);
}

#[test]
fn datagrams_carry_rfc_5424() {
    let mut node = Node::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    node.record(20);
    let address = socket.local_addr().unwrap().to_string();
    let _outputs = node.start(Receiver::Syslog(Settings::Udp(address)));
    let mut buffer = [0; 4096];
    let mut found = Vec::new();
    for _ in 0..20 {
        let got = socket.recv(&mut buffer).unwrap();
        let line = std::str::from_utf8(&buffer[..got]).unwrap();
        assert!(line.starts_with("<13>1 20"), "{line}");
        found.push(id_of(line));
    }
    assert_eq!(repeats(&node.ids(), &found), 0);
}

/// Reads messages behind their lengths until the other side ends.
pub fn read_counted(stream: impl Read, lines: &Lines, most: usize, pause: Duration) {
    let mut stream = BufReader::new(stream);
    for _ in 0..most {
        let mut length = Vec::new();
        if stream.read_until(b' ', &mut length).is_err() || length.is_empty() {
            return;
        }
        let length = std::str::from_utf8(&length).unwrap().trim().parse::<usize>().unwrap();
        let mut line = vec![0; length];
        if stream.read_exact(&mut line).is_err() {
            return;
        }
        lines.lock().unwrap().push(String::from_utf8(line).unwrap());
        std::thread::sleep(pause);
    }
}

#[test]
fn a_receiver_over_tcp_that_is_slow_answers_nonsense_or_is_killed_gets_every_event() {
    let mut node = Node::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    node.record(2_500);
    let tcp = Settings::Tcp { address, framing: Framing::OctetCounting };
    let outputs = node.start(Receiver::Syslog(tcp));
    let lines = Lines::default();
    // It dies with most of the batch unread.
    let (stream, _) = listener.accept().unwrap();
    read_counted(stream, &lines, 5, Duration::ZERO);
    // It says something, which no syslog receiver does.
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    read_counted(&stream, &lines, usize::MAX, Duration::ZERO);
    drop(stream);
    assert_eq!(status(&outputs).cursor.0, 0, "nothing was confirmed yet");
    // It is slow.
    let (stream, _) = listener.accept().unwrap();
    read_counted(stream, &lines, usize::MAX, Duration::from_micros(500));
    for stream in listener.incoming() {
        read_counted(stream.unwrap(), &lines, usize::MAX, Duration::ZERO);
        if ids(&lines).contains(node.ids().last().unwrap()) {
            break;
        }
    }
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &ids(&lines)), 5 + 1000);
    assert!(status(&outputs).failures >= 2);
}

#[test]
fn tls_carries_lines_to_a_receiver_whose_certificate_is_trusted_and_to_no_other() {
    let mut node = Node::new();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (trusted, other) = (node.path("ca.pem"), node.path("other.pem"));
    std::fs::write(&trusted, key.cert.pem()).unwrap();
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&other, stranger.cert.pem()).unwrap();
    let config = crate::harness::server_tls(&key, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let lines = Lines::default();
    let receiver = lines.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            let stream = rustls::StreamOwned::new(session, stream.unwrap());
            read_counted(stream, &receiver, usize::MAX, Duration::ZERO);
        }
    });
    node.record(1_500);
    let to = |ca: &Path| {
        let ca_file = Some(ca.to_owned());
        node.start(Receiver::Syslog(Settings::Tls { address: address.clone(), ca_file }))
    };
    let outputs = to(&other);
    wait_for("the refusal", || status(&outputs).failures > 0);
    node.stop(outputs);
    assert!(lines.lock().unwrap().is_empty());
    let outputs = to(&trusted);
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &ids(&lines)), 0);
}

#[test]
fn journald_gets_fields() {
    let mut node = Node::new();
    let (path, lines) = (node.path("journal.socket"), Lines::default());
    let daemon = local_daemon(&path, &lines);
    node.record(3);
    let outputs = node.start(Receiver::Syslog(Settings::Journald(path.clone())));
    node.await_cursor(&outputs);
    end(&path, daemon);
    let entry = &lines.lock().unwrap()[0];
    assert!(entry.starts_with("MESSAGE=Source IP: 11.0.0.1, Method: INVITE, Agent: "), "{entry}");
    assert!(entry.contains("\nSENTRYPEER_CALLED_NUMBER=+442070000001\n"), "{entry}");
}
