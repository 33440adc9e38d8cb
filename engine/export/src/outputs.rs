//! All outputs of a node.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sentrypeer_storage::Store;
use sentrypeer_storage::cursor::CursorName;
use sentrypeer_storage::event::{Seq, Time};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::policy::Policy;

use crate::handle::{Handle, Shared};
use crate::limits::OUTPUTS_MAX;
use crate::output::{Output, Settings};
use crate::status::Status;
use crate::task::{Policies, Task};

/// Why the outputs cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A name that is none.
    #[error(
        "output \"{0}\": a name has 1 to 64 of the letters a-z, digits, \"-\", \".\" and \"_\""
    )]
    Name(String),
    /// Two of one name would move each other's cursor.
    #[error("output \"{0}\": there are two of this name; give one of them another")]
    Twice(String),
    /// More than [`OUTPUTS_MAX`].
    #[error("there are {0} outputs, and may be {OUTPUTS_MAX} at most")]
    TooMany(usize),
    /// What is configured cannot work.
    #[error("output \"{name}\": {reason}")]
    Settings {
        /// Which output.
        name: String,
        /// What is wrong, without secrets.
        reason: String,
    },
    /// The system gives no thread.
    #[error("output \"{name}\": no thread can be started: {reason}")]
    Thread {
        /// Which output.
        name: String,
        /// What the system says.
        reason: String,
    },
}

/// The outputs of a node, each on a thread of its own. They end when this is dropped.
#[derive(Debug)]
pub struct Outputs {
    running: Vec<(Handle, JoinHandle<()>)>,
    store: Store,
}

impl Outputs {
    /// Starts them. Each waits for the database to open, and goes on where its cursor is.
    ///
    /// # Errors
    ///
    /// [`StartError`]; none is running then.
    pub fn start(
        store: &Store,
        producer: Producer,
        policies: impl Fn() -> Arc<Policy> + Send + Sync + 'static,
        settings: Vec<Settings>,
    ) -> Result<Self, StartError> {
        if settings.len() > OUTPUTS_MAX {
            return Err(StartError::TooMany(settings.len()));
        }
        let policies: Policies = Arc::new(policies);
        let producer = Arc::new(producer);
        let mut outputs = Self { running: Vec::new(), store: store.clone() };
        for settings in settings {
            outputs.add(settings, &producer, &policies)?;
        }
        Ok(outputs)
    }

    fn add(
        &mut self,
        settings: Settings,
        producer: &Arc<Producer>,
        policies: &Policies,
    ) -> Result<(), StartError> {
        let Settings { name, begin, mut filter, receiver } = settings;
        let cursor = CursorName::new(&name).ok_or_else(|| StartError::Name(name.clone()))?;
        if self.get(&name).is_some() {
            return Err(StartError::Twice(name));
        }
        let output = Output::new(receiver)
            .map_err(|failure| StartError::Settings { name: name.clone(), reason: failure.text })?;
        // DESIGN: the allow-list is absolute wherever something acts on what it gets.
        filter.without_allowed |= output.is_acted_on();
        let shared = Arc::new(Shared::new(name.clone(), output.kind(), output.target()));
        let task = Task {
            shared: shared.clone(),
            store: self.store.clone(),
            name: cursor,
            begin,
            filter,
            output,
            producer: producer.clone(),
            policies: policies.clone(),
            reader: None,
        };
        let thread = std::thread::Builder::new().name(thread_name(&name));
        let thread = thread
            .spawn(move || task.run())
            .map_err(|error| StartError::Thread { name, reason: error.to_string() })?;
        self.running.push((Handle(shared), thread));
        Ok(())
    }

    /// The handles of all.
    pub fn handles(&self) -> impl Iterator<Item = &Handle> {
        self.running.iter().map(|(handle, _)| handle)
    }

    /// The one of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Handle> {
        self.handles().find(|handle| handle.name() == name)
    }

    /// How each is doing.
    #[must_use]
    pub fn status(&self, now: Time) -> Vec<Status> {
        let through = self.store.snapshot().map_or(Seq(0), |snapshot| snapshot.through);
        self.handles().map(|handle| handle.status(through, now)).collect()
    }

    /// Opens files and connections again: what SIGHUP asks for.
    pub fn reopen(&self) {
        self.handles().for_each(Handle::reopen);
    }

    /// Ends them, at most after so long; the names of those that still wait for their receiver then.
    /// Their events come again with the next start. To be called before the writer ends, or the last
    /// moves of the cursors are not stored.
    #[must_use]
    pub fn stop(self, patience: Duration) -> Vec<String> {
        self.handles().for_each(Handle::stop);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && !self.have_all_ended() {
            std::thread::sleep(STOP_LOOK);
        }
        let still = self.running.iter().filter(|(_, thread)| !thread.is_finished());
        still.map(|(handle, _)| handle.name().to_owned()).collect()
    }

    fn have_all_ended(&self) -> bool {
        self.running.iter().all(|(_, thread)| thread.is_finished())
    }
}

/// How often the end of the threads is looked for.
const STOP_LOOK: Duration = Duration::from_millis(5);

impl Drop for Outputs {
    fn drop(&mut self) {
        self.handles().for_each(Handle::stop);
    }
}

/// The kernel keeps 15 bytes.
fn thread_name(name: &str) -> String {
    name.chars().take(15).collect()
}
