//! What orders are answered with.

use sentrypeer_storage::Store;
use sentrypeer_storage::event::Seq;
use sentrypeer_storage::import::Imported;
use sentrypeer_storage::limits::IMPORT_EVENTS_MAX;
use sentrypeer_storage::log::{LogError, StoredEvent};
use sentrypeer_storage::maintain::{Checked, DatabaseStats};
use sentrypeer_storage::order::Forgotten;
use sentrypeer_storage::utc::Utc;
use serde_json::{Value, json};

use super::batch::{self, Malformed};

/// What is in a database.
#[must_use]
pub fn stats(stats: &DatabaseStats) -> Value {
    json!({
        "database_id": stats.database_id.to_string(),
        "schema": stats.schema,
        "first": stats.first.0,
        "last": stats.last.0,
        "earliest": stats.earliest.map(|time| Utc(time).to_string()),
        "stored": Utc(stats.stored).to_string(),
        "blocks": stats.blocks,
        "log_bytes": stats.log_bytes,
        "raw_bytes": stats.raw_bytes,
        "rows": rows(stats.rows),
        "hours": stats.hours,
    })
}

/// What a check found.
#[must_use]
pub fn checked(checked: &Checked) -> Value {
    let recount = &checked.recount;
    json!({
        "sound": checked.is_sound(),
        "pages_are_sound": checked.pages_are_sound,
        "first": recount.first.0,
        "last": recount.last.0,
        "events": recount.events,
        "replayed": recount.replayed,
        "rows": rows(recount.rows),
        "without_row": rows(recount.without_row),
        "faults": recount.faults,
    })
}

fn rows<T: Into<Value>>([sources, numbers, agents]: [T; 3]) -> Value {
    json!({ "sources": sources.into(), "numbers": numbers.into(), "user_agents": agents.into() })
}

/// What was erased.
#[must_use]
pub fn forgotten(forgotten: &Forgotten) -> Value {
    json!({
        "events": forgotten.events,
        "row": forgotten.had_row,
        "hours": forgotten.hours,
        "damaged": forgotten.damaged,
    })
}

/// What became of a batch of an import.
#[must_use]
pub fn imported(imported: &Imported) -> Value {
    json!({
        "taken": imported.taken,
        "known": imported.known,
        "too_old": imported.too_old,
        "in_future": imported.in_future,
    })
}

/// Some events of the log: the last one that is stored (8 bytes, little-endian), how many were passed
/// over because they are damaged (8), and a [batch](mod@super::batch). An empty batch: there are no more.
#[derive(Debug)]
pub struct Events {
    /// The last event that is stored.
    pub last: Seq,
    /// Events before these that cannot be read.
    pub damaged: u64,
    /// The events.
    pub events: Vec<StoredEvent>,
}

impl Events {
    /// Understands the document.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (numbers, events) =
            bytes.split_first_chunk::<16>().ok_or(Malformed::Value("it is too short"))?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let (last, damaged) = (u64::from_le_bytes(numbers[0]), u64::from_le_bytes(numbers[1]));
        let events = batch::decode(events)?.into_iter().map(|(_, event)| event).collect();
        Ok(Self { last: Seq(last), damaged, events })
    }
}

pub(super) fn events(store: &Store, mut after: Seq) -> Result<Vec<u8>, LogError> {
    let log = store.log().ok_or(LogError::Closed)?;
    let (last, mut damaged) = (log.last()?, 0);
    let events = loop {
        match log.since(after, IMPORT_EVENTS_MAX) {
            Err(LogError::Damaged { first, last, .. }) => {
                damaged += last.0 - first.0.max(after.0 + 1) + 1;
                after = last;
            }
            other => break other?,
        }
    };
    let mut batch = batch::Encoder::default();
    events.iter().for_each(|event| batch.add(event.id, event));
    let numbers = [last.0.to_le_bytes(), damaged.to_le_bytes()];
    Ok([numbers.as_flattened(), &batch.finish()].concat())
}
