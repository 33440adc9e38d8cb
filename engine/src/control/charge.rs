//! What orders are carried out on.

use std::path::Path;
use std::sync::Arc;

use sentrypeer_http::allow::AllowBook;
use sentrypeer_storage::Store;

use super::outputs::Watched;
use crate::guard::Tokens;
use crate::peers::Peers;

/// What orders are carried out on: the parts of a running node, or its files while none runs.
#[derive(Debug)]
pub struct Charge {
    /// The database.
    pub store: Store,
    /// The API's tokens.
    pub tokens: Arc<Tokens>,
    /// The outputs.
    pub outputs: Watched,
    /// The other nodes.
    pub peers: Peers,
    /// The allow-list. None where no node runs: `sentrypeer allow` then looks after it without the
    /// database.
    pub allow: Option<Arc<dyn AllowBook>>,
}

impl Charge {
    /// A database whose node does not run.
    #[must_use]
    pub fn alone(store: Store, database: &Path) -> Self {
        let tokens = Arc::new(Tokens::beside(database));
        let (outputs, peers) = (Watched::default(), Peers::default());
        Self { store, tokens, outputs, peers, allow: None }
    }
}
