//! One layer of settings as it was written, and how layers lie over each other.

use std::array;
use std::ffi::{OsStr, OsString};

use super::origin::Origin;
use super::setting::{COUNT, Fallback, Id, Kind};
use super::table::SETTINGS;

/// What one layer says about every setting. No `Debug`: it holds secrets.
pub(super) struct Layer {
    entries: [Option<Entry>; COUNT],
    /// What a file says of more webhooks, in its order.
    pub(super) webhooks: Vec<MoreWebhook>,
}

/// A webhook beside the first: the settings of webhooks, once more.
pub(super) struct MoreWebhook {
    pub(super) name: String,
    /// Where it is named.
    pub(super) origin: Origin,
    pub(super) layer: Layer,
}

/// What one layer says about one setting.
pub(super) struct Entry {
    /// Where it says so; for a list, where the list begins.
    pub(super) origin: Origin,
    pub(super) given: Given,
}

/// A value before it is checked.
pub(super) enum Given {
    Switch(bool),
    /// One item for a value, any number for a list. No item: back to the default, whatever the
    /// weaker layers say.
    Items(Vec<Item>),
}

/// One text and its own place.
pub(super) struct Item {
    pub(super) text: OsString,
    pub(super) origin: Origin,
}

impl Layer {
    pub(super) fn new() -> Self {
        Self { entries: array::from_fn(|_| None), webhooks: Vec::new() }
    }

    pub(super) fn entry(&self, id: Id) -> Option<&Entry> {
        self.entries[id as usize].as_ref()
    }

    pub(super) fn switch(&mut self, id: Id, on: bool, origin: Origin) {
        self.entries[id as usize] = Some(Entry { origin, given: Given::Switch(on) });
    }

    /// Sets a value or a list. The texts of a list are taken apart at commas and blanks; empty
    /// texts count as none.
    pub(super) fn items(&mut self, id: Id, items: Vec<Item>, origin: Origin) {
        let items: Vec<Item> = match id.setting().kind {
            Kind::List => items.into_iter().flat_map(split).collect(),
            _ => items.into_iter().filter(|item| !item.text.is_empty()).collect(),
        };
        self.entries[id as usize] = Some(Entry { origin, given: Given::Items(items) });
    }

    /// Lays a stronger layer over this one. More webhooks are a file's alone, which is the weakest.
    pub(super) fn overlay(&mut self, stronger: Self) {
        for (slot, entry) in self.entries.iter_mut().zip(stronger.entries) {
            if entry.is_some() {
                *slot = entry;
            }
        }
    }

    /// Puts the table's defaults where nothing is set.
    pub(super) fn fill_defaults(&mut self) {
        self.webhooks.iter_mut().for_each(|more| more.layer.fill_defaults());
        for setting in SETTINGS {
            let set = self.entry(setting.id).is_some_and(|entry| !entry.is_empty());
            match setting.fallback {
                _ if set => {}
                Fallback::Text(text) => {
                    let item = Item { text: text.into(), origin: Origin::Default };
                    self.items(setting.id, vec![item], Origin::Default);
                }
                Fallback::On => self.switch(setting.id, true, Origin::Default),
                Fallback::Nothing if setting.kind == Kind::Switch => {
                    self.switch(setting.id, false, Origin::Default);
                }
                Fallback::Nothing | Fallback::Computed(_) => {
                    self.items(setting.id, Vec::new(), Origin::Default);
                }
            }
        }
    }

    pub(super) fn is_on(&self, id: Id) -> bool {
        matches!(self.entry(id), Some(Entry { given: Given::Switch(true), .. }))
    }

    /// The texts of a value or a list; none for what is not set.
    pub(super) fn texts(&self, id: Id) -> &[Item] {
        match self.entry(id) {
            Some(Entry { given: Given::Items(items), .. }) => items,
            _ => &[],
        }
    }

    /// The text of a value, if it is set.
    pub(super) fn text(&self, id: Id) -> Option<&OsStr> {
        self.texts(id).first().map(|item| item.text.as_os_str())
    }

    /// Where the setting was set.
    pub(super) fn origin(&self, id: Id) -> Origin {
        self.entry(id).map_or(Origin::Default, |entry| entry.origin.clone())
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        matches!(&self.given, Given::Items(items) if items.is_empty())
    }
}

/// Takes a list's text apart. What is not UTF-8 stays whole and is refused later, with its place.
fn split(item: Item) -> Vec<Item> {
    let Some(text) = item.text.to_str() else { return vec![item] };
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|part| !part.is_empty())
        .map(|part| Item { text: part.into(), origin: item.origin.clone() })
        .collect()
}

/// On or off, as variables and flags write it. Empty is off.
pub(super) fn parse_switch(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" | "" => Some(false),
        _ => None,
    }
}
