//! The senders and the bare receivers, against each other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line.trim()).unwrap()
}

/// A receiver that listens.
struct Listener {
    child: Child,
    said: BufReader<ChildStdout>,
    target: String,
}

impl Listener {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let target = format!("127.0.0.1:{}", free_port());
        let mut child = Command::new(program)
            .args(["--listen", &target])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), format!("listening on {target}"));
        Self { child, said, target }
    }

    /// Ends it, and gives what it says then.
    fn end(mut self) -> String {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

fn said(program: &str, arguments: &[&str]) -> serde_json::Value {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json(&String::from_utf8(output.stdout).unwrap())
}

const BLAST: &str = env!("CARGO_BIN_EXE_blast");

#[test]
fn the_sink_receives_what_the_blast_sends() {
    let sink = Listener::start(env!("CARGO_BIN_EXE_sink"), &["--cores", "0"]);
    let load = ["--pps", "20000", "--count", "2001", "--sources", "300"];
    let sent = said(BLAST, &[&["--target", &sink.target], &load[..]].concat());
    assert_eq!(sent["sent"], 2001);
    assert!(sent["mean_bytes"].as_f64().unwrap() >= 450.0);
    let received = json(&sink.end());
    assert_eq!(received["packets"], 2001, "{received}");
}

#[test]
fn the_floor_stores_what_the_kernel_cuts_out_of_large_sends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("floor");
    let file = file.to_str().unwrap();
    let floor = Listener::start(env!("CARGO_BIN_EXE_floor"), &["--file", file]);
    let load = ["--pps=20000", "--count=3200", "--sources=100", "--bytes=500", "--segments=32"];
    let sent = said(BLAST, &[&["--target", &floor.target], &load[..]].concat());
    assert_eq!(sent["sent"], 3200);
    let stored = json(&floor.end());
    assert_eq!(stored["packets"], 3200, "{stored}");
    assert_eq!(stored["shed"], 0, "{stored}");
    let length = std::fs::metadata(file).unwrap().len();
    assert_eq!(stored["bytes"], length);
    assert!((1_000..3_200 * 250).contains(&length), "{length} bytes are not packed messages");
}

#[test]
fn what_the_kernel_would_cut_at_the_wrong_places_is_refused() {
    let target = format!("127.0.0.1:{}", free_port());
    let load = ["--target", &target, "--count", "64", "--bytes", "100", "--segments", "32"];
    let blast = Command::new(BLAST).args(load).output().unwrap();
    assert_eq!(blast.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&blast.stderr).contains("needs more --bytes"));
}

#[test]
fn the_echo_answers_over_tcp_and_tls() {
    for tls in [&[][..], &["--tls"]] {
        let echo = Listener::start(env!("CARGO_BIN_EXE_echo"), tls);
        let load = ["--target", &echo.target, "--messages=20", "--burst=7", "--seconds=0.5"];
        let done = said(env!("CARGO_BIN_EXE_connect"), &[&load, tls].concat());
        assert!(done["connections"].as_u64().unwrap() >= 16, "{done}");
        assert!(done["messages"].as_u64() > done["connections"].as_u64(), "{done}");
        assert!(done["p50_us"].as_f64().unwrap() > 0.0, "{done}");
        assert_eq!(echo.end(), "");
    }
}

#[test]
fn answers_over_udp_are_timed_by_their_branch() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    // It answers every other request by giving it back, once it has all.
    let answers = std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        for number in 0..100 {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            if number % 2 == 0 {
                socket.send_to(&buffer[..length], from).unwrap();
            }
        }
    });
    let load = ["--target", &target, "--pps", "200", "--seconds", "0.5", "--batch", "1"];
    let said = said(env!("CARGO_BIN_EXE_ask"), &load);
    let sent = said["sent"].as_u64().unwrap();
    assert!((90..=100).contains(&sent), "{said}");
    assert_eq!(said["answered"].as_u64().unwrap(), sent.div_ceil(2), "{said}");
    assert!(said["p99_us"].as_f64().unwrap() >= said["p50_us"].as_f64().unwrap());
    drop(answers);
}

#[test]
fn another_machine_is_refused() {
    for program in [
        BLAST,
        env!("CARGO_BIN_EXE_ask"),
        env!("CARGO_BIN_EXE_connect"),
        env!("CARGO_BIN_EXE_dips"),
    ] {
        let sender = Command::new(program).args(["--target", "192.0.2.1:5060"]).output().unwrap();
        assert_eq!(sender.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&sender.stderr).contains("only 127.0.0.0/8 is sent to"));
    }
}
