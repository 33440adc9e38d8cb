//! What a node that shares does, and when: a pure state machine between the clock, the DHT and the
//! disk.
//!
//! It is told the time, values that were found and what was saved, and says what to get, put, cancel
//! and save. `service.rs` does it. So everything that could go wrong between two steps can be tried
//! without a network.
//!
//! `publish.rs` is what goes out, `read.rs` what comes in.

mod counts;
mod publish;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::quality::RandomState;
use sentrypeer_storage::policy::Policy;
use sentrypeer_storage::snapshot::Snapshot;
use uuid::Uuid;

use crate::book::{Book, Now, PeerBatch};
use crate::epoch::{Calendar, Epoch};
use crate::keys::{Identity, Network, Place};
use crate::legacy;
use crate::limits::OUTPUT_MAX;
use crate::publisher::{Held, Publisher};
use crate::reader::{Get, Reader};
use crate::record::{KEY_HASH, Record};
use crate::selection::Selection;
use crate::wire::NodeKey;

pub use counts::Counts;
pub use read::HalfRead;

/// What the operator has chosen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether own data is shared. If not, nothing of others is read either, but for the old format.
    pub share: bool,
    /// Whether the old format is spoken.
    pub legacy: bool,
    /// The public network, or a private pool.
    pub network: Network,
    /// How long an epoch is.
    pub calendar: Calendar,
}

impl Default for Settings {
    fn default() -> Self {
        let (network, calendar) = (Network::default(), Calendar::default());
        Self { share: true, legacy: true, network, calendar }
    }
}

/// Why something is got or put: told back with what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// The plan of the reader.
    Read(Get),
    /// A chunk of a batch that is half read.
    Chunk {
        /// Which batch.
        half: u64,
        /// Which of its chunks.
        number: u8,
    },
    /// How full a page of announcements is, before our own is put.
    Page {
        /// The epoch of our announcement.
        epoch: Epoch,
        /// The page.
        page: u8,
    },
    /// A value that is put, kept until a time in seconds since 1970.
    Put {
        /// Where.
        place: Place,
        /// Until when.
        until_s: u64,
    },
    /// The listener on the key of 4.x.
    Legacy,
    /// A record in the old format.
    LegacyPut,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Get the values of a key.
    Get(Tag, Place),
    /// Put a value and announce it until it is cancelled; in the old format once.
    Put(Tag, Place, Arc<[u8]>),
    /// Cancel a value.
    Cancel(Place, u64),
    /// Listen on a key.
    Listen(Tag, Place),
    /// Save the state of the publisher durably, then say so by [`Session::sequence_saved`].
    SaveSequence(Vec<u8>),
    /// Save the ledger.
    SaveLedger(Vec<u8>),
}

/// What came of others, for whoever keeps and shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerData {
    /// A signed batch: what was taken of it.
    Batch(PeerBatch),
    /// An unsigned record in the old format: to be shown, never acted on.
    Legacy(Box<Record>),
}

/// What a step may look at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The present, in seconds since 1970.
    pub now_s: u64,
    /// What we know ourselves; `None` until the database is open.
    pub snapshot: Option<&'a Snapshot>,
    /// What may be acted on.
    pub policy: &'a Policy,
}

/// Everything that a sharing node remembers between two steps.
pub struct Session {
    settings: Settings,
    identity: Identity,
    /// What peers say.
    pub book: Book,
    publisher: Publisher,
    selection: Selection,
    reader: Reader,
    legacy_out: legacy::Publisher,
    legacy_in: legacy::Reader,
    /// What lies on the key of 4.x, and until when at most: in a flood it may not be heard that it is gone.
    legacy_live: HashMap<u64, u64, RandomState>,
    half_read: HashMap<u64, HalfRead>,
    /// Chunks to get: a queue of their own, so that they are never before a save or a put.
    chunk_gets: VecDeque<(Tag, Place)>,
    next_half: u64,
    /// Batches that were announced and read in the epoch that is being read, of each node.
    announced: HashMap<NodeKey, u8>,
    read: HashMap<NodeKey, u8>,
    valid_on_page: HashMap<Tag, usize>,
    /// Values that are announced: where, by which id, until when.
    kept: Vec<(Place, u64, u64)>,
    /// Values that no node took, and when to try again.
    failed: Vec<(u64, Tag, Arc<[u8]>)>,
    /// The epoch of our last publication, and batches and records in it, for its announcement.
    announced_own: Option<(Epoch, u8, u16)>,
    actions: VecDeque<Action>,
    output: VecDeque<PeerData>,
    /// What was counted.
    pub counts: Counts,
    /// Why nothing was published last time, if so.
    pub held: Option<Held>,
    told: Vec<crate::wire::body::Body>,
    epoch: Epoch,
    started: Epoch,
    is_new: bool,
    put_at_s: u64,
    random: u64,
    granted_in: Epoch,
    /// The last epoch in which somebody was caught lying.
    convicted_in: Epoch,
    /// Where our last publication was put and no node has taken it yet.
    untaken: Vec<Place>,
    /// When somebody was granted who could not read us when most was told, or nobody could.
    new_listener: Option<Epoch>,
    retold_s: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("node", &self.identity.node()).finish_non_exhaustive()
    }
}

