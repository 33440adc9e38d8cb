//! Finding out how a message differs from a template.

use crate::cut::Difference;
use crate::limits::{
    BYTES_PER_LINE, BYTES_PER_OP, LINES_MIN, LITERAL_MIN, LITERAL_SHARE, OPS_MAX, OPS_MIN,
    SLOT_CLOSE_LOOK, SLOT_IDLE_MAX,
};
use crate::op::{END, Kind, Op, SKIP};
use crate::template::{Slot, insert};
use crate::text::{common, line_end, line_name, next_line, token_end};
use crate::value::Values;

/// A message and a template on the way through both.
pub(crate) struct Diff<'a> {
    message: &'a [u8],
    template: &'a [u8],
    slots: &'a mut Vec<Slot>,
    /// What makes the message from the template.
    ops: &'a mut Vec<Op>,
    values: Values<'a>,
    is_v6: bool,
    /// Where we are in the message and in the template.
    at: usize,
    there: usize,
    /// Where the last operation ended in both. What comes after it has been the same so far.
    floor: usize,
    floor_there: usize,
    /// The first slot that is not behind us.
    next: usize,
    left: Budget,
}

/// What may still be done before the template is no good for this message.
struct Budget {
    ops: usize,
    literals: usize,
    lines: usize,
}

/// The template is no good for this message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unlike;

impl<'a> Diff<'a> {
    pub(crate) fn new(
        message: &'a [u8],
        template: &'a [u8],
        slots: &'a mut Vec<Slot>,
        ops: &'a mut Vec<Op>,
        values: Values<'a>,
        is_v6: bool,
    ) -> Self {
        ops.clear();
        values.named.clear();
        let left = Budget {
            ops: (OPS_MIN + message.len() / BYTES_PER_OP).min(OPS_MAX),
            literals: LITERAL_MIN + message.len() / LITERAL_SHARE,
            lines: LINES_MIN + message.len() / BYTES_PER_LINE,
        };
        let (at, there, floor, floor_there, next) = (0, 0, 0, 0, 0);
        Self {
            message,
            template,
            slots,
            ops,
            values,
            is_v6,
            at,
            there,
            floor,
            floor_there,
            next,
            left,
        }
    }

    /// Goes through both to the end. What has been found out about the slots stays known in any case.
    pub(crate) fn run(mut self) -> Result<(), Unlike> {
        loop {
            let slot = self.slots.get(self.next).map(|slot| usize::from(slot.start));
            let limit = slot.unwrap_or(self.template.len());
            let len = limit - self.there;
            let same = common(self.message, self.at, self.template, self.there, len);
            (self.at, self.there) = (self.at + same, self.there + same);
            if self.there == limit && slot.is_some() {
                self.slot()?;
            } else if self.there < limit || self.at < self.message.len() {
                self.difference()?;
            } else {
                return self.op(Kind::of(END), self.template.len());
            }
        }
    }

    /// At the begin of a slot. What its tokens usually are is tried without looking further; but for now
    /// and then, so that what has changed is noticed.
    fn slot(&mut self) -> Result<(), Unlike> {
        let slot = &mut self.slots[self.next];
        slot.visits = slot.visits.wrapping_add(1);
        let end_there = usize::from(slot.end);
        if !slot.visits.is_multiple_of(SLOT_CLOSE_LOOK) {
            let after = self.template.get(end_there);
            if let Some((kind, end)) = self.values.put_usual(self.message, self.at, after, slot) {
                slot.usual = kind;
                self.next += 1;
                return self.token(kind, end, end_there);
            }
        }
        self.close_look()
    }

