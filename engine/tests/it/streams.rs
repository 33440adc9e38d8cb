//! Connections: framing, many of them, running out of descriptors.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::harness::{DRIVERS, Node, await_that, exchange, plan, request};

/// Takes any certificate: the node's is its own.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A TLS connection to a node, its handshake done.
pub fn tls_connect(address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
    try_tls_connect(address).unwrap()
}

/// The same, unless the node ends it.
fn try_tls_connect(address: SocketAddr) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    tls_over(TcpStream::connect(address).unwrap())
}

/// A TLS connection over one that is there, unless the node ends it.
pub fn tls_over(stream: TcpStream) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).ok()?;
    }
    Some(stream)
}

/// Reads answers until `count` have come: their first lines.
fn read_answers(stream: impl Read, count: usize) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let mut answers = Vec::new();
    while answers.len() < count {
        let mut line = String::new();
        assert_ne!(
            stream.read_line(&mut line).unwrap(),
            0,
            "ended after {} answers",
            answers.len()
        );
        if line.starts_with("SIP/2.0") {
            answers.push(line.trim_end().to_owned());
        }
    }
    answers
}

#[test]
fn many_and_split_messages_on_one_connection_are_each_answered() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        let mut stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
        let mut bytes = b"\r\n\r\n".to_vec();
        for call in 0..20 {
            let text = request("OPTIONS", "100", &format!("split-{call}"), "TCP");
            bytes
                .extend(text.replace("Content-Length: 0\r\n\r\n", "l: 4\r\n\r\nbody").into_bytes());
        }
        for piece in bytes.chunks(97) {
            stream.write_all(piece).unwrap();
        }
        let answers = read_answers(stream.try_clone().unwrap(), 20);
        assert!(answers.iter().all(|line| line == "SIP/2.0 200 OK"), "{answers:?}");
        node.await_events(20);
        let source = node.json("/ip-addresses");
        assert_eq!(source["ip_addresses"][0]["verification"], "connected");
    }
}

/// Sends `count` requests at once while it reads the answers, as a load generator does.
fn pipeline(mut writer: impl Write + Send, reader: impl Read, count: usize) {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for call in 0..count {
                let text = request("OPTIONS", "1", &format!("p{call}"), "TCP");
                writer.write_all(text.as_bytes()).unwrap();
            }
        });
        assert_eq!(read_answers(reader, count).len(), count);
    });
}

#[test]
fn who_pipelines_and_reads_gets_every_answer() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        let stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
        pipeline(stream.try_clone().unwrap(), stream, 5_000);
        // The same over TLS, in bursts that fit into the buffers: one thread cannot do both.
        let mut stream = tls_connect(node.tls.unwrap());
        for burst in 0..10 {
            let texts = (0..50).map(|i| request("OPTIONS", "1", &format!("t{burst}-{i}"), "TLS"));
            let all: String = texts.collect();
            stream.write_all(all.as_bytes()).unwrap();
            // What is buffered and dropped is the rest of the last answer: no other is due.
            assert_eq!(read_answers(&mut stream, 50).len(), 50);
        }
        node.await_events(5_500);
        assert_eq!(
            node.metric("sentrypeer_connections_closed_total{shard=\"0\",reason=\"slow_reader\"}"),
            0
        );
    }
}

#[test]
fn who_does_not_read_is_not_read_and_takes_no_memory() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        let mut stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
        stream.set_write_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
        let text = request("OPTIONS", "1", "deaf", "TCP");
        let mut sent = 0_u64;
        while stream.write_all(text.as_bytes()).is_ok() {
            sent += 1;
            assert!(sent < 1_000_000, "{driver}: the node reads without end");
        }
        // Others are served meanwhile, and the deaf one's events are kept.
        let bytes = request("OPTIONS", "100", "beside", "UDP");
        assert!(exchange(node.udp.unwrap(), bytes.as_bytes()).starts_with(b"SIP/2.0 200"));
        assert!(node.events() < sent);
        assert!(node.stop().success());
    }
}

#[test]
fn who_reads_late_gets_every_answer_that_was_waiting() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        let mut stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let text = request("OPTIONS", "1", "late", "TCP");
        // Whole requests until nobody takes more for a while: then the node is stuck with answers.
        let (mut sent, mut cut) = (0, 0);
        let mut quiet_since = std::time::Instant::now();
        while quiet_since.elapsed() < std::time::Duration::from_millis(300) {
            match stream.write(&text.as_bytes()[cut..]) {
                Ok(n) => {
                    cut = (cut + n) % text.len();
                    sent += usize::from(cut == 0);
                    quiet_since = std::time::Instant::now();
                }
                Err(_) => std::thread::yield_now(),
            }
        }
        stream.set_nonblocking(false).unwrap();
        assert_eq!(read_answers(stream, sent).len(), sent, "{driver}");
    }
}

