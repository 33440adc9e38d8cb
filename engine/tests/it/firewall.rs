//! `export FORMAT` and `firewall` with the real tools, in network namespaces of the tests' own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use nix::sys::signal::Signal;

use crate::export::Namespace;
use crate::harness::{Node, await_that, has, plan, plan_in, program, request, telephone};

/// Lets these hosts of 127.0.0.0/24 be seen, unproven.
fn seen(node: &Node, hosts: std::ops::Range<u8>) {
    for host in hosts {
        let socket = telephone([127, 0, 0, host]);
        let text = request("OPTIONS", "100", &format!("fw-{host}"), "UDP");
        socket.send_to(text.as_bytes(), node.udp.unwrap()).unwrap();
        socket.recv(&mut [0; 2_048]).unwrap();
    }
}

/// A node whose allow-list is in a file that the test writes.
fn node(allow: &str) -> Node {
    let plan = plan(&["--answer-rate-network=0"]);
    let file = plan.folder.path().join("allow.txt");
    fs::write(&file, allow).unwrap();
    let mut command = plan.command();
    command.arg("--allow-file").arg(file);
    plan.start_as(command)
}

/// Takes over another allow-list.
fn allow(node: &Node, list: &str) {
    fs::write(node.folder.path().join("allow.txt"), list).unwrap();
    let reloads =
        || node.lines().iter().filter(|line| line.contains("configuration was read again")).count();
    let before = reloads();
    node.signal(Signal::SIGHUP);
    await_that(|| reloads() > before, "the allow-list to be read");
}

/// How many addresses of 127.0.0.0/8 are in the set that the agent keeps.
fn members(namespace: &Namespace, tool: &str) -> usize {
    let words: &[&str] = match tool {
        "ipset" => &["ipset", "save", "sentrypeer"],
        _ => &["nft", "list", "set", "inet", "sentrypeer", "sentrypeer4"],
    };
    let text = String::from_utf8(namespace.run(words, b"").stdout).unwrap();
    text.matches("127.0.0.").count()
}

/// The agent in the namespace.
fn firewall(namespace: &Namespace, node: &Node, tool: &str, more: &[&str]) -> Command {
    let inner = program(&node.database());
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace.name()]).arg(inner.get_program());
    command.args(inner.get_args()).args(["firewall", tool]);
    command.args(["--min-verification=unverified", "--interval=1"]).args(more);
    command
}

fn once(namespace: &Namespace, node: &Node, tool: &str, more: &[&str]) -> Output {
    firewall(namespace, node, tool, &["--once"]).args(more).output().unwrap()
}

