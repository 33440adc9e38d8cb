//! The store of a fleet: the real nats-server with a stream, and somebody who hears all that goes there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::await_that;

/// It is killed when this is dropped.
pub struct Fleet {
    pub url: String,
    address: String,
    child: Child,
    _folder: TempDir,
}

/// Subject and event of each message so far.
pub type Heard = Arc<Mutex<Vec<(String, Value)>>>;

impl Fleet {
    /// With a stream for `sentrypeer.>`. `None`, and said, where there is no nats-server.
    pub fn start() -> Option<Self> {
        if Command::new("nats-server").arg("--version").output().is_err() {
            eprintln!("SKIPPED: nats-server is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = address.port().to_string();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"]).arg(folder.path());
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let address = address.to_string();
        let fleet = Self { url: format!("nats://{address}"), address, child, _folder: folder };
        await_that(|| TcpStream::connect(&fleet.address).is_ok(), "nats-server");
        let stream = r#"{"name":"FLEET","subjects":["sentrypeer.>"],"storage":"file"}"#;
        let created = fleet.ask("STREAM.CREATE.FLEET", stream);
        assert!(created.get("error").is_none(), "{created}");
        Some(fleet)
    }

    /// Hears from now on what is published, whether a stream takes it or not.
    pub fn listen(&self) -> Heard {
        let heard = Heard::default();
        let kept = Arc::clone(&heard);
        let mut reader = self.subscribe("sentrypeer.>");
        std::thread::spawn(move || {
            while let Some(message) = next(&mut reader) {
                kept.lock().unwrap().push(message);
            }
        });
        heard
    }

    /// How many messages the stream has.
    pub fn stored(&self) -> u64 {
        self.ask("STREAM.INFO.FLEET", "")["state"]["messages"].as_u64().unwrap()
    }

    fn ask(&self, what: &str, body: &str) -> Value {
        let mut reader = self.subscribe("answers");
        let text = format!("PUB $JS.API.{what} answers {}\r\n{body}\r\n", body.len());
        reader.get_mut().write_all(text.as_bytes()).unwrap();
        next(&mut reader).unwrap().1
    }

    /// A connection that gets what is published there, and has it for certain when this returns.
    fn subscribe(&self, subject: &str) -> BufReader<TcpStream> {
        let mut reader = BufReader::new(TcpStream::connect(&self.address).unwrap());
        let text = format!(
            "CONNECT {{\"verbose\":false,\"headers\":true}}\r\nSUB {subject} 1\r\nPING\r\n"
        );
        reader.get_mut().write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        while line != "PONG\r\n" {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "nats-server has ended");
        }
        reader
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next message; `None` when the server has ended.
fn next(reader: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let headers = match words[0] {
            "MSG" => 0,
            "HMSG" => words[words.len() - 2].parse().unwrap(),
            "PING" => {
                reader.get_mut().write_all(b"PONG\r\n").ok()?;
                continue;
            }
            other => panic!("nats-server says {other}"),
        };
        let mut payload = vec![0; words.last().unwrap().parse::<usize>().unwrap() + 2];
        reader.read_exact(&mut payload).ok()?;
        let event = serde_json::from_slice(&payload[headers..]).unwrap();
        return Some((words[1].to_owned(), event));
    }
}
