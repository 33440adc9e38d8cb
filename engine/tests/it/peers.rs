//! Nodes that share with each other over OpenDHT, on loopback.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Node, plan, plan_in, program, quiet_address, request};
use crate::streams::connect_from;

/// Epochs are of six seconds here, and what is said is read in the next one or two.
const PATIENCE: Duration = Duration::from_secs(180);

/// Whether this build shares at all; says so aloud if it does not.
fn shares() -> bool {
    let is_built_in = cfg!(feature = "opendht");
    if !is_built_in {
        eprintln!("SKIPPED: this test needs a build with OpenDHT");
    }
    is_built_in
}

fn said(database: &Path, args: &[&str]) -> Output {
    program(database).args(args).output().unwrap()
}

fn line(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().trim_end().to_owned()
}

fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A member of a pool on loopback, which says what it sees every six seconds.
fn member(port: u16, other: u16) -> Node {
    plan(&[
        "-p",
        "--peer-pool-secret=of these tests",
        "--peer-epoch-s=6",
        "--peer-network=8200",
        &format!("--peer-port={port}"),
        &format!("--bootstrap=127.0.0.1:{other}"),
        "--proxy-protocol-from=127.8.0.0/16",
    ])
    .start()
}

fn peers(node: &Node) -> Value {
    let list = said(&node.database(), &["peers", "--json"]);
    serde_json::from_slice(&list.stdout).unwrap_or(Value::Null)
}

fn await_both(nodes: [&Node; 2], what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        let known = nodes.map(|node| format!("{:#}", peers(node)));
        assert!(Instant::now() < deadline, "waited in vain for {what}: {known:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A call from an address over TCP, through a front end.
fn is_called(node: &Node, source: &str) {
    let mut stream = connect_from(SocketAddr::from(([127, 8, 0, 1], 0)), node.tcp.unwrap());
    write!(stream, "PROXY TCP4 {source} 192.0.2.9 40000 5060\r\n").unwrap();
    stream.write_all(request("OPTIONS", "100", "shared", "TCP").as_bytes()).unwrap();
    stream.read_exact(&mut [0; 11]).unwrap();
}

#[test]
fn what_one_member_of_a_pool_has_proven_the_other_blocks() {
    if !shares() {
        return;
    }
    let ports = [quiet_address().port(), quiet_address().port()];
    let (one, two) = (member(ports[0], ports[1]), member(ports[1], ports[0]));
    // Each has something to tell.
    for (node, source) in [(&one, "144.21.55.36"), (&two, "144.21.55.38")] {
        is_called(node, source);
        node.await_events(1);
    }
    let blocks = || {
        let export = said(&two.database(), &["export", "plain", "--allow-empty"]);
        String::from_utf8_lossy(&export.stdout).contains("144.21.55.36")
    };
    assert!(!blocks());
    await_both([&one, &two], "what the other has seen", blocks);
    assert_eq!(two.events(), 1, "what others say is no event of this node's");
    let key = line(&said(&one.database(), &["identity", "show"]));
    let known = peers(&two);
    let of_one =
        known["peers"].as_array().unwrap().iter().find(|peer| peer["node"] == key.as_str());
    assert!(of_one.is_some_and(|peer| peer["got"].as_u64() > Some(0)), "{known:#}");
    assert_eq!(known["listed"]["addresses"], 1);
    assert_eq!(two.metric("sentrypeer_peers_known"), 1);
    assert_eq!(two.metric("sentrypeer_peers_up"), 1);
    let (_, metrics) = two.get("/metrics");
    let ours = || metrics.lines().filter(|line| line.contains("sentrypeer_peers_"));
    assert!(ours().all(|line| !line.contains("144.21.55.36") && !line.contains(&key)), "{metrics}");
    let status = two.json("/api/v1/status");
    assert_eq!(status["peers"]["state"], "running", "{status}");
    assert_eq!(status["peers"]["known"], 1, "{status}");
    let mut asked = TcpStream::connect(two.api.unwrap()).unwrap();
    let head = "GET /health-check HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n";
    asked.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut health = String::new();
    asked.read_to_string(&mut health).unwrap();
    assert!(health.contains(r#""peers": {"#) && health.contains(r#""running""#), "{health}");
    let table = line(&said(&two.database(), &["peers"]));
    assert!(table.contains(&key) && table.contains("trusted"), "{table}");
    assert!(line(&said(&two.database(), &["peers", "pardon", &key])).contains("pardoned"));
    let stranger = refusal(&said(&two.database(), &["peers", "pardon", &"07".repeat(32)]));
    assert!(stranger.contains("no such node is known"), "{stranger}");
    for lines in [one.lines(), two.lines()] {
        assert!(lines.iter().any(|line| line.contains("peer to peer in a private pool")));
        assert!(lines.iter().all(|line| !line.contains("of these tests")), "{lines:#?}");
    }
    assert!(one.stop().success() && two.stop().success());
}

#[test]
fn a_node_whose_port_for_others_is_taken_says_so_and_does_not_run() {
    let taken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let (status, lines) =
        plan(&["-p", &format!("--peer-port={port}"), "-b", "127.0.0.1:9"]).run_to_end();
    assert_eq!(status.code(), Some(1), "{lines}");
    if cfg!(feature = "opendht") {
        assert!(lines.contains(&format!("UDP port {port}: ")), "{lines}");
        assert!(lines.contains("--peer-port"), "{lines}");
    } else {
        assert!(
            lines.contains("--peer-to-peer: this program was built without OpenDHT"),
            "{lines}"
        );
    }
}

#[test]
fn a_node_that_does_not_share_says_so() {
    let node = plan(&[]).start();
    let refused = refusal(&said(&node.database(), &["peers"]));
    assert!(refused.contains("start it with -p"), "{refused}");
    assert!(node.json("/api/v1/status")["peers"].is_null());
    let (_, metrics) = node.get("/metrics");
    assert!(!metrics.contains("sentrypeer_peers_"), "{metrics}");
    let none = refusal(&said(&node.database(), &["identity", "show"]));
    assert!(none.contains("there is no identity yet"), "{none}");
}

#[test]
fn an_identity_is_kept_exported_for_its_owner_and_changed_only_while_no_node_runs() {
    if !shares() {
        return;
    }
    let arguments = ["-p", "--peer-port=0", "--peer-network=8201", "--bootstrap=127.0.0.1:9"];
    let node = plan(&arguments).start();
    let (folder, database) = (node.folder.clone(), node.database());
    crate::harness::await_that(|| !peers(&node)["node"].is_null(), "sharing to begin");
    let key = line(&said(&database, &["identity", "show"]));
    assert_eq!(peers(&node)["node"], key.as_str());
    let refused = refusal(&said(&database, &["identity", "rotate"]));
    assert!(refused.contains("a node runs on this database"), "{refused}");
    assert!(node.stop().success());

    let copy = folder.path().join("copy");
    let export = ["identity", "export", copy.to_str().unwrap()];
    line(&said(&database, &export));
    let seed = folder.path().join("s.redb.peer-seed");
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&seed).unwrap());
    for file in [&copy, &seed] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    refusal(&said(&database, &export));

    let new = line(&said(&database, &["identity", "rotate"]));
    assert_ne!(new, key);
    assert_eq!(line(&said(&database, &["identity", "show"])), new);
    assert_eq!(fs::metadata(&seed).unwrap().permissions().mode() & 0o777, 0o600);
    let node = plan_in(&folder, &arguments).start();
    crate::harness::await_that(|| !peers(&node)["node"].is_null(), "sharing to begin");
    assert_eq!(peers(&node)["node"], new.as_str());
    assert!(node.stop().success());
}
