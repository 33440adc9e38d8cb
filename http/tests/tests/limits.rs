//! What one address may have of the API, and who comes over a Unix socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use sentrypeer_http::Lane;
use sentrypeer_http::counters::Incident;
use sentrypeer_http::front::AddressLimits;
use sentrypeer_http::front::api::{Front, serve_with};
use sentrypeer_http::front::setup::{Bound, Protection, Setup};
use sentrypeer_http::pace::Rate;

use crate::client::Client;
use crate::node::{Node, wait_until};

fn served(limits: AddressLimits) -> (Node, Front, SocketAddr) {
    let node = Node::with(&[]);
    let tcp = vec![TcpListener::bind("127.0.0.1:0").unwrap()];
    let setup = Setup { bound: Bound { tcp, unix: Vec::new() }, limits, ..Setup::default() };
    let front = serve_with(setup, Arc::clone(&node.ctx)).unwrap();
    let address = front.addresses()[0];
    (node, front, address)
}

fn happened(node: &Node, what: Incident) -> u64 {
    node.ctx.counters.incidents(Lane::Api, what)
}

#[test]
fn one_connection_too_many_of_an_address_is_closed_and_counted() {
    let limits = AddressLimits { connections: 2, local: true, ..AddressLimits::default() };
    let (node, _front, address) = served(limits);
    let mut clients = [Client::connect(address), Client::connect(address)];
    for client in &mut clients {
        assert_eq!(client.get("/livez").status, 200);
    }
    assert!(Client::connect(address).ends());
    assert_eq!(happened(&node, Incident::RefusedAddress), 1);
    drop(clients);
    wait_until("they have ended", || node.ctx.counters.open_connections(Lane::Api) == 0);
    assert_eq!(Client::connect(address).get("/livez").status, 200);
}

#[test]
fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let rate = Rate { per_s: 1, burst: 3 };
    let limits = AddressLimits { rate, local: true, ..AddressLimits::default() };
    let (node, _front, address) = served(limits);
    let mut client = Client::connect(address);
    let replies: Vec<_> = (0..20).map(|_| client.get("/livez")).collect();
    assert!(replies[..3].iter().all(|reply| reply.status == 200));
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|reply| reply.header("retry-after") == Some("1")));
    assert_eq!(happened(&node, Incident::TooManyRequests), refused.len() as u64);
    let other = AddressLimits { rate, ..AddressLimits::default() };
    let (_node, _front, address) = served(other);
    let mut client = Client::connect(address);
    assert!((0..20).all(|_| client.get("/livez").status == 200));
}

#[test]
fn a_unix_socket_answers_and_its_file_goes_with_the_front() {
    let node = Node::with(&[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let bound = Bound::new(&[], std::slice::from_ref(&path), Protection::default()).unwrap();
    let setup = Setup { bound, ..Setup::default() };
    let front = serve_with(setup, Arc::clone(&node.ctx)).unwrap();
    assert_eq!(front.sockets().collect::<Vec<_>>(), [path.as_path()]);
    let mut stream = UnixStream::connect(&path).unwrap();
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 OK") && reply.ends_with("ok\n"), "{reply}");
    front.stop();
    assert!(!path.exists());
}
