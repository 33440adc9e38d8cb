//! Front ends that pass connections on and say whose, in a PROXY protocol header.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use nix::sys::signal::Signal;

use crate::harness::{DRIVERS, Node, await_that, plan, request};
use crate::streams::{connect_from, tls_over};

/// Where front ends are in these tests, and where others are.
const FRONT_END: [u8; 4] = [127, 8, 0, 1];
const OTHER: [u8; 4] = [127, 9, 0, 1];

const V1: &[u8] = b"PROXY TCP4 198.51.100.7 192.0.2.9 40000 5060\r\n";

/// The same caller in version 2, with a TLV behind the addresses.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\
    \xc6\x33\x64\x07\xc0\0\x02\x09\x9c\x40\x13\xc4\x04\0\x01\0";

/// Version 2 of a health check.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn node(driver: &str) -> Node {
    plan(&[&format!("--driver={driver}"), "--proxy-protocol-from=127.8.0.0/16"]).start()
}

fn connect(from: [u8; 4], target: Option<SocketAddr>) -> TcpStream {
    connect_from(SocketAddr::from((from, 0)), target.unwrap())
}

/// Sends a request and waits for the first bytes of its answer.
fn ask(mut stream: impl Read + Write, call: &str, transport: &str) {
    stream.write_all(request("OPTIONS", "100", call, transport).as_bytes()).unwrap();
    let mut answer = [0; 11];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"SIP/2.0 200");
}

#[test]
fn the_carried_addresses_are_the_events() {
    for driver in DRIVERS {
        let node = node(driver);
        for (i, header) in [V1, V2].iter().enumerate() {
            let mut stream = connect(FRONT_END, node.tcp);
            // Byte by byte: the header need not come in one piece.
            for byte in *header {
                stream.write_all(&[*byte]).unwrap();
            }
            ask(stream, &format!("tcp-{i}"), "TCP");
            let mut stream = connect(FRONT_END, node.tls);
            stream.write_all(header).unwrap();
            ask(tls_over(stream).unwrap(), &format!("tls-{i}"), "TLS");
        }
        node.await_events(4);
        let sources = node.json("/ip-addresses");
        assert_eq!(sources["ip_addresses"].as_array().unwrap().len(), 1, "{driver}: {sources}");
        assert_eq!(sources["ip_addresses"][0]["ip_address"], "198.51.100.7");
        assert_eq!(node.metric("sentrypeer_proxy_headers_total"), 4);
        assert!(node.stop().success());
    }
}

#[test]
fn who_is_no_front_end_cannot_name_somebody_else() {
    for driver in DRIVERS {
        let node = node(driver);
        let mut stream = connect(OTHER, node.tcp);
        stream.write_all(V1).unwrap();
        stream.write_all(request("OPTIONS", "100", "forged", "TCP").as_bytes()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        node.await_events(1);
        assert_eq!(node.json("/ip-addresses")["ip_addresses"][0]["ip_address"], "127.9.0.1");
        assert_eq!(node.metric("sentrypeer_proxy_headers_total"), 0);
    }
}

#[test]
fn a_front_end_without_a_sound_header_is_turned_away() {
    for driver in DRIVERS {
        let node = node(driver);
        let text = request("OPTIONS", "100", "bare", "TCP");
        for bytes in [text.as_bytes(), b"PROXY TCP4 198.51.100.7 192.0.2.9 1\r\n", &[0x16, 3, 1]] {
            let mut stream = connect(FRONT_END, node.tcp);
            stream.write_all(bytes).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
        // One that ends before its header has come.
        connect(FRONT_END, node.tcp).write_all(&V1[..20]).unwrap();
        let refused = || node.metric("sentrypeer_connections_refused_total");
        await_that(|| refused() == 4, "four to be turned away");
        ask_through(&node);
        node.await_events(1);
        assert_eq!(node.events(), 1, "{driver}");
    }
}

/// A call through the front end.
fn ask_through(node: &Node) {
    let mut stream = connect(FRONT_END, node.tcp);
    stream.write_all(V1).unwrap();
    ask(stream, "through", "TCP");
}

#[test]
fn a_health_check_is_no_event_and_a_front_end_that_speaks_for_itself_is_itself() {
    for driver in DRIVERS {
        let node = node(driver);
        for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
            connect(FRONT_END, node.tcp).write_all(header).unwrap();
        }
        let headers = || node.metric("sentrypeer_proxy_headers_total");
        await_that(|| headers() == 2, "both headers to be read");
        let mut stream = connect(FRONT_END, node.tcp);
        stream.write_all(LOCAL).unwrap();
        ask(stream, "own", "TCP");
        node.await_events(1);
        assert_eq!(node.events(), 1, "{driver}");
        // It is recorded, and nothing acts on it: everybody may stand behind it.
        let check = &node.json("/api/v1/check?ip=127.8.0.1")["ip"];
        assert!(check["allowed"].is_string() && check["blocked"] == false, "{check}");
        assert_eq!(node.get("/ip-addresses").0, 404, "{driver}");
        assert!(node.stop().success());
    }
}

#[test]
fn front_ends_can_be_named_while_the_node_runs() {
    for driver in DRIVERS {
        let plan = plan(&[&format!("--driver={driver}")]);
        let file = plan.folder.path().join("own.toml");
        std::fs::write(&file, "").unwrap();
        let mut command = plan.command();
        command.arg("--config").arg(&file);
        let mut node = plan.start_as(command);
        std::fs::write(&file, "proxy_protocol_from = ['127.8.0.1']\n").unwrap();
        node.signal(Signal::SIGHUP);
        node.await_line("the configuration was read again");
        assert!(!node.lines().iter().any(|line| line.contains("needs a restart")));
        ask_through(&node);
        node.await_events(1);
        assert_eq!(node.json("/ip-addresses")["ip_addresses"][0]["ip_address"], "198.51.100.7");
    }
}
