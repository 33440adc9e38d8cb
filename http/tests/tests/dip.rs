//! The dip lane over real sockets.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, socket};

use sentrypeer_http::Lane;
use sentrypeer_http::counters::Incident;
use sentrypeer_http::front::{FrontError, api, dip};
use sentrypeer_http::limits::{DIP_ANSWER_BYTES_MAX, DIP_CONNECTIONS_MAX, DIP_SPARE_DESCRIPTORS};
use sentrypeer_storage::event::Time;

use crate::client::Client;
use crate::node::{NS_PER_S, Node, VERSION, event, proven, wait_until};

fn node() -> Node {
    let now = Time::now().minus_ns(NS_PER_S);
    Node::with(&[
        event("198.18.0.7", "+442071234567", now),
        proven("198.18.0.8", "00*11#", now),
        event("2a00:1450:1:2::9", "\"\u{1}", now),
    ])
}

fn served() -> (Node, dip::Front) {
    let node = node();
    let front = dip::serve(loopback(), Arc::clone(&node.ctx)).unwrap();
    (node, front)
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn happened(node: &Node, what: Incident) -> u64 {
    node.ctx.counters.incidents(Lane::Dip, what)
}

const DIPS: [&str; 19] = [
    "/ip-addresses/198.18.0.7",
    "/ip-addresses/198.18.0.9",
    "/ip-addresses/::ffff:198.18.0.7",
    "/ip-addresses/2a00:1450:1:2::1",
    "/ip-addresses/2a00%3a1450:1:2::1",
    "/ip-addresses/nonsense",
    "/ip-addresses/198.18.0.7?x=y",
    "/numbers/+442071234567",
    "/numbers/%2B442071234567",
    "/numbers/00*11%23",
    "/numbers/00*11#fragment",
    "/numbers/%22%01",
    "/numbers/1",
    "/api/v1/check?ip=198.18.0.8",
    "/api/v1/check?ip=198.18.0.8&number=%2B442071234567",
    "/api/v1/check?ip=2a00:1450:1:2::1",
    "/api/v1/check?number=1&what=2",
    "/api/v1/check",
    "/health-check",
];

#[test]
fn every_dip_has_the_same_status_type_and_bytes_as_on_the_api() {
    let (node, dip) = served();
    let listener = TcpListener::bind(loopback()).unwrap();
    let api = api::serve(vec![listener], Arc::clone(&node.ctx)).unwrap();
    let mut on_dip = Client::connect(dip.address());
    let mut on_api = Client::connect(api.addresses()[0]);
    for target in DIPS {
        let (dip, api) = (on_dip.get(target), on_api.get(target));
        assert_eq!(String::from_utf8_lossy(&dip.body), String::from_utf8_lossy(&api.body));
        assert_eq!(dip.status, api.status, "{target}");
        for name in
            ["content-type", "access-control-allow-origin", "x-powered-by", "x-sentrypeer-version"]
        {
            assert_eq!(dip.header(name), api.header(name), "{target} {name}");
        }
        assert_eq!(dip.header("etag"), None);
    }
    let health = b"GET /health-check HTTP/1.1\r\nContent-Type: application/json\r\n\r\n";
    on_dip.send(health);
    on_api.send(
        b"GET /health-check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n",
    );
    assert_eq!(on_dip.reply().body, on_api.reply().body);
}

/// Sends what the lane does not take with a dip behind it; nothing of that may be answered.
fn is_refused(address: SocketAddr, request: &str) {
    let mut client = Client::connect(address);
    client.send(format!("{request}GET /numbers/1 HTTP/1.1\r\n\r\n").as_bytes());
    let method = request.split(' ').next().unwrap();
    let reply = client.reply_to(method).unwrap();
    assert_eq!(reply.status, 421, "{request}");
    assert_eq!(reply.header("connection"), Some("close"), "{request}");
    while let Some(reply) = client.reply_to("GET") {
        assert_eq!(reply.status, 421, "{request}");
    }
}

#[test]
fn everything_else_is_misdirected_and_the_connection_ends() {
    let (node, dip) = served();
    let requests = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET /ip-addresses HTTP/1.1\r\n\r\n",
        "GET /ip-addresses/ipset HTTP/1.1\r\n\r\n",
        "GET /metrics HTTP/1.1\r\n\r\n",
        "GET /unknown HTTP/1.1\r\n\r\n",
        "GET /%zz<> HTTP/1.1\r\n\r\n",
        "GET http://x/metrics HTTP/1.1\r\n\r\n",
        "HEAD /numbers/1 HTTP/1.1\r\n\r\n",
        "POST /numbers/1 HTTP/1.1\r\n\r\n",
        "GET /numbers/1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "GET /numbers/1 HTTP/1.1\r\ncontent-length: nonsense\r\n\r\n",
        "GET /numbers/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    for request in requests {
        is_refused(dip.address(), request);
    }
    assert_eq!(happened(&node, Incident::NotForThisLane), requests.len() as u64);
    assert_eq!(Client::connect(dip.address()).get("/numbers/1").status, 404);
}

