//! The events of arenas, into the last block of the log and into the counts.

use crate::arena::{Arena, RawEvent};
use crate::event::{EventRef, Seq, SourceKey, Time};
use crate::limits::{PENDING_PACKED_BYTES_MAX, TAIL_AGE_MAX_NS, TAIL_RAW_BYTES};
use crate::repeat::Record;
use crate::shed::Load;
use crate::writer::Writer;

impl Writer {
    /// Packs and counts the events of an arena; of the heaviest sources less, when the load is high.
    pub(crate) fn ingest(&mut self, arena: &Arena, load: Load) {
        debug_assert!(self.prepared.is_none() || self.may_run_ahead(), "a commit must end first");
        if load == Load::Light {
            self.heavy.clear();
            arena.raw().for_each(|raw| self.append(&raw));
            return;
        }
        for raw in arena.raw() {
            match raw.record() {
                Record::Event(event) if self.heavy.add(SourceKey::of(event.source.ip())) => {
                    if load == Load::Overloaded && self.repeats.add(&event) {
                        self.shared.stats.events_repeated.add(1);
                    } else {
                        self.append_without_message(&event);
                    }
                }
                _ => self.append(&raw),
            }
        }
        self.append_repeats();
    }

    fn append_without_message(&mut self, event: &EventRef<'_>) {
        self.shared.stats.messages_shed.add(u64::from(!event.message.is_empty()));
        self.append_event(&EventRef { message: b"", ..*event });
    }

    /// Gives an event that is in no arena its place in the log, and counts it.
    pub(super) fn append_event(&mut self, event: &EventRef<'_>) -> Seq {
        let mut arena = std::mem::take(&mut self.scratch);
        // An empty arena takes any event: see the assertion in limits.rs.
        let _ = arena.push(event);
        arena.raw().for_each(|raw| self.append(&raw));
        arena.clear();
        self.scratch = arena;
        self.last
    }

    /// Gives the repeats of an arena their places in the log.
    fn append_repeats(&mut self) {
        let mut arena = std::mem::take(&mut self.scratch);
        while !self.repeats.is_empty() {
            self.repeats.drain_into(&mut arena);
            arena.raw().for_each(|raw| self.append(&raw));
            arena.clear();
        }
        self.scratch = arena;
    }

    /// Gives an event or a repeat its place in the log, and counts it.
    fn append(&mut self, raw: &RawEvent<'_>) {
        self.last.0 += 1;
        let record = raw.record();
        match &record {
            Record::Event(event) => self.open.builder.push(raw, event),
            Record::Repeat(repeat) => self.open.builder.push_repeat(repeat),
        }
        self.counts.add_record(self.last, &record, &mut self.open.hashes);
        if self.open.builder.is_full() {
            let next = self.packing.open(Seq(self.last.0 + 1));
            self.packing.pack(std::mem::replace(&mut self.open, next));
        }
    }

    /// Hands the last block over to be packed, if anything in it is not stored. When it `closes`, the next event
    /// begins another one.
    pub(super) fn pack_tail(&mut self, closes: bool) {
        let has_news = self.pending_events() > 0 && !self.open.builder.is_empty();
        match (has_news, closes) {
            (true, true) => {
                let next = self.packing.open(Seq(self.last.0 + 1));
                self.packing.pack(std::mem::replace(&mut self.open, next));
            }
            (true, false) => self.packing.pack_and_keep(std::mem::take(&mut self.open)),
            (false, true) => self.begin_block(),
            (false, false) => {}
        }
    }

    pub(crate) fn begin_block(&mut self) {
        let next = self.packing.open(Seq(self.last.0 + 1));
        self.packing.give_back(std::mem::replace(&mut self.open, next));
    }

    /// Whether so much waits that the next commit should not wait for its time.
    pub(crate) fn is_laden(&self) -> bool {
        self.packing.ready_bytes() >= PENDING_PACKED_BYTES_MAX
    }

    /// Whether the last block of the log is written for the last time. One that is only old, with
    /// nothing new in it, is left as it is stored.
    pub(super) fn close_tail(&mut self, now: Time) -> bool {
        let age_max = TAIL_AGE_MAX_NS.min(self.retention_ns / 8);
        let is_old = self.open.builder.earliest().is_some_and(|at| now.minus_ns(age_max) > at);
        if is_old && self.pending_events() == 0 {
            self.begin_block();
            return false;
        }
        is_old || self.open.builder.message_bytes() >= TAIL_RAW_BYTES
    }
}
