//! The layer of the TOML file. Every key and value keeps its line and column.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::error::{Fault, Problem, Shown};
use super::layer::{Item, Layer, MoreWebhook};
use super::origin::{Cursor, Origin, Place};
use super::setting::{Fallback, Id, Kind, Setting};
use super::table::SETTINGS;

/// The table of tables that more webhooks have.
const MORE_WEBHOOKS: &str = "webhooks";

/// Reads a whole file of at most `max` bytes.
pub(super) fn read(path: &Path, max: u64) -> io::Result<Content> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    let short_enough = u64::try_from(bytes.len()).is_ok_and(|length| length <= max);
    Ok(if short_enough { Content::Bytes(bytes) } else { Content::TooLarge })
}

/// What a file held.
pub(super) enum Content {
    Bytes(Vec<u8>),
    TooLarge,
}

/// Understands the text of the file at `path`. Problems come in the order of the text.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> (Layer, Vec<Problem>) {
    let (text, valid) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => {
            (std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(), false)
        }
    };
    let mut reader = Reader { path: path.into(), text, layer: Layer::new(), problems: Vec::new() };
    if !valid {
        reader.problem(text.len(), None, Fault::NotUtf8);
        return reader.finish();
    }
    match DeTable::parse(text) {
        Ok(document) => reader.table("", document.get_ref()),
        Err(error) => {
            let offset = error.span().map_or(text.len(), |span| span.start);
            reader.problem(offset, None, Fault::Syntax(error.message().to_owned()));
        }
    }
    reader.finish()
}

struct Reader<'a> {
    path: Arc<Path>,
    text: &'a str,
    layer: Layer,
    /// With offsets in `text`; in alphabetical order, for so tables are walked.
    problems: Vec<(usize, Option<Id>, Fault)>,
}

