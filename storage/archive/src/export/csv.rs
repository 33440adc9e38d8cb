//! Comma-separated values (RFC 4180): a header, then one record an event, lines ended by CR LF.
//!
//! A value that is not there is empty. Control characters but tabs and line ends are U+FFFD, so that
//! the file can be looked at in a terminal.
//!
//! Spreadsheets take a cell that begins with `=`, `+`, `-` or `@` for a formula, and attackers know it.
//! Nothing is put before such a value here: half of all called numbers begin with `+`, a program
//! that reads the file must find what was sent, and a quote or a space in front would be one more
//! thing to be taken off, or not. Quotation marks do not help either: a spreadsheet takes them off first.
//! Who opens the file in one must import the columns as text; `docs/archive.md` says so.

use std::io::{self, Write};

use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::log::StoredEvent;

use super::columns::{COLUMNS, Value, values};
use crate::text;

pub(super) struct Table<W: Write> {
    out: csv::Writer<W>,
}

impl<W: Write> Table<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        out.write_record(COLUMNS.map(|column| column.name)).map_err(io::Error::from)?;
        Ok(Self { out })
    }

    pub(super) fn write(&mut self, event: &StoredEvent, producer: &Producer) -> io::Result<()> {
        for value in values(event, producer) {
            let written = match value {
                Value::Missing => self.out.write_field(""),
                Value::Time(time) => self.out.write_field(time.to_string()),
                Value::Port(port) => self.out.write_field(port.to_string()),
                Value::Text(found) => {
                    self.out.write_field(text::without_controls(found).as_bytes())
                }
            };
            written.map_err(io::Error::from)?;
        }
        self.out.write_record(None::<&[u8]>).map_err(io::Error::from)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}
