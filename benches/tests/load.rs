//! The two programs of the load bench, against each other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line.trim()).unwrap()
}

#[test]
fn the_sink_receives_what_the_blast_sends() {
    let target = format!("127.0.0.1:{}", free_port());
    let mut sink = Command::new(env!("CARGO_BIN_EXE_sink"))
        .args(["--listen", &target, "--cores", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(sink.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line.trim(), format!("listening on {target}"));

    let blast = Command::new(env!("CARGO_BIN_EXE_blast"))
        .args(["--target", &target, "--pps", "20000", "--count", "2001", "--sources", "300"])
        .output()
        .unwrap();
    assert!(blast.status.success());
    let sent = json(&String::from_utf8(blast.stdout).unwrap());
    assert_eq!(sent["sent"], 2001);
    assert!(sent["mean_bytes"].as_f64().unwrap() >= 450.0);

    kill(Pid::from_raw(i32::try_from(sink.id()).unwrap()), Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(sink.wait().unwrap().success());
    let received = json(&rest);
    assert_eq!(received["packets"], 2001, "{received}");
}

#[test]
fn another_machine_is_refused() {
    let blast = Command::new(env!("CARGO_BIN_EXE_blast"))
        .args(["--target", "192.0.2.1:5060", "--count", "1"])
        .output()
        .unwrap();
    assert_eq!(blast.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&blast.stderr).contains("only 127.0.0.0/8 is sent to"));
}
