//! Packing and unpacking from outside: what goes in comes out, and what is damaged is noticed.

#![expect(clippy::unwrap_used, reason = "all of it is tests")]

mod damaged;
mod round_trip;

#[path = "../../examples/mix/mod.rs"]
mod mix;

use sentrypeer_pack::{Class, Damaged, Decoder, Encoder, Endpoints};

/// A message with all that goes with it.
#[derive(Clone, Debug)]
struct Message {
    bytes: Vec<u8>,
    method: Vec<u8>,
    user_agent: Vec<u8>,
    endpoints: Endpoints,
}

impl From<mix::Message> for Message {
    fn from(message: mix::Message) -> Self {
        let mix::Message { bytes, method, user_agent, source, destination, .. } = message;
        let endpoints = Endpoints { source, destination };
        Self { bytes, method: method.into(), user_agent: user_agent.into(), endpoints }
    }
}

fn push(encoder: &mut Encoder, message: &Message) {
    let class = Class { method: &message.method, user_agent: &message.user_agent };
    encoder.push(&message.bytes, class, &message.endpoints);
}

fn packed(messages: &[Message]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    messages.iter().for_each(|message| push(&mut encoder, message));
    let mut packed = Vec::new();
    encoder.pack(&mut packed);
    packed
}

fn raw_bytes(messages: &[Message]) -> usize {
    messages.iter().map(|message| message.bytes.len()).sum()
}

/// The messages that come out, of lengths and endpoints like these.
fn unpacked(packed: &[u8], like: &[Message]) -> Result<Vec<Vec<u8>>, Damaged> {
    let mut decoder = Decoder::new(packed, like.len(), raw_bytes(like))?;
    let next = |message: &Message| {
        let mut bytes = Vec::new();
        decoder.next(message.bytes.len(), &message.endpoints, &mut bytes).map(|()| bytes)
    };
    like.iter().map(next).collect()
}

/// What packed messages may take at most.
fn bytes_max(messages: &[Message]) -> usize {
    raw_bytes(messages) + 2 * messages.len() + 64
}
