//! What several tests begin with.

use std::net::Ipv4Addr;

use sentrypeer_storage::event::{SourceKey, Verification};

use crate::keys::Identity;
use crate::wire::body::Body;
use crate::wire::source::{SeenRecord, SourceRecord};

/// One of a few identities.
pub fn identity(which: u8) -> Identity {
    Identity::from_seed(&[which; 32])
}

/// A body of so many addresses, each with methods of its own.
pub fn body_of(records: u32) -> Body {
    let record = |n: u32| SourceRecord {
        source: SourceKey::of(Ipv4Addr::from(0x0100_0000 + n * 4099).into()),
        seen: SeenRecord {
            minute: 28_800_000 + n % 500,
            count_log2: 2,
            verification: Verification::Connected,
        },
        methods: n as u16 & 0x3fff,
    };
    Body::sources((0..records).map(record).collect())
}