/// An agent that runs until this is dropped.
struct Agent {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Agent {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
        });
        Self { child, lines }
    }

    fn await_line(&self, text: &str) {
        let said = || self.lines.lock().unwrap().iter().any(|line| line.contains(text));
        await_that(said, &format!("{text:?} in {:?}", self.lines.lock().unwrap()));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn namespace(name: &str, tool: &str) -> Option<Namespace> {
    has(tool).then(|| Namespace::new(&format!("{name}-{tool}")))?
}

#[test]
fn every_format_is_printed_by_a_node_and_without_one() {
    let node = node("");
    seen(&node, 1..4);
    node.await_events(3);
    let formats = [
        "plain",
        "csv",
        "jsonl",
        "pf",
        "nft",
        "nft-json",
        "mikrotik",
        "firewalld",
        "rpz",
        "dnsbl",
        "stix",
        "misp",
    ];
    let export = |format: &str, more: &[&str]| {
        let mut command = program(&node.database());
        command.args(["--test-addresses", "export", format]).args(more).output().unwrap()
    };
    let unproven = ["--min-verification=unverified"];
    let mut printed = Vec::new();
    for format in formats {
        let refused = export(format, &[]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{format}");
        assert!(refused.stdout.is_empty() && said.contains("--allow-empty"), "{said}");
        assert!(said.contains("--min-verification=unverified"), "{said}");
        let document = export(format, &unproven);
        assert!(document.status.success(), "{}", String::from_utf8_lossy(&document.stderr));
        // Zones have addresses the other way round.
        let (ahead, back) = (b"127.0.0.3".as_slice(), b"3.0.0.127".as_slice());
        let holds = |address: &[u8]| document.stdout.windows(9).any(|some| some == address);
        assert!(holds(ahead) || holds(back), "{format}: {:?}", document.stdout);
        printed.push(document.stdout.len());
    }
    let (folder, database) = (node.folder.clone(), node.database());
    assert!(node.stop().success());
    for (format, length) in formats.iter().zip(printed) {
        let mut command = program(&database);
        let output = command.args(["--test-addresses", "export", format]).args(unproven).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Times and generations have moved on.
        assert!(output.stdout.len().abs_diff(length) < 100, "{format}");
    }
    drop(folder);
}

#[test]
fn the_agent_fills_a_set_and_follows_what_comes_and_what_is_taken_back() {
    for tool in ["ipset", "nft"] {
        let Some(namespace) = namespace("follow", tool) else { return };
        let node = node("");
        let agent = Agent::start(firewall(&namespace, &node, tool, &[]));
        let listed = || match tool {
            "ipset" => namespace.run(&["ipset", "save", "sentrypeer"], b"").status.success(),
            _ => {
                namespace.run(&["nft", "list", "table", "inet", "sentrypeer"], b"").status.success()
            }
        };
        await_that(listed, "the set, for rules to name");
        seen(&node, 1..21);
        await_that(|| members(&namespace, tool) == 20, "the whole list");
        agent.await_line("20 entries loaded");
        seen(&node, 21..31);
        await_that(|| members(&namespace, tool) == 30, "what is new");
        allow(&node, "127.0.0.7\n127.0.0.8\n");
        await_that(|| members(&namespace, tool) == 28, "what was taken back");
        agent.await_line("0 added, 2 taken back");
        let mut add = program(&node.database());
        add.args(["allow", "add", "127.0.0.9", "--reason=a telephone"]);
        assert!(add.status().unwrap().success());
        await_that(|| members(&namespace, tool) == 27, "what was allowed while the node ran");
        agent.await_line("0 added, 1 taken back");
    }
}

#[test]
fn what_would_shrink_a_set_too_much_is_not_loaded() {
    for tool in ["ipset", "nft"] {
        let Some(namespace) = namespace("shrink", tool) else { return };
        let node = node("");
        seen(&node, 60..90);
        node.await_events(30);
        let agent = Agent::start(firewall(&namespace, &node, tool, &["--family=4"]));
        await_that(|| members(&namespace, tool) == 30, "the whole list");
        // 64 to 89 are most of them.
        allow(&node, "127.0.0.64/27\n");
        agent.await_line("26 of its 30 entries would go at once");
        assert_eq!(members(&namespace, tool), 30, "{tool}: the agent that runs");
        drop(agent);
        let refused = once(&namespace, &node, tool, &["--family=4"]);
        assert_eq!(refused.status.code(), Some(1), "{tool}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("--shrink-max=100"), "{said}");
        assert_eq!(members(&namespace, tool), 30, "{tool}: one that begins");
        let meant = once(&namespace, &node, tool, &["--family=4", "--shrink-max=100"]);
        assert!(meant.status.success(), "{}", String::from_utf8_lossy(&meant.stderr));
        assert_eq!(members(&namespace, tool), 4, "{tool}: as it was meant");
    }
}

#[test]
fn without_a_node_the_set_stays_and_afterwards_it_is_kept_again() {
    for tool in ["ipset", "nft"] {
        let Some(namespace) = namespace("last-good", tool) else { return };
        let node = node("");
        let folder = node.folder.clone();
        seen(&node, 1..4);
        let agent = Agent::start(firewall(&namespace, &node, tool, &["--family=4"]));
        await_that(|| members(&namespace, tool) == 3, "the list");
        assert!(node.stop().success());
        agent.await_line("stays as it is");
        assert_eq!(members(&namespace, tool), 3);
        let node = plan_in(&folder, &[]).start();
        agent.await_line("up to date again");
        seen(&node, 4..5);
        await_that(|| members(&namespace, tool) == 4, "what is new");
        // Somebody takes the set away.
        let words: &[&str] = match tool {
            "ipset" => &["ipset", "destroy", "sentrypeer"],
            _ => &["nft", "delete", "table", "inet", "sentrypeer"],
        };
        assert!(namespace.run(words, b"").status.success());
        await_that(|| members(&namespace, tool) == 4, "the set again");
    }
}

#[test]
fn what_others_did_to_a_set_is_undone_when_it_is_held_against_the_list() {
    for tool in ["ipset", "nft"] {
        let Some(namespace) = namespace("whole", tool) else { return };
        let node = node("");
        seen(&node, 1..4);
        let more = ["--family=4", "--whole-every=1"];
        let _agent = Agent::start(firewall(&namespace, &node, tool, &more));
        await_that(|| members(&namespace, tool) == 3, "the list");
        let meddle = |verb: &str, address: &str| {
            let element = format!("{{ {address} timeout 1h }}");
            let words: Vec<&str> = match (tool, verb) {
                ("ipset", "delete") => vec!["ipset", "del", "sentrypeer", address],
                ("ipset", _) => vec!["ipset", "add", "sentrypeer", address, "timeout", "3600"],
                _ => vec!["nft", verb, "element", "inet", "sentrypeer", "sentrypeer4", &element],
            };
            let done = namespace.run(&words, b"");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        let holds = |address: &str| {
            let words: &[&str] = match tool {
                "ipset" => &["ipset", "save", "sentrypeer"],
                _ => &["nft", "list", "set", "inet", "sentrypeer", "sentrypeer4"],
            };
            String::from_utf8(namespace.run(words, b"").stdout).unwrap().contains(address)
        };
        meddle("delete", "127.0.0.2");
        await_that(|| holds("127.0.0.2"), "what was taken out");
        meddle("add", "127.0.0.99");
        await_that(|| !holds("127.0.0.99"), "what was put in to go");
        assert_eq!(members(&namespace, tool), 3);
    }
}

#[test]
fn a_dry_run_prints_what_would_be_loaded_and_loads_nothing() {
    for tool in ["ipset", "nft"] {
        let Some(namespace) = namespace("dry", tool) else { return };
        let node = node("");
        seen(&node, 1..4);
        node.await_events(3);
        let dry = firewall(&namespace, &node, tool, &["--dry-run", "--family=4"]).output().unwrap();
        assert!(dry.status.success(), "{}", String::from_utf8_lossy(&dry.stderr));
        assert_eq!(members(&namespace, tool), 0);
        let words: &[&str] =
            if tool == "ipset" { &["ipset", "restore"] } else { &["nft", "-f", "-"] };
        assert!(namespace.run(words, &dry.stdout).status.success());
        assert_eq!(members(&namespace, tool), 3);
    }
}

#[test]
fn a_set_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let node = node("");
    seen(&node, 1..4);
    node.await_events(3);
    let tools = tempfile::tempdir().unwrap();
    let loaded = tools.path().join("loaded");
    for (tool, asks) in [("ipset", "save"), ("nft", "list")] {
        let script = format!(
            "#!/bin/sh\ncase \"$1\" in\n{asks}) echo 'out of memory' >&2; exit 1;;\n\
             --version) ;;\n*) : >{};;\nesac\n",
            loaded.display()
        );
        let path = tools.path().join(tool);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut agent = program(&node.database());
        agent.args(["firewall", tool, "--once", "--min-verification=unverified"]);
        let output = agent.env("PATH", tools.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{tool}: {said}");
        assert!(said.contains("out of memory") && !loaded.exists(), "{tool}: {said}");
    }
}
