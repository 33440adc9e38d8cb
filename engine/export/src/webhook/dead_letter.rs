//! What a receiver refuses for good goes to a file, a line an event.

use std::io::{self, Write};
use std::path::PathBuf;

use sentrypeer_storage::event::Time;
use serde_json::json;
use serde_json::value::RawValue;

use crate::batch::{Batch, Failure};
use crate::limits::DEAD_LETTER_BYTES_MAX;
use crate::line::{Renderer, rfc3339};
use crate::lines_file::LinesFile;

/// The file of dead letters.
#[derive(Debug)]
pub(super) struct DeadLetters {
    path: PathBuf,
    renderer: Renderer,
}

impl DeadLetters {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, renderer: Renderer::default() }
    }

    /// Puts the events there. They are on the disk when this returns.
    pub(super) fn put(&self, refused: &Batch<'_>, status: u16, now: Time) -> Result<(), Failure> {
        self.append(refused, status, now)
            .map_err(|error| Failure::new(format!("{}: {error}", self.path.display())))
    }

    fn append(&self, refused: &Batch<'_>, status: u16, now: Time) -> io::Result<()> {
        let mut lines = Vec::new();
        for event in refused.events {
            let line = self.renderer.line(event, refused.producer, refused.allow);
            let event = RawValue::from_string(line).ok();
            let at = rfc3339(now);
            let letter = json!({ "refused_at": at, "status": status, "event": event });
            writeln!(lines, "{letter}")?;
        }
        let mut file = LinesFile::open(&self.path)?;
        let end = file.len()?;
        if end > DEAD_LETTER_BYTES_MAX {
            return Err(io::Error::other(
                "the dead-letter file is full; look at it and move it away",
            ));
        }
        let written = file.file.write_all(&lines).and_then(|()| file.sync());
        if written.is_err() {
            file.cut(end);
        }
        written
    }
}
