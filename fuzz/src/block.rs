//! Whatever the disk gives back, a block is read or refused, and what is read was in it.

use sentrypeer_storage::arena::Arena;
use sentrypeer_storage::block::{Block, Damaged};
use sentrypeer_storage::event::{
    EventRef, METHOD_BYTES_MAX, NUMBER_BYTES_MAX, USER_AGENT_BYTES_MAX,
};
use sentrypeer_storage::limits::{BLOCK_COLUMNS_MAX, BLOCK_MESSAGES_MAX};
use sentrypeer_storage::repeat::{Record, Repeat};

/// The bytes are tried as they are, and as the insides of a block whose checksum and compression
/// are right, for only with those do bad insides ever get as far as the columns. The oracles are
/// the bounds of the format, and an arena, which must give back each event that was read.
pub fn check(data: &[u8]) {
    if let Ok(block) = Block::decode(data) {
        events_hold(&block, data.len());
    }
    let Some((numbers, insides)) = data.split_first_chunk::<3>() else { return };
    let [count, low, high] = *numbers;
    let split = usize::from(u16::from_le_bytes([low, high])).min(insides.len());
    let (columns, messages) = insides.split_at(split);
    if columns.len() > BLOCK_COLUMNS_MAX || messages.len() > BLOCK_MESSAGES_MAX {
        return;
    }
    for version in [1, 2] {
        if let Ok(block) = Block::decode(&packed(version, u32::from(count), columns, messages)) {
            assert_eq!(block.head().count, u32::from(count));
            events_hold(&block, messages.len());
        }
    }
}

/// The block of these columns and messages, as the format says of version 1 and 2.
#[must_use]
pub fn packed(version: u8, count: u32, columns: &[u8], messages: &[u8]) -> Vec<u8> {
    let pack = |bytes: &[u8]| {
        zstd::bulk::compress(bytes, 1).unwrap_or_else(|e| panic!("zstd takes every input: {e}"))
    };
    let (columns_packed, messages_packed) = (pack(columns), pack(messages));
    let mut checked = Vec::new();
    checked.extend_from_slice(&7_u64.to_le_bytes());
    for number in [
        count as usize,
        columns.len(),
        columns_packed.len(),
        messages.len(),
        messages_packed.len(),
        0,
    ] {
        checked.extend_from_slice(&(number as u32).to_le_bytes());
    }
    checked.extend_from_slice(&[0; 16]);
    checked.extend_from_slice(&columns_packed);
    checked.extend_from_slice(&messages_packed);
    [&[b'S', b'P', b'B', version][..], &crc32fast::hash(&checked).to_le_bytes()[..], &checked]
        .concat()
}

fn events_hold(block: &Block, message_bytes: usize) {
    let mut arena = Arena::new(0);
    let (mut events, mut bytes) = (0, 0);
    for read in block.records() {
        let (seq, record) = match read {
            Ok(read) => read,
            Err(Damaged(why)) => {
                assert!(!why.is_empty());
                break;
            }
        };
        assert_eq!(seq.0, block.head().first.0 + events);
        events += 1;
        match record {
            Record::Event(event) => {
                bytes += event.message.len();
                gives_back(&mut arena, &event);
            }
            Record::Repeat(repeat) => gives_back_repeat(&mut arena, &repeat),
        }
    }
    assert!(events <= u64::from(block.head().count), "events from nowhere");
    assert!(message_bytes == 0 || bytes <= message_bytes.max(BLOCK_MESSAGES_MAX));
}

fn gives_back_repeat(arena: &mut Arena, repeat: &Repeat) {
    assert!(repeat.count > 0 && repeat.first <= repeat.last);
    arena.clear();
    if arena.push_repeat(repeat).is_ok() {
        let canonical = Repeat { source: repeat.source.to_canonical(), ..*repeat };
        assert_eq!(arena.records().next(), Some(Record::Repeat(canonical)));
    }
}

fn gives_back(arena: &mut Arena, event: &EventRef<'_>) {
    arena.clear();
    let fits = event.method.len() <= METHOD_BYTES_MAX
        && event.number.len() <= NUMBER_BYTES_MAX
        && event.user_agent.len() <= USER_AGENT_BYTES_MAX;
    if fits && arena.push(event).is_ok() {
        assert_eq!(arena.iter().next(), Some(*event));
    }
}
