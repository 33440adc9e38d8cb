//! Whoever writes another's address into a datagram gains nothing by it. Raw sockets need the right
//! to make them; without it these tests are skipped, and say so.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sentrypeer::sip::{self, Credentials};
use socket2::{Domain, Protocol, Socket, Type};

use crate::harness::{DRIVERS, Node, await_that, has, plan, request, telephone};

/// Sends datagrams in anybody's name.
struct Forger(Socket);

impl Forger {
    fn new() -> Option<Self> {
        // IPPROTO_RAW: the IP header is ours to write (raw(7)).
        match Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))) {
            Ok(socket) => Some(Self(socket)),
            Err(error) => {
                eprintln!("SKIPPED: no raw socket can be made here: {error}");
                None
            }
        }
    }

    /// A datagram as if `from` had sent it.
    fn send(&self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        let udp = u16::try_from(8 + payload.len()).unwrap();
        let mut packet = vec![0x45, 0];
        packet.extend((20 + udp).to_be_bytes());
        // No id, no fragments, TTL 64, UDP; the kernel fills in the checksum.
        packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        packet.extend(from.ip().octets());
        packet.extend(to.ip().octets());
        // A UDP checksum of 0: none (RFC 768).
        for field in [from.port(), to.port(), udp, 0] {
            packet.extend(field.to_be_bytes());
        }
        packet.extend(payload);
        self.0.send_to(&packet, &SocketAddr::from(to).into()).unwrap();
    }
}

fn v4(address: Option<SocketAddr>) -> SocketAddrV4 {
    match address.unwrap() {
        SocketAddr::V4(v4) => v4,
        SocketAddr::V6(v6) => panic!("{v6}"),
    }
}

/// What waits at `socket`: datagrams and their bytes. An event is stored after its answer was sent, so
/// nothing more comes for events that are.
fn drain(socket: &UdpSocket) -> (usize, usize) {
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 65_535];
    let (mut count, mut bytes) = (0, 0);
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                count += 1;
                bytes += length;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return (count, bytes);
            }
        }
    }
}

fn source(node: &Node, address: &str) -> serde_json::Value {
    let list = node.json("/ip-addresses");
    let mut sources = list["ip_addresses"].as_array().unwrap().iter();
    sources.find(|source| source["ip_address"] == address).unwrap().clone()
}

#[test]
fn a_victim_receives_less_than_was_sent_in_its_name_and_is_never_proven() {
    let Some(forger) = Forger::new() else { return };
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}"), "--answer-rate-source=10"]).start();
        let victim = telephone([127, 0, 0, 77]);
        let from = v4(victim.local_addr().ok());
        let begin = Instant::now();
        let mut sent = 0;
        for n in 0..400 {
            for method in ["OPTIONS", "INVITE", "REGISTER", "ACK", "BYE"] {
                let text = request(method, "0046500729221", &format!("f{n}"), "UDP");
                forger.send(from, v4(node.udp), text.as_bytes());
                sent += text.len();
            }
        }
        node.await_events(5 * 400);
        let (count, bytes) = drain(&victim);
        assert!(bytes < sent, "{driver}: {bytes} bytes for {sent}");
        // Every second ten, and ten at once; the flood was over in a moment, but machines are slow.
        let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap() + 1;
        assert!((1..=10 * (seconds + 1)).contains(&count), "{driver}: {count} in {seconds} s");
        println!(
            "{driver}: {sent} bytes sent in its name, {bytes} received: {:.4} times, in {count} datagrams",
            bytes as f64 / sent as f64
        );
        assert_eq!(source(&node, "127.0.0.77")["verification"], "unverified");
    }
}

#[test]
fn two_nodes_that_are_set_at_each_other_fall_silent() {
    let Some(forger) = Forger::new() else { return };
    for driver in DRIVERS {
        let start = || plan(&[&format!("--driver={driver}")]).start();
        let (one, other) = (start(), start());
        for n in 0..20 {
            for method in ["OPTIONS", "INVITE", "REGISTER", "BYE"] {
                let text = request(method, "100", &format!("l{n}"), "UDP");
                forger.send(v4(other.udp), v4(one.udp), text.as_bytes());
            }
        }
        one.await_events(80);
        let answers = one.metric("sentrypeer_replies_sent_total");
        assert!((1..=80).contains(&answers), "{driver}: {answers}");
        await_that(|| other.events() == answers, "the answers at the other node");
        // An event is stored after its answer was sent: so there is none, and no end of them.
        assert_eq!(other.metric("sentrypeer_replies_sent_total"), 0, "{driver}");
        assert_eq!(one.events(), 80, "{driver}");
    }
}

