//! What comes out of a file: events, and counts of what was no event.

use std::fmt;
use std::net::SocketAddr;

use sentrypeer_storage::event::{
    Anomalies, Collected, EventRef, NumberKind, Seq, Time, Transport, Verification,
};
use sentrypeer_storage::log::StoredEvent;
use uuid::Uuid;

/// One event of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// From where the file is read on after this event: [`crate::import::Options::after`].
    pub place: u64,
    /// The event's id. Nothing keeps a file from holding it twice.
    pub id: Uuid,
    /// The node that says it made the event, if the file tells.
    pub created_by_node_id: Option<Uuid>,
    /// When it arrived.
    pub time: Time,
    /// Who sent it; port 0 if the file does not tell it. IPv4-mapped addresses are IPv4 here.
    pub source: SocketAddr,
    /// Where it was sent to; the unspecified address and port 0 if the file does not tell.
    pub destination: SocketAddr,
    /// How it travelled; UDP, which proves least, if the file does not tell.
    pub transport: Transport,
    /// How well `source` is proven: see [`crate::import::Origin`].
    pub verification: Verification,
    /// Whether the node answered; passive if the file does not tell.
    pub collected: Collected,
    /// What `number` is, by the method.
    pub number_kind: NumberKind,
    /// What was wrong with the message, where the file tells: our own JSON log does.
    pub anomalies: Anomalies,
    /// Whether a text was longer than an event keeps, and was cut.
    pub cut: bool,
    /// The method; empty if there was none.
    pub method: Box<[u8]>,
    /// The called number; empty if there was none.
    pub number: Box<[u8]>,
    /// The user agent; empty if there was none.
    pub user_agent: Box<[u8]>,
    /// The message; empty if the file has none.
    pub message: Box<[u8]>,
}

impl Imported {
    /// The event, borrowed. All its texts are within the limits of [`EventRef`].
    #[must_use]
    pub fn event(&self) -> EventRef<'_> {
        EventRef {
            time: self.time,
            source: self.source,
            destination: self.destination,
            transport: self.transport,
            verification: self.verification,
            collected: self.collected,
            number_kind: self.number_kind,
            anomalies: self.anomalies,
            method: &self.method,
            number: &self.number,
            user_agent: &self.user_agent,
            message: &self.message,
        }
    }

    /// The event as the log keeps one, without a place there: its id is what the file calls it.
    #[must_use]
    pub fn into_stored(self) -> StoredEvent {
        StoredEvent {
            seq: Seq(0),
            id: self.id,
            time: self.time,
            source: self.source,
            destination: self.destination,
            transport: self.transport,
            verification: self.verification,
            collected: self.collected,
            number_kind: self.number_kind,
            anomalies: self.anomalies,
            method: self.method,
            number: self.number,
            user_agent: self.user_agent,
            message: self.message,
        }
    }
}

/// Something in a file that is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// From where the file is read on after it. For [`Reason::TornLine`] it is where that line
    /// begins, for its writer may still complete it.
    pub place: u64,
    /// Why it is no event.
    pub reason: Reason,
}

/// Why something in a file is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// A line that is no JSON object whose known members are texts: other bytes, for example.
    NotJson,
    /// The last line has no end and is no event: its writer was interrupted, or still writes.
    TornLine,
    /// A line of more than [`crate::limits::LINE_BYTES_MAX`] bytes.
    LongLine,
    /// A text of more than [`crate::limits::TEXT_BYTES_MAX`] bytes, or a time, an id or an address
    /// of more than [`crate::limits::PLAIN_BYTES_MAX`].
    LongText,
    /// No id, or one that is no UUID of 36 characters.
    Id,
    /// No time that can be read, or one before 1970.
    Time,
    /// No source, or one that is no address.
    Source,
    /// A transport other than UDP, TCP and TLS.
    Transport,
}

impl Reason {
    /// Every reason, in the order of its code.
    pub const ALL: [Self; 8] = [
        Self::NotJson,
        Self::TornLine,
        Self::LongLine,
        Self::LongText,
        Self::Id,
        Self::Time,
        Self::Source,
        Self::Transport,
    ];

    /// The reason in words, as they go behind "skipped": `3 without an address`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotJson => "that are no JSON",
            Self::TornLine => "torn at the end",
            Self::LongLine => "in lines that are too long",
            Self::LongText => "with texts that are too long",
            Self::Id => "without an id",
            Self::Time => "without a time",
            Self::Source => "without an address",
            Self::Transport => "with an unknown transport",
        }
    }
}

/// How much was skipped, by reason. Its text is `nothing`, or `3 (2 without a time, 1 torn at the end)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkipCounts([u64; Reason::ALL.len()]);

impl SkipCounts {
    pub(crate) fn add(&mut self, reason: Reason) {
        self.0[reason as usize] += 1;
    }

    /// How much was skipped for this reason.
    #[must_use]
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    /// How much was skipped in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons for which anything was skipped, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().map(|reason| (reason, self.of(reason))).filter(|(_, n)| *n > 0)
    }
}

impl fmt::Display for SkipCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.total() == 0 {
            return f.write_str("nothing");
        }
        write!(f, "{} (", self.total())?;
        for (n, (reason, count)) in self.iter().enumerate() {
            write!(f, "{}{count} {}", if n == 0 { "" } else { ", " }, reason.words())?;
        }
        f.write_str(")")
    }
}

/// What was read of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events.
    pub events: u64,
    /// Those of them of which a text was cut.
    pub cut: u64,
    /// What was skipped.
    pub skipped: SkipCounts,
    /// From where the file is read on: the place of the last event or skip.
    pub place: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_say_what_was_skipped_and_why() {
        let mut counts = SkipCounts::default();
        assert_eq!(counts.to_string(), "nothing");
        counts.add(Reason::Time);
        counts.add(Reason::TornLine);
        counts.add(Reason::Time);
        assert_eq!(counts.to_string(), "3 (1 torn at the end, 2 without a time)");
        assert_eq!((counts.total(), counts.of(Reason::Id)), (3, 0));
    }

    #[test]
    fn the_code_of_a_reason_is_its_place_in_the_list() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }
}
