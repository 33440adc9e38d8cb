//! How fast each output catches up with a log, and the CPU time that an event takes it.
//!
//! ```text
//! cargo run --release -p sentrypeer-export --example catch_up -- [EVENTS] [FOLDER] [OUTPUT]
//! ```
//!
//! Receivers are threads of this process; their time is not counted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentrypeer_export::Outputs;
use sentrypeer_export::filter::Filter;
use sentrypeer_export::json_log;
use sentrypeer_export::line::{Clock, Format};
use sentrypeer_export::output::{Receiver, Settings};
use sentrypeer_export::secret::Secret;
use sentrypeer_export::syslog::{self, Framing};
use sentrypeer_export::webhook::{self, Form};
use sentrypeer_storage::cursor::Begin;
use sentrypeer_storage::event::{
    Anomalies, Collected, EventRef, NumberKind, Seq, Time, Transport, Verification,
};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::intake;
use sentrypeer_storage::policy::{AllowList, Policy};
use sentrypeer_storage::{Options, Store};
use uuid::Uuid;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let events: u64 = args.next().map_or(Ok(500_000), |events| events.parse())?;
    let folder = args.next().unwrap_or_else(|| ".".to_owned());
    let only = args.next();
    let folder = tempfile::tempdir_in(folder)?;
    let (mut shards, writer_end) = intake::channel(1);
    let options = Options::new(folder.path().join("db.redb"), Uuid::new_v4());
    let (store, thread) = sentrypeer_storage::start(options, writer_end);
    let mut intake = shards.remove(0);
    fill(&mut intake, events)?;
    while store.snapshot().is_none_or(|snapshot| snapshot.through < Seq(events)) {
        std::thread::sleep(Duration::from_millis(10));
    }
    read_alone(&store, events)?;
    for (name, receiver) in receivers(folder.path())? {
        if only.as_deref().is_none_or(|only| name.starts_with(only)) {
            measure(&store, name, receiver, events)?;
        }
    }
    drop(intake);
    Ok(thread.join()?)
}

fn receivers(folder: &Path) -> Result<Vec<(&'static str, Receiver)>, Failure> {
    let json_log = |name: &str, format| {
        Receiver::JsonLog(json_log::Settings { path: folder.join(name), format, clock: Clock::Utc })
    };
    let daemon = folder.join("daemon.socket");
    let socket = UnixDatagram::bind(&daemon)?;
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while socket.recv(&mut buffer).is_ok() {}
    });
    let web = http_sink()?;
    let webhook = |form, gzip| {
        Receiver::Webhook(webhook::Settings {
            url: Secret::new(format!("http://{web}/")),
            form,
            events: 1000,
            gzip,
            signing_secret: Some(Secret::new("key")),
            credentials: None,
            ca_file: None,
            dead_letters: folder.join("dead"),
        })
    };
    let tcp = syslog::Settings::Tcp { address: tcp_sink()?, framing: Framing::OctetCounting };
    Ok(vec![
        #[cfg(feature = "sqlite")]
        ("sqlite", sqlite(folder.join("honey.db"))),
        ("syslog-local", Receiver::Syslog(syslog::Settings::Local(daemon))),
        ("syslog-tcp", Receiver::Syslog(tcp)),
        ("webhook-array", webhook(Form::Array, false)),
        ("webhook-gzip", webhook(Form::Lines, true)),
        ("webhook-ce", webhook(Form::CloudEventBatch, false)),
        ("json-log", json_log("log", Format::SentryPeer)),
        ("json-log-tpot", json_log("tpot", Format::Tpot)),
        ("json-log-ecs", json_log("ecs", Format::Ecs)),
    ])
}