    fn close_look(&mut self) -> Result<(), Unlike> {
        let slot = &mut self.slots[self.next];
        let end = token_end(self.message, self.at, slot.extent);
        let (start_there, end_there) = (usize::from(slot.start), usize::from(slot.end));
        if self.message.get(end) != self.template.get(end_there) {
            return self.difference();
        }
        let same = self.message[self.at..end] == self.template[start_there..end_there];
        slot.idle = if same { slot.idle + 1 } else { 0 };
        if slot.idle >= SLOT_IDLE_MAX {
            self.slots.remove(self.next);
            (self.at, self.there) = (end, end_there);
            return Ok(());
        }
        slot.usual = self.values.put(self.message, (self.at, end), slot);
        self.next += 1;
        let kind = slot.usual;
        self.token(kind, end, end_there)
    }

    /// The token that ends there is packed.
    fn token(&mut self, kind: Kind, end: usize, end_there: usize) -> Result<(), Unlike> {
        if kind.is_literal() {
            let len = end - self.at;
            self.left.literals = self.left.literals.checked_sub(len).ok_or(Unlike)?;
        }
        self.at = end;
        self.op(kind, end_there)
    }

    /// Adds an operation that has brought us to here in the message, and to `there` in the template.
    fn op(&mut self, kind: Kind, there: usize) -> Result<(), Unlike> {
        self.left.ops = self.left.ops.checked_sub(1).ok_or(Unlike)?;
        let same = self.there - self.floor_there;
        self.ops.push(Op::new(same, kind, there - self.there));
        (self.floor, self.floor_there, self.there) = (self.at, there, there);
        Ok(())
    }

    /// Where the two differ, and no slot says what is there.
    fn difference(&mut self) -> Result<(), Unlike> {
        let Self { message, template, at, there, floor, is_v6, .. } = *self;
        let difference = Difference { message, template, at, there, floor, is_v6 };
        if let Some(back) = difference.other_line() {
            self.step_back(back);
            return self.lines();
        }
        let Some(cut) = difference.cut() else { return self.rest_of_line() };
        self.step_back(cut.back);
        let mut slot = Slot::new(self.there, cut.end_there, cut.extent);
        slot.usual = self.values.put(self.message, (self.at, cut.end), &mut slot);
        self.token(slot.usual, cut.end, cut.end_there)?;
        insert(self.slots, slot);
        self.find_next();
        Ok(())
    }

    fn step_back(&mut self, bytes: usize) {
        (self.at, self.there) = (self.at - bytes, self.there - bytes);
    }

    fn find_next(&mut self) {
        self.next = self.slots.partition_point(|slot| usize::from(slot.start) < self.there);
    }

    /// Gives up on this line.
    fn rest_of_line(&mut self) -> Result<(), Unlike> {
        let end = line_end(self.message, self.at);
        let end_there = line_end(self.template, self.there);
        if end == self.at && end_there == self.there {
            return Err(Unlike);
        }
        self.literal(end, end_there)
    }

    /// At the begin of two different lines: goes on where the template has a line of the same name.
    fn lines(&mut self) -> Result<(), Unlike> {
        let mut line = self.at;
        while line < self.message.len() {
            if let Some(there) = self.find_line(line_name(&self.message[line..]))? {
                return self.literal(line, there);
            }
            line = next_line(self.message, line);
        }
        self.literal(line, self.template.len())
    }

    /// The first line of the template, from here on, that has this name.
    fn find_line(&mut self, name: &[u8]) -> Result<Option<usize>, Unlike> {
        let mut line = self.there;
        while line < self.template.len() {
            self.left.lines = self.left.lines.checked_sub(1).ok_or(Unlike)?;
            if self.template[line..].starts_with(name) {
                return Ok(Some(line));
            }
            line = next_line(self.template, line);
        }
        Ok(None)
    }

    /// Everything to `end` as it is, in place of everything to `there`.
    fn literal(&mut self, end: usize, there: usize) -> Result<(), Unlike> {
        let kind = if end == self.at {
            Kind::of(SKIP)
        } else {
            self.values.put_literal(self.message, (self.at, end))
        };
        self.token(kind, end, there)?;
        self.find_next();
        Ok(())
    }
}
