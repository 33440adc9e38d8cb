//! Whole nodes on loopback, with epochs of seconds instead of minutes.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use sentrypeer_dht::book::{PeerBatch, Subject};
use sentrypeer_dht::epoch::Calendar;
use sentrypeer_dht::keys::{Identity, Network};
use sentrypeer_dht::node;
use sentrypeer_dht::rules::Rules;
use sentrypeer_dht::service::{Config, Inputs, Service};
use sentrypeer_dht::session::{PeerData, Settings};
use sentrypeer_dht::state::{Files, Item, StateStore};
use sentrypeer_dht::wire::NodeKey;
use sentrypeer_dht::wire::header::Kind;
use sentrypeer_storage::event::{
    Collected, EventRef, NumberKind, SourceKey, Time, Transport, Verification,
};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::peers::Peers;
use sentrypeer_storage::policy::Policy;
use sentrypeer_storage::snapshot::Snapshot;
use tempfile::TempDir;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(120);
const EPOCH_S: u32 = 6;

/// One node: its files, what it has seen, and what comes of it.
pub struct Peer {
    service: Option<Service>,
    config: Config,
    database: PathBuf,
    seen: Arc<Mutex<Vec<(&'static str, Verification)>>>,
    events: Arc<Mutex<Vec<StoredEvent>>>,
    received: Receiver<PeerData>,
    /// What it would act on.
    agreed: Arc<Mutex<Arc<Peers>>>,
}

fn identity(database: &Path) -> NodeKey {
    let seed = Files::new(database).load(Item::Seed).unwrap().unwrap();
    Identity::from_seed(&seed.try_into().unwrap()).node()
}

impl Peer {
    pub fn start(folder: &TempDir, name: &str, config: Config) -> Self {
        let database = folder.path().join(name);
        let (_, received) = bounded(1);
        let mut peer = Self {
            service: None,
            config,
            database,
            seen: Arc::default(),
            events: Arc::default(),
            received,
            agreed: Arc::default(),
        };
        peer.run();
        peer
    }

    fn run(&mut self) {
        let (heard, received) = bounded(256);
        let (seen, events) = (self.seen.clone(), self.events.clone());
        let agreed = self.agreed.clone();
        let producer = Producer {
            app_name: Cow::Borrowed("sentrypeer"),
            app_version: Cow::Borrowed("0.1.0"),
            node_id: Uuid::new_v4(),
        };
        let inputs = Inputs {
            snapshot: Box::new(move || Some(Arc::new(snapshot(&seen.lock().unwrap())))),
            policy: Box::new(|| Arc::new(Policy::default())),
            events: Box::new(move |_| std::mem::take(&mut events.lock().unwrap())),
            producer,
            peers: Box::new(move |peers| {
                *agreed.lock().unwrap() = peers;
                true
            }),
            heard: Some(heard),
        };
        let store = Box::new(Files::new(&self.database));
        self.service = Some(Service::start(self.config.clone(), inputs, store).unwrap());
        self.received = received;
    }

    pub fn key(&self) -> NodeKey {
        identity(&self.database)
    }

    fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    pub fn status(&self) -> Arc<sentrypeer_dht::status::Status> {
        self.service().status()
    }

    pub fn sees(&self, address: &'static str, verification: Verification) {
        self.seen.lock().unwrap().push((address, verification));
    }

    /// Waits until a batch names this address.
    pub fn hears_of(&self, address: &str) -> PeerBatch {
        let wanted = Subject::Source(SourceKey::of(address.parse().unwrap()));
        self.hears(|batch| batch.entries.iter().any(|entry| entry.subject == wanted))
    }

    fn hears(&self, is_wanted: impl Fn(&PeerBatch) -> bool) -> PeerBatch {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let data = self.received.recv_deadline(deadline);
            let Ok(data) = data else { panic!("not heard: {:?}", self.service().status()) };
            let PeerData::Batch(batch) = data else { continue };
            if is_wanted(&batch) {
                return batch;
            }
        }
    }

