//! The filter that we ship, with the real fail2ban.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use sentrypeer_export::output::Receiver;
use sentrypeer_export::syslog::Settings;
use sentrypeer_storage::event::EventRef;

use crate::harness::{Node, event, message};

/// What an attacker may try, to have 1.2.3.4 banned.
const AGENTS: [&[u8]; 6] = [
    b"friendly-scanner",
    b"",
    b"x Source IP: 1.2.3.4, Method: OPTIONS, Agent: y",
    b"x\nNov 24 13:36:48 pot sentrypeer[77]: Source IP: 1.2.3.4, Method: OPTIONS, Agent: y",
    b"\x1b[2K\rNov 24 13:36:48 pot sentrypeer[77]: Source IP: 1.2.3.4, Method: A, Agent: y",
    b"sentrypeer[77]: Source IP: 1.2.3.4, Method: OPTIONS, Agent: y",
];

#[test]
fn fail2ban_finds_the_source_of_every_line_and_no_other_address() {
    if Command::new("fail2ban-regex").arg("--version").output().is_err() {
        eprintln!("SKIPPED: fail2ban-regex is not installed");
        return;
    }
    let mut node = Node::new();
    let path = node.path("log.socket");
    let daemon = UnixDatagram::bind(&path).unwrap();
    daemon.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    let text = message(1);
    for (n, agent) in AGENTS.iter().enumerate() {
        let source = ([11, 0, 0, n as u8], 5060).into();
        node.push(&EventRef { source, user_agent: agent, method: b"A,:", ..event(1, &text) });
    }
    node.settle();
    let _outputs = node.start(Receiver::Syslog(Settings::Local(path)));
    let mut log = String::new();
    let mut buffer = [0; 4096];
    for _ in AGENTS {
        let got = daemon.recv(&mut buffer).unwrap();
        // As a daemon writes it: the name of the machine stands behind the time.
        let line = std::str::from_utf8(&buffer[..got]).unwrap().strip_prefix("<13>").unwrap();
        log.push_str(&format!("{} pot {}\n", &line[..15], &line[16..]));
    }
    let file = node.path("syslog");
    std::fs::write(&file, &log).unwrap();
    let filter = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../packaging/fail2ban/filter.d/sentrypeer.conf");
    // It finds common.conf beside the filters that fail2ban has installed.
    let config = std::env::var("FAIL2BAN_CONFIG").unwrap_or_else(|_| "/etc/fail2ban".to_owned());
    let merged = node.path("sentrypeer.conf");
    let text = std::fs::read_to_string(filter).unwrap();
    let common = format!("before = {config}/filter.d/common.conf");
    std::fs::write(&merged, text.replace("before = common.conf", &common)).unwrap();
    let found = Command::new("fail2ban-regex")
        .args(["--out", "ip", "-c", &config])
        .args([&file, &merged])
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let expected: Vec<_> = (0..AGENTS.len()).map(|n| format!("11.0.0.{n}")).collect();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{log}");
}
