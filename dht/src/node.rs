//! The safe owner of one OpenDHT node.
//!
//! It does what it is told and hands on what it hears; what to put and what to get is decided
//! elsewhere. Events wait in a channel with bounds of count and bytes; what does not fit is dropped and
//! counted, so OpenDHT's thread never waits for us.

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::bootstrap::Bootstrap;
use crate::ffi::{Listening, Runner, StartFailure};
use crate::keys::Place;
use crate::limits::{
    BOOTSTRAP_MAX, DHT_VALUE_BYTES_MAX, EVENTS_MAX, RECEIVE_BUFFER_BYTES, SHUTDOWN_PATIENCE,
};
use crate::linked::{Linked, linked};
use crate::operations::{self, Sink};
use crate::receive_buffer::enlarge_receive_buffers;

pub use crate::operations::{Event, Operation};

/// How a node is started.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// UDP port; 0 for any.
    pub port: u16,
    /// Network id. SentryPeer 4.x is in network 0.
    pub network: u32,
    /// Nodes to begin with, at most [`BOOTSTRAP_MAX`]; the rest is left out.
    pub bootstrap: Vec<Bootstrap>,
}

/// Why a node could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The library is not one that this binary can talk to.
    #[error("{linked} cannot be used; install the package libopendht-c2 that this was built for")]
    Foreign {
        /// What is linked.
        linked: Linked,
    },
    /// Somebody else has the port.
    #[error(
        "UDP port {port} is taken, maybe by another OpenDHT node; stop it or choose another port"
    )]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// OpenDHT says no.
    #[error("OpenDHT did not start on UDP port {port} (error {code})")]
    Failed {
        /// The port.
        port: u16,
        /// OpenDHT's number.
        code: i32,
    },
}

/// What OpenDHT says when the port is taken (measured with 2.4.12).
const PORT_TAKEN: i32 = 107;

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Events, because too much waited.
    pub events: u64,
    /// Values, because their key held too much.
    pub values: u64,
}

/// A running OpenDHT node. Dropping it ends it.
pub struct Node {
    runner: Option<Runner>,
    events: Receiver<Event>,
    sink: Arc<Sink>,
    listening: Vec<Listening>,
    port: u16,
    receive_buffer: Option<usize>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node, and lets it get to know the network.
    ///
    /// # Errors
    ///
    /// When the library is another, or the port is taken.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let linked = linked();
        if !matches!(linked, Linked::Yes { .. }) {
            return Err(StartError::Foreign { linked });
        }
        let (sender, events) = bounded(EVENTS_MAX);
        let sink = Arc::new(Sink::new(sender));
        let port = config.port;
        let runner = Runner::start(port, config.network, sink.clone()).map_err(|e| match e {
            StartFailure::Foreign => StartError::Foreign { linked },
            StartFailure::Code(PORT_TAKEN) => StartError::PortTaken { port },
            StartFailure::Code(code) => StartError::Failed { port, code },
        })?;
        let port = runner.port();
        let receive_buffer = enlarge_receive_buffers(port, RECEIVE_BUFFER_BYTES);
        let node = Self {
            runner: Some(runner),
            events,
            sink,
            listening: Vec::new(),
            port,
            receive_buffer,
        };
        node.bootstrap(&config.bootstrap);
        Ok(node)
    }

    /// Gets to know the network through these nodes, again if need be.
    pub fn bootstrap(&self, nodes: &[Bootstrap]) {
        for node in nodes.iter().take(BOOTSTRAP_MAX) {
            // A number has no NUL byte in it, so this always is one.
            let Ok(service) = CString::new(node.port().to_string()) else { continue };
            if let Some(runner) = &self.runner {
                runner.bootstrap(node.host(), &service);
            }
        }
    }

    /// The UDP port that it has.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Size of its smallest receive buffer, as the system counts it; `None` if it was not found.
    #[must_use]
    pub fn receive_buffer(&self) -> Option<usize> {
        self.receive_buffer
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.runner.as_ref().is_some_and(Runner::is_running)
    }

    /// The next event, waiting for it at most so long.
    #[must_use]
    pub fn event(&self, patience: Duration) -> Option<Event> {
        match self.events.recv_timeout(patience) {
            Ok(event) => {
                self.sink.taken(&event);
                Some(event)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Asks for the values of a key: an [`Event::Value`] each, then [`Event::Done`]. `None` if too much
    /// is under way.
    #[must_use]
    pub fn get(&self, place: Place) -> Option<Operation> {
        self.runner.as_ref()?.get(place.0)
    }

    /// Gives up waiting for an operation.
    pub fn forget(&self, operation: Operation) {
        operations::forget(operation);
    }

    /// Puts a value that is announced until [`Self::cancel_put`], or for ten minutes once. `None` if
    /// it is too long or too much is under way.
    #[must_use]
    pub fn put(
        &self,
        place: Place,
        value: &[u8],
        user_type: Option<&CStr>,
        kept: Kept,
    ) -> Option<Operation> {
        if value.len() >= DHT_VALUE_BYTES_MAX {
            return None;
        }
        let is_permanent = kept == Kept::UntilCancelled;
        self.runner.as_ref()?.put(place.0, value, user_type, is_permanent)
    }

    /// Ends the announcing of a value; `id` is what [`Event::Done`] of its put told.
    pub fn cancel_put(&self, place: Place, id: u64) {
        if let Some(runner) = &self.runner {
            runner.cancel_put(place.0, id);
        }
    }

    /// Listens on a key for as long as the node runs. `None` if too much is under way.
    pub fn listen(&mut self, place: Place) -> Option<Operation> {
        let listening = self.runner.as_ref()?.listen(place.0)?;
        let operation = listening.operation();
        self.listening.push(listening);
        Some(operation)
    }

    /// What was dropped so far.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        Dropped {
            events: self.sink.dropped.load(Ordering::Relaxed),
            values: self.sink.cut.load(Ordering::Relaxed),
        }
    }

    /// Ends the node, waiting at most so long. Whether it has ended; otherwise a thread goes on
    /// waiting for it, for as long as the process lives.
    pub fn shut_down(&mut self, patience: Duration) -> bool {
        let Some(runner) = self.runner.take() else { return true };
        let deadline = Instant::now() + patience;
        for listening in self.listening.drain(..) {
            runner.cancel_listen(&listening);
        }
        if let Some(ending) = runner.begin_shutdown() {
            self.wait_for(ending, Instant::now() + patience / 2);
        }
        let (ended, has_ended) = bounded(1);
        let delete = move || {
            runner.delete();
            let _ = ended.send(());
        };
        let name = "dht-shutdown".to_owned();
        if std::thread::Builder::new().name(name).spawn(delete).is_err() {
            return false;
        }
        has_ended.recv_deadline(deadline).is_ok()
    }

    fn wait_for(&self, operation: Operation, deadline: Instant) {
        let is_end =
            |event: &Event| matches!(event, Event::Done { operation: o, .. } if *o == operation);
        while let Ok(event) = self.events.recv_deadline(deadline) {
            self.sink.taken(&event);
            if is_end(&event) {
                return;
            }
        }
        operations::forget(operation);
    }
}

/// How long a value is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Once: it is gone after ten minutes.
    Once,
    /// Until it is cancelled.
    UntilCancelled,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shut_down(SHUTDOWN_PATIENCE);
    }
}