impl Reader<'_> {
    fn origin(&self, offset: usize) -> Origin {
        Origin::File(Place::at(&self.path, self.text, offset))
    }

    fn problem(&mut self, offset: usize, id: Option<Id>, fault: Fault) {
        self.problems.push((offset, id, fault));
    }

    /// Brings the problems into the order of the text. One pass finds all their places: a file
    /// of the wrong kind may hold very many.
    fn finish(mut self) -> (Layer, Vec<Problem>) {
        self.problems.sort_by_key(|(offset, ..)| *offset);
        let mut cursor = Cursor::new(&self.path, self.text);
        let problems = self.problems.into_iter().map(|(offset, id, fault)| {
            let origin = Origin::File(cursor.forward_to(offset));
            Problem { origin, id, fault }
        });
        (self.layer, problems.collect())
    }

    /// Walks one table; `prefix` is its own name with a dot, or nothing at the top. The depth is
    /// that of the known keys, whatever the file holds.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            if prefix.is_empty() && key.get_ref() == MORE_WEBHOOKS {
                self.more_webhooks(key.span().start, value);
                continue;
            }
            let name = format!("{prefix}{}", key.get_ref());
            let within = format!("{name}.");
            let member = SETTINGS.iter().find(|s| s.key.is_some_and(|k| k.starts_with(&within)));
            let setting = SETTINGS.iter().find(|s| s.key == Some(name.as_str()));
            match (setting, member, value.get_ref()) {
                (Some(setting), _, _) => self.setting(setting, value),
                (None, Some(_), DeValue::Table(inner)) => self.table(&within, inner),
                (None, Some(member), _) => {
                    let fault =
                        Fault::TableExpected { key: Shown::text(&name), example: example(member) };
                    self.problem(key.span().start, None, fault);
                }
                (None, None, _) => {
                    self.problem(key.span().start, None, Fault::UnknownKey(name));
                }
            }
        }
    }

    /// Walks the tables of more webhooks. Each has a layer of its own, with the keys of the first.
    fn more_webhooks(&mut self, start: usize, value: &Spanned<DeValue<'_>>) {
        let table_expected = || {
            let key = Shown::text(MORE_WEBHOOKS);
            let example = "[webhooks.NAME] above the keys of each".to_owned();
            Fault::TableExpected { key, example }
        };
        let DeValue::Table(tables) = value.get_ref() else {
            return self.problem(start, None, table_expected());
        };
        if tables.len() > Id::Webhook.items_max() {
            let fault = Fault::TooMany { count: tables.len(), id: Id::Webhook };
            return self.problem(start, None, fault);
        }
        for (name, value) in tables {
            let at = name.span().start;
            let DeValue::Table(inner) = value.get_ref() else {
                self.problem(at, None, table_expected());
                continue;
            };
            let origin = self.origin(at);
            let outer = std::mem::replace(&mut self.layer, Layer::new());
            self.table("webhook.", inner);
            let layer = std::mem::replace(&mut self.layer, outer);
            let name = name.get_ref().to_string();
            self.layer.webhooks.push(MoreWebhook { name, origin, layer });
        }
    }

    fn setting(&mut self, setting: &Setting, value: &Spanned<DeValue<'_>>) {
        let start = value.span().start;
        let origin = self.origin(start);
        let items = match (setting.kind, value.get_ref()) {
            (Kind::Switch, DeValue::Boolean(on)) => {
                return self.layer.switch(setting.id, *on, origin);
            }
            (Kind::Number, DeValue::Integer(number)) => vec![self.item(start, decimal(number))],
            (Kind::Value | Kind::List, DeValue::String(text)) => {
                vec![self.item(start, text.clone().into_owned())]
            }
            (Kind::List, DeValue::Array(array)) => {
                let Some(items) = self.array(setting, start, array) else { return };
                items
            }
            (_, other) => return self.wrong_type(setting, start, other),
        };
        self.layer.items(setting.id, items, origin);
    }

    /// The texts of an array; nothing when one of them is something else, which is then said.
    fn array(
        &mut self,
        setting: &Setting,
        start: usize,
        array: &[Spanned<DeValue<'_>>],
    ) -> Option<Vec<Item>> {
        if array.len() > setting.id.items_max() {
            let fault = Fault::TooMany { count: array.len(), id: setting.id };
            self.problem(start, Some(setting.id), fault);
            return None;
        }
        let mut items = Vec::with_capacity(array.len());
        for value in array {
            match value.get_ref() {
                DeValue::String(text) => {
                    items.push(self.item(value.span().start, text.clone().into_owned()));
                }
                other => self.wrong_type(setting, value.span().start, other),
            }
        }
        (items.len() == array.len()).then_some(items)
    }

    fn item(&self, offset: usize, text: String) -> Item {
        Item { text: text.into(), origin: self.origin(offset) }
    }

    fn wrong_type(&mut self, setting: &Setting, offset: usize, found: &DeValue<'_>) {
        let found = match found {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let fault =
            Fault::WrongType { found, expected: expected(setting), example: example(setting) };
        self.problem(offset, Some(setting.id), fault);
    }
}

/// A number as digits. One too large for 128 bits stays as it is and is refused by its range.
fn decimal(number: &DeInteger<'_>) -> String {
    i128::from_str_radix(number.as_str(), number.radix())
        .map_or_else(|_| number.as_str().to_owned(), |n| n.to_string())
}

fn expected(setting: &Setting) -> &'static str {
    match setting.kind {
        Kind::Switch => "true or false",
        Kind::Number => "a whole number",
        Kind::Value => "a string",
        Kind::List => "a string or a list of strings",
    }
}

/// A line that would be right.
fn example(setting: &Setting) -> String {
    let value = match setting.fallback {
        Fallback::Text(text) => text.split(',').next().unwrap_or(text),
        Fallback::Nothing | Fallback::On | Fallback::Computed(_) => setting.value_name,
    };
    let key = setting.name();
    match setting.kind {
        Kind::Switch => format!("{key} = true"),
        Kind::Number => format!("{key} = 2"),
        Kind::Value => format!("{key} = \"{value}\""),
        Kind::List => format!("{key} = [\"{value}\"]"),
    }
}
