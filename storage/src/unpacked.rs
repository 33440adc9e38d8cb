//! The blocks after an event, one after the other, unpacked on threads of their own.
//!
//! Unpacking takes as long as what a start does with the events; so a start that has much to replay takes
//! half as long, and less where there are more processors.

use std::thread;

use crossbeam_channel::bounded;
use redb::Error;

use crate::block::{Block, Damaged, Head};
use crate::event::Seq;
use crate::limits::{REPLAY_HEADS_MAX, REPLAY_THREADS_MAX, UNPACKED_MAX};
use crate::tables::corrupted;
use crate::view::View;

/// Calls `visit` with each block that has an event after `after` and none after `through`, in their order,
/// and its first event.
///
/// # Errors
///
/// That of the database, or of `visit`: then there are no more blocks.
pub(crate) fn in_order(
    view: &View,
    (after, through): (Seq, Seq),
    mut visit: impl FnMut(Seq, Result<Block, Damaged>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut at = after;
    loop {
        let mut heads = Vec::new();
        while heads.len() < REPLAY_HEADS_MAX
            && let Some(head) = view.head_after(at)?
            && head.last() <= through
        {
            at = head.last();
            heads.push(head);
        }
        if heads.is_empty() {
            return Ok(());
        }
        some(view, &heads, &mut visit)?;
    }
}

fn some(
    view: &View,
    heads: &[Head],
    visit: &mut impl FnMut(Seq, Result<Block, Damaged>) -> Result<(), Error>,
) -> Result<(), Error> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.saturating_sub(1).clamp(1, REPLAY_THREADS_MAX);
    thread::scope(|scope| {
        let mut ends = Vec::with_capacity(threads);
        for n in 0..threads {
            let (sender, end) = bounded(UNPACKED_MAX);
            ends.push(end);
            let mine = heads.iter().skip(n).step_by(threads);
            let unpack = move || {
                for head in mine {
                    // It is refused when `visit` wants no more.
                    if sender.send(view.block(head)).is_err() {
                        break;
                    }
                }
            };
            thread::Builder::new().name("replay".to_owned()).spawn_scoped(scope, unpack)?;
        }
        for (head, end) in heads.iter().zip(ends.iter().cycle()) {
            let block = end.recv().map_err(|_| corrupted("a block cannot be unpacked"))?;
            visit(head.first, block?)?;
        }
        Ok(())
    })
}
