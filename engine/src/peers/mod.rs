//! Sharing with other nodes, as the node starts it and as the rest of the program sees it.
//!
//! The crate `sentrypeer-dht` does it, on a thread of its own; a build without OpenDHT has none of it and
//! says so when it is asked for. `own_events.rs` is what it reads of the log, [`metrics`] what `/metrics`
//! says of it.

#[cfg(not(feature = "opendht"))]
mod absent;
pub mod metrics;
#[cfg(feature = "opendht")]
mod own_events;
#[cfg(feature = "opendht")]
mod present;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, bounded};
use sentrypeer_dht::status::Status;
use sentrypeer_dht::wire::NodeKey;
use sentrypeer_storage::Store;
use sentrypeer_storage::policy::Policy;
use uuid::Uuid;

#[cfg(not(feature = "opendht"))]
use absent as service;
#[cfg(feature = "opendht")]
use present as service;

use crate::config::{Config, Id, Origin, Sharing};
use service::Service;

/// Sharing cannot be started. The node does not run without it then: who asked for it would not learn
/// that it is missing, as with any other port that is taken.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// This build has no OpenDHT.
    #[error(
        "{0}: this program was built without OpenDHT; leave peer_to_peer (-p) out, or take a build that has it"
    )]
    NotBuilt(Origin),
    /// Somebody else has the port.
    #[error(
        "peers.port: UDP port {port}: {error}; maybe another OpenDHT node has it: stop that, or choose another port with --peer-port"
    )]
    Port {
        /// The port.
        port: u16,
        /// What the system said.
        error: std::io::Error,
    },
    /// What it says itself.
    #[error("sharing with other nodes (-p): {0}; another port can be chosen with --peer-port")]
    Service(Box<dyn std::error::Error + Send + Sync>),
}

/// What sharing is started with.
struct Plan {
    sharing: Sharing,
    node_id: Uuid,
    store: Store,
    policy: Arc<ArcSwap<Policy>>,
    database: std::path::PathBuf,
}

/// Sharing with other nodes.
#[derive(Clone, Default)]
pub struct Peers {
    plan: Option<Arc<Plan>>,
    running: Arc<Mutex<Option<Service>>>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("is_wanted", &self.is_wanted()).finish_non_exhaustive()
    }
}

impl Peers {
    /// Looks whether it can be started as the configuration asks for it, which [`Self::start`] does later.
    ///
    /// # Errors
    ///
    /// [`StartError`] where that is known already.
    pub fn prepare(
        config: &Config,
        node_id: Uuid,
        store: &Store,
        policy: Arc<ArcSwap<Policy>>,
    ) -> Result<Self, StartError> {
        let Some(sharing) = config.sharing.clone() else { return Ok(Self::default()) };
        service::check(&sharing, config.origin(Id::PeerToPeer))?;
        let (store, database) = (store.clone(), config.db.clone());
        let plan = Plan { sharing, node_id, store, policy, database };
        Ok(Self { plan: Some(Arc::new(plan)), running: Arc::default() })
    }

    /// Starts it, if it is asked for. The database is open.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start(&self) -> Result<(), StartError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        *self.running() = Some(service::start(plan)?);
        Ok(())
    }

    /// Whether it is asked for.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.plan.is_some()
    }

    /// How it is doing; `None` while it does not run.
    #[must_use]
    pub fn status(&self) -> Option<Arc<Status>> {
        self.running().as_ref().map(Service::status)
    }

    /// Lifts the distrust of a node that was caught lying. Whether it was heard.
    #[must_use]
    pub fn pardon(&self, node: NodeKey) -> bool {
        self.running().as_ref().is_some_and(|service| service.pardon(node))
    }

    /// Begins to end it.
    pub fn stop(&self) -> Stopping {
        let (ended, has_ended) = bounded(1);
        if let Some(mut service) = self.running().take() {
            let stop = move || {
                service.stop();
                let _ = ended.send(());
            };
            if thread::Builder::new().name("peers-stop".to_owned()).spawn(stop).is_err() {
                log::error!("peers: the system gives no thread to end them on");
            }
        }
        Stopping(has_ended)
    }

    fn running(&self) -> MutexGuard<'_, Option<Service>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sharing that is ending.
#[must_use]
pub struct Stopping(Receiver<()>);

impl Stopping {
    /// Waits until it has ended, at most so long. What matters it has saved before.
    pub fn wait(self, patience: Duration) {
        if self.0.recv_timeout(patience).is_err_and(|error| error.is_timeout()) {
            log::warn!("peers: OpenDHT is still ending; the node does not wait for it");
        }
    }
}