    /// Waits until it would act on this address.
    fn acts_on(&self, address: &str) {
        let key = SourceKey::of(address.parse().unwrap());
        let deadline = Instant::now() + PATIENCE;
        while self.agreed.lock().unwrap().source(&key).is_none() {
            assert!(Instant::now() < deadline, "{address}: {:?}", self.service().status());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the status is so.
    pub fn waits_for(&self, what: &str, is_so: impl Fn(&sentrypeer_dht::status::Status) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.service().status()) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.service().status());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn snapshot(seen: &[(&'static str, Verification)]) -> Snapshot {
    let now = Time::now();
    let events = seen.iter().map(|(address, verification)| {
        event(format!("{address}:5060").parse().unwrap(), *verification, now)
    });
    Snapshot::of_events(Uuid::nil(), Uuid::nil(), events, now)
}

fn event(source: SocketAddr, verification: Verification, time: Time) -> EventRef<'static> {
    EventRef {
        time,
        source,
        destination: "192.0.2.1:5060".parse().unwrap(),
        transport: Transport::Udp,
        verification,
        collected: Collected::Responsive,
        number_kind: NumberKind::Called,
        anomalies: Default::default(),
        method: b"INVITE",
        number: b"+442071234567",
        user_agent: b"",
        message: b"",
    }
}

/// What this process has seen since a time: somebody new every second, whom no other process sees.
pub fn sees_since(from_s: u64) -> Snapshot {
    let now = Time::now();
    let now_s = now.0 / 1_000_000_000;
    let events = (from_s.max(now_s - 60)..=now_s).map(|second| {
        let host = (second as u32 & 0xfff) << 12 | std::process::id() & 0xfff;
        let source = SocketAddr::from((Ipv4Addr::from(0x2d00_0000 | host), 5060));
        event(source, Verification::Tls, Time(second * 1_000_000_000))
    });
    Snapshot::of_events(Uuid::nil(), Uuid::nil(), events, now)
}

/// A service that sees what `snapshot` says and keeps its state in `store`.
pub fn start_with(
    config: Config,
    store: Box<dyn StateStore>,
    snapshot: impl Fn() -> Snapshot + Send + 'static,
) -> Service {
    let producer = Producer {
        app_name: Cow::Borrowed("sentrypeer"),
        app_version: Cow::Borrowed("0.1.0"),
        node_id: Uuid::new_v4(),
    };
    let inputs = Inputs {
        snapshot: Box::new(move || Some(Arc::new(snapshot()))),
        policy: Box::new(|| Arc::new(Policy::default())),
        events: Box::new(|_| Vec::new()),
        producer,
        peers: Box::new(|_| true),
        heard: None,
    };
    Service::start(config, inputs, store).unwrap()
}

/// An OpenDHT node that only carries, and how others find it.
pub fn carrier(network: u32) -> (node::Node, node::Config) {
    let carrier = node::Node::start(&node::Config { network, ..Default::default() }).unwrap();
    let bootstrap = vec![format!("127.0.0.1:{}", carrier.port()).parse().unwrap()];
    (carrier, node::Config { network, bootstrap, port: 0 })
}

fn config(node: &node::Config) -> Config {
    config_of(node, EPOCH_S)
}

/// A node of the public network with epochs of so many seconds.
pub fn config_of(node: &node::Config, epoch_s: u32) -> Config {
    let calendar = Calendar::with_epoch_s(epoch_s);
    Config {
        node: node.clone(),
        settings: Settings { legacy: false, calendar, ..Settings::default() },
        ..Config::default()
    }
}

#[test]
fn two_strangers_read_each_other_and_who_shares_nothing_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_carrier, node) = carrier(8101);
    let one = Peer::start(&folder, "one", config(&node));
    let two = Peer::start(&folder, "two", config(&node));
    let mut silent = config(&node);
    silent.settings.share = false;
    let silent = Peer::start(&folder, "silent", silent);
    one.sees("144.21.55.36", Verification::Tls);
    one.sees("144.21.55.37", Verification::Unverified);
    two.sees("144.21.55.38", Verification::Connected);
    let of_one = two.hears_of("144.21.55.36");
    let of_two = one.hears_of("144.21.55.38");
    assert_eq!((of_one.node, of_two.node), (one.key(), two.key()));
    assert_eq!(of_one.entries.len(), 1, "what is not proven is not told: {of_one:?}");
    assert!(of_one.entries.iter().all(|entry| entry.listing.is_none()), "a stranger lists nothing");
    two.hears(|batch| batch.kind == Kind::Numbers && batch.node == one.key());
    assert!(silent.received.is_empty());
    let other = two.key();
    one.waits_for("what is known of the other", |status| {
        let other = status.peers.iter().find(|peer| peer.node == other);
        other.is_some_and(|peer| peer.can_read && peer.is_granted && peer.got > 0)
    });
    // What was told before the other was granted anything is not counted as given to it.
    one.sees("144.21.55.39", Verification::Tls);
    one.waits_for("what was given to the other", |status| {
        status.peers.iter().any(|peer| peer.node == other && peer.given > 0)
    });
    assert_eq!(one.service().status().listed, (0, 0));
}

#[test]
fn a_trusted_node_is_believed_and_a_pool_trusts_its_members_and_is_closed_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let (_carrier, node) = carrier(8102);
    let pool = |key: &[u8]| {
        let mut config = config(&node);
        config.settings.network = Network::pool(key);
        config
    };
    let one = Peer::start(&folder, "one", pool(b"ours"));
    let two = Peer::start(&folder, "two", pool(b"ours"));
    let outside = Peer::start(&folder, "outside", config(&node));
    let silent = Peer::start(&folder, "silent", pool(b"ours"));
    one.sees("144.21.55.36", Verification::Tls);
    two.sees("144.21.55.38", Verification::Tls);
    outside.sees("144.21.55.40", Verification::Tls);
    assert!(two.hears_of("144.21.55.36").entries[0].listing.unwrap().by_trusted);
    assert!(one.hears_of("144.21.55.38").entries[0].listing.unwrap().by_trusted);
    two.acts_on("144.21.55.36");
    silent.acts_on("144.21.55.36");
    one.acts_on("144.21.55.38");
    outside.waits_for("to have published", |status| status.counts.batches_given > 0);
    assert!(outside.service().status().peers.is_empty());
}