#[test]
fn a_smuggled_body_is_not_run_as_a_request() {
    let (node, dip) = served();
    let smuggled = "GET /ip-addresses/198.18.0.7 HTTP/1.1\r\n\r\n";
    let length = smuggled.len();
    let request = format!("POST /x HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{smuggled}");
    let mut client = Client::connect(dip.address());
    client.send(request.as_bytes());
    while let Some(reply) = client.reply_to("GET") {
        assert_eq!(reply.status, 421);
        assert!(!String::from_utf8_lossy(&reply.body).contains("bad_actor_found"));
    }
    wait_until("it has ended", || node.ctx.counters.open_connections(Lane::Dip) == 0);
}

#[test]
fn what_is_no_request_ends_the_connection_whatever_stands_before_it() {
    let (node, dip) = served();
    let many = format!("GET /numbers/1 HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(17));
    for bytes in [
        "\0\r\n\r\n",
        "GET /numbers/1\u{7f} HTTP/1.1\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 14\r\n\r\n{\"ip\": \"::1\"}",
        &many,
    ] {
        let mut client = Client::connect(dip.address());
        client.send(bytes.as_bytes());
        while let Some(reply) = client.reply_to("GET") {
            assert_eq!(reply.status, 421);
        }
    }
    wait_until("all have ended", || node.ctx.counters.open_connections(Lane::Dip) == 0);
}

#[test]
fn a_flood_of_requests_behind_a_refused_one_is_cut() {
    let (node, dip) = served();
    let mut client = Client::connect(dip.address());
    let flood = "GET /numbers/1 HTTP/1.1\r\n\r\n".repeat(500);
    client.send(format!("POST / HTTP/1.1\r\n\r\n{flood}").as_bytes());
    wait_until("it has ended", || {
        happened(&node, Incident::NotForThisLane) == 1
            && node.ctx.counters.open_connections(Lane::Dip) == 0
    });
}

#[test]
fn a_connection_that_is_to_close_closes_after_its_answer() {
    let (_node, dip) = served();
    for request in [
        "GET /numbers/1 HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /numbers/1 HTTP/1.1\r\nconnection: x, Close\r\n\r\n",
        "GET /numbers/1 HTTP/1.0\r\n\r\n",
    ] {
        let mut client = Client::connect(dip.address());
        client.send(request.as_bytes());
        let reply = client.reply();
        assert_eq!(reply.status, 404);
        assert_eq!(reply.header("connection"), Some("close"));
        assert!(client.ends(), "{request}");
    }
}

#[test]
fn a_connection_ends_in_good_order_after_so_many_answers() {
    let (node, dip) = served();
    let mut client = Client::connect(dip.address());
    let mut bytes = 0;
    while client.get("/health-check").header("connection").is_none() {
        bytes += 200;
        assert!(bytes < DIP_ANSWER_BYTES_MAX);
    }
    assert!(client.ends());
    assert_eq!(happened(&node, Incident::LifeOver), 1);
}

#[test]
fn one_connection_too_many_is_closed_and_counted() {
    let (node, dip) = served();
    let open = |node: &Node| node.ctx.counters.open_connections(Lane::Dip);
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..DIP_CONNECTIONS_MAX {
        clients.push(Client::connect(dip.address()));
    }
    wait_until("all are taken", || open(&node) == DIP_CONNECTIONS_MAX as u64);
    assert!(Client::connect(dip.address()).ends());
    assert_eq!(happened(&node, Incident::RefusedConnection), 1);
    clients.clear();
    wait_until("all have ended", || open(&node) == 0);
    assert_eq!(Client::connect(dip.address()).get("/numbers/1").status, 404);
}

#[test]
fn when_the_front_is_dropped_its_connections_end_and_none_is_taken() {
    let (node, dip) = served();
    let address = dip.address();
    let mut client = Client::connect(address);
    assert_eq!(client.get("/numbers/1").status, 404);
    drop(dip);
    assert!(client.ends());
    assert!(Client::connect(address).ends());
    wait_until("it has ended", || node.ctx.counters.open_connections(Lane::Dip) == 0);
}

#[test]
fn only_a_loopback_address_that_is_free_is_served() {
    let node = node();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = dip::serve(address.parse().unwrap(), Arc::clone(&node.ctx)).unwrap_err();
        assert!(matches!(refused, FrontError::NotLoopback { .. }));
        assert!(refused.to_string().contains(address));
    }
    let first = dip::serve(loopback(), Arc::clone(&node.ctx)).unwrap();
    let refused = dip::serve(first.address(), Arc::clone(&node.ctx)).unwrap_err();
    assert!(matches!(refused, FrontError::Listen { .. }), "{refused}");
}

