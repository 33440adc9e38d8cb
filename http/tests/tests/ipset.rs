//! The ipset feed: its text, and what the real tool makes of it.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::node::{Node, at, event, proven};

fn node() -> Node {
    Node::with(&[
        proven("198.18.0.7", "100", at(1)),
        event("198.18.0.8", "100", at(1)),
        proven("2a00:1450:1:2::9", "100", at(1)),
        proven("::1", "100", at(1)),
    ])
}

const CREATE_4: &str = "hash:ip family inet hashsize 1024 maxelem 1048576 timeout 0 -exist";
const CREATE_6: &str =
    "hash:ip family inet6 netmask 64 hashsize 1024 maxelem 1048576 timeout 0 -exist";

#[test]
fn a_full_document_makes_fills_and_swaps() {
    let node = node();
    let answer = node.get("/ip-addresses/ipset", at(2));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let generation = node.ctx.store.snapshot().unwrap().generation;
    let expected = format!(
        "create sentrypeer {CREATE_4}\n\
         create sentrypeer-new {CREATE_4}\n\
         flush sentrypeer-new\n\
         add sentrypeer-new 198.18.0.7 timeout 604799\n\
         swap sentrypeer-new sentrypeer\n\
         destroy sentrypeer-new\n\
         # 1 entry, generation {generation}\n"
    );
    assert_eq!(answer.pair(), (200, expected.as_str()));
}

#[test]
fn a_document_of_ipv6_holds_networks_and_no_unspecified_address() {
    let body = node().get("/ip-addresses/ipset?family=6", at(2)).body;
    assert!(body.starts_with(&format!("create sentrypeer6 {CREATE_6}\n")), "{body}");
    let entries: Vec<&str> = body.lines().filter(|line| line.starts_with("add ")).collect();
    assert_eq!(entries, ["add sentrypeer6-new 2a00:1450:1:2:: timeout 604799"]);
}

#[test]
fn init_only_makes_the_set_and_refresh_leaves_it_to_be_there() {
    let node = node();
    let init = node.get("/ip-addresses/ipset?document=init&set=bad.actors", at(2));
    assert_eq!(init.pair(), (200, format!("create bad.actors {CREATE_4}\n").as_str()));
    let refresh = node.get("/ip-addresses/ipset?document=refresh&set=bad.actors", at(2)).body;
    let lines: Vec<&str> = refresh.lines().collect();
    assert_eq!(lines[0], format!("create bad.actors-new {CREATE_4}"));
    assert_eq!(lines[1], "flush bad.actors-new");
    assert_eq!(lines[3], "swap bad.actors-new bad.actors");
}

#[test]
fn only_proven_sources_are_in_unless_all_are_asked_for() {
    let node = node();
    let body = node.get("/ip-addresses/ipset?min_verification=unverified", at(2)).body;
    assert!(body.contains(" 198.18.0.7 ") && body.contains(" 198.18.0.8 "));
    let body = node.get("/ip-addresses/ipset?min_verification=return-path", at(2)).body;
    assert!(body.contains(" 198.18.0.7 ") && !body.contains(" 198.18.0.8 "));
    assert_eq!(node.get("/ip-addresses/ipset?min_verification=tls", at(2)).status, 409);
}

#[test]
fn an_entry_has_the_time_that_it_has_left_capped_and_never_zero() {
    let node = node();
    let timeout = |target: &str, now| {
        let body = node.get(target, now).body;
        let line = body.lines().find(|line| line.starts_with("add ")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(timeout("/ip-addresses/ipset", at(101)), 7 * 86_400 - 100);
    assert_eq!(timeout("/ip-addresses/ipset?timeout=600", at(101)), 600);
    assert_eq!(timeout("/ip-addresses/ipset", at(7 * 86_400)), 1);
}

#[test]
fn a_document_that_would_empty_the_set_is_refused_unless_that_is_wanted() {
    let node = Node::with(&[event("198.18.0.8", "100", at(1))]);
    let answer = node.get("/ip-addresses/ipset", at(2));
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("would empty the set \\\"sentrypeer\\\""), "{}", answer.body);
    assert_eq!(answer.header("etag"), None);
    let answer = node.get("/ip-addresses/ipset?allow_empty=1", at(2));
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("swap ") && !answer.body.contains("add "));
    assert_eq!(node.get("/ip-addresses/ipset?document=init", at(2)).status, 200);
}

#[test]
fn what_is_not_understood_is_named() {
    let node = node();
    for (query, named) in [
        ("famly=4", "famly"),
        ("family=5", "family"),
        ("set=a%20b", "set"),
        ("set=", "set"),
        ("timeout=2147484", "timeout"),
        ("timeout=-1", "timeout"),
        ("document=all", "document"),
        ("min_verification=high", "min_verification"),
        ("allow_empty=yes", "allow_empty"),
        ("family=4&family=6", "family"),
    ] {
        let answer = node.get(&format!("/ip-addresses/ipset?{query}"), at(2));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.body.contains(&format!("parameter \\\"{named}\\\"")), "{}", answer.body);
    }
}

/// A network namespace of its own, if this user may make one.
struct Namespace(String);

impl Namespace {
    fn new() -> Option<Self> {
        let name = format!("sp-http-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).stderr(Stdio::null()).status();
        let namespace = made.is_ok_and(|status| status.success()).then(|| Self(name))?;
        namespace.ipset(&["list"], "").is_some().then_some(namespace)
    }

    /// What `ipset` prints; `None` if it refuses.
    fn ipset(&self, arguments: &[&str], input: &str) -> Option<String> {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.0, "ipset"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        child.stdin.take()?.write_all(input.as_bytes()).ok()?;
        let output = child.wait_with_output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn load(&self, node: &Node, query: &str) -> bool {
        let answer = node.get(&format!("/ip-addresses/ipset?{query}"), at(2));
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.ipset(&["restore"], &answer.body).is_some()
    }

    fn members(&self, set: &str) -> Vec<String> {
        let listed = self.ipset(&["list", set], "").unwrap();
        let members = listed.split("Members:\n").nth(1).unwrap().lines();
        members.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[test]
fn the_real_ipset_loads_every_document_again_and_again() {
    let Some(namespace) = Namespace::new() else {
        eprintln!("skipped: no ipset, or no right to make a network namespace");
        return;
    };
    let node = node();
    assert!(!namespace.load(&node, "document=refresh"), "refresh needs the live set");
    assert!(namespace.ipset(&["destroy", "sentrypeer-new"], "").is_some());
    for query in ["", "", "document=init", "document=refresh", "timeout=600", "document=full"] {
        assert!(namespace.load(&node, query), "{query}");
        assert_eq!(namespace.members("sentrypeer"), ["198.18.0.7"], "{query}");
    }
    for query in ["family=6&document=init", "family=6", "family=6&document=refresh", "family=6"] {
        assert!(namespace.load(&node, query), "{query}");
    }
    assert_eq!(namespace.members("sentrypeer6"), ["2a00:1450:1:2::"]);
    assert!(namespace.load(&node, "min_verification=unverified&allow_empty=1"));
    assert_eq!(namespace.members("sentrypeer").len(), 2);
    let names = namespace.ipset(&["list", "-n"], "").unwrap();
    assert_eq!(names, "sentrypeer\nsentrypeer6\n");
}
