//! A client in Go that a generator made of `/openapi.json`, tried against a running node.
//!
//! It needs `openapi-generator-cli` (PyPI has it under that name), `go`, and the one package beside the
//! standard library that the generated code uses, as Debian has it (`golang-golang-x-oauth2-dev`).

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use sentrypeer_http::front::api::serve;
use sentrypeer_storage::event::Time;

use crate::node::{NS_PER_S, Node, at, event, proven};

/// Where Debian keeps packages of Go.
const PACKAGES: &str = "/usr/share/gocode";

fn is_there(program: &str) -> bool {
    let status =
        Command::new(program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// What a program prints; the test fails if it does.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {printed}");
    printed
}

/// The client, in a folder of packages.
fn generated(folder: &Path, document: &str) {
    let source = folder.join("openapi.json");
    std::fs::write(&source, document).unwrap();
    let package = folder.join("src/sentrypeer/client");
    printed(
        Command::new("openapi-generator-cli")
            .args(["generate", "--generator-name", "go", "--package-name", "client"])
            .arg("--input-spec")
            .arg(source)
            .arg("--output")
            .arg(&package),
    );
    // Its tests are for people to fill in, and need packages of their own.
    let _ = std::fs::remove_dir_all(package.join("test"));
    let main = folder.join("src/try");
    std::fs::create_dir_all(&main).unwrap();
    std::fs::write(main.join("main.go"), include_str!("client.go")).unwrap();
}

#[test]
fn a_generated_go_client_reads_every_answer_into_its_types() {
    let has_packages = Path::new(PACKAGES).join("src/golang.org/x/oauth2").is_dir();
    if !has_packages || !is_there("go") || !is_there("openapi-generator-cli") {
        eprintln!("skipped: no go, no golang.org/x/oauth2, or no openapi-generator-cli");
        return;
    }
    let now = Time::now().minus_ns(NS_PER_S);
    let node = Node::with(&[
        proven("198.18.0.7", "+442071234567", now),
        event("2a00:1450:1:2::9", "0046500729221", now),
    ]);
    let front = serve(vec![TcpListener::bind("127.0.0.1:0").unwrap()], Arc::clone(&node.ctx));
    let front = front.unwrap();
    let folder = tempfile::tempdir().unwrap();
    generated(folder.path(), &node.get("/openapi.json", at(60)).body);
    let program = folder.path().join("client");
    printed(
        Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg("try")
            .env("GO111MODULE", "off")
            .env("GOPATH", format!("{}:{PACKAGES}", folder.path().display()))
            .env("GOCACHE", folder.path().join("cache")),
    );
    print!("{}", printed(Command::new(program).arg(format!("http://{}", front.addresses()[0]))));
}