/// What a session begins with.
pub struct Begin {
    /// Who the node is.
    pub identity: Identity,
    /// Whether that was made just now, so that it cannot have published anything.
    pub is_new: bool,
    /// Its name in the old format.
    pub node_id: Uuid,
    /// What was saved of the publisher.
    pub publisher: Publisher,
    /// What was saved of the others.
    pub book: Book,
    /// A random number. It is nobody's secret, but nobody should guess it.
    pub random: u64,
    /// The present, in seconds since 1970.
    pub now_s: u64,
}

impl Session {
    /// A session begins: it listens, and puts again what an earlier run has put and others may want.
    #[must_use]
    pub fn new(settings: Settings, begin: Begin) -> Self {
        let calendar = settings.calendar;
        let epoch = calendar.epoch(begin.now_s);
        let mut session = Self {
            reader: Reader::new(calendar, begin.random),
            identity: begin.identity,
            book: begin.book,
            publisher: begin.publisher.in_slot(begin.random),
            selection: Selection::default(),
            legacy_out: legacy::Publisher::default(),
            legacy_in: legacy::Reader::new(begin.node_id),
            legacy_live: HashMap::default(),
            half_read: HashMap::new(),
            chunk_gets: VecDeque::new(),
            next_half: 0,
            announced: HashMap::new(),
            read: HashMap::new(),
            valid_on_page: HashMap::new(),
            kept: Vec::new(),
            failed: Vec::new(),
            announced_own: None,
            actions: VecDeque::new(),
            output: VecDeque::new(),
            counts: Counts::default(),
            held: None,
            told: Vec::new(),
            epoch: Epoch(0),
            started: epoch,
            is_new: begin.is_new,
            put_at_s: 0,
            random: begin.random,
            granted_in: Epoch(0),
            convicted_in: Epoch(0),
            untaken: Vec::new(),
            new_listener: None,
            retold_s: 0,
            settings,
        };
        session.begin(begin.now_s);
        session
    }

    fn begin(&mut self, now_s: u64) {
        if self.settings.legacy {
            self.actions.push_back(Action::Listen(Tag::Legacy, Place(KEY_HASH)));
        }
        if !self.settings.share {
            return;
        }
        if let Some(state) = self.publisher.unsaved() {
            self.actions.push_back(Action::SaveSequence(state));
        }
        for publication in self.publisher.to_put_again(now_s, self.settings.calendar) {
            self.put_publication(&publication);
        }
    }

    /// That OpenDHT was started again: what it announced and listened to is gone.
    pub fn restarted(&mut self, now_s: u64) {
        self.kept.clear();
        self.failed.clear();
        self.untaken.clear();
        self.half_read.clear();
        self.chunk_gets.clear();
        self.legacy_live.clear();
        self.actions
            .retain(|action| matches!(action, Action::SaveSequence(_) | Action::SaveLedger(_)));
        self.begin(now_s);
    }

    fn now(&self, now_s: u64) -> Now {
        Now { s: now_s, epoch: self.settings.calendar.epoch(now_s) }
    }

    /// The next random number; what it decides is harmless if somebody guesses it.
    fn random(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.random ^ (self.random >> 29)
    }

    /// Looks at the clock. `random` are 32 fresh random bytes for each grant that is made.
    pub fn tick(&mut self, view: View<'_>, random: &mut dyn FnMut() -> [u8; 32]) {
        let now = self.now(view.now_s);
        self.expire(view.now_s);
        if !self.settings.share {
            return;
        }
        if now.epoch != self.epoch {
            self.turn(now);
        }
        self.publish(view, now);
        self.grant(now, random);
        self.plan(now);
    }

    /// A new epoch has begun.
    fn turn(&mut self, now: Now) {
        if !std::mem::take(&mut self.untaken).is_empty() {
            // What comes after its epoch nobody looks for: it is told again, when somebody may hear it.
            self.counts.epochs_unheard += 1;
            self.new_listener = Some(self.epoch);
        }
        self.epoch = now.epoch;
        let (from, until) = (crate::limits::PUT_FROM_PERCENT, crate::limits::PUT_UNTIL_PERCENT);
        let percent = from + self.random() % (until - from);
        let calendar = self.settings.calendar;
        self.put_at_s = calendar.start_s(now.epoch) + u64::from(calendar.epoch_s()) * percent / 100;
        self.book.sweep(now);
        let ledger = crate::saved::encode(&self.book.ledger, &self.book.trust);
        self.actions.push_back(Action::SaveLedger(ledger));
    }

    /// The next thing to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next chunk, or get of the reader's plan; asked for only when there may be one more.
    pub fn next_get(&mut self) -> Option<Action> {
        if let Some(chunk) = self.next_chunk() {
            return Some(chunk);
        }
        loop {
            let get = self.reader.next_get()?;
            // A partner from whom we have parted since has no place.
            if let Some(place) = self.place_of(get) {
                return Some(Action::Get(Tag::Read(get), place));
            }
        }
    }

    /// What came of others.
    pub fn next_output(&mut self) -> Option<PeerData> {
        self.output.pop_front()
    }

    fn put_out(&mut self, data: PeerData) {
        if self.output.len() >= OUTPUT_MAX {
            self.counts.output_dropped += 1;
        } else {
            self.output.push_back(data);
        }
    }

    /// Who we are.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The reader's plan.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The publisher.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }
}
