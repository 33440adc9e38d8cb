//! Starting, stopping, reloading, and everything that can go wrong with that.

use std::fs;
use std::io::Write;
use std::net::UdpSocket;

use nix::sys::signal::Signal;

use crate::harness::{
    DRIVERS, PATIENCE, await_that, exchange, plan, plan_in, program, quiet_address, request,
};

#[test]
fn the_start_up_lines_say_what_runs_where() {
    let node = plan(&["--driver=poll"]).start();
    let text = node.lines().join("\n");
    let database = node.database();
    for expected in [
        "sentrypeer: version ",
        ", node ",
        &format!("database {}", database.display()),
        "2 shards, driver poll",
        "listening on UDP 127.0.0.1:",
        "listening on TCP 127.0.0.1:",
        "listening on TLS 127.0.0.1:",
        "responsive: requests are answered as freepbx does (--persona), calls are answered (--calls)",
        "API on http://127.0.0.1:",
        "dip lane on http://127.0.0.1:",
        "--test-addresses: ",
        "--strict",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn what_was_answered_before_the_stop_is_stored() {
    for driver in DRIVERS {
        // One telephone asks more often than one whose address is not proven is answered.
        let unlimited = ["--answer-rate-source=0", "--answer-rate-network=0"];
        let node = plan(&[&format!("--driver={driver}"), unlimited[0], unlimited[1]]).start();
        let folder = node.folder.clone();
        let mut answered = 0;
        for call in 0..500 {
            let bytes = request("OPTIONS", "100", &format!("last-{call}"), "UDP");
            if exchange(node.udp.unwrap(), bytes.as_bytes()).starts_with(b"SIP/2.0 200") {
                answered += 1;
            }
        }
        // A stop that takes too long is none that succeeds.
        assert!(node.stop().success(), "{driver}");
        let again = plan_in(&folder, &[]).start();
        assert_eq!(again.events(), answered, "{driver}");
    }
}

#[test]
fn a_node_keeps_its_id_and_its_events_over_a_restart() {
    let node = plan(&[]).start();
    let folder = node.folder.clone();
    exchange(node.udp.unwrap(), request("INVITE", "0046500729221", "keep", "UDP").as_bytes());
    node.await_events(1);
    let id = node.json("/api/v1/status")["node_id"].clone();
    assert!(node.stop().success());
    let node = plan_in(&folder, &[]).start();
    assert_eq!(node.json("/api/v1/status")["node_id"], id);
    assert_eq!(node.json("/numbers/0046500729221")["phone_number_found"], "0046500729221");
    assert_eq!(node.json("/ip-addresses/127.0.0.1")["bad_actor_found"], "127.0.0.1");
}

#[test]
fn a_node_can_be_started_again_at_once_on_the_same_ports() {
    for driver in DRIVERS {
        // Ports that no connection of another test is given in between.
        let same = [
            format!("--driver={driver}"),
            format!("--sip-listen={}", quiet_address()),
            format!("--tls-listen={}", quiet_address()),
        ];
        let words: Vec<&str> = same.iter().map(String::as_str).collect();
        let mut node = plan(&words).start();
        let folder = node.folder.clone();
        for round in 0..4 {
            // Every other time without a chance to tidy up.
            if round % 2 == 0 {
                assert!(node.stop().success());
            } else {
                node.child.kill().unwrap();
                node.wait();
            }
            node = plan_in(&folder, &words).start();
        }
    }
}

#[test]
fn a_port_in_use_ends_the_process_and_is_named() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let (status, said) = plan(&["--sip-listen", &address]).run_to_end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&address) && said.contains("(UDP)"), "{said}");
}

#[test]
fn a_second_instance_on_the_same_ports_or_database_is_noticed() {
    let first = plan(&[]).start();
    let ports = format!("--sip-listen={}", first.udp.unwrap());
    let (status, said) = plan(&[&ports]).run_to_end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("cannot listen on"), "{said}");
    let (status, said) = plan_in(&first.folder, &[]).run_to_end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("a node runs on this database already"), "{said}");
    assert_eq!(first.events(), 0);
}

#[test]
fn a_database_that_cannot_be_used_is_refused_and_left_as_it_is() {
    let sqlite = b"SQLite format 3\0 and then some".to_vec();
    let noise = b"something else entirely, and not a database".to_vec();
    for (bytes, word) in [(sqlite, "SQLite"), (noise, "s.redb")] {
        let plan = plan(&[]);
        fs::write(plan.database(), &bytes).unwrap();
        let (status, said) = plan.run_to_end();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("error: ") && said.contains(word), "{said}");
        assert_eq!(fs::read(plan.database()).unwrap(), bytes);
    }
    let (status, said) = plan(&["--db=/nonexistent-folder/x/s.redb"]).run_to_end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("/nonexistent-folder/x/s.redb"), "{said}");
}

#[test]
fn sighup_takes_over_what_can_change_and_names_what_cannot() {
    let plan = plan(&[]);
    let plan_folder = plan.folder.path().to_owned();
    let file = plan_folder.join("c.toml");
    fs::write(&file, "strict = false\n").unwrap();
    let mut command = plan.command();
    command.arg("--config").arg(&file);
    let mut node = plan.start_as(command);
    exchange(node.udp.unwrap(), request("OPTIONS", "100", "hup", "UDP").as_bytes());
    node.await_events(1);
    assert_eq!(node.json("/ip-addresses")["ip_addresses_total"], 1);

    // What needs a restart is named each time, and not taken over by the way.
    fs::write(&file, "strict = true\nno_tls = true\ndb = \"elsewhere.redb\"\n").unwrap();
    node.signal(Signal::SIGHUP);
    node.await_line("no_tls has changed, which needs a restart");
    node.await_line("the configuration was read again");
    assert!(!plan_folder.join("elsewhere.redb.cert.pem").exists());
    assert_eq!(node.get("/ip-addresses").0, 404, "an unproven source is still listed");

    fs::write(&file, "strict = maybe\n").unwrap();
    node.signal(Signal::SIGHUP);
    node.await_line("c.toml:1:10");
    assert_eq!(node.get("/ip-addresses").0, 404);
}

