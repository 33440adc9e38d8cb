//! A whole subnet that is routed to the machine reaches one socket: each event knows which of the
//! addresses was meant, and answers leave from it.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use sentrypeer_storage::event::{Seq, Transport};
use sentrypeer_storage::{Options, intake};

use crate::harness::{DRIVERS, Node, PATIENCE, await_that, has, plan, request, telephone};

/// The subnets and some of their addresses, the first and the last among them (RFC 5737, RFC 3849).
const SUBNETS: [&str; 2] = ["198.51.100.0/24", "2001:db8:7::/64"];
const ADDRESSES: [&str; 6] = [
    "198.51.100.0",
    "198.51.100.77",
    "198.51.100.255",
    "2001:db8:7::",
    "2001:db8:7::4d",
    "2001:db8:7:0:ffff:ffff:ffff:ffff",
];

/// Runs `check` where the network is its own and both subnets are local; says so if that cannot be.
pub fn in_a_network_of_its_own(check: impl FnOnce() + Send) {
    if !has("ip") {
        return;
    }
    // The namespace holds for the thread that makes it, and for what that thread starts.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
                eprintln!("SKIPPED: this test needs a network namespace: {error}");
                return;
            }
            ip("link set lo up");
            for subnet in SUBNETS {
                ip(&format!("route add local {subnet} dev lo"));
            }
            check();
        });
    });
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// A node that listens on these addresses, one of each family.
fn node(driver: &str, listen: [&str; 2]) -> Node {
    plan(&[
        &format!("--driver={driver}"),
        &format!("--sip-listen={}", listen[0]),
        &format!("--sip-listen={}", listen[1]),
        "--no-tls",
    ])
    .start()
}

/// An address of our own to ask from, of the same family.
fn near(ip: IpAddr) -> IpAddr {
    if ip.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
}

/// Asks `target` over UDP. A connected socket takes an answer from nowhere else.
fn ask_udp(target: SocketAddr) -> Vec<u8> {
    let socket = telephone(near(target.ip()));
    socket.connect(target).unwrap();
    socket.send(request("OPTIONS", "100", &format!("udp-{target}"), "UDP").as_bytes()).unwrap();
    let mut answer = vec![0; 4_096];
    let length = socket.recv(&mut answer).unwrap_or_else(|e| panic!("{target}: {e}"));
    answer.truncate(length);
    answer
}

fn ask_tcp(target: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(target).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let text = request("OPTIONS", "100", &format!("tcp-{target}"), "TCP");
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = vec![0; 11];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// Transport and destination of every event in a database that no node holds.
fn destinations(database: &Path) -> Vec<(Transport, IpAddr)> {
    let (intakes, end) = intake::channel(1);
    let options = Options::new(database.to_owned(), uuid::Uuid::nil());
    let (store, writer) = sentrypeer_storage::start(options, end);
    await_that(|| store.snapshot().is_some(), "the database to be open");
    let events = store.log().unwrap().since(Seq(0), 1_000).unwrap();
    drop(intakes);
    writer.join().unwrap();
    events.iter().map(|event| (event.transport, event.destination.ip())).collect()
}

#[test]
fn every_address_of_a_subnet_is_answered_from_itself_and_kept_with_the_event() {
    in_a_network_of_its_own(|| {
        for driver in DRIVERS {
            let node = node(driver, ["0.0.0.0:5060", "[::]:5060"]);
            let mut asked = Vec::new();
            for address in ADDRESSES {
                let ip: IpAddr = address.parse().unwrap();
                let target = SocketAddr::new(ip, 5060);
                assert!(ask_udp(target).starts_with(b"SIP/2.0 200"), "{driver} {address}");
                asked.push((Transport::Udp, ip));
                assert!(ask_tcp(target).starts_with(b"SIP/2.0 200"), "{driver} {address}");
                asked.push((Transport::Tcp, ip));
            }
            let folder = node.folder.clone();
            assert!(node.stop().success());
            let mut kept = destinations(&folder.path().join("s.redb"));
            kept.sort_unstable();
            asked.sort_unstable();
            assert_eq!(kept, asked, "{driver}");
        }
    });
}

#[test]
fn two_nodes_on_one_machine_can_talk_but_none_answers_itself() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        let target = node.udp.unwrap();
        // Another port of the same address is another program.
        assert!(ask_udp(target).starts_with(b"SIP/2.0 200"), "{driver}");
        in_a_network_of_its_own(|| answers_no_forgery(driver));
    }
}

/// A request whose source is forged to be the node itself.
fn answers_no_forgery(driver: &str) {
    let node = node(driver, ["0.0.0.0:5060", "[::]:5060"]);
    let socket = forger();
    let text = request("OPTIONS", "100", "forged", "UDP");
    send_forged(&socket, "198.51.100.9", "198.51.100.9", text.as_bytes());
    send_forged(&socket, "127.0.0.1", "198.51.100.9", text.as_bytes());
    node.await_events(2);
    let unsent = || node.metric("sentrypeer_replies_unsent_total");
    await_that(|| unsent() == 2, "both answers to be withheld");
    assert_eq!(node.metric("sentrypeer_replies_sent_total"), 0, "{driver}");
    assert!(node.stop().success());
}

/// A socket that writes its own IP headers.
fn forger() -> socket2::Socket {
    let (kind, protocol) = (socket2::Type::RAW, socket2::Protocol::from(libc::IPPROTO_RAW));
    socket2::Socket::new(socket2::Domain::IPV4, kind, Some(protocol)).unwrap()
}

/// Sends a datagram from port 5060 of `from` to port 5060 of `to`.
fn send_forged(socket: &socket2::Socket, from: &str, to: &str, payload: &[u8]) {
    let octets = |text: &str| text.parse::<Ipv4Addr>().unwrap().octets();
    let length = |header: usize| u16::try_from(header + payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0];
    packet.extend(length(28));
    // Identification, fragment, time to live, UDP, checksum (the kernel's).
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(octets(from).into_iter().chain(octets(to)));
    packet.extend([0x13, 0xc4, 0x13, 0xc4]);
    packet.extend(length(8));
    // No checksum of the datagram.
    packet.extend([0, 0]);
    packet.extend(payload);
    let target = SocketAddr::from((octets(to), 0));
    socket.send_to(&packet, &target.into()).unwrap();
}
