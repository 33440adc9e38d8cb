//! The real load generator, sipp, places its calls and is satisfied.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{DRIVERS, Node, await_that, has, plan};

/// Calls that each run places.
const CALLS: u64 = 50;

/// sipp's requests over UDP all come from one address: they may be answered as fast as they come.
const RATES: [&str; 2] = ["--answer-rate-source=0", "--answer-rate-network=0"];

/// A scenario of one request and its 200, for OPTIONS and REGISTER; INVITE is sipp's own `uac`.
fn scenario(method: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="{method}">
  <send retrans="500"><![CDATA[
    {method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]-[call_number]
    To: <sip:[service]@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: 1 {method}
    Contact: <sip:caller@[local_ip]:[local_port]>
    Max-Forwards: 70
    User-Agent: sipp
    Content-Length: 0

  ]]></send>
  <recv response="200"/>
</scenario>
"#
    )
}

/// What `sipp` replaces in a request, so that every scenario's requests are alike.
fn message(method: &str, to: &str, more: &str) -> String {
    format!(
        "<![CDATA[
    {method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]-[call_number]
    To: <sip:[service]@[remote_ip]:[remote_port]>{to}
    Call-ID: [call_id]
    CSeq: [cseq] {method}
    Contact: <sip:caller@[local_ip]:[local_port]>
    {more}Max-Forwards: 70
    User-Agent: sipp
    Content-Length: 0

  ]]>"
    )
}

const CREDENTIALS: &str = "[authentication username=caller password=secret]\n    ";

/// A registration: the challenge, an answer to it, and success.
fn registers() -> String {
    format!(
        r#"<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="registers">
  <send retrans="500">{}</send>
  <recv response="401" auth="true"/>
  <send retrans="500">{}</send>
  <recv response="200"/>
</scenario>
"#,
        message("REGISTER", "", ""),
        message("REGISTER", "", CREDENTIALS)
    )
}

/// A call behind a challenge, which is changed and updated, and ended.
fn calls_with_credentials() -> String {
    let inside = "[peer_tag_param]";
    format!(
        r#"<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="calls with credentials">
  <send retrans="500">{}</send>
  <recv response="401" auth="true"/>
  <send>{}</send>
  <send retrans="500">{}</send>
  <recv response="200"/>
  <send>{ack}</send>
  <send retrans="500">{}</send>
  <recv response="200"/>
  <send>{ack}</send>
  <send retrans="500">{}</send>
  <recv response="200"/>
  <send retrans="500">{}</send>
  <recv response="200"/>
  <send retrans="500">{}</send>
  <recv response="200"/>
</scenario>
"#,
        message("INVITE", "", ""),
        message("ACK", inside, ""),
        message("INVITE", "", CREDENTIALS),
        message("INVITE", inside, ""),
        message("INFO", inside, ""),
        message("UPDATE", inside, ""),
        message("BYE", inside, ""),
        ack = message("ACK", inside, ""),
    )
}

/// A call behind a challenge that rings, with a provisional answer that is acknowledged, and is then
/// answered, or given up while it rings.
fn rings(cancel: bool) -> String {
    let begin = format!(
        r#"<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="rings">
  <send retrans="500">{}</send>
  <recv response="401" auth="true"/>
  <send>{}</send>
  <send retrans="500">{}</send>
  <recv response="180"/>
"#,
        message("INVITE", "", ""),
        message("ACK", "[peer_tag_param]", ""),
        message("INVITE", "", &format!("{CREDENTIALS}Supported: 100rel\n    ")),
    );
    let end = if cancel {
        // The CANCEL has the branch of what it cancels (RFC 3261, 9.1).
        format!(
            r#"  <send retrans="500">{}</send>
  <recv response="200"/>
  <recv response="487"/>
  <send>{}</send>
</scenario>
"#,
            message("CANCEL", "", "").replace("[branch]", "[branch-2]").replace("[cseq]", "2"),
            message("ACK", "[peer_tag_param]", "").replace("[cseq]", "2"),
        )
    } else {
        format!(
            r#"  <send retrans="500">{}</send>
  <recv response="200"/>
  <recv response="200"/>
  <send>{}</send>
  <send retrans="500">{}</send>
  <recv response="200"/>
</scenario>
"#,
            message("PRACK", "[peer_tag_param]", "RAck: 1 2 INVITE\n    "),
            message("ACK", "[peer_tag_param]", ""),
            message("BYE", "[peer_tag_param]", ""),
        )
    };
    begin + &end
}