#[test]
fn sighup_takes_over_the_allow_list_from_the_configuration_and_its_file() {
    let plan = plan(&[]);
    let folder = plan.folder.path().to_owned();
    let (config, list) = (folder.join("c.toml"), folder.join("allow.txt"));
    let named = format!("allow_file = '{}'\n", list.display());
    fs::write(&list, "# nobody yet\n").unwrap();
    fs::write(&config, &named).unwrap();
    let mut command = plan.command();
    command.arg("--config").arg(&config);
    let mut node = plan.start_as(command);
    exchange(node.udp.unwrap(), request("INVITE", "0046500729221", "allow", "UDP").as_bytes());
    node.await_events(1);
    let listed = |node: &crate::harness::Node| {
        ["/ip-addresses", "/ip-addresses/127.0.0.1", "/numbers", "/numbers/0046500729221"]
            .map(|path| node.get(path).0)
    };
    assert_eq!(listed(&node), [200; 4]);

    fs::write(&list, "127.0.0.0/8 # this machine\n").unwrap();
    fs::write(&config, format!("{named}allow_numbers = ['+46500*']\n")).unwrap();
    node.signal(Signal::SIGHUP);
    await_that(|| listed(&node) == [404; 4], "the allow-list to hold");
    let check = node.json("/api/v1/check?ip=127.0.0.1&number=0046500729221");
    assert_eq!(check["ip"]["allowed"], "the allow-list (127.0.0.0/8)");
    assert_eq!(check["number"]["allowed"], "the allow-list");
    assert_eq!(node.events(), 1);

    // A mistake changes nothing, and is named with its line.
    fs::write(&list, "127.0.0.0/8\n127.0.0.0/80\n").unwrap();
    node.signal(Signal::SIGHUP);
    node.await_line("allow.txt:2:1: allow_file: ");
    assert_eq!(listed(&node), [404; 4]);

    fs::write(&list, "").unwrap();
    fs::write(&config, &named).unwrap();
    node.signal(Signal::SIGHUP);
    await_that(|| listed(&node) == [200; 4], "the allow-list to be empty again");
}

#[test]
fn a_renewed_certificate_is_shown_after_sighup() {
    let plan = plan(&[]);
    let folder = plan.folder.path().to_owned();
    let write = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        fs::write(folder.join("c.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("k.pem"), made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    };
    let first = write("first.example");
    let mut command = plan.command();
    command.arg("--cert").arg(folder.join("c.pem")).arg("--key").arg(folder.join("k.pem"));
    let mut node = plan.start_as(command);
    assert_eq!(shown(&node), first);
    let second = write("second.example");
    node.signal(Signal::SIGHUP);
    node.await_line("the configuration was read again");
    assert_eq!(shown(&node), second);
}

/// The certificate that a node shows.
fn shown(node: &crate::harness::Node) -> Vec<u8> {
    let mut stream = crate::streams::tls_connect(node.tls.unwrap());
    stream.write_all(b"\r\n\r\n").unwrap();
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_certificate_of_our_own_is_made_beside_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let node = plan(&[]).start();
    let mode = |suffix: &str| {
        let path = format!("{}{suffix}", node.database().display());
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    for suffix in [".key.pem", ".sock", ""] {
        assert_eq!(mode(suffix), 0o600, "{suffix}");
    }
}

#[test]
fn without_sip_a_node_only_serves() {
    let node = plan(&["--no-sip"]).start();
    assert!(node.udp.is_none() && node.tcp.is_none() && node.tls.is_none());
    assert_eq!(node.get("/ip-addresses").0, 404);
    assert!(node.stop().success());
}

#[test]
fn the_subcommands_reach_a_node_without_the_api() {
    let node = plan(&["--api=false", "--api-listen=", "--dip-listen=none"]).start();
    assert!(node.api.is_none() && node.dip.is_none());
    let ask = |words: &[&str]| program(&node.database()).args(words).output().unwrap();
    let health = ask(&["healthcheck"]);
    assert!(health.status.success());
    assert_eq!(String::from_utf8_lossy(&health.stdout), "ready\n");
    let status = ask(&["status"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("\"phase\""));
    let database = node.database();
    assert!(node.stop().success());
    let health = program(&database).arg("healthcheck").output().unwrap();
    assert_eq!(health.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&health.stderr).contains("no node runs"));
}

#[test]
fn a_stop_ends_open_connections_and_keeps_what_they_had_sent() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        let folder = node.folder.clone();
        let mut stream = std::net::TcpStream::connect(node.tcp.unwrap()).unwrap();
        stream.write_all(b"INVITE sip:+4670@x SIP/2.0\r\nCall-ID: torn").unwrap();
        await_that(
            || node.metric("sentrypeer_stream_received_bytes_total") > 0,
            "the first half of a message to arrive",
        );
        assert!(node.stop().success());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(std::io::Read::read(&mut stream, &mut [0; 8]).unwrap_or(0), 0);
        assert_eq!(plan_in(&folder, &[]).start().events(), 1, "{driver}");
    }
}
