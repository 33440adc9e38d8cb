//! Making a block anew with less in it.
//!
//! The new block has the same events with the same numbers, and takes the place of the old one in a
//! commit. It still spans the same times, so it expires when the old one would have.

use crate::arena::Arena;
use crate::block::{Block, Builder, Damaged, Packed, Packer};
use crate::event::{EventRef, Seq};
use crate::repeat::Record;

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It stays.
    Whole,
    /// Its message goes.
    WithoutMessage,
    /// Only its number stays: there was an event.
    Nothing,
}

/// The block anew, as `decide` says. Its filter is left as it is.
pub(crate) fn rewrite(
    block: &Block,
    (builder, packer): &mut (Builder, Packer),
    mut decide: impl FnMut(Seq, &Record<'_>) -> Keep,
) -> Result<Packed, Damaged> {
    builder.clear();
    let (mut arena, mut next) = (Arena::new(0), block.head().first);
    for record in block.records() {
        let (seq, record) = record?;
        erase(builder, &mut next, seq);
        let keep = decide(seq, &record);
        match (&record, keep) {
            (_, Keep::Nothing) => builder.push_erased(),
            (Record::Repeat(repeat), _) => builder.push_repeat(repeat),
            (Record::Event(event), Keep::Whole) => push(builder, &mut arena, event),
            (Record::Event(event), Keep::WithoutMessage) => {
                push(builder, &mut arena, &EventRef { message: b"", ..*event });
            }
        }
        next.0 += 1;
    }
    erase(builder, &mut next, Seq(block.head().last().0 + 1));
    builder.span(block.head().earliest, block.head().latest);
    let packed = builder.pack(block.head().first, packer);
    builder.clear();
    Ok(packed)
}

/// What is missing before `seq` was erased before.
fn erase(builder: &mut Builder, next: &mut Seq, seq: Seq) {
    while *next < seq {
        builder.push_erased();
        next.0 += 1;
    }
}

fn push(builder: &mut Builder, arena: &mut Arena, event: &EventRef<'_>) {
    arena.clear();
    // An empty arena takes any event: see the assertion in limits.rs.
    let _ = arena.push(event);
    arena.raw().for_each(|raw| builder.push(&raw, event));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{SourceKey, Time};
    use crate::repeat::Repeat;
    use crate::testing::event;

    fn block_of(sources: &[(u8, bool)]) -> Block {
        let mut builder = Builder::new();
        let mut arena = Arena::new(0);
        for (source, repeats) in sources {
            if *repeats {
                builder.push_repeat(&Repeat { count: 7, ..Repeat::of(&event(*source)) });
            } else {
                push(&mut builder, &mut arena, &event(*source));
            }
        }
        let packed = builder.pack(Seq(5), &mut Packer::new());
        Block::unpack(&packed.head, &packed.payload).unwrap()
    }

    fn records(block: &Block) -> Vec<(u64, std::net::IpAddr, Time, usize)> {
        let record = |record: Result<(Seq, Record<'_>), _>| {
            let (seq, record) = record.unwrap();
            let len = match &record {
                Record::Event(event) => event.message.len(),
                Record::Repeat(_) => 0,
            };
            (seq.0, record.source(), record.time(), len)
        };
        block.records().map(record).collect()
    }

    proptest! {
        #[test]
        fn what_stays_is_the_same_and_what_goes_is_gone_and_its_number_stays(
            sources in prop::collection::vec((0..4u8, any::<bool>()), 1..40),
            gone in 0..4u8,
            also_gone in 0..4u8,
        ) {
            let block = block_of(&sources);
            let key = |n: u8| SourceKey::of(event(n).source.ip());
            let mut builder = Default::default();
            let mut old = block_of(&sources);
            for gone in [gone, also_gone] {
                let decide = |_, record: &Record<'_>| {
                    if SourceKey::of(record.source()) == key(gone) { Keep::Nothing } else { Keep::Whole }
                };
                let packed = rewrite(&old, &mut builder, decide).unwrap();
                prop_assert_eq!((packed.head.first, packed.head.count), (Seq(5), sources.len() as u32));
                prop_assert_eq!(packed.head.latest, block.head().latest);
                prop_assert_eq!(packed.head.earliest, block.head().earliest);
                old = Block::unpack(&packed.head, &packed.payload).unwrap();
            }
            let stays = |source: &std::net::IpAddr| {
                ![key(gone), key(also_gone)].contains(&SourceKey::of(*source))
            };
            let expected: Vec<_> =
                records(&block).into_iter().filter(|(_, source, ..)| stays(source)).collect();
            prop_assert_eq!(records(&old), expected);
        }
    }

    #[test]
    fn an_event_without_its_message_keeps_its_number() {
        let block = block_of(&[(1, false), (2, true)]);
        let packed = rewrite(&block, &mut Default::default(), |_, _| Keep::WithoutMessage).unwrap();
        let bare = Block::unpack(&packed.head, &packed.payload).unwrap();
        let (_, read) = bare.events().next().unwrap().unwrap();
        assert_eq!(read, EventRef { message: b"", ..event(1) });
        assert_eq!(bare.records().count(), 2);
    }
}
