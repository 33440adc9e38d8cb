//! What no telephone sends, on every transport: the process lives, and the event is stored.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};

use crate::harness::{DRIVERS, Node, await_that, exchange, plan, request};
use crate::streams::tls_connect;

/// Name and bytes.
fn oddities() -> Vec<(&'static str, Vec<u8>)> {
    let response = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
        From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: stray\r\nCSeq: 1 INVITE\r\n\
        Content-Length: 0\r\n\r\n";
    let mut huge = request("OPTIONS", "100", "huge", "UDP").into_bytes();
    huge.truncate(huge.len() - 2);
    huge.extend_from_slice(b"X-Pad: ");
    huge.resize(64_996, b'x');
    huge.extend_from_slice(b"\r\n\r\n");
    let broken = |filler: &[u8]| {
        [b"OPTIONS sip:", filler, b"@x SIP/2.0\r\nCall-ID: ", filler, b"\r\n\r\n"].concat()
    };
    vec![
        ("a stray response", response.to_vec()),
        ("nothing", Vec::new()),
        ("65,000 bytes", huge),
        ("NULs", broken(b"\0\0\0")),
        ("invalid UTF-8", broken(b"\xff\xfe\xc0")),
    ]
}

fn each_driver(check: impl Fn(&Node, &str)) {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        check(&node, driver);
        assert!(node.stop().success());
    }
}

#[test]
fn odd_datagrams_are_stored_and_the_node_lives() {
    each_driver(|node, _| {
        let address = node.udp.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (i, (name, bytes)) in oddities().iter().enumerate() {
            assert_eq!(socket.send_to(bytes, address).unwrap(), bytes.len(), "{name}");
            node.await_events(i as u64 + 1);
        }
        let answer = exchange(address, request("OPTIONS", "1", "after", "UDP").as_bytes());
        assert!(answer.starts_with(b"SIP/2.0 200 "));
    });
}

#[test]
fn odd_bytes_on_a_connection_are_stored_and_the_node_lives() {
    each_driver(|node, _| {
        for (i, (_, bytes)) in oddities().iter().enumerate() {
            let mut stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
            stream.write_all(bytes).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
            node.await_events(i as u64 + 1);
        }
        assert_eq!(node.events(), oddities().len() as u64);
    });
}

#[test]
fn odd_bytes_inside_tls_are_stored_and_the_node_lives() {
    each_driver(|node, _| {
        for (i, (_, bytes)) in oddities().iter().enumerate() {
            let mut stream = tls_connect(node.tls.unwrap());
            stream.write_all(bytes).unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
            node.await_events(i as u64 + 1);
        }
        assert_eq!(node.events(), oddities().len() as u64);
    });
}

#[test]
fn bytes_that_are_no_handshake_are_kept_as_an_event() {
    each_driver(|node, _| {
        let mut stream = TcpStream::connect(node.tls.unwrap()).unwrap();
        stream.write_all(request("OPTIONS", "1", "plain", "TLS").as_bytes()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        node.await_events(1);
        await_that(
            || {
                node.metric("sentrypeer_connections_closed_total{shard=\"0\",reason=\"handshake\"}")
                    + node.metric(
                        "sentrypeer_connections_closed_total{shard=\"1\",reason=\"handshake\"}",
                    )
                    == 1
            },
            "the failed handshake to be counted",
        );
    });
}

#[test]
fn a_passive_node_sends_nothing_but_stores() {
    for driver in DRIVERS {
        let node = plan(&["--responsive=false", &format!("--driver={driver}")]).start();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        for method in ["OPTIONS", "REGISTER", "INVITE", "BYE"] {
            let bytes = request(method, "100", method, "UDP");
            socket.send_to(bytes.as_bytes(), node.udp.unwrap()).unwrap();
        }
        node.await_events(4);
        assert_eq!(
            socket.recv(&mut [0; 16]).unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock,
            "{driver}: a passive node answered"
        );
        assert_eq!(node.metric("sentrypeer_replies_sent_total"), 0);
    }
}
