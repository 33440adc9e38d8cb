//! Starts nodes and talks to them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sentrypeer::net::outlet::REFLECTOR_PORTS;
use serde_json::Value;

/// How long anything may take before a test gives up. Generous: machines are slow, and nothing is
/// decided by it but failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Both drivers; every test that sends traffic runs with each.
pub const DRIVERS: [&str; 2] = ["uring", "poll"];

/// A node in a process and a folder of its own.
pub struct Node {
    pub child: Child,
    pub folder: Arc<tempfile::TempDir>,
    pub udp: Option<SocketAddr>,
    pub tcp: Option<SocketAddr>,
    pub tls: Option<SocketAddr>,
    pub api: Option<SocketAddr>,
    pub dip: Option<SocketAddr>,
    lines: Arc<Mutex<Vec<String>>>,
}

/// How a node is to be started.
pub struct Plan {
    pub folder: Arc<tempfile::TempDir>,
    arguments: Vec<String>,
}

/// A node on loopback with ports that the system chooses, responsive, with API and dip lane.
pub fn plan(arguments: &[&str]) -> Plan {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    plan_in(&folder, arguments)
}

/// The same in a folder that exists already.
pub fn plan_in(folder: &Arc<tempfile::TempDir>, arguments: &[&str]) -> Plan {
    let defaults = [
        "-r",
        "--test-addresses",
        "--shards=2",
        "--sip-listen=127.0.0.1:0",
        "--tls-listen=127.0.0.1:0",
        "--api-listen=127.0.0.1:0",
        "--dip-listen=127.0.0.1:0",
    ];
    // A listener that the test names takes the place of the default one.
    let named = |default: &&str| {
        let (flag, _) = default.split_once('=').unwrap_or((default, ""));
        !(flag.ends_with("-listen") && arguments.iter().any(|a| a.starts_with(flag)))
    };
    let defaults = defaults.iter().copied().filter(named);
    let arguments = defaults.chain(arguments.iter().copied()).map(str::to_owned).collect();
    Plan { folder: Arc::clone(folder), arguments }
}

impl Plan {
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("s.redb")
    }

    /// The command, with the environment's own settings kept out.
    pub fn command(&self) -> Command {
        let mut command = program(&self.database());
        command.args(&self.arguments);
        command
    }

    pub fn start(self) -> Node {
        let command = self.command();
        self.start_as(command)
    }

    /// Starts `command`, which is [`Self::command`] or a variation of it, and waits until it is
    /// ready.
    pub fn start_as(self, mut command: Command) -> Node {
        let mut child = command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        let mut node = Node {
            child,
            folder: self.folder,
            udp: None,
            tcp: None,
            tls: None,
            api: None,
            dip: None,
            lines,
        };
        node.await_line("sentrypeer: ready:");
        node.read_addresses();
        node
    }

    /// Runs to the end and gives exit status, and what was said on standard error.
    pub fn run_to_end(&self) -> (ExitStatus, String) {
        let output = self.command().output().unwrap();
        (output.status, String::from_utf8(output.stderr).unwrap())
    }
}

/// The program, for the database `path`.
pub fn program(path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentrypeer"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SENTRYPEER_")) {
        command.env_remove(name);
    }
    command.env("HOME", path.parent().unwrap()).arg("--db").arg(path);
    command
}

impl Node {
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("s.redb")
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until a line that contains `text` was said.
    pub fn await_line(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.lines().iter().any(|line| line.contains(text)) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended with {status} before {text:?}: {:#?}", self.lines());
            }
            assert!(Instant::now() < deadline, "no {text:?} in {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn read_addresses(&mut self) {
        for line in self.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let address = words.last().and_then(|w| w.rsplit("//").next()?.parse().ok());
            match words[..] {
                [_, "listening", "on", "UDP", _] => self.udp = address,
                [_, "listening", "on", "TCP", _] => self.tcp = address,
                [_, "listening", "on", "TLS", _] => self.tls = address,
                [_, "API", "on", _] => self.api = address,
                [_, "dip", "lane", "on", _] => self.dip = address,
                _ => {}
            }
        }
    }

    /// `GET path` of the API: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(self.api.unwrap(), path)
    }

    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert!((200..300).contains(&status), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.get("/metrics");
        text.lines()
            .filter(|line| line.starts_with(name) && !line.starts_with('#'))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum::<f64>() as u64
    }

    /// How many events are in the log.
    pub fn events(&self) -> u64 {
        self.json("/api/v1/status")["events"].as_u64().unwrap()
    }

    /// Waits until at least `count` events are in the log.
    pub fn await_events(&self, count: u64) {
        await_that(|| self.events() >= count, &format!("{count} events"));
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Ends the node as an operator does, and gives its exit status.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "does not end: {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `condition` holds.
pub fn await_that(mut condition: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `GET path`, with a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (status, if chunked { dechunk(body) } else { body.to_owned() })
}

fn dechunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        whole.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    whole
}

/// A request as a telephone sends it, without a body.
pub fn request(method: &str, number: &str, call: &str, transport: &str) -> String {
    format!(
        "{method} sip:{number}@127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/{transport} 127.0.0.1:5999;branch=z9hG4bK-{call};rport\r\n\
         Max-Forwards: 70\r\n\
         From: \"probe\" <sip:100@127.0.0.1>;tag=t{call}\r\n\
         To: <sip:{number}@127.0.0.1>\r\n\
         Call-ID: {call}\r\n\
         CSeq: 1 {method}\r\n\
         Contact: <sip:100@127.0.0.1:5999>\r\n\
         User-Agent: harness\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// A socket with this address, at a port that is answered: the system may well give one at which a service
/// that answers everybody is at home.
pub fn telephone(ip: impl Into<IpAddr>) -> UdpSocket {
    let ip = ip.into();
    loop {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        if REFLECTOR_PORTS.iter().all(|(reflector, _)| *reflector != port) {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            return socket;
        }
    }
}

/// Sends a datagram and waits for the answer.
pub fn exchange(address: SocketAddr, datagram: &[u8]) -> Vec<u8> {
    let socket = telephone([127, 0, 0, 1]);
    socket.send_to(datagram, address).unwrap();
    let mut buffer = vec![0; 65_535];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(from, address);
    buffer.truncate(length);
    buffer
}

/// An address on loopback whose port is free and outside of the range from which the system gives
/// ports to connections (ip(7), `ip_local_port_range`).
pub fn quiet_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Whether a program that a test needs is installed; says so aloud if it is not.
pub fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path)
            .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
            .any(|folder| folder.join(program).exists())
    });
    if !found {
        eprintln!("SKIPPED: this test needs {program}, which is not installed");
    }
    found
}
