//! What comes in: announcements, batches and their chunks, grants, proofs, and records in the old
//! format.

use sentrypeer_storage::policy::Policy;

use super::{Action, PeerData, Session, Tag};
use crate::book::Now;
use crate::epoch::{Day, Epoch, day_of};
use crate::grants::Regard;
use crate::keys::{Place, shard};
use crate::limits::{BATCHES_MAX, HALF_READ_MAX, KEY_VALUES_MAX, VALUE_LIFETIME_S};
use crate::reader::Get;
use crate::wire::announcement::Announcement;
use crate::wire::batch::Head;
use crate::wire::body::Body;
use crate::wire::proof::Proof;
use crate::wire::{NodeKey, Refused, grant};

/// A batch of which chunks are still to come.
#[derive(Debug)]
pub struct HalfRead {
    head: Head,
    chunks: Vec<Option<Vec<u8>>>,
    epoch: Epoch,
}

impl Session {
    /// Looks what is due to be got.
    pub(super) fn plan(&mut self, now: Now) {
        let (book, day) = (&self.book, now.epoch.0);
        let order = |node: NodeKey| match book.trust.regard(node, now.s) {
            Regard::Denied => None,
            Regard::Trusted => Some(0),
            Regard::Usual => {
                let Some(peer) = book.ledger.get(node) else { return Some(1001) };
                // Whose word is worth nothing is read now and then only.
                let is_due = peer.is_plausible() || day.is_multiple_of(crate::limits::SILENT_PAUSE);
                is_due.then(|| 1001 - peer.credit(now.s).min(1000.0) as u64)
            }
        };
        let before = self.reader.epoch();
        self.reader.tick(now.s, order);
        if self.reader.epoch() != before {
            self.announced.clear();
            self.read.clear();
            self.valid_on_page.clear();
            let oldest = self.reader.epoch();
            self.half_read.retain(|_, half| half.epoch >= oldest);
        }
    }

    pub(super) fn place_of(&self, get: Get) -> Option<Place> {
        let network = &self.settings.network;
        Some(match get {
            Get::Batches { node, epoch } => self.reader.day_key(node, epoch)?.place(epoch),
            Get::Announcements { epoch, shard, page } => network.announcements(epoch, shard, page),
            Get::Grants { day, shard } => network.grants(self.identity.node(), day, shard),
            Get::Renewal { node, day } => self.reader.renewal(node, day, self.identity.node())?,
            Get::Proofs { node } => network.proofs(node),
        })
    }

    /// That a value was found.
    pub fn value(&mut self, tag: Tag, bytes: &[u8], policy: &Policy, now_s: u64) {
        let now = self.now(now_s);
        match tag {
            Tag::Read(Get::Announcements { epoch, .. }) => {
                self.announcement(tag, bytes, epoch, now);
            }
            Tag::Page { epoch, .. } => {
                let said = Announcement::decode(bytes, &self.settings.network);
                let is_valid = said.is_ok_and(|said| said.epoch == epoch);
                *self.valid_on_page.entry(tag).or_default() += usize::from(is_valid);
            }
            Tag::Read(Get::Batches { node, epoch }) => {
                if let Err(refused) = self.head(node, epoch, bytes, policy, now) {
                    self.counts.refuse("batch", refused.name());
                }
            }
            Tag::Chunk { half, number } => self.chunk(half, number, bytes, policy, now),
            Tag::Read(Get::Grants { day, shard }) => {
                if let Err(refused) = self.granted(day, shard, bytes, now) {
                    self.counts.refuse("grant", refused.name());
                }
            }
            Tag::Read(Get::Renewal { node, day }) => {
                if let Err(refused) = self.granted(day, shard(node), bytes, now) {
                    self.counts.refuse("grant", refused.name());
                }
            }
            Tag::Read(Get::Proofs { node }) => match Proof::decode(bytes) {
                Ok(proof) if proof.node() == node => _ = self.convict(&proof, now),
                Ok(_) => self.counts.refuse("proof", "node"),
                Err(refused) => self.counts.refuse("proof", refused.name()),
            },
            Tag::Put { .. } | Tag::Legacy | Tag::LegacyPut => {}
        }
    }

