//! The thread that shares: it does what [`crate::session`] decides, with a real clock, OpenDHT and a
//! disk.
//!
//! It never holds anybody up: it reads snapshots, and what comes of others is handed on without waiting.

mod agent;
mod agreed;
mod retry;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use crossbeam_channel::{Sender, bounded};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::peers::Peers;
use sentrypeer_storage::policy::Policy;
use sentrypeer_storage::snapshot::Snapshot;

use crate::book::Book;
use crate::keys::Identity;
use crate::node::{self, Node, StartError};
use crate::publisher::Publisher;
use crate::rules::Rules;
use crate::saved;
use crate::session::{Begin, PeerData, Session, Settings};
use crate::state::{Item, StateStore};
use crate::status::Status;
use crate::trust::Trust;
use crate::wire::NodeKey;

use agent::{Agent, Outlets};

/// How the service is started.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The OpenDHT node.
    pub node: node::Config,
    /// What is shared, and with whom.
    pub settings: Settings,
    /// How much it takes for what peers say to be acted on.
    pub rules: Rules,
    /// Nodes that the operator trusts.
    pub trusted: Vec<NodeKey>,
    /// Nodes that the operator denies.
    pub denied: Vec<NodeKey>,
}

/// What it reads of the rest of the program. All of it is called on the service's thread.
pub struct Inputs {
    /// What we know; `None` until the database is open.
    pub snapshot: Box<dyn Fn() -> Option<Arc<Snapshot>> + Send>,
    /// What may be acted on now.
    pub policy: Box<dyn Fn() -> Arc<Policy> + Send>,
    /// Own events since the last call, at most so many; for the old format.
    pub events: Box<dyn FnMut(usize) -> Vec<StoredEvent> + Send>,
    /// Who says so, in the old format.
    pub producer: Producer,
    /// Takes all that enough peers agree on, whenever that has changed, at most once a minute. Where it
    /// is not taken it is offered again.
    pub peers: Box<dyn FnMut(Arc<Peers>) -> bool + Send>,
    /// Where each thing that comes goes as well, for those who want to see it. It is never waited for; what
    /// does not fit is counted.
    pub heard: Option<Sender<PeerData>>,
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// OpenDHT did not start.
    #[error(transparent)]
    Node(#[from] StartError),
    /// What must be remembered cannot be read or written.
    #[error(
        "the peer identity beside the database cannot be used ({0}); check the folder's rights"
    )]
    State(#[from] io::Error),
    /// The seed is not one.
    #[error(
        "the file .peer-seed beside the database is not 32 bytes long; restore it, or delete it and this node will be a new one"
    )]
    Seed,
}

/// The running service. Dropping it ends it.
#[derive(Debug)]
pub struct Service {
    stop: Arc<AtomicBool>,
    status: Arc<ArcSwap<Status>>,
    pardons: Sender<NodeKey>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts sharing.
    ///
    /// # Errors
    ///
    /// When the port is taken, the library is another, or the node's identity cannot be kept.
    pub fn start(
        config: Config,
        inputs: Inputs,
        store: Box<dyn StateStore>,
    ) -> Result<Self, ServiceError> {
        let now_s = now_s();
        let begin = load(&config, &inputs, store.as_ref(), now_s)?;
        let node = Node::start(&config.node)?;
        log::info!("peers: {} on UDP port {}", begin.identity.node(), node.port());
        let session = Session::new(config.settings.clone(), begin);
        let (stop, status) = (Arc::new(AtomicBool::new(false)), Arc::new(ArcSwap::default()));
        let (pardons, pardoned) = bounded(16);
        let outlets = Outlets { status: status.clone(), pardoned };
        let agent = Agent::new(config, inputs, store, outlets, session, node);
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("peers".to_owned())
            .spawn(move || agent.run(&stopped))?;
        Ok(Self { stop, status, pardons, thread: Some(thread) })
    }

    /// What there is to see.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }

    /// Lifts the distrust of a node that was caught lying. Whether it was heard.
    #[must_use]
    pub fn pardon(&self, node: NodeKey) -> bool {
        self.pardons.try_send(node).is_ok()
    }

    /// Ends it, and waits until it has ended.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("peers: the thread ended with a panic");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The only place that looks at the system's clock.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// What was remembered, or a new node.
fn load(
    config: &Config,
    inputs: &Inputs,
    store: &dyn StateStore,
    now_s: u64,
) -> Result<Begin, ServiceError> {
    let (seed, is_new) = match store.load(Item::Seed)? {
        Some(bytes) => (<[u8; 32]>::try_from(bytes).map_err(|_| ServiceError::Seed)?, false),
        None => {
            let seed = random()?;
            store.save(Item::Seed, &seed)?;
            (seed, true)
        }
    };
    let (stamp, epoch) = (store.stamp()?, config.settings.calendar.epoch(now_s));
    let publisher = match store.load(Item::Sequence)? {
        None if is_new => Publisher::first(stamp),
        None => Publisher::lost(stamp, epoch),
        Some(bytes) => Publisher::load(&bytes, stamp, epoch).unwrap_or_else(|damaged| {
            log::warn!("peers: {damaged}; this node waits for two epochs before it publishes");
            Publisher::lost(stamp, epoch)
        }),
    };
    let all = config.settings.network.is_pool();
    let trusted = config.trusted.iter().copied();
    let trust = Trust::new(trusted, config.denied.iter().copied(), all);
    let mut book = Book::new(config.rules, trust);
    if let Some(bytes) = store.load(Item::Ledger)? {
        match saved::decode(&bytes, config.rules, &mut book.trust) {
            Ok(ledger) => book.ledger = ledger,
            Err(refused) => log::warn!("peers: the ledger is damaged ({refused}); it begins anew"),
        }
    }
    Ok(Begin {
        identity: Identity::from_seed(&seed),
        is_new,
        node_id: inputs.producer.node_id,
        publisher,
        book,
        random: u64::from_be_bytes(random()?),
        now_s,
    })
}
