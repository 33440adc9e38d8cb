//! What is known of a message without reading it: where it came from and where it arrived.

use std::net::SocketAddr;

use crate::address::{ip_text, number_text};
use crate::limits::ADDRESS_TEXT_MAX;
use crate::op::{DESTINATION, DESTINATION_PORT, SOURCE, SOURCE_PORT};
use crate::output::Output;
use crate::text::{BLOCK, Extent, block};

/// Where a message came from and where it arrived. Who reads a message knows both, so what it says of
/// them need not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Where it came from.
    pub source: SocketAddr,
    /// Where it arrived.
    pub destination: SocketAddr,
}

/// Endpoints as they are written in messages.
#[derive(Default)]
pub(crate) struct EndpointTexts {
    of: Option<Endpoints>,
    /// In the order of the codes from [`SOURCE`] on.
    texts: [Text; 4],
}

impl EndpointTexts {
    pub(crate) fn set(&mut self, endpoints: &Endpoints) {
        let before = self.of.replace(*endpoints);
        let Endpoints { source, destination } = *endpoints;
        if before.is_none_or(|before| before.source != source) {
            self.texts[0].set(|to| ip_text(source.ip(), to));
            self.texts[1].set(|to| number_text(source.port(), to));
        }
        if before.is_none_or(|before| before.destination != destination) {
            self.texts[2].set(|to| ip_text(destination.ip(), to));
            self.texts[3].set(|to| number_text(destination.port(), to));
        }
    }

    /// The length of what a code from [`SOURCE`] to [`DESTINATION_PORT`] stands for, if `text` has it at
    /// `at`.
    pub(crate) fn len_at(&self, code: u8, text: &[u8], at: usize) -> Option<usize> {
        self.text(code).len_at(text, at)
    }

    /// The code of what a token is, if it is one of them. A port of few digits is more likely something
    /// else.
    pub(crate) fn code(&self, token: &[u8], extent: Extent) -> Option<u8> {
        const PORT_MIN: usize = 4;
        let codes = match extent {
            Extent::Soft if token.len() < PORT_MIN => return None,
            Extent::Soft => [SOURCE_PORT, DESTINATION_PORT],
            Extent::Hard | Extent::Address => [SOURCE, DESTINATION],
        };
        codes.into_iter().find(|code| self.text(*code).bytes == token)
    }

    fn text(&self, code: u8) -> &Text {
        &self.texts[usize::from(code - SOURCE)]
    }
}

/// A text to compare with.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    /// Its first sixteen bytes, and which of them belong to it.
    block: u128,
    mask: u128,
}

impl Text {
    fn set(&mut self, put: impl FnOnce(&mut Output<'_>) -> Option<()>) {
        self.bytes.clear();
        let mut output = Output::new(&mut self.bytes, ADDRESS_TEXT_MAX);
        let len = put(&mut output).map_or(0, |()| output.at());
        self.block = block(&self.bytes, 0).unwrap_or_default();
        self.mask = u128::MAX.checked_shl(8 * len as u32).map_or(u128::MAX, |above| !above);
        self.bytes.truncate(len);
    }

    fn len_at(&self, text: &[u8], at: usize) -> Option<usize> {
        let is = match block(text, at) {
            Some(here) if self.bytes.len() <= BLOCK => (here ^ self.block) & self.mask == 0,
            _ => text.get(at..)?.starts_with(&self.bytes),
        };
        is.then_some(self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> EndpointTexts {
        let mut texts = EndpointTexts::default();
        let destination = "198.51.100.23:5060".parse().unwrap();
        texts.set(&Endpoints { source: source.parse().unwrap(), destination });
        texts
    }

    #[test]
    fn each_endpoint_is_found_where_it_stands() {
        let texts = texts("203.0.113.7:5071");
        let message = b"<203.0.113.7:5071> for 198.51.100.23:5060 here";
        for (code, at, len) in [
            (SOURCE, 1, 11),
            (SOURCE_PORT, 13, 4),
            (DESTINATION, 23, 13),
            (DESTINATION_PORT, 37, 4),
        ] {
            assert_eq!(texts.len_at(code, message, at), Some(len));
            assert_eq!(texts.len_at(code, message, at + 1), None);
            assert_eq!(texts.len_at(code, &message[..at + len], at), Some(len));
            assert_eq!(texts.len_at(code, &message[..at + len - 1], at), None);
        }
    }

    #[test]
    fn a_token_that_is_an_endpoint_is_known() {
        let known = texts("[2001:db8::7]:5071");
        assert_eq!(known.code(b"2001:db8::7", Extent::Address), Some(SOURCE));
        assert_eq!(known.code(b"2001:db8:0::7", Extent::Address), None);
        assert_eq!(known.code(b"198.51.100.23", Extent::Hard), Some(DESTINATION));
        assert_eq!(known.code(b"5071", Extent::Soft), Some(SOURCE_PORT));
        assert_eq!(known.code(b"5060", Extent::Soft), Some(DESTINATION_PORT));
        assert_eq!(texts("1.2.3.4:7").code(b"7", Extent::Soft), None);
    }

    #[test]
    fn a_long_address_is_compared_whole() {
        let long = "[2001:db8:1111:2222:3333:4444:5555:6666]:1000";
        let message = b"2001:db8:1111:2222:3333:4444:5555:6666 and more";
        assert_eq!(texts(long).len_at(SOURCE, message, 0), Some(38));
        assert_eq!(texts(long).len_at(SOURCE, &message[..37], 0), None);
        let other = "[2001:db8:1111:2222:3333:4444:5555:6667]:1000";
        assert_eq!(texts(other).len_at(SOURCE, message, 0), None);
    }
}
