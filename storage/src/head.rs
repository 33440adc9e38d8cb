//! The head of a block: what can be known without unpacking it. Its layout stands in `block.rs`.

use crate::block::COLUMNS;
use crate::event::{Seq, Time};
use crate::limits::{BLOCK_COLUMNS_MAX, BLOCK_EVENTS_MAX, BLOCK_MESSAGES_MAX};

/// Length of a block's head, in bytes.
pub const HEAD_BYTES: usize = 56;

const MAGIC: [u8; 3] = *b"SPB";

/// What a block holds, as its version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Version {
    /// Events.
    Events = 1,
    /// Events and repeats.
    Repeats = 2,
    /// The same, with messages as differences.
    Differences = 3,
}

impl Version {
    /// How many columns such a block has.
    pub(crate) fn columns(self) -> usize {
        match self {
            Self::Events => COLUMNS - 1,
            Self::Repeats | Self::Differences => COLUMNS,
        }
    }
}

/// The bytes are not a block, or not the one that was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damaged(pub &'static str);

/// A block's head: what can be known without unpacking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first event.
    pub first: Seq,
    /// How many events there are, at least 1.
    pub count: u32,
    /// Time of the earliest event.
    pub earliest: Time,
    /// Time of the latest event.
    pub latest: Time,
    pub(crate) version: Version,
    pub(crate) columns: u32,
    pub(crate) columns_packed: u32,
    pub(crate) messages: u32,
    pub(crate) messages_packed: u32,
    pub(crate) crc: u32,
}

impl Head {
    /// The last event.
    #[must_use]
    pub fn last(&self) -> Seq {
        Seq(self.first.0.saturating_add(u64::from(self.count) - 1))
    }

    /// Length of the payload, in bytes.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.columns_packed as usize + self.messages_packed as usize
    }

    /// Bytes of the events before they were packed.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        u64::from(self.columns) + u64::from(self.messages)
    }

    /// The head as it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..3].copy_from_slice(&MAGIC);
        bytes[3] = self.version as u8;
        bytes[4..8].copy_from_slice(&self.crc.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first.0.to_le_bytes());
        let lengths =
            [self.count, self.columns, self.columns_packed, self.messages, self.messages_packed];
        for (place, length) in bytes[16..36].chunks_exact_mut(4).zip(lengths) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        bytes[40..48].copy_from_slice(&self.earliest.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.latest.0.to_le_bytes());
        bytes
    }

    /// Reads a head.
    ///
    /// # Errors
    ///
    /// [`Damaged`] if it is none, or of another version, or claims more than a block may hold.
    pub fn parse(bytes: &[u8]) -> Result<Self, Damaged> {
        let bytes: &[u8; HEAD_BYTES] = bytes.try_into().map_err(|_| Damaged("no block head"))?;
        if bytes[..3] != MAGIC {
            return Err(Damaged("no block head"));
        }
        let version = match bytes[3] {
            1 => Version::Events,
            2 => Version::Repeats,
            3 => Version::Differences,
            _ => return Err(Damaged("a block of another version")),
        };
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if u32_at(36) != 0 {
            return Err(Damaged("a block head with unknown fields"));
        }
        let head = Self {
            version,
            first: Seq(u64_at(8)),
            count: u32_at(16),
            earliest: Time(u64_at(40)),
            latest: Time(u64_at(48)),
            columns: u32_at(20),
            columns_packed: u32_at(24),
            messages: u32_at(28),
            messages_packed: u32_at(32),
            crc: u32_at(4),
        };
        head.check()
    }

    pub(crate) fn check(self) -> Result<Self, Damaged> {
        let fits = (1..=BLOCK_EVENTS_MAX).contains(&(self.count as usize))
            && self.columns as usize <= BLOCK_COLUMNS_MAX
            && self.messages as usize <= BLOCK_MESSAGES_MAX
            && self.first.0.checked_add(u64::from(self.count)).is_some();
        if fits { Ok(self) } else { Err(Damaged("a block head with impossible sizes")) }
    }

    pub(crate) fn checksum(&self, payload: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.to_bytes()[8..]);
        crc.update(payload);
        crc.finalize()
    }
}
