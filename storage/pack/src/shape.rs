//! The shapes that have a number: a template, and the operations that make a message from it.

use crate::limits::{SHAPE_OPS_MAX, SHAPES_MAX};
use crate::op::Op;
use crate::text::mix;

/// The shapes of a block as its encoder knows them.
#[derive(Default)]
pub(crate) struct Shapes {
    /// Of all of them, one after the other.
    ops: Vec<Op>,
    /// Of each: its template, and where its operations end.
    all: Vec<(usize, usize)>,
    /// Their numbers and 1, by their hash; 0 where there is none.
    places: Vec<u16>,
}

const PLACES: usize = SHAPES_MAX * 2;
/// How many places are tried. A shape that finds none is found only as the last one of its template.
const PROBES: usize = 8;

impl Shapes {
    /// Whether a shape has these operations.
    pub(crate) fn is(&self, shape: u16, ops: &[Op]) -> bool {
        let shape = usize::from(shape);
        let start = shape.checked_sub(1).map_or(0, |before| self.all[before].1);
        self.ops[start..self.all[shape].1] == *ops
    }

    /// The number of a shape that has one.
    pub(crate) fn find(&self, template: usize, ops: &[Op]) -> Option<u16> {
        let is_it =
            |shape: &u16| self.all[usize::from(*shape)].0 == template && self.is(*shape, ops);
        let numbers =
            probe(template, ops).filter_map(|place| self.places.get(place)?.checked_sub(1));
        numbers.into_iter().find(is_it)
    }

    /// Gives a shape the next number, unless there is none any more.
    pub(crate) fn add(&mut self, template: usize, ops: &[Op]) -> Option<u16> {
        if !has_room(self.all.len(), self.ops.len() + ops.len()) {
            return None;
        }
        self.places.resize(PLACES, 0);
        let number = self.all.len() as u16;
        self.ops.extend_from_slice(ops);
        self.all.push((template, self.ops.len()));
        if let Some(place) = probe(template, ops).find(|place| self.places[*place] == 0) {
            self.places[place] = number + 1;
        }
        Some(number)
    }

    /// Removes all and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.ops.clear();
        self.all.clear();
        self.places.fill(0);
    }
}

/// Whether one more shape gets a number, where there are so many, and with it so many operations in all.
/// Both sides must agree.
pub(crate) fn has_room(shapes: usize, ops: usize) -> bool {
    shapes < SHAPES_MAX && ops <= SHAPE_OPS_MAX
}

fn probe(template: usize, ops: &[Op]) -> impl Iterator<Item = usize> + use<> {
    let sum = ops.iter().fold(template as u64, |sum, op| mix(sum, op.word()));
    let first = (mix(sum, 0) >> 40) as usize;
    (first..first + PROBES).map(|place| place % PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{END, Kind, NUMBER};

    fn ops(n: usize, len: usize) -> Vec<Op> {
        let mut ops = vec![Op::new(n % 1000, Kind::of(NUMBER), n / 1000); len - 1];
        ops.push(Op::new(0, Kind::of(END), 0));
        ops
    }

    #[test]
    fn a_shape_is_found_by_its_template_and_its_operations() {
        let mut shapes = Shapes::default();
        assert_eq!(shapes.find(1, &ops(1, 5)), None);
        assert_eq!(shapes.add(1, &ops(1, 5)), Some(0));
        assert_eq!(shapes.add(2, &ops(1, 5)), Some(1));
        assert_eq!(shapes.add(1, &ops(2, 9)), Some(2));
        assert_eq!(shapes.find(1, &ops(1, 5)), Some(0));
        assert_eq!(shapes.find(2, &ops(1, 5)), Some(1));
        assert_eq!(shapes.find(1, &ops(2, 9)), Some(2));
        assert_eq!(shapes.find(2, &ops(2, 9)), None);
        shapes.clear();
        assert_eq!(shapes.find(1, &ops(1, 5)), None);
    }

    #[test]
    fn there_are_never_too_many_shapes_nor_operations() {
        let mut shapes = Shapes::default();
        let added = (0..2 * SHAPES_MAX).filter(|n| shapes.add(1, &ops(*n, 2)).is_some()).count();
        assert_eq!(added, SHAPES_MAX);
        shapes.clear();
        let added = (0..2 * SHAPES_MAX).filter(|n| shapes.add(1, &ops(*n, 100)).is_some()).count();
        assert_eq!(added, SHAPE_OPS_MAX / 100);
    }
}
