//! Compatibility with SentryPeer 4.x (L0): what is published under its key, and what is read there.
//!
//! [`crate::record`] reads and writes one record; here is how many, and how often. What arrives is
//! unsigned: it is shown and never acted on.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use foldhash::quality::RandomState;
use sentrypeer_storage::event::Verification;
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::policy::{Policy, is_private};
use uuid::Uuid;

use crate::limits::{
    RECORD_IDS_MAX, RECORD_LIVE_MAX, RECORD_PAUSE_S, RECORD_SOURCE_PAUSE_S, RECORD_SOURCES_MAX,
};
use crate::record::{Record, Refused};

/// The user type of a value that 4.x publishes.
pub const USER_TYPE: &std::ffi::CStr = c"text/plain";

/// Why one of our own events is not published in the old format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// Its source is not proven, or must not be shared.
    NotShared,
    /// A record of the same source lives still.
    Lately,
    /// One was published a moment ago.
    Paused,
    /// The key holds as much as it can carry.
    Crowded,
}

/// When to publish in the old format.
#[derive(Debug, Default)]
pub struct Publisher {
    last_s: Option<u64>,
    sources: HashMap<IpAddr, u64, RandomState>,
}

impl Publisher {
    /// Whether this event may be published now, while the key holds `live` values. If so, it counts as
    /// published.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn publish(
        &mut self,
        event: &StoredEvent,
        policy: &Policy,
        live: usize,
        now_s: u64,
    ) -> Result<(), Withheld> {
        let ip = event.source.ip();
        let is_held_back = is_private(ip) && !policy.allow.test_addresses();
        if event.verification < Verification::ReturnPath
            || policy.allow.reason(ip).is_some()
            || is_held_back
        {
            return Err(Withheld::NotShared);
        }
        if live > RECORD_LIVE_MAX {
            return Err(Withheld::Crowded);
        }
        if self.last_s.is_some_and(|last| now_s < last + RECORD_PAUSE_S) {
            return Err(Withheld::Paused);
        }
        let is_live = |at: u64| now_s < at + RECORD_SOURCE_PAUSE_S;
        if self.sources.get(&ip).is_some_and(|at| is_live(*at)) {
            return Err(Withheld::Lately);
        }
        if self.sources.len() >= RECORD_SOURCES_MAX {
            // At one record in ten seconds at most 60 of them live.
            self.sources.retain(|_, at| is_live(*at));
        }
        self.sources.insert(ip, now_s);
        self.last_s = Some(now_s);
        Ok(())
    }
}

/// Why a value on the old key is not news.
#[derive(Debug, thiserror::Error)]
pub enum NotNews {
    /// It is no record.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// We have published it ourselves.
    #[error("our own")]
    Own,
    /// It was read before.
    #[error("read before")]
    Known,
    /// Its source must not be acted on.
    #[error("of a source that is not shared")]
    NotShared,
}

impl NotNews {
    /// A short name for counts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "malformed",
            Self::Own => "own",
            Self::Known => "known",
            Self::NotShared => "not_shared",
        }
    }
}

/// Reads what others publish in the old format: each record once.
#[derive(Debug)]
pub struct Reader {
    node_id: Uuid,
    known: HashSet<Uuid, RandomState>,
    order: VecDeque<Uuid>,
}