    /// That a get has ended.
    pub fn got(&mut self, tag: Tag) {
        match tag {
            Tag::Read(Get::Announcements { epoch, shard, page }) => {
                let valid = self.valid_on_page.remove(&tag).unwrap_or(0);
                self.reader.page_read(epoch, shard, page, valid);
            }
            Tag::Page { epoch, page } => {
                let valid = self.valid_on_page.remove(&tag).unwrap_or(0);
                self.page_is_known(epoch, page, valid);
            }
            // One that is not there makes all others useless; the reader asks again.
            Tag::Chunk { half, .. } if self.is_missing(half, tag) => {
                self.half_read.remove(&half);
            }
            _ => {}
        }
    }

    fn is_missing(&self, half: u64, tag: Tag) -> bool {
        self.half_read.get(&half).is_some_and(|half| half.is_missing(tag))
    }

    fn announcement(&mut self, tag: Tag, bytes: &[u8], epoch: Epoch, now: Now) {
        let said = match Announcement::decode(bytes, &self.settings.network) {
            Ok(said) if said.epoch == epoch => said,
            Ok(_) => return self.counts.refuse("announcement", "epoch"),
            Err(refused) => return self.counts.refuse("announcement", refused.name()),
        };
        *self.valid_on_page.entry(tag).or_default() += 1;
        if said.node == self.identity.node() {
            return self.publisher.own_announcement(epoch, now.epoch);
        }
        self.reader.connected();
        // Nobody is to make us ask for what we would not take.
        if self.book.trust.regard(said.node, now.s) == Regard::Denied {
            return;
        }
        self.book.ledger.announced(said.node, said.seal_key, epoch, now.s);
        self.announced.insert(said.node, said.batches);
        self.reader.announced(said.node, epoch);
    }

    fn granted(&mut self, day: Day, of: u8, bytes: &[u8], now: Now) -> Result<(), Refused> {
        let grant = grant::open(&self.identity, bytes)?;
        if grant.day != day || shard(grant.granter) != of {
            return Err(Refused::Range("place"));
        }
        if self.book.trust.regard(grant.granter, now.s) == Regard::Denied {
            return Ok(());
        }
        self.counts.grants_got += u64::from(!self.reader.has_key(&grant));
        let book = &self.book;
        self.reader.granted(&grant, day_of(now.s), |node| book.is_worth_keeping(node, now));
        if self.announced.contains_key(&grant.granter) {
            self.reader.announced(grant.granter, self.reader.epoch());
        }
        Ok(())
    }

    fn head(
        &mut self,
        node: NodeKey,
        epoch: Epoch,
        bytes: &[u8],
        policy: &Policy,
        now: Now,
    ) -> Result<(), Refused> {
        let head = Head::decode(bytes)?;
        let header = head.header();
        if header.node != node || header.epoch() != epoch {
            return Err(Refused::Range("place"));
        }
        self.reader.connected();
        // A copy from another holder of the value.
        if self.book.ledger.has_read(node, header.sequence)
            && !self.book.trust.is_news(&head.signed)
        {
            return Ok(());
        }
        if let Err(not_taken) = self.book.admits(node, epoch, now) {
            self.counts.refuse("batch", not_taken.name());
            return Ok(());
        }
        if let Some(proof) = self.book.trust.witness(&head.signed) {
            // One proof is enough, however many a liar gives.
            if self.convict(&proof, now) {
                self.show(&proof, now.s);
            }
            return Ok(());
        }
        let places = head.chunk_places();
        if places.is_empty() {
            let body = self.open(&head, &[])?;
            self.take(&head, &body, policy, now);
            return Ok(());
        }
        self.begin_half(head, &places, epoch);
        Ok(())
    }

    fn begin_half(&mut self, head: Head, places: &[Place], epoch: Epoch) {
        let is_there = |half: &HalfRead| half.head.signed == head.signed;
        if self.half_read.values().any(is_there) {
            return;
        }
        let node = head.header().node;
        let is_of_node = |half: &&HalfRead| half.epoch == epoch && half.head.header().node == node;
        let of_node = self.half_read.values().filter(is_of_node).count();
        // An honest node has no more, and one alone is not to stand in the way of all others.
        if of_node >= BATCHES_MAX || self.half_read.len() >= HALF_READ_MAX {
            self.counts.half_read_dropped += 1;
            return;
        }
        let half = self.next_half;
        self.next_half += 1;
        for (number, place) in places.iter().enumerate() {
            let tag = Tag::Chunk { half, number: number as u8 };
            self.chunk_gets.push_back((tag, *place));
        }
        let chunks = vec![None; places.len()];
        self.half_read.insert(half, HalfRead { head, chunks, epoch });
    }