#[test]
fn a_good_record_before_a_bad_one_is_an_event() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        let mut stream = tls_connect(node.tls.unwrap());
        let text = request("OPTIONS", "1", "good", "TLS");
        stream.conn.writer().write_all(text.as_bytes()).unwrap();
        let mut wire = Vec::new();
        stream.conn.write_tls(&mut wire).unwrap();
        wire.extend_from_slice(&[0x17, 3, 3, 0, 32]);
        wire.extend_from_slice(&[0xaa; 32]);
        stream.sock.write_all(&wire).unwrap();
        let _ = stream.sock.read_to_end(&mut Vec::new());
        node.await_events(1);
        assert_eq!(node.metric("sentrypeer_stream_messages_total"), 1, "{driver}");
        assert_eq!(node.json("/ip-addresses")["ip_addresses"][0]["verification"], "tls");
    }
}

#[test]
fn both_versions_of_tls_are_spoken_and_prove_the_source() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}"), "--register-tries=0"]).start();
        let mut stream = tls_connect(node.tls.unwrap());
        stream.write_all(request("REGISTER", "100", "tls", "TLS").as_bytes()).unwrap();
        assert_eq!(read_answers(stream, 1), ["SIP/2.0 200 OK"]);
        node.await_events(1);
        assert_eq!(node.json("/ip-addresses")["ip_addresses"][0]["verification"], "tls");
        if crate::harness::has("openssl") {
            for version in ["-tls1_2", "-tls1_3"] {
                openssl(node.tls.unwrap(), version);
            }
            node.await_events(3);
        }
    }
}

/// One request by openssl's own client.
fn openssl(address: SocketAddr, version: &str) {
    let mut client = std::process::Command::new("openssl")
        .args(["s_client", "-quiet", version, "-connect", &address.to_string()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(request("OPTIONS", "7", version, "TLS").as_bytes()).unwrap();
    let answers = read_answers(client.stdout.take().unwrap(), 1);
    assert_eq!(answers, ["SIP/2.0 200 OK"], "{version}");
    drop(stdin);
    let _ = client.kill();
    client.wait().unwrap();
}

#[test]
fn a_thousand_idle_connections_do_not_keep_datagrams_from_being_served() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        // From several addresses, for one source may hold only so many.
        let mut held = Vec::new();
        for i in 0..1_000_u32 {
            let source = SocketAddr::from(([127, 3, 0, 1 + (i % 8) as u8], 0));
            held.push(connect_from(source, node.tcp.unwrap()));
        }
        await_that(
            || node.metric("sentrypeer_connections_accepted_total") >= 1_000,
            "1,000 connections to be accepted",
        );
        let bytes = request("OPTIONS", "100", "beside", "UDP");
        assert!(exchange(node.udp.unwrap(), bytes.as_bytes()).starts_with(b"SIP/2.0 200"));
        drop(held);
        await_that(
            || node.metric("sentrypeer_connections_closed_total") >= 1_000,
            "1,000 connections to be let go",
        );
    }
}

pub fn connect_from(source: SocketAddr, target: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&source.into()).unwrap();
    socket.connect(&target.into()).unwrap();
    socket.into()
}

/// A node of one shard that may open only `descriptors` descriptors.
fn starved(driver: &str, descriptors: u32) -> Node {
    let plan = plan(&[&format!("--driver={driver}"), "--shards=1", "--dip-listen=none"]);
    let command = plan.command();
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.env("HOME", plan.folder.path());
    plan.start_as(limited)
}

fn hold(node: &Node, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(node.tcp.unwrap()).unwrap()).collect()
}

fn is_served(node: &Node, transport: &str) {
    if transport == "UDP" {
        let bytes = request("OPTIONS", "100", "served", "UDP");
        assert!(exchange(node.udp.unwrap(), bytes.as_bytes()).starts_with(b"SIP/2.0 200"));
        return;
    }
    let mut stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
    stream.write_all(request("OPTIONS", "100", "served", "TCP").as_bytes()).unwrap();
    assert_eq!(read_answers(stream, 1), ["SIP/2.0 200 OK"]);
}

/// Connections that a node of one shard closed for this reason.
fn closed(node: &Node, reason: &str) -> u64 {
    let name = "sentrypeer_connections_closed_total";
    node.metric(&format!("{name}{{shard=\"0\",reason=\"{reason}\"}}"))
}

/// Whether a newcomer from `source` is answered, which may have to try until others are idle.
fn await_place(node: &Node, source: SocketAddr) {
    let target = node.tcp.unwrap();
    let served = || {
        let mut stream = connect_from(source, target);
        let text = request("OPTIONS", "100", "place", "TCP");
        let mut answer = [0; 7];
        stream.write_all(text.as_bytes()).is_ok()
            && stream.read_exact(&mut answer).is_ok()
            && answer == *b"SIP/2.0"
    };
    await_that(served, "a newcomer to be served");
}

