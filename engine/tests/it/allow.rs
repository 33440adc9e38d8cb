//! The allow-list of a running node: changed over its API and by `sentrypeer allow`, kept over a kill,
//! ended on time, and left alone by SIGHUP.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Output;

use nix::sys::signal::Signal;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::utc::Utc;
use serde_json::{Value, json};

use crate::harness::{Node, PATIENCE, Plan, await_that, get, plan, plan_in, program, request};

const FEED: &str = "/ip-addresses/ipset?min_verification=unverified&allow_empty=1";

/// Lets hosts of 127.0.0.0/24 be seen, and waits until they are in the log.
fn seen(node: &Node, hosts: std::ops::Range<u8>) {
    let count = u64::from(hosts.end - hosts.start);
    for host in hosts {
        let socket = UdpSocket::bind((IpAddr::from([127, 0, 0, host]), 0)).unwrap();
        let text = request("INVITE", "900", &format!("allow-{host}"), "UDP");
        socket.send_to(text.as_bytes(), node.udp.unwrap()).unwrap();
    }
    node.await_events(count);
}

/// A token with this scope, as a header.
fn token(plan: &Plan, scope: &str) -> String {
    let output = program(&plan.database())
        .args(["token", "make", scope, "--scopes", scope])
        .output()
        .unwrap();
    assert!(output.status.success());
    format!("Authorization: Bearer {}", String::from_utf8(output.stdout).unwrap().trim_end())
}

/// Asks the API: status, headers and body.
fn ask(node: &Node, line: &str, headers: &[&str], body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(node.api.unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
    let head = if body.is_empty() { head } else { format!("{head}Content-Length: {length}\r\n") };
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}

/// The status with which an entry is added.
fn add(node: &Node, bearer: &str, entry: &Value) -> u16 {
    let headers = [bearer, "Content-Type: application/json"];
    ask(node, "POST /api/v1/allow-list", &headers, &entry.to_string()).0
}

/// The status with which one is removed.
fn remove(node: &Node, bearer: &str, entry: &str) -> u16 {
    let line = format!("DELETE /api/v1/allow-list/{}", entry.replace('/', "%2F"));
    ask(node, &line, &[bearer, "Content-Type: application/json"], "").0
}

/// The entries, each in one line.
fn listed(node: &Node) -> Vec<String> {
    let list = node.json("/api/v1/allow-list");
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    let entries = list["entries"].as_array().unwrap().iter();
    entries
        .map(|entry| ["entry", "origin", "reason"].map(|name| text(entry, name)).join(" "))
        .collect()
}

/// Whether the dip lane names this host of 127.0.0.0/24.
fn dips(node: &Node, host: u8) -> bool {
    get(node.dip.unwrap(), &format!("/ip-addresses/127.0.0.{host}")).0 == 200
}

/// Whether the feed holds this host of 127.0.0.0/24.
fn feeds(node: &Node, host: u8) -> bool {
    let (status, body) = node.get(FEED);
    assert_eq!(status, 200, "{body}");
    body.contains(&format!(" 127.0.0.{host} "))
}

/// What asks for the feed unless it is what it is now.
fn if_changed(node: &Node) -> String {
    let (_, head, _) = ask(node, &format!("GET {FEED}"), &[], "");
    let etag = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("etag").then(|| format!("If-None-Match: {value}"))
    };
    head.lines().find_map(etag).unwrap()
}

fn allow(database: &Path, words: &[&str]) -> Output {
    program(database).arg("allow").args(words).output().unwrap()
}

/// What it prints, or why it fails.
fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { text(&output.stdout) } else { text(&output.stderr) }
}

fn audited(node: &Node, line: &str) -> bool {
    node.lines().iter().any(|said| said.contains("audit: ") && said.ends_with(line))
}

#[test]
fn a_change_counts_in_feed_and_dip_at_once_on_a_quiet_node_and_needs_the_right_to_write() {
    let plan = plan(&["--answer-rate-network=0"]);
    let (read, write) = (token(&plan, "read"), token(&plan, "write"));
    let node = plan.start();
    seen(&node, 7..9);
    let entry = json!({"entry": "127.0.0.7", "reason": "the branch office"});
    let json = "Content-Type: application/json";
    for (headers, status) in [([json].as_slice(), 401), (&[json, read.as_str()], 403)] {
        let (answer, _, _) = ask(&node, "POST /api/v1/allow-list", headers, &entry.to_string());
        assert_eq!(answer, status);
        assert_eq!(ask(&node, "DELETE /api/v1/allow-list/7000", headers, "").0, status);
    }
    assert!(feeds(&node, 7) && dips(&node, 7) && listed(&node).is_empty());
    let if_changed = if_changed(&node);
    let again = |node: &Node| ask(node, &format!("GET {FEED}"), &[&if_changed], "");
    assert_eq!(again(&node).0, 304);

    assert_eq!(add(&node, &write, &entry), 201);
    let (status, _, body) = again(&node);
    assert!(status == 200 && !body.contains("127.0.0.7 "), "{status} {body}");
    assert!(!dips(&node, 7) && dips(&node, 8) && feeds(&node, 8));
    assert_eq!(listed(&node), ["127.0.0.7/32 added the branch office"]);
    assert!(audited(&node, "added 127.0.0.7/32 on the allow-list: the branch office"));
    assert_eq!(remove(&node, &write, "127.0.0.7"), 200);
    assert!(feeds(&node, 7) && dips(&node, 7));
    assert!(audited(&node, "removed 127.0.0.7/32 from the allow-list"));
}

