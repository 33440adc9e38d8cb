//! Counts in all, and their stored form.

use crate::event::{EventRef, Transport, Verification};
use crate::method::Method;
use crate::repeat::Repeat;
use crate::row_bytes::Decoder;

/// What was counted since the database was made. Nothing here expires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events by transport, in the order of [`Transport::ALL`].
    pub by_transport: [u64; Transport::ALL.len()],
    /// Events by verification, in the order of [`Verification::ALL`].
    pub by_verification: [u64; Verification::ALL.len()],
    /// Events by method, in the order of [`Method::ALL`].
    pub by_method: [u64; Method::ALL.len()],
    /// Events that were counted in the row of a source, number or user agent that left its full
    /// table, in this order. With those that the rows count they are all there were, less what has
    /// expired.
    pub evicted: [u64; 3],
    /// Events that retention has taken out of the log; a repeat is one.
    pub expired: u64,
    /// Repeats.
    pub repeats: u64,
    /// Events that they stand for: they are in no count of a number or a user agent.
    pub repeated: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, event: &EventRef<'_>, method: Method) {
        self.by_transport[event.transport as usize - 1] += 1;
        self.by_verification[event.verification as usize] += 1;
        self.by_method[method as usize] += 1;
    }

    pub(crate) fn add_repeat(&mut self, repeat: &Repeat) {
        self.by_transport[repeat.transport as usize - 1] += repeat.count;
        self.by_verification[repeat.verification as usize] += repeat.count;
        self.by_method[repeat.method as usize] += repeat.count;
        self.repeats += 1;
        self.repeated += repeat.count;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let numbers = self.by_transport.iter_mut().chain(&mut self.by_verification);
        let numbers = numbers.chain(&mut self.by_method).chain(&mut self.evicted);
        let numbers = numbers.chain([&mut self.expired, &mut self.repeats, &mut self.repeated]);
        let others =
            other.by_transport.iter().chain(&other.by_verification).chain(&other.by_method);
        let others = others.chain(&other.evicted);
        let others = others.chain([&other.expired, &other.repeats, &other.repeated]);
        numbers.zip(others).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// All events, with those that repeats stand for.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.by_transport.iter().sum()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let numbers = self.by_transport.iter().chain(&self.by_verification).chain(&self.by_method);
        let numbers = numbers.chain(&self.evicted);
        let numbers = numbers.chain([&self.expired, &self.repeats, &self.repeated]);
        numbers.flat_map(|number| number.to_le_bytes()).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Decoder(bytes);
        let mut totals = Self::default();
        let numbers = totals.by_transport.iter_mut().chain(&mut totals.by_verification);
        let numbers = numbers.chain(&mut totals.by_method).chain(&mut totals.evicted);
        for number in numbers.chain([&mut totals.expired]) {
            *number = u64::from_le_bytes(bytes.take()?);
        }
        if !bytes.0.is_empty() {
            totals.repeats = u64::from_le_bytes(bytes.take()?);
            totals.repeated = u64::from_le_bytes(bytes.take()?);
        }
        bytes.0.is_empty().then_some(totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::proven as event;

    #[test]
    fn totals_read_back() {
        let mut totals = Totals::default();
        totals.add(&event("192.0.2.7:1", 10, Verification::Connected), Method::Invite);
        totals.evicted[2] = 5;
        totals.expired = 9;
        let before_repeats = totals.encode()[..28 * 8].to_vec();
        assert_eq!(Totals::decode(&before_repeats), Some(totals.clone()));
        (totals.repeats, totals.repeated) = (2, 11);
        assert_eq!(Totals::decode(&totals.encode()), Some(totals.clone()));
        assert_eq!(totals.events(), 1);
    }
}
