//! `db` and `forget`, on the database of a node that runs and of one that does not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use serde_json::Value;

use crate::harness::{Node, PATIENCE, await_that, plan, plan_in, program, request, telephone};

/// A node that has seen two calls from each of these hosts of 127.0.7.0/24.
pub fn node_with_calls(hosts: &[u8]) -> Node {
    let node = plan(&[]).start();
    call_from(&node, hosts);
    node.await_events(2 * hosts.len() as u64);
    node
}

pub fn call_from(node: &Node, hosts: &[u8]) {
    for host in hosts {
        let socket = telephone([127, 0, 7, *host]);
        for call in 0..2 {
            let number = format!("00{host}500");
            let text = request("OPTIONS", &number, &format!("{host}-{call}"), "UDP");
            socket.send_to(text.as_bytes(), node.udp.unwrap()).unwrap();
            socket.recv(&mut [0; 2048]).unwrap();
        }
    }
}

/// Stops a node; its folder stays.
pub fn stopped(node: Node) -> (Arc<tempfile::TempDir>, PathBuf) {
    let (folder, database) = (node.folder.clone(), node.database());
    assert!(node.stop().success());
    (folder, database)
}

pub fn run(database: &Path, words: &[&str]) -> Output {
    program(database).args(words).output().unwrap()
}

/// What is printed when all goes well.
pub fn printed(database: &Path, words: &[&str]) -> String {
    let output = run(database, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub fn json(database: &Path, words: &[&str]) -> Value {
    serde_json::from_str(&printed(database, words)).unwrap()
}

/// What is said when it does not; the exit status is 1.
pub fn refused(database: &Path, words: &[&str]) -> String {
    let output = run(database, words);
    assert_eq!(output.status.code(), Some(1), "{words:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// What stands behind a word in a table.
pub fn row<'a>(table: &'a str, name: &str) -> &'a str {
    let line = table.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name} in {table}"))[12..].trim()
}

#[test]
fn stats_are_the_same_from_a_running_node_and_from_its_database() {
    let node = node_with_calls(&[1, 2, 3]);
    let database = node.database();
    let ask = || json(&database, &["db", "stats", "--json"]);
    let all = serde_json::json!({ "sources": 3, "numbers": 3, "user_agents": 1 });
    await_that(|| ask()["rows"] == all, "the rows to be stored");
    let running = ask();
    assert_eq!((&running["first"], &running["last"]), (&Value::from(1), &Value::from(6)));
    assert!(running["raw_bytes"].as_u64() > Some(1_000));
    let (_folder, database) = stopped(node);
    let before = fs::read(&database).unwrap();
    let resting = json(&database, &["db", "stats", "--json"]);
    for key in ["database_id", "schema", "first", "last", "earliest", "blocks", "raw_bytes"] {
        assert_eq!(running[key], resting[key], "{key}");
    }
    let table = printed(&database, &["db", "stats"]);
    assert!(row(&table, "events").starts_with("1 to 6, since "), "{table}");
    assert_eq!(row(&table, "rows"), "sources 3, numbers 3, user agents 1");
    assert!(row(&table, "database").contains(", schema 2"), "{table}");
    assert_eq!(fs::read(&database).unwrap(), before, "the file was changed");
}

#[test]
fn without_a_node_and_a_database_there_is_nothing_to_ask() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("none.redb");
    for words in [
        &["db", "stats"][..],
        &["db", "check"],
        &["db", "compact"],
        &["db", "backup", "copy.redb"],
        &["forget", "192.0.2.1"],
    ] {
        assert!(refused(&database, words).contains("none.redb"), "{words:?}");
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "{words:?} left a file");
    }
}