#[test]
fn what_was_answered_survives_kill_9() {
    let plan = plan(&["--answer-rate-network=0"]);
    let (folder, write) = (plan.folder.clone(), token(&plan, "write"));
    let mut node = plan.start();
    seen(&node, 7..9);
    assert_eq!(add(&node, &write, &json!({"entry": "127.0.0.7", "reason": "a"})), 201);
    assert_eq!(add(&node, &write, &json!({"entry": "+44800*", "reason": "b"})), 201);
    assert_eq!(add(&node, &write, &json!({"entry": "7000", "reason": "c"})), 201);
    assert_eq!(remove(&node, &write, "7000"), 200);
    node.child.kill().unwrap();
    node.wait();
    drop(node);
    let node = plan_in(&folder, &["--answer-rate-network=0"]).start();
    assert_eq!(listed(&node), ["+44800* added b", "127.0.0.7/32 added a"]);
    assert!(!dips(&node, 7) && dips(&node, 8) && !feeds(&node, 7));
}

#[test]
fn an_entry_ends_when_it_says_although_nothing_else_happens() {
    let plan = plan(&["--answer-rate-network=0"]);
    let write = token(&plan, "write");
    let mut node = plan.start();
    seen(&node, 7..9);
    let end = Time(Time::now().0 + 2_000_000_000);
    let expires = Utc(end).to_string().replace(' ', "T") + "Z";
    let entry = json!({"entry": "127.0.0.7", "reason": "a drill", "expires": expires});
    assert_eq!(add(&node, &write, &entry), 201);
    let if_changed = if_changed(&node);
    assert!(!dips(&node, 7) || Time::now() >= end);
    node.await_line("audit: the time of 127.0.0.7/32 on the allow-list is over: a drill");
    assert!(Time::now() >= end);
    assert!(dips(&node, 7) && feeds(&node, 7) && listed(&node).is_empty());
    let (status, _, _) = ask(&node, &format!("GET {FEED}"), &[&if_changed], "");
    assert_eq!(status, 200, "the ETag of what was allowed");
}

#[test]
fn sighup_reads_the_configuration_and_leaves_what_was_added() {
    let plan = plan(&["--answer-rate-network=0", "--allow=127.0.0.6"]);
    let (write, file) = (token(&plan, "write"), plan.folder.path().join("allow.txt"));
    fs::write(&file, "127.0.0.7 # the exchange\n").unwrap();
    let mut command = plan.command();
    command.arg("--allow-file").arg(&file);
    let node = plan.start_as(command);
    seen(&node, 6..10);
    assert_eq!(add(&node, &write, &json!({"entry": "127.0.0.8", "reason": "a"})), 201);
    assert_eq!(remove(&node, &write, "127.0.0.7"), 409);
    assert_eq!(remove(&node, &write, "127.0.0.6"), 409);
    assert_eq!(remove(&node, &write, "127.0.0.5"), 404);
    fs::write(&file, "127.0.0.9 # another\n").unwrap();
    node.signal(Signal::SIGHUP);
    await_that(|| dips(&node, 7), "the file to be read");
    let expected =
        ["127.0.0.6/32 configuration ", "127.0.0.8/32 added a", "127.0.0.9/32 file another"];
    assert_eq!(listed(&node), expected);
    assert_eq!((6..10).filter(|host| dips(&node, *host)).collect::<Vec<_>>(), [7]);
}

#[test]
fn the_command_changes_the_list_of_a_node_and_of_one_that_does_not_run() {
    let plan = plan(&["--answer-rate-network=0"]);
    let (folder, database) = (plan.folder.clone(), plan.database());
    let first = allow(&database, &["add", "127.0.0.7", "--reason=before the first start"]);
    assert_eq!(said(&first), "added 127.0.0.7/32\n");
    let warned = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(warned.contains("no node runs on ") && warned.contains("s.redb"), "{warned}");
    assert!(!database.exists(), "the database is not needed for that");
    let node = plan.start();
    seen(&node, 7..9);
    assert!(!dips(&node, 7) && dips(&node, 8));
    let second = allow(&database, &["add", "127.0.0.8", "--reason=a b", "--expires=12h"]);
    assert_eq!(said(&second), "added 127.0.0.8/32\n");
    assert!(second.stderr.is_empty());
    assert!(!dips(&node, 8) && !feeds(&node, 8));
    let lines = node.lines();
    let audit = lines.iter().find(|line| line.contains("audit: operator: added")).unwrap();
    assert!(audit.contains(" 127.0.0.8/32 on the allow-list until 20"), "{audit}");
    let list = said(&allow(&database, &["list"]));
    let has = |parts: &[&str]| list.lines().any(|line| parts.iter().all(|p| line.contains(p)));
    assert!(has(&["127.0.0.7/32", "added", "never", "before the first start"]), "{list}");
    assert!(has(&["127.0.0.8/32", "added", " a b"]), "{list}");
    assert_eq!(said(&allow(&database, &["remove", "127.0.0.8"])), "removed 127.0.0.8/32\n");
    assert!(dips(&node, 8));
    let unknown = allow(&database, &["remove", "127.0.0.8"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("no such entry"), "{}", said(&unknown));

    assert!(node.stop().success());
    let export = |format: &str| {
        let mut command = program(&database);
        command.args(["--test-addresses", "export", format, "--min-verification=unverified"]);
        said(&command.output().unwrap())
    };
    assert!(!export("plain").contains("127.0.0.7") && export("plain").contains("127.0.0.8"));
    assert!(allow(&database, &["remove", "127.0.0.7"]).status.success());
    assert!(export("plain").contains("127.0.0.7"));
    drop(folder);
}

#[test]
fn a_node_does_not_start_without_what_was_added() {
    let plan = plan(&[]);
    let file = plan.folder.path().join("s.redb.allow");
    fs::write(&file, "nonsense").unwrap();
    let (status, said) = plan.run_to_end();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("s.redb.allow: ") && said.contains("sentrypeer allow"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "nonsense");
}
