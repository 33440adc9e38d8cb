//! The feeds with the real tools, in a network namespace of their own.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::node::{Node, at, event, proven};

/// A network namespace, if this user may make one and there is an `nft`.
pub struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Option<Self> {
        let name = format!("sp-http-{name}-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).stderr(Stdio::null()).status();
        let namespace = made.is_ok_and(|status| status.success()).then(|| Self(name))?;
        namespace.nft(&["list", "ruleset"], "").is_some().then_some(namespace)
    }

    /// What `nft` prints; `None` if it refuses.
    fn nft(&self, arguments: &[&str], input: &str) -> Option<String> {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.0, "nft"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        child.stdin.take()?.write_all(input.as_bytes()).ok()?;
        let output = child.wait_with_output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[test]
fn the_real_nft_loads_both_documents_again_and_again() {
    let Some(namespace) = Namespace::new("nft") else {
        eprintln!("skipped: no nft, or no right to make a network namespace");
        return;
    };
    let addresses: Vec<String> = (0..25_000)
        .map(|n| format!("198.{}.{}.{}", 18 + n / 62_500, n / 250 % 250, n % 250))
        .collect();
    let mut node =
        Node::with(&[proven("2a00:1450:1:2::9", "", at(1)), event("203.0.113.9", "", at(1))]);
    node.push(addresses.iter().map(|source| proven(source, "", at(1))));
    let members = |set: &str| {
        let listed = namespace.nft(&["list", "set", "inet", "sentrypeer", set], "").unwrap();
        listed.matches(" timeout ").count()
    };
    for (format, arguments) in [("nft", vec!["-f", "-"]), ("nft-json", vec!["-j", "-f", "-"])] {
        for query in ["", "", "?limit=12", "?family=6", "?allow_empty=1&min_count=9", ""] {
            let answer = node.get(&format!("/api/v1/feeds/{format}{query}"), at(2));
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert!(namespace.nft(&arguments, &answer.body).is_some(), "{format}{query}");
            let expected = match query {
                "?limit=12" => (12, 0),
                // The other set is left alone.
                "?family=6" => (12, 1),
                "" => (25_000, 1),
                _ => (0, 0),
            };
            let both = (members("sentrypeer4"), members("sentrypeer6"));
            if query == "?limit=12" {
                assert_eq!(both.0 + both.1, 12, "{format}");
            } else if query == "?family=6" {
                assert_eq!(both.1, expected.1, "{format}");
            } else {
                assert_eq!(both, expected, "{format}{query}");
            }
        }
    }
    let rule = "add chain inet sentrypeer input { type filter hook input priority 0; }\n\
                add rule inet sentrypeer input ip6 saddr & ffff:ffff:ffff:ffff:: @sentrypeer6 drop\n\
                add rule inet sentrypeer input ip saddr @sentrypeer4 drop\n";
    assert!(namespace.nft(&["-f", "-"], rule).is_some());
}
