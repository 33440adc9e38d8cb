//! The JSON log: one object a line, appended to a file.
//!
//! A batch is written, synced, and only then done with. A write that fails leaves no part of the batch
//! behind. A process that dies in the middle leaves a torn line at most, and whoever opens the file cuts it there.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::batch::{Batch, Delivery, Failure};
use crate::limits::JSON_LOG_BUFFER_BYTES;
use crate::line::{Clock, Format, Renderer};
use crate::lines_file::LinesFile;

/// Where the JSON log is, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file. It is made when it does not exist; its folder is not.
    pub path: PathBuf,
    /// What a line is.
    pub format: Format,
    /// In which time zone its times are.
    pub clock: Clock,
}

/// The log at work.
#[derive(Debug)]
pub(crate) struct JsonLog {
    path: PathBuf,
    renderer: Renderer,
    open: Option<LinesFile>,
    buffer: Vec<u8>,
}

impl JsonLog {
    pub(crate) fn new(settings: Settings) -> Self {
        let Settings { path, format, clock } = settings;
        Self { path, renderer: Renderer::new(format, clock), open: None, buffer: Vec::new() }
    }

    pub(crate) fn target(&self) -> String {
        self.path.display().to_string()
    }

    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    pub(crate) fn send(&mut self, batch: &Batch<'_>) -> Delivery {
        match self.append(batch) {
            Ok(()) => Delivery::all(batch),
            Err(error) => {
                self.close();
                Delivery::up_to(0, Failure::new(format!("{}: {error}", self.path.display())))
            }
        }
    }

    fn append(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let mut open = match self.open.take().filter(|open| open.is_still_at(&self.path)) {
            Some(open) => open,
            None => LinesFile::open(&self.path)?,
        };
        let end = open.len()?;
        if let Err(error) = self.write(&mut open, batch) {
            open.cut(end);
            return Err(error);
        }
        self.open = Some(open);
        Ok(())
    }

    fn write(&mut self, open: &mut LinesFile, batch: &Batch<'_>) -> io::Result<()> {
        self.buffer.clear();
        for event in batch.events {
            self.renderer.write(event, batch.producer, batch.allow, &mut self.buffer);
            self.buffer.push(b'\n');
            if self.buffer.len() >= JSON_LOG_BUFFER_BYTES {
                open.file.write_all(&self.buffer)?;
                self.buffer.clear();
            }
        }
        open.file.write_all(&self.buffer)?;
        open.sync()
    }
}