#[test]
fn nothing_is_sent_to_a_reflector_to_many_hosts_or_to_ourselves() {
    let Some(forger) = Forger::new() else { return };
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        let ours = v4(node.udp);
        let from = |ip: [u8; 4], port| SocketAddrV4::new(Ipv4Addr::from(ip), port);
        let forged = [
            from([127, 0, 0, 78], 19),
            from([127, 0, 0, 78], 53),
            from([127, 0, 0, 78], 1900),
            from([127, 0, 0, 78], 0),
            ours,
        ];
        for (n, source) in forged.into_iter().enumerate() {
            let text = request("OPTIONS", "100", &format!("r{n}"), "UDP");
            forger.send(source, ours, text.as_bytes());
        }
        // An event is stored after its answer was sent.
        node.await_events(forged.len() as u64);
        assert_eq!(node.metric("sentrypeer_replies_sent_total"), 0, "{driver}");
        assert_eq!(node.events(), forged.len() as u64, "{driver}");
    }
}

/// A real proxy, which passes on to the next Via whatever answer comes to it.
struct Proxy {
    child: Child,
    address: SocketAddrV4,
}

impl Proxy {
    fn start(folder: &Path) -> Self {
        let free = UdpSocket::bind("127.0.0.80:0").unwrap();
        let address = v4(free.local_addr().ok());
        drop(free);
        let file = folder.join("kamailio.cfg");
        let text = format!(
            "debug=0\nlog_stderror=yes\nchildren=1\ndisable_tcp=yes\nauto_aliases=no\n\
             listen=udp:{address}\nrequest_route {{ exit; }}\n"
        );
        std::fs::write(&file, text).unwrap();
        let child = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "16", "-M", "4", "-f"])
            .arg(&file)
            .arg("-Y")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        await_that(|| UdpSocket::bind(address).is_err(), "the proxy");
        Self { child, address }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It has children of its own, which it ends when it is asked to.
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

#[test]
fn a_tag_that_was_fetched_through_a_proxy_does_not_prove_the_proxys_address() {
    let Some(forger) = Forger::new() else { return };
    if !has("kamailio") {
        return;
    }
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}"), "--calls=challenge"]).start();
        let proxy = Proxy::start(node.folder.path());
        let attacker = telephone([127, 0, 0, 79]);
        let own = v4(attacker.local_addr().ok());
        let via =
            |hop: SocketAddrV4, n: u32| format!("Via: SIP/2.0/UDP {hop};branch=z9hG4bK-{n}\r\n");
        let text = |method: &str, vias: &str, to_tag: &str, more: &str| {
            format!(
                "{method} sip:00465@{} SIP/2.0\r\n{vias}Max-Forwards: 70\r\n\
                 From: <sip:a@b>;tag=f\r\nTo: <sip:00465@{}>{to_tag}\r\nCall-ID: relay\r\n\
                 CSeq: 1 {method}\r\nContact: <sip:a@{own}>\r\n{more}User-Agent: {}\r\nContent-Length: 0\r\n\r\n",
                v4(node.udp),
                v4(node.udp),
                "x".repeat(200)
            )
        };
        // In the proxy's name, with the attacker behind it: so the answer comes to him.
        let both = via(proxy.address, 1) + &via(own, 2);
        let invite = text("INVITE", &both, "", "");
        attacker.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        forger.send(proxy.address, v4(node.udp), invite.as_bytes());
        let mut buffer = [0; 8_192];
        let length = attacker.recv(&mut buffer).unwrap();
        let answer = sip::parse(&buffer[..length]);
        assert_eq!(answer.status(), Some(401));
        let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let tag = format!(";tag={}", string(answer.to_tag().unwrap()));
        let challenge = answer.headers().find(|(name, _)| *name == b"WWW-Authenticate").unwrap().1;
        let nonce = string(Credentials::parse(challenge).value("nonce").unwrap());
        let given =
            format!("Authorization: Digest username=\"a\",nonce=\"{nonce}\",response=\"0\"\r\n");

        // What he fetched he sends in the proxy's name, and now without a second Via.
        let one = via(proxy.address, 3);
        let forged = [
            text("ACK", &one, &tag, ""),
            text("BYE", &one, &tag, ""),
            text("INVITE", &one, "", &given),
            text("REGISTER", &one, "", &given),
        ];
        for message in &forged {
            forger.send(proxy.address, v4(node.udp), message.as_bytes());
        }
        node.await_events(1 + forged.len() as u64);
        assert_eq!(source(&node, "127.0.0.80")["verification"], "unverified", "{driver}");

        // The same from an address of his own does prove that one.
        let honest = text("INVITE", &via(own, 4), "", "");
        attacker.send_to(honest.as_bytes(), node.udp.unwrap()).unwrap();
        let length = attacker.recv(&mut buffer).unwrap();
        let tag = format!(";tag={}", string(sip::parse(&buffer[..length]).to_tag().unwrap()));
        attacker
            .send_to(text("ACK", &via(own, 4), &tag, "").as_bytes(), node.udp.unwrap())
            .unwrap();
        node.await_events(3 + forged.len() as u64);
        assert_eq!(source(&node, "127.0.0.79")["verification"], "return-path", "{driver}");
    }
}