#[cfg(feature = "sqlite")]
fn sqlite(path: std::path::PathBuf) -> Receiver {
    let node_id = Uuid::from_u128(1);
    Receiver::Sqlite(sentrypeer_export::sqlite::Settings { path, node_id, with_port: false })
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

/// Reading the log alone, to compare with.
fn read_alone(store: &Store, events: u64) -> Result<(), Failure> {
    let begin = Instant::now();
    let log = store.log().ok_or("the database is not open")?;
    let mut after = Seq(0);
    while after < Seq(events) {
        let read = log.since(after, 16_384)?;
        after = read.last().map_or(Seq(events), |event| event.seq);
    }
    say("reading alone", events, begin.elapsed(), 0);
    Ok(())
}

fn measure(store: &Store, name: &str, receiver: Receiver, events: u64) -> Result<(), Failure> {
    let producer = Producer {
        app_name: "sentrypeer".into(),
        app_version: "0.0.0".into(),
        node_id: Uuid::from_u128(1),
    };
    let policy = Arc::new(Policy { allow: AllowList::new([], true), ..Policy::default() });
    let settings = Settings {
        name: name.to_owned(),
        begin: Begin::Oldest,
        filter: Filter::default(),
        receiver,
    };
    let begin = Instant::now();
    let outputs = Outputs::start(store, producer, move || policy.clone(), vec![settings])?;
    loop {
        let status = outputs.status(Time::now()).remove(0);
        if let Some(error) = status.last_error.filter(|_| status.failures > 20) {
            return Err(error.text.into());
        }
        if status.cursor >= Seq(events) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let (took, cpu) = (begin.elapsed(), cpu_ns(name));
    say(name, events, took, cpu);
    let still = outputs.stop(Duration::from_secs(10));
    if still.is_empty() { Ok(()) } else { Err(format!("{still:?} did not end").into()) }
}

fn say(name: &str, events: u64, took: Duration, cpu_ns: u64) {
    let rate = events as f64 / took.as_secs_f64();
    println!("{name:16} {rate:9.0} events/s, {:6} ns CPU an event", cpu_ns / events.max(1));
}

/// CPU time of the thread of this name, in ns.
fn cpu_ns(name: &str) -> u64 {
    let name: String = name.chars().take(15).collect();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == name {
            let stat = read("schedstat");
            return stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        }
    }
    0
}

fn fill(intake: &mut intake::ShardIntake, events: u64) -> Result<(), Failure> {
    let mut arena = intake.take().ok_or("no arena")?;
    for n in 0..events {
        let message = message(n);
        let event = event(n, &message);
        while arena.push(&event).is_err() {
            match intake.take() {
                Some(empty) => {
                    let full = std::mem::replace(&mut arena, empty);
                    if intake.hand_over(full) > 0 {
                        return Err("the writer has ended".into());
                    }
                }
                None => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }
    if intake.hand_over(arena) > 0 { Err("the writer has ended".into()) } else { Ok(()) }
}

/// About 500 bytes, as scanners send them.
fn message(n: u64) -> Vec<u8> {
    let id = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "INVITE sip:+44207{:07}@203.0.113.5 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.{}.{}:5060;branch=z9hG4bK-{:x};rport\r\nMax-Forwards: 70\r\n\
         From: \"{}\" <sip:{}@203.0.113.5>;tag={:x}\r\nTo: <sip:{}@203.0.113.5>\r\n\
         Call-ID: {id:x}@10.0.0.1\r\nCSeq: {} INVITE\r\nContact: <sip:{}@10.0.0.1:5060>\r\n\
         User-Agent: friendly-scanner\r\nAccept: application/sdp\r\n\
         Allow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\nContent-Length: 0\r\n\r\n",
        n % 10_000_000,
        id >> 3 & 255,
        id >> 17 & 255,
        id.rotate_left(17),
        n % 1000,
        id % 10_000,
        id >> 20,
        id % 100_000,
        id % 97,
        id % 10_000,
    )
    .into_bytes()
}

fn event(n: u64, message: &[u8]) -> EventRef<'_> {
    let agent = message.windows(16).position(|part| part == b"friendly-scanner").unwrap_or(0);
    EventRef {
        time: Time::now(),
        source: (std::net::Ipv4Addr::from_bits(0x0b00_0000 + (n % 10_000) as u32), 5060).into(),
        destination: "203.0.113.5:5060".parse().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into()),
        transport: Transport::Udp,
        verification: Verification::Unverified,
        collected: Collected::Responsive,
        number_kind: NumberKind::Called,
        anomalies: Anomalies::default(),
        method: &message[..6],
        number: &message[11..24],
        user_agent: &message[agent..agent + 16],
        message,
    }
}
