//! The outputs that are measured, and receivers for them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sentrypeer_export::json_log;
use sentrypeer_export::line::{Clock, Format};
use sentrypeer_export::nats::{Login, Server};
use sentrypeer_export::output::Receiver;
use sentrypeer_export::secret::Secret;
use sentrypeer_export::syslog::{self, Framing};
use sentrypeer_export::webhook::{self, Form};
use uuid::Uuid;

use crate::Failure;

/// An output, and what it must do when it catches up alone.
pub struct Measured {
    /// What it is called, and its thread.
    pub name: &'static str,
    /// Events a second; `None` if nothing is asked of it.
    pub must_show: Option<u64>,
    /// Whether it is the one of its kind that runs beside the others.
    pub is_usual: bool,
    /// Where it goes.
    pub receiver: Receiver,
}

/// The receivers that are processes; they end with this.
pub struct Receivers {
    pub all: Vec<Measured>,
    _fleet: Option<Fleet>,
}

impl Receivers {
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let one =
            |name, must_show, is_usual, receiver| Measured { name, must_show, is_usual, receiver };
        let daemon = folder.join("daemon.socket");
        datagram_sink(&daemon)?;
        let local = Receiver::Syslog(syslog::Settings::Local(daemon));
        let (address, framing) = (tcp_sink()?, Framing::OctetCounting);
        let tcp = Receiver::Syslog(syslog::Settings::Tcp { address, framing });
        let web = http_sink()?;
        let webhook = |form, gzip| webhook(&web, folder, form, gzip);
        let log = |name: &str, format| json_log(folder.join(name), format);
        let mut all = vec![
            one("json-log", Some(150_000), true, log("log", Format::SentryPeer)),
            one("json-log-tpot", Some(150_000), false, log("tpot", Format::Tpot)),
            one("json-log-ecs", None, false, log("ecs", Format::Ecs)),
            one("webhook", Some(20_000), true, webhook(Form::Array, false)),
            one("webhook-gzip", Some(20_000), false, webhook(Form::Lines, true)),
            one("webhook-ce", Some(20_000), false, webhook(Form::CloudEventBatch, false)),
            one("sqlite", Some(50_000), true, sqlite(folder.join("honey.db"))),
            one("syslog", Some(20_000), true, local),
            one("syslog-tcp", Some(20_000), false, tcp),
        ];
        let fleet = Fleet::start(folder)?;
        let nats = fleet.as_ref().map(Fleet::receiver).transpose()?;
        all.extend(nats.map(|receiver| one("nats", None, true, receiver)));
        Ok(Self { all, _fleet: fleet })
    }
}

fn json_log(path: PathBuf, format: Format) -> Receiver {
    Receiver::JsonLog(json_log::Settings { path, format, clock: Clock::Utc })
}

fn webhook(to: &str, folder: &Path, form: Form, gzip: bool) -> Receiver {
    Receiver::Webhook(webhook::Settings {
        url: Secret::new(format!("http://{to}/")),
        form,
        events: 1000,
        gzip,
        signing_secret: Some(Secret::new("key")),
        credentials: None,
        ca_file: None,
        dead_letters: folder.join("dead"),
    })
}

fn sqlite(path: PathBuf) -> Receiver {
    let node_id = Uuid::from_u128(1);
    Receiver::Sqlite(sentrypeer_export::sqlite::Settings { path, node_id, with_port: false })
}

/// A real nats-server with a stream.
struct Fleet {
    address: String,
    child: Child,
}

impl Fleet {
    /// `None`, and said, where there is none.
    fn start(folder: &Path) -> Result<Option<Self>, Failure> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &address.port().to_string(), "-js", "-sd"]);
        let Ok(child) = command.arg(folder.join("nats")).stderr(Stdio::null()).spawn() else {
            println!("nats-server is not installed: NATS is left out");
            return Ok(None);
        };
        let fleet = Self { address: address.to_string(), child };
        let deadline = Instant::now() + Duration::from_secs(30);
        let stream = loop {
            match TcpStream::connect(&fleet.address) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        add_stream(&stream)?;
        Ok(Some(fleet))
    }

    fn receiver(&self) -> Result<Receiver, Failure> {
        Ok(Receiver::Nats(sentrypeer_export::nats::Settings {
            servers: vec![Server::parse(&format!("nats://{}", self.address))?],
            subject: "sentrypeer.events".to_owned(),
            login: Login::Nobody,
            ca_file: None,
        }))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn add_stream(mut stream: &TcpStream) -> Result<(), Failure> {
    let body = r#"{"name":"FLEET","subjects":["sentrypeer.>"],"storage":"file"}"#;
    let ask = format!("SUB answers 1\r\nPUB $JS.API.STREAM.CREATE.FLEET answers {}", body.len());
    stream.write_all(format!("CONNECT {{}}\r\n{ask}\r\n{body}\r\n").as_bytes())?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line.starts_with('{') {
            let is_error = line.contains("\"error\"");
            return if is_error { Err(line.into()) } else { Ok(()) };
        }
    }
    Err("nats-server has ended".into())
}

/// Reads whatever comes.
fn datagram_sink(path: &Path) -> std::io::Result<()> {
    let socket = UnixDatagram::bind(path)?;
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while socket.recv(&mut buffer).is_ok() {}
    });
    Ok(())
}

/// Reads whatever comes, to its end.
fn tcp_sink() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    Ok(address)
}

/// Answers 204 to every request.
fn http_sink() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(&stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0u64);
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim_end().is_empty() {
            let _ = std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink());
            if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                return;
            }
        }
        line.clear();
    }
}