#[test]
fn until_there_is_a_snapshot_a_dip_is_told_to_ask_again() {
    let node = Node::without_snapshot();
    let dip = dip::serve(loopback(), Arc::clone(&node.ctx)).unwrap();
    let mut client = Client::connect(dip.address());
    let reply = client.get("/ip-addresses/198.18.0.7");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(reply.header("x-sentrypeer-version"), Some(VERSION));
    assert_eq!(client.get("/health-check").status, 503);
}

/// Set in the process that runs out of descriptors: all others must keep theirs.
const ALONE: &str = "SENTRYPEER_TEST_DESCRIPTORS";

/// Time that this process or thread has spent computing.
fn computed(who: UsageWho) -> Duration {
    let used = getrusage(who).unwrap();
    let time = used.user_time() + used.system_time();
    Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1_000)
}

#[test]
fn without_a_descriptor_it_waits_instead_of_spinning_and_then_goes_on() {
    if std::env::var_os(ALONE).is_none() {
        let name = "dip::without_a_descriptor_it_waits_instead_of_spinning_and_then_goes_on";
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        assert!(alone.args([name, "--exact"]).env(ALONE, "1").status().unwrap().success());
        return;
    }
    let (node, dip) = served();
    assert_eq!(Client::connect(dip.address()).get("/numbers/1").status, 404);
    // Sockets are made while they can be. To connect them takes no more descriptors of the client.
    let stream = || socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    let waiting: Vec<_> = (0..4 * DIP_SPARE_DESCRIPTORS).map(|_| stream()).collect();
    setrlimit(Resource::RLIMIT_NOFILE, 256, 256).unwrap();
    let another = || std::fs::File::open("/dev/null").ok();
    let held: Vec<_> = std::iter::from_fn(another).collect();
    let SocketAddr::V4(address) = dip.address() else { panic!("not IPv4") };
    for socket in &waiting {
        connect(socket.as_raw_fd(), &SockaddrIn::from(address)).unwrap();
    }
    wait_until("the lane waits", || happened(&node, Incident::AcceptFailed) > 0);
    // A thread that spins for a second is the measure: beside it another one would show, however little
    // of the machine both of them get.
    let before = computed(UsageWho::RUSAGE_SELF);
    let spinning = std::thread::spawn(|| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {}
        computed(UsageWho::RUSAGE_THREAD)
    });
    let spun = spinning.join().unwrap();
    let all = computed(UsageWho::RUSAGE_SELF) - before;
    assert!(all < spun * 3 / 2, "{all:?} computed, {spun:?} of them by the test itself");
    drop((held, waiting));
    assert_eq!(Client::connect(dip.address()).get("/numbers/1").status, 404);
}