#[test]
fn a_backup_of_a_running_node_is_a_whole_database_and_never_overwrites() {
    let node = node_with_calls(&[1, 2]);
    let elsewhere = tempfile::tempdir().unwrap();
    // A path is meant from where the command runs, not from where the node does.
    let made = program(&node.database())
        .args(["db", "backup", "copy of it.redb"])
        .current_dir(elsewhere.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let copy = elsewhere.path().join("copy of it.redb");
    let table = String::from_utf8(made.stdout).unwrap();
    assert!(row(&table, "to").ends_with("/copy of it.redb"), "{table}");
    assert!(row(&table, "size").ends_with("iB"), "{table}");
    assert_eq!(json(&copy, &["db", "stats", "--json"])["last"], 4);

    // Beside a node that runs, its backup can be checked.
    let found = json(&node.database(), &["db", "check", copy.to_str().unwrap(), "--json"]);
    assert_eq!((&found["sound"], &found["events"]), (&Value::Bool(true), &Value::from(4)));

    let (_folder, database) = stopped(node);
    let bytes = fs::read(&copy).unwrap();
    let target = copy.to_str().unwrap();
    assert!(refused(&database, &["db", "backup", target]).contains(target));
    assert_eq!(fs::read(&copy).unwrap(), bytes);
    let second = elsewhere.path().join("second.redb");
    printed(&database, &["db", "backup", second.to_str().unwrap()]);
    assert_eq!(json(&second, &["db", "check", "--json"])["events"], 4);
}

#[test]
fn a_check_and_a_compaction_want_the_database_for_themselves() {
    let node = node_with_calls(&[1]);
    let database = node.database();
    for what in ["check", "compact"] {
        let said = refused(&database, &["db", what]);
        let socket = format!("{}.sock", database.display());
        assert!(said.contains(&socket) && said.contains("stop it first"), "{said}");
    }
    assert!(refused(&database, &["db", "check"]).contains("db backup FILE"));
    let (folder, database) = stopped(node);
    let table = printed(&database, &["db", "check"]);
    assert_eq!(row(&table, "found"), "nothing wrong");
    assert_eq!(row(&table, "pages"), "sound");
    let table = printed(&database, &["db", "compact"]);
    assert!(row(&table, "before").ends_with("iB") && row(&table, "after").ends_with("iB"));
    assert_eq!(json(&database, &["db", "check", "--json"])["events"], 2);
    assert_eq!(plan_in(&folder, &[]).start().events(), 2);
}

#[test]
fn a_check_that_finds_something_exits_with_status_1() {
    let (_folder, database) = stopped(node_with_calls(&[1, 2, 3]));
    let mut bytes = fs::read(&database).unwrap();
    // The user agent's row has it as it was sent, and more than one page may.
    let is_there = |at: &usize| bytes[*at..].starts_with(b"harness");
    let places: Vec<usize> = (0..bytes.len()).filter(is_there).collect();
    places.iter().for_each(|at| bytes[*at] ^= 1);
    fs::write(&database, &bytes).unwrap();
    let said = refused(&database, &["db", "check"]);
    assert!(!places.is_empty() && said.contains("damaged"), "{said}");
}

#[test]
fn an_address_is_forgotten_by_a_running_node() {
    let node = node_with_calls(&[1, 2]);
    let table = printed(&node.database(), &["forget", "127.0.7.1"]);
    assert_eq!(row(&table, "forgotten"), "127.0.7.1");
    assert_eq!((row(&table, "events"), row(&table, "row")), ("2", "erased"));
    assert_eq!(row(&table, "hours"), "1");
    assert!(row(&table, "elsewhere").contains("outputs and backups keep"));
    assert_eq!(node.get("/ip-addresses/127.0.7.1").0, 404);
    assert_eq!(node.get("/ip-addresses/127.0.7.2").0, 200);
    let metrics = node.get("/metrics").1;
    assert!(metrics.contains("sentrypeer_orders_done_total{order=\"forget\"} 1\n"), "{metrics}");
    assert!(node.metric("sentrypeer_log_bytes") > 0);

    let again = printed(&node.database(), &["forget", "127.0.7.1"]);
    assert_eq!((row(&again, "events"), row(&again, "row")), ("0", "there was none"));
    call_from(&node, &[1]);
    node.await_events(6);
    assert_eq!(node.get("/ip-addresses/127.0.7.1").0, 200, "what comes later is new");
}

#[test]
fn a_number_is_forgotten_in_the_database_of_a_node_that_does_not_run() {
    let (folder, database) = stopped(node_with_calls(&[1, 2]));
    let table = printed(&database, &["forget", "002-500"]);
    assert!(row(&table, "forgotten").starts_with("002500 "), "{table}");
    assert_eq!((row(&table, "events"), row(&table, "row")), ("2", "erased"));
    let node = plan_in(&folder, &[]).start();
    assert_eq!(node.get("/numbers/002500").0, 404);
    assert_eq!(node.get("/numbers/001500").0, 200);
    let (_folder, database) = stopped(node);
    assert_eq!(json(&database, &["db", "check", "--json"])["sound"], true);
}

#[test]
fn an_ipv6_address_is_forgotten_with_its_network() {
    let node = plan(&[]).start();
    let table = printed(&node.database(), &["forget", "2001:db8::7"]);
    assert_eq!(row(&table, "forgotten"), "2001:db8::/64 (an IPv6 address counts by its /64)");
}

/// Sends this to the control socket, and gives the status of the answer.
fn tell(database: &Path, bytes: &[u8]) -> u16 {
    let mut stream = UnixStream::connect(format!("{}.sock", database.display())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The node may have turned us away by then.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut status = String::new();
    BufReader::new(stream.take(32)).read_line(&mut status).unwrap();
    status.trim_end().parse().unwrap()
}

#[test]
fn the_control_socket_takes_no_more_than_it_should() {
    let node = node_with_calls(&[1]);
    let database = node.database();
    let long = [b"/".as_slice(), &vec![b'x'; 100_000], b"\n"].concat();
    assert_eq!(tell(&database, &long), 400, "a line without an end in sight");
    assert_eq!(tell(&database, b"/readyz"), 400, "a line without an end");
    assert_eq!(tell(&database, b"frobnicate\n"), 400);
    assert_eq!(tell(&database, b"backup relative\n"), 400);
    assert_eq!(tell(&database, b"import x 1 99999999999\n"), 400, "a batch that is too large");
    assert_eq!(tell(&database, b"import x 1 9\n\x01"), 400, "a batch that was cut");
    assert_eq!(tell(&database, b"import x 1 1\n\x07"), 400, "a batch of another version");
    assert_eq!(tell(&database, b"import x 1 1\n\x01"), 200, "an empty batch");
    assert_eq!(tell(&database, b"/readyz\n"), 200);
    assert_eq!(node.events(), 2);
}
