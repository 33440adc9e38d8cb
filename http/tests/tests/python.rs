//! A client in another language, which knows of the API only what `/openapi.json` says.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;

use sentrypeer_http::front::api::serve;
use sentrypeer_storage::event::Time;

use crate::node::{NS_PER_S, Node, event, proven};

#[test]
fn a_python_client_that_reads_the_document_gets_an_answer_to_every_get() {
    let has_python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !has_python.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no python3");
        return;
    }
    let now = Time::now().minus_ns(NS_PER_S);
    let node = Node::with(&[
        proven("198.18.0.7", "+442071234567", now),
        event("2a00:1450:1:2::9", "0046500729221", now),
    ]);
    let front = serve(vec![TcpListener::bind("127.0.0.1:0").unwrap()], Arc::clone(&node.ctx));
    let front = front.unwrap();
    let mut python = Command::new("python3")
        .args(["-I", "-", &format!("http://{}", front.addresses()[0])])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let script = include_bytes!("client.py");
    python.stdin.take().unwrap().write_all(script).unwrap();
    let output = python.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    print!("{printed}");
}