    /// The next chunk to get; those of a batch that was given up meanwhile are of no use. They count
    /// like all gets of an epoch, and where there may be no more the batches are given up.
    pub(super) fn next_chunk(&mut self) -> Option<Action> {
        while let Some((tag, place)) = self.chunk_gets.pop_front() {
            let Tag::Chunk { half, .. } = tag else { continue };
            if !self.is_missing(half, tag) {
                continue;
            }
            if self.reader.may_get_more() {
                return Some(Action::Get(tag, place));
            }
            self.half_read.remove(&half);
            self.counts.half_read_dropped += 1;
        }
        None
    }

    fn chunk(&mut self, half: u64, number: u8, bytes: &[u8], policy: &Policy, now: Now) {
        let number = usize::from(number);
        let Some(reading) = self.half_read.get_mut(&half) else { return };
        if !reading.head.is_chunk(number, bytes) {
            return self.counts.refuse("chunk", "chunk");
        }
        reading.chunks[number] = Some(bytes.to_vec());
        if reading.chunks.iter().any(Option::is_none) {
            return;
        }
        let Some(whole) = self.half_read.remove(&half) else { return };
        let chunks: Vec<Vec<u8>> = whole.chunks.into_iter().flatten().collect();
        match self.open(&whole.head, &chunks) {
            Ok(body) => self.take(&whole.head, &body, policy, now),
            Err(refused) => self.counts.refuse("batch", refused.name()),
        }
    }

    fn open(&self, head: &Head, chunks: &[Vec<u8>]) -> Result<Body, Refused> {
        let header = head.header();
        let key = self.reader.day_key(header.node, header.epoch()).ok_or(Refused::Commitment)?;
        head.open(key, chunks)
    }

    fn take(&mut self, head: &Head, body: &Body, policy: &Policy, now: Now) {
        let header = head.header();
        let (node, epoch) = (header.node, header.epoch());
        match self.book.accept(node, header.sequence, body, policy, now) {
            Err(not_taken) => self.counts.refuse("batch", not_taken.name()),
            Ok(batch) => {
                self.counts.batches_got += 1;
                self.counts.records_got += batch.entries.len() as u64;
                self.put_out(PeerData::Batch(batch));
            }
        }
        if epoch != self.reader.epoch() {
            return;
        }
        let read = self.read.entry(node).or_default();
        *read = read.saturating_add(1);
        if self.announced.get(&node).is_some_and(|announced| *read >= *announced) {
            self.reader.found(node, epoch);
        } else {
            self.reader.heard(node, epoch);
        }
    }

    /// That a node lies. Whether that is new.
    fn convict(&mut self, proof: &Proof, now: Now) -> bool {
        if !self.book.convict(proof, now) {
            return false;
        }
        self.counts.proofs += 1;
        // A sweep looks at all that is known, and there is one at the end of the epoch in any case; keys
        // that lie cost nothing, and shall not make us sweep, nor fill the log.
        if self.convicted_in != now.epoch {
            self.convicted_in = now.epoch;
            self.book.sweep(now);
            log::warn!(
                "peers: {} has signed two batches with one sequence; it is distrusted for 30 days \
                 (others in the next minutes are only counted)",
                proof.node()
            );
        }
        true
    }

    /// That the listener on the key of 4.x heard a value, or that one has expired.
    pub fn legacy_value(
        &mut self,
        bytes: &[u8],
        id: u64,
        is_expired: bool,
        policy: &Policy,
        now_s: u64,
    ) {
        if is_expired {
            self.legacy_live.remove(&id);
            return;
        }
        if self.legacy_live.len() < KEY_VALUES_MAX || self.legacy_live.contains_key(&id) {
            self.legacy_live.insert(id, now_s + VALUE_LIFETIME_S);
        }
        match self.legacy_in.read(bytes, policy) {
            Ok(record) => {
                self.counts.legacy_got += 1;
                self.put_out(PeerData::Legacy(Box::new(record)));
            }
            Err(not_news) => self.counts.refuse("legacy", not_news.name()),
        }
    }
}

impl HalfRead {
    fn is_missing(&self, tag: Tag) -> bool {
        let Tag::Chunk { number, .. } = tag else { return false };
        self.chunks.get(usize::from(number)).is_some_and(Option::is_none)
    }
}
