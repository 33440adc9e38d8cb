//! What this node has seen lately, for the format of 4.x.

use sentrypeer_storage::Store;
use sentrypeer_storage::event::{Seq, event_id};
use sentrypeer_storage::log::StoredEvent;
use uuid::Uuid;

/// Reads the log from its end. One event in ten seconds is published, so what comes faster than it is read
/// is left out; and what came before the start was published then, or is old.
pub(super) struct OwnEvents {
    store: Store,
    node_id: Uuid,
    after: Option<Seq>,
}

impl OwnEvents {
    pub(super) fn new(store: Store, node_id: Uuid) -> Self {
        Self { store, node_id, after: None }
    }

    /// The newest events since the last call, at most so many, without those that were imported: others
    /// have seen them.
    pub(super) fn newest(&mut self, max: usize) -> Vec<StoredEvent> {
        let (Some(snapshot), Some(log)) = (self.store.snapshot(), self.store.log()) else {
            return Vec::new();
        };
        let through = snapshot.through;
        let Some(after) = self.after.replace(through) else { return Vec::new() };
        let after = after.max(Seq(through.0.saturating_sub(max as u64)));
        if after >= through {
            return Vec::new();
        }
        let mut events = log.since(after, max).unwrap_or_else(|error| {
            log::debug!("peers: the log cannot be read now: {error}");
            Vec::new()
        });
        events.retain(|event| event.seq <= through && self.is_own(event));
        events
    }

    fn is_own(&self, event: &StoredEvent) -> bool {
        event.id == event_id(self.node_id, event.seq, event.time)
    }
}
