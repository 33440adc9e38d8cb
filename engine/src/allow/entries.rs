//! What is on the allow-list, and what becomes of it. Nothing here reads the clock or the disk.

use sentrypeer_http::allow::{Added, AllowError, Entry, Origin, Subject};
use sentrypeer_storage::event::Time;
use sentrypeer_storage::policy::NumberPattern;
use sentrypeer_storage::prefix::Prefix;

use crate::limits::ALLOW_ADDED_MAX;

/// The entries of a node.
#[derive(Debug)]
pub(super) struct Entries {
    /// What the configuration names: of one origin no subject twice.
    pub(super) configured: Vec<Entry>,
    /// What was added: no subject twice.
    pub(super) added: Vec<Entry>,
}

impl Entries {
    /// What has ended since it was stored is left out.
    pub(super) fn new(configured: Vec<Entry>, mut added: Vec<Entry>, now: Time) -> Self {
        added.retain(|entry| !is_over(entry, now));
        Self { configured, added }
    }

    /// All that hold then.
    pub(super) fn holding_at(&self, now: Time) -> Vec<Entry> {
        let added = self.added.iter().filter(|entry| !is_over(entry, now));
        self.configured.iter().chain(added).cloned().collect()
    }

    /// What was added, and one more, or another in place of that with the same subject.
    pub(super) fn with(&self, entry: Entry) -> Result<(Vec<Entry>, Added), AllowError> {
        let mut added = self.added.clone();
        let entry = Entry { origin: Origin::Added, ..entry };
        if let Some(old) = added.iter_mut().find(|old| old.subject == entry.subject) {
            *old = entry;
            return Ok((added, Added::Replaced));
        }
        if added.len() >= ALLOW_ADDED_MAX {
            return Err(AllowError::Full);
        }
        added.push(entry);
        Ok((added, Added::New))
    }

    /// What was added, without this one.
    pub(super) fn without(&self, subject: &Subject) -> Result<Vec<Entry>, AllowError> {
        let is_it = |entry: &Entry| entry.subject == *subject;
        let mut added = self.added.clone();
        added.retain(|entry| !is_it(entry));
        if added.len() < self.added.len() {
            return Ok(added);
        }
        let is_configured = self.configured.iter().any(is_it);
        Err(if is_configured { AllowError::Configured } else { AllowError::Unknown })
    }

    /// Takes out what has ended.
    pub(super) fn take_over(&mut self, now: Time) -> Vec<Entry> {
        self.added.extract_if(.., |entry| is_over(entry, now)).collect()
    }

    /// When the next entry ends.
    pub(super) fn next_end(&self) -> Option<Time> {
        self.added.iter().filter_map(|entry| entry.expires).min()
    }

    /// The addresses and networks that were added.
    pub(super) fn networks(&self) -> impl Iterator<Item = Prefix> {
        self.added.iter().filter_map(|entry| match entry.subject {
            Subject::Network(prefix) => Some(prefix),
            Subject::Number(_) => None,
        })
    }

    /// The numbers that were added.
    pub(super) fn numbers(&self) -> impl Iterator<Item = NumberPattern> {
        self.added.iter().filter_map(|entry| match &entry.subject {
            Subject::Network(_) => None,
            Subject::Number(pattern) => Some(pattern.clone()),
        })
    }
}

fn is_over(entry: &Entry, now: Time) -> bool {
    entry.expires.is_some_and(|end| end <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(subject: &str, expires: Option<u64>, origin: Origin) -> Entry {
        let (subject, expires) = (subject.parse().unwrap(), expires.map(Time));
        Entry { subject, reason: "x".to_owned(), expires, origin }
    }

    fn entries(added: &[(&str, Option<u64>)]) -> Entries {
        let configured = vec![entry("10.0.0.0/8", None, Origin::Configuration)];
        let added = added.iter().map(|(s, end)| entry(s, *end, Origin::Added)).collect();
        Entries::new(configured, added, Time(0))
    }

    #[test]
    fn an_entry_is_replaced_by_one_with_its_subject_and_not_by_another() {
        let list = entries(&[("192.0.2.1", Some(5))]);
        let (added, how) = list.with(entry("192.0.2.1/32", None, Origin::File)).unwrap();
        assert_eq!(how, Added::Replaced);
        assert_eq!(added, [entry("192.0.2.1", None, Origin::Added)]);
        let (added, how) = list.with(entry("10.0.0.0/8", None, Origin::Added)).unwrap();
        assert_eq!((how, added.len()), (Added::New, 2));
    }

    #[test]
    fn as_many_are_added_as_there_may_be_and_one_of_them_can_still_be_replaced() {
        let subjects: Vec<String> = (0..ALLOW_ADDED_MAX).map(|n| format!("7{n:07}")).collect();
        let added: Vec<_> = subjects.iter().map(|subject| (subject.as_str(), None)).collect();
        let list = entries(&added);
        let refused = list.with(entry("1.2.3.4", None, Origin::Added));
        assert!(matches!(refused, Err(AllowError::Full)));
        assert!(list.with(entry("70000003", Some(9), Origin::Added)).is_ok());
    }

    #[test]
    fn only_what_was_added_is_removed() {
        let list = entries(&[("192.0.2.1", None), ("10.0.0.0/9", None)]);
        let removed = |text: &str| list.without(&text.parse().unwrap());
        assert_eq!(removed("10.0.0.0/9").unwrap().len(), 1);
        assert!(matches!(removed("10.0.0.0/8"), Err(AllowError::Configured)));
        assert!(matches!(removed("192.0.2.0/24"), Err(AllowError::Unknown)));
    }

    #[test]
    fn an_entry_holds_until_its_end_and_not_at_it() {
        let mut list = entries(&[("192.0.2.1", Some(5)), ("7000", Some(9)), ("7001", None)]);
        assert_eq!(list.holding_at(Time(4)).len(), 4);
        assert_eq!(list.holding_at(Time(5)).len(), 3);
        assert_eq!((list.next_end(), list.take_over(Time(4)).len()), (Some(Time(5)), 0));
        assert_eq!((list.take_over(Time(5)).len(), list.next_end()), (1, Some(Time(9))));
        assert_eq!((list.take_over(Time(99)).len(), list.next_end()), (1, None));
        assert_eq!((list.networks().count(), list.numbers().count()), (0, 1));
    }
}