#[test]
fn a_node_that_was_killed_knows_who_it_is_and_what_it_has_said() {
    let folder = tempfile::tempdir().unwrap();
    let (_carrier, node) = carrier(8103);
    let mut one = Peer::start(&folder, "one", config(&node));
    let mut reading = config(&node);
    reading.rules = Rules { quorum: 1, credit: 0.0, age_s: 0 };
    let two = Peer::start(&folder, "two", reading);
    one.sees("144.21.55.36", Verification::Tls);
    two.sees("144.21.55.38", Verification::Tls);
    let before = two.hears_of("144.21.55.36");
    one.hears_of("144.21.55.38");
    one.service = None;
    one.run();
    one.sees("144.21.55.39", Verification::Tls);
    let after = two.hears_of("144.21.55.39");
    assert_eq!(after.node, before.node);
    assert!(after.sequence > before.sequence);
    assert!(one.service().status().peers.iter().any(|peer| peer.node == two.key()));
    assert_eq!(two.service().status().counts.proofs, 0, "no sequence was used twice");
}

#[test]
fn the_old_format_is_spoken_both_ways_and_never_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (_carrier, node) = carrier(8104);
    let mut old = config(&node);
    old.settings.legacy = true;
    let one = Peer::start(&folder, "one", old.clone());
    let two = Peer::start(&folder, "two", old);
    let time = Time::now();
    let event = StoredEvent {
        seq: sentrypeer_storage::event::Seq(1),
        id: sentrypeer_storage::event::event_id(
            Uuid::new_v4(),
            sentrypeer_storage::event::Seq(1),
            time,
        ),
        time,
        source: "144.21.55.36:5060".parse().unwrap(),
        destination: "198.51.100.2:5060".parse().unwrap(),
        transport: Transport::Tcp,
        verification: Verification::Connected,
        collected: Collected::Responsive,
        number_kind: NumberKind::Called,
        anomalies: Default::default(),
        method: b"INVITE".as_slice().into(),
        number: b"+442071234567".as_slice().into(),
        user_agent: b"friendly-scanner".as_slice().into(),
        message: b"INVITE sip:100@198.51.100.2 SIP/2.0\r\n\r\n".as_slice().into(),
    };
    one.events.lock().unwrap().push(event);
    let deadline = Instant::now() + PATIENCE;
    let record = loop {
        match two.received.recv_deadline(deadline) {
            Ok(PeerData::Legacy(record)) => break record,
            Ok(PeerData::Batch(_)) => {}
            Err(_) => panic!("not heard: {:?}", two.service().status()),
        }
    };
    assert_eq!(record.number, "+442071234567");
    assert_eq!(two.service().status().listed, (0, 0));
}