#[test]
fn a_source_with_all_its_connections_gets_a_new_one_for_its_oldest_idle_one() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}"), "--shards=1"]).start();
        let other = connect_from(SocketAddr::from(([127, 4, 0, 1], 0)), node.tcp.unwrap());
        let mut held = hold(&node, 256);
        let accepted = || node.metric("sentrypeer_connections_accepted_total");
        await_that(|| accepted() >= 257, "all to be accepted");
        await_place(&node, SocketAddr::from(([127, 0, 0, 1], 0)));
        await_that(|| closed(&node, "for_newer_of_source") >= 1, "what was let go to be counted");
        // It was the first, and not the older one of somebody else.
        assert_eq!(held[0].read(&mut [0; 1]).unwrap(), 0, "{driver}");
        other.set_nonblocking(true).unwrap();
        let still = (&other).read(&mut [0; 1]).unwrap_err().kind();
        assert_eq!(still, std::io::ErrorKind::WouldBlock, "{driver}");
    }
}

#[test]
fn a_full_shard_gets_a_newcomer_in_for_an_idle_connection() {
    for driver in DRIVERS {
        let node = starved(driver, 80);
        let _held = hold(&node, 16);
        await_place(&node, SocketAddr::from(([127, 5, 0, 1], 0)));
        await_that(|| closed(&node, "for_newer") >= 1, "what was let go to be counted");
        await_that(|| node.events() >= 2, "the displaced one and the request to be stored");
    }
}

#[test]
fn stalled_handshakes_do_not_keep_others_from_theirs() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}"), "--shards=1"]).start();
        let from = |i: u32| SocketAddr::from(([127, 6, 0, 1 + (i % 2) as u8], 0));
        let _held: Vec<TcpStream> =
            (0..256).map(|i| connect_from(from(i), node.tls.unwrap())).collect();
        await_that(
            || node.metric("sentrypeer_connections_accepted_total") >= 256,
            "the stalled ones to be accepted",
        );
        let served = || {
            let Some(mut stream) = try_tls_connect(node.tls.unwrap()) else { return false };
            stream.write_all(request("OPTIONS", "1", "tls", "TLS").as_bytes()).unwrap();
            read_answers(stream, 1) == ["SIP/2.0 200 OK"]
        };
        await_that(served, "a handshake to succeed");
        await_that(|| closed(&node, "for_newer_handshake") >= 1, "what was let go to be counted");
    }
}

#[test]
fn messages_that_are_never_finished_keep_no_more_memory_than_the_budget() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}"), "--shards=1"]).start();
        let start = "OPTIONS sip:1@x SIP/2.0\r\nContent-Length: 60000\r\n\r\n";
        let bytes = format!("{start}{}", "x".repeat(59_000));
        let mut held = Vec::new();
        // 32 MiB are 560 of these; one source may have 256 connections.
        for i in 0..700_u32 {
            let source = SocketAddr::from(([127, 7, 0, 1 + (i % 4) as u8], 0));
            let mut stream = connect_from(source, node.tcp.unwrap());
            stream.write_all(bytes.as_bytes()).unwrap();
            held.push(stream);
        }
        await_that(|| closed(&node, "memory") >= 100, "the largest to be closed");
        // What they had sent is kept, and others are served.
        node.await_events(100);
        is_served(&node, "TCP");
    }
}

#[test]
fn running_out_of_descriptors_pauses_accepting_and_recovers() {
    for driver in DRIVERS {
        // About 20 are open before the first connection.
        let node = starved(driver, 32);
        let held = hold(&node, 60);
        is_served(&node, "UDP");
        drop(held);
        is_served(&node, "TCP");
        assert!(node.metric("sentrypeer_accept_errors_total") > 0, "{driver}: none was missed");
    }
}

#[test]
fn connections_leave_descriptors_for_everything_else() {
    for driver in DRIVERS {
        let node = starved(driver, 80);
        assert!(node.lines().join("\n").contains("each shard holds only 16 connections"));
        let held = hold(&node, 120);
        is_served(&node, "UDP");
        // Turned away, or taken for one that was idle by then.
        let displaced = || closed(&node, "for_newer");
        await_that(
            || node.metric("sentrypeer_connections_refused_total") + displaced() >= 104,
            "what is beyond the bound to be turned away",
        );
        drop(held);
        await_that(
            || node.metric("sentrypeer_connections_closed_total") >= 16,
            "the held ones to be let go",
        );
        is_served(&node, "TCP");
        assert_eq!(node.metric("sentrypeer_accept_errors_total"), 0);
    }
}
