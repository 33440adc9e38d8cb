//! A node without a network: events go in here, and outputs read them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentrypeer_export::filter::Filter;
use sentrypeer_export::output::{Receiver, Settings};
use sentrypeer_export::status::Status;
use sentrypeer_export::{Outputs, StartError};
use sentrypeer_storage::cursor::Begin;
use sentrypeer_storage::event::{
    Anomalies, Collected, EventRef, NumberKind, Seq, Time, Transport, Verification,
};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::intake::{self, ShardIntake};
use sentrypeer_storage::policy::{AllowList, Policy};
use sentrypeer_storage::{Options, Phase, Store, WriterThread};
use tempfile::TempDir;
use uuid::Uuid;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub struct Node {
    pub folder: TempDir,
    pub store: Store,
    intake: ShardIntake,
    thread: Option<WriterThread>,
    pub sent: u64,
}

pub const NODE_ID: Uuid = Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef);

impl Node {
    pub fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), 0)
    }

    /// With the database that another process has left in this folder.
    pub fn at(folder: TempDir) -> Self {
        Self::open(folder, 0)
    }

    /// With its database in a folder that outlives it.
    pub fn beside(folder: &Path) -> Self {
        Self::with(tempfile::tempdir().unwrap(), folder, 0)
    }

    fn open(folder: TempDir, sent: u64) -> Self {
        let at = folder.path().to_owned();
        Self::with(folder, &at, sent)
    }

    fn with(folder: TempDir, database: &Path, sent: u64) -> Self {
        let (mut shards, writer_end) = intake::channel(1);
        let options = Options::new(database.join("db.redb"), NODE_ID);
        let (store, thread) = sentrypeer_storage::start(options, writer_end);
        wait_for("the database's opening", || store.phase() == Phase::Ready);
        Self { folder, store, intake: shards.remove(0), thread: Some(thread), sent }
    }

    /// Ends, and starts again with what is stored.
    pub fn restart(mut self) -> Self {
        let thread = self.thread.take();
        drop(self.intake);
        thread.unwrap().join().unwrap();
        Self::open(self.folder, self.sent)
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Stores so many events from different addresses, and waits until they are.
    pub fn record(&mut self, events: u64) {
        for n in self.sent + 1..=self.sent + events {
            let message = message(n);
            self.push(&event(n, &message));
        }
        self.settle();
    }

    pub fn push(&mut self, event: &EventRef<'_>) {
        let mut arena = loop {
            match self.intake.take() {
                Some(arena) => break arena,
                None => std::thread::yield_now(),
            }
        };
        arena.push(event).unwrap();
        assert_eq!(self.intake.hand_over(arena), 0);
        self.sent += 1;
    }

    pub fn settle(&self) {
        let sent = Seq(self.sent);
        wait_for("the commit", || self.store.snapshot().is_some_and(|s| s.through >= sent));
    }

    pub fn start(&self, receiver: Receiver) -> Outputs {
        self.start_all(vec![settings("out", receiver)]).unwrap()
    }

    pub fn start_all(&self, settings: Vec<Settings>) -> Result<Outputs, StartError> {
        let policy = Arc::new(Policy { allow: allow(), ..Policy::default() });
        Outputs::start(&self.store, producer(), move || policy.clone(), settings)
    }

    /// The ids of all events that were stored, in their order.
    pub fn ids(&self) -> Vec<String> {
        let events = self.store.log().unwrap();
        let (mut ids, mut after) = (Vec::new(), Seq(0));
        loop {
            let read = events.since(after, 10_000).unwrap();
            let Some(last) = read.last() else { return ids };
            after = last.seq;
            ids.extend(read.iter().map(|event| event.id.to_string()));
        }
    }

    pub fn await_cursor(&self, outputs: &Outputs) {
        let sent = Seq(self.sent);
        wait_for("the cursor's arrival", || status(outputs).cursor >= sent);
    }

    /// Waits until the moved cursor is stored: a commit after the outputs have ended.
    pub fn stop(&self, outputs: Outputs) {
        assert!(outputs.stop(PATIENCE).is_empty());
    }
}

pub fn settings(name: &str, receiver: Receiver) -> Settings {
    Settings { name: name.to_owned(), begin: Begin::Oldest, filter: Filter::default(), receiver }
}

/// How the first output is doing.
pub fn status(outputs: &Outputs) -> Status {
    outputs.status(Time::now()).remove(0)
}

pub fn producer() -> Producer {
    Producer { app_name: "sentrypeer".into(), app_version: "1.2.3".into(), node_id: NODE_ID }
}

/// 10.0.0.0/8 is on it.
pub fn allow() -> AllowList {
    AllowList::new([], true).with_prefixes(["10.0.0.0/8".parse().unwrap()])
}

pub fn address(n: u64) -> IpAddr {
    Ipv4Addr::from_bits(0x0b00_0000 + n as u32).into()
}

pub fn message(n: u64) -> Vec<u8> {
    format!("INVITE sip:+44207{n:07}@192.0.2.1 SIP/2.0\r\nX: \u{0}\u{1b}[31m\"\\\r\n\r\n")
        .into_bytes()
}

pub fn event(n: u64, message: &[u8]) -> EventRef<'_> {
    EventRef {
        time: Time::now(),
        source: (address(n), 5060).into(),
        destination: "192.0.2.1:5060".parse().unwrap(),
        transport: Transport::Udp,
        verification: Verification::ALL[n as usize % 5],
        collected: Collected::Responsive,
        number_kind: NumberKind::Called,
        anomalies: Anomalies::default(),
        method: b"INVITE",
        number: &message[11..24],
        user_agent: b"friendly-scanner",
        message,
    }
}

/// Every expected id is there at least once; how often more than once.
pub fn repeats(expected: &[String], found: &[String]) -> usize {
    let mut times: HashMap<&str, usize> = HashMap::new();
    found.iter().for_each(|id| *times.entry(id).or_default() += 1);
    let missing: Vec<_> = expected.iter().filter(|id| !times.contains_key(id.as_str())).collect();
    assert!(missing.is_empty(), "{} of {} are missing", missing.len(), expected.len());
    assert_eq!(times.len(), expected.len(), "there are events that were never recorded");
    found.len() - expected.len()
}

/// The ids in a file of JSON lines, each of which must be whole.
pub fn ids_in(path: &Path) -> Vec<String> {
    let content = std::fs::read_to_string(path).unwrap();
    assert!(content.is_empty() || content.ends_with('\n'), "{}: a torn line", path.display());
    content.lines().map(id_of).collect()
}

pub fn id_of(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    value["event_uuid"].as_str().unwrap().to_owned()
}

/// A small file system of the test's own, gone when this is dropped. `None`, and said, where none can be made.
pub struct SmallDisk(pub TempDir);

impl SmallDisk {
    pub fn new(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
        if mount.output().is_ok_and(|done| done.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: no file system can be mounted here");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// The TLS of a receiver with this certificate, which offers these protocols.
pub fn server_tls(
    key: &rcgen::CertifiedKey<rcgen::KeyPair>,
    protocols: &[&[u8]],
) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private.unwrap())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}
