//! What every request can reach.

use std::sync::Arc;

use sentrypeer_storage::Store;
use sentrypeer_storage::policy::Policy;

use crate::counters::Counters;

/// What the router answers from. One for all fronts and the control socket.
pub struct Context {
    /// The database, for readers.
    pub store: Store,
    /// Gives the policy that holds now. Called once a request, so that one request sees one policy.
    pub policy: Box<dyn Fn() -> Arc<Policy> + Send + Sync>,
    /// The program's version, `X.Y.Z`.
    pub version: &'static str,
    /// Appends the families of the program above to `/metrics`.
    pub metrics: Box<dyn Fn(&mut String) + Send + Sync>,
    /// What `/api/v1/status` shows: flat, small, and nothing secret.
    pub status: Box<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// Whether pages of any origin may read the answers of the paths of 4.x, as there.
    pub any_origin: bool,
    /// What the HTTP side counts.
    pub counters: Counters,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("version", &self.version).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Context {
    /// A node whose database cannot be opened, for tests that need only the counters.
    pub(crate) fn of_nothing() -> Arc<Self> {
        let (intakes, writer) = sentrypeer_storage::intake::channel(1);
        let path = "/nonexistent/folder/database";
        let options = sentrypeer_storage::Options::new(path, uuid::Uuid::nil());
        let (store, _) = sentrypeer_storage::start(options, writer);
        drop(intakes);
        Arc::new(Self {
            store,
            policy: Box::new(Arc::default),
            version: "9.8.7",
            metrics: Box::new(|_| {}),
            status: Box::new(|| serde_json::Value::Null),
            any_origin: true,
            counters: Counters::default(),
        })
    }
}
