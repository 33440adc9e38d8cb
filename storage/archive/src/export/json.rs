//! The lines of the JSON log.

use std::io::{self, Write};

use sentrypeer_storage::event_json::{self, Producer};
use sentrypeer_storage::log::StoredEvent;

pub(super) struct Lines<W> {
    out: W,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }

    pub(super) fn write(&mut self, event: &StoredEvent, producer: &Producer) -> io::Result<()> {
        let mut line = event_json::to_line(event, producer);
        line.push('\n');
        self.out.write_all(line.as_bytes())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}