/// Runs sipp to its end; it fails if one call fails or one message is unexpected.
fn sipp(target: SocketAddr, transport: &str, folder: &Path, method: &str) {
    let mut command = Command::new("sipp");
    let text = match method {
        "INVITE" => None,
        "registers" => Some(registers()),
        "calls with credentials" => Some(calls_with_credentials()),
        "rings" => Some(rings(false)),
        "rings and is given up" => Some(rings(true)),
        method => Some(scenario(method)),
    };
    if let Some(text) = text {
        let file = folder.join(format!("{method}.xml"));
        std::fs::write(&file, text).unwrap();
        command.arg("-sf").arg(file);
    } else {
        command.args(["-sn", "uac"]);
    }
    let calls = CALLS.to_string();
    // Only so many calls of one source ring at a time.
    let rate = if method.starts_with("rings") { "15" } else { "100" };
    let output = command
        .args(["-t", transport, "-s", "0046500729221", "-m", &calls, "-r", rate, "-d", "10"])
        .args(["-i", "127.0.0.1", "-nostdin", "-timeout", "60", "-timeout_error"])
        .args(["-default_behaviors", "all,-bye"])
        .arg(target.to_string())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let screen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "sipp {transport} {method}: {}\n{screen}", output.status);
}

/// TLS in front of a plain connection: Debian's sipp has none of its own.
struct Tunnel(std::process::Child);

impl Tunnel {
    fn open(node: &Node) -> (Self, SocketAddr) {
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap()
        };
        let child = Command::new("socat")
            .arg(format!("TCP-LISTEN:{},bind=127.0.0.1,reuseaddr,fork", port.port()))
            .arg(format!("OPENSSL:{},verify=0", node.tls.unwrap()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        await_that(|| std::net::TcpStream::connect(port).is_ok(), "the TLS tunnel");
        (Self(child), port)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn method_count(node: &Node, method: &str) -> u64 {
    node.metric(&format!("sentrypeer_events_by_method_total{{method=\"{method}\"}}"))
}

#[test]
fn sipp_is_satisfied_over_udp_and_tcp() {
    if !has("sipp") {
        return;
    }
    for driver in DRIVERS {
        // sipp's own UDP requests all come from one address.
        let arguments = [&format!("--driver={driver}"), "--register-tries=0", RATES[0], RATES[1]];
        let node = plan(&arguments).start();
        for (transport, target) in [("u1", node.udp), ("t1", node.tcp)] {
            for method in ["OPTIONS", "REGISTER", "INVITE"] {
                sipp(target.unwrap(), transport, node.folder.path(), method);
            }
        }
        // OPTIONS, REGISTER, and of a call INVITE, ACK and BYE.
        node.await_events(2 * 5 * CALLS);
        for method in ["OPTIONS", "REGISTER", "INVITE", "ACK", "BYE"] {
            assert!(method_count(&node, method) >= 2 * CALLS, "{driver}: {method}");
        }
        assert_eq!(node.json("/numbers/0046500729221")["phone_number_found"], "0046500729221");
    }
}

#[test]
fn sipp_brings_back_our_challenges_and_proves_its_address() {
    if !has("sipp") {
        return;
    }
    for driver in DRIVERS {
        let driver = format!("--driver={driver}");
        let [a, b] = RATES;
        let arguments = [&driver, "--register-tries=1", "--calls=challenge", "--ring-ms=0", a, b];
        for (transport, level) in [("u1", "return-path"), ("t1", "connected")] {
            for scenario in ["registers", "calls with credentials"] {
                let node = plan(&arguments).start();
                let target = if transport == "u1" { node.udp } else { node.tcp };
                sipp(target.unwrap(), transport, node.folder.path(), scenario);
                node.await_events(CALLS);
                let source = &node.json("/ip-addresses")["ip_addresses"][0];
                assert_eq!(source["verification"], level, "{scenario}");
            }
        }
    }
}

#[test]
fn sipp_hears_it_ring_and_may_hang_up_before() {
    if !has("sipp") {
        return;
    }
    for driver in DRIVERS {
        let driver = format!("--driver={driver}");
        let arguments = [&driver, "--calls=challenge", "--ring-ms=300", RATES[0], RATES[1]];
        for scenario in ["rings", "rings and is given up"] {
            let node = plan(&arguments).start();
            sipp(node.udp.unwrap(), "u1", node.folder.path(), scenario);
        }
    }
}

#[test]
fn sipp_is_satisfied_over_tls() {
    if !has("sipp") || !has("socat") {
        return;
    }
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}"), "--register-tries=0"]).start();
        let (_tunnel, front) = Tunnel::open(&node);
        for method in ["OPTIONS", "REGISTER", "INVITE"] {
            sipp(front, "t1", node.folder.path(), method);
        }
        node.await_events(5 * CALLS);
        assert_eq!(node.json("/ip-addresses")["ip_addresses"][0]["verification"], "tls");
    }
}
