//! Under which keys templates are known.

use crate::limits::{CREDIT_MAX, STAND_INS_MAX, TEMPLATES_MAX, UNLIKE_COST};

/// What is known under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing.
    Nothing,
    /// A template, and the place of its name.
    Template {
        /// Its number.
        template: usize,
        /// For [`Names::judge`].
        place: usize,
    },
    /// A template that has stood in for long enough: it is time for one of their own.
    WornOut,
    /// A template that so many messages were unlike that it is left out this time.
    Tired,
}

/// The keys, and to which template each leads.
#[derive(Default)]
pub(crate) struct Names {
    places: Vec<Name>,
}

#[derive(Clone, Copy, Default)]
struct Name {
    key: u64,
    /// The template and 1; 0 where there is none.
    template: u16,
    /// How often a template of another key stood in for one of its own.
    stood_in: u8,
    /// What may be spent on comparing in vain.
    credit: u8,
}

/// Each template is known under two keys, and half of the places stay free.
const PLACES: usize = TEMPLATES_MAX * 4;
/// How many places are tried for a key. One that finds none has no template.
const PROBES: usize = 8;

impl Names {
    pub(crate) fn find(&mut self, key: u64) -> Known {
        let is_its = |place: &usize| {
            self.places.get(*place).is_some_and(|name| name.key == key && name.template > 0)
        };
        let Some(place) = probe(key).find(is_its) else { return Known::Nothing };
        let name = &mut self.places[place];
        if name.stood_in > STAND_INS_MAX {
            return Known::WornOut;
        }
        if name.credit < UNLIKE_COST {
            name.credit += 1;
            return Known::Tired;
        }
        name.stood_in += u8::from(name.stood_in > 0);
        Known::Template { template: usize::from(name.template) - 1, place }
    }

    /// Remembers how it was to compare with the template of the name at a place that [`Self::find`] gave.
    pub(crate) fn judge(&mut self, place: usize, was_like: bool) {
        let credit = &mut self.places[place].credit;
        *credit = if was_like {
            credit.saturating_add(1).min(CREDIT_MAX)
        } else {
            credit.saturating_sub(UNLIKE_COST)
        };
    }

    /// Makes a key lead to a template that is its own.
    pub(crate) fn own(&mut self, key: u64, template: usize) {
        self.put(key, template, 0);
    }

    /// Makes a key lead to a template of another key for some time.
    pub(crate) fn stand_in(&mut self, key: u64, template: usize) {
        self.put(key, template, 1);
    }

    fn put(&mut self, key: u64, template: usize, stood_in: u8) {
        self.places.resize(PLACES, Name::default());
        let is_free = |place: &usize| {
            let name = self.places[*place];
            name.template == 0 || name.key == key
        };
        let Some(place) = probe(key).find(is_free) else { return };
        let before = self.places[place];
        // Who keeps being unlike gains nothing by being a template each time.
        let credit = if before.template == 0 { CREDIT_MAX } else { before.credit };
        self.places[place] = Name { key, template: template as u16 + 1, stood_in, credit };
    }

    /// Removes all and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.places.fill(Name::default());
    }
}

fn probe(key: u64) -> impl Iterator<Item = usize> {
    let first = (key >> 40) as usize;
    (first..first + PROBES).map(|place| place % PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(known: Known) -> Option<usize> {
        if let Known::Template { template, .. } = known { Some(template) } else { None }
    }

    #[test]
    fn a_key_leads_to_its_last_template() {
        let mut names = Names::default();
        assert_eq!(names.find(5), Known::Nothing);
        names.own(5, 0);
        names.own(6, 1);
        names.own(5, 2);
        assert_eq!(template(names.find(5)), Some(2));
        assert_eq!(template(names.find(6)), Some(1));
        names.clear();
        assert_eq!(names.find(5), Known::Nothing);
    }

    #[test]
    fn a_stand_in_is_worn_out_at_some_time() {
        let mut names = Names::default();
        names.stand_in(5, 3);
        let times = (0..1000).take_while(|_| template(names.find(5)) == Some(3)).count();
        assert_eq!(times, usize::from(STAND_INS_MAX));
        assert_eq!(names.find(5), Known::WornOut);
        names.own(5, 4);
        assert!((0..1000).all(|_| template(names.find(5)) == Some(4)));
    }

    #[test]
    fn what_is_unlike_all_the_time_is_compared_one_time_in_six() {
        let mut names = Names::default();
        let mut compared = 0;
        for n in 0..6000 {
            names.own(5, n % 100);
            if let Known::Template { place, .. } = names.find(5) {
                names.judge(place, false);
                compared += 1;
            }
        }
        assert!((1000..1010).contains(&compared), "{compared}");
    }

    #[test]
    fn keys_that_all_want_one_place_find_an_end() {
        let mut names = Names::default();
        for n in 0..100 {
            names.own(n, n as usize);
        }
        let found = (0..100).filter(|n| template(names.find(*n)) == Some(*n as usize)).count();
        assert_eq!(found, PROBES);
    }
}