impl Reader {
    /// The reader of the node with this id.
    #[must_use]
    pub fn new(node_id: Uuid) -> Self {
        Self { node_id, known: HashSet::default(), order: VecDeque::new() }
    }

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// When it is malformed, our own, or was read before.
    pub fn read(&mut self, bytes: &[u8], policy: &Policy) -> Result<Record, NotNews> {
        let record = Record::read(bytes)?;
        if record.node_id == self.node_id {
            return Err(NotNews::Own);
        }
        if policy.allow.reason(record.source).is_some() {
            return Err(NotNews::NotShared);
        }
        if !self.known.insert(record.event_id) {
            return Err(NotNews::Known);
        }
        self.order.push_back(record.event_id);
        if self.order.len() > RECORD_IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use sentrypeer_storage::event_json::Producer;

    use super::*;
    use crate::record;
    use crate::testing::stored_event;

    const NOW: u64 = 1_795_478_400;

    fn publish(
        publisher: &mut Publisher,
        source: &str,
        live: usize,
        now_s: u64,
    ) -> Option<Withheld> {
        let event = stored_event(source, Verification::Connected, 1);
        publisher.publish(&event, &Policy::default(), live, now_s).err()
    }

    #[test]
    fn one_record_in_ten_seconds_and_one_of_a_source_in_ten_minutes() {
        let mut publisher = Publisher::default();
        assert_eq!(publish(&mut publisher, "1.2.3.4:5", 0, NOW), None);
        assert_eq!(publish(&mut publisher, "1.2.3.5:5", 0, NOW + 9), Some(Withheld::Paused));
        assert_eq!(publish(&mut publisher, "1.2.3.5:5", 0, NOW + 10), None);
        assert_eq!(publish(&mut publisher, "1.2.3.4:9", 0, NOW + 599), Some(Withheld::Lately));
        assert_eq!(publish(&mut publisher, "1.2.3.4:9", 0, NOW + 600), None);
    }

    #[test]
    fn a_crowded_key_gets_no_more() {
        let mut publisher = Publisher::default();
        assert_eq!(publish(&mut publisher, "1.2.3.4:5", 151, NOW), Some(Withheld::Crowded));
        assert_eq!(publish(&mut publisher, "1.2.3.4:5", 150, NOW), None);
    }

    #[test]
    fn what_is_unproven_private_or_allowed_is_withheld() {
        let mut publisher = Publisher::default();
        for source in ["10.0.0.1:5", "127.0.0.1:5", "[2001:db8::1]:5"] {
            assert_eq!(publish(&mut publisher, source, 0, NOW), Some(Withheld::NotShared));
        }
        let event = stored_event("1.2.3.4:5", Verification::Unverified, 1);
        let published = publisher.publish(&event, &Policy::default(), 0, NOW);
        assert_eq!(published, Err(Withheld::NotShared));
    }

    #[test]
    fn memory_stays_bounded() {
        let mut publisher = Publisher::default();
        for n in 0..2 * RECORD_SOURCES_MAX as u32 {
            let source = format!("{}:5", std::net::Ipv4Addr::from(0x2000_0000 + n));
            publish(&mut publisher, &source, 0, NOW + u64::from(n) * 10);
        }
        assert!(publisher.sources.len() <= RECORD_SOURCES_MAX);
    }

    #[test]
    fn each_record_is_news_once_and_our_own_never() {
        let own = Uuid::from_u128(1);
        let mut reader = Reader::new(own);
        let policy = Policy::default();
        let value = |node_id, n| {
            let producer = Producer { app_name: "x".into(), app_version: "1".into(), node_id };
            record::write(&stored_event("1.2.3.4:5", Verification::Tls, n), &producer)
        };
        let other = value(Uuid::new_v4(), 1);
        assert_eq!(reader.read(&other, &policy).unwrap().number, "+442071234567");
        assert!(matches!(reader.read(&other, &policy), Err(NotNews::Known)));
        assert!(matches!(reader.read(&value(own, 2), &policy), Err(NotNews::Own)));
        assert!(matches!(reader.read(b"junk", &policy), Err(NotNews::Refused(_))));
    }

    /// Everything that 4.x asks of a value before it stores it.
    fn passes_4_x(bytes: &[u8], reader_id: Uuid) -> bool {
        const MEMBERS: [&str; 13] = [
            "app_name",
            "app_version",
            "event_timestamp",
            "event_uuid",
            "created_by_node_id",
            "collected_method",
            "transport_type",
            "source_ip",
            "destination_ip",
            "called_number",
            "sip_method",
            "sip_user_agent",
            "sip_message",
        ];
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return false };
        let text = |member: &str| value.get(member).and_then(serde_json::Value::as_str);
        let id = |member| text(member).and_then(|text| Uuid::parse_str(text).ok());
        MEMBERS.iter().all(|member| text(member).is_some())
            && id("event_uuid").is_some()
            && id("created_by_node_id").is_some_and(|id| id != reader_id)
    }

    #[test]
    fn what_we_publish_passes_every_check_of_4_x() {
        let producer = Producer {
            app_name: "sentrypeer".into(),
            app_version: "0.1.0".into(),
            node_id: Uuid::new_v4(),
        };
        let bytes = record::write(&stored_event("1.2.3.4:5", Verification::Tls, 1), &producer);
        assert!(passes_4_x(&bytes, Uuid::new_v4()));
        assert!(!passes_4_x(&bytes, producer.node_id), "its own it does not store");
        assert!(!passes_4_x(b"{}", Uuid::nil()));
    }
}
