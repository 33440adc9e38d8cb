//! The real nats-server, and a client that looks into its streams.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{PATIENCE, wait_for};

/// A nats-server with JetStream, killed when this is dropped.
pub struct NatsServer {
    folder: TempDir,
    pub port: u16,
    child: Child,
}

impl NatsServer {
    /// With these lines in its configuration. `None`, and said, where there is no nats-server.
    pub fn start(lines: &str) -> Option<Self> {
        if Command::new("nats-server").arg("--version").output().is_err() {
            eprintln!("SKIPPED: nats-server is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // It is free now; the server is asked to fail if it is not any more.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        configure(folder.path(), port, lines);
        let child = run(folder.path());
        let server = Self { folder, port, child };
        server.await_open();
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// As `kill -9` does it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Comes back after a kill with what it has stored.
    pub fn restart(&mut self) {
        self.child = run(self.folder.path());
        self.await_open();
    }

    /// The same with another configuration.
    pub fn restart_with(&mut self, lines: &str) {
        configure(self.folder.path(), self.port, lines);
        self.restart();
    }

    fn await_open(&self) {
        wait_for("nats-server", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(folder: &Path) -> PathBuf {
    folder.join("nats.conf")
}

fn configure(folder: &Path, port: u16, lines: &str) {
    let text = format!("listen: \"127.0.0.1:{port}\"\n{lines}\n");
    std::fs::write(configuration(folder), text.replace("STORE", folder.to_str().unwrap())).unwrap();
}

fn run(folder: &Path) -> Child {
    let mut command = Command::new("nats-server");
    command.arg("-c").arg(configuration(folder)).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// What switches JetStream on.
pub const JETSTREAM: &str = "jetstream { store_dir: \"STORE\" }";

/// Somebody who looks after streams.
pub struct Client {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Client {
    pub fn new(server: &NatsServer) -> Self {
        let writer = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        writer.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self { reader: BufReader::new(writer.try_clone().unwrap()), writer };
        assert!(client.line().starts_with("INFO "));
        client.writer.write_all(b"CONNECT {\"verbose\":false}\r\nSUB answers 1\r\n").unwrap();
        client
    }

    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.reader.read_line(&mut line).unwrap() > 0, "nats-server has ended");
            if line != "PING\r\n" {
                return line.trim_end().to_owned();
            }
            self.writer.write_all(b"PONG\r\n").unwrap();
        }
    }

    /// Asks JetStream.
    pub fn ask(&mut self, what: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let text = format!("PUB $JS.API.{what} answers {}\r\n{body}\r\n", body.len());
        self.writer.write_all(text.as_bytes()).unwrap();
        let line = self.line();
        let length = line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        let mut payload = vec![0; length + 2];
        self.reader.read_exact(&mut payload).unwrap();
        let answer: Value = serde_json::from_slice(&payload).unwrap();
        assert!(answer.get("error").is_none(), "{what}: {answer}");
        answer
    }

    /// Adds a stream for these subjects, with these further settings.
    pub fn add_stream(&mut self, subjects: &str, more: &Value) {
        self.ask("STREAM.CREATE.FLEET", &stream(subjects, more));
    }

    pub fn change_stream(&mut self, subjects: &str, more: &Value) {
        self.ask("STREAM.UPDATE.FLEET", &stream(subjects, more));
    }

    pub fn messages(&mut self) -> u64 {
        self.ask("STREAM.INFO.FLEET", &Value::Null)["state"]["messages"].as_u64().unwrap()
    }

    /// Subject and payload of every message, each of which must have the id of its event.
    pub fn all(&mut self) -> Vec<(String, Value)> {
        (1..=self.messages()).map(|seq| self.message(seq)).collect()
    }

    pub fn ids(&mut self) -> Vec<String> {
        let all = self.all();
        all.iter().map(|(_, event)| event["event_uuid"].as_str().unwrap().to_owned()).collect()
    }

    fn message(&mut self, seq: u64) -> (String, Value) {
        let answer = self.ask("STREAM.MSG.GET.FLEET", &json!({ "seq": seq }));
        let message = &answer["message"];
        let decoded = |key: &str| STANDARD.decode(message[key].as_str().unwrap()).unwrap();
        let event: Value = serde_json::from_slice(&decoded("data")).unwrap();
        let headers = String::from_utf8(decoded("hdrs")).unwrap();
        let id = format!("Nats-Msg-Id: {}\r\n", event["event_uuid"].as_str().unwrap());
        assert!(headers.contains(&id), "{headers}");
        (message["subject"].as_str().unwrap().to_owned(), event)
    }
}

fn stream(subjects: &str, more: &Value) -> Value {
    let mut stream = json!({ "name": "FLEET", "subjects": [subjects], "storage": "file" });
    for (key, value) in more.as_object().into_iter().flatten() {
        stream[key] = value.clone();
    }
    stream
}
