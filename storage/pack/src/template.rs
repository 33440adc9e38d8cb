//! What later messages are compared with, and where they differ from it.

use crate::alphabet::Alphabet;
use crate::limits::{SLOTS_MAX, TEMPLATES_MAX};
use crate::op::{END, Kind};
use crate::text::Extent;

/// A place of a template where messages differ from it. All but the place is experience: what a token
/// will probably be, so that it is tried first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// Where it begins and ends in the template.
    pub(crate) start: u16,
    pub(crate) end: u16,
    /// What ends it in a message.
    pub(crate) extent: Extent,
    /// How its last token was packed.
    pub(crate) usual: Kind,
    /// The alphabet of the last token that had one.
    pub(crate) alphabet: Option<Alphabet>,
    /// Whether its tokens have different lengths.
    pub(crate) is_varied: bool,
    /// How many more of its tokens had come before than had not, lately.
    pub(crate) popular: i8,
    /// How many of those that were looked at closely were those of the template, one after the other.
    pub(crate) idle: u8,
    /// How many tokens there were, modulo 256.
    pub(crate) visits: u8,
}

impl Slot {
    /// A place of a template, from a byte to before another.
    pub(crate) fn new(start: usize, end: usize, extent: Extent) -> Self {
        Self {
            // A template is shorter than 2^16.
            start: start as u16,
            end: end as u16,
            extent,
            usual: Kind::of(END),
            alphabet: None,
            is_varied: false,
            popular: 0,
            idle: 0,
            visits: 0,
        }
    }

    /// The length of what the template has there.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.end - self.start)
    }

    pub(crate) fn count_popular(&mut self, came_before: bool) {
        const MOST: i8 = 4;
        let step = if came_before { 2 } else { -1 };
        self.popular = (self.popular + step).clamp(-MOST, MOST);
    }
}

/// Puts a slot into its place; those that it overlaps leave. An empty one, or one for which there is no
/// room, is not kept: it would only help to find out sooner what is found out again.
pub(crate) fn insert(slots: &mut Vec<Slot>, slot: Slot) {
    let from = slots.partition_point(|other| other.end <= slot.start);
    let to = slots.partition_point(|other| other.start < slot.end).max(from);
    if slot.start < slot.end && (to > from || slots.len() < SLOTS_MAX) {
        slots.splice(from..to, [slot]);
    }
}

/// A message that is stored whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    /// Where it is among the whole messages, and how long.
    pub(crate) start: usize,
    pub(crate) len: usize,
    /// How many whole messages there are before it.
    pub(crate) number: usize,
    /// In the order of their places, without overlaps.
    pub(crate) slots: Vec<Slot>,
    /// The shape of the last message that was like it.
    pub(crate) last_shape: Option<u16>,
}

/// The templates of a block.
#[derive(Default)]
pub(crate) struct Templates {
    all: Vec<Template>,
    /// How many of them belong to this block; the others keep their memory.
    count: usize,
}

impl Templates {
    pub(crate) fn get(&mut self, template: usize) -> &mut Template {
        &mut self.all[template]
    }

    /// Adds one, if there is room for it.
    pub(crate) fn add(&mut self, start: usize, len: usize, number: usize) -> Option<usize> {
        let here = self.count;
        if here == TEMPLATES_MAX {
            return None;
        }
        if here == self.all.len() {
            self.all.push(Template::default());
        }
        let template = &mut self.all[here];
        template.slots.clear();
        let slots = std::mem::take(&mut template.slots);
        *template = Template { start, len, number, slots, last_shape: None };
        self.count += 1;
        Some(here)
    }

    /// Removes all and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(slots: &[Slot]) -> Vec<(u16, u16)> {
        slots.iter().map(|slot| (slot.start, slot.end)).collect()
    }

    #[test]
    fn slots_stay_in_order_and_never_overlap() {
        let mut slots = Vec::new();
        for (start, end) in [(10, 20), (40, 50), (20, 30), (5, 10), (7, 7)] {
            insert(&mut slots, Slot::new(start, end, Extent::Soft));
        }
        assert_eq!(places(&slots), [(5, 10), (10, 20), (20, 30), (40, 50)]);
        insert(&mut slots, Slot::new(9, 25, Extent::Soft));
        assert_eq!(places(&slots), [(9, 25), (40, 50)]);
    }

    #[test]
    fn there_are_never_too_many_slots() {
        let mut slots = Vec::new();
        for n in 0..=SLOTS_MAX {
            insert(&mut slots, Slot::new(10 * n, 10 * n + 5, Extent::Soft));
        }
        assert_eq!(slots.len(), SLOTS_MAX);
        // One that takes the place of another still finds room.
        insert(&mut slots, Slot::new(1, 3, Extent::Soft));
        assert_eq!((slots.len(), slots[0].start), (SLOTS_MAX, 1));
    }

    #[test]
    fn there_are_never_too_many_templates() {
        let mut templates = Templates::default();
        let added = (0..2 * TEMPLATES_MAX).filter(|n| templates.add(*n, 1, *n).is_some());
        assert_eq!(added.count(), TEMPLATES_MAX);
        templates.clear();
        assert_eq!(templates.add(7, 1, 0), Some(0));
        assert_eq!(templates.get(0).start, 7);
    }
}
