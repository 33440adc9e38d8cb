//! Events of a file that this node made itself.
//!
//! A node's own events are not known by a name that is stored, but by their ids, which are derived from
//! their places in the log. Without a look there, whoever imports the node's own JSON log into it would
//! have every event twice.

use std::collections::HashSet;

use sentrypeer_storage::Store;
use sentrypeer_storage::event::{Seq, event_id};
use sentrypeer_storage::limits::IMPORT_EVENTS_MAX;
use sentrypeer_storage::log::LogError;
use uuid::Uuid;

use super::batch::Named;

/// Bits of an id that are the place in the log.
const SEQ_BITS: u64 = 0xffff_ffff_ffff;

/// Takes out what is in the log under the same id, and says how many these were.
pub(super) fn take_out(store: &Store, events: &mut Vec<Named>) -> Result<u64, LogError> {
    let node = store.snapshot().map(|snapshot| snapshot.node_id).unwrap_or_default();
    let of_this_node = |(id, event): &Named| event_id(node, seq(*id), event.time) == *id;
    let mut seqs: Vec<Seq> = events.iter().filter(|e| of_this_node(e)).map(|e| seq(e.0)).collect();
    seqs.sort_unstable();
    let known = known(store, &seqs)?;
    let before = events.len();
    events.retain(|(id, _)| !known.contains(id));
    Ok((before - events.len()) as u64)
}

fn seq(id: Uuid) -> Seq {
    Seq(id.as_u64_pair().1 & SEQ_BITS)
}

/// The ids of the events at these places, which are in order; in a log they stand together.
fn known(store: &Store, seqs: &[Seq]) -> Result<HashSet<Uuid>, LogError> {
    let mut known = HashSet::new();
    let (Some(log), Some(first)) = (store.log(), seqs.first()) else { return Ok(known) };
    let mut at = Seq(first.0.saturating_sub(1));
    while let Some(next) = seqs.get(seqs.partition_point(|seq| *seq <= at)) {
        let after = Seq(at.0.max(next.0 - 1));
        let found = match log.since(after, IMPORT_EVENTS_MAX) {
            // What cannot be read is there all the same, and is not taken twice.
            Err(LogError::Damaged { last, .. }) => {
                at = last.max(*next);
                continue;
            }
            other => other?,
        };
        let Some(last) = found.last() else { break };
        at = last.seq.max(*next);
        known.extend(found.iter().map(|event| event.id));
    }
    Ok(known)
}
