//! The ipset document with the real `ipset`, in a network namespace of the test's own.

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use crate::harness::{has, plan, program, request};

/// A network namespace that goes when this is dropped.
pub struct Namespace(String);

impl Namespace {
    pub fn new(name: &str) -> Option<Self> {
        if !has("ip") || !has("ipset") {
            return None;
        }
        let name = format!("sentrypeer-{name}-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output().unwrap();
        if !made.status.success() {
            eprintln!("SKIPPED: no network namespace can be made here");
            return None;
        }
        Some(Self(name))
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    pub fn run(&self, words: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.0])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[test]
fn the_exported_set_is_restored_by_the_real_ipset_twice() {
    let node = plan(&[]).start();
    let export = || program(&node.database()).args(["export", "ipset"]).output().unwrap();
    let refused = export();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty(), "an unsafe document was printed");

    let mut stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
    stream.write_all(request("INVITE", "900", "set", "TCP").as_bytes()).unwrap();
    node.await_events(1);
    let document = export();
    assert!(document.status.success(), "{}", String::from_utf8_lossy(&document.stderr));
    let over_http = node.get("/ip-addresses/ipset").1;
    let printed = String::from_utf8(document.stdout.clone()).unwrap();
    let entries = |text: &str| {
        text.lines()
            .filter(|l| l.contains("127.0.0.1"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .len()
    };
    assert_eq!((entries(&printed), entries(&over_http)), (1, 1), "{printed}");

    let Some(namespace) = Namespace::new("export") else { return };
    for _ in 0..2 {
        let restored = namespace.run(&["ipset", "restore"], &document.stdout);
        assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    }
    let listed = namespace.run(&["ipset", "list"], b"");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.lines().any(|line| line.starts_with("127.0.0.1")), "{listed}");
}

#[test]
fn the_export_reads_the_database_of_a_node_that_does_not_run() {
    let node = plan(&[]).start();
    let mut stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
    stream.write_all(request("INVITE", "900", "off", "TCP").as_bytes()).unwrap();
    node.await_events(1);
    let (folder, database) = (node.folder.clone(), node.database());
    assert!(node.stop().success());
    let export = program(&database).args(["--test-addresses", "export", "ipset"]).output().unwrap();
    let printed = String::from_utf8_lossy(&export.stdout).into_owned();
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    assert!(printed.lines().any(|line| line.contains("127.0.0.1")), "{printed}");
    drop(folder);
}
